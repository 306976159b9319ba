# A system in a container: it shares the host's kernel, so it has none of its own, no initrd and no boot
# loader.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkIf mkImageMediaOverride mkOption types;
in
{
  options = {
    boot.isContainer = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the system is for a container, which shares the kernel of its host. It then has no
        kernel, initrd and boot loader, mounts no devices, loads no modules, and lets people log in on
        the container's console alone. `cairn image tarball` makes the file system of one.
      '';
    };

    image.tarballCompression = mkOption {
      type = types.enum [
        "none"
        "gzip"
        "xz"
        "zstd"
      ];
      default = "zstd";
      description = "How the archive that `cairn image tarball` makes is compressed.";
    };

    system.build.treeFacts = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What the writer of tarballs reads.";
    };
  };

  config = lib.mkMerge [
    {
      system.build.treeFacts = {
        hostName = config.networking.hostName;
        compression = config.image.tarballCompression;
      };
    }
    (mkIf config.boot.isContainer {
      boot.loader.grub.enable = mkImageMediaOverride false;
      boot.growPartition = mkImageMediaOverride false;
      boot.consoles = mkImageMediaOverride [ "console" ];
      fileSystems = mkImageMediaOverride { };
      swapDevices = mkImageMediaOverride [ ];
    })
  ];
}
