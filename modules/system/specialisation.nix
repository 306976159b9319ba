# Variants of a system that share its generation, each with its own entry in the boot menu.
{
  config,
  lib,
  extendModules,
  noUserModules,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;

  # A variant has no variants of its own.
  alone = {
    _file = "<specialisation>";
    specialisation = lib.mkOverride 0 { };
  };

  specialisation =
    { name, config, ... }:
    {
      options = {
        inheritParentConfig = mkOption {
          type = types.bool;
          default = true;
          description = ''
            Whether the variant is this configuration with changes, or a whole one by itself.
          '';
        };
        configuration = mkOption {
          type = types.deferredModule;
          default = { };
          description = ''
            What is different in the variant: a module. `lib.mkForce` replaces what the configuration
            says.
          '';
        };
        toplevel = mkOption {
          type = types.raw;
          internal = true;
          readOnly = true;
          description = "The variant as a system.";
        };
      };
      config.toplevel =
        let
          extend = if config.inheritParentConfig then extendModules else noUserModules.extendModules;
          variant = extend {
            modules = [
              alone
              config.configuration
              { system.nixos.tags = lib.mkIf config.inheritParentConfig [ name ]; }
            ];
          };
        in
        variant.config.system.build.toplevel;
    };
in
{
  options.specialisation = mkOption {
    type = types.attrsOf (types.submodule specialisation);
    default = { };
    example = literalExpression ''
      {
        debug.configuration = {
          boot.consoleLogLevel = lib.mkForce 7;
        };
      }
    '';
    description = ''
      Variants of the system, by name. Each has its own entry in the boot menu, and lies in
      {file}`specialisation/` of the system.
    '';
  };

  config.assertions = lib.mapAttrsToList (name: _: {
    assertion = builtins.match "[a-zA-Z0-9_.-]+" name != null && name != "." && name != "..";
    message = "specialisation: '${name}' is no name; a-z A-Z 0-9 _ . - are allowed.";
  }) config.specialisation;
}
