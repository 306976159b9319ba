# The package set: `pkgs`.
#
# `packages` is the file packages.json that cairn makes of the lock file: which Debian packages
# become one store object together, against what, and what they are made of. Nothing of it is
# looked at before a package is asked for by name.
#
# `programs` has the store paths of cairn's own programs by name.
{
  packages,
  programs ? { },
  lib ? import ../lib,
  overlays ? [ ],
  config ? { },
}:
let
  facts = builtins.fromJSON (builtins.readFile packages);

  layers = [
    (_: _: {
      inherit lib config overlays;
      cairnFacts = {
        inherit packages programs;
        # Nothing is locked before the first evaluation of a new configuration.
        codename = if facts.codename or null == null then "stable" else facts.codename;
      };
    })
    (import ./archive.nix { inherit facts; })
    (import ./builders.nix { inherit facts programs; })
    (import ./aliases.nix)
    (import ./kernels.nix { inherit facts; })
    (import ./writers.nix)
    (import ./fetchers.nix)
    (import ./stdenv)
    (import ./trivial.nix)
    (import ./wrapped.nix)
    (import ./reduced.nix)
    (import ./formats.nix { inherit lib; })
    (import ./fhs.nix)
    (import ./call-package.nix)
  ]
  ++ overlays;

  # Each layer sees the finished set, and what lies below it.
  pkgs = builtins.foldl' (below: layer: below // layer pkgs below) { } layers;
in
if facts.format == 1 then
  pkgs
else
  throw "packages.json has format ${toString facts.format}, but these modules know format 1"
