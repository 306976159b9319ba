# The machine as a live medium, a disc or a stick: `cairn image iso`.
{ config, lib, ... }:
let
  inherit (lib) mkImageMediaOverride mkOption types;
  cfg = config.isoImage;
  nixos = config.system.nixos;
  compression = import ./compression.nix { inherit lib; };
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
    # Whatever machine it is: most start with Secure Boot on.
    boot.loader.grub.secureBoot.enable = lib.mkOverride 900 cfg.makeEfiBootable;

    system.build.isoFacts = {
      hostName = config.networking.hostName;
      label = cfg.volumeID;
      title = "${cfg.prependToMenuLabel}${nixos.distroName} ${nixos.release}${cfg.appendToMenuLabel}";
      compressionLevel = compression.level cfg.squashfsCompression;
      uefi = cfg.makeEfiBootable;
      contents = map toString cfg.storeContents;
      files = map (placed: {
        source = "${placed.source}";
        inherit (placed) target;
      }) cfg.contents;
      inherit (config.system.build) grub;
    };
  };
}
