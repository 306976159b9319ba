# What a module says about itself, for the option reference alone.
{ lib, ... }:
{
  options.meta = lib.mkOption {
    type = lib.types.attrsOf lib.types.raw;
    default = { };
    internal = true;
    description = ''
      Notes of modules about themselves, such as their maintainers. They do nothing.
    '';
  };
}
