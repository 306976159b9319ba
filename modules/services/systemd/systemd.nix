# `systemd.*`: units as NixOS's users write them, mapped onto `system.services`. There is no systemd;
# what cannot be mapped is refused with its option.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption optional types;
  cfg = config.systemd;

  values = import ./values.nix { inherit lib; };
  targets = import ./targets.nix { inherit lib; };
  unit = import ./unit.nix { inherit lib pkgs; };
  timer = import ./timer.nix { inherit lib; };
  socket = import ./socket.nix { inherit lib; };
  path = import ./path.nix { inherit lib; };

  names =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
  lines =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
  scalar = types.oneOf [
    types.bool
    types.int
    types.float
    types.str
    types.path
    types.package
  ];
  section =
    description:
    mkOption {
      type = types.attrsOf (types.nullOr (types.either scalar (types.listOf scalar)));
      default = { };
      inherit description;
    };

  common = {
    enable = flag true "Whether the unit is there.";
    description = mkOption {
      type = types.str;
      default = "";
      description = "One line for people.";
    };
    documentation = names "Where to read on; without effect.";
    requires = names "Units that must be up before it; it is stopped before they are.";
    wants = names "Units that are started along with it.";
    bindsTo = names "As {option}`requires`.";
    requisite = names "As {option}`requires`.";
    partOf = names "It is stopped and restarted with these units.";
    upholds = names "Not supported.";
    conflicts = names "Units that are stopped before it is started, and the other way round.";
    after = names "Units that it waits for if they are to start.";
    before = names "Units that wait for it in the same way.";
    onFailure = names "Units that are started when it has failed.";
    onSuccess = names "Not supported.";
    wantedBy = names "Units that start it along; a target such as `multi-user.target` means at boot.";
    requiredBy = names "Units that need it to be up.";
    upheldBy = names "As {option}`wantedBy`.";
    aliases = names "Without effect: a service has one name.";
    unitConfig = section "Further keys of the section `Unit`: conditions and limits of starts.";
    startLimitBurst = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "Starts within {option}`startLimitIntervalSec`; one more, and it has failed for good.";
    };
    startLimitIntervalSec = mkOption {
      type = types.either types.ints.unsigned types.str;
      default = 10;
      description = "The time over which starts are counted.";
    };
    restartTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = "Values whose change is a change of the service; they are part of nothing else.";
    };
    reloadTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = ''
        Values whose change reloads the service, or where it cannot be reloaded, restarts it; they are
        part of nothing else.
      '';
    };
    stopIfChanged = flag true "Whether a switch that changes it stops it before the new generation is activated, and starts it after; otherwise it is restarted after.";
    restartIfChanged = flag true "Whether a switch that changes it restarts it.";
    reloadIfChanged = flag false "Whether a switch that changes it reloads it, and does not restart it.";
    overrideStrategy = mkOption {
      type = types.str;
      default = "asDropinIfExists";
      description = "Without effect: there are no unit files.";
    };
  };

  service =
    { name, config, ... }:
    {
      options = common // {
        name = mkOption {
          type = types.str;
          default = "${name}.service";
          readOnly = true;
          description = "The unit's name.";
        };
        environment = mkOption {
          type = types.attrsOf (
            types.nullOr (
              types.oneOf [
                types.str
                types.path
                types.package
                types.int
              ]
            )
          );
          default = { };
          description = "Variables of its processes; `null` takes one away.";
        };
        path = mkOption {
          type = types.listOf (
            types.oneOf [
              types.package
              types.str
            ]
          );
          default = [ ];
          description = "Packages whose programs its processes find.";
        };
        script = lines "Its process, as a text for bash that stops at the first error.";
        scriptArgs = mkOption {
          type = types.str;
          default = "";
          description = "Arguments of {option}`script`.";
        };
        preStart = lines "A text for bash that runs before its process.";
        postStart = lines "A text for bash that runs when its process is up.";
        reload = lines "A text for bash that makes it read its configuration again.";
        preStop = lines "A text for bash that runs before its process is asked to end.";
        postStop = lines "A text for bash that runs when its process has ended.";
        jobScripts = mkOption {
          type = types.listOf types.unspecified;
          default = [ ];
          internal = true;
          description = "Without effect.";
        };
        enableStrictShellChecks = flag false "Without effect: scripts are not checked.";
        enableDefaultPath = flag true "Whether coreutils, findutils, grep and sed are on its path.";
        startAt = mkOption {
          type = types.either types.str (types.listOf types.str);
          default = [ ];
          example = "Sun 14:00:00";
          description = "When it is started, as calendar expressions.";
        };
        serviceConfig = section ''
          Keys of the section `Service`. One that is not supported is refused, and the nearest that is
          gets named; some change nothing, each for a reason that the manual gives.
        '';
        confinement = mkOption {
          type = types.attrsOf types.unspecified;
          default = { };
          description = "Not supported.";
        };
      };
      config = {
        path = lib.mkIf config.enableDefaultPath (
          lib.mkAfter [
            pkgs.coreutils
            pkgs.findutils
            pkgs.grep
            pkgs.sed
          ]
        );
      };
    };

  target = {
    options = common;
  };

  timerUnit = {
    options = common // {
      timerConfig = section "Keys of the section `Timer`.";
    };
  };

  socketUnit = {
    options = common // {
      listenStreams = names "Addresses of streams: as `ListenStream` of {option}`socketConfig`.";
      listenDatagrams = names "Addresses of datagrams: as `ListenDatagram` of {option}`socketConfig`.";
      socketConfig = section "Keys of the section `Socket`.";
    };
  };

  pathUnit = {
    options = common // {
      pathConfig = section "Keys of the section `Path`.";
    };
  };

  refused =
    what: instead:
    mkOption {
      type = types.attrsOf types.unspecified;
      default = { };
      description = "Not supported: ${instead}.";
    };

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

  fail = message: {
    assertion = false;
    inherit message;
  };
  refusals =
    lib.concatMap
      (
        entry:
        map (
          name:
          fail "systemd.${entry.option}.${name}: systemd.${entry.option} is not supported: ${entry.instead}."
        ) (lib.attrNames entry.value)
      )
      [
        {
          option = "automounts";
          value = cfg.automounts;
          instead = "use fileSystems";
        }
        {
          option = "slices";
          value = cfg.slices;
          instead = "set limits for each service";
        }
        {
          option = "user.services";
          value = cfg.user.services;
          instead = "services of users are not there yet; run it as systemd.services with a user";
        }
        {
          option = "user.timers";
          value = cfg.user.timers;
          instead = "services of users are not there yet";
        }
        {
          option = "user.sockets";
          value = cfg.user.sockets;
          instead = "services of users are not there yet";
        }
        {
          option = "units";
          value = cfg.units;
          instead = "use systemd.services";
        }
        {
          option = "generators";
          value = cfg.generators;
          instead = "there are no generators";
        }
        {
          option = "network.networks";
          value = cfg.network.networks;
          instead = "use networking.interfaces";
        }
      ];

  dynamicUsers = lib.unique (
    lib.filter (user: user != null) (lib.mapAttrsToList unit.dynamicUser services)
  );
in
{
  options.systemd = {
    services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
      description = ''
        Services as NixOS's users describe them, in the words of systemd's units. Each becomes one of
        {option}`system.services`; there is no systemd.
      '';
    };
    targets = mkOption {
      type = types.attrsOf (types.submodule target);
      default = { };
      description = "Milestones: units that others wait for, or are started by.";
    };
    timers = mkOption {
      type = types.attrsOf (types.submodule timerUnit);
      default = { };
      description = "What starts services at given times.";
    };
    mounts = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = "Not supported: use {option}`fileSystems`.";
    };
    sockets = mkOption {
      type = types.attrsOf (types.submodule socketUnit);
      default = { };
      example = {
        web.listenStreams = [ "8080" ];
      };
      description = ''
        Sockets that are open before their services run, and that start these when something comes in.
      '';
    };
    paths = mkOption {
      type = types.attrsOf (types.submodule pathUnit);
      default = { };
      example = {
        import.pathConfig.DirectoryNotEmpty = "/srv/incoming";
      };
      description = "What starts services when files come or change.";
    };
    automounts = mkOption {
      type = types.unspecified;
      default = { };
      apply =
        value: if builtins.isList value then lib.optionalAttrs (value != [ ]) { list = value; } else value;
      description = "Not supported: use {option}`fileSystems`.";
    };
    slices = refused "slices" "set limits for each service";
    units = refused "units" "use {option}`systemd.services`";
    generators = refused "generators" "there are no generators";
    user.services = refused "user.services" "services of users are not there yet";
    user.timers = refused "user.timers" "services of users are not there yet";
    user.sockets = refused "user.sockets" "services of users are not there yet";
    network.networks = refused "network.networks" "use {option}`networking.interfaces`";
    network.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported: use {option}`networking.interfaces`.";
    };
    package = mkOption {
      type = types.nullOr types.package;
      default = null;
      description = "Not supported: there is no systemd.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Without effect: there is no systemd to configure.";
    };
    enableEmergencyMode = flag true "Without effect; see {option}`boot.initrd` for the emergency shell.";
    services-ignored-keys = mkOption {
      type = types.attrsOf types.str;
      readOnly = true;
      internal = true;
      default = (import ./service-config.nix { inherit lib; }).ignored;
      description = "Keys of `serviceConfig` that change nothing, and why.";
    };
    services-supported-keys = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      internal = true;
      default = lib.attrNames (import ./service-config.nix { inherit lib; }).supported;
      description = "Keys of `serviceConfig` that are mapped.";
    };
  };

  config = {
    system.services = lib.mkMerge [
      standard
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

    users.users = lib.genAttrs dynamicUsers (user: {
      isSystemUser = true;
      group = lib.mkDefault user;
      description = lib.mkDefault "Service ${user}";
    });
    users.groups = lib.genAttrs dynamicUsers (_: { });

    assertions =
      lib.concatLists (lib.mapAttrsToList unit.problems services)
      ++ lib.concatMap (entry: timer.problems entry.name entry.unit.timerConfig) timersFor
      ++ lib.concatLists (lib.mapAttrsToList socket.problems sockets)
      ++ lib.concatLists (lib.mapAttrsToList path.problems (enabled cfg.paths))
      ++ refusals
      ++ optional (cfg.package != null) (
        fail "systemd.package is not supported: there is no systemd here."
      )
      ++ optional cfg.network.enable (
        fail "systemd.network.enable is not supported: use networking.interfaces and networking.useDHCP."
      )
      ++ optional (cfg.mounts != [ ]) (fail "systemd.mounts is not supported: use fileSystems.");
  };
}
