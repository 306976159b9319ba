# What a system that comes over the network is like: `cairn image netboot`.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  compression = import ./compression.nix { inherit lib; };
in
{
  options = {
    netboot.squashfsCompression = compression.option ''
      How the system in the initrd is compressed: zstd, with a level from 1 to 22.
    '';

    netboot.storeContents = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.gdb ]";
      description = ''
        Packages whose objects are in the initrd beside those of the system, without being part of it.
      '';
    };
  };
}
