# What `cairn image disk` has to know beside the system itself.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
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

    system.build.imageFacts = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What the image's writer reads.";
    };
  };

  config.system.build.imageFacts = {
    hostName = config.networking.hostName;
    freeSpace = config.image.freeSpace;
    fileSystems = lib.listToAttrs (
      map (
        { description, ... }:
        lib.nameValuePair description.mountPoint { inherit (description) device fsType options; }
      ) config.system.build.fileSystems
    );
    inherit (config.system.build) grub;
  };
}
