# Swap space.
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
    mkIf
    mkOption
    types
    ;

  randomEncryption.options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether it is encrypted.";
    };
    cipher = mkOption {
      type = types.str;
      default = "aes-xts-plain64";
      example = "serpent-xts-plain64";
      description = "The cipher, by the kernel's name.";
    };
    keySize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 512;
      description = "Bits of the key; `cryptsetup` chooses if `null`.";
    };
    sectorSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 4096;
      description = "Bytes that are encrypted together.";
    };
    source = mkOption {
      type = types.str;
      default = "/dev/urandom";
      description = "Where the key is read from.";
    };
    allowDiscards = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a solid-state disk is told which blocks are free.";
    };
  };

  swapDevice =
    { config, ... }:
    {
      options = {
        device = mkOption {
          type = types.str;
          example = "/dev/sda3";
          description = "A block device, by path or as `LABEL=`, `UUID=` …; or the path of a file.";
        };
        label = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "swap";
          description = "The label of the swap space, in the place of its device.";
        };
        size = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 2048;
          description = ''
            Size in MiB of a swap file that is made at boot, and made anew if it has another size. A file
            system that copies on write, such as btrfs, refuses such a file.
          '';
        };
        priority = mkOption {
          type = types.nullOr (types.ints.between 0 32767);
          default = null;
          example = 10;
          description = ''
            Of several swap spaces, that of the highest priority is filled first, and those of the same
            take turns.
          '';
        };
        discardPolicy = mkOption {
          type = types.nullOr (
            types.enum [
              "once"
              "pages"
              "both"
            ]
          );
          default = null;
          description = ''
            Whether a solid-state disk is told what is free: all of it `once` when swapping begins,
            `pages` as they are freed, or `both`.
          '';
        };
        options = mkOption {
          type = types.listOf types.str;
          default = [ "defaults" ];
          example = [ "nofail" ];
          description = ''
            For {file}`/etc/fstab` alone. A boot goes on without a swap space that is missing in any case.
          '';
        };
        randomEncryption = mkOption {
          type = types.coercedTo types.bool (enable: { inherit enable; }) (types.submodule randomEncryption);
          default = false;
          example = true;
          description = ''
            Encryption with a key that is forgotten when the machine ends. What is on the device is lost at
            each boot: it must be one that `LABEL=` and `UUID=` do not name, and it is refused if it has a
            file system. A machine cannot sleep to such swap space.
          '';
        };
        deviceName = mkOption {
          type = types.str;
          internal = true;
          readOnly = true;
          description = "The encrypted device's name in {file}`/dev/mapper`.";
        };
        realDevice = mkOption {
          type = types.str;
          internal = true;
          readOnly = true;
          description = "What is swapped to.";
        };
      };
      config = {
        device = mkIf (config.label != null) (mkDefault "/dev/disk/by-label/${config.label}");
        deviceName = lib.replaceStrings [ "/" "=" ":" ] [ "-" "-" "-" ] (lib.removePrefix "/" config.device);
        realDevice =
          if config.randomEncryption.enable then "/dev/mapper/${config.deviceName}" else config.device;
      };
    };
in
{
  options.swapDevices = mkOption {
    type = types.listOf (types.submodule swapDevice);
    default = [ ];
    example = literalExpression ''[ { device = "/dev/sda3"; } { device = "/var/swap"; size = 1024; } ]'';
    description = ''
      Partitions and files to which the kernel may move memory that is not used. They are taken into
      use at boot, after the file systems are mounted.
    '';
  };

  config = {
    assertions =
      map (swap: {
        assertion =
          swap.randomEncryption.enable
          -> lib.hasPrefix "/dev/" swap.device && !(lib.hasPrefix "/dev/disk/by-label/" swap.device || lib.hasPrefix "/dev/disk/by-uuid/" swap.device);
        message = "swapDevices: randomEncryption of '${swap.device}' leaves no label and no UUID on it, and needs a device; name it by PARTLABEL, PARTUUID or its path.";
      }) config.swapDevices
      ++ map (swap: {
        assertion =
          swap.size == null || (lib.hasPrefix "/" swap.device && !(lib.hasPrefix "/dev/" swap.device));
        message = "swapDevices: '${swap.device}' has a size, and is no file; leave out its size.";
      }) config.swapDevices
      ++ map (swap: {
        assertion =
          swap.randomEncryption.enable
          -> !(lib.elem config.boot.resumeDevice [
            swap.device
            swap.realDevice
          ]);
        message = "boot.resumeDevice: nothing can be resumed from '${swap.device}', whose key is forgotten when the machine is off; name swap space without randomEncryption, such as a volume of LVM in an encrypted device.";
      }) config.swapDevices;

    system.description.swapDevices = map (
      swap:
      {
        device = swap.realDevice;
      }
      // lib.optionalAttrs swap.randomEncryption.enable {
        randomEncryption = {
          inherit (swap) device;
          inherit (swap.randomEncryption) cipher source allowDiscards;
          name = swap.deviceName;
          program = "${pkgs.cryptsetup}/bin/cryptsetup";
        }
        // lib.optionalAttrs (swap.randomEncryption.keySize != null) {
          keyBits = swap.randomEncryption.keySize;
        }
        // lib.optionalAttrs (swap.randomEncryption.sectorSize != null) {
          sectorBytes = swap.randomEncryption.sectorSize;
        };
      }
      // lib.optionalAttrs (swap.size != null) { sizeMib = swap.size; }
      // lib.optionalAttrs (swap.priority != null) { inherit (swap) priority; }
      // lib.optionalAttrs (swap.discardPolicy != null) { discard = swap.discardPolicy; }
    ) config.swapDevices;
  };
}
