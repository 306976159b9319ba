# Fields of a service, by the kinds that recur.
{ lib }:
let
  inherit (lib) mkOption types;
in
{
  nullable =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  list =
    type: description:
    mkOption {
      type = types.listOf type;
      default = [ ];
      inherit description;
    };
  flag =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
}
