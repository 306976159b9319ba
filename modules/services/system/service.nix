# One service, portably described: NixOS's modular services, and what Cairn's supervisor can do
# beyond them. A package may bring such a module along; a user imports it and fills in what is left.
{ pkgs, lib }:
let
  inherit (lib) literalExpression mkOption types;
  inherit (import ./fields.nix { inherit lib; }) list nullable;

  string = types.coercedTo types.package toString types.str;
  name = types.strMatching "[[:alnum:]][[:alnum:]_.@:-]{0,63}";
  names = types.listOf name;
  path = types.strMatching "/(dev|sys)/.+";
  milliseconds = types.ints.between 0 4294967295;

  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };

  command = types.coercedTo (types.listOf string) (argv: { inherit argv; }) (
    types.submodule {
      options = {
        argv = mkOption {
          type = types.listOf string;
          description = "Program and arguments; there is no shell in between.";
        };
        argv0 = nullable string "What the program sees as its name; the first of {option}`argv` if nothing is said.";
        expand = flag false "Whether `$NAME` and `\${NAME}` stand for variables of the environment.";
        asRoot = flag false "Whether it runs as root, whoever the service runs as.";
        ignoreFailure = flag false "Whether it may fail without consequences.";
        condition = flag false ''
          Whether it decides if there is a start, as one of {option}`preStart`: with a status from 1 to 254 that does
          nothing more.
        '';
      };
    }
  );
  commands = list command;

  limit =
    types.coercedTo types.int
      (bound: {
        soft = bound;
        hard = bound;
      })
      (
        types.submodule {
          options = {
            soft = nullable types.ints.unsigned "In force until the process raises it; `null` is no bound.";
            hard = nullable types.ints.unsigned "Up to where the process may raise it; `null` is no bound.";
          };
        }
      );

  activation = import ./activation.nix { inherit lib; };

  action = types.enum (
    lib.concatMap
      (word: [
        word
        "${word}-force"
      ])
      [
        "reboot"
        "poweroff"
        "halt"
        "kexec"
        "soft-reboot"
      ]
  );

  end = types.either types.ints.u8 (types.strMatching "(SIG)?[A-Z0-9]+");

  mode = types.strMatching "0?[0-7]{3,4}";

  directory = types.submodule {
    options = {
      path = mkOption {
        type = types.strMatching "[/%].+";
        description = "Absolute path.";
      };
      mode = mkOption {
        type = mode;
        default = "0755";
        description = "Permission bits in octal.";
      };
      root = flag false "Whether it belongs to root, and not to the service's user.";
      removedAtStop = flag false "Whether it is removed when the service has stopped.";
      keptAtRestart = flag false "Whether it stays then all the same if the service is only started again.";
    };
  };

  outlet = types.strMatching "log|null|(file|append|truncate):[/%].+";

  condition = types.submodule {
    options = {
      kind = mkOption {
        type = types.enum [
          "path-exists"
          "path-exists-glob"
          "path-is-directory"
          "path-is-symbolic-link"
          "path-is-mount-point"
          "path-is-read-write"
          "file-not-empty"
          "file-is-executable"
          "directory-not-empty"
          "kernel-command-line"
          "kernel-version"
          "kernel-module-loaded"
          "virtualization"
          "architecture"
          "firmware"
          "host"
          "ac-power"
          "memory"
          "cpus"
          "user"
          "capability"
          "control-group-controller"
          "security"
        ];
        description = "What is looked at, as `Condition…=` of {manpage}`systemd.unit(5)` have it.";
      };
      value = mkOption {
        type = types.str;
        description = "A path, or what else that is compared with.";
      };
      negate = flag false "Whether it must not hold.";
      alternative = flag false "Whether it is enough that one of those with this holds.";
      asserted = flag false "Whether a start fails where it does not hold, instead of doing nothing.";
    };
  };

  configData =
    { name, config, ... }:
    {
      options = {
        enable = flag true "Whether the file is there.";
        name = mkOption {
          type = types.str;
          default = name;
          description = "The file's path among the service's files.";
        };
        path = mkOption {
          type = types.str;
          readOnly = true;
          description = "Where the service finds the file.";
        };
        text = nullable types.lines "What the file holds.";
        source = mkOption {
          type = types.path;
          description = "The file's source.";
        };
      };
      config.source = lib.mkIf (config.text != null) (
        lib.mkDefault (pkgs.writeText (lib.replaceStrings [ "/" ] [ "-" ] name) config.text)
      );
    };
in
{
  _class = "service";

  options = {
    enable = flag true "Whether the service is there at all.";

    description = mkOption {
      type = types.str;
      default = "";
      description = "One line for people.";
    };

    configData = mkOption {
      type = types.attrsOf (types.submodule configData);
      default = { };
      example = literalExpression ''{ "server.conf".text = "port = 8080"; }'';
      description = "Files that the service reads, by name.";
    };

    assertions = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      internal = true;
      description = "What must hold for the service to make sense.";
    };
    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "What somebody should be told.";
    };
    meta = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      internal = true;
      description = "About the module.";
    };

    kind = mkOption {
      type = types.enum [
        "simple"
        "oneshot"
        "notify"
        "forking"
        "milestone"
        "socket"
        "path"
        "device"
      ];
      default = "simple";
      description = ''
        When it counts as up: `simple`, when its process has been executed; `oneshot`, when that has
        ended well; `notify`, when it says so ({manpage}`sd_notify(3)`); `forking`, when it has ended
        well and left another process behind. A `milestone` has no process, and is there to be waited
        for. A `socket` listens, and a `path` watches files, until there is a reason to start a service. A `device`
        is up as long as it is there.
      '';
    };
    readiness = {
      descriptor = nullable (types.ints.between 3 255) ''
        A `simple` one counts as up when its process writes a line feed to this descriptor, as s6 has it
        (`notification-fd`).
      '';
      command = nullable command ''
        A `simple` one counts as up when this command, run again and again until then, ends with status 0.
      '';
      port = nullable types.port ''
        A `simple` one counts as up when one of its processes listens on this port (TCP).
      '';
    };
    inherit (activation) socket watch;
    device = nullable path ''
      What a `device` is: its node or a link to that, such as {file}`/dev/ttyUSB0`, or what the kernel shows of it,
      such as {file}`/sys/class/net/eth0`. It comes up by itself; who waits for it does so for
      {option}`startTimeoutMs`, which is 90 s if nobody says otherwise.
    '';
    devices = list path ''
      Devices that it is there for, such as {file}`/dev/ttyUSB0` or {file}`/sys/class/net/eth0`: it is started
      whenever they have come, stopped when one has gone, and not started at boot for any other reason. Each is a
      service itself (`dev-ttyUSB0.device`).
    '';
    readsOutputOf = nullable name ''
      The service whose output is its standard input. That is in no log then; it waits while this one is down, and
      whoever writes waits once 64 KiB have not been read.
    '';
    storedDescriptors = mkOption {
      type = types.ints.between 0 512;
      default = 0;
      description = ''
        How many descriptors it may leave with the supervisor (`FDSTORE=1` of {manpage}`sd_notify(3)`): it
        gets them back when it is started again, and they are closed when it is stopped.
      '';
    };
    pinnedDescriptors = flag false "Whether those stay when it is stopped, too, and when user space starts again.";
    outlivesUserSpace = flag false ''
      Whether its processes go on while user space starts again (`cairn reboot --soft`), with the sockets and paths
      that start it. It ends with the machine as any other. What it requires, is bound to or is part of must
      outlive user space, too; a device does.
    '';
    notificationProtocol = mkOption {
      type = types.listOf (
        types.enum [
          "systemd"
          "s6"
        ]
      );
      default = [ ];
      description = "How the program can say that it is ready; with `systemd` the kind is `notify`.";
    };

    process = {
      argv = list string "Program and arguments; there is no shell in between.";
      argv0 = nullable string "What the program sees as its name; the first of {option}`argv` if nothing is said.";
      expand = flag false "Whether `$NAME` and `\${NAME}` in arguments stand for variables of the environment.";
      asRoot = flag false "Whether it runs as root and unconfined, whoever the commands around it run as.";
      ignoreFailure = flag false "Whether it may end in any way, which is as good as status 0.";
      environment = mkOption {
        type = types.attrsOf (
          types.nullOr (
            types.coercedTo (types.oneOf [
              types.path
              types.package
              types.int
            ]) toString types.str
          )
        );
        default = { };
        description = "The environment; nothing is inherited. `null` takes a variable away.";
      };
      environmentFiles = list (types.coercedTo types.str (path: { inherit path; }) (
        types.submodule {
          options = {
            path = mkOption {
              type = types.strMatching "[/%].+";
              description = "Absolute path, or a pattern (`/etc/app/*.env`), all of whose files are read in their order.";
            };
            optional = flag false "Whether there need not be one.";
          };
        }
      )) "Files of `NAME=value` lines, read at each start.";
      unsetEnvironment = list types.str "Variables, as `NAME`, or as `NAME=value` if it is that, which it has not, whatever those files and the supervisor say.";
      path = list (types.oneOf [
        types.package
        types.str
      ]) "Packages whose programs are on the path.";
      user = nullable types.str "User to run as; root if there is none.";
      group = nullable types.str "Group to run as; the user's own if there is none.";
      supplementaryGroups = list types.str "Further groups.";
      workingDirectory = nullable (types.strMatching "-?([/%].*|~)") "Where it starts, `~` for its user's home; with a hyphen first it need not exist.";
      connected = list (types.enum [
        "input"
        "output"
        "error"
      ]) "Which of its standard streams are the connection, or the one socket, that it is given.";
      output = nullable outlet ''
        Where what it and its commands write goes: `log`, its log; `null`, nowhere; `append:/path`, the end of a file;
        `file:/path`, a file from its beginning on; `truncate:/path`, a file that is emptied. Files are made if they are
        not there. No link at the end of the path is followed.
      '';
      error = nullable outlet "Where errors go; as {option}`output` if nothing is said.";
      openFiles = list (types.submodule {
        options = {
          path = mkOption {
            type = types.strMatching "[/%].+";
            description = "Absolute path of a file, or of a socket that is connected to.";
          };
          name = mkOption {
            type = types.strMatching "[^:]{1,255}";
            description = "What the process knows it by (`LISTEN_FDNAMES`).";
          };
          mode = mkOption {
            type = types.enum [
              "read-write"
              "read-only"
              "append"
              "truncate"
            ];
            default = "read-write";
            description = "How a file is opened. It is never made.";
          };
          optional = flag false "Whether the service starts without it if it cannot be opened.";
        };
      }) "What is opened for it, and given to it behind its sockets.";
      nonBlocking = flag false "Whether the sockets and open files that it is given do not block.";
      tty = nullable (types.strMatching "/dev/.+") "Terminal that it controls, with its input and output on it.";
      umask = nullable (types.strMatching "[0-7]{3,4}") "Permission bits that new files do not get.";
      limits = mkOption {
        type = types.attrsOf limit;
        default = { };
        example = {
          nofile = 65536;
        };
        description = "Bounds of resources by their names in {manpage}`setrlimit(2)`, in small letters.";
      };
      nice = nullable (types.ints.between (-20) 19) "-20 is first in line, 19 last.";
      scheduling = nullable (types.submodule {
        options = {
          policy = mkOption {
            type = types.enum [
              "other"
              "batch"
              "idle"
              "fifo"
              "rr"
            ];
            default = "other";
            description = "As usual; long work; when there is nothing else to do; in real time, in two ways.";
          };
          priority = mkOption {
            type = types.ints.between 0 99;
            default = 0;
            description = "1 to 99 in real time.";
          };
          resetOnFork = flag false "Whether its children are scheduled as usual.";
        };
      }) "How its processor time is scheduled ({manpage}`sched(7)`).";
      processors = nullable (types.listOf types.ints.u16) "The processors that it may run on, from 0.";
      ioScheduling = nullable (types.submodule {
        options = {
          class = mkOption {
            type = types.enum [
              "realtime"
              "best-effort"
              "idle"
            ];
            default = "best-effort";
            description = "Before all others; as usual; when nobody else reads or writes.";
          };
          priority = mkOption {
            type = types.ints.between 0 7;
            default = 4;
            description = "0 is first in line, 7 last.";
          };
        };
      }) "Its place among those that read and write ({manpage}`ioprio_set(2)`).";
      oomScoreAdjust = nullable (types.ints.between (
        -1000
      ) 1000) "How likely it is killed when memory is short.";
      ambientCapabilities = list types.str "Capabilities that it has although its user is not root.";
      boundingCapabilities = nullable (types.listOf types.str) "The only capabilities that it can ever have.";
      noNewPrivileges = nullable types.bool ''
        Whether it gets no rights from setuid programs and file capabilities. By default it gets none if its
        user is not root.
      '';
      heedsSigpipe = flag false ''
        Whether SIGPIPE ends it and the commands around it, as it ends what people type. Otherwise they start with
        that signal ignored: a write that nobody reads is an error that they are told. A shell cannot change that for
        what it starts, so whoever starts people's shells and commands should heed it.
      '';
      confinement = import ./confinement.nix { inherit lib; };
    };

    preStart = commands "Run one after the other before the process.";
    postStart = commands "Run one after the other when the process is up; then the service counts as up.";
    preStop = commands "Run one after the other before the process is asked to end.";
    postStop = commands "Run one after the other when the process has ended.";
    reload = {
      commands = commands "What makes it read its configuration again, with `MAINPID` in the environment.";
      signal = nullable types.str "The signal that makes it do so.";
      announced = flag false ''
        Whether it says when it begins to do so after that signal and when it is done (`RELOADING=1` and `READY=1` of
        {manpage}`sd_notify(3)`), which is waited for.
      '';
    };

    requires = list name "Must be up before it starts; it is stopped before those are.";
    requisite = list name "As {option}`requires`, but they are not started along with it: it fails where one is neither up nor on its way.";
    bindsTo = list name "As {option}`requires`; and it is stopped when one of them has gone down by itself.";
    wants = list name "Started along with it; their failure is no obstacle. Of a device: each time that it has come.";
    upholds = list name "Started whenever they are down while it is up: when it has come up, and after whatever end.";
    upheldBy = list name "Those uphold it in the same way.";
    after = list name "If they are to start, it waits until they are up or have failed.";
    before = list name "Those wait for it in the same way.";
    partOf = list name "It is stopped and restarted with them.";
    conflicts = list name "They are stopped before it is started, and it is before they are.";
    onFailure = list name "Started when it has failed.";
    onSuccess = list name "Started when its process has ended as it should, and it is not started again by itself.";
    tellsOfRestarts = flag false "Whether those of {option}`onFailure` and {option}`onSuccess` are started at each of its ends, also where it is started again by itself.";
    failureAction = nullable action ''
      What happens to the machine when it has failed and is not started again by itself. With `-force` the other
      services are not stopped one after the other, but all processes at once; file systems are unmounted in any case.
    '';
    successAction = nullable action "The same, when its process has ended as it should, and it is not started again by itself.";
    startLimitAction = nullable action "The same, when it was started more often than {option}`restart.limit` allows; without it, that is a failure.";
    wantedAtBoot = flag true "Whether it is started at boot.";
    stopWhenUnneeded = flag false ''
      Whether it is stopped when nothing that requires, wants or upholds it is up or on its way. What is wanted at boot
      goes on.
    '';
    noStartByHand = flag false "Whether `cairn start` and `cairn restart` refuse it.";
    noStopByHand = flag false "Whether `cairn stop` and `cairn restart` refuse it; `cairn disable` stops it all the same.";
    wantedBy = list name "Services that are started together with it.";
    requiredBy = list name "Services that need it to be up.";

    conditions = list condition "Where one does not hold, a start does nothing.";
    directories = list directory "Directories that are made before it starts, for its user.";
    credentials = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            file = nullable (types.strMatching "/.+") "A file, read by root at each start; of a directory, every file.";
            text = nullable types.str "What is in it. It is in the store, which everybody can read.";
          };
        }
      );
      default = { };
      example = {
        password.file = "/var/lib/secrets/password";
      };
      description = ''
        Secrets that it is given as files in the directory that `CREDENTIALS_DIRECTORY` names: in memory
        that is never swapped out, for its user alone, while it runs.
      '';
    };
    removesIpc = flag false ''
      Whether what its user's processes have left to each other (queues, semaphores, shared memory) is removed when it has
      stopped, unless another service runs as that user, or the user is root.
    '';
    delegated = flag false "Whether its user may make control groups below its own; its processes are in one of them, `main`.";
    cgroup = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        "memory.max" = "1G";
      };
      description = "Files of its control group and what is written there.";
    };
    leastLogLevel = nullable (types.ints.between 0 7) ''
      Lines that are less serious than this level, from 0 (an emergency) to 7 (for finding faults), are left out of its log,
      and so are its messages to {file}`/dev/log`. A line begins with `<N>`, or has level 6.
    '';
    goesOnAfterOom = nullable types.bool ''
      Whether it goes on when the kernel has killed a process of it since memory had run out. Otherwise it is stopped, and
      has failed, where one of its files in `cgroup` is a bound of memory; with `"memory.oom.group" = "1"` the kernel
      kills all of it at once. One that does not say goes on if it is `delegated`.
    '';

    pidFile = nullable (types.strMatching "[/%].+") "Where a `forking` one leaves the number of its process.";
    endsWithLastProcess = flag false ''
      Whether it is up until the last process of its control group has ended, unless its main process ends badly.
      Otherwise what its main process leaves behind is ended with it.
    '';
    outlivesProcess = flag false ''
      Whether it stays up, too, if it is no `oneshot` and its process has ended as it should. What that has left running goes
      on until somebody stops it.
    '';
    staysUp = flag true "Whether a `oneshot` counts as up when it is done; if not, its next start runs it again.";

    restart = {
      policy = mkOption {
        type = types.enum [
          "never"
          "on-failure"
          "on-abnormal"
          "on-abort"
          "on-watchdog"
          "on-success"
          "always"
        ];
        default = "always";
        description = "When it is started again after its process has ended by itself.";
      };
      delayMs = mkOption {
        type = milliseconds;
        default = 100;
        description = "Milliseconds before the first restart, 0 for none; doubled while it keeps failing, and at least 100 from the sixth in a row on.";
      };
      maxDelayMs = mkOption {
        type = milliseconds;
        default = 30000;
        description = "The longest such delay.";
      };
      steps = mkOption {
        type = types.ints.u16;
        default = 0;
        description = "In how many equal factors the delay grows to the longest, instead of being doubled.";
      };
      randomDelayMs = mkOption {
        type = milliseconds;
        default = 0;
        description = "Each such delay is longer by up to so many milliseconds, by chance.";
      };
      limit = nullable (types.submodule {
        options = {
          burst = mkOption {
            type = types.ints.positive;
            description = "Starts.";
          };
          intervalMs = mkOption {
            type = milliseconds;
            description = "Milliseconds.";
          };
        };
      }) "More starts in that time, and it has failed for good.";
      successStatuses = list end "Ends that are as good as status 0: statuses, and signals such as `SIGKILL`.";
      finalStatuses = list end "Ends after which it is not started again, whatever {option}`restart.policy` says.";
      restartStatuses = list end "Ends after which it is started again, whatever that says.";
    };

    runtimeMaxMs = nullable milliseconds "Milliseconds for which its process may be up; then it is stopped, and has failed.";
    runtimeRandomExtraMs = mkOption {
      type = milliseconds;
      default = 0;
      description = "That is longer by up to so many milliseconds, by chance.";
    };
    watchdogMs = nullable milliseconds "Milliseconds within which it says again and again that it lives (`WATCHDOG=1`), or it is aborted and has failed.";
    startTimeoutMs = nullable milliseconds "Milliseconds within which it must be up.";
    stop = {
      timeoutMs = mkOption {
        type = milliseconds;
        default = 5000;
        description = "Milliseconds between the signal to stop and SIGKILL.";
      };
      signal = mkOption {
        type = types.str;
        default = "SIGTERM";
        description = "What asks its processes to end.";
      };
      killMode = mkOption {
        type = types.enum [
          "all"
          "mixed"
          "main"
        ];
        default = "all";
        description = ''
          `all`: every process is asked, also when the main one has ended by itself, and what is left after
          {option}`timeoutMs` is killed; `mixed`: the main one is asked, and what is left when it has ended is killed;
          `main`: others live on.
        '';
      };
    };

    restartTriggers = list types.unspecified ''
      Values that the service depends on without naming them, such as a file below `/etc`. Another
      value is a change of the service. Its own {option}`configData` counts, unless it can be reloaded.
    '';
    reloadTriggers = list types.unspecified ''
      Values that the service reads again when it is reloaded: another value reloads it, or where it
      cannot be, restarts it. The {option}`configData` of a service that can be reloaded counts.
    '';
    restartIfChanged = flag true ''
      Whether a switch to a generation in which it is another restarts it. If not, its processes go on
      until somebody restarts it, and the switch says so.
    '';
    stopIfChanged = flag true ''
      Whether such a restart is a stop before the new generation is activated, and a start after.
      Otherwise both come after.
    '';
    reloadIfChanged = flag false ''
      Whether it is reloaded in place of such a restart; its commands for that are the new generation's.
    '';

    timers = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      internal = true;
      description = "What starts it, by name.";
    };
    startAt = mkOption {
      type = types.either types.str (types.listOf types.str);
      default = [ ];
      example = "daily";
      description = ''
        Calendar expressions, as in {manpage}`systemd.time(7)`: when it is started.
      '';
    };
  };
}
