# A timer unit of systemd's.
#
# Source: systemd.timer(5).
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  inherit (values)
    boolean
    last
    list
    milliseconds
    ;

  ignored = [
    "AccuracySec"
    "RemainAfterElapse"
    "Unit"
    # A time that comes while the service runs is left out in any case.
    "DeferReactivation"
  ]
  ++ lib.attrNames missed;
  # What changes nothing although somebody may miss it.
  missed = {
    RandomizedOffsetSec = "times are not put off; RandomizedDelaySec does that";
    WakeSystem = "a machine that sleeps is not woken";
  };
  spans = {
    OnBootSec = "afterBootMs";
    # Of a user, the supervisor and with it the timers are started later.
    OnStartupSec = if scope == "user" then "afterActiveMs" else "afterBootMs";
    OnActiveSec = "afterActiveMs";
    OnUnitActiveSec = "afterStartMs";
    OnUnitInactiveSec = "afterStopMs";
  };
  known =
    ignored
    ++ lib.attrNames spans
    ++ [
      "OnCalendar"
      "OnClockChange"
      "OnTimezoneChange"
      "Persistent"
      "RandomizedDelaySec"
      "FixedRandomDelay"
    ];
  setKeys = lib.filterAttrs (_: value: value != null);
in
{
  __functor =
    _: name: config:
    let
      where = key: "systemd.timers.${name}.timerConfig.${key}";
      span = key: map (milliseconds (where key)) (list (config.${key} or null));
      byField = lib.foldAttrs (times: all: times ++ all) [ ] (
        lib.mapAttrsToList (key: field: { ${field} = span key; }) spans
      );
    in
    lib.filterAttrs (_: value: value != [ ] && value != false && value != 0) (
      byField
      // {
        calendar = map toString (list (config.OnCalendar or null));
        clockChange = boolean (where "OnClockChange") (last (config.OnClockChange or false));
        zoneChange = boolean (where "OnTimezoneChange") (last (config.OnTimezoneChange or false));
        persistent = boolean (where "Persistent") (last (config.Persistent or false));
        fixedDelay = boolean (where "FixedRandomDelay") (last (config.FixedRandomDelay or false));
        randomDelayMs = milliseconds (where "RandomizedDelaySec") (last (config.RandomizedDelaySec or 0));
      }
    );

  missed =
    config:
    lib.mapAttrs (key: _: missed.${key}) (
      lib.filterAttrs (
        key: value:
        missed ? ${key}
        && !(lib.elem (lib.toLower (toString (last value))) [
          ""
          "0"
          "no"
          "false"
          "off"
        ])
      ) (setKeys config)
    );

  problems =
    name: config:
    map (key: {
      assertion = false;
      message = "systemd.timers.${name}.timerConfig.${key} is no key that is supported; known are ${lib.concatStringsSep ", " known}";
    }) (lib.filter (key: !(lib.elem key known)) (lib.attrNames (setKeys config)));
}
