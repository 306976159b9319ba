# GRUB, the boot loader for BIOS and UEFI.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.boot.loader.grub;
  memtest = pkgs."memtest86+";

  # The first serial port shows the menu where the kernel has a console on it.
  serial = lib.any (lib.hasPrefix "console=ttyS0") config.boot.kernelParams;

  user = {
    options = {
      hashedPassword = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "grub.pbkdf2.sha512.10000.674DFFDEF76E13EA...2CC972B102CF4355";
        description = ''
          The hash of the password, as {command}`grub-mkpasswd-pbkdf2` prints it.
        '';
      };

      password = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "Pa$$w0rd!";
        description = ''
          The password in clear. It is then readable in the store and in {file}`/boot`: better give
          {option}`boot.loader.grub.users.<name>.hashedPassword`.
        '';
      };
    };
  };
  passwordOf =
    user:
    if user.hashedPassword != null then
      { hashedPassword = user.hashedPassword; }
    else
      { password = user.password; };
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
        alone: an image of a disk then starts by UEFI and by no BIOS. Otherwise it starts by either,
        whatever name its disk will have.
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
        Whether GRUB for UEFI is in the EFI system partition. Without, an image of a disk has no such
        partition, and starts by a BIOS alone.
      '';
    };

    efiInstallAsRemovable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether GRUB lies under the name that firmware looks for on any disk,
        {file}`EFI/BOOT/BOOTX64.EFI`. Without, it lies in {file}`EFI/cairn`, and the other name is left to
        another system on the same partition; then only an entry in the firmware's menu starts it, so
        {option}`boot.loader.efi.canTouchEfiVariables` must be set. Images have the former name, whatever is
        said here.
      '';
    };

    secureBoot.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether a UEFI firmware with Secure Boot starts the machine, from disks and from live media: by
        Debian's signed shim, GRUB and kernel, as they are. What GRUB reads and boots beside the kernel (its
        menu, the initrd, the system) is not verified. Live media have it on, unless they are told
        otherwise, and {command}`cairn install` sets it where Secure Boot is on.
      '';
    };

    default = mkOption {
      type = types.either types.ints.unsigned types.str;
      default = 0;
      apply = toString;
      example = "saved";
      description = ''
        The entry that is started by itself. `0` is the default generation, or one that is on trial
        to become it, wherever they are in the menu. `"saved"` is the entry that was chosen last,
        until there is a new default generation. Anything else is an entry's place in the menu
        (counted from 0), its id or its title; then no generation is tried by itself.
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

    debugEntry = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether the menu has an entry that boots the default generation with more messages, and
        opens a shell if the boot fails.
      '';
    };

    memtest86.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the menu has the memory test Memtest86+.
      '';
    };

    memtest86.params = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "console=ttyS0,115200" ];
      description = ''
        Parameters for Memtest86+. Where the menu is shown on the first serial port, the test is too.
      '';
    };

    users = mkOption {
      type = types.attrsOf (types.submodule user);
      default = { };
      example = {
        root.hashedPassword = "grub.pbkdf2.sha512.10000.674DFFDEF76E13EA...2CC972B102CF4355";
      };
      description = ''
        Who may edit entries, use the shell of GRUB, and boot older generations, by name. Where there
        is somebody, others can boot the default generation and its specialisations alone.
      '';
    };

    mirroredBoots = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            path = mkOption {
              type = types.path;
              example = "/mirror/boot";
              description = "The folder: one called `boot` in the root of a file system.";
            };
            devices = mkOption {
              type = types.listOf types.str;
              default = [ ];
              example = [ "/dev/sdb" ];
              description = ''
                The disks whose boot sectors start GRUB with this folder. Without any, it is the disk
                that the folder is on.
              '';
            };
            efiSysMountPoint = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "/mirror/efi";
              description = ''
                Where the EFI system partition is mounted that gets GRUB for this folder. With `null` it is
                that of the disk that the folder is on, mounted or not.
              '';
            };
          };
        }
      );
      default = [ ];
      example = [ { path = "/mirror/boot"; } ];
      description = ''
        Further folders, each on another disk, that get the kernels, the menu and the state of the
        boot loader that {file}`/boot` gets, so that the machine boots from any of the disks. GRUB
        itself is written to the disks by {command}`cairn switch --install-bootloader`.
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

  options.system.build.grub = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "GRUB's packages, for what writes GRUB to a disk; `null` without GRUB.";
  };

  options.system.build.bootLoader = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "Where GRUB itself is to be; `null` without GRUB.";
  };

  config.system.build.grub =
    if cfg.enable then
      {
        inherit serial;
        tools = pkgs.grub-core;
        bios = pkgs.grub-core;
        uefi = pkgs.grub-core;
      }
      // lib.optionalAttrs cfg.secureBoot.enable {
        secureBoot = {
          shim = pkgs.shim-signed;
          helpers = pkgs.shim-helpers-amd64-signed;
          grub = pkgs.grub-core-signed;
        };
      }
    else
      null;

  config.system.build.bootLoader =
    if cfg.enable then
      {
        inherit (config.system.build) grub;
        uefi = cfg.efiSupport;
        uefiName = if cfg.efiInstallAsRemovable then "removable" else "own";
        firmwareEntry =
          if cfg.efiSupport && config.boot.loader.efi.canTouchEfiVariables then
            config.system.nixos.distroName
          else
            null;
        places = [
          {
            folder = "/boot";
            devices = cfg.devices ++ lib.optional (cfg.device != "") cfg.device;
            efiSystemPartition = config.boot.loader.efi.efiSysMountPoint;
          }
        ]
        ++ map (mirror: {
          folder = toString mirror.path;
          inherit (mirror) devices;
          efiSystemPartition = mirror.efiSysMountPoint;
        }) cfg.mirroredBoots;
      }
    else
      null;

  options.system.build.bootMenu = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "What the menu is written from, in `boot.json`; `null` without a menu.";
  };

  config.system.build.bootMenu =
    if cfg.enable then
      {
        inherit serial;
        inherit (config.boot.loader) timeout;
        trial = { inherit (config.boot.loader.trial) tries timeout; };
        inherit (cfg)
          default
          extraConfig
          extraEntries
          configurationLimit
          debugEntry
          ;
        name = config.system.nixos.distroName;
        kernelRelease = config.system.build.kernel.modDirVersion;
        factoryResetEntry = config.boot.factoryReset.menuEntry;
        extraEntriesFirst = cfg.extraEntriesBeforeNixOS;
        users = lib.mapAttrs (_: passwordOf) cfg.users;
        mirrors = map (mirror: toString mirror.path) cfg.mirroredBoots;
      }
      // lib.optionalAttrs cfg.memtest86.enable {
        memtest = {
          bios = "${memtest}/boot/memtest86+x64.bin";
          uefi = "${memtest}/boot/memtest86+x64.efi";
          inherit (cfg.memtest86) params;
        };
      }
    else
      null;

  config.assertions = lib.optionals cfg.enable [
    {
      assertion = lib.all (user: (user.hashedPassword == null) != (user.password == null)) (
        lib.attrValues cfg.users
      );
      message = "boot.loader.grub.users: each user has either hashedPassword or password.";
    }
    {
      assertion = lib.all (user: user.hashedPassword == null || lib.hasPrefix "grub.pbkdf2." user.hashedPassword) (
        lib.attrValues cfg.users
      );
      message = "boot.loader.grub.users: a hashedPassword begins with grub.pbkdf2.; grub-mkpasswd-pbkdf2 prints one.";
    }
    {
      assertion = lib.all (mirror: lib.hasSuffix "/boot" (toString mirror.path)) cfg.mirroredBoots;
      message = "boot.loader.grub.mirroredBoots: GRUB looks for /boot in the root of a file system; choose a path that ends in /boot.";
    }
    {
      assertion = cfg.efiInstallAsRemovable || config.boot.loader.efi.canTouchEfiVariables;
      message = ''
        boot.loader.grub.efiInstallAsRemovable is off: firmware then finds GRUB by an entry in its menu alone.
        Set boot.loader.efi.canTouchEfiVariables, so that it gets one.'';
    }
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
