# What socket and path units have in common as portable services: they start another one, and are not
# started again themselves.
{
  lib,
  scope ? "system",
}:
let
  inherit (import ./values.nix { inherit lib scope; }) integer last milliseconds;
in
{
  # `where` names a key in messages; `burst` is how often it starts something, if it does not say so itself.
  activator =
    {
      kind,
      unit,
      config,
      where,
      burst,
    }:
    let
      intervalMs = milliseconds (where "TriggerLimitIntervalSec") (last (config.TriggerLimitIntervalSec or "2s"));
      limit = integer (where "TriggerLimitBurst") (last (config.TriggerLimitBurst or burst));
    in
    {
      inherit kind;
      restart.policy = "never";
      restart.limit = lib.mkIf (limit != 0 && intervalMs != null && intervalMs != 0) {
        burst = limit;
        inherit intervalMs;
      };
      stopIfChanged = false;
      description = lib.mkIf (unit.description != "") unit.description;
    };
}
