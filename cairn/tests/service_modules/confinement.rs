//! What a unit may see and do.

use expect_test::expect;

use super::{check, machine};

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
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
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
                "unsetEnvironment": [
                  "LANG"
                ],
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
}
