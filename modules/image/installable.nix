# Systems that a live medium can install without a network: the medium has what they consist of, and what
# those parts are built from that are different on every machine.
{
  config,
  lib,
  pkgs,
  noUserModules,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;

  parts =
    module:
    let
      inherit (noUserModules.extendModules { modules = [ module ]; }) config;
      inherit (config.system) build;
    in
    {
      # They are the same on all machines of the kind.
      inherit (build)
        description
        etc
        firmware
        kernel
        kernelModules
        systemPath
        ;
      inputs = map (part: part.inputs) [
        build.etc
        build.firmware
        build.initrd
        build.kernelModules
        build.systemPath
      ];
      grub = lib.optionals (build.grub != null) [
        build.grub.tools
        build.grub.bios
        build.grub.uefi
      ];
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

  config.isoImage.storeContents = lib.imap1 (
    number: module:
    pkgs.writeText "installable-${toString number}" (builtins.toJSON (parts module))
  ) config.isoImage.installable;
}
