# Systems that a live medium can install without a network: everything that they are made of, and that the
# last steps of their build need, is on the medium. What differs from machine to machine (the initrd, texts,
# the toplevel) is built there, by `cairn` itself.
{
  config,
  lib,
  pkgs,
  noUserModules,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  inherit (config.boot.loader.grub) secureBoot;

  # Of a derivation that is not built here, what it is built from.
  inputs = derivation: removeAttrs derivation.drvAttrs [ "initrd" ];

  parts =
    module:
    let
      machine = noUserModules.extendModules {
        modules = [
          module
          # Where the medium starts under Secure Boot, so does what it installs.
          { boot.loader.grub.secureBoot.enable = lib.mkOverride 900 secureBoot.enable; }
        ];
      };
      inherit (machine.config.system) build;
    in
    {
      toplevel = inputs build.toplevel;
      initrd = inputs build.initrd;
      locales = inputs machine.config.i18n.glibcLocales;
      inherit (build) bootLoader;
    };
in
{
  options.isoImage.installable = mkOption {
    type = types.listOf types.deferredModule;
    default = [ ];
    example = literalExpression ''
      [
        {
          fileSystems."/" = { device = "LABEL=cairn-root"; fsType = "ext4"; };
          services.openssh.enable = true;
        }
      ]
    '';
    description = ''
      Configurations like those that {command}`cairn install` is to install from the live medium without
      a network. The medium has what they need, and no more than that: what is only in one that is
      installed has to be fetched.
    '';
  };

  # A text that names all of it has it in its closure.
  config.isoImage.storeContents = map (
    module: pkgs.writeText "parts-of-a-machine" (builtins.toJSON (parts module))
  ) config.isoImage.installable;
}
