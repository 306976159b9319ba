//! Services and networking, evaluated by real Nix: what units of systemd become, and what is said of
//! those that cannot become anything.

#![forbid(unsafe_code)]
#![cfg(test)]

mod evaluation;

use cairn_system::SystemDescription;
use evaluation::{Evaluation, repository};
use expect_test::{Expect, expect};
use serde_json::Value;

fn machine(text: &str) -> Evaluation {
    let base = "fileSystems.\"/\".device = \"LABEL=root\";";
    Evaluation::of_text(&format!(
        "{{ config, lib, pkgs, ... }}: {{ {base}\n{text}\n}}"
    ))
}

/// One service as it is in `system.json`, without what names store paths.
fn check(name: &str, text: &str, expected: &Expect) {
    let service = machine(text).value(&format!(
        "builtins.head (builtins.filter (service: service.name == \"{name}\") \
           config.system.description.services)"
    ));
    let text = serde_json::to_string_pretty(&shorten(service)).unwrap();
    expected.assert_eq(&text);
}

/// `/nix/store/<hash>-x` becomes `x`; the search path is left out.
fn shorten(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let parts = text.split("/nix/store/").enumerate().map(|(number, part)| {
                if number == 0 {
                    part
                } else {
                    part.split_once('-').map_or(part, |(_, rest)| rest)
                }
            });
            Value::String(parts.collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(shorten).collect()),
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(key, _)| key != "PATH")
            .map(|(key, value)| (key, shorten(value)))
            .collect(),
        other => other,
    }
}

#[expect(clippy::too_many_lines, reason = "one table of inputs and outputs")]
#[test]
fn a_unit_becomes_a_service() {
    check(
        "backup",
        r#"systemd.services.backup = {
          description = "Copies";
          wantedBy = [ "multi-user.target" ];
          after = [ "network-online.target" "local-fs.target" "db.service" "dev-sda.device" ];
          wants = [ "network-online.target" ];
          environment.TARGET = "a b";
          preStart = "true";
          script = "run";
          reload = "kill -HUP $MAINPID";
          unitConfig.ConditionPathExists = "!/etc/no-backup";
          startLimitBurst = 3;
          serviceConfig = {
            DynamicUser = true;
            StateDirectory = "backup";
            RuntimeDirectory = "backup/a b";
            Restart = "on-failure";
            RestartSec = "1min 500ms";
            LimitNOFILE = "1024:infinity";
            MemoryMax = "1G";
            CPUQuota = "150%";
            PrivateTmp = true;
            CapabilityBoundingSet = "";
            AmbientCapabilities = [ "CAP_NET_RAW" ];
            Environment = [ "A=b \"C=d e\"" ];
            EnvironmentFile = "-/etc/%p.env";
            ExecStopPost = "-+/bin/rm -rf '%t/%n x' $MAINPID";
            WorkingDirectory = "%S/backup";
            KillMode = "mixed";
            SuccessExitStatus = "3 TEMPFAIL SIGKILL";
            RestartPreventExitStatus = [ 4 "HUP" ];
            RestartForceExitStatus = "SIGUSR1";
            RuntimeMaxSec = "1d";
          };
          unitConfig.FailureAction = "reboot-force";
          unitConfig.SuccessAction = "none";
          unitConfig.StartLimitAction = "poweroff";
        };"#,
        &expect![[r#"
            {
              "after": [
                "network-online.target",
                "db"
              ],
              "cgroup": {
                "cpu.max": "150000 100000",
                "memory.max": "1073741824"
              },
              "conditions": [
                {
                  "kind": "path-exists",
                  "negate": true,
                  "value": "/etc/no-backup"
                }
              ],
              "description": "Copies",
              "directories": [
                {
                  "mode": "0755",
                  "path": "/var/lib/backup"
                },
                {
                  "mode": "0755",
                  "path": "/run/backup/a",
                  "removedAtStop": true
                },
                {
                  "mode": "0755",
                  "path": "/run/b",
                  "removedAtStop": true
                }
              ],
              "finalStatuses": [
                4,
                "HUP"
              ],
              "killMode": "mixed",
              "kind": "simple",
              "machineActions": {
                "failure": "reboot-force",
                "startLimit": "poweroff"
              },
              "name": "backup",
              "postStop": [
                {
                  "argv": [
                    "/bin/rm",
                    "-rf",
                    "/run/backup.service x",
                    "$MAINPID"
                  ],
                  "asRoot": true,
                  "expand": true,
                  "ignoreFailure": true
                }
              ],
              "preStart": [
                {
                  "argv": [
                    "unit-script-backup-pre-start"
                  ]
                }
              ],
              "process": {
                "ambientCapabilities": [
                  "cap_net_raw"
                ],
                "argv": [
                  "unit-script-backup-start"
                ],
                "boundingCapabilities": [],
                "confinement": {
                  "own": [
                    "temporary-files"
                  ]
                },
                "environment": {
                  "A": "b",
                  "C": "d e",
                  "RUNTIME_DIRECTORY": "/run/backup/a:/run/b",
                  "STATE_DIRECTORY": "/var/lib/backup",
                  "TARGET": "a b"
                },
                "environmentFiles": [
                  {
                    "optional": true,
                    "path": "/etc/backup.env"
                  }
                ],
                "limits": {
                  "nofile": {
                    "hard": 1048576,
                    "soft": 1024
                  }
                },
                "noNewPrivileges": true,
                "user": "backup",
                "workingDirectory": {
                  "path": "/var/lib/backup"
                }
              },
              "reload": {
                "commands": [
                  {
                    "argv": [
                      "unit-script-backup-reload"
                    ]
                  }
                ]
              },
              "restart": "on-failure",
              "restartDelayMaxMs": 60500,
              "restartDelayMs": 60500,
              "restartStatuses": [
                "SIGUSR1"
              ],
              "runtimeMaxMs": 86400000,
              "startLimit": {
                "burst": 3,
                "intervalMs": 10000
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "successStatuses": [
                3,
                75,
                "SIGKILL"
              ],
              "wantedAtBoot": true,
              "wants": [
                "network-online.target"
              ]
            }"#]],
    );
}

#[expect(clippy::too_many_lines, reason = "a table of inputs and outputs")]
#[test]
fn a_unit_is_confined() {
    check(
        "a",
        r#"
        users.users.a = { isSystemUser = true; group = "a"; };
        users.groups.a = { };
        systemd.services.a.serviceConfig = {
          ExecStart = "/x";
          User = "a";
          StateDirectory = "a";
          PrivateTmp = true;
          PrivateDevices = true;
          PrivateUsers = "self";
          ProtectSystem = "strict";
          ProtectHome = "read-only";
          ProtectKernelModules = true;
          ProtectControlGroups = false;
          ProtectProc = "invisible";
          ProcSubset = "pid";
          ReadWritePaths = [ "/srv" "-/mnt" ];
          BindReadOnlyPaths = "/nix/store/x:/opt -/y::norbind";
          TemporaryFileSystem = "/scratch:ro,size=1M";
          CapabilityBoundingSet = "~CAP_SYS_PTRACE";
          RestrictAddressFamilies = [ "AF_UNIX" "AF_INET" ];
          RestrictNamespaces = "~user pid";
          RestrictSUIDSGID = true;
          LockPersonality = "yes";
          SystemCallArchitectures = "native";
          SystemCallFilter = [ "@system-service" "~@privileged @resources" ];
          SystemCallErrorNumber = "EPERM";
          CPUAffinity = "0-2 5";
          CPUSchedulingPolicy = "batch";
          IOSchedulingClass = "idle";
          UnsetEnvironment = "LANG";
          RestartRandomizedDelaySec = "2s";
          OpenFile = [ "/etc/key" "/srv/log:out:append,graceful" ];
          LoadCredential = [ "key:/etc/key" ];
          SetCredential = "word:some text: more";
        };"#,
        &expect![[r#"
            {
              "credentials": [
                {
                  "name": "key",
                  "source": {
                    "file": "/etc/key"
                  }
                },
                {
                  "name": "word",
                  "source": {
                    "text": "some text: more"
                  }
                }
              ],
              "directories": [
                {
                  "mode": "0755",
                  "path": "/var/lib/a"
                }
              ],
              "kind": "simple",
              "name": "a",
              "process": {
                "argv": [
                  "/x"
                ],
                "confinement": {
                  "addressFamilies": {
                    "only": [
                      "AF_UNIX",
                      "AF_INET"
                    ]
                  },
                  "devices": {
                    "allowed": [
                      "/dev/null",
                      "/dev/zero",
                      "/dev/full",
                      "/dev/random",
                      "/dev/urandom",
                      "/dev/tty",
                      "/dev/ptmx",
                      "char-pts"
                    ],
                    "optional": true
                  },
                  "droppedCapabilities": [
                    "cap_sys_module",
                    "cap_mknod",
                    "cap_sys_rawio",
                    "cap_sys_ptrace"
                  ],
                  "forbidden": [
                    "other-architectures",
                    "set-id-files",
                    "personality"
                  ],
                  "mounts": [
                    {
                      "options": "size=1M,mode=0755",
                      "readOnly": true,
                      "target": "/scratch"
                    },
                    {
                      "readOnly": true,
                      "source": "x",
                      "target": "/opt"
                    },
                    {
                      "flat": true,
                      "optional": true,
                      "readOnly": true,
                      "source": "/y",
                      "target": "/y"
                    }
                  ],
                  "namespaces": [
                    "cgroup",
                    "ipc",
                    "net",
                    "mnt",
                    "uts",
                    "time"
                  ],
                  "own": [
                    "users",
                    "temporary-files",
                    "devices"
                  ],
                  "paths": [
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/"
                    },
                    {
                      "access": "read-write",
                      "optional": true,
                      "path": "/dev"
                    },
                    {
                      "access": "read-write",
                      "optional": true,
                      "path": "/proc"
                    },
                    {
                      "access": "read-write",
                      "optional": true,
                      "path": "/sys"
                    },
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/home"
                    },
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/root"
                    },
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/run/user"
                    },
                    {
                      "access": "inaccessible",
                      "optional": true,
                      "path": "/lib/modules"
                    },
                    {
                      "access": "inaccessible",
                      "optional": true,
                      "path": "/usr/lib/modules"
                    },
                    {
                      "access": "read-write",
                      "path": "/srv"
                    },
                    {
                      "access": "read-write",
                      "optional": true,
                      "path": "/mnt"
                    }
                  ],
                  "processes": {
                    "onlyProcesses": true,
                    "visible": "own"
                  },
                  "systemCalls": [
                    {
                      "entries": [
                        "@system-service",
                        "~@privileged @resources"
                      ],
                      "errno": "EPERM"
                    },
                    {
                      "entries": [
                        "~@module"
                      ],
                      "errno": "EPERM"
                    },
                    {
                      "entries": [
                        "~@raw-io"
                      ],
                      "errno": "EPERM"
                    }
                  ]
                },
                "environment": {
                  "STATE_DIRECTORY": "/var/lib/a"
                },
                "ioScheduling": {
                  "class": "idle",
                  "priority": 4
                },
                "noNewPrivileges": true,
                "openFiles": [
                  {
                    "name": "key",
                    "path": "/etc/key"
                  },
                  {
                    "mode": "append",
                    "name": "out",
                    "optional": true,
                    "path": "/srv/log"
                  }
                ],
                "processors": [
                  0,
                  1,
                  2,
                  5
                ],
                "scheduling": {
                  "policy": "batch",
                  "priority": 0,
                  "resetOnFork": false
                },
                "user": "a"
              },
              "restartRandomDelayMs": 2000,
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
    check(
        "a",
        r#"systemd.services.a.serviceConfig = {
          ExecStart = "/x";
          ProtectSystem = true;
          ProtectHome = "tmpfs";
          RestrictAddressFamilies = "none";
          RestrictNamespaces = true;
          PrivateTmp = false;
        };"#,
        &expect![[r#"
            {
              "kind": "simple",
              "name": "a",
              "process": {
                "argv": [
                  "/x"
                ],
                "confinement": {
                  "addressFamilies": {
                    "only": []
                  },
                  "mounts": [
                    {
                      "readOnly": true,
                      "target": "/home"
                    },
                    {
                      "readOnly": true,
                      "target": "/root"
                    },
                    {
                      "readOnly": true,
                      "target": "/run/user"
                    }
                  ],
                  "namespaces": [],
                  "paths": [
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/nix"
                    },
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/boot"
                    },
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/usr"
                    }
                  ]
                },
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
}

#[expect(clippy::too_many_lines, reason = "one table of inputs and outputs")]
#[test]
fn a_unit_has_a_root_of_its_own() {
    check(
        "a",
        r#"systemd.services.a.serviceConfig = {
          ExecStart = "/usr/bin/vendor";
          RootDirectory = "${(pkgs.fhs { name = "vendor"; }).root}";
          BindReadOnlyPaths = [ "/etc" "/srv/run:/run" ];
          ProtectProc = "invisible";
        };"#,
        &expect![[r#"
            {
              "kind": "simple",
              "name": "a",
              "process": {
                "argv": [
                  "/usr/bin/vendor"
                ],
                "confinement": {
                  "mounts": [
                    {
                      "source": "vendor-root",
                      "target": "/"
                    },
                    {
                      "optional": true,
                      "readOnly": true,
                      "source": "/nix/store",
                      "target": "/nix/store"
                    },
                    {
                      "source": "/proc",
                      "target": "/proc"
                    },
                    {
                      "source": "/sys",
                      "target": "/sys"
                    },
                    {
                      "source": "/dev",
                      "target": "/dev"
                    },
                    {
                      "options": "mode=0755",
                      "target": "/run"
                    },
                    {
                      "readOnly": true,
                      "source": "/etc",
                      "target": "/etc"
                    },
                    {
                      "readOnly": true,
                      "source": "/srv/run",
                      "target": "/run"
                    }
                  ],
                  "processes": {
                    "visible": "own"
                  }
                },
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
    check(
        "a",
        r#"systemd.services.a.serviceConfig = {
          ExecStart = "/bin/a";
          RootDirectory = "/srv/root";
          MountAPIVFS = false;
          TemporaryFileSystem = "/:size=1M";
        };"#,
        &expect![[r#"
            {
              "kind": "simple",
              "name": "a",
              "process": {
                "argv": [
                  "/bin/a"
                ],
                "confinement": {
                  "mounts": [
                    {
                      "optional": true,
                      "readOnly": true,
                      "source": "/nix/store",
                      "target": "/nix/store"
                    },
                    {
                      "options": "size=1M,mode=0755",
                      "target": "/"
                    }
                  ]
                },
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
}

#[test]
fn units_have_things_in_common() {
    let shared = machine(
        r#"
        systemd.services = lib.genAttrs [ "a" "b" "c" "d" "e@1" ] (name: {
          script = "x";
          serviceConfig.PrivateNetwork = true;
          unitConfig = lib.optionalAttrs (name == "c" || name == "e@1") {
            JoinsNamespaceOf = if name == "c" then "b.service e@1.service" else "a.service";
          };
        });"#,
    )
    .value(
        "map (service: [ service.name service.process.confinement.sharedAs or null ]) (builtins.filter \
           (service: builtins.match \"[a-e](@1)?\" service.name != null) config.system.description.services)",
    );
    expect![[r#"[["a","a"],["b","a"],["c","a"],["d",null],["e@1","a"]]"#]]
        .assert_eq(&shared.to_string());
}

#[expect(clippy::too_many_lines, reason = "one table of inputs and outputs")]
#[test]
fn a_unit_sees_of_the_store_what_it_needs() {
    check(
        "a",
        r#"systemd.services.a = {
          script = "hello";
          confinement = { enable = true; packages = [ pkgs.sed ]; };
          serviceConfig = { PrivateUsers = false; PrivateTmp = false; ProtectKernelTunables = false; };
        };"#,
        &expect![[r#"
            {
              "kind": "simple",
              "name": "a",
              "process": {
                "argv": [
                  "unit-script-a-start"
                ],
                "confinement": {
                  "closures": [
                    "a-closure/store-paths"
                  ],
                  "devices": {
                    "allowed": [
                      "/dev/null",
                      "/dev/zero",
                      "/dev/full",
                      "/dev/random",
                      "/dev/urandom",
                      "/dev/tty",
                      "/dev/ptmx",
                      "char-pts"
                    ],
                    "optional": true
                  },
                  "droppedCapabilities": [
                    "cap_sys_module",
                    "cap_mknod",
                    "cap_sys_rawio"
                  ],
                  "mounts": [
                    {
                      "source": "/proc",
                      "target": "/proc"
                    },
                    {
                      "source": "/sys",
                      "target": "/sys"
                    },
                    {
                      "source": "/dev",
                      "target": "/dev"
                    },
                    {
                      "options": "mode=0755",
                      "target": "/run"
                    },
                    {
                      "options": "mode=0755",
                      "readOnly": true,
                      "target": "/"
                    },
                    {
                      "readOnly": true,
                      "source": "bash/bin/bash",
                      "target": "/bin/sh"
                    }
                  ],
                  "own": [
                    "devices"
                  ],
                  "paths": [
                    {
                      "access": "inaccessible",
                      "optional": true,
                      "path": "/lib/modules"
                    },
                    {
                      "access": "inaccessible",
                      "optional": true,
                      "path": "/usr/lib/modules"
                    },
                    {
                      "access": "read-only",
                      "optional": true,
                      "path": "/sys/fs/cgroup"
                    }
                  ],
                  "systemCalls": [
                    {
                      "entries": [
                        "~@module"
                      ],
                      "errno": "EPERM"
                    },
                    {
                      "entries": [
                        "~@raw-io"
                      ],
                      "errno": "EPERM"
                    }
                  ]
                },
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
    check(
        "a",
        r#"systemd.services.a = {
          serviceConfig.ExecStart = "${pkgs.sed}/bin/sed";
          confinement = { enable = true; mode = "chroot-only"; binSh = null; };
        };"#,
        &expect![[r#"
            {
              "kind": "simple",
              "name": "a",
              "process": {
                "argv": [
                  "sed/bin/sed"
                ],
                "confinement": {
                  "closures": [
                    "a-closure/store-paths"
                  ],
                  "mounts": [
                    {
                      "options": "mode=0755",
                      "readOnly": true,
                      "target": "/"
                    }
                  ]
                },
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
}

#[test]
fn a_oneshot_runs_its_commands_one_after_the_other() {
    check(
        "job@x",
        r#"systemd.services."job@x" = {
          wantedBy = [ "custom.target" ];
          serviceConfig.Type = "oneshot";
          serviceConfig.ExecStart = [ "/bin/one %i" "" "/bin/two %%" "-/bin/three \"a b\"" "/bin/four" ];
        };
        systemd.targets.custom.wantedBy = [ "multi-user.target" ];"#,
        &expect![[r#"
            {
              "kind": "oneshot",
              "name": "job@x",
              "preStart": [
                {
                  "argv": [
                    "/bin/two",
                    "%"
                  ]
                },
                {
                  "argv": [
                    "/bin/three",
                    "a b"
                  ],
                  "ignoreFailure": true
                }
              ],
              "process": {
                "argv": [
                  "/bin/four"
                ],
                "environment": {}
              },
              "staysUp": false,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
}

/// What a unit names is built with the system, wherever it is named.
#[test]
fn a_unit_brings_along_what_it_names() {
    let evaluation = machine(
        r#"systemd.services.a = {
          path = [ (pkgs.writeTextDir "bin/path-x" "") ];
          environment.B = pkgs.writeText "x-variable" "";
          unitConfig.ConditionPathExists = pkgs.writeText "x-condition" "";
          serviceConfig = {
            ExecStart = pkgs.writeShellScript "x-start" "";
            ExecStartPre = [ "-${pkgs.writeShellScript "x-pre" ""} %n" ];
            Environment = [ "A=${pkgs.writeText "x-assignment" ""}" ];
            EnvironmentFile = pkgs.writeText "x-file" "";
            WorkingDirectory = "${pkgs.writeTextDir "x-directory" ""}";
          };
        };"#,
    );
    let inputs = evaluation.value(
        "builtins.attrNames (builtins.getContext (builtins.toJSON (builtins.filter (s: s.name == \"a\") \
           config.system.description.services)))",
    );
    let mut names: Vec<&str> = (inputs.as_array().unwrap().iter())
        .filter_map(|path| path.as_str()?.split_once("-x-").map(|(_, name)| name))
        .collect();
    names.sort_unstable();
    let expected = [
        "assignment",
        "condition",
        "directory",
        "file",
        "pre",
        "start",
        "variable",
    ];
    assert_eq!(names, expected.map(|name| format!("{name}.drv")));
}

#[test]
fn a_signal_that_reloads_needs_no_program() {
    for line in ["-HUP $MAINPID", "-s HUP ${MAINPID}", "-SIGHUP $MAINPID"] {
        let text = format!(
            "systemd.services.a = {{ serviceConfig.ExecStart = \"/bin/a\"; \
               serviceConfig.ExecReload = \"${{pkgs.coreutils}}/bin/kill {}\"; }};",
            line.replace('$', "\\$")
        );
        let reload = machine(&text).value("config.system.services.a.reload");
        assert_eq!(
            reload,
            serde_json::json!({ "announced": false, "commands": [], "signal": "HUP" }),
            "{line}"
        );
    }
}

#[test]
fn targets_are_waited_for_and_start_what_they_want() {
    let services = machine(
        r#"systemd.targets.custom = { wantedBy = [ "multi-user.target" ]; after = [ "network.target" ]; };
        systemd.services.a = { script = "x"; wantedBy = [ "custom.target" ]; };
        systemd.services.b = { script = "x"; requiredBy = [ "a.service" ]; before = [ "a.service" "shutdown.target" ]; };"#,
    )
    .value("map (s: \"${s.name}: requires ${toString (s.requires or [ ])}, wants ${toString (s.wants or [ ])}, after ${toString (s.after or [ ])}\") (builtins.filter (s: builtins.elem s.name [ \"a\" \"b\" \"custom.target\" ]) config.system.description.services)");
    let lines: Vec<&str> = services
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    expect![[r#"
        a: requires b, wants , after b
        b: requires , wants , after 
        custom.target: requires , wants a, after network.target a"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn templates_have_the_instances_that_somebody_names() {
    let services = machine(
        r#"systemd.services."work@" = {
          description = "Work on %i"; onFailure = [ "mail@%n.service" ]; after = [ "network.target" ];
          serviceConfig = { ExecStart = "/srv/work --of %i"; StateDirectory = "work/%i"; Restart = "always"; };
        };
        systemd.services."mail@" = { onFailure = [ "mail@%n.service" ]; serviceConfig = { Type = "oneshot"; ExecStart = "/srv/mail %i"; }; };
        systemd.services."unused@".serviceConfig.ExecStart = "/srv/unused %i";
        systemd.targets.all = { wantedBy = [ "multi-user.target" ]; wants = [ "work@one.service" ]; };
        # One that is changed, by what NixOS calls a drop-in.
        systemd.services."work@two" = {
          overrideStrategy = "asDropin"; wantedBy = [ "multi-user.target" ]; after = [ "all.target" ];
          serviceConfig.Restart = "no";
        };
        # One that is another one altogether.
        systemd.services."work@three" = { upheldBy = [ "all.target" ]; serviceConfig.ExecStart = "/srv/other"; };
        systemd.timers.daily.timerConfig = { OnCalendar = "daily"; Unit = "work@four.service"; };
        systemd.services."echo@" = { serviceConfig = { ExecStart = "/srv/echo"; StandardInput = "socket"; }; };
        systemd.sockets.echo.socketConfig = { ListenStream = 7; Accept = true; };"#,
    )
    .value(
        "map (s: builtins.toJSON { inherit (s) name wantedAtBoot; argv = s.process.argv or null; restart = s.restart or null; \
         more = [ (s.onFailure or null) (s.after or null) (s.upholds or null) (map (d: d.path) (s.directories or [ ])) ]; }) \
         (builtins.filter (s: builtins.match \"(work|mail|unused|echo|all).*\" s.name != null) config.system.description.services)",
    );
    let lines: Vec<&str> = services
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    expect![[r#"
        {"argv":null,"more":[null,null,["work@three"],[]],"name":"all.target","restart":null,"wantedAtBoot":true}
        {"argv":null,"more":[null,null,null,[]],"name":"echo.socket","restart":null,"wantedAtBoot":false}
        {"argv":["/srv/echo"],"more":[null,null,null,[]],"name":"echo@","restart":null,"wantedAtBoot":false}
        {"argv":["/srv/mail","work@four.service"],"more":[["mail@mail@work@four.service.service"],null,null,[]],"name":"mail@work@four.service","restart":null,"wantedAtBoot":false}
        {"argv":["/srv/mail","work@one.service"],"more":[["mail@mail@work@one.service.service"],null,null,[]],"name":"mail@work@one.service","restart":null,"wantedAtBoot":false}
        {"argv":["/srv/mail","work@two.service"],"more":[["mail@mail@work@two.service.service"],null,null,[]],"name":"mail@work@two.service","restart":null,"wantedAtBoot":false}
        {"argv":["/srv/work","--of","four"],"more":[["mail@work@four.service"],["network.target"],null,["/var/lib/work/four"]],"name":"work@four","restart":"always","wantedAtBoot":false}
        {"argv":["/srv/work","--of","one"],"more":[["mail@work@one.service"],["network.target"],null,["/var/lib/work/one"]],"name":"work@one","restart":"always","wantedAtBoot":false}
        {"argv":["/srv/other"],"more":[null,null,null,[]],"name":"work@three","restart":null,"wantedAtBoot":false}
        {"argv":["/srv/work","--of","two"],"more":[["mail@work@two.service"],["network.target","all.target"],null,["/var/lib/work/two"]],"name":"work@two","restart":null,"wantedAtBoot":true}"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn devices_are_services() {
    let text = r#"
        systemd.services.gps = {
          script = "x"; after = [ "dev-ttyUSB0.device" "dev-unused.device" ]; bindsTo = [ "dev-ttyUSB0.device" ];
          wantedBy = [ "dev-ttyUSB0.device" ]; before = [ "dev-ttyUSB0.device" ];
        };
        systemd.services.net = { script = "x"; requires = [ "sys-subsystem-net-devices-wlan\\x2d1.device" ]; wantedBy = [ "multi-user.target" ]; };
        systemd.services."disk@" = { script = "x"; bindsTo = [ "dev-disk-by\\x2dlabel-%i.device" ]; };
        systemd.targets.disks = { wants = [ "disk@data.service" "dev-disk-by\\x2dlabel-my\\x5cx20disk.device" ]; requiredBy = [ "sys-module-fuse.device" ]; };
        systemd.sockets.web = { listenStreams = [ "80" ]; upheldBy = [ "dev-web.device" ]; };
        systemd.services.web.script = "x";
        system.services.ups = {
          process.argv = [ "/bin/x" ];
          readsOutputOf = "gps";
          devices = [ "/dev/ttyUSB0" "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0" ];
        };
        system.services."dev-ttyUSB0.device".startTimeoutMs = 5000;
        systemd.user.services.notes = { script = "x"; bindsTo = [ "dev-100\\x25.device" ]; };
    "#;
    let shown = "map (s: builtins.toJSON (removeAttrs s [ \"process\" \"restartTrigger\" ])) (builtins.filter \
        (s: builtins.match \"gps|net|disk.*|ups|web.*|notes|.*[.]device\" s.name != null)";
    let of = |which: &str| {
        let lines = machine(text).value(&format!("{shown} config.system.description.{which})"));
        let lines = lines.as_array().unwrap().iter().filter_map(Value::as_str);
        lines.collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        {"device":"/dev/disk/by-label/data","kind":"device","name":"dev-disk-by-label-data.device","startTimeoutMs":90000,"wantedAtBoot":false}
        {"device":"/dev/disk/by-label/my\\x20disk","kind":"device","name":"dev-disk-by-label-my_x20disk.device","startTimeoutMs":90000,"wantedAtBoot":false}
        {"device":"/dev/ttyUSB0","kind":"device","name":"dev-ttyUSB0.device","startTimeoutMs":5000,"wantedAtBoot":false,"wants":["gps","ups"]}
        {"device":"/dev/web","kind":"device","name":"dev-web.device","startTimeoutMs":90000,"upholds":["web.socket"],"wantedAtBoot":false}
        {"bindsTo":["dev-disk-by-label-data.device"],"kind":"simple","name":"disk@data","requires":["dev-disk-by-label-data.device"],"startTimeoutMs":90000,"stopTimeoutMs":90000,"wantedAtBoot":false}
        {"kind":"milestone","name":"disks.target","wantedAtBoot":false,"wants":["disk@data","dev-disk-by-label-my_x20disk.device"]}
        {"after":["dev-ttyUSB0.device"],"bindsTo":["dev-ttyUSB0.device"],"kind":"simple","name":"gps","requires":["dev-ttyUSB0.device"],"startTimeoutMs":90000,"stopTimeoutMs":90000,"wantedAtBoot":false}
        {"kind":"simple","name":"net","requires":["sys-class-net-wlan-1.device"],"startTimeoutMs":90000,"stopTimeoutMs":90000,"wantedAtBoot":true}
        {"device":"/sys/class/net/wlan-1","kind":"device","name":"sys-class-net-wlan-1.device","startTimeoutMs":90000,"wantedAtBoot":false}
        {"device":"/sys/module/fuse","kind":"device","name":"sys-module-fuse.device","startTimeoutMs":90000,"wantedAtBoot":false,"wants":["disks.target"]}
        {"bindsTo":["dev-ttyUSB0.device","dev-serial-by-id-usb-FTDI_FT232R_USB_UART_A50285-177f329c.device"],"kind":"simple","name":"ups","readsOutputOf":"gps","requires":["dev-ttyUSB0.device","dev-serial-by-id-usb-FTDI_FT232R_USB_UART_A50285-177f329c.device"],"restart":"always","wantedAtBoot":false}
        {"kind":"simple","name":"web","requires":["web.socket"],"startTimeoutMs":90000,"stopTimeoutMs":90000,"wantedAtBoot":false}
        {"kind":"socket","name":"web.socket","onChange":"restart","socket":{"listen":[{"stream":"80"}],"service":"web"},"startLimit":{"burst":20,"intervalMs":2000},"wantedAtBoot":false}
        {"device":"/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0","kind":"device","name":"dev-serial-by-id-usb-FTDI_FT232R_USB_UART_A50285-177f329c.device","startTimeoutMs":90000,"wantedAtBoot":false,"wants":["ups"]}"#]].assert_eq(&of("services"));
    // Two devices of which one name would be made are not taken for one.
    let two = r#"systemd.services.a = { script = "x"; wants = [ "dev-a-b.device" "dev-a\\x2db.device" ]; };"#;
    let error = machine(two).error();
    assert!(error.contains("conflicting definition values"), "{error}");
    expect![[r#"
        {"device":"/dev/100%%","kind":"device","name":"dev-100_.device","startTimeoutMs":90000,"wantedAtBoot":false}
        {"bindsTo":["dev-100_.device"],"kind":"simple","name":"notes","requires":["dev-100_.device"],"startTimeoutMs":90000,"stopTimeoutMs":90000,"wantedAtBoot":false}"#]].assert_eq(&of("userServices.services"));
}

#[test]
fn timers_start_services() {
    let timers = machine(
        r#"systemd.services.a = { script = "x"; startAt = [ "daily" "*:0/15" ]; };
        systemd.services.b = { script = "x"; };
        systemd.timers.c.timerConfig = { Unit = "b.service"; OnBootSec = "5min"; OnUnitActiveSec = 60; OnCalendar = "weekly"; Persistent = true; RandomizedDelaySec = "1h"; };
        systemd.timers.b.timerConfig = { OnClockChange = true; OnTimezoneChange = "yes"; };"#,
    )
    .value("config.system.description.timers");
    expect![[r#"[{"calendar":["daily","*:0/15"],"name":"a","service":"a"},{"clockChange":true,"name":"b","service":"b","zoneChange":true},{"afterBootMs":[300000],"afterStartMs":[60000],"calendar":["weekly"],"name":"c","persistent":true,"randomDelayMs":3600000,"service":"b"}]"#]].assert_eq(&serde_json::to_string(&timers).unwrap());
}

#[test]
fn sockets_and_paths_start_services() {
    let units = r#"
        systemd.sockets.web = {
          description = "Web";
          wantedBy = [ "sockets.target" ];
          after = [ "network.target" ];
          listenStreams = [ "80" "%t/web" ];
          socketConfig = {
            ListenDatagram = "[::1]:53";
            BindIPv6Only = "both";
            SocketMode = "0660";
            SocketUser = "nginx";
            MaxConnections = 7;
            Symlinks = "/run/x /run/y";
            RemoveOnStop = true;
            ExecStartPre = "/bin/x";
          };
        };
        systemd.sockets.more = { socketConfig = { ListenFIFO = "/run/pipe"; TriggerLimitBurst = 3; }; };
        systemd.services.web = {
          serviceConfig = { ExecStart = "/bin/web"; Sockets = "more.socket"; FileDescriptorStoreMax = 8; FileDescriptorStorePreserve = "yes"; Type = "notify"; };
        };
        systemd.sockets.echo.socketConfig = { ListenStream = 7; Accept = true; TriggerLimitIntervalSec = 0; };
        systemd.services."echo@".serviceConfig = { ExecStart = "/bin/cat"; StandardInput = "socket"; StandardError = "journal"; };
        systemd.paths.import = {
          wantedBy = [ "multi-user.target" ];
          pathConfig = { DirectoryNotEmpty = "/srv/in"; PathExistsGlob = [ "/srv/*.job" "/srv/%p" ]; MakeDirectory = true; };
        };
        systemd.services.import.serviceConfig = { ExecStart = "/bin/import"; };
    "#;
    for (name, expected) in [
        (
            "web.socket",
            expect![[r#"
            {
              "after": [
                "network.target"
              ],
              "description": "Web",
              "kind": "socket",
              "name": "web.socket",
              "onChange": "restart",
              "preStart": [
                {
                  "argv": [
                    "/bin/x"
                  ]
                }
              ],
              "socket": {
                "ipv6Only": false,
                "links": [
                  "/run/x",
                  "/run/y"
                ],
                "listen": [
                  {
                    "datagram": "[::1]:53"
                  },
                  {
                    "stream": "80"
                  },
                  {
                    "stream": "/run/web"
                  }
                ],
                "maxConnections": 7,
                "mode": "0660",
                "service": "web",
                "user": "nginx"
              },
              "startLimit": {
                "burst": 20,
                "intervalMs": 2000
              },
              "wantedAtBoot": true
            }"#]],
        ),
        (
            "more.socket",
            expect![[r#"
            {
              "kind": "socket",
              "name": "more.socket",
              "onChange": "restart",
              "socket": {
                "listen": [
                  {
                    "fifo": "/run/pipe"
                  }
                ],
                "service": "web"
              },
              "startLimit": {
                "burst": 3,
                "intervalMs": 2000
              },
              "wantedAtBoot": false
            }"#]],
        ),
        (
            "web",
            expect![[r#"
            {
              "kind": "notify",
              "name": "web",
              "pinnedDescriptors": true,
              "process": {
                "argv": [
                  "/bin/web"
                ],
                "environment": {}
              },
              "requires": [
                "web.socket",
                "more.socket"
              ],
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "storedDescriptors": 8,
              "wantedAtBoot": false
            }"#]],
        ),
        (
            "echo.socket",
            expect![[r#"
            {
              "kind": "socket",
              "name": "echo.socket",
              "onChange": "restart",
              "socket": {
                "accept": true,
                "listen": [
                  {
                    "stream": "7"
                  }
                ],
                "service": "echo@"
              },
              "wantedAtBoot": false
            }"#]],
        ),
        (
            "echo@",
            expect![[r#"
            {
              "kind": "simple",
              "name": "echo@",
              "process": {
                "argv": [
                  "/bin/cat"
                ],
                "connected": [
                  "input",
                  "output"
                ],
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
        ),
        (
            "import.path",
            expect![[r#"
            {
              "kind": "path",
              "name": "import.path",
              "onChange": "restart",
              "startLimit": {
                "burst": 200,
                "intervalMs": 2000
              },
              "wantedAtBoot": true,
              "watch": {
                "makeDirectories": true,
                "paths": [
                  {
                    "not-empty": "/srv/in"
                  },
                  {
                    "exists-glob": "/srv/*.job"
                  },
                  {
                    "exists-glob": "/srv/import"
                  }
                ],
                "service": "import"
              }
            }"#]],
        ),
        (
            "import",
            expect![[r#"
            {
              "kind": "simple",
              "name": "import",
              "process": {
                "argv": [
                  "/bin/import"
                ],
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
        ),
    ] {
        check(name, units, &expected);
    }
}

#[expect(clippy::too_many_lines, reason = "one input and its outputs")]
#[test]
fn users_have_services_of_their_own() {
    let machine = machine(
        r#"
        users.users.alice = { isNormalUser = true; linger = true; };
        users.users.bob.isNormalUser = true;
        systemd.user.services.notes = {
          wantedBy = [ "default.target" ];
          unitConfig.ConditionPathExists = "%h/notes";
          serviceConfig = {
            ExecStart = "/bin/notes --of %u --port %t/notes 100%%";
            StateDirectory = "notes";
            RuntimeDirectory = "notes";
            MemoryMax = "1G";
            SystemCallFilter = "@system-service";
          };
        };
        systemd.user.timers.notes.timerConfig.OnCalendar = "daily";
        systemd.user.sockets.agent.listenStreams = [ "%t/agent" ];
        systemd.user.services.agent.serviceConfig.ExecStart = "/bin/agent";
        systemd.user.paths.inbox.pathConfig.DirectoryNotEmpty = "%h/inbox";
        systemd.user.services.inbox.serviceConfig.ExecStart = "/bin/sort-out";"#,
    );
    let text = |expression: &str| {
        serde_json::to_string_pretty(&shorten(machine.value(expression))).unwrap()
    };
    expect![[r#"
        {
          "services": [
            {
              "kind": "simple",
              "name": "agent",
              "process": {
                "argv": [
                  "/bin/agent"
                ],
                "environment": {}
              },
              "requires": [
                "agent.socket"
              ],
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            },
            {
              "kind": "socket",
              "name": "agent.socket",
              "onChange": "restart",
              "socket": {
                "listen": [
                  {
                    "stream": "%t/agent"
                  }
                ],
                "service": "agent"
              },
              "startLimit": {
                "burst": 20,
                "intervalMs": 2000
              },
              "wantedAtBoot": false
            },
            {
              "kind": "simple",
              "name": "inbox",
              "process": {
                "argv": [
                  "/bin/sort-out"
                ],
                "environment": {}
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            },
            {
              "kind": "path",
              "name": "inbox.path",
              "onChange": "restart",
              "startLimit": {
                "burst": 200,
                "intervalMs": 2000
              },
              "wantedAtBoot": false,
              "watch": {
                "paths": [
                  {
                    "not-empty": "%h/inbox"
                  }
                ],
                "service": "inbox"
              }
            },
            {
              "cgroup": {
                "memory.max": "1073741824"
              },
              "conditions": [
                {
                  "kind": "path-exists",
                  "value": "%h/notes"
                }
              ],
              "directories": [
                {
                  "mode": "0755",
                  "path": "%S/notes"
                },
                {
                  "mode": "0755",
                  "path": "%t/notes",
                  "removedAtStop": true
                }
              ],
              "kind": "simple",
              "name": "notes",
              "process": {
                "argv": [
                  "/bin/notes",
                  "--of",
                  "%u",
                  "--port",
                  "%t/notes",
                  "100%%"
                ],
                "confinement": {
                  "systemCalls": [
                    {
                      "entries": [
                        "@system-service"
                      ]
                    }
                  ]
                },
                "environment": {
                  "RUNTIME_DIRECTORY": "%t/notes",
                  "STATE_DIRECTORY": "%S/notes"
                }
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": true
            }
          ],
          "timers": [
            {
              "calendar": [
                "daily"
              ],
              "name": "notes",
              "service": "notes"
            }
          ]
        }"#]]
    .assert_eq(&text("config.system.description.userServices"));
    expect![[r#"
        [
          {
            "cgroup": {
              "cpu.weight": "100",
              "io.weight": "default 100",
              "memory.max": "max",
              "pids.max": "max"
            },
            "delegated": true,
            "description": "Services of alice",
            "killMode": "mixed",
            "kind": "notify",
            "name": "user@alice",
            "onChange": "keep",
            "postStop": [
              {
                "argv": [
                  "/run/cairn/generation/user-services",
                  "--clean",
                  "alice"
                ]
              }
            ],
            "process": {
              "argv": [
                "/run/cairn/generation/user-services",
                "--linger",
                "alice"
              ]
            },
            "restart": "on-failure",
            "stopTimeoutMs": 20000,
            "wantedAtBoot": true
          },
          {
            "cgroup": {
              "cpu.weight": "100",
              "io.weight": "default 100",
              "memory.max": "max",
              "pids.max": "max"
            },
            "delegated": true,
            "description": "Services of bob",
            "killMode": "mixed",
            "kind": "notify",
            "name": "user@bob",
            "onChange": "keep",
            "postStop": [
              {
                "argv": [
                  "/run/cairn/generation/user-services",
                  "--clean",
                  "bob"
                ]
              }
            ],
            "process": {
              "argv": [
                "/run/cairn/generation/user-services",
                "bob"
              ]
            },
            "restart": "on-failure",
            "stopTimeoutMs": 20000,
            "wantedAtBoot": false
          }
        ]"#]]
    .assert_eq(&text(
        r#"builtins.filter (service: builtins.substring 0 5 service.name == "user@")
           config.system.description.services"#,
    ));
    let pam = machine.value("config.security.pam.services.login.text");
    let pam = shorten(pam);
    let lines: Vec<&str> = pam.as_str().unwrap().lines().collect();
    let session = lines.iter().find(|line| line.contains("--session"));
    expect!["session optional libpam-modules/lib/x86_64-linux-gnu/security/pam_exec.so type=open_session quiet /run/cairn/generation/user-services --session"].assert_eq(session.unwrap());
}

#[test]
fn sshd_may_start_with_each_connection() {
    let text = r#"services.openssh = {
        enable = true;
        startWhenNeeded = true;
        ports = [ 22 2222 ];
        listenAddresses = [ { addr = "192.0.2.1"; } { addr = "::1"; port = 23; } ];
    };"#;
    check(
        "sshd.socket",
        text,
        &expect![[r#"
        {
          "description": "SSH connections",
          "kind": "socket",
          "name": "sshd.socket",
          "onChange": "restart",
          "socket": {
            "accept": true,
            "freeBind": true,
            "listen": [
              {
                "stream": "192.0.2.1:22"
              },
              {
                "stream": "192.0.2.1:2222"
              },
              {
                "stream": "[::1]:23"
              }
            ],
            "service": "sshd@"
          },
          "wantedAtBoot": true
        }"#]],
    );
    check(
        "sshd@",
        text,
        &expect![[r#"
        {
          "after": [
            "network.target"
          ],
          "description": "SSH connection",
          "directories": [
            {
              "mode": "0755",
              "path": "/run/sshd"
            }
          ],
          "killMode": "main",
          "kind": "simple",
          "name": "sshd@",
          "onChange": "restart",
          "process": {
            "argv": [
              "openssh-server/bin/sshd",
              "-i",
              "-e",
              "-f",
              "/etc/ssh/sshd_config"
            ],
            "connected": [
              "input",
              "output"
            ],
            "environment": {}
          },
          "reload": {
            "signal": "SIGHUP"
          },
          "requires": [
            "sshd-keygen"
          ],
          "restart": "always",
          "restartTrigger": "308068c71f79b0e5fc23a6fa215ca51d31aa3a084c821aa787cba8485c6f03e7",
          "wantedAtBoot": false
        }"#]],
    );
}

#[test]
fn a_portable_service_has_files_and_services_of_its_own() {
    let evaluation = machine(
        r#"system.services.web = {
          imports = [ { process.argv = [ "/bin/web" ]; notificationProtocol = [ "systemd" ]; } ];
          configData."conf.d/web.conf".text = "x";
          process.limits.nofile = 4096;
          services.worker = { process.argv = [ "/bin/worker" ]; requires = [ "web" ]; };
        };"#,
    );
    let services = evaluation.value("map (s: removeAttrs s [ \"description\" \"restartTrigger\" ]) (builtins.filter (s: builtins.substring 0 3 s.name == \"web\") config.system.description.services)");
    expect![[r#"
        [
          {
            "kind": "notify",
            "name": "web",
            "process": {
              "argv": [
                "/bin/web"
              ],
              "limits": {
                "nofile": {
                  "hard": 4096,
                  "soft": 4096
                }
              }
            },
            "restart": "always",
            "wantedAtBoot": true
          },
          {
            "kind": "simple",
            "name": "web-worker",
            "process": {
              "argv": [
                "/bin/worker"
              ]
            },
            "requires": [
              "web"
            ],
            "restart": "always",
            "wantedAtBoot": true
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&services).unwrap());
    let path = evaluation.value("config.system.services.web.configData.\"conf.d/web.conf\".path");
    assert_eq!(path, "/etc/system-services/web/conf.d/web.conf");
    let there =
        evaluation.value("config.environment.etc ? \"system-services/web/conf.d/web.conf\"");
    assert_eq!(there, true);
}

/// What a switch goes by: `onChange`, and whether a digest is there and another one.
#[test]
fn switches_are_told_what_to_do() {
    let services = |content: &str| {
        let text = format!(
            r#"systemd.services.plain.script = "x";
            systemd.services.late = {{ script = "x"; stopIfChanged = false; }};
            systemd.services.kept = {{ script = "x"; restartIfChanged = false; stopIfChanged = false; }};
            systemd.services.read = {{ script = "x"; reload = "y"; reloadIfChanged = true; reloadTriggers = [ {content:?} ]; }};
            systemd.services.told = {{ script = "x"; restartTriggers = [ pkgs.coreutils {content:?} [ 1 true ] ]; }};
            system.services.files = {{ process.argv = [ "/bin/x" ]; configData.a.text = {content:?}; }};
            system.services.hup = {{ process.argv = [ "/bin/x" ]; reload.signal = "SIGHUP"; configData.a.text = {content:?}; }};"#
        );
        let names = r#"[ "plain" "late" "kept" "read" "told" "files" "hup" "getty@ttyS0" ]"#;
        machine(&text).value(&format!(
            "builtins.listToAttrs (map (s: {{ inherit (s) name; value = s; }}) (builtins.filter \
             (s: builtins.elem s.name {names}) config.system.description.services))"
        ))
    };
    let (one, two) = (services("one"), services("two"));
    let lines = one.as_object().unwrap().iter().map(|(name, service)| {
        let trigger = |key: &str| match (service.get(key), two[name].get(key)) {
            (None, None) => "none",
            (one, two) if one == two => "same",
            _ => "other",
        };
        format!(
            "{name}: {}, restart {}, reload {}",
            service
                .get("onChange")
                .map_or("default", |value| value.as_str().unwrap()),
            trigger("restartTrigger"),
            trigger("reloadTrigger"),
        )
    });
    expect![[r"
        files: default, restart other, reload none
        getty@ttyS0: keep, restart none, reload none
        hup: default, restart none, reload other
        kept: keep, restart none, reload none
        late: restart, restart none, reload none
        plain: default, restart none, reload none
        read: reload, restart none, reload other
        told: default, restart other, reload none"]]
    .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_services_description_is_one_that_the_supervisor_takes() {
    for example in ["minimal", "demo", "server"] {
        let evaluation = Evaluation::of(
            &repository()
                .join("examples")
                .join(example)
                .join("configuration.nix"),
        );
        let text = evaluation.value("builtins.toJSON config.system.build.description");
        let description = SystemDescription::parse(text.as_str().unwrap()).unwrap();
        description.check_order().unwrap();
        assert!(description.services.len() > 8, "{example}");
    }
}

#[expect(clippy::too_many_lines, reason = "one table of inputs and outputs")]
#[test]
fn what_cannot_be_had_is_refused_with_the_way_out() {
    let table = [
        r#"systemd.services.a = { script = "x"; serviceConfig.Restrat = "always"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.RootImage = "/x"; };"#,
        r#"systemd.services.a = { script = "x"; confinement.enable = true; serviceConfig.RootDirectory = "/x"; };"#,
        r#"systemd.user.services.a = { script = "x"; serviceConfig.RootDirectory = "/x"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.OpenFile = "/x:x:append,truncate"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.JoinsNamespaceOf = "sshdd.service"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.ExecStart = "/x"; };"#,
        r#"systemd.services.a = { serviceConfig.ExecStart = "x y"; };"#,
        r#"systemd.services.a = { serviceConfig.ExecStart = "/x 'y"; };"#,
        r#"systemd.services.a = { serviceConfig.ExecStart = "/x %x"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.TimeoutStopSec = "soon"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.Type = "dbus"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.Type = "foo"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.ConditionPathExsits = "/x"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.After = "x"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.FailureAction = "reboot-immediate"; };"#,
        r#"systemd.user.services.a = { script = "x"; unitConfig.SuccessAction = "poweroff"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.SuccessExitStatus = "SIGFOO"; };"#,
        r#"systemd.services.a = { description = "nothing"; };"#,
        r#"systemd.services.a = { script = "x"; requires = [ "a.socket" ]; };"#,
        r#"systemd.sockets.a = { socketConfig.ListenSteam = "22"; };"#,
        r#"systemd.sockets.a.listenStreams = [ "22" ];"#,
        r#"systemd.paths.a.pathConfig.PathExist = "/x";"#,
        r#"systemd.services.a = { script = "x"; bindsTo = [ "ttyUSB0.device" "dev-x\\x00.device" ]; };"#,
        r#"system.services.a = { process.argv = [ "/x" ]; devices = [ "ttyUSB0" ]; };"#,
        r#"systemd.services.a = { script = "x"; bindsTo = [ "sshdd.service" ]; }; services.sshd.enable = true;"#,
        r#"system.services.a = { process.argv = [ "/x" ]; readsOutputOf = "sshdd"; }; services.sshd.enable = true;"#,
        r#"system.services.a = { process.argv = [ "/x" ]; kind = "device"; };"#,
        r#"system.services.a = { process.argv = [ "/x" ]; kind = "socket"; };"#,
        r#"systemd.user.services.a = { script = "x"; serviceConfig.User = "root"; };"#,
        r#"systemd.timers.a = { timerConfig.OnCalender = "daily"; };"#,
        r#"systemd.package = pkgs.bash;"#,
        r#"system.services.a = { };"#,
        r#"system.services.a.process.argv = [ "relative" ];"#,
        r#"system.services.a = { process.argv = [ "/x" ]; requires = [ "sshdd" ]; }; services.sshd.enable = true;"#,
        r#"services.udev.extraRules = "x";"#,
        r#"services.cron.systemCronJobs = [ "* * * root x" ];"#,
        r#"services.nginx = { enable = true; virtualHosts.a = { forceSSL = true; enableACME = true; }; };"#,
        r#"networking.firewall.extraCommands = "iptables";"#,
        r#"networking.useNetworkd = true;"#,
        r#"services.getty.autologinUser = "x";"#,
        r#"i18n.defaultLocale = "12";"#,
        r#"services.rsyslogd.enable = true;"#,
    ];
    let said: Vec<String> = table
        .iter()
        .map(|text| format!("{text}\n{}\n", machine(text).error()))
        .collect();
    expect![[r#"
        systemd.services.a = { script = "x"; serviceConfig.Restrat = "always"; };
        the configuration contradicts itself:
        - systemd.services.a.serviceConfig.Restrat is no key that is supported; did you mean Restart?

        systemd.services.a = { script = "x"; serviceConfig.RootImage = "/x"; };
        the configuration contradicts itself:
        - systemd.services.a.serviceConfig.RootImage is not supported: images as roots are not supported; use RootDirectory

        systemd.services.a = { script = "x"; confinement.enable = true; serviceConfig.RootDirectory = "/x"; };
        the configuration contradicts itself:
        - systemd.services.a: confinement and serviceConfig.RootDirectory both are its root; set one of them

        systemd.user.services.a = { script = "x"; serviceConfig.RootDirectory = "/x"; };
        the configuration contradicts itself:
        - systemd.user.services.a.serviceConfig.RootDirectory is not supported: a user's supervisor has no right to do that; run it as systemd.services with a user

        systemd.services.a = { script = "x"; serviceConfig.OpenFile = "/x:x:append,truncate"; };
        systemd.services.a.serviceConfig.OpenFile: '/x:x:append,truncate' is not path:name:options, of which options one of read-only, append and truncate may be, and graceful

        systemd.services.a = { script = "x"; unitConfig.JoinsNamespaceOf = "sshdd.service"; };
        the configuration contradicts itself:
        - systemd.services.a: it needs the service 'sshdd', which is not defined

        systemd.services.a = { script = "x"; serviceConfig.ExecStart = "/x"; };
        the configuration contradicts itself:
        - systemd.services.a: script and serviceConfig.ExecStart are both set; set one of them

        systemd.services.a = { serviceConfig.ExecStart = "x y"; };
        systemd.services.a.serviceConfig.ExecStart: 'x' is no absolute path; name the program of a package, such as ${pkgs.coreutils}/bin/true

        systemd.services.a = { serviceConfig.ExecStart = "/x 'y"; };
        systemd.services.a.serviceConfig.ExecStart: a quote (') is not closed in: /x 'y

        systemd.services.a = { serviceConfig.ExecStart = "/x %x"; };
        systemd.services.a.serviceConfig.ExecStart: '%x' is not supported; known are %% %C %E %I %L %N %S %T %U %V %d %h %i %n %p %s %t %u

        systemd.services.a = { script = "x"; serviceConfig.TimeoutStopSec = "soon"; };
        systemd.services.a.serviceConfig.TimeoutStopSec: 'soon' is no time; examples are 90, 5s, 1min 30s, 250ms

        systemd.services.a = { script = "x"; serviceConfig.Type = "dbus"; };
        systemd.services.a.serviceConfig.Type: 'dbus' is not supported; use notify or simple

        systemd.services.a = { script = "x"; serviceConfig.Type = "foo"; };
        systemd.services.a.serviceConfig.Type: 'foo' is not supported; known are exec, forking, idle, notify, notify-reload, oneshot, simple

        systemd.services.a = { script = "x"; unitConfig.ConditionPathExsits = "/x"; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.ConditionPathExsits is no key that is supported; did you mean ConditionPathExists?

        systemd.services.a = { script = "x"; unitConfig.After = "x"; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.After: set systemd.services.a.after instead

        systemd.services.a = { script = "x"; unitConfig.FailureAction = "reboot-immediate"; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.FailureAction: it would lose what is not on the disk yet; use reboot-force

        systemd.user.services.a = { script = "x"; unitConfig.SuccessAction = "poweroff"; };
        the configuration contradicts itself:
        - systemd.user.services.a: a user's service does nothing to the machine; take its failureAction, successAction and startLimitAction away.

        systemd.services.a = { script = "x"; serviceConfig.SuccessExitStatus = "SIGFOO"; };
        systemd.services.a.serviceConfig.SuccessExitStatus: 'SIGFOO' is neither a status nor a signal; examples are 75, TEMPFAIL and SIGKILL

        systemd.services.a = { description = "nothing"; };
        the configuration contradicts itself:
        - systemd.services.a: there is nothing to execute; set script or serviceConfig.ExecStart.

        systemd.services.a = { script = "x"; requires = [ "a.socket" ]; };
        the configuration contradicts itself:
        - systemd.services.a: it needs the service 'a.socket', which is not defined

        systemd.sockets.a = { socketConfig.ListenSteam = "22"; };
        the configuration contradicts itself:
        - systemd.sockets.a.socketConfig.ListenSteam is no key that is supported; did you mean ListenStream or ListenSpecial?
        - systemd.sockets.a: it listens on nothing; set listenStreams or socketConfig.ListenStream.
        - system.services.a: there is nothing to execute; set process.argv.

        systemd.sockets.a.listenStreams = [ "22" ];
        the configuration contradicts itself:
        - system.services.a: there is nothing to execute; set process.argv.

        systemd.paths.a.pathConfig.PathExist = "/x";
        the configuration contradicts itself:
        - systemd.paths.a.pathConfig.PathExist is no key that is supported; known are DirectoryNotEmpty, PathChanged, PathExists, PathExistsGlob, PathModified, Unit, MakeDirectory, DirectoryMode, TriggerLimitIntervalSec, TriggerLimitBurst
        - systemd.paths.a: it waits for nothing; set pathConfig.PathExists or one of its kin.

        systemd.services.a = { script = "x"; bindsTo = [ "ttyUSB0.device" "dev-x\\x00.device" ]; };
        the configuration contradicts itself:
        - the unit a: 'ttyUSB0.device' names no device below /dev or /sys; name the path in system.services.<name>.devices.
        - the unit a: 'dev-x\x00.device' names no device below /dev or /sys; name the path in system.services.<name>.devices.

        system.services.a = { process.argv = [ "/x" ]; devices = [ "ttyUSB0" ]; };
        The option `system.services.a.devices' has an element (number 1) that is not of type `string matching the pattern /(dev|sys)/.+', but a string:
          - <folder>/configuration.nix:2:48: "ttyUSB0"

        systemd.services.a = { script = "x"; bindsTo = [ "sshdd.service" ]; }; services.sshd.enable = true;
        the configuration contradicts itself:
        - systemd.services.a: it needs the service 'sshdd', which is not defined; did you mean sshd?

        system.services.a = { process.argv = [ "/x" ]; readsOutputOf = "sshdd"; }; services.sshd.enable = true;
        the configuration contradicts itself:
        - system.services.a: it needs the service 'sshdd', which is not defined; did you mean sshd?

        system.services.a = { process.argv = [ "/x" ]; kind = "device"; };
        the configuration contradicts itself:
        - system.services.a: what is of kind device, and nothing else, has the option device.

        system.services.a = { process.argv = [ "/x" ]; kind = "socket"; };
        the configuration contradicts itself:
        - system.services.a: what is of kind socket, and nothing else, has the option socket.

        systemd.user.services.a = { script = "x"; serviceConfig.User = "root"; };
        the configuration contradicts itself:
        - systemd.user.services.a.serviceConfig.User is not supported: a user's supervisor has no right to do that; run it as systemd.services with a user

        systemd.timers.a = { timerConfig.OnCalender = "daily"; };
        the configuration contradicts itself:
        - systemd.timers.a.timerConfig.OnCalender is no key that is supported; known are AccuracySec, FixedRandomDelay, RandomizedOffsetSec, RemainAfterElapse, DeferReactivation, Unit, OnActiveSec, OnBootSec, OnStartupSec, OnUnitActiveSec, OnUnitInactiveSec, OnCalendar, OnClockChange, OnTimezoneChange, Persistent, RandomizedDelaySec
        - system.services.a: there is nothing to execute; set process.argv.

        systemd.package = pkgs.bash;
        the configuration contradicts itself:
        - systemd.package is not supported: there is no systemd here.

        system.services.a = { };
        the configuration contradicts itself:
        - system.services.a: there is nothing to execute; set process.argv.

        system.services.a.process.argv = [ "relative" ];
        the configuration contradicts itself:
        - system.services.a.process.argv: 'relative' is no absolute path; name the program of a package, such as "${pkgs.bash}/bin/bash".

        system.services.a = { process.argv = [ "/x" ]; requires = [ "sshdd" ]; }; services.sshd.enable = true;
        the configuration contradicts itself:
        - system.services.a: it needs the service 'sshdd', which is not defined; did you mean sshd?

        services.udev.extraRules = "x";
        the configuration contradicts itself:
        - services.udev is not supported: drivers are loaded by the supervisor, and device nodes are the kernel's own; set rights with systemd.tmpfiles.rules (z /dev/… 0660 root group).

        services.cron.systemCronJobs = [ "* * * root x" ];
        the configuration contradicts itself:
        - services.cron.systemCronJobs: '* * * root x' has not five times, a user and a command, such as: 0 3 * * * root backup

        services.nginx = { enable = true; virtualHosts.a = { forceSSL = true; enableACME = true; }; };
        the configuration contradicts itself:
        - services.nginx.virtualHosts."a": certificates by ACME are not supported yet; set sslCertificate and sslCertificateKey.
        - services.nginx.virtualHosts."a": with TLS it needs sslCertificate and sslCertificateKey.

        networking.firewall.extraCommands = "iptables";
        the configuration contradicts itself:
        - networking.firewall.extraCommands is not supported: the firewall is nftables; use networking.firewall.extraInputRules or networking.nftables.ruleset.

        networking.useNetworkd = true;
        the configuration contradicts itself:
        - networking.useNetworkd is not supported: use networking.interfaces and networking.useDHCP.

        services.getty.autologinUser = "x";
        the configuration contradicts itself:
        - services.getty.autologinUser: there is no user 'x' in users.users.

        i18n.defaultLocale = "12";
        i18n: '12/UTF-8' is no locale; examples are en_US.UTF-8, de_DE@euro/ISO-8859-15

        services.rsyslogd.enable = true;
        the configuration contradicts itself:
        - services.rsyslogd is not supported: use services.syslogd, or run it as systemd.services.rsyslogd with services.syslogd.enable = false.
    "#]].assert_eq(&said.join("\n"));
}

/// Every key of a service unit is of one kind, and has a reason where it needs one.
#[test]
fn keys_are_mapped_or_explained() {
    let evaluation = machine("");
    let both = evaluation.value(
        "builtins.filter (key: config.systemd.services-ignored-keys ? ${key}) config.systemd.services-supported-keys",
    );
    assert_eq!(both, Value::Array(Vec::new()));
    let reasons = evaluation.value("builtins.attrValues config.systemd.services-ignored-keys");
    assert!(
        reasons
            .as_array()
            .unwrap()
            .iter()
            .all(|reason| reason.as_str().is_some_and(|text| text.len() > 20))
    );
}
