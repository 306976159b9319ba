# What `cairn image disk` has to know beside the system itself.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  inherit (config.boot.loader) grub;
  devices = grub.devices ++ lib.optional (grub.device != "") grub.device;
in
{
  options = {
    image.freeSpace = mkOption {
      type = types.ints.positive;
      default = 1024;
      example = 8192;
      description = ''
        MiB that the root file system of an image has left. The image itself does not grow by them:
        they are holes in its file.
      '';
    };

    image.bootFreeSpace = mkOption {
      type = types.ints.positive;
      default = 512;
      example = 256;
      description = ''
        MiB that {file}`/boot` of an image has left for the kernels of further generations, if
        {option}`fileSystems` gives it a partition of its own.
      '';
    };

    image.swapSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 2048;
      description = ''
        MiB of the swap partition of an image, which is the first of {option}`swapDevices` that is no
        file. `null` makes none.
      '';
    };

    image.size = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 7600;
      description = ''
        MiB of the whole disk image, for a card or a volume of a known size. The root file system takes what
        the other partitions leave. It keeps at least {option}`image.freeSpace` MiB free, or the image
        is refused with the size that would do. With `null`, the image is as small as it can be.
      '';
    };

    image.sectorSize = mkOption {
      type = types.enum [
        512
        4096
      ];
      default = 512;
      description = ''
        Bytes of a logical sector of the disk that an image is written to. Nearly every disk shows 512,
        whatever it has inside. One that shows 4096 (`lsblk -o NAME,LOG-SEC`) needs an image made for
        it, which boots by UEFI alone: no BIOS boots from such a disk.
      '';
    };

    system.build.imageFacts = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What the image's writer reads.";
    };
  };

  config.system.build.imageFacts =
    lib.throwIf (config.boot.secureBoot.privateKeyFile != null && !config.image.verityStore.enable)
      ''
        boot.secureBoot.privateKeyFile: nothing but a disk with a verified store is signed by a key of your own.
        Set image.verityStore.enable, or boot.loader.grub.secureBoot.enable in its place.''
      {
        hostName = config.networking.hostName;
        inherit (config.image)
          bootFreeSpace
          freeSpace
          sectorSize
          size
          swapSize
          ;
        swapDevices = map (swap: swap.device) config.swapDevices;
        fileSystems = lib.listToAttrs (
          map (
            { description, ... }:
            lib.nameValuePair description.mountPoint { inherit (description) device fsType options; }
          ) config.system.build.fileSystems
        );
        bios = devices == [ ] || lib.any (device: device != "nodev") devices;
        uefi = grub.efiSupport;
        inherit (config.system.build) grub verityStore;
      };
}
