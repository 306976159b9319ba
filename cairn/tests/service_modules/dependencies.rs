//! What units wait for, and what they start.

use expect_test::expect;
use serde_json::Value;

use super::machine;

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

/// `Requisite=`: what is to be up already is not started along, unless it is required as well.
#[test]
fn what_is_to_be_up_already() {
    let text = r#"
        systemd.services.base.script = "x";
        systemd.services.top = { script = "x"; requisite = [ "base.service" ]; };
        systemd.services.both = { script = "x"; requisite = [ "base.service" ]; requires = [ "base.service" ]; };
    "#;
    let shown = "map (s: builtins.toJSON [ s.name s.requires (s.requisite or [ ]) ]) (builtins.filter \
        (s: builtins.match \"top|both\" s.name != null) config.system.description.services)";
    let lines = machine(text).value(shown);
    let lines = lines.as_array().unwrap().iter().filter_map(Value::as_str);
    expect![[r#"
        ["both",["base"],[]]
        ["top",["base"],["base"]]"#]]
    .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}
