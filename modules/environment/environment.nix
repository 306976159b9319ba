# Packages on everybody's path, and the two programs outside of the store.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.environment;

  # What `builtin:profile` links by itself.
  linkedAnyway = [
    "/bin"
    "/etc"
    "/libexec"
    "/share"
    "/lib/locale"
    "/lib/terminfo"
    "/lib/modules-load.d"
    "/lib/udev"
  ];

  # What a machine is administered with.
  required = with pkgs; [
    bash
    coreutils
    util-linux
    login
    passwd
    iproute2
    iputils-ping
    procps
    psmisc
    kmod
    e2fsprogs
    dosfstools
    grep
    sed
    gawk
    findutils
    diffutils
    tar
    gzip
    xz-utils
    zstd
    hostname
    libc-bin
    ncurses-base
    ncurses-bin
    which
  ];
in
{
  options = {
    environment.systemPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.htop pkgs.curl ]";
      description = ''
        Packages whose programs every user has, in {file}`/run/current-system/sw`. Where two have a
        file of the same name, the earlier one's is taken.
      '';
    };

    environment.defaultPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.strace pkgs.rsync ]";
      description = ''
        Packages that people expect on a machine and that nothing needs. An empty list leaves out those
        that a module has put here.
      '';
    };

    environment.pathsToLink = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/share/fonts" ];
      description = ''
        Folders of packages that {file}`/run/current-system/sw` has, beside {file}`/bin`, {file}`/etc`,
        {file}`/libexec`, {file}`/share`, and the data in {file}`/lib` that programs look for.
        {file}`/` is all of them.
      '';
    };

    environment.extraOutputsToInstall = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "man" ];
      description = ''
        Without effect: Debian's packages have one output. Packages of documentation, such as
        `bash-doc`, are packages of their own.
      '';
    };

    environment.binsh = mkOption {
      type = types.path;
      default = "${pkgs.bash}/bin/bash";
      defaultText = literalExpression ''"''${pkgs.bash}/bin/bash"'';
      example = literalExpression ''"''${pkgs.dash}/bin/dash"'';
      description = ''
        What {file}`/bin/sh` is: a shell as POSIX has it. Programs of the machine rely on it.
      '';
    };

    environment.usrbinenv = mkOption {
      type = types.path;
      default = "${pkgs.coreutils}/bin/env";
      defaultText = literalExpression ''"''${pkgs.coreutils}/bin/env"'';
      description = ''
        What {file}`/usr/bin/env` is. With {file}`/bin/sh` it is all that is outside of the store.
      '';
    };

    system.path = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "What {file}`/run/current-system/sw` is.";
    };

    system.build.systemPath = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "What {file}`/run/current-system/sw` is.";
    };
  };

  config = {
    # Ours come first: kmod's modprobe looks for modules in /lib alone.
    environment.systemPackages = lib.mkMerge [
      (lib.mkOrder 100 [
        pkgs.cairn
        pkgs.cairn-init
        pkgs.cairn-core
      ])
      (lib.mkOrder 1400 required)
      (lib.mkOrder 1450 cfg.defaultPackages)
    ];

    system.path =
      if cfg.pathsToLink == [ ] then
        pkgs.build "profile" {
          name = "system-path";
          paths = toString cfg.systemPackages;
        }
      else
        pkgs.build "link-tree" {
          name = "system-path";
          paths = toString cfg.systemPackages;
          pathsToLink = toString (
            if lib.elem "/" cfg.pathsToLink then [ "/" ] else linkedAnyway ++ cfg.pathsToLink
          );
        };
    system.build.systemPath = config.system.path;

    system.description = {
      binSh = toString cfg.binsh;
      usrBinEnv = toString cfg.usrbinenv;
    };
  };
}
