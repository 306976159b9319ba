# The same machine in a virtual machine: `cairn vm`.
{
  config,
  lib,
  extendModules,
  ...
}:
let
  variant = extendModules { modules = [ ./vm.nix ]; };
in
{
  options = {
    virtualisation.vmVariant = lib.mkOption {
      inherit (variant) type;
      default = { };
      visible = "shallow";
      example = lib.literalExpression ''
        {
          virtualisation.memorySize = 2048;
          services.getty.autologinUser = "root";
        }
      '';
      description = ''
        What the machine has in addition when `cairn vm` runs it. It can set everything that a
        configuration can, and the options of the virtual machine itself, `virtualisation.memorySize`
        and so on.
      '';
    };

    system.build.vm = lib.mkOption {
      type = lib.types.raw;
      internal = true;
      readOnly = true;
      description = "The toplevel of the machine as a virtual one, and what QEMU is to be told.";
    };
  };

  config.system.build.vm = {
    toplevel = config.virtualisation.vmVariant.system.build.toplevel;
    facts = config.virtualisation.vmVariant.system.build.vmFacts;
  };
}
