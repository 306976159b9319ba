# The machine as a live medium, a disc or a stick: `cairn image iso`.
{ config, lib, ... }:
let
  inherit (lib) mkImageMediaOverride mkOption types;
  cfg = config.isoImage;
  nixos = config.system.nixos;

  level = builtins.match ".*level ([0-9]+)" cfg.squashfsCompression;
in
{
  imports = [ ./live-root.nix ];

  options.system.build.isoFacts = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "What the image's writer reads.";
  };

  config = {
    boot.loader.grub.enable = mkImageMediaOverride true;

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
