//! What cannot be had, and the way out.

use expect_test::expect;
use serde_json::Value;

use super::machine;

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
        r#"systemd.services.a = { serviceConfig.ExecStart = "/x \\xff"; };"#,
        r#"systemd.services.a = { serviceConfig.ExecStart = [ "/x" "/y" ]; };"#,
        r#"systemd.services.a = { serviceConfig.ExecStart = "/x ; /y"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.TimeoutStopSec = "soon"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.Type = "dbus"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.Type = "foo"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.ConditionPathExsits = "/x"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.ConditionFirstBoot = true; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.AssertMemory = "lots"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.ConditionPathExists = "|!x"; };"#,
        r#"systemd.timers.a = { timerConfig.OnCalendar = "daily"; unitConfig.ConditionACPower = true; }; systemd.services.a.script = "x";"#,
        r#"systemd.targets.a.unitConfig.StopWhenUneeded = true;"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.KillMode = "none"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.TasksMax = "50%"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.AllowedCPUs = "0-x"; };"#,
        r#"systemd.user.services.a = { script = "x"; serviceConfig.AllowedCPUs = "0"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.RuntimeDirectory = "a:b"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.StandardOutput = "fd:x"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.StandardOutput = "socket"; };"#,
        r#"systemd.user.services.a = { script = "x"; serviceConfig.StandardInput = "tty"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.After = "x"; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.FailureAction = "reboot-immediate"; };"#,
        r#"systemd.user.services.a = { script = "x"; unitConfig.SuccessAction = "poweroff"; };"#,
        r#"systemd.services.a = { script = "x"; serviceConfig.SurviveFinalKillSignal = true; };"#,
        r#"systemd.services.a = { script = "x"; unitConfig.SurviveFinalKillSignal = true; requires = [ "b.service" ]; }; systemd.services.b.script = "x";"#,
        r#"systemd.services."a@" = { script = "x"; unitConfig.SurviveFinalKillSignal = true; }; systemd.sockets.a = { listenStreams = [ "1" ]; socketConfig.Accept = true; };"#,
        r#"system.userServices.a = { process.argv = [ "/x" ]; outlivesUserSpace = true; };"#,
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
        r#"services.udev.extraHwdb = "x";"#,
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

        systemd.services.a = { serviceConfig.ExecStart = "/x \\xff"; };
        systemd.services.a.serviceConfig.ExecStart: '\xff' is not supported: write the character itself

        systemd.services.a = { serviceConfig.ExecStart = [ "/x" "/y" ]; };
        the configuration contradicts itself:
        - systemd.services.a.serviceConfig.ExecStart: there are several commands, and only a oneshot may have more than one

        systemd.services.a = { serviceConfig.ExecStart = "/x ; /y"; };
        the configuration contradicts itself:
        - systemd.services.a.serviceConfig.ExecStart: there are several commands, and only a oneshot may have more than one

        systemd.services.a = { script = "x"; serviceConfig.TimeoutStopSec = "soon"; };
        systemd.services.a.serviceConfig.TimeoutStopSec: 'soon' is no time; examples are 90, 5s, 1min 30s, 250ms

        systemd.services.a = { script = "x"; serviceConfig.Type = "dbus"; };
        systemd.services.a.serviceConfig.Type: 'dbus' is not supported; use notify or simple

        systemd.services.a = { script = "x"; serviceConfig.Type = "foo"; };
        systemd.services.a.serviceConfig.Type: 'foo' is not supported; known are exec, forking, idle, notify, notify-reload, oneshot, simple

        systemd.services.a = { script = "x"; unitConfig.ConditionPathExsits = "/x"; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.ConditionPathExsits is no key that is supported; did you mean ConditionPathExists?

        systemd.services.a = { script = "x"; unitConfig.ConditionFirstBoot = true; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.ConditionFirstBoot is not supported: no boot is the first one here; use ConditionPathExists with a file that the service makes

        systemd.services.a = { script = "x"; unitConfig.AssertMemory = "lots"; };
        systemd.services.a.unitConfig.AssertMemory: 'lots' is no comparison; examples are 2, >=4G, <1T

        systemd.services.a = { script = "x"; unitConfig.ConditionPathExists = "|!x"; };
        systemd.services.a.unitConfig.ConditionPathExists: 'x' is no absolute path

        systemd.timers.a = { timerConfig.OnCalendar = "daily"; unitConfig.ConditionACPower = true; }; systemd.services.a.script = "x";
        the configuration contradicts itself:
        - systemd.timers.a.unitConfig.ConditionACPower is not supported: set it for its service

        systemd.targets.a.unitConfig.StopWhenUneeded = true;
        the configuration contradicts itself:
        - systemd.targets.a.unitConfig.StopWhenUneeded is no key that is supported; did you mean StopWhenUnneeded?

        systemd.services.a = { script = "x"; serviceConfig.KillMode = "none"; };
        systemd.services.a.serviceConfig.KillMode: 'none' is not supported; known are control-group, mixed, process

        systemd.services.a = { script = "x"; serviceConfig.TasksMax = "50%"; };
        systemd.services.a.serviceConfig.TasksMax: '50%' is no number

        systemd.services.a = { script = "x"; serviceConfig.AllowedCPUs = "0-x"; };
        systemd.services.a.serviceConfig.AllowedCPUs: '0-x' is no number or range, such as 0-3

        systemd.user.services.a = { script = "x"; serviceConfig.AllowedCPUs = "0"; };
        the configuration contradicts itself:
        - systemd.user.services.a.serviceConfig.AllowedCPUs is not supported: a user's supervisor has no right to do that; run it as systemd.services with a user

        systemd.services.a = { script = "x"; serviceConfig.RuntimeDirectory = "a:b"; };
        systemd.services.a.serviceConfig.RuntimeDirectory: 'a:b' is not supported: no links are made to directories; name the directory alone

        systemd.services.a = { script = "x"; serviceConfig.StandardOutput = "fd:x"; };
        systemd.services.a.serviceConfig.StandardOutput: 'fd:x' is not supported; known are journal, null, append:/path, file:/path and truncate:/path

        systemd.services.a = { script = "x"; serviceConfig.StandardOutput = "socket"; };
        systemd.services.a.serviceConfig.StandardOutput: 'socket' is not supported without StandardInput = "socket"

        systemd.user.services.a = { script = "x"; serviceConfig.StandardInput = "tty"; };
        systemd.user.services.a.serviceConfig.StandardInput: 'tty' is not supported: a user's services have no terminal

        systemd.services.a = { script = "x"; unitConfig.After = "x"; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.After: set systemd.services.a.after instead

        systemd.services.a = { script = "x"; unitConfig.FailureAction = "reboot-immediate"; };
        the configuration contradicts itself:
        - systemd.services.a.unitConfig.FailureAction: it would lose what is not on the disk yet; use reboot-force

        systemd.user.services.a = { script = "x"; unitConfig.SuccessAction = "poweroff"; };
        the configuration contradicts itself:
        - systemd.user.services.a: a user's service does nothing to the machine; take its failureAction, successAction and startLimitAction away.

        systemd.services.a = { script = "x"; serviceConfig.SurviveFinalKillSignal = true; };
        the configuration contradicts itself:
        - systemd.services.a.serviceConfig.SurviveFinalKillSignal is not supported: it belongs into unitConfig

        systemd.services.a = { script = "x"; unitConfig.SurviveFinalKillSignal = true; requires = [ "b.service" ]; }; systemd.services.b.script = "x";
        the configuration contradicts itself:
        - systemd.services.a: it is to outlive user space, but needs 'b', which is stopped when that starts again; let 'b' outlive it, too (outlivesUserSpace, or unitConfig.SurviveFinalKillSignal), or name it in wants and after.

        systemd.services."a@" = { script = "x"; unitConfig.SurviveFinalKillSignal = true; }; systemd.sockets.a = { listenStreams = [ "1" ]; socketConfig.Accept = true; };
        the configuration contradicts itself:
        - systemd.services.a@: what serves a single connection does not outlive user space; take its outlivesUserSpace (unitConfig.SurviveFinalKillSignal) away.

        system.userServices.a = { process.argv = [ "/x" ]; outlivesUserSpace = true; };
        the configuration contradicts itself:
        - systemd.user.services.a: a user's service does not outlive user space; take its outlivesUserSpace away.

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
        - systemd.timers.a.timerConfig.OnCalender is no key that is supported; known are AccuracySec, RemainAfterElapse, Unit, DeferReactivation, RandomizedOffsetSec, WakeSystem, OnActiveSec, OnBootSec, OnStartupSec, OnUnitActiveSec, OnUnitInactiveSec, OnCalendar, OnClockChange, OnTimezoneChange, Persistent, RandomizedDelaySec, FixedRandomDelay
        - system.services.a: a timer starts it, and there is nothing to execute; describe the service, as systemd.services.a or with process.argv.

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

        services.udev.extraHwdb = "x";
        the configuration contradicts itself:
        - services.udev.extraHwdb is not supported: there is no hardware database; set properties with services.udev.extraRules (ENV{…}="…").

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

/// What somebody may miss is not left out in silence; what nobody does is.
#[test]
fn what_changes_nothing_is_said() {
    let evaluation = machine(
        r#"systemd.services.a = {
          script = "x";
          serviceConfig = {
            PrivatePIDs = true; RemoveIPC = false; Slice = "system.slice"; SyslogIdentifier = "x";
            SendSIGHUP = true; CoredumpFilter = "default"; FinalKillSignal = "SIGQUIT"; ExitType = "main"; KeyringMode = "inherit"; MemoryAccounting = true;
          };
          unitConfig = { JobTimeoutSec = 5; StopWhenUnneeded = true; RefuseManualStart = false; DefaultDependencies = false; };
        };
        systemd.timers.a.timerConfig = { OnCalendar = "daily"; FixedRandomDelay = true; AccuracySec = "1h"; };
        systemd.sockets.b = { listenStreams = [ "1" ]; socketConfig.ReceiveBuffer = "8M"; };
        systemd.services.b.script = "x";
        systemd.targets.c.unitConfig.RefuseManualStop = true;"#,
    );
    let warnings = evaluation.value("builtins.concatStringsSep \"\n\" config.warnings");
    expect![[r#"
        systemd.services.a: serviceConfig.FinalKillSignal is without effect (what does not stop in time is killed with SIGKILL), and serviceConfig.PrivatePIDs is without effect (the service runs without this one of its confinements; the others hold), and serviceConfig.SendSIGHUP is without effect (only services with a terminal hear of a hangup), and unitConfig.JobTimeoutSec is without effect (its start waits for what it needs as long as that takes; TimeoutStartSec bounds the rest).
        systemd.sockets.b: socketConfig.ReceiveBuffer is without effect (the kernel's default is kept)."#]].assert_eq(warnings.as_str().unwrap());
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
