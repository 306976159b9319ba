# The kernel, its parameters, its modules and its settings.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkOption
    types
    ;
  cfg = config.boot;
  kernel = cfg.kernelPackages.kernel;

  # Debian's packages; those of its component non-free-firmware may be missing.
  redistributable = [
    "firmware-amd-graphics"
    "firmware-atheros"
    "firmware-bnx2"
    "firmware-bnx2x"
    "firmware-brcm80211"
    "firmware-iwlwifi"
    "firmware-misc-nonfree"
    "firmware-realtek"
  ];

  # What a line of modprobe.d(5) means: on the kernel's command line, where init reads it, and from the
  # initrd on; or in the modules' indices, the initrd's as well.
  modprobeLine =
    line:
    let
      words = lib.filter (word: word != "") (lib.splitString " " line);
      command = lib.head words;
      module = lib.elemAt words 1;
      parameters = lib.drop 2 words;
    in
    if words == [ ] || lib.hasPrefix "#" command then
      { }
    else if command == "options" && parameters != [ ] then
      { params = map (parameter: "${module}.${parameter}") parameters; }
    else if command == "blacklist" && lib.length words == 2 then
      { params = [ "modprobe.blacklist=${module}" ]; }
    else if command == "softdep" && parameters != [ ] then
      { softDependencies = [ (lib.concatStringsSep " " (lib.tail words)) ]; }
    else
      throw ''
        boot.extraModprobeConfig: '${line}' is not supported.
        Lines `options MODULE PARAMETER=VALUE …`, `blacklist MODULE` and
        `softdep MODULE pre: OTHER … post: OTHER …` are. There is no modprobe.d, and no shell that could
        run `install` lines.'';
  modprobeLines = map modprobeLine (lib.splitString "\n" cfg.extraModprobeConfig);
  ofModprobe = what: lib.concatMap (line: line.${what} or [ ]) modprobeLines;

  sysctlValue = types.nullOr (
    types.oneOf [
      types.bool
      types.str
      types.int
    ]
  );

  sysctlText =
    value:
    if value == true then
      "1"
    else if value == false then
      "0"
    else
      toString value;
in
{
  options = {
    boot.kernelPackages = mkOption {
      type = types.raw;
      default = pkgs.linuxPackages;
      defaultText = literalExpression "pkgs.linuxPackages";
      example = literalExpression "pkgs.linuxPackages_cloud";
      description = ''
        The kernel: a set whose attribute `kernel` is the package with the kernel's image and
        modules. `pkgs.linuxPackages` runs on any hardware; `pkgs.linuxPackages_cloud` is smaller
        and starts sooner, and has drivers for virtual machines alone: no AHCI, no USB storage.
      '';
    };

    boot.kernelParams = mkOption {
      type = types.listOf (types.strMatching ''([^"[:space:]]|"[^"]*")+'');
      default = [ ];
      example = [
        "mitigations=auto"
        "net.ifnames=0"
      ];
      description = ''
        Parameters on the kernel's command line. One with blanks in it is written in double quotes;
        single quotes and backslashes are refused, since GRUB would alter them.
      '';
    };

    boot.consoles = mkOption {
      type = types.listOf types.str;
      default = [
        "ttyS0,115200"
        "tty0"
      ];
      example = [ "tty0" ];
      description = ''
        Terminals to which the kernel writes, each a value of its parameter `console=`. The last one
        is `/dev/console`, where a failed boot opens its shell. A terminal that the machine does not
        have is passed over by the kernel.
      '';
    };

    boot.consoleLogLevel = mkOption {
      type = types.int;
      default = 4;
      example = 7;
      description = ''
        The kernel writes messages below this level to its consoles: 4 shows errors and worse, 7 all
        but debugging.
      '';
    };

    boot.kernelModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "kvm-intel" ];
      description = ''
        Modules that are loaded after the initrd. Drivers of the hardware that is found need no
        mention.
      '';
    };

    boot.blacklistedKernelModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "pcspkr" ];
      description = ''
        Modules that are not loaded for hardware that is found. Asked for by name they still are.
      '';
    };

    boot.extraModprobeConfig = mkOption {
      type = types.lines;
      default = "";
      example = "options snd_hda_intel power_save=1";
      description = ''
        Parameters of modules, in the language of {manpage}`modprobe.d(5)`: lines
        `options MODULE PARAMETER=VALUE …`, `blacklist MODULE`, and
        `softdep MODULE pre: OTHER … post: OTHER …` for modules that are loaded before and after one. They
        hold in the initrd as well, which gets the modules of a `softdep`; other lines are refused.
      '';
    };

    boot.kernel.sysctl = mkOption {
      type = types.submodule {
        freeformType = types.attrsOf sysctlValue;
      };
      default = { };
      example = literalExpression ''{ "net.ipv4.ip_forward" = 1; "kernel.sysrq" = true; }'';
      description = ''
        Kernel settings below {file}`/proc/sys`, written at boot after activation. Dots separate the
        parts of a name, and a slash stands for a dot in one. `null` leaves a setting alone.
      '';
    };

    hardware.firmware = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.firmware-realtek ]";
      description = ''
        Packages whose {file}`lib/firmware` the kernel may load into devices, in the initrd as well.
        Where two have a file of the same name, the earlier one's is taken.
      '';
    };

    hardware.enableRedistributableFirmware = mkOption {
      type = types.bool;
      default = config.hardware.enableAllFirmware;
      defaultText = literalExpression "config.hardware.enableAllFirmware";
      description = ''
        Whether to have the firmware that may be passed on, free or not, for all common hardware. It
        takes some 300 MB, and needs Debian's component `non-free-firmware`.
      '';
    };

    hardware.enableAllFirmware = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether to have all firmware that Debian has. That is what
        {option}`hardware.enableRedistributableFirmware` gives: Debian distributes no other.
      '';
    };

    system.build.kernel = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "The kernel's package.";
    };

    system.build.kernelModules = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "The kernel's modules with depmod's indices.";
    };

    system.build.softDependencies = mkOption {
      type = types.attrsOf types.str;
      internal = true;
      readOnly = true;
      description = "What builders of indices are told of `softdep` lines.";
    };

    system.build.firmware = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "The firmware of all packages in one folder.";
    };
  };

  config = {
    boot.kernelParams =
      map (console: "console=${console}") cfg.consoles
      ++ [
        "loglevel=${toString cfg.consoleLogLevel}"
        # Boot's milestones come through /dev/kmsg, and the kernel is not to drop some of them.
        "printk.devkmsg=on"
      ]
      ++ lib.optional (
        cfg.blacklistedKernelModules != [ ]
      ) "modprobe.blacklist=${lib.concatStringsSep "," cfg.blacklistedKernelModules}"
      ++ ofModprobe "params";

    # In a container they are the host's.
    boot.kernel.sysctl = lib.mkIf (!cfg.isContainer) {
      "kernel.printk" = mkDefault "${toString cfg.consoleLogLevel} 4 1 7";
      "kernel.kptr_restrict" = mkDefault 1;
      "fs.protected_hardlinks" = mkDefault 1;
      "fs.protected_symlinks" = mkDefault 1;
    };

    hardware.firmware = [
      pkgs.firmware-linux-free
    ]
    ++ lib.optionals config.hardware.enableRedistributableFirmware (
      map (name: pkgs.${name}) (lib.filter (name: pkgs ? ${name}) redistributable)
    );

    warnings =
      lib.optional
        (config.hardware.enableRedistributableFirmware && !(lib.any (name: pkgs ? ${name}) redistributable))
        ''
          hardware.enableRedistributableFirmware: the archive has none of it.
          Debian keeps it in its component non-free-firmware; add that to the machine's sources.'';

    system.build = {
      inherit kernel;
      softDependencies = lib.optionalAttrs (ofModprobe "softDependencies" != [ ]) {
        softDependencies = lib.concatStringsSep "\n" (ofModprobe "softDependencies");
      };
      kernelModules = pkgs.build "kernel-modules" ({
        name = "kernel-modules";
        kernel = "${kernel}";
        release = kernel.modDirVersion;
      }
      // config.system.build.softDependencies);
      firmware = pkgs.build "firmware" {
        name = "firmware";
        paths = toString config.hardware.firmware;
      };
    };

    system.description = {
      kernelModules = lib.optionals (!cfg.isContainer) cfg.kernelModules;
      sysctl = lib.mapAttrs (_: sysctlText) (lib.filterAttrs (_: value: value != null) cfg.kernel.sysctl);
    };
  };
}
