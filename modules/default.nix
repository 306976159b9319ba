# The way in: a configuration and a package set to a system.
#
#   configuration  a path or a module: what a user writes
#   packages       the pinned package set that `cairn` has made of the lock file
#   programs       name -> store path of Cairn's own programs
#   specialArgs    further arguments of every module
{
  configuration,
  packages,
  programs ? { },
  lib ? import ./lib,
  specialArgs ? { },
}:
let
  packageSet =
    { config, ... }:
    {
      _file = ./default.nix;
      nixpkgs.pkgs = lib.mkDefault (
        import ./packages {
          inherit lib packages programs;
          inherit (config.nixpkgs) config overlays;
        }
      );
    };

  # What every evaluation begins with.
  base = import ./all.nix ++ [ packageSet ];

  evaluate =
    modules:
    lib.evalModules {
      inherit modules;
      specialArgs = {
        inherit noUserModules;
        # A string, as a path in a string would be copied to another place.
        modulesPath = toString ./.;
      }
      // specialArgs;
    };

  # The same machine without anything that the user has said: where specialisations begin that
  # inherit nothing.
  noUserModules = evaluate base;

  machine = evaluate (base ++ [ configuration ]);
in
{
  inherit lib;
  inherit (machine) config options;
  inherit (machine.config.nixpkgs) pkgs;
  system = machine.config.system.build.toplevel;
  # What two configurations are compared by.
  optionValues = import ./option-values.nix {
    inherit lib;
    inherit (machine) options;
  };
}
