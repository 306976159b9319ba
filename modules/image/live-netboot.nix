# The machine as a live system that comes over the network: `cairn image netboot`.
{ config, lib, ... }:
let
  inherit (lib) mkImageMediaOverride mkOption types;
  cfg = config.netboot;
  compression = import ./compression.nix { inherit lib; };
in
{
  imports = [ ./live-root.nix ];

  options.system.build.netbootFacts = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "What the image's writer reads.";
  };

  config = {
    # The firmware's network boot takes its place.
    boot.loader.grub.enable = mkImageMediaOverride false;

    system.build.netbootFacts = {
      hostName = config.networking.hostName;
      compressionLevel = compression.level cfg.squashfsCompression;
      contents = map toString cfg.storeContents;
    };
  };
}
