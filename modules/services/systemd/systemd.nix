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
  inherit (config.environment) binsh;

  unit = import ./unit.nix { inherit lib pkgs; };
  units =
    scope: cfg: hasManager:
    import ./units.nix {
      inherit
        lib
        pkgs
        scope
        cfg
        hasManager
        ;
      inherit (config.systemd) globalEnvironment;
    };
  machine = units "system" cfg config.services.udev.enable;
  ofUsers = units "user" cfg.user false;

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
    bindsTo = names "As {option}`requires`; and it is stopped when one of them has gone down by itself, as a device that is pulled out (`dev-ttyUSB0.device`).";
    requisite = names "As {option}`requires`, but they are not started along with it: it fails where one is neither up nor on its way.";
    partOf = names "It is stopped and restarted with these units.";
    upholds = names "Units that are started whenever they are down while it is up.";
    conflicts = names "Units that are stopped before it is started, and the other way round.";
    after = names "Units that it waits for if they are to start.";
    before = names "Units that wait for it in the same way.";
    onFailure = names "Units that are started when it has failed.";
    onSuccess = names "Units that are started when its process has ended as it should.";
    wantedBy = names "Units that start it along; a target such as `multi-user.target` means at boot.";
    requiredBy = names "Units that need it to be up.";
    upheldBy = names "Units that start it whenever it is down while they are up.";
    aliases = names "Without effect: a service has one name.";
    unitConfig = section "Further keys of the section `Unit`: conditions and limits of starts.";
    startLimitBurst = mkOption {
      type = types.nullOr types.ints.unsigned;
      default = null;
      description = ''
        Starts within {option}`startLimitIntervalSec`; one more, and it has failed for good. 0 is no bound, and so is
        `null`, but for a unit that says something else of its limit: there it is 5.
      '';
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
        confinement = {
          enable = flag false ''
            Whether its root is one in memory, in which it sees of the store what its commands need and nothing else.
          '';
          fullUnit = flag false "Whether that is also what {option}`environment` and {option}`path` name.";
          packages = mkOption {
            type = types.listOf (types.either types.str types.package);
            default = [ ];
            description = "What else of the store it sees, with all that this needs.";
          };
          binSh = mkOption {
            type = types.nullOr types.path;
            default = binsh;
            defaultText = lib.literalExpression "config.environment.binsh";
            example = lib.literalExpression ''"''${pkgs.dash}/bin/dash"'';
            description = "What `/bin/sh` is in its root; `null` if nothing.";
          };
          mode = mkOption {
            type = types.enum [
              "full-apivfs"
              "chroot-only"
            ];
            default = "full-apivfs";
            description = ''
              Whether it has `/proc`, `/sys`, `/dev` and an empty `/run`, with devices, users and temporary files of
              its own and the kernel protected, unless {option}`serviceConfig` says otherwise (`full-apivfs`), or
              nothing of that (`chroot-only`).
            '';
          };
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

  # Options for all kinds of units, of the machine or of users, with these texts.
  unitsOf =
    texts:
    lib.mapAttrs
      (
        kind: unit:
        mkOption (
          {
            type = types.attrsOf (types.submodule unit);
            default = { };
          }
          // texts.${kind}
        )
      )
      {
        services = service;
        targets = target;
        timers = timerUnit;
        sockets = socketUnit;
        paths = pathUnit;
      };

  refused =
    what: instead:
    mkOption {
      type = types.attrsOf types.unspecified;
      default = { };
      description = "Not supported: ${instead}.";
    };

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
    lib.filter (user: user != null) (lib.mapAttrsToList unit.dynamicUser cfg.services)
  );
in
{
  options.systemd = unitsOf {
    services.description = ''
      Services as NixOS's users describe them, in the words of systemd's units. Each becomes one of
      {option}`system.services`; there is no systemd.
    '';
    targets.description = "Milestones: units that others wait for, or are started by.";
    timers.description = "What starts services at given times.";
    sockets = {
      example = {
        web.listenStreams = [ "8080" ];
      };
      description = ''
        Sockets that are open before their services run, and that start these when something comes in.
      '';
    };
    paths = {
      example = {
        import.pathConfig.DirectoryNotEmpty = "/srv/incoming";
      };
      description = "What starts services when files come or change.";
    };
  }
  // {
    user = unitsOf {
      services = {
        example = {
          notes = {
            wantedBy = [ "default.target" ];
            serviceConfig.ExecStart = "/run/current-system/sw/bin/notes --data %h/notes";
          };
        };
        description = ''
          Services that every normal user of the configuration has, in the words of systemd's units. They
          are started with the user's first session, or with the machine if {option}`users.users.<name>.linger`
          is set, and run with the user's rights: keys for which only root has rights are refused.
          `%h`, `%u`, `%U`, `%t` and their kin stand for what is the user's.
        '';
      };
      targets.description = "Milestones of services of users.";
      timers.description = "What starts services of users at given times.";
      sockets = {
        example = {
          agent.listenStreams = [ "%t/agent" ];
        };
        description = "Sockets of users that are open before their services run.";
      };
      paths.description = "What starts services of users when files come or change.";
    };
    mounts = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = "Not supported: use {option}`fileSystems`.";
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
    globalEnvironment = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
      example = {
        TZ = "CET";
      };
      description = "Variables of all units that say nothing else of them.";
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
    system.services = machine.services;
    system.userServices = ofUsers.services;

    users.users = lib.genAttrs dynamicUsers (user: {
      isSystemUser = true;
      group = lib.mkDefault user;
      description = lib.mkDefault "Service ${user}";
    });
    users.groups = lib.genAttrs dynamicUsers (_: { });

    warnings =
      machine.warnings
      ++ ofUsers.warnings
      ++ optional (
      cfg.extraConfig != ""
    ) "systemd.extraConfig has no effect: set it for each service, in systemd.services.<name>.serviceConfig.";

    assertions =
      machine.assertions
      ++ ofUsers.assertions
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
