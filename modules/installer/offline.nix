# What a machine can be installed from without a network: everything that its system is made of, and
# that the last steps of its build need, is on the medium. What differs from machine to machine (the
# initrd, texts, the toplevel) is built there, by `cairn` itself.
{
  config,
  lib,
  noUserModules,
  pkgs,
  ...
}:
let
  machine = noUserModules.extendModules { modules = [ ./machine.nix ]; };
  build = machine.config.system.build;

  # Of a derivation that is not built here, what it is built from.
  parts = derivation: removeAttrs derivation.drvAttrs [ "initrd" ];
in
{
  # A text that names all of it has it in its closure.
  isoImage.storeContents = [
    (pkgs.writeText "parts-of-a-machine" (
      builtins.toJSON {
        toplevel = parts build.toplevel;
        initrd = parts build.initrd;
        locales = parts machine.config.i18n.glibcLocales;
        inherit (build) imageFacts;
      }
    ))
  ];

  # What the dialogue offers.
  environment.etc = {
    "cairn/keymaps".source = "${pkgs.console-data}/share/keymaps";
    "cairn/locales".source = "${pkgs.locales}/share/i18n/SUPPORTED";
  };
  # The time zones.
  time.timeZone = lib.mkOverride 900 "UTC";
  # Sets the keyboard while it is asked for.
  environment.systemPackages = [ pkgs.kbd ];

  services.getty.helpLine = lib.mkDefault ''
    `cairn install` puts ${config.system.nixos.distroName} on a disk of this machine: it asks, shows its plan, and writes nothing before
    you agree. `cairn generate-config --root DIR` helps those who partition by hand.
  '';
}
