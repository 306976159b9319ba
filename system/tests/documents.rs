//! The documents as their readers meet them: what is taken, and what a refusal says.

#![cfg(test)]

use cairn_system::{Bootspec, Device, Stage1, SystemDescription};
use expect_test::{Expect, expect};
use proptest::prelude::*;

const SYSTEM: &str = r#"{
  "version": 1,
  "label": "Cairn test",
  "hostName": "cairn",
  "fileSystems": [{ "mountPoint": "/", "device": "LABEL=root", "fsType": "ext4" }],
  "users": [{
    "name": "root", "uid": 0, "isSystemUser": true, "group": "root",
    "home": "/root", "shell": "/bin/sh"
  }],
  "groups": [{ "name": "root", "gid": 0 }],
  "binSh": "/nix/store/x/bin/sh",
  "usrBinEnv": "/nix/store/x/bin/env",
  "etc": [{ "target": "shadowed", "source": "/x", "copy": { "mode": "0440", "user": "root", "group": "root" } }],
  "services": [{
    "name": "demo", "kind": "simple", "wantedAtBoot": true,
    "process": { "argv": ["/nix/store/x/bin/demo"] }
  }]
}"#;

fn refusal(from: &str, to: &str, expected: &Expect) {
    assert!(SYSTEM.contains(from), "the sample has no '{from}'");
    let error = SystemDescription::parse(&SYSTEM.replacen(from, to, 1)).unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[test]
fn a_description_survives_a_round_trip() {
    let description = SystemDescription::parse(SYSTEM).unwrap();
    let text = serde_json::to_string(&description).unwrap();
    assert_eq!(SystemDescription::parse(&text).unwrap(), description);
    assert_eq!(description.etc[0].copy.as_ref().unwrap().mode, 0o440);
    assert_eq!(description.services[0].stop_timeout_ms, 5_000);
}

#[test]
fn a_refusal_names_the_field() {
    refusal(
        r#""wantedAtBoot""#,
        r#""wantedAtBot""#,
        &expect![
            "cannot read system.json: at 'services[0].wantedAtBot': unknown field `wantedAtBot`, expected one of `name`, `description`, `kind`, `process`, `readiness`, `socket`, `watch`, `readsOutputOf`, `device`, `storedDescriptors`, `pinnedDescriptors`, `outlivesUserSpace`, `preStart`, `postStart`, `preStop`, `postStop`, `reload`, `requires`, `requisite`, `bindsTo`, `wants`, `upholds`, `after`, `partOf`, `conflicts`, `onFailure`, `onSuccess`, `tellsOfRestarts`, `machineActions`, `wantedAtBoot`, `stopWhenUnneeded`, `noStartByHand`, `noStopByHand`, `conditions`, `directories`, `credentials`, `removesIpc`, `delegated`, `cgroup`, `goesOnAfterOom`, `leastLogLevel`, `pidFile`, `endsWithLastProcess`, `staysUp`, `outlivesProcess`, `restart`, `successStatuses`, `finalStatuses`, `restartStatuses`, `restartDelayMs`, `restartDelayMaxMs`, `restartSteps`, `restartRandomDelayMs`, `startLimit`, `startTimeoutMs`, `runtimeMaxMs`, `runtimeRandomExtraMs`, `watchdogMs`, `stopTimeoutMs`, `stopSignal`, `killMode`, `onChange`, `restartTrigger`, `reloadTrigger` at line 15 column 51"
        ],
    );
    refusal(
        r#""version": 1"#,
        r#""version": 2"#,
        &expect![
            "cannot read system.json: at 'version': version 2 is not supported; this program reads version 1 at line 2 column 14"
        ],
    );
    refusal(
        r#""hostName": "cairn""#,
        r#""hostName": "../etc""#,
        &expect![
            "cannot read system.json: at 'hostName': '../etc' is not a host name; 1 to 63 of a-z A-Z 0-9 - are allowed, with no - first or last at line 4 column 22"
        ],
    );
    refusal(
        r#""mountPoint": "/""#,
        r#""mountPoint": "/a/../b""#,
        &expect![
            "cannot read system.json: at 'fileSystems[0].mountPoint': '/a/../b' is not a mount point; write an absolute path without '.', '..', '//' or a trailing '/' at line 5 column 43"
        ],
    );
    refusal(
        r#""mode": "0440""#,
        r#""mode": "rw""#,
        &expect![
            "cannot read system.json: at 'etc[0].copy.mode': 'rw' is not a mode; write it in octal, such as 0755 at line 13 column 72"
        ],
    );
}

#[test]
fn contradictions_are_refused() {
    refusal(
        r#""group": "root",
    "home""#,
        r#""group": "wheel",
    "home""#,
        &expect!["cannot use system.json: user 'root' has group 'wheel', which is not defined"],
    );
    refusal(
        r#""kind": "simple","#,
        r#""kind": "simple", "requires": ["network"],"#,
        &expect!["cannot use system.json: service 'demo' requires 'network', which is not defined"],
    );
    refusal(
        r#"[{ "name": "root", "gid": 0 }]"#,
        r#"[{ "name": "root", "gid": 0 }, { "name": "root" }]"#,
        &expect!["cannot use system.json: group 'root' is defined twice"],
    );
    refusal(
        r#""process": {"#,
        r#""process": { "confinement": { "closures": ["/nix/store/list"] },"#,
        &expect![
            "cannot use system.json: service 'demo' is to see a part of the store alone, and has no root of its own"
        ],
    );
    refusal(
        r#""process": {"#,
        r#""process": { "confinement": { "mounts": [{ "target": "/" }, { "target": "/", "source": "/srv" }] },"#,
        &expect!["cannot use system.json: service 'demo' is to see several things as its root"],
    );
}

/// A description with one more service: a socket.
fn refused_socket(socket: &str, expected: &Expect) {
    let with = format!(
        r#""services": [{{"name":"x.socket","kind":"socket","wantedAtBoot":true,"socket":{socket}}},"#
    );
    refusal(r#""services": ["#, &with, expected);
}

#[test]
fn devices_that_cannot_be_are_refused() {
    let refused = |device: &str, expected: &Expect| {
        let with = format!(
            r#""services": [{{"name":"x.device","kind":"device","wantedAtBoot":true{device}}},"#
        );
        refusal(r#""services": ["#, &with, expected);
    };
    refused(
        "",
        &expect!["cannot use system.json: service 'x.device' names no device"],
    );
    refused(
        r#","device":"/etc/x""#,
        &expect![
            "cannot read system.json: at 'services[0].device': '/etc/x' is not a path of a device; it is below /dev or /sys, and 1024 bytes at most without empty parts, . and .. at line 14 column 88"
        ],
    );
    refused(
        r#","device":"/dev/x","watch":{"service":"demo","paths":[{"exists":"/x"}]}"#,
        &expect!["cannot use system.json: service 'x.device' is of another kind than what it has"],
    );
}

#[test]
fn sockets_that_cannot_be_are_refused() {
    refused_socket(
        r#"{"service":"other","listen":[{"stream":"22"}]}"#,
        &expect!["cannot use system.json: service 'x.socket' starts 'other', which is not defined"],
    );
    refused_socket(
        r#"{"service":"demo","listen":[]}"#,
        &expect![
            "cannot use system.json: service 'x.socket' listens on nothing, or on more than 128 things"
        ],
    );
    refused_socket(
        r#"{"service":"demo","accept":true,"listen":[{"stream":"22"}]}"#,
        &expect![
            "cannot use system.json: service 'x.socket' starts 'demo' for each connection: a template, whose name ends with @, is needed"
        ],
    );
    refused_socket(
        r#"{"service":"demo","accept":true,"listen":[{"datagram":"22"}]}"#,
        &expect![
            "cannot use system.json: service 'x.socket' takes connections on udp [::]:22, where there are none"
        ],
    );
    refused_socket(
        r#"{"service":"demo","user":"nobody","listen":[{"stream":"/run/x"}]}"#,
        &expect![
            "cannot use system.json: service 'x.socket' makes files of user 'nobody', which is not defined"
        ],
    );
    refused_socket(
        r#"{"service":"demo","listen":[{"sequential-packet":"22"}]}"#,
        &expect![
            "cannot use system.json: service 'x.socket' listens on packets at [::]:22, but such sockets are in the file system"
        ],
    );
    refused_socket(
        r#"{"service":"demo","listen":[{"stream":"localhost:22"}]}"#,
        &expect![
            "cannot read system.json: at 'services[0].socket.listen[0].stream': 'localhost:22' is no address to listen on; examples are 22, 127.0.0.1:22, [::1]:22, /run/x.socket, @name at line 14 column 131"
        ],
    );
}

#[test]
fn a_truncated_document_is_refused() {
    for length in 0..SYSTEM.len() {
        assert!(
            SystemDescription::parse(&SYSTEM[..length]).is_err(),
            "{length} bytes were taken"
        );
    }
}

#[test]
fn stage_1_begins_with_the_root() {
    let stage1 = |mounts: &str| {
        Stage1::parse(&format!(
            r#"{{"version":1,"fileSystems":[{mounts}],"deviceTimeoutSeconds":1,"rebootDelaySeconds":1}}"#
        ))
        .map(|stage1| stage1.file_systems.len())
        .map_err(|error| error.to_string())
    };
    let mount = |at: &str| format!(r#"{{"mountPoint":"{at}","device":"tmpfs","fsType":"tmpfs"}}"#);
    assert_eq!(stage1(&format!("{},{}", mount("/"), mount("/var"))), Ok(2));
    let refused = Err(
        "cannot use stage-1.json: the first file system is not '/'; define fileSystems.\"/\""
            .to_owned(),
    );
    assert_eq!(stage1(""), refused);
    assert_eq!(stage1(&mount("/var")), refused);
}

#[test]
fn an_encrypted_device_has_a_name_of_its_own() {
    let stage1 = |names: [&str; 2]| {
        let devices = names.map(|name| format!(r#"{{"name":"{name}","device":"LABEL={name}"}}"#));
        Stage1::parse(&format!(
            r#"{{"version":1,"deviceTimeoutSeconds":1,"rebootDelaySeconds":1,
                "fileSystems":[{{"mountPoint":"/","device":"tmpfs","fsType":"tmpfs"}}],
                "storage":{{"encrypted":[{}]}}}}"#,
            devices.join(",")
        ))
        .map(|stage1| stage1.storage.encrypted.len())
        .map_err(|error| error.to_string())
    };
    assert_eq!(stage1(["one", "two"]), Ok(2));
    expect![[r#"
        Err(
            "cannot use stage-1.json: two encrypted devices are called 'one'; check boot.initrd.luks.devices.<name>.name",
        )
    "#]].assert_debug_eq(&stage1(["one", "one"]));
    expect![[r#"
        Err(
            "cannot read stage-1.json: at 'storage.encrypted[0].name': 'a/b' is not a name of the device mapper; 1 to 127 of a-z A-Z 0-9 _ - . + are allowed, a letter or digit first at line 3 column 53",
        )
    "#]].assert_debug_eq(&stage1(["a/b", "two"]));
}

#[test]
fn bootspec_ignores_unknown_keys() {
    let text = r#"{
      "org.example.extension": {},
      "org.nixos.bootspec.v1": {
        "init": "/nix/store/t/init", "kernel": "/nix/store/k/bzImage", "kernelParams": ["quiet"],
        "label": "Cairn", "system": "x86_64-linux", "toplevel": "/nix/store/t", "later": 1
      }
    }"#;
    let bootspec = Bootspec::parse(text).unwrap();
    assert_eq!(bootspec.v1.kernel_params, ["quiet"]);
    assert_eq!(bootspec.v1.initrd, None);
    assert!(bootspec.specialisations.is_empty());
}

#[test]
fn health_checks_are_oneshots_with_a_timeout() {
    let with = |more: &str| {
        SYSTEM.replacen(
            r#""services": [{"#,
            &format!(
                r#""health": [{{ "name": "web", "service": "health-web", "need": "required" }}],
                "services": [{more} {{"#
            ),
            1,
        )
    };
    let check = |more: &str, expected: &Expect| {
        let text = match SystemDescription::parse(&with(more)) {
            Ok(description) => format!("{:?}", description.health),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    };
    let service = |fields: &str| {
        format!(
            r#"{{ "name": "health-web", "process": {{ "argv": ["/x"] }}, "wantedAtBoot": false, {fields} }},"#
        )
    };
    check(
        "",
        &expect![
            "cannot use system.json: health check 'web' is the service 'health-web', which is not defined"
        ],
    );
    check(
        &service(r#""kind": "simple""#),
        &expect![
            "cannot use system.json: health check 'web' is the service 'health-web', which is no oneshot"
        ],
    );
    check(
        &service(r#""kind": "oneshot""#),
        &expect![
            "cannot use system.json: health check 'web' is the service 'health-web', which has no start timeout, and could hang for ever"
        ],
    );
    check(
        &service(r#""kind": "oneshot", "startTimeoutMs": 1000"#),
        &expect![[
            r#"[HealthCheck { name: ServiceName("web"), service: ServiceName("health-web"), need: Required }]"#
        ]],
    );
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused(text in ".{0,200}") {
        prop_assert!(SystemDescription::parse(&text).is_err());
        prop_assert!(Stage1::parse(&text).is_err());
    }

    #[test]
    fn a_device_is_written_as_it_was_read(text in "((LABEL|UUID|PARTLABEL|PARTUUID)=[a-zA-Z0-9 _-]{1,20}|/dev/[a-z0-9/]{1,20}|tmpfs)") {
        let device = Device::try_from(text.clone()).unwrap();
        let by_path = text.starts_with("/dev/disk/by-");
        prop_assert!(by_path || device.to_string() == text);
    }
}
