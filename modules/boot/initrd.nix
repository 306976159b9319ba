# Stage 1: what the initrd holds and does.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.boot.initrd;
  kernel = config.system.build.kernel;

  early = lib.filter (fs: fs.early) config.system.build.fileSystems;

  stage1 = {
    version = 1;
    fileSystems = map (fs: fs.description) early;
    kernelModules = cfg.kernelModules;
    emergencyAccess = config.boot.shellOnFail;
    inherit (cfg) deviceTimeoutSeconds rebootDelaySeconds;
    storage =
      cfg.storage
      // lib.optionalAttrs (config.boot.resumeDevice != "") { inherit (config.boot) resumeDevice; };
  }
  // lib.optionalAttrs (cfg.factoryReset != null) { inherit (cfg) factoryReset; };

  # What it mounts, or may be told to mount.
  fileSystemTypes = lib.unique (
    map (fs: fs.fsType) early
    ++ lib.attrNames (lib.filterAttrs (_: enabled: enabled) cfg.supportedFilesystems)
  );

  # xfs and btrfs repair themselves when they are mounted; what else has no check here is never written.
  checks =
    let
      ext = "${pkgs.e2fsck-static}/bin/e2fsck.static";
    in
    {
      ext2 = ext;
      ext3 = ext;
      ext4 = ext;
      exfat = "${pkgs.exfatprogs}/bin/fsck.exfat";
      f2fs = "${pkgs.f2fs-tools}/bin/fsck.f2fs";
      vfat = "${pkgs.dosfstools}/bin/fsck.vfat";
    };
  checked = fileSystemTypes ++ lib.optional (lib.elem "auto" fileSystemTypes) "ext4";
in
{
  options = {
    boot.initrd.hardware = mkOption {
      type = types.enum [
        "any"
        "virtual-machine"
      ];
      default = "any";
      description = ''
        For which hardware the initrd has drivers: for `any` that a root file system may be on, or
        only for that of virtual machines, which makes it a third of the size.
      '';
    };

    boot.initrd.availableKernelModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "megaraid_sas"
        "dm_crypt"
      ];
      description = ''
        Further modules in the initrd, beside those of {option}`boot.initrd.hardware` and of the file
        systems. They are loaded when their hardware is found or when the kernel asks for them.
      '';
    };

    boot.initrd.includeDefaultModules = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether the initrd has the drivers that {option}`boot.initrd.hardware` names. Without them
        it has only what the file systems need and what
        {option}`boot.initrd.availableKernelModules` lists.
      '';
    };

    boot.initrd.kernelModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "dm_mod" ];
      description = ''
        Modules in the initrd that are loaded whatever hardware is found.
      '';
    };

    boot.initrd.supportedFilesystems = mkOption {
      type = types.coercedTo (types.listOf types.str) (names: lib.genAttrs names (_: true)) (
        types.attrsOf types.bool
      );
      default = { };
      example = [ "xfs" ];
      description = ''
        File systems whose modules and checks the initrd has, beside those that
        {option}`fileSystems` mounts early.
      '';
    };

    boot.initrd.deviceTimeoutSeconds = mkOption {
      type = types.ints.unsigned;
      default = 30;
      description = ''
        How long the initrd waits for a device before it reports a failure.
      '';
    };

    boot.initrd.rebootDelaySeconds = mkOption {
      type = types.ints.unsigned;
      default = 10;
      description = ''
        How long the report of a failed boot stands before the machine restarts, if no shell is
        opened.
      '';
    };

    boot.initrd.programs = mkOption {
      type = types.attrsOf types.str;
      default = { };
      internal = true;
      description = ''
        Programs in {file}`/bin` of the initrd, by name. Each comes with the libraries that it is linked
        with.
      '';
    };

    boot.initrd.microcode = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "New microcode that comes before the rest of the initrd: `intel:PACKAGE`, `amd:PACKAGE`.";
    };

    boot.initrd.files = mkOption {
      type = types.attrsOf types.str;
      default = { };
      internal = true;
      description = "Files of the store that the initrd has, by the names that they have in it.";
    };

    boot.initrd.storage = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      internal = true;
      description = "What the initrd opens before it mounts, as {file}`stage-1.json` has it.";
    };

    boot.initrd.factoryReset = mkOption {
      type = types.nullOr types.raw;
      default = null;
      internal = true;
      description = "What a factory reset keeps, as {file}`stage-1.json` has it.";
    };

    boot.resumeDevice = mkOption {
      type = types.str;
      default = "";
      example = "/dev/disk/by-label/swap";
      description = ''
        The swap space that holds the memory of the machine when it falls asleep with `disk`. The initrd
        looks there, and goes on where the machine was.
      '';
    };

    boot.shellOnFail = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether a failed boot opens a root shell on the console, without asking for a password. The
        kernel parameter `boot.shell_on_fail` does it for one boot.
      '';
    };

    system.build.initrd = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "The initrd, as `initrd` in this package.";
    };
  };

  config = {
    boot.initrd.programs = {
      sh = "${pkgs.busybox-static}/bin/busybox";
      busybox = "${pkgs.busybox-static}/bin/busybox";
    }
    // lib.mapAttrs' (type: lib.nameValuePair "fsck.${type}") (
      lib.filterAttrs (type: _: lib.elem type checked) checks
    );

    # A switch without a network makes the initrd anew.
    system.extraDependencies = lib.mkIf (!config.boot.isContainer) (
      lib.unique (lib.attrValues cfg.programs ++ lib.attrValues cfg.files)
    );

    system.build.initrd = pkgs.build "initrd" ({
      name = "initrd";
      init = "${pkgs.cairn-init}/bin/cairn-init";
      stage1 = builtins.toJSON stage1;
      kernel = "${kernel}";
      kernelRelease = kernel.modDirVersion;
      firmware = toString config.hardware.firmware;
      microcode = toString config.boot.initrd.microcode;
      hardware = if cfg.includeDefaultModules then cfg.hardware else "none";
      modules = toString (cfg.availableKernelModules);
      fileSystemTypes = toString fileSystemTypes;
      files = builtins.toJSON (
        lib.mapAttrs' (name: lib.nameValuePair "/bin/${name}") cfg.programs // cfg.files
      );
    }
    // config.system.build.softDependencies);
  };
}
