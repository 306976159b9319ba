# A service unit of systemd's as a portable service.
{
  lib,
  pkgs,
  scope ? "system",
  # Variables of all units.
  globalEnvironment ? { },
}:
let
  inherit (lib) optional optionalAttrs;
  values = import ./values.nix { inherit lib scope; };
  words = import ./words.nix { inherit lib; };
  keys = import ./service-config.nix { inherit lib scope; };
  targets = import ./targets.nix { inherit lib; };

  section = import ./unit-section.nix { inherit lib scope; };

  units = if scope == "user" then "systemd.user.services" else "systemd.services";

  suggest =
    key: known:
    let
      near = lib.take 3 (lib.diagnostics.nearest key known);
    in
    lib.optionalString (near != [ ]) "; did you mean ${lib.concatStringsSep " or " near}?";

  setKeys = lib.filterAttrs (_: value: value != null);

  isConfined = unit: unit.confinement.enable or false;
  # What a confined unit's keys are if it says nothing else.
  confining =
    unit:
    lib.optionalAttrs (isConfined unit) (
      lib.optionalAttrs (unit.confinement.mode == "full-apivfs") (
        lib.genAttrs [
          "MountAPIVFS"
          "PrivateDevices"
          "PrivateTmp"
          "PrivateUsers"
          "ProtectControlGroups"
          "ProtectKernelModules"
          "ProtectKernelTunables"
        ] (_: true)
      )
      // setKeys unit.serviceConfig
      // {
        TemporaryFileSystem = [ "/:ro" ] ++ values.list (unit.serviceConfig.TemporaryFileSystem or null);
      }
    );

  # What the keys of a unit with a dynamic user are, whatever it says: its author counts on it, although the user stays.
  enclosing =
    name: unit:
    optionalAttrs (scope == "system" && dynamicUser name unit != null) (
      {
        NoNewPrivileges = true;
        PrivateTmp = true;
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictSUIDSGID = true;
      }
      // optionalAttrs (
        lib.elem (toString (values.last (unit.serviceConfig.ProtectHome or null))) [
          ""
          "0"
          "no"
          "false"
          "off"
        ]
      ) { ProtectHome = "read-only"; }
    );

  # Whether the unit asks for a user of its own that nobody has described.
  dynamicUser =
    name: unit:
    if
      values.boolean "${units}.${name}.serviceConfig.DynamicUser" (
        unit.serviceConfig.DynamicUser or false
      )
    then
      toString (unit.serviceConfig.User or (lib.head (lib.splitString "@" name)))
    else
      null;

  # A command of ours that a text of the configuration becomes.
  script = name: part: text: [
    "${pkgs.writeShellScript "unit-script-${lib.replaceStrings [ "@" ":" "\\" ] [ "-" "-" "-" ] name}-${part}" "set -e\n${text}"}"
  ];
in
rec {
  inherit dynamicUser;

  # The commands of its `ExecStart`.
  startsOf =
    name: config:
    keys.commands {
      inherit name config;
      where = "${units}.${name}.serviceConfig.ExecStart";
    } (config.ExecStart or [ ]);

  # What is wrong with the unit, as assertions.
  problems =
    name: unit:
    let
      option = "${units}.${name}";
      serviceKeys = lib.attrNames (setKeys unit.serviceConfig);
      fail = message: {
        assertion = false;
        inherit message;
      };
      known = lib.attrNames (keys.supported // keys.ignored);
      service =
        key:
        if keys.supported ? ${key} || keys.ignored ? ${key} then
          [ ]
        else if keys.refused ? ${key} then
          [ (fail "${option}.serviceConfig.${key} is not supported: ${keys.refused.${key}}") ]
        else
          [ (fail "${option}.serviceConfig.${key} is no key that is supported${suggest key known}") ];
    in
    lib.concatMap service serviceKeys
    ++ section.problems {
      kind = "service";
      inherit option;
      inherit (unit) unitConfig;
    }
    ++ optional (unit.script != "" && unit.serviceConfig ? ExecStart) (
      fail "${option}: script and serviceConfig.ExecStart are both set; set one of them"
    )
    ++ optional (
      toString (values.last (unit.serviceConfig.Type or "simple")) != "oneshot"
      && lib.length (startsOf name unit.serviceConfig) > 1
    ) (fail "${option}.serviceConfig.ExecStart: there are several commands, and only a oneshot may have more than one")
    ++ lib.optionals (isConfined unit) (
      optional (scope == "user") (
        fail "${option}.confinement is not supported: a user's supervisor has no right to do that; run it as systemd.services with a user"
      )
      ++ optional (unit.serviceConfig ? RootDirectory) (
        fail "${option}: confinement and serviceConfig.RootDirectory both are its root; set one of them"
      )
    );

  # What its author may not expect, as warnings: keys that change nothing.
  warnings =
    name: unit:
    section.warning "${units}.${name}" (
      lib.mapAttrs' (key: lib.nameValuePair "serviceConfig.${key}") (
        keys.missed (setKeys unit.serviceConfig)
      )
      // lib.mapAttrs' (key: lib.nameValuePair "unitConfig.${key}") (section.missed unit.unitConfig)
    );

  # Whether it is a service by itself, and does not only change one that a module has described.
  isWhole =
    unit:
    unit.script != ""
    || unit.serviceConfig ? ExecStart
    || unit.serviceConfig ? Type && toString (values.last unit.serviceConfig.Type) == "oneshot";

  # Definitions of `system.services.<name>`, to be merged.
  translate =
    name: unit:
    let
      option = "${units}.${name}";
      config = setKeys unit.serviceConfig // confining unit // enclosing name unit;
      context = key: {
        inherit name config;
        where = "${option}.serviceConfig.${key}";
      };
      fromKeys = lib.concatMap (
        key: optional (keys.supported ? ${key}) (keys.supported.${key} (context key) config.${key})
      ) (lib.attrNames config);

      type = toString (values.last (config.Type or "simple"));
      oneshot = type == "oneshot";

      starts =
        if unit.script != "" then
          [
            { argv = script name "start" unit.script ++ values.split option unit.scriptArgs; }
          ]
        else
          startsOf name config;
      # A oneshot may have several commands, of which all but the last come before it, or none: then it is there for
      # what happens around it.
      first = lib.optionals (oneshot && starts != [ ]) (lib.init starts);
      process =
        if starts != [ ] then
          lib.last starts
        else
          { argv = lib.optional oneshot "${pkgs.coreutils}/bin/true"; };

      user = toString (
        values.last (config.User or (if dynamic then lib.head (lib.splitString "@" name) else ""))
      );
      instance = lib.removePrefix "@" (lib.removePrefix (lib.head (lib.splitString "@" name)) name);
      dynamic = values.boolean option (config.DynamicUser or false);

      commandOf =
        part: text:
        optional (text != "") {
          argv = script name part text;
        };

      texts = lib.mapAttrs commandOf {
        pre-start = unit.preStart;
        post-start = unit.postStart;
        pre-stop = unit.preStop;
        post-stop = unit.postStop;
        reload = unit.reload;
      };
      # What a confined unit sees of the store.
      roots =
        map (command: command.argv) (starts ++ lib.concatLists (lib.attrValues texts))
        ++ lib.mapAttrsToList (_: values.list) (
          lib.filterAttrs (key: _: lib.hasPrefix "Exec" key && key != "ExecStart") config
        )
        ++ unit.confinement.packages
        ++ [ unit.confinement.binSh ]
        ++ lib.optionals unit.confinement.fullUnit [
          (lib.attrValues environment)
          (lib.makeBinPath unit.path)
        ];

      # Who says something of a limit has that of systemd's for the rest.
      hasLimit =
        unit.startLimitIntervalSec != 10
        || lib.any (key: unit.unitConfig.${key} or null != null) [
          "StartLimitIntervalSec"
          "StartLimitInterval"
          "StartLimitAction"
        ];
      burst = unit.unitConfig.StartLimitBurst or unit.startLimitBurst;
      limit =
        if burst == null then
          (if hasLimit then 5 else 0)
        else
          values.integer "${option}.unitConfig.StartLimitBurst" (values.last burst);
      interval =
        unit.unitConfig.StartLimitIntervalSec or unit.unitConfig.StartLimitInterval
          or unit.startLimitIntervalSec;
      intervalMs = values.milliseconds "${option}.startLimitIntervalSec" interval;
      environment = lib.mapAttrs (_: toString) (setKeys unit.environment);
    in
    [
      (lib.mkIf (isWhole unit) {
        kind = lib.mkDefault "simple";
        restart.policy = lib.mkDefault "never";
        staysUp = lib.mkDefault (!oneshot);
        # As systemd has it; a oneshot may take its time.
        startTimeoutMs = lib.mkIf (!oneshot) (lib.mkDefault 90000);
        stop.timeoutMs = lib.mkDefault 90000;
        process = process // {
          environment =
            lib.mapAttrs (_: lib.mkDefault) globalEnvironment
            // {
              PATH = lib.mkDefault (lib.makeBinPath unit.path);
            };
        };
      })
      {
        enable = lib.mkIf (!unit.enable) false;
        description = lib.mkIf (unit.description != "") (
          lib.replaceStrings [ "%i" "%I" ] [ instance (words.unescaped instance) ] unit.description
        );
        process = {
          inherit environment;
          user = lib.mkIf dynamic (lib.mkDefault user);
          confinement.joins = map (other: targets.plain (values.specifiers name option other)) (
            values.wordsOf (unit.unitConfig.JoinsNamespaceOf or null)
          );
        };
        preStart = lib.mkMerge [
          texts.pre-start
          (lib.mkOrder 2000 first)
        ];
        postStart = texts.post-start;
        preStop = texts.pre-stop;
        postStop = texts.post-stop;
        reload.commands = lib.mkIf (unit.reload != "") texts.reload;
        restart.limit = lib.mkIf (limit != 0 && intervalMs != null && intervalMs != 0) {
          burst = limit;
          inherit intervalMs;
        };
        inherit (unit) startAt restartTriggers reloadTriggers;
        # As systemd has it: a failure that is made up for is one all the same.
        tellsOfRestarts = lib.mkIf (
          unit.onFailure ++ unit.onSuccess != [ ]
          && toString (values.last (config.RestartMode or "normal")) != "direct"
        ) true;
        restartIfChanged = lib.mkIf (!unit.restartIfChanged) false;
        stopIfChanged = lib.mkIf (!unit.stopIfChanged) false;
        reloadIfChanged = lib.mkIf unit.reloadIfChanged true;
      }
      (lib.mkIf (isConfined unit) {
        process.confinement = {
          closures = [
            "${
              pkgs.closureInfo {
                name = "${lib.strings.sanitizeDerivationName name}-closure";
                rootPaths = lib.filter (root: root != null) (lib.flatten roots);
              }
            }/store-paths"
          ];
          mounts = optional (unit.confinement.binSh != null) {
            source = toString unit.confinement.binSh;
            target = "/bin/sh";
            readOnly = true;
          };
        };
      })
    ]
    ++ section.translate {
      inherit option name;
      inherit (unit) unitConfig;
    }
    ++ fromKeys;
}
