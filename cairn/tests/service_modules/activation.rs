//! What starts units: clocks, sockets, paths.

use expect_test::expect;

use super::{check, machine};

#[test]
fn timers_start_services() {
    let timers = machine(
        r#"systemd.services.a = { script = "x"; startAt = [ "daily" "*:0/15" ]; };
        systemd.services.b = { script = "x"; };
        systemd.timers.c.timerConfig = { Unit = "b.service"; OnBootSec = "5min"; OnUnitActiveSec = 60; OnCalendar = "weekly"; Persistent = true; RandomizedDelaySec = "1h"; };
        systemd.timers.b.timerConfig = { OnClockChange = true; OnTimezoneChange = "yes"; OnStartupSec = 2; OnActiveSec = [ "1min" "1h" ]; };"#,
    )
    .value("config.system.description.timers");
    expect![[r#"[{"calendar":["daily","*:0/15"],"name":"a","service":"a"},{"afterActiveMs":[60000,3600000],"afterBootMs":[2000],"clockChange":true,"name":"b","service":"b","zoneChange":true},{"afterBootMs":[300000],"afterStartMs":[60000],"calendar":["weekly"],"name":"c","persistent":true,"randomDelayMs":3600000,"service":"b"}]"#]].assert_eq(&serde_json::to_string(&timers).unwrap());
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
                    "environment": {
                      "LANG": "C.UTF-8",
                      "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                    }
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
                    "environment": {
                      "LANG": "C.UTF-8",
                      "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                    }
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
                    "environment": {
                      "LANG": "C.UTF-8",
                      "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                    }
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
