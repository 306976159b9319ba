# Units of systemd's as portable services: those of the machine, or with the scope "user" of each user.
{
  lib,
  pkgs,
  scope,
  # The units, by kind.
  cfg,
}:
let
  targets = import ./targets.nix { inherit lib; };
  unit = import ./unit.nix { inherit lib pkgs scope; };
  timer = import ./timer.nix { inherit lib scope; };
  socket = import ./socket.nix { inherit lib scope; };
  path = import ./path.nix { inherit lib scope; };

  enabled = lib.filterAttrs (_: unit: unit.enable);
  services = cfg.services;
  targetUnits = lib.mapAttrs' (name: lib.nameValuePair "${name}.target") (enabled cfg.targets);

  # What a unit waits for, as names of services: what is reached anyway is left out.
  links = list: map targets.plain (lib.filter (name: !(targets.isReached name)) list);

  # Dependencies of services and targets alike.
  dependencies =
    whole: unit:
    let
      boot = lib.filter targets.isBoot unit.wantedBy ++ lib.filter targets.isBoot unit.requiredBy;
      # Not those: everything that is wanted at boot is started anyway.
      others = list: links (lib.filter (name: !(targets.isBoot name)) list);
      # A target's wish is no need for what it wants to come before the target, unless that comes
      # after it.
      orderedBefore = lib.filter (name: !(lib.elem name unit.after)) (
        lib.filter (lib.hasSuffix ".target") (unit.wantedBy ++ unit.requiredBy)
      );
    in
    {
      requires = links (unit.requires ++ unit.bindsTo ++ unit.requisite);
      wants = links unit.wants;
      after = links unit.after;
      before = links (lib.unique (unit.before ++ orderedBefore));
      partOf = links unit.partOf;
      conflicts = links (lib.filter (name: !(targets.isDown name)) unit.conflicts);
      onFailure = links unit.onFailure;
      onSuccess = links unit.onSuccess;
      wantedAtBoot = lib.mkIf (whole || boot != [ ]) (lib.mkDefault (boot != [ ]));
      wantedBy = others (unit.wantedBy ++ unit.upheldBy);
      requiredBy = others unit.requiredBy;
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
      ) (enabled services)
    )
  );

  # The portable service of a unit that starts another one, by what is waited for in `field`.
  activator = kind: field: translate: entry: {
    "${entry.name}.${kind}" = lib.mkMerge (
      [
        (dependencies true entry.unit)
        { ${field} = { inherit (entry) service; }; }
      ]
      ++ translate entry.name entry.unit
    );
  };

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
    (lib.mapAttrs (
      name: unit':
      lib.mkMerge ([ (dependencies (unit.isWhole unit') unit') ] ++ unit.translate name unit')
    ) services)
    (lib.mapAttrs (
      _: unit:
      lib.mkMerge [
        (milestone unit)
        (dependencies true unit)
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

  assertions =
    lib.concatLists (lib.mapAttrsToList unit.problems services)
    ++ lib.concatMap (entry: timer.problems entry.name entry.unit.timerConfig) timersFor
    ++ lib.concatLists (lib.mapAttrsToList socket.problems sockets)
    ++ lib.concatLists (lib.mapAttrsToList path.problems (enabled cfg.paths));
}
