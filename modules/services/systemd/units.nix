# Units of systemd's as portable services: those of the machine, or with the scope "user" of each user.
{
  lib,
  pkgs,
  scope,
  # The units, by kind.
  cfg,
  # Variables of all of them.
  globalEnvironment,
  # Whether there is a device manager.
  hasManager,
}:
let
  targets = import ./targets.nix { inherit lib; };
  devices = import ./devices.nix { inherit lib scope; };
  unit = import ./unit.nix {
    inherit
      lib
      pkgs
      scope
      globalEnvironment
      ;
  };
  timer = import ./timer.nix { inherit lib scope; };
  socket = import ./socket.nix { inherit lib scope; };
  path = import ./path.nix { inherit lib scope; };
  templates = import ./templates.nix { inherit lib scope; };
  values = import ./values.nix { inherit lib scope; };
  section = import ./unit-section.nix { inherit lib scope; };
  space = if scope == "user" then "systemd.user" else "systemd";

  enabled = lib.filterAttrs (_: unit: unit.enable);
  services = templates.instantiate {
    inherit (cfg) services;
    inherit (unit) isWhole;
    others = enabled cfg.targets // enabled cfg.sockets // enabled cfg.paths // enabled cfg.timers;
    starts =
      map (entry: entry.service) timersFor
      ++ map (entry: entry.service) pathsFor
      ++ map (entry: entry.service) (lib.filter (entry: !entry.accept) socketsFor);
    accepts = map (entry: entry.service) (lib.filter (entry: entry.accept) socketsFor);
  };
  targetUnits = lib.mapAttrs' (name: lib.nameValuePair "${name}.target") (enabled cfg.targets);

  # The units of devices that they name, by what names them.
  deviceUnits = lib.mapAttrs (name: unit: map (templates.expanded name) (devices.named unit)) (
    services
    // targetUnits
    // lib.mapAttrs' (name: lib.nameValuePair "${name}.socket") sockets
    // lib.mapAttrs' (name: lib.nameValuePair "${name}.path") (enabled cfg.paths)
  );
  deviceServices = devices.services (lib.concatLists (lib.attrValues deviceUnits));
  isDevice = lib.foldl' (all: one: all // one) { } deviceServices;

  # Whether somebody who waits for it waits for nothing: a device that nobody asks for is no service.
  isNothing =
    name: other:
    targets.isReached other
    || targets.isManager other && !hasManager
    || devices.isUnit other && !(isDevice ? ${templates.named name other});

  # Whether a key of `unitConfig` is true.
  isSet =
    key: name: unit:
    let
      value = unit.unitConfig.${key} or null;
    in
    value != null && values.boolean "the unit ${name}: unitConfig.${key}" (values.last value);

  # Dependencies of services and targets alike.
  dependencies =
    whole: name: unit:
    let
      # What a unit waits for, as names of services: what is reached anyway is left out.
      links =
        list: map (templates.named name) (lib.filter (other: !(isNothing name other)) list);
      boot = lib.filter targets.isBoot (unit.wantedBy ++ unit.requiredBy ++ unit.upheldBy);
      # Not those: everything that is wanted at boot is started anyway.
      others = list: links (lib.filter (name: !(targets.isBoot name)) list);
      # A target's wish is no need for what it wants to come before the target, unless that comes
      # after it.
      orderedBefore = lib.filter (name: !(lib.elem name unit.after)) (
        lib.filter (lib.hasSuffix ".target") (unit.wantedBy ++ unit.requiredBy)
      );
    in
    {
      requires = links unit.requires;
      requisite = links unit.requisite;
      bindsTo = links unit.bindsTo;
      wants = links unit.wants;
      upholds = links unit.upholds;
      after = links unit.after;
      # A device comes when it comes.
      before = links (
        lib.filter (other: !(devices.isUnit other)) (lib.unique (unit.before ++ orderedBefore))
      );
      partOf = links unit.partOf;
      conflicts = links (lib.filter (name: !(targets.isDown name)) unit.conflicts);
      onFailure = links unit.onFailure;
      onSuccess = links unit.onSuccess;
      stopWhenUnneeded = lib.mkIf (isSet "StopWhenUnneeded" name unit) true;
      noStartByHand = lib.mkIf (isSet "RefuseManualStart" name unit) true;
      noStopByHand = lib.mkIf (isSet "RefuseManualStop" name unit) true;
      # A user's services end with the user's sessions.
      outlivesUserSpace = lib.mkIf (scope == "system" && isSet "SurviveFinalKillSignal" name unit) true;
      wantedAtBoot = lib.mkIf (whole || boot != [ ]) (lib.mkDefault (boot != [ ]));
      wantedBy = others (unit.wantedBy ++ lib.filter devices.isUnit unit.requiredBy);
      upheldBy = others unit.upheldBy;
      # What holds it is up as long as the machine is.
      restart.policy = lib.mkIf (lib.any targets.isBoot unit.upheldBy) (lib.mkOverride 900 "always");
      requiredBy = others (lib.filter (other: !(devices.isUnit other)) unit.requiredBy);
    };

  milestone = unit: {
    inherit (unit) description;
    kind = "milestone";
    restart.policy = "never";
  };

  standard = lib.mapAttrs' (
    name: description:
    lib.nameValuePair "${name}.target" {
      inherit description;
      kind = "milestone";
      restart.policy = "never";
    }
  ) targets.milestones;

  # Timers of their own start the service of their name, or the one that they say.
  timersFor = lib.mapAttrsToList (name: unit: {
    inherit name unit;
    service = targets.plain (toString (unit.timerConfig.Unit or "${name}.service"));
  }) (enabled cfg.timers);

  # Sockets start the service of their name, the one that they say, or the one that says so.
  sockets = enabled cfg.sockets;
  owners = lib.listToAttrs (
    lib.concatLists (
      lib.mapAttrsToList (
        name: unit:
        map (socket: lib.nameValuePair (lib.removeSuffix ".socket" socket) name) (
          lib.concatMap (lib.splitString " ") (map toString (lib.toList (unit.serviceConfig.Sockets or [ ])))
        )
      ) (enabled cfg.services)
    )
  );

  # The portable service of a unit that starts another one, by what is waited for in `field`.
  activator = kind: field: translate: entry: {
    "${entry.name}.${kind}" = lib.mkMerge (
      [
        (dependencies true "${entry.name}.${kind}" entry.unit)
        { ${field} = { inherit (entry) service; }; }
      ]
      ++ translate entry.name entry.unit
      ++ section.translate {
        option = "${space}.${kind}s.${entry.name}";
        name = "${entry.name}.${kind}";
        inherit (entry.unit) unitConfig;
      }
    );
  };

  named = section: lib.mapAttrs' (key: lib.nameValuePair "${section}.${key}");

  # Units that are no services, by kind.
  others = {
    target = enabled cfg.targets;
    timer = enabled cfg.timers;
    socket = sockets;
    path = enabled cfg.paths;
  };
  ofOthers =
    what:
    lib.concatLists (
      lib.concatLists (
        lib.mapAttrsToList (
          kind: lib.mapAttrsToList (name: unit: what kind "${space}.${kind}s.${name}" unit.unitConfig)
        ) others
      )
    );

  socketsFor = lib.mapAttrsToList (name: unit: {
    inherit name unit;
    accept = socket.accepts name unit.socketConfig;
    service =
      if unit.socketConfig ? Service then
        socket.startedBy name unit.socketConfig
      else
        owners.${name} or (socket.startedBy name unit.socketConfig);
  }) sockets;
  pathsFor = lib.mapAttrsToList (name: unit: {
    inherit name unit;
    service = targets.plain (path.startedBy name unit.pathConfig);
  }) (enabled cfg.paths);
in
{
  services = lib.mkMerge [
    (lib.mkIf (scope == "system") standard)
    (lib.mkMerge deviceServices)
    (lib.mapAttrs (
      name: unit':
      lib.mkMerge ([ (dependencies (unit.isWhole unit') name unit') ] ++ unit.translate name unit')
    ) services)
    (lib.mapAttrs (
      name: unit:
      lib.mkMerge [
        (milestone unit)
        (dependencies true name unit)
      ]
    ) targetUnits)
    (lib.mkMerge (map (activator "socket" "socket" socket.translate) socketsFor))
    # A service needs what it is given; that of a single connection does not need the socket.
    (lib.mkMerge (
      map (entry: { ${entry.service}.requires = [ "${entry.name}.socket" ]; }) (
        lib.filter (entry: !entry.accept) socketsFor
      )
    ))
    (lib.mkMerge (map (activator "path" "watch" path.translate) pathsFor))
    (lib.mkMerge (
      map (entry: {
        ${entry.service}.timers.${entry.name} = timer entry.name entry.unit.timerConfig;
      }) timersFor
    ))
  ];

  warnings =
    lib.concatLists (lib.mapAttrsToList unit.warnings services)
    ++ ofOthers (_: option: unitConfig: section.warning option (named "unitConfig" (section.missed unitConfig)))
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: unit:
        section.warning "${space}.timers.${name}" (named "timerConfig" (timer.missed unit.timerConfig))
      ) others.timer
    )
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: unit:
        section.warning "${space}.sockets.${name}" (named "socketConfig" (socket.missed unit.socketConfig))
      ) sockets
    );

  assertions =
    lib.concatLists (lib.mapAttrsToList unit.problems services)
    ++ ofOthers (kind: option: unitConfig: section.problems { inherit kind option unitConfig; })
    ++ lib.concatLists (lib.mapAttrsToList (name: devices.problems "the unit ${name}") deviceUnits)
    ++ lib.concatMap (entry: timer.problems entry.name entry.unit.timerConfig) timersFor
    ++ lib.concatLists (lib.mapAttrsToList socket.problems sockets)
    ++ lib.concatLists (lib.mapAttrsToList path.problems (enabled cfg.paths));
}
