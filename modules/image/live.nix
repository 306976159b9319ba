# What a live medium has otherwise than the machine that is described: its root is a squashfs, under a
# layer that takes what is written.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkImageMediaOverride mkOption types;
  cfg = config.isoImage;
  nixos = config.system.nixos;

  level = builtins.match ".*level ([0-9]+)" cfg.squashfsCompression;
in
{
  options.system.build.isoFacts = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "What the image's writer reads.";
  };

  config = {
    # Stage 1 knows this name.
    fileSystems = mkImageMediaOverride {
      "/" = {
        device = "live-medium";
        fsType = "overlay";
      };
    };
    swapDevices = mkImageMediaOverride [ ];
    boot.growPartition = mkImageMediaOverride false;

    # Whatever machine the medium is put into. The kernels for clouds know neither discs nor sticks.
    boot.kernelPackages = mkImageMediaOverride pkgs.linuxPackages;
    boot.initrd.hardware = mkImageMediaOverride "any";
    boot.initrd.supportedFilesystems = {
      squashfs = true;
      overlay = true;
      ext4 = true;
      vfat = true;
      exfat = true;
      iso9660 = true;
    };
    boot.initrd.availableKernelModules = [ "loop" ];
    # Discs and sticks can be slow to come.
    # What stage 1 says of the medium is seen.
    boot.consoleLogLevel = lib.mkOverride 900 6;
    boot.initrd.deviceTimeoutSeconds = lib.mkOverride 900 60;
    boot.loader.grub.enable = mkImageMediaOverride true;

    boot.kernelParams = lib.optional (
      cfg.persistenceLabel != null
    ) "cairn.persistence=${cfg.persistenceLabel}";

    system.build.isoFacts = {
      hostName = config.networking.hostName;
      label = cfg.volumeID;
      title = "${cfg.prependToMenuLabel}${nixos.distroName} ${nixos.release}${cfg.appendToMenuLabel}";
      compressionLevel = if level == null then 3 else lib.toInt (lib.head level);
      uefi = cfg.makeEfiBootable;
      contents = map toString cfg.storeContents;
      inherit (config.system.build) grub;
    };
  };
}
