# A portable service as the supervisor reads it in `system.json`. What is at its default is left out.
{ lib }:
let
  inherit (lib) filterAttrs optionalAttrs;

  # Empty and absent mean the same there.
  compact = filterAttrs (_: value: value != null && value != [ ] && value != { } && value != "");
  bounded = bound: compact { inherit (bound) soft hard; };

  command =
    command:
    {
      inherit (command) argv;
    }
    // optionalAttrs (command.argv0 != null) { inherit (command) argv0; }
    // filterAttrs (_: set: set) {
      inherit (command) expand asRoot ignoreFailure condition;
    };

  directory =
    directory:
    {
      inherit (directory) path mode;
    }
    // filterAttrs (_: set: set) {
      inherit (directory) root removedAtStop keptAtRestart;
    };

  condition =
    condition:
    {
      inherit (condition) kind value;
    }
    // filterAttrs (_: set: set) { inherit (condition) negate alternative asserted; };

  workingDirectory =
    text:
    if text == null then
      null
    else
      {
        path = lib.removePrefix "-" text;
      }
      // optionalAttrs (lib.hasPrefix "-" text) { optional = true; };

  # `log`, `null`, or `append:/path` and its kin.
  outlet =
    text:
    let
      parts = builtins.match "([a-z]+):(.+)" text;
    in
    if text == null then
      null
    else if parts == null then
      text
    else
      { ${lib.head parts} = lib.addContextFrom text (lib.elemAt parts 1); };

  file =
    file:
    {
      inherit (file) path;
    }
    // optionalAttrs file.optional { optional = true; };

  openFile =
    file:
    {
      inherit (file) path name;
    }
    // optionalAttrs (file.mode != "read-write") { inherit (file) mode; }
    // optionalAttrs file.optional { optional = true; };

  process =
    process:
    let
      path = lib.makeBinPath process.path;
      confined = confinement process.confinement;
      environment =
        optionalAttrs (process.path != [ ]) { PATH = path; }
        // filterAttrs (_: value: value != null) process.environment;
    in
    compact {
      inherit (process)
        argv
        argv0
        unsetEnvironment
        user
        group
        supplementaryGroups
        connected
        tty
        umask
        nice
        oomScoreAdjust
        ambientCapabilities
        ;
      inherit environment;
      environmentFiles = map file process.environmentFiles;
      openFiles = map openFile process.openFiles;
      workingDirectory = workingDirectory process.workingDirectory;
      output = outlet process.output;
      error = if process.output == null && process.error == "log" then null else outlet process.error;
      limits = lib.mapAttrs (_: bounded) process.limits;
    }
    // optionalAttrs (process.boundingCapabilities != null) { inherit (process) boundingCapabilities; }
    // filterAttrs (_: set: set) {
      inherit (process) expand asRoot ignoreFailure;
    }
    // optionalAttrs process.nonBlocking { nonBlocking = true; }
    // optionalAttrs (process.scheduling != null) { inherit (process) scheduling; }
    // optionalAttrs (process.processors != null) { inherit (process) processors; }
    // optionalAttrs (process.ioScheduling != null) { inherit (process) ioScheduling; }
    // optionalAttrs (gainsNothing process) { noNewPrivileges = true; }
    // optionalAttrs process.heedsSigpipe { heedsSigpipe = true; }
    // optionalAttrs (confined != { }) { confinement = confined; };

  # Whoever is not root has no need of setuid programs, unless somebody says so.
  gainsNothing =
    process:
    if process.noNewPrivileges != null then
      process.noNewPrivileges
    else
      process.user != null && process.user != "root";

  confinement =
    given:
    let
      processes =
        optionalAttrs (given.processes.visible != "all") { inherit (given.processes) visible; }
        // optionalAttrs given.processes.onlyProcesses { onlyProcesses = true; };
      set = filterAttrs (_: value: value != null && value != false && value != "");
    in
    compact {
      own = lib.unique given.own;
      inherit (given) sharedAs;
      paths = map set given.paths;
      mounts = map set given.mounts;
      closures = lib.unique given.closures;
      inherit processes;
      droppedCapabilities = lib.unique given.droppedCapabilities;
      systemCalls = map set given.systemCalls;
      forbidden = lib.unique given.forbidden;
    }
    // optionalAttrs (given.addressFamilies != null) { addressFamilies = set given.addressFamilies; }
    // optionalAttrs (given.devices != null) { devices = set given.devices; }
    // optionalAttrs (given.addresses.allowed != [ ] || given.addresses.denied != [ ]) {
      inherit (given) addresses;
    }
    // optionalAttrs (given.namespaces != null) { inherit (given) namespaces; };

  # A digest of values, or nothing of none. A file is its content, wherever it lies.
  text =
    value:
    if builtins.isPath value then
      "${value}"
    else if builtins.isAttrs value && !(value ? outPath || value ? __toString) then
      builtins.toJSON value
    else
      toString value;
  digest =
    values:
    let
      words = map text (lib.flatten values);
    in
    if words == [ ] then
      null
    else
      builtins.hashString "sha256" (builtins.unsafeDiscardStringContext (lib.concatStringsSep " " words));

  # What a switch to a generation in which the service is another does.
  onChange =
    service:
    if service.reloadIfChanged then
      "reload"
    else if !service.restartIfChanged then
      "keep"
    else if !service.stopIfChanged then
      "restart"
    else
      "stop-and-start";

  activation = (import ./activation.nix { inherit lib; }).describe;

  # What the supervisor takes for granted.
  defaults = {
    storedDescriptors = 0;
    pinnedDescriptors = false;
    outlivesUserSpace = false;
    tellsOfRestarts = false;
    stopWhenUnneeded = false;
    noStartByHand = false;
    noStopByHand = false;
    removesIpc = false;
    delegated = false;
    goesOnAfterOom = false;
    staysUp = true;
    outlivesProcess = false;
    endsWithLastProcess = false;
    restart = "never";
    restartDelayMs = 100;
    restartDelayMaxMs = 30000;
    restartRandomDelayMs = 0;
    restartSteps = 0;
    runtimeRandomExtraMs = 0;
    stopTimeoutMs = 5000;
    stopSignal = "SIGTERM";
    killMode = "all";
    onChange = "stop-and-start";
  };
in
name: service:
let
  notifies = service.kind == "simple" && lib.elem "systemd" service.notificationProtocol;
  reload =
    if service.reload.commands != [ ] then
      { commands = map command service.reload.commands; }
    else if service.reload.signal != null then
      { ${if service.reload.announced then "announced" else "signal"} = service.reload.signal; }
    else
      null;
  ready = compact {
    inherit (service.readiness) descriptor port;
    command = if service.readiness.command == null then null else command service.readiness.command;
  };
  files = lib.mapAttrsToList (_: file: file.source) (
    filterAttrs (_: file: file.enable) service.configData
  );
  needed = service.requires ++ service.bindsTo;
in
{
  inherit name;
  kind = if notifies then "notify" else service.kind;
  inherit (service) wantedAtBoot;
}
// compact {
  inherit (service)
    description
    bindsTo
    device
    readsOutputOf
    partOf
    conflicts
    onFailure
    onSuccess
    watchdogMs
    cgroup
    leastLogLevel
    pidFile
    startTimeoutMs
    runtimeMaxMs
    ;
  inherit (service.restart) successStatuses finalStatuses restartStatuses;
  inherit reload;
  readiness = ready;
  socket = activation.socket service.socket;
  watch = activation.watch service.watch;
  restartTrigger = digest (service.restartTriggers ++ lib.optionals (reload == null) files);
  reloadTrigger = digest (service.reloadTriggers ++ lib.optionals (reload != null) files);
  requires = lib.unique (needed ++ service.requisite);
  requisite = lib.subtractLists needed (lib.unique service.requisite);
  wants = lib.unique service.wants;
  upholds = lib.unique service.upholds;
  after = lib.unique service.after;
  process = process service.process;
  preStart = map command service.preStart;
  postStart = map command service.postStart;
  preStop = map command service.preStop;
  postStop = map command service.postStop;
  conditions = map condition service.conditions;
  machineActions = compact {
    failure = service.failureAction;
    success = service.successAction;
    startLimit = service.startLimitAction;
  };
  directories = map directory service.directories;
  credentials = lib.mapAttrsToList (name: given: {
    inherit name;
    source = if given.file != null then { inherit (given) file; } else { text = toString given.text; };
  }) service.credentials;
  startLimit =
    if service.restart.limit == null then
      null
    else
      { inherit (service.restart.limit) burst intervalMs; };
}
// filterAttrs (key: value: value != defaults.${key}) {
  inherit (service)
    staysUp
    outlivesProcess
    endsWithLastProcess
    storedDescriptors
    pinnedDescriptors
    outlivesUserSpace
    tellsOfRestarts
    stopWhenUnneeded
    noStartByHand
    noStopByHand
    removesIpc
    delegated
    runtimeRandomExtraMs
    ;
  goesOnAfterOom =
    if service.goesOnAfterOom == null then service.delegated else service.goesOnAfterOom;
  restart = service.restart.policy;
  restartDelayMs = service.restart.delayMs;
  restartDelayMaxMs = service.restart.maxDelayMs;
  restartRandomDelayMs = service.restart.randomDelayMs;
  restartSteps = service.restart.steps;
  stopTimeoutMs = service.stop.timeoutMs;
  stopSignal = service.stop.signal;
  killMode = service.stop.killMode;
  onChange = onChange service;
}
