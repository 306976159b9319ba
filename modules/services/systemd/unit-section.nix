# `unitConfig`: the section `Unit`, of units of any kind.
#
# Source: systemd.unit(5), "[Unit] Section Options".
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  conditions = import ./conditions.nix { inherit lib scope; };

  # What happens to the machine.
  actions = {
    FailureAction = "failureAction";
    SuccessAction = "successAction";
    StartLimitAction = "startLimitAction";
  };

  startLimits = [
    "StartLimitBurst"
    "StartLimitIntervalSec"
    "StartLimitInterval"
  ];

  # Keys that have options of their own, and what those are called.
  moved = {
    After = "after";
    Before = "before";
    Requires = "requires";
    Requisite = "requisite";
    Wants = "wants";
    BindsTo = "bindsTo";
    PartOf = "partOf";
    Upholds = "upholds";
    OnFailure = "onFailure";
    OnSuccess = "onSuccess";
    Conflicts = "conflicts";
    Description = "description";
    X-ReloadIfChanged = "reloadIfChanged";
    X-RestartIfChanged = "restartIfChanged";
    X-StopIfChanged = "stopIfChanged";
    X-Restart-Triggers = "restartTriggers";
    X-Reload-Triggers = "reloadTriggers";
  };

  # What is so in any case, or is about what is not there.
  ignored = [
    "DefaultDependencies"
    "Documentation"
    "RequiresMountsFor"
    "WantsMountsFor"
    "CollectMode"
    "IgnoreOnIsolate"
    "SourcePath"
    "X-StopOnRemoval"
    "X-StopOnReconfiguration"
    "X-OnlyManualStart"
  ];

  # What changes nothing although somebody may miss it, unless it is said to be so.
  missed = {
    JobTimeoutSec = "its start waits for what it needs as long as that takes; TimeoutStartSec bounds the rest";
    JobRunningTimeoutSec = "TimeoutStartSec bounds its start";
  };

  # Keys without which a unit would do something else, with a way out.
  refused = {
    PropagatesStopTo = "name this unit in the other one's partOf, which passes restarts on, too";
    StopPropagatedFrom = "name the other unit in partOf, which passes restarts on, too";
    PropagatesReloadTo = "have the other unit's reloadTriggers name what both read";
    ReloadPropagatedFrom = "have reloadTriggers name what both read";
    FailureActionExitStatus = "a machine ends with no status";
    SuccessActionExitStatus = "a machine ends with no status";
    OnFailureJobMode = "those that are to be told are started, and nothing is stopped for them";
    OnSuccessJobMode = "those that are to be told are started, and nothing is stopped for them";
    JobTimeoutAction = "use FailureAction";
    AllowIsolate = "there are no targets to be isolated";
  };

  setKeys = lib.filterAttrs (_: value: value != null);

  # The keys that a unit of this kind may have.
  keysOf =
    kind:
    ignored
    ++ lib.attrNames missed
    ++ [
      "SurviveFinalKillSignal"
      "StopWhenUnneeded"
      "RefuseManualStart"
      "RefuseManualStop"
    ]
    ++ startLimits
    ++ lib.optionals (kind != "target" && kind != "timer") (lib.attrNames (conditions.keys // actions))
    ++ lib.optional (kind == "service" && scope == "system") "JoinsNamespaceOf";

  near =
    key: known:
    let
      found = lib.take 3 (lib.diagnostics.nearest key known);
    in
    lib.optionalString (found != [ ]) "; did you mean ${lib.concatStringsSep " or " found}?";
in
{
  # What is wrong with it, as assertions.
  problems =
    {
      kind,
      option,
      unitConfig,
    }:
    let
      config = setKeys unitConfig;
      known = keysOf kind;
      fail = key: text: [
        {
          assertion = false;
          message = "${option}.unitConfig.${key}${text}";
        }
      ];
      starts = {
        target = "what it wants";
        timer = "its service";
      };
      problem =
        key:
        if actions ? ${key} && lib.hasSuffix "-immediate" (toString config.${key}) then
          fail key ": it would lose what is not on the disk yet; use ${lib.removeSuffix "-immediate" (toString config.${key})}-force"
        else if lib.elem key known then
          [ ]
        else if conditions.keys ? ${key} || actions ? ${key} then
          fail key " is not supported: set it for ${starts.${kind}}"
        else if (conditions.refused // refused) ? ${key} then
          fail key " is not supported: ${(conditions.refused // refused).${key}}"
        else if moved ? ${key} then
          fail key ": set ${option}.${moved.${key}} instead"
        else
          fail key " is no key that is supported${near key known}";
    in
    lib.concatMap problem (lib.attrNames config);

  # What somebody should know of it: keys that change nothing, and why.
  missed =
    unitConfig:
    let
      matters =
        key: value:
        missed ? ${key}
        && !(lib.elem (lib.toLower (toString value)) [
          ""
          "0"
          "no"
          "false"
          "off"
          "infinity"
        ]);
    in
    lib.mapAttrs (key: _: missed.${key}) (lib.filterAttrs matters (setKeys unitConfig));

  # One warning of all these keys that change nothing, or none.
  warning =
    option: missed:
    lib.optional (missed != { }) "${option}: ${
      lib.concatStringsSep ", and " (
        lib.mapAttrsToList (key: why: "${key} is without effect (${why})") missed
      )
    }.";

  # Definitions of a portable service, to be merged.
  translate =
    { option, name, unitConfig }:
    [
      { conditions = conditions.translate option name conditions.keys unitConfig; }
      (lib.mapAttrs' (
        key: field:
        let
          action = unitConfig.${key} or null;
          # What is refused is no second error.
          isRefused = lib.hasSuffix "-immediate" (toString action);
        in
        lib.nameValuePair field (lib.mkIf (action != null && action != "none" && !isRefused) action)
      ) actions)
    ];
}
