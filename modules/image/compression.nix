# How a live system is compressed: an option in the words of `mksquashfs`, and the level that they mean.
{ lib }:
{
  option =
    description:
    lib.mkOption {
      type = lib.types.strMatching "zstd( -Xcompression-level [0-9]+)?";
      default = "zstd -Xcompression-level 3";
      example = "zstd -Xcompression-level 19";
      inherit description;
    };

  level =
    text:
    let
      level = builtins.match ".*level ([0-9]+)" text;
    in
    if level == null then 3 else lib.toInt (lib.head level);
}
