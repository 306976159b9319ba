# `system.services`: what the supervisor runs, from portable descriptions.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;

  module = import ./service.nix { inherit pkgs lib; };
  describe = import ./describe.nix { inherit lib; };
  devices = import ./devices.nix { inherit lib; };

  # Sub-services are of the same kind; the files of each lie in a folder of its own.
  serviceType =
    prefix:
    types.submoduleWith {
      class = "service";
      modules = [
        module
        (
          { name, config, ... }:
          {
            config = lib.mkMerge [
              (lib.mkIf (config.devices != [ ]) { wantedAtBoot = lib.mkOverride 1400 false; })
              (lib.mkIf (config.kind == "device") {
                wantedAtBoot = lib.mkOverride 1400 false;
                restart.policy = lib.mkOverride 1400 "never";
                startTimeoutMs = lib.mkOverride 1400 devices.timeoutMs;
              })
            ];
            options.services = mkOption {
              type = types.attrsOf (serviceType (prefix ++ [ name ]));
              default = { };
              visible = "shallow";
              description = "Services that belong to this one; their names begin with its name and a hyphen.";
            };
            options.configData = mkOption {
              type = types.attrsOf (
                types.submodule (
                  { config, ... }:
                  {
                    path = "/etc/system-services/${lib.concatStringsSep "-" (prefix ++ [ name ])}/${config.name}";
                  }
                )
              );
            };
          }
        )
      ];
    };

  # Every service with its whole name; those that are switched off are left out with all of theirs.
  flatten =
    prefix: services:
    lib.concatMap (
      key:
      let
        service = services.${key};
        name = prefix + key;
      in
      lib.optionals service.enable ([ { inherit name service; } ] ++ flatten "${name}-" service.services)
    ) (lib.attrNames services);

  hasNoProcess =
    service:
    lib.elem service.kind [
      "milestone"
      "socket"
      "path"
      "device"
    ];

  # A service that only groups others has nothing to execute.
  isRun =
    entry:
    entry.service.process.argv != [ ]
    || hasNoProcess entry.service
    || entry.service.services == { };

  # Services, and what starts them at given times, as the supervisor reads them.
  compose =
    services:
    let
      all = flatten "" services;
      run = map (entry: entry // { service = devices.bound entry.service; }) (lib.filter isRun all);

      # What is said from the other side: `before`, `wantedBy`, `requiredBy`.
      reversed =
        field:
        lib.foldAttrs (name: names: [ name ] ++ names) [ ] (
          lib.concatMap (entry: map (other: { ${other} = entry.name; }) entry.service.${field}) run
        );
      before = reversed "before";
      wantedBy = reversed "wantedBy";
      requiredBy = reversed "requiredBy";
      upheldBy = reversed "upheldBy";

      # Who shares with whom, seen from both sides; all of them together have the name of the first.
      joins = lib.foldAttrs (name: names: [ name ] ++ names) [ ] (
        lib.concatMap (
          entry:
          lib.concatMap (other: [
            { ${other} = entry.name; }
            { ${entry.name} = other; }
          ]) entry.service.process.confinement.joins
        ) run
      );
      connected =
        name:
        builtins.genericClosure {
          startSet = [ { key = name; } ];
          operator = item: map (key: { inherit key; }) joins.${item.key};
        };
      sharedAs =
        name:
        if joins ? ${name} then
          lib.head (lib.sort (one: other: one < other) (map (item: item.key) (connected name)))
        else
          null;

      complete =
        entry:
        let
          inherit (entry) name service;
        in
        describe name (
          service
          // {
            after = service.after ++ before.${name} or [ ];
            wants = service.wants ++ wantedBy.${name} or [ ];
            upholds = service.upholds ++ upheldBy.${name} or [ ];
            requires = service.requires ++ requiredBy.${name} or [ ];
            process = service.process // {
              confinement = service.process.confinement // {
                sharedAs = sharedAs name;
              };
            };
          }
        );
      ofDevice =
        path:
        devices.describe path {
          wants = wantedBy.${devices.nameOf path} or [ ];
          upholds = upheldBy.${devices.nameOf path} or [ ];
        };
    in
    {
      inherit all;
      services = map complete run ++ map ofDevice (devices.missing run);
      timers = lib.concatMap (entry: calendar entry ++ timersOf entry) run;
    };
  machine = compose config.system.services;
  ofUsers = compose config.system.userServices;

  calendar =
    entry:
    lib.optional (lib.toList entry.service.startAt != [ ]) {
      inherit (entry) name;
      service = entry.name;
      calendar = lib.toList entry.service.startAt;
    };
  timersOf =
    entry:
    lib.mapAttrsToList (
      name: timer:
      {
        inherit name;
        service = entry.name;
      }
      // timer
    ) entry.service.timers;

  # Other parts of the system describe services too.
  namesOf = map (service: service.name);
  suggest =
    names: other:
    let
      near = lib.take 3 (lib.diagnostics.nearest other names);
    in
    lib.optionalString (near != [ ]) "; did you mean ${lib.concatStringsSep " or " near}?";

  # The option under which somebody has described it.
  optionOf =
    scope: name:
    if scope == "user" then
      "systemd.user.services.${name}"
    else if config.systemd.services ? ${name} then
      "systemd.services.${name}"
    else if config.systemd.sockets ? ${lib.removeSuffix ".socket" name} && lib.hasSuffix ".socket" name then
      "systemd.sockets.${lib.removeSuffix ".socket" name}"
    else if config.systemd.paths ? ${lib.removeSuffix ".path" name} && lib.hasSuffix ".path" name then
      "systemd.paths.${lib.removeSuffix ".path" name}"
    else
      "system.services.${name}";

  # Services of the machine, as the supervisor reads them, by name.
  described = lib.listToAttrs (
    map (service: lib.nameValuePair service.name service) config.system.description.services
  );

  # What a service needs that is stopped when user space starts again.
  stoppedBefore =
    name:
    let
      service = described.${name} or { };
      takes = other: (other.socket or { }).accept or false;
      starts = other: (other.socket or other.watch or { }).service or null == name && !(takes other);
      goesOn =
        other:
        other.outlivesUserSpace or false
        || other.kind == "device"
        # Its work is done: there is nothing to stop.
        || other.kind == "oneshot" && !(other.staysUp or true)
        || starts other;
      isStopped = other: described ? ${other} && !(goesOn described.${other});
    in
    lib.filter isStopped (lib.unique (service.requires or [ ] ++ service.partOf or [ ]));

  # Sockets that start one of it for each connection.
  takers =
    name:
    lib.filter (other: (other.socket or { }).accept or false && other.socket.service == name) (
      lib.attrValues described
    );

  problems =
    scope: names: entry:
    let
      inherit (entry) name service;
      option = optionOf scope name;
      missing = lib.filter (other: !(lib.elem other names)) (
        service.requires
        ++ service.bindsTo
        ++ service.requisite
        ++ service.partOf
        ++ service.process.confinement.joins
        ++ lib.optional (service.readsOutputOf != null) service.readsOutputOf
      );
    in
    lib.optional (service.process.argv == [ ] && !(hasNoProcess service) && service.services == { })
      {
        assertion = false;
        message =
          if lib.hasPrefix "systemd." option then
            "${option}: there is nothing to execute; set script or serviceConfig.ExecStart."
          else if service.timers != { } then
            "${option}: a timer starts it, and there is nothing to execute; describe the service, as systemd.services.${name} or with process.argv."
          else
            "${option}: there is nothing to execute; set process.argv.";
      }
    ++ lib.optional ((service.kind == "socket") != (service.socket != null)) {
      assertion = false;
      message = "${option}: what is of kind socket, and nothing else, has the option socket.";
    }
    ++ lib.optional ((service.kind == "device") != (service.device != null)) {
      assertion = false;
      message = "${option}: what is of kind device, and nothing else, has the option device.";
    }
    ++ lib.optional ((service.kind == "path") != (service.watch != null)) {
      assertion = false;
      message = "${option}: what is of kind path, and nothing else, has the option watch.";
    }
    ++ lib.optional
      (scope == "user"
        && lib.any (action: action != null) [
          service.failureAction
          service.successAction
          service.startLimitAction
        ])
      {
        assertion = false;
        message = "${option}: a user's service does nothing to the machine; take its failureAction, successAction and startLimitAction away.";
      }
    ++ lib.optional (scope == "user" && service.outlivesUserSpace) {
      assertion = false;
      message = "${option}: a user's service does not outlive user space; take its outlivesUserSpace away.";
    }
    ++ lib.optional (scope == "system" && service.outlivesUserSpace && takers name != [ ]) {
      assertion = false;
      message = "${option}: what serves a single connection does not outlive user space; take its outlivesUserSpace (unitConfig.SurviveFinalKillSignal) away.";
    }
    ++ map (other: {
      assertion = false;
      message = "${option}: it is to outlive user space, but needs '${other}', which is stopped when that starts again; let '${other}' outlive it, too (outlivesUserSpace, or unitConfig.SurviveFinalKillSignal), or name it in wants and after.";
    }) (lib.optionals (scope == "system" && service.outlivesUserSpace) (stoppedBefore name))
    ++ map (other: {
      assertion = false;
      message = "${option}: it needs the service '${other}', which is not defined${suggest names other}";
    }) missing
    ++
      lib.optional (service.process.argv != [ ] && !(lib.hasPrefix "/" (lib.head service.process.argv)))
        {
          assertion = false;
          message = "system.services.${name}.process.argv: '${lib.head service.process.argv}' is no absolute path; name the program of a package, such as \"\${pkgs.bash}/bin/bash\".";
        };
in
{
  options.system.services = mkOption {
    type = types.attrsOf (serviceType [ ]);
    default = { };
    example = literalExpression ''
      {
        web = {
          process.argv = [ "''${pkgs.busybox}/bin/busybox" "httpd" "-f" "-p" "8080" ];
          process.user = "nobody";
        };
      }
    '';
    description = ''
      What the supervisor runs. A service is described here without regard to who runs it, as NixOS's
      modular services are; options beyond those have the supervisor's own words. A package's module
      is taken by `imports`.
    '';
  };

  options.system.userServices = mkOption {
    type = types.attrsOf (serviceType [ ]);
    default = { };
    description = ''
      What the supervisor of each normal user runs, in the words of {option}`system.services`. Texts may
      hold specifiers for what is the user's: `%h` the home, `%u` the name, `%t` the runtime directory.
    '';
  };

  config = {
    system.description.services = machine.services;
    system.description.timers = machine.timers;
    system.description.userServices = lib.mkIf (ofUsers.all != [ ]) {
      inherit (ofUsers) services timers;
    };
    assertions =
      lib.concatMap (
        entry:
        entry.service.assertions
        ++ problems "system" (namesOf config.system.description.services) entry
      ) machine.all
      ++ lib.concatMap (
        entry: entry.service.assertions ++ problems "user" (namesOf ofUsers.services) entry
      ) ofUsers.all;
    warnings = lib.concatMap (entry: entry.service.warnings) (machine.all ++ ofUsers.all);
    environment.etc = lib.mkMerge (
      map (
        entry:
        lib.mapAttrs' (
          _: file:
          lib.nameValuePair "system-services/${entry.name}/${file.name}" {
            inherit (file) enable source;
          }
        ) entry.service.configData
      ) machine.all
    );
  };
}
