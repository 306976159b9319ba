//! Users' services, and those that come with files of their own.

use expect_test::expect;

use super::{machine, shorten};

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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
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
                  "LANG": "C.UTF-8",
                  "RUNTIME_DIRECTORY": "%t/notes",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
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
            "goesOnAfterOom": true,
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
            "goesOnAfterOom": true,
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
