# `serviceConfig`: the keys that keep a service from things, as the supervisor's confinement.
#
# Source: systemd.exec(5), "Sandboxing", "System call filtering", "Paths".
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  inherit (values)
    boolean
    choice
    last
    list
    specifiers
    wordsOf
    ;

  confinement = set: { process.confinement = set; };
  when =
    set: context: value:
    lib.optionalAttrs (boolean context.where (last value)) (confinement set);

  paths =
    access: names:
    map (path: {
      inherit path access;
      optional = true;
    }) names;
  refused = words: [
    {
      entries = [ "~${words}" ];
      errno = "EPERM";
    }
  ];

  # Wide rules come first, so that those that a user names count where both are for the same path.
  wide = lib.mkOrder 100;
  named = lib.mkOrder 2000;

  # `-` before a path: it need not exist; `+`: it is within the root, as all are here.
  marked =
    context: word:
    let
      parts = builtins.match "([-+]*)(/.*)" (specifiers context.name context.where word);
    in
    if parts == null then
      throw "${context.where}: '${word}' is no absolute path"
    else
      {
        path = lib.addContextFrom word (lib.elemAt parts 1);
        optional = lib.hasInfix "-" (lib.head parts);
      };
  listed =
    access: context: value:
    confinement {
      paths = named (map (word: marked context word // { inherit access; }) (wordsOf value));
    };

  bind =
    readOnly: context: value:
    confinement {
      mounts = map (
        word:
        let
          parts = lib.splitString ":" word;
          source = marked context (lib.head parts);
          target =
            if lib.length parts > 1 && lib.elemAt parts 1 != "" then lib.elemAt parts 1 else source.path;
        in
        {
          source = source.path;
          target = specifiers context.name context.where target;
          inherit (source) optional;
          inherit readOnly;
          flat = lib.length parts > 2 && lib.elemAt parts 2 == "norbind";
        }
      ) (wordsOf value);
    };

  # What every program may expect of the kernel, and an empty place for what is there while it runs.
  kernelFiles =
    map
      (path: {
        source = path;
        target = path;
      })
      [
        "/proc"
        "/sys"
        "/dev"
      ]
    ++ [
      {
        target = "/run";
        options = "mode=0755";
      }
    ];
  # Whether something in memory is to be its root.
  isInMemory =
    context:
    lib.any (word: lib.head (lib.splitString ":" word) == "/") (
      wordsOf (context.config.TemporaryFileSystem or null)
    );

  homes = [
    "/home"
    "/root"
    "/run/user"
  ];

  # A value that is true, false, or one of some words.
  wordOr =
    context: value: table:
    let
      word = toString (last value);
    in
    if builtins.isString (last value) && table ? ${word} then
      table.${word}
    else if boolean context.where (last value) then
      table.true
    else
      { };

  # What every program may expect.
  standardDevices = [
    "/dev/null"
    "/dev/zero"
    "/dev/full"
    "/dev/random"
    "/dev/urandom"
    "/dev/tty"
    "/dev/ptmx"
    "char-pts"
  ];

  rangesOf = {
    any = [
      "0.0.0.0/0"
      "::/0"
    ];
    localhost = [
      "127.0.0.0/8"
      "::1/128"
    ];
    link-local = [
      "169.254.0.0/16"
      "fe80::/64"
    ];
    multicast = [
      "224.0.0.0/4"
      "ff00::/8"
    ];
  };
  addresses =
    field: _: value:
    confinement {
      addresses.${field} = lib.concatMap (word: rangesOf.${word} or [ word ]) (wordsOf value);
    };

  forbid = what: when { forbidden = [ what ]; };
  own = what: when { own = [ what ]; };
in
{
  PrivateTmp =
    context: value:
    wordOr context value (
      lib.genAttrs [ "true" "connected" "disconnected" ] (_: confinement { own = [ "temporary-files" ]; })
    );
  # Devices and addresses are a matter of the control group.
  DevicePolicy =
    context: value:
    let
      word = toString (last value);
      own = map (specifiers context.name context.where) (
        map toString (list (context.config.DeviceAllow or null))
      );
      policies = {
        strict = [ ];
        closed = standardDevices;
        auto = standardDevices;
      };
      policy =
        policies.${word} or (throw "${context.where}: '${word}' is none of auto, closed, strict");
    in
    lib.optionalAttrs (word != "auto" || own != [ ]) (confinement {
      devices.allowed = policy ++ own;
    });
  # With a policy, see there.
  DeviceAllow =
    context: value:
    lib.optionalAttrs (!(context.config ? DevicePolicy) && list value != [ ]) (confinement {
      devices.allowed =
        standardDevices ++ map (specifiers context.name context.where) (map toString (list value));
    });
  IPAddressAllow = addresses "allowed";
  IPAddressDeny = addresses "denied";

  PrivateDevices = when {
    own = [ "devices" ];
    # Also of nodes that somebody makes. Where nobody can (a container), there is its `/dev` alone.
    devices = lib.mkDefault {
      allowed = standardDevices;
      optional = true;
    };
    droppedCapabilities = [
      "cap_mknod"
      "cap_sys_rawio"
    ];
    systemCalls = refused "@raw-io";
  };
  PrivateNetwork = own "network";
  PrivateIPC = own "ipc";
  PrivateMounts = own "mounts";
  PrivateUsers =
    context: value:
    wordOr context value (
      lib.genAttrs [ "true" "self" "identity" ] (_: confinement { own = [ "users" ]; })
    );

  ProtectSystem =
    context: value:
    let
      parts = [
        "/nix"
        "/boot"
        "/usr"
      ];
      some = names: confinement { paths = wide (paths "read-only" names); };
    in
    wordOr context value {
      true = some parts;
      full = some (parts ++ [ "/etc" ]);
      strict = confinement {
        paths = wide (
          paths "read-only" [ "/" ]
          ++ paths "read-write" [
            "/dev"
            "/proc"
            "/sys"
          ]
        );
      };
    };
  ProtectHome =
    context: value:
    wordOr context value {
      true = confinement { paths = wide (paths "inaccessible" homes); };
      read-only = confinement { paths = wide (paths "read-only" homes); };
      tmpfs = confinement {
        mounts = map (target: {
          inherit target;
          readOnly = true;
        }) homes;
      };
    };
  ProtectKernelTunables = when {
    paths =
      paths "read-only" [
        "/proc/acpi"
        "/proc/asound"
        "/proc/bus"
        "/proc/fs"
        "/proc/irq"
        "/proc/latency_stats"
        "/proc/mtrr"
        "/proc/scsi"
        "/proc/sys"
        "/proc/sysrq-trigger"
        "/sys"
      ]
      ++ paths "inaccessible" [
        "/proc/kallsyms"
        "/proc/kcore"
      ]
      # Those have keys of their own.
      ++ paths "read-write" [ "/sys/fs/cgroup" ];
  };
  ProtectKernelModules = when {
    paths = paths "inaccessible" [
      "/lib/modules"
      "/usr/lib/modules"
    ];
    droppedCapabilities = [ "cap_sys_module" ];
    systemCalls = refused "@module";
  };
  ProtectKernelLogs = when {
    paths = paths "inaccessible" [
      "/dev/kmsg"
      "/proc/kmsg"
    ];
    droppedCapabilities = [ "cap_syslog" ];
    systemCalls = refused "syslog";
  };
  ProtectControlGroups =
    context: value:
    wordOr context value (
      lib.genAttrs [ "true" "private" "strict" ] (
        _:
        confinement {
          paths = lib.mkAfter (paths "read-only" [ "/sys/fs/cgroup" ]);
        }
      )
    );
  ProtectClock = when {
    paths = paths "inaccessible" [ "/dev/rtc0" ];
    droppedCapabilities = [
      "cap_sys_time"
      "cap_wake_alarm"
    ];
    systemCalls = refused "@clock";
  };
  ProtectHostname =
    context: value:
    wordOr context value (
      lib.genAttrs [ "true" "private" ] (
        _:
        confinement {
          own = [ "host-name" ];
          systemCalls = refused "sethostname setdomainname";
        }
      )
    );
  ProtectProc =
    context: value:
    let
      table = {
        default = "all";
        noaccess = "no-access";
        invisible = "own";
        ptraceable = "traceable";
      };
      word = toString (last value);
    in
    confinement {
      processes.visible =
        table.${word}
          or (throw "${context.where}: '${word}' is none of ${lib.concatStringsSep ", " (lib.attrNames table)}");
    };
  ProcSubset =
    context: value:
    confinement {
      processes.onlyProcesses =
        {
          all = false;
          pid = true;
        }
        .${toString (last value)}
        or (throw "${context.where}: '${toString (last value)}' is neither all nor pid");
    };

  RootDirectory =
    context: value:
    let
      path = (marked context (toString (last value))).path;
      inMemory = isInMemory context;
    in
    lib.optionalAttrs (path != "/" || inMemory) (confinement {
      mounts = wide (
        lib.optional (!inMemory) {
          source = path;
          target = "/";
        }
        # Programs of the system lie there, whatever the root is.
        ++ [
          {
            source = "/nix/store";
            target = "/nix/store";
            readOnly = true;
            optional = true;
          }
        ]
        ++ lib.optionals (!(context.config ? MountAPIVFS)) kernelFiles
      );
    });
  MountAPIVFS =
    context: value:
    lib.optionalAttrs (
      boolean context.where (last value) && (context.config ? RootDirectory || isInMemory context)
    ) (confinement { mounts = wide kernelFiles; });

  ReadWritePaths = listed "read-write";
  ReadOnlyPaths = listed "read-only";
  InaccessiblePaths = listed "inaccessible";
  ExecPaths = listed "executable";
  NoExecPaths = listed "not-executable";
  BindPaths = bind false;
  BindReadOnlyPaths = bind true;
  TemporaryFileSystem =
    context: value:
    confinement {
      mounts = map (
        word:
        let
          parts = lib.splitString ":" word;
          options = lib.filter (option: option != "") (
            lib.splitString "," (lib.concatStringsSep ":" (lib.tail parts))
          );
        in
        {
          target = (marked context (lib.head parts)).path;
          readOnly = lib.elem "ro" options;
          options = lib.concatStringsSep "," (
            lib.subtractLists [ "ro" "rw" "nodev" "nosuid" "strictatime" ] options
            ++ lib.optional (!lib.any (lib.hasPrefix "mode=") options) "mode=0755"
          );
        }
      ) (wordsOf value);
    };

  RestrictAddressFamilies =
    _: value:
    let
      given = choice value;
    in
    lib.optionalAttrs (given != null) (confinement {
      addressFamilies =
        if given.except then { except = given.words; } else { only = lib.remove "none" given.words; };
    });
  RestrictNamespaces =
    context: value:
    let
      given = choice value;
      kinds = [
        "cgroup"
        "ipc"
        "net"
        "mnt"
        "pid"
        "user"
        "uts"
        "time"
      ];
      isNamed = given != null && lib.any (word: lib.elem word kinds) (wordsOf (lib.replaceStrings [ "~" ] [ "" ] (toString value)));
    in
    if isNamed then
      confinement {
        namespaces = if given.except then lib.subtractLists given.words kinds else given.words;
      }
    else
      lib.optionalAttrs (given != null) (when { namespaces = [ ]; } context value);
  RestrictRealtime = forbid "real-time";
  RestrictSUIDSGID = forbid "set-id-files";
  LockPersonality = forbid "personality";
  MemoryDenyWriteExecute = forbid "writable-code";

  SystemCallFilter =
    context: value:
    let
      entries = list value;
    in
    lib.optionalAttrs (entries != [ ]) (confinement {
      systemCalls = [
        {
          inherit entries;
          errno =
            if context.config ? SystemCallErrorNumber then
              toString (last context.config.SystemCallErrorNumber)
            else
              null;
        }
      ];
    });
  SystemCallErrorNumber = _: _: { }; # in SystemCallFilter
  SystemCallArchitectures =
    context: value:
    if wordsOf value == [ "native" ] then
      confinement { forbidden = [ "other-architectures" ]; }
    else
      throw "${context.where}: only 'native' is supported: filters know the machine's own calls alone";
}
