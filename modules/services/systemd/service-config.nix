# `serviceConfig`: what each key of a service unit means to the supervisor.
#
# Sources: systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.resource-control(5).
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  inherit (values)
    boolean
    bytes
    integer
    last
    list
    milliseconds
    specifiers
    wordsOf
    ;

  commands =
    context: value: lib.concatMap (values.commands context.name context.where) (list value);
  text = context: value: specifiers context.name context.where (toString (last value));
  span = context: value: milliseconds context.where (last value);
  # There is no endless time to wait: a month is close to it.
  patience =
    context: value:
    let
      time = span context value;
    in
    if time == null || time == 0 then 2592000000 else time;

  pick =
    context: table: value:
    let
      key = toString (last value);
    in
    table.${key}
      or (throw "${context.where}: '${key}' is not supported; known are ${lib.concatStringsSep ", " (lib.attrNames table)}");

  process = set: { process = set; };

  limit = resource: parse: context: value: {
    process.limits.${resource} =
      let
        parts = lib.splitString ":" (toString (last value));
        bound = part: parse context.where (if part == "infinity" then part else part);
      in
      {
        soft = bound (lib.head parts);
        hard = bound (lib.last parts);
      };
  };
  count = where: value: if value == "infinity" then null else integer where value;
  seconds =
    where: value:
    let
      time = milliseconds where value;
    in
    if time == null then null else (time + 999) / 1000;

  rootOf = ofUser: ofMachine: if scope == "user" then ofUser else ofMachine;

  # `RuntimeDirectory` and its kin: directories below a root, and the variable that names them.
  directories =
    {
      root,
      variable,
      modeKey,
      ownedByRoot ? false,
    }:
    context: value:
    let
      # `name:link` would make a link, too.
      names = map (
        word:
        let
          name = specifiers context.name context.where word;
        in
        if lib.hasInfix ":" name then
          throw "${context.where}: '${name}' is not supported: no links are made to directories; name the directory alone"
        else
          name
      ) (wordsOf value);
      paths = map (name: "${root}/${name}") names;
      mode = toString (context.config.${modeKey} or "0755");
      keeps = last (context.config.RuntimeDirectoryPreserve or "no");
      atRestart = keeps == "restart";
    in
    {
      directories = map (path: {
        inherit path mode;
        root = ownedByRoot;
        removedAtStop =
          modeKey == "RuntimeDirectoryMode"
          && (atRestart || !boolean "${context.where}Preserve" keeps);
        keptAtRestart = modeKey == "RuntimeDirectoryMode" && atRestart;
      }) paths;
      process.environment.${variable} = lib.mkDefault (lib.concatStringsSep ":" paths);
    };

  # Numbers and ranges, of which several lines are one list.
  cpuset =
    file: context: value:
    let
      words = lib.filter (word: word != "") (lib.concatMap (lib.splitString ",") (wordsOf value));
      checked = map (
        word:
        if builtins.match "[0-9]+(-[0-9]+)?" word == null then
          throw "${context.where}: '${word}' is no number or range, such as 0-3"
        else
          word
      ) words;
    in
    lib.optionalAttrs (words != [ ]) { cgroup.${file} = lib.concatStringsSep "," checked; };
  cgroup = file: write: context: value: { cgroup.${file} = toString (write context (last value)); };
  memory =
    context: value:
    let
      size = bytes context.where value;
    in
    if lib.hasSuffix "%" (toString value) then
      throw "${context.where}: shares of memory are not supported; give a size, such as 512M"
    else if size == null then
      "max"
    else
      size;

  # `NAME=value` words, in which quotes hold blanks.
  assignments =
    context: value:
    lib.listToAttrs (
      lib.concatMap (
        line:
        map (
          word:
          let
            parts = builtins.match "([^=]+)=(.*)" (specifiers context.name context.where word);
          in
          if parts == null then
            throw "${context.where}: '${word}' is not NAME=value"
          else
            lib.nameValuePair (builtins.unsafeDiscardStringContext (lib.head parts)) (
              lib.addContextFrom (toString line) (lib.elemAt parts 1)
            )
        ) (values.split context.where line)
      ) (list value)
    );

  # `name:content` words, of which the content is in the given field of a credential.
  credentials = field: pattern: complaint: context: value: {
    credentials = lib.listToAttrs (
      map (
        word:
        let
          parts = builtins.match "([^:]+):${pattern}" (specifiers context.name context.where word);
        in
        if parts == null then
          throw "${context.where}: '${word}' ${complaint}"
        else
          lib.nameValuePair (lib.head parts) { ${field} = lib.elemAt parts 1; }
      ) (list value)
    );
  };

  # `path:name:options`, of which the name is that of the file if there is none.
  openFile =
    context: word:
    let
      parts = map (specifiers context.name context.where) (lib.splitString ":" (toString word));
      path = lib.head parts;
      name = if lib.length parts > 1 then lib.elemAt parts 1 else "";
      options = lib.filter (option: option != "") (
        lib.splitString "," (if lib.length parts > 2 then lib.elemAt parts 2 else "")
      );
      modes = lib.remove "graceful" options;
    in
    if lib.length parts > 3 || lib.length modes > 1 || lib.unique options != options then
      throw "${context.where}: '${toString word}' is not path:name:options, of which options one of read-only, append and truncate may be, and graceful"
    else
      {
        inherit path;
        name = if name == "" then builtins.unsafeDiscardStringContext (baseNameOf path) else name;
        optional = lib.elem "graceful" options;
        mode = lib.head (modes ++ [ "read-write" ]);
      };

  # A status by its number or by its name in sysexits.h, or a signal.
  ends =
    context: value:
    map (
      word:
      if builtins.match "[0-9]+" word != null then
        integer context.where word
      else
        statuses.${word} or (
          if builtins.match "(SIG)?(${lib.concatStringsSep "|" signals})" word != null then
            word
          else
            throw "${context.where}: '${word}' is neither a status nor a signal; examples are 75, TEMPFAIL and SIGKILL"
        )
    ) (wordsOf value);
  signals = lib.splitString " " "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
  statuses = {
    SUCCESS = 0;
    FAILURE = 1;
    INVALIDARGUMENT = 2;
    NOTIMPLEMENTED = 3;
    NOPERMISSION = 4;
    NOTINSTALLED = 5;
    NOTCONFIGURED = 6;
    NOTRUNNING = 7;
    USAGE = 64;
    DATAERR = 65;
    NOINPUT = 66;
    NOUSER = 67;
    NOHOST = 68;
    UNAVAILABLE = 69;
    SOFTWARE = 70;
    OSERR = 71;
    OSFILE = 72;
    CANTCREAT = 73;
    IOERR = 74;
    TEMPFAIL = 75;
    PROTOCOL = 76;
    NOPERM = 77;
    CONFIG = 78;
  };

  signal = context: value: text context value;

  # `field` is that of the process.
  output =
    field: context: value:
    let
      word = text context value;
    in
    if word == "inherit" then
      { }
    else if word == "tty" then
      terminal context
    else if word == "socket" then
      lib.throwIf (toString (last (context.config.StandardInput or "null")) != "socket")
        "${context.where}: 'socket' is not supported without StandardInput = \"socket\""
        { }
    else if
      lib.elem word [
        "journal"
        "journal+console"
        "kmsg"
        "kmsg+console"
        "syslog"
      ]
    then
      # Errors that are to be in the log are not where output goes.
      lib.optionalAttrs (field == "error") (process {
        error = "log";
      })
    else if word == "null" || builtins.match "(file|append|truncate):[/%].+" word != null then
      process { ${field} = word; }
    else
      throw "${context.where}: '${word}' is not supported; known are journal, null, append:/path, file:/path and truncate:/path";

  # That of its own, or the machine's.
  terminal =
    context:
    if context.config ? TTYPath then
      { }
    else if scope == "user" then
      throw "${context.where}: 'tty' is not supported: a user's services have no terminal"
    else
      process { tty = "/dev/console"; };

  # With its socket as input, output goes there too, and errors where output goes, unless somebody says
  # otherwise.
  connected =
    context:
    let
      word = key: toString (last (context.config.${key} or "inherit"));
      isSocket =
        key:
        lib.elem (word key) [
          "inherit"
          "socket"
        ];
      output = isSocket "StandardOutput";
    in
    process {
      connected =
        [ "input" ]
        ++ lib.optional output "output"
        ++ lib.optional (word "StandardError" == "socket" || output && isSocket "StandardError") "error";
    };

  supported = import ./confinement.nix { inherit lib scope; } // {
    Type =
      context: value:
      let
        type = toString (last value);
        table = {
          simple = "simple";
          exec = "simple";
          idle = "simple";
          oneshot = "oneshot";
          notify = "notify";
          notify-reload = "notify";
          forking = "forking";
        };
      in
      if type == "dbus" then
        throw "${context.where}: 'dbus' is not supported; use notify or simple"
      else
        {
          kind = pick context table value;
        }
        // lib.optionalAttrs (type == "notify-reload") { reload = {
            signal = lib.mkDefault "SIGHUP";
            announced = true;
          };
        };
    ExecStart = _: _: { }; # with Type, in unit.nix
    ExecStartPre = context: value: { preStart = lib.mkAfter (commands context value); };
    ExecStartPost = context: value: { postStart = lib.mkAfter (commands context value); };
    ExecStop = context: value: { preStop = lib.mkAfter (commands context value); };
    ExecStopPost = context: value: { postStop = lib.mkAfter (commands context value); };
    ExecReload =
      context: value:
      let
        all = commands context value;
        # A signal to the main process needs no program that sends it.
        words = lib.concatStringsSep " " (lib.head all).argv;
        kill = builtins.match ".*/kill (-s |-n |--signal[ =]|-)(SIG)?([A-Z0-9]+) [$]([{])?MAINPID(})?" words;
      in
      if lib.length all == 1 && kill != null then
        { reload.signal = lib.elemAt kill 2; }
      else
        { reload.commands = all; };
    ExecCondition = context: value: {
      preStart = lib.mkOrder 400 (map (command: command // { condition = true; }) (commands context value));
    };
    ExitType =
      context: value:
      let
        lasts = pick context {
          main = false;
          cgroup = true;
        } value;
      in
      if lasts && toString (last (context.config.Type or "simple")) == "oneshot" then
        throw "${context.where}: 'cgroup' is not supported: a oneshot is done when its process is"
      else
        { endsWithLastProcess = lasts; };
    RemainAfterExit =
      context: value:
      let
        remains = boolean context.where (last value);
        isOneshot = toString (last (context.config.Type or "simple")) == "oneshot";
      in
      if isOneshot then { staysUp = remains; } else { outlivesProcess = remains; };
    Sockets = _: value: {
      requires = map (name: "${lib.removeSuffix ".socket" name}.socket") (wordsOf value);
    };
    NonBlocking = context: value: process { nonBlocking = boolean context.where (last value); };
    OpenFile = context: value: process { openFiles = map (openFile context) (list value); };
    FileDescriptorStoreMax = context: value: { storedDescriptors = integer context.where (last value); };
    FileDescriptorStorePreserve = context: value: {
      pinnedDescriptors = pick context {
        yes = true;
        restart = false;
      } value;
    };
    PIDFile =
      context: value:
      let
        path = text context value;
      in
      {
        pidFile = if lib.hasPrefix "/" path || lib.hasPrefix "%" path then path else "${rootOf "%t" "/run"}/${path}";
      };
    GuessMainPID = _: _: { };

    WatchdogSec =
      context: value:
      let
        time = span context value;
      in
      {
        watchdogMs = if time == 0 then null else time;
      };
    OOMPolicy =
      context: value:
      pick context {
        continue.goesOnAfterOom = true;
        stop.goesOnAfterOom = false;
        # The kernel ends all of it at once.
        kill.cgroup."memory.oom.group" = "1";
      } value;

    Restart = context: value: {
      restart.policy = pick context {
        no = "never";
        always = "always";
        on-failure = "on-failure";
        on-abnormal = "on-abnormal";
        on-watchdog = "on-watchdog";
        on-abort = "on-abort";
        on-success = "on-success";
      } value;
    };
    RestartSec =
      context: value:
      let
        delay = span context value;
      in
      {
        restart.delayMs = delay;
        # Somebody who names a time means it.
        restart.maxDelayMs = lib.mkDefault delay;
      };
    # Of those two, one alone means nothing.
    RestartMaxDelaySec =
      context: value:
      lib.optionalAttrs (integer context.where (last (context.config.RestartSteps or 0)) != 0) {
        restart.maxDelayMs = span context value;
      };
    RestartRandomizedDelaySec = context: value: { restart.randomDelayMs = span context value; };
    RestartPreventExitStatus = context: value: { restart.finalStatuses = ends context value; };
    RestartForceExitStatus = context: value: { restart.restartStatuses = ends context value; };
    SuccessExitStatus = context: value: { restart.successStatuses = ends context value; };
    RestartSteps =
      context: value:
      lib.optionalAttrs (context.config ? RestartMaxDelaySec) {
        restart.steps = integer context.where (last value);
      };
    RuntimeMaxSec = context: value: { runtimeMaxMs = span context value; };
    RuntimeRandomizedExtraSec = context: value: {
      runtimeRandomExtraMs = span context value;
    };
    TimeoutSec = context: value: {
      startTimeoutMs = patience context value;
      stop.timeoutMs = patience context value;
    };
    TimeoutStartSec = context: value: { startTimeoutMs = patience context value; };
    TimeoutStopSec = context: value: { stop.timeoutMs = patience context value; };

    KillMode = context: value: {
      stop.killMode = pick context {
        control-group = "all";
        mixed = "mixed";
        process = "main";
      } value;
    };
    # What is never to be killed is waited for.
    SendSIGKILL =
      context: value:
      lib.optionalAttrs (!boolean context.where (last value)) {
        stop.timeoutMs = lib.mkForce (patience context "infinity");
      };
    KillSignal = context: value: { stop.signal = signal context value; };
    ReloadSignal = context: value: { reload.signal = lib.mkForce (signal context value); };

    User = context: value: process { user = text context value; };
    Group = context: value: process { group = text context value; };
    SupplementaryGroups = _: value: process { supplementaryGroups = wordsOf value; };
    DynamicUser = _: _: { }; # in unit.nix
    RemoveIPC =
      context: value:
      lib.optionalAttrs (scope == "system") { removesIpc = boolean context.where (last value); };
    UMask = _: value: process { umask = toString (last value); };
    WorkingDirectory =
      context: value:
      let
        path = text context value;
      in
      process {
        workingDirectory =
          if scope == "user" then lib.replaceStrings [ "~" ] [ "%h" ] path else path;
      };
    Environment = context: value: process { environment = assignments context value; };
    EnvironmentFile =
      context: value:
      process {
        environmentFiles = map (
          path:
          let
            whole = specifiers context.name context.where (toString path);
          in
          {
            path = lib.removePrefix "-" whole;
            optional = lib.hasPrefix "-" whole;
          }
        ) (list value);
      };
    PassEnvironment =
      context: _: throw "${context.where}: not supported: services inherit nothing; set environment";
    TTYPath = context: value: process { tty = text context value; };
    StandardInput =
      context: value:
      let
        word = text context value;
      in
      if lib.hasPrefix "tty" word then
        terminal context
      else if word == "null" then
        { }
      else if word == "socket" then
        connected context
      else
        throw "${context.where}: '${word}' is not supported; input is /dev/null, or the socket";
    StandardOutput = output "output";
    StandardError = output "error";

    Nice = context: value: process { nice = integer context.where (last value); };
    OOMScoreAdjust = context: value: process { oomScoreAdjust = integer context.where (last value); };
    AmbientCapabilities = _: value: process { ambientCapabilities = map lib.toLower (wordsOf value); };
    CapabilityBoundingSet =
      _: value:
      let
        given = values.choice value;
        names = map lib.toLower given.words;
      in
      process (
        # An empty value takes all away.
        if given == null then
          { boundingCapabilities = [ ]; }
        else if given.except then
          { confinement.droppedCapabilities = names; }
        else
          { boundingCapabilities = names; }
      );
    NoNewPrivileges = context: value: process { noNewPrivileges = boolean context.where (last value); };

    IgnoreSIGPIPE =
      context: value: process { heedsSigpipe = !boolean context.where (last value); };

    CPUSchedulingPolicy =
      context: value:
      process {
        scheduling.policy = pick context (lib.genAttrs [ "other" "batch" "idle" "fifo" "rr" ] (
          word: word
        )) value;
      };
    CPUSchedulingPriority =
      context: value: process { scheduling.priority = integer context.where (last value); };
    CPUSchedulingResetOnFork =
      context: value: process { scheduling.resetOnFork = boolean context.where (last value); };
    CPUAffinity =
      context: value:
      let
        numbers =
          word:
          let
            ends = map (integer context.where) (lib.splitString "-" word);
          in
          lib.range (lib.head ends) (lib.last ends);
        words = lib.concatMap (word: lib.filter (part: part != "") (lib.splitString "," word)) (
          wordsOf value
        );
      in
      process { processors = lib.concatMap numbers words; };
    IOSchedulingClass =
      context: value:
      process {
        ioScheduling.class = pick context {
          "1" = "realtime";
          realtime = "realtime";
          "2" = "best-effort";
          best-effort = "best-effort";
          "3" = "idle";
          idle = "idle";
          "0" = "best-effort";
          none = "best-effort";
        } value;
      };
    IOSchedulingPriority =
      context: value: process { ioScheduling.priority = integer context.where (last value); };
    UnsetEnvironment =
      context: value:
      process { unsetEnvironment = map (specifiers context.name context.where) (wordsOf value); };

    # The kernel knows no endless number of files: this is as many as it allows by default.
    LimitNOFILE = limit "nofile" (
      where: value: if value == "infinity" then 1048576 else integer where value
    );
    LimitNPROC = limit "nproc" count;
    LimitCORE = limit "core" bytes;
    LimitMEMLOCK = limit "memlock" bytes;
    LimitSTACK = limit "stack" bytes;
    LimitAS = limit "as" bytes;
    LimitFSIZE = limit "fsize" bytes;
    LimitDATA = limit "data" bytes;
    LimitRSS = limit "rss" bytes;
    LimitCPU = limit "cpu" seconds;
    LimitLOCKS = limit "locks" count;
    LimitSIGPENDING = limit "sigpending" count;
    LimitMSGQUEUE = limit "msgqueue" bytes;
    # With a sign it is a nice value, and without one what the kernel counts: from 1 up to 40.
    LimitNICE = limit "nice" (
      where: value:
      if builtins.match "[+-][0-9]+" (toString value) == null then
        count where value
      else
        20 - integer where (lib.removePrefix "+" value)
    );
    LimitRTPRIO = limit "rtprio" count;
    # A number is one of microseconds there.
    LimitRTTIME = limit "rttime" (
      where: value:
      if builtins.match "[0-9]+" (toString value) != null then
        integer where value
      else
        let
          time = milliseconds where value;
        in
        if time == null then null else time * 1000
    );

    RuntimeDirectory = directories {
      root = rootOf "%t" "/run";
      variable = "RUNTIME_DIRECTORY";
      modeKey = "RuntimeDirectoryMode";
    };
    StateDirectory = directories {
      root = rootOf "%S" "/var/lib";
      variable = "STATE_DIRECTORY";
      modeKey = "StateDirectoryMode";
    };
    CacheDirectory = directories {
      root = rootOf "%C" "/var/cache";
      variable = "CACHE_DIRECTORY";
      modeKey = "CacheDirectoryMode";
    };
    LogsDirectory = directories {
      root = rootOf "%L" "/var/log";
      variable = "LOGS_DIRECTORY";
      modeKey = "LogsDirectoryMode";
    };
    ConfigurationDirectory = directories {
      root = rootOf "%E" "/etc";
      variable = "CONFIGURATION_DIRECTORY";
      modeKey = "ConfigurationDirectoryMode";
      ownedByRoot = true;
    };
    RuntimeDirectoryMode = _: _: { };
    StateDirectoryMode = _: _: { };
    CacheDirectoryMode = _: _: { };
    LogsDirectoryMode = _: _: { };
    ConfigurationDirectoryMode = _: _: { };
    RuntimeDirectoryPreserve = _: _: { };

    # `name:path`, and a relative path is one of the credentials that the machine itself was given.
    LoadCredential =
      credentials "file" "(/.*)"
        "is not name:/path; credentials of the machine are not supported";
    SetCredential = credentials "text" "(.*)" "is not name:text";

    AllowedCPUs = cpuset "cpuset.cpus";
    AllowedMemoryNodes = cpuset "cpuset.mems";
    LogLevelMax =
      context: value:
      let
        names = [ "emerg" "alert" "crit" "err" "warning" "notice" "info" "debug" ];
        numbers = lib.listToAttrs (
          lib.concatLists (
            lib.imap0 (number: name: map (word: lib.nameValuePair word number) [ name (toString number) ]) names
          )
        );
      in
      {
        leastLogLevel = pick context (numbers // { "" = null; }) value;
      };

    MemoryMax = cgroup "memory.max" memory;
    MemoryHigh = cgroup "memory.high" memory;
    MemoryMin = cgroup "memory.min" memory;
    MemoryLow = cgroup "memory.low" memory;
    MemorySwapMax = cgroup "memory.swap.max" memory;
    # Its processes are in a group below its own, as with DelegateSubgroup.
    Delegate =
      context: value:
      let
        word = toString (last value);
        named = lib.any (controller: lib.hasInfix controller word) [
          "cpu"
          "io"
          "memory"
          "pids"
        ];
      in
      lib.optionalAttrs (named || boolean context.where (last value)) {
        delegated = true;
        stop.killMode = lib.mkDefault "mixed";
      };
    DelegateSubgroup = _: _: { };
    TasksMax = cgroup "pids.max" (
      context: value: if value == "infinity" then "max" else integer context.where value
    );
    CPUWeight = cgroup "cpu.weight" (context: integer context.where);
    IOWeight = cgroup "io.weight" (context: integer context.where);
    CPUQuota = cgroup "cpu.max" (
      context: value:
      let
        parts = builtins.match "([0-9]+)([.]([0-9])([0-9]?))?%" (toString value);
        digit = number: if lib.elem (lib.elemAt parts number) [ null "" ] then 0 else lib.toInt (lib.elemAt parts number);
        share = integer context.where (lib.head parts) * 1000 + digit 2 * 100 + digit 3 * 10;
      in
      if parts == null then
        throw "${context.where}: '${toString value}' is no share, such as 50%"
      else
        "${toString share} 100000"
    );
  };

  ignored = import ./ignored.nix { inherit lib; };

  # Only root can do those.
  ofRoot = lib.genAttrs [
    "User"
    "Group"
    "SupplementaryGroups"
    "DynamicUser"
    "TTYPath"
    "AmbientCapabilities"
    "CapabilityBoundingSet"
    "LoadCredential"
    "SetCredential"
    "PrivateTmp"
    "PrivateDevices"
    "DevicePolicy"
    "DeviceAllow"
    "IPAddressAllow"
    "IPAddressDeny"
    "AllowedCPUs"
    "AllowedMemoryNodes"
    "PrivateNetwork"
    "PrivateIPC"
    "PrivateMounts"
    "PrivateUsers"
    "ProtectSystem"
    "ProtectHome"
    "ProtectKernelTunables"
    "ProtectKernelModules"
    "ProtectKernelLogs"
    "ProtectControlGroups"
    "ProtectClock"
    "ProtectHostname"
    "ProtectProc"
    "ProcSubset"
    "ReadWritePaths"
    "ReadOnlyPaths"
    "InaccessiblePaths"
    "ExecPaths"
    "NoExecPaths"
    "BindPaths"
    "BindReadOnlyPaths"
    "TemporaryFileSystem"
    "RootDirectory"
    "MountAPIVFS"
  ] (_: "a user's supervisor has no right to do that; run it as systemd.services with a user");

  # Keys without which a service would not work, with a way out.
  refused = lib.optionalAttrs (scope == "user") ofRoot // {
    RootImage = "images as roots are not supported; use RootDirectory";
    LoadCredentialEncrypted = "credentials are not decrypted; use LoadCredential";
    SetCredentialEncrypted = "credentials are not decrypted; use LoadCredential";
    ImportCredential = "the machine itself is given no credentials; use LoadCredential";
    NetworkNamespacePath = "network namespaces are not there yet";
    JoinsNamespaceOf = "it belongs into unitConfig";
    SurviveFinalKillSignal = "it belongs into unitConfig";
    StandardInputText = "input is /dev/null";
    StandardInputData = "input is /dev/null";
    PermissionsStartOnly = "write + before the commands that root is to run";
    ConditionPathExists = "it belongs into unitConfig";
    After = "it belongs into the unit: after";
    Requires = "it belongs into the unit: requires";
    Wants = "it belongs into the unit: wants";
    WantedBy = "it belongs into the unit: wantedBy";
    X-RestartIfChanged = "it belongs into the unit: restartIfChanged";
    StartLimitIntervalSec = "it belongs into the unit: startLimitIntervalSec";
    StartLimitInterval = "it belongs into the unit: startLimitIntervalSec";
    StartLimitBurst = "it belongs into the unit: startLimitBurst";
  };
in
{
  supported = if scope == "user" then lib.removeAttrs supported (lib.attrNames ofRoot) else supported;
  ignored = ignored.why;
  inherit (ignored) missed;
  inherit refused commands;
}
