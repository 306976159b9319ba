# GRUB, the boot loader for BIOS and UEFI.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.boot.loader.grub;
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "boot" "loader" "grub" "timeout" ] [ "boot" "loader" "timeout" ])
  ];

  options.boot.loader.grub = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether the machine boots with GRUB. Without a boot loader, something else must hand the
        kernel its command line.
      '';
    };

    device = mkOption {
      type = types.str;
      default = "";
      example = "/dev/disk/by-id/wwn-0x500001234567890a";
      description = ''
        The disk whose boot sector starts GRUB on a machine with a BIOS. `nodev` writes the menu
        alone. An image of a disk always starts on both BIOS and UEFI, whatever name its disk will
        have.
      '';
    };

    devices = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "/dev/sda"
        "/dev/sdb"
      ];
      description = ''
        Several disks that each get GRUB, in the place of {option}`boot.loader.grub.device`.
      '';
    };

    efiSupport = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether GRUB for UEFI is in the EFI system partition.
      '';
    };

    efiInstallAsRemovable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether GRUB lies under the name that firmware looks for on any disk,
        {file}`EFI/BOOT/BOOTX64.EFI`.
      '';
    };

    default = mkOption {
      type = types.either types.ints.unsigned types.str;
      default = 0;
      apply = toString;
      example = 1;
      description = ''
        The entry that is started by itself: its place in the menu, from 0. Entry 0 is always the
        current default generation.
      '';
    };

    extraEntries = mkOption {
      type = types.lines;
      default = "";
      example = ''
        menuentry "Another system" {
          chainloader (hd0,4)+1
        }
      '';
      description = ''
        Further entries of the boot menu, in GRUB's own language.
      '';
    };

    extraEntriesBeforeNixOS = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether {option}`boot.loader.grub.extraEntries` come before the generations.
      '';
    };

    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "set color_normal=light-blue/black";
      description = ''
        GRUB commands that are run before the menu.
      '';
    };

    configurationLimit = mkOption {
      type = types.ints.positive;
      default = 100;
      example = 10;
      description = ''
        At most so many generations are in the menu. What is not there can still be switched to.
      '';
    };

    configurationName = mkOption {
      type = types.str;
      default = "";
      example = "before the upgrade";
      description = ''
        What the menu calls this system, in the place of its label.
      '';
    };

    version = mkOption {
      type = types.enum [ 2 ];
      default = 2;
      visible = false;
      description = "GRUB's version; there is no other.";
    };

    forceInstall = mkOption {
      type = types.bool;
      default = false;
      visible = false;
      description = "Without effect: GRUB's core has a place of its own.";
    };

    copyKernels = mkOption {
      type = types.bool;
      default = true;
      visible = false;
      description = "Without effect: kernels are always copied to {file}`/boot`.";
    };

    fsIdentifier = mkOption {
      type = types.enum [
        "uuid"
        "label"
        "provided"
      ];
      default = "uuid";
      visible = false;
      description = "Without effect: GRUB finds its own file system by UUID.";
    };

    splashImage = mkOption {
      type = types.nullOr types.path;
      default = null;
      visible = false;
      description = "A picture behind the menu. It is not supported: the menu is text.";
    };

    useOSProber = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Looking for other systems on the machine's disks. It is not supported: name them in
        {option}`boot.loader.grub.extraEntries`.
      '';
    };
  };

  config.assertions = lib.optionals cfg.enable [
    {
      assertion = !cfg.useOSProber;
      message = "boot.loader.grub.useOSProber is not supported; name other systems in boot.loader.grub.extraEntries.";
    }
    {
      assertion = cfg.splashImage == null;
      message = "boot.loader.grub.splashImage is not supported; the menu is text.";
    }
    {
      assertion = !(cfg.device != "" && cfg.devices != [ ]);
      message = "boot.loader.grub.device and boot.loader.grub.devices are both set; set one of them.";
    }
    {
      assertion = lib.all (device: device == "nodev" || lib.hasPrefix "/dev/" device) (
        lib.optional (cfg.device != "") cfg.device ++ cfg.devices
      );
      message = "boot.loader.grub.device: write the disk's path, such as /dev/sda, or \"nodev\".";
    }
  ];
}
