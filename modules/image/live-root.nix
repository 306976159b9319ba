# What a live system has otherwise than the machine that is described: its root is a squashfs, under a
# layer that takes what is written, and the machine that it runs on may be any.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkImageMediaOverride;
  cfg = config.isoImage;
in
{
  # Stage 1 knows this name.
  fileSystems = mkImageMediaOverride {
    "/" = {
      device = "live-medium";
      fsType = "overlay";
    };
  };
  swapDevices = mkImageMediaOverride [ ];
  image.verityStore.enable = mkImageMediaOverride false;
  boot.growPartition = mkImageMediaOverride false;

  # Whatever machine it is. The kernels for clouds know neither discs nor sticks.
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
  # What stage 1 says of the medium is seen.
  boot.consoleLogLevel = lib.mkOverride 900 6;
  # Discs and sticks can be slow to come.
  boot.initrd.deviceTimeoutSeconds = lib.mkOverride 900 60;

  boot.kernelParams = lib.optional (
    cfg.persistenceLabel != null
  ) "cairn.persistence=${cfg.persistenceLabel}";
}
