//! What a unit of systemd becomes.

use cairn_system::SystemDescription;
use expect_test::expect;

use super::evaluation::{Evaluation, repository};
use super::{check, machine};

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
          unitConfig.ConditionPathExists = [ "!/etc/no-backup" "|/%p/a" "|!/b" ];
          unitConfig.ConditionACPower = true;
          unitConfig.AssertMemory = ">=1G";
          onFailure = [ "backup.service" ];
          startLimitBurst = 3;
          serviceConfig = {
            DynamicUser = true;
            StateDirectory = "backup";
            RuntimeDirectory = "backup/a b";
            RuntimeDirectoryPreserve = "restart";
            ExecCondition = "/bin/decide";
            StandardOutput = "append:/var/log/%n.log";
            StandardError = "journal";
            RestartSteps = 3;
            RestartMaxDelaySec = "2min";
            RuntimeRandomizedExtraSec = 5;
            Restart = "on-failure";
            RestartSec = "1min 500ms";
            LimitNOFILE = "1024:infinity";
            LimitNICE = "+5:-5";
            MemoryMax = "1G";
            CPUQuota = "150%";
            AllowedCPUs = [ "0-1 3" "5,7" ];
            AllowedMemoryNodes = 0;
            LogLevelMax = "notice";
            PrivateTmp = true;
            CapabilityBoundingSet = "";
            AmbientCapabilities = [ "CAP_NET_RAW" ];
            Environment = [ "A=b \"C=d e\"" ];
            EnvironmentFile = "-/etc/%p.env";
            ExecStopPost = "-+/bin/rm -rf '%t/%n x' $MAINPID";
            WorkingDirectory = "%S/backup";
            KillMode = "mixed";
            IgnoreSIGPIPE = false;
            RemoveIPC = true;
            ExitType = "cgroup";
            SuccessExitStatus = "3 TEMPFAIL SIGKILL";
            RestartPreventExitStatus = [ 4 "HUP" ];
            RestartForceExitStatus = "SIGUSR1";
            RuntimeMaxSec = "1d";
          };
          unitConfig.StopWhenUnneeded = true;
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
                "cpuset.cpus": "0-1,3,5,7",
                "cpuset.mems": "0",
                "memory.max": "1073741824"
              },
              "conditions": [
                {
                  "asserted": true,
                  "kind": "memory",
                  "value": ">=1G"
                },
                {
                  "kind": "ac-power",
                  "value": "yes"
                },
                {
                  "kind": "path-exists",
                  "negate": true,
                  "value": "/etc/no-backup"
                },
                {
                  "alternative": true,
                  "kind": "path-exists",
                  "value": "/backup/a"
                },
                {
                  "alternative": true,
                  "kind": "path-exists",
                  "negate": true,
                  "value": "/b"
                }
              ],
              "description": "Copies",
              "directories": [
                {
                  "mode": "0755",
                  "path": "/var/lib/backup"
                },
                {
                  "keptAtRestart": true,
                  "mode": "0755",
                  "path": "/run/backup/a",
                  "removedAtStop": true
                },
                {
                  "keptAtRestart": true,
                  "mode": "0755",
                  "path": "/run/b",
                  "removedAtStop": true
                }
              ],
              "endsWithLastProcess": true,
              "finalStatuses": [
                4,
                "HUP"
              ],
              "killMode": "mixed",
              "kind": "simple",
              "leastLogLevel": 5,
              "machineActions": {
                "failure": "reboot-force",
                "startLimit": "poweroff"
              },
              "name": "backup",
              "onFailure": [
                "backup"
              ],
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
                    "/bin/decide"
                  ],
                  "condition": true
                },
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
                  "forbidden": [
                    "set-id-files"
                  ],
                  "own": [
                    "temporary-files"
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
                    }
                  ]
                },
                "environment": {
                  "A": "b",
                  "C": "d e",
                  "LANG": "C.UTF-8",
                  "RUNTIME_DIRECTORY": "/run/backup/a:/run/b",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
                  "STATE_DIRECTORY": "/var/lib/backup",
                  "TARGET": "a b"
                },
                "environmentFiles": [
                  {
                    "optional": true,
                    "path": "/etc/backup.env"
                  }
                ],
                "error": "log",
                "heedsSigpipe": true,
                "limits": {
                  "nice": {
                    "hard": 25,
                    "soft": 15
                  },
                  "nofile": {
                    "hard": 1048576,
                    "soft": 1024
                  }
                },
                "noNewPrivileges": true,
                "output": {
                  "append": "/var/log/backup.service.log"
                },
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
              "removesIpc": true,
              "restart": "on-failure",
              "restartDelayMaxMs": 120000,
              "restartDelayMs": 60500,
              "restartStatuses": [
                "SIGUSR1"
              ],
              "restartSteps": 3,
              "runtimeMaxMs": 86400000,
              "runtimeRandomExtraMs": 5000,
              "startLimit": {
                "burst": 3,
                "intervalMs": 10000
              },
              "startTimeoutMs": 90000,
              "stopTimeoutMs": 90000,
              "stopWhenUnneeded": true,
              "successStatuses": [
                3,
                75,
                "SIGKILL"
              ],
              "tellsOfRestarts": true,
              "wantedAtBoot": true,
              "wants": [
                "network-online.target"
              ]
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
                "environment": {
                  "LANG": "C.UTF-8",
                  "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"
                }
              },
              "staysUp": false,
              "stopTimeoutMs": 90000,
              "wantedAtBoot": false
            }"#]],
    );
}

/// TEST-07 (`exec-context`), TEST-23 (`exec-command-ex`): lines that go on, quotes, backslashes and `;`.
#[test]
fn a_command_line_has_the_words_that_its_author_meant() {
    let text = r#"
      systemd.services."lines@srv-my-files" = {
        serviceConfig.Type = "oneshot";
        serviceConfig.ExecStart = [
          ''
            /bin/long \
              --first 1 \
              --pattern '^a\.b$' "\d+" \x41\102\u00e9 'it\'s' 'a\nb'
          ''
          "/bin/a ';' \\; x; ; -/bin/b %I \"\" ; "
        ];
        serviceConfig.ReadOnlyPaths = "\"/srv/a b\" '/srv/c' /srv/d\\ e\t/srv/f\\x2d";
      };"#;
    let service = machine(text).value(
        r#"builtins.head (builtins.filter (one: one.name == "lines@srv-my-files") config.system.description.services)"#,
    );
    let argv = |command: &serde_json::Value| command["argv"].to_string();
    let commands = service["preStart"].as_array().unwrap().iter().map(argv);
    let commands: Vec<String> = commands.chain([argv(&service["process"])]).collect();
    expect![[r#"
        ["/bin/long","--first","1","--pattern","^a\\.b$","\\d+","ABé","it's","a\nb"]
        ["/bin/a",";",";","x;"]
        ["/bin/b","srv/my/files",""]"#]]
    .assert_eq(&commands.join("\n"));
    let paths = service["process"]["confinement"]["paths"].as_array();
    let paths: Vec<&str> = (paths.unwrap().iter())
        .filter_map(|path| path["path"].as_str())
        .collect();
    assert_eq!(paths, ["/srv/a b", "/srv/c", "/srv/d e", "/srv/f\\x2d"]);
}

/// TEST-23 (`exec-command-ex`), systemd.service(5): prefixes of the main command, and `RemainAfterExit=`.
#[test]
fn a_process_is_what_its_unit_says() {
    let text = r#"
      systemd.services.simple.serviceConfig = { ExecStart = "@-/bin/sh -sh \${X}"; RemainAfterExit = true; };
      systemd.services.root.serviceConfig = { Type = "notify"; User = "nobody"; ExecStart = "+/bin/x $$"; CPUQuota = "12.5%"; };
      systemd.services.once.serviceConfig = {
        Type = "oneshot"; RemainAfterExit = true; ExecStart = [ "@/bin/busybox mount" ":-!/bin/y $X" ]; CPUQuota = "5%";
      };
    "#;
    let all = machine(text).value(
        r#"builtins.listToAttrs (map (one: { inherit (one) name; value = {
             process = builtins.removeAttrs one.process [ "environment" "user" ];
             first = one.preStart or [ ];
             stays = [ (one.staysUp or true) (one.outlivesProcess or false) ];
             cpu = one.cgroup or { };
           }; }) (builtins.filter (one: builtins.elem one.name [ "simple" "root" "once" ]) config.system.description.services))"#,
    );
    expect![[r#"
        {
          "once": {
            "cpu": {
              "cpu.max": "5000 100000"
            },
            "first": [
              {
                "argv": [
                  "/bin/busybox"
                ],
                "argv0": "mount"
              }
            ],
            "process": {
              "argv": [
                "/bin/y",
                "$X"
              ],
              "asRoot": true,
              "ignoreFailure": true
            },
            "stays": [
              true,
              false
            ]
          },
          "root": {
            "cpu": {
              "cpu.max": "12500 100000"
            },
            "first": [],
            "process": {
              "argv": [
                "/bin/x",
                "$$"
              ],
              "asRoot": true,
              "expand": true,
              "noNewPrivileges": true
            },
            "stays": [
              true,
              false
            ]
          },
          "simple": {
            "cpu": {},
            "first": [],
            "process": {
              "argv": [
                "/bin/sh",
                "${X}"
              ],
              "argv0": "-sh",
              "expand": true,
              "ignoreFailure": true
            },
            "stays": [
              true,
              true
            ]
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&all).unwrap());
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

#[test]
fn what_survives_the_final_kill_outlives_user_space() {
    let text = r#"
      systemd.services.db = {
        script = "run";
        bindsTo = [ "dev-sdb.device" ];
        requires = [ "prepare.service" "key.service" ];
        wants = [ "network-online.target" ];
        unitConfig = { SurviveFinalKillSignal = true; IgnoreOnIsolate = true; DefaultDependencies = false; };
      };
      systemd.services.prepare.serviceConfig = { Type = "oneshot"; ExecStart = "/bin/true"; };
      systemd.services.key = {
        serviceConfig = { Type = "oneshot"; ExecStart = "/bin/true"; RemainAfterExit = true; };
        unitConfig.SurviveFinalKillSignal = "yes";
      };
      systemd.sockets.db.listenStreams = [ "/run/db" ];
      systemd.services.web = { script = "run"; unitConfig.SurviveFinalKillSignal = false; };
      systemd.sockets.web = { listenStreams = [ "80" ]; unitConfig.SurviveFinalKillSignal = true; };
      systemd.user.services.mine = { script = "run"; unitConfig.SurviveFinalKillSignal = true; };
      system.services.native = { process.argv = [ "/x" ]; outlivesUserSpace = true; };
    "#;
    let names = machine(text).value(
        "map (service: service.name) (builtins.filter (service: service.outlivesUserSpace or false) \
           (config.system.description.services ++ config.system.description.userServices.services))",
    );
    expect![[r#"["db","key","native","web.socket"]"#]].assert_eq(&names.to_string());
    // What it needs may.
    assert_eq!(
        machine(text).value("builtins.filter (one: !one.assertion) config.assertions"),
        serde_json::json!([])
    );
}

/// systemd.unit(5): what of a limit of starts is not said has a default, as soon as some of it is said.
#[test]
fn a_limit_of_starts_is_whole() {
    let text = r#"
      systemd.services.none.script = "run";
      systemd.services.interval = { script = "run"; startLimitIntervalSec = 300; };
      systemd.services.action = { script = "run"; unitConfig.StartLimitAction = "reboot"; };
      systemd.services.text = { script = "run"; unitConfig = { StartLimitBurst = "3"; StartLimitIntervalSec = "1min"; }; };
      systemd.services.never = { script = "run"; startLimitBurst = 0; startLimitIntervalSec = 300; };
      systemd.services.off = { script = "run"; startLimitIntervalSec = 0; };
    "#;
    let all = machine(text).value(
        r#"builtins.concatStringsSep " " (map (one: "${one.name}:${
             if one ? startLimit then "${toString one.startLimit.burst}/${toString one.startLimit.intervalMs}" else "-"
           }") (builtins.filter (one: builtins.elem one.name [ "none" "interval" "action" "text" "never" "off" ])
             config.system.description.services))"#,
    );
    assert_eq!(
        all,
        "action:5/10000 interval:5/300000 never:- none:- off:- text:3/60000"
    );
}

/// systemd.exec(5): of several lines, one that begins with `~` takes away what those before it have given.
#[test]
fn lines_of_words_are_taken_together() {
    let text = r#"
      systemd.services.given.serviceConfig = {
        ExecStart = "/x";
        CapabilityBoundingSet = [ "CAP_CHOWN CAP_KILL" "~CAP_KILL CAP_FOWNER" "CAP_SETUID" ];
        RestrictAddressFamilies = [ "AF_INET AF_UNIX" "~AF_UNIX" ];
        RestrictNamespaces = "user net";
        RestartSec = 1; RestartMaxDelaySec = 60;
      };
      systemd.services.taken.serviceConfig = {
        ExecStart = "/x";
        CapabilityBoundingSet = [ "~CAP_CHOWN CAP_KILL" "CAP_KILL" "~CAP_SETUID" ];
        RestrictAddressFamilies = [ "~AF_INET AF_UNIX" "AF_UNIX" ];
        RestrictNamespaces = [ "~user" "~net" ];
        RestartSec = 1; RestartSteps = 3;
      };
      systemd.services.nothing.serviceConfig = {
        ExecStart = "/x"; CapabilityBoundingSet = ""; RestrictAddressFamilies = [ "AF_INET" "" ]; RestrictNamespaces = "";
      };
      systemd.services.none.serviceConfig = { ExecStart = "/x"; RestrictAddressFamilies = "none"; RestrictNamespaces = true; };
    "#;
    let all = machine(text).value(
        r#"builtins.concatStringsSep "\n" (map (one: builtins.toJSON [
             one.name (one.process.boundingCapabilities or "all") (one.process.confinement or { })
             (one.restartDelayMaxMs or 0) (one.restartSteps or 0)
           ]) (builtins.filter (one: builtins.elem one.name [ "given" "taken" "nothing" "none" ])
             config.system.description.services))"#,
    );
    expect![[r#"
        ["given",["cap_chown","cap_setuid"],{"addressFamilies":{"only":["AF_INET"]},"namespaces":["user","net"]},1000,0]
        ["none","all",{"addressFamilies":{"only":[]},"namespaces":[]},0,0]
        ["nothing",[],{},0,0]
        ["taken","all",{"addressFamilies":{"except":["AF_INET"]},"droppedCapabilities":["cap_chown","cap_setuid"],"namespaces":["cgroup","ipc","mnt","pid","uts","time"]},1000,0]"#]].assert_eq(all.as_str().unwrap());
}

/// What asks for a terminal and names none has the machine's.
#[test]
fn a_terminal_is_the_console_unless_one_is_named() {
    let text = r#"
      systemd.services.input = { script = "run"; serviceConfig.StandardInput = "tty-force"; };
      systemd.services.out = { script = "run"; serviceConfig.StandardOutput = "tty"; };
      systemd.services.own = { script = "run"; serviceConfig = { StandardInput = "tty"; TTYPath = "/dev/tty9"; }; };
    "#;
    let all = machine(text).value(
        r#"map (one: one.process.tty or null) (builtins.filter (one: builtins.elem one.name [ "input" "out" "own" ])
             config.system.description.services)"#,
    );
    assert_eq!(
        all,
        serde_json::json!(["/dev/console", "/dev/console", "/dev/tty9"])
    );
}

#[test]
fn memory_that_runs_out_is_the_units_business() {
    let text = r#"
      systemd.services.plain.script = "run";
      systemd.services.stops = { script = "run"; serviceConfig.OOMPolicy = "stop"; };
      systemd.services.goes-on = { script = "run"; serviceConfig.OOMPolicy = "continue"; };
      systemd.services.crushed = { script = "run"; serviceConfig.OOMPolicy = "kill"; };
      systemd.services.delegated = { script = "run"; serviceConfig.Delegate = true; };
      systemd.services.strict = { script = "run"; serviceConfig = { Delegate = true; OOMPolicy = "stop"; }; };
    "#;
    let all = machine(text).value(
        r#"builtins.listToAttrs (map (one: { inherit (one) name; value = [ (one.goesOnAfterOom or false) (one.cgroup or { }) ]; })
           (builtins.filter (one: builtins.elem one.name [ "plain" "stops" "goes-on" "crushed" "delegated" "strict" ])
             config.system.description.services))"#,
    );
    expect![[
        r#"{"crushed":[false,{"memory.oom.group":"1"}],"delegated":[true,{}],"goes-on":[true,{}],"plain":[false,{}],"stops":[false,{}],"strict":[false,{}]}"#
    ]]
    .assert_eq(&all.to_string());
}

#[test]
fn a_watchdog_is_a_service() {
    check(
        "watchdog",
        "systemd.watchdog.runtimeTime = \"2min\";",
        &expect![[r#"
            {
              "description": "Watchdog of the machine",
              "kind": "simple",
              "name": "watchdog",
              "process": {
                "argv": [
                  "/run/cairn/generation/watchdog",
                  "120",
                  "600"
                ],
                "oomScoreAdjust": -1000
              },
              "restart": "always",
              "wantedAtBoot": true
            }"#]],
    );
}

#[test]
fn the_system_log_has_a_socket_and_a_service() {
    check(
        "syslogd",
        "",
        &expect![[r#"
        {
          "description": "System log",
          "kind": "simple",
          "name": "syslogd",
          "process": {
            "argv": [
              "/run/cairn/generation/syslogd"
            ]
          },
          "requires": [
            "syslogd.socket"
          ],
          "restart": "always",
          "wantedAtBoot": true
        }"#]],
    );
    check(
        "syslogd.socket",
        "",
        &expect![[r#"
        {
          "description": "What programs write to the system log",
          "kind": "socket",
          "name": "syslogd.socket",
          "onChange": "restart",
          "socket": {
            "listen": [
              {
                "datagram": "/dev/log"
              }
            ],
            "passCredentials": true,
            "service": "syslogd"
          },
          "wantedAtBoot": true
        }"#]],
    );
    check(
        "syslogd",
        "services.syslogd.remote = \"log.example.org:514\";",
        &expect![[r#"
            {
              "description": "System log",
              "kind": "simple",
              "name": "syslogd",
              "process": {
                "argv": [
                  "busybox-static/bin/busybox",
                  "syslogd",
                  "-n",
                  "-O",
                  "-",
                  "-L",
                  "-R",
                  "log.example.org:514"
                ]
              },
              "restart": "always",
              "wantedAtBoot": true
            }"#]],
    );
}
