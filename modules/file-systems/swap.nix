# Swap space.
{ config, lib, ... }:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkIf
    mkOption
    types
    ;

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
          type = types.bool;
          default = false;
          description = "Encryption with a key of the moment. It is not supported yet.";
        };
      };
      config.device = mkIf (config.label != null) (mkDefault "/dev/disk/by-label/${config.label}");
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
        assertion = !swap.randomEncryption;
        message = "swapDevices: randomEncryption of '${swap.device}' is not supported yet.";
      }) config.swapDevices
      ++ map (swap: {
        assertion =
          swap.size == null || (lib.hasPrefix "/" swap.device && !(lib.hasPrefix "/dev/" swap.device));
        message = "swapDevices: '${swap.device}' has a size, and is no file; leave out its size.";
      }) config.swapDevices;

    system.description.swapDevices = map (
      swap:
      {
        inherit (swap) device;
      }
      // lib.optionalAttrs (swap.size != null) { sizeMib = swap.size; }
      // lib.optionalAttrs (swap.priority != null) { inherit (swap) priority; }
      // lib.optionalAttrs (swap.discardPolicy != null) { discard = swap.discardPolicy; }
    ) config.swapDevices;
  };
}
