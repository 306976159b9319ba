# What must hold of a configuration, and what its author should know.
{ lib, ... }:
let
  inherit (lib) literalExpression mkOption types;
in
{
  options = {
    assertions = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      internal = true;
      example = literalExpression ''[ { assertion = false; message = "you can't enable this for that reason"; } ]'';
      description = ''
        Conditions that the configuration must fulfil; the message of each that it does not fulfil is
        shown, and nothing is built.
      '';
    };

    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      example = [ "The option `foo` will be removed." ];
      description = ''
        What is shown whenever the configuration is evaluated, without stopping anything.
      '';
    };
  };
}
