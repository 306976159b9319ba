//! Who may ask the supervisor for what, and what it does: enabling and disabling, conflicts, restarts of
//! user space.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "functions of a test fail the test"
)]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cairn_system::control::{Request, Response, STAGE_TIMES, ServiceState, VERSION};
use namespace::{Machine, name, reason, script};

const SLEEP: &str = "exec sleep 1000000";

/// Asks as another user, from inside: what is answered.
fn ask_as(machine: &Machine, ids: &[&str], request: &str) -> String {
    // Perl speaks to sockets, and every Debian system has it.
    let client = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => '/run/cairn/control') \
        or die $!; print $s \"$ARGV[0]\\n\"; $s->flush; print <$s>;";
    let output = Command::new("nsenter")
        .arg(format!("--target={}", machine.core))
        .args(["--user", "--mount", "--net", "setpriv"])
        .args(ids)
        .args(["perl", "-e", client, request])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn three_roles_go_by_users_and_groups() {
    let services = [script("a", SLEEP, ""), script("b", SLEEP, "")].join(",");
    // Groups of the host: what is there on every Debian system.
    let control = r#","control":{"operators":["operator"],"administrators":["sudo"]}"#;
    let machine = Machine::boot_with(&services, control);
    machine.wait_for("a", ServiceState::Up);
    let user = |groups: &'static str| ["--reuid=1234", "--regid=1234", groups];
    let nobody = user("--clear-groups");
    let operator = user("--groups=37");
    let administrator = user("--groups=27");
    let switch = r#"{"request":"switch","toplevel":"/nonexistent"}"#;
    let requests = [
        r#"{"request":"status"}"#,
        r#"{"request":"disable","name":"a"}"#,
        r#"{"request":"start","name":"a"}"#,
        r#"{"request":"enable","name":"a"}"#,
        switch,
        r#"{"request":"kexec"}"#,
        r#"{"request":"reboot","now":true}"#,
    ];
    let mut table = String::new();
    for (who, ids) in [
        ("nobody", nobody),
        ("operator", operator),
        ("administrator", administrator),
        ("root", ["--reuid=0", "--regid=0", "--clear-groups"]),
    ] {
        for request in requests {
            let answer = ask_as(&machine, &ids, request);
            let answer = if answer.contains(r#""response":"status""#) {
                "a status\n".to_owned()
            } else {
                answer
            };
            table += &format!("{who}: {answer}");
        }
    }
    expect_test::expect![[r#"
        nobody: a status
        nobody: {"response":"failed","reason":"only root and members of operator, sudo may do this; use sudo or doas"}
        nobody: {"response":"failed","reason":"only root and members of operator, sudo may do this; use sudo or doas"}
        nobody: {"response":"failed","reason":"only root and members of operator, sudo may do this; use sudo or doas"}
        nobody: {"response":"failed","reason":"only root and members of sudo may do this; use sudo or doas"}
        nobody: {"response":"failed","reason":"only root and members of sudo may do this; use sudo or doas"}
        nobody: {"response":"failed","reason":"cannot use request: unknown field `now`, expected one of `request`, `name`, `toplevel` at line 1 column 25; this supervisor speaks version 3"}
        operator: a status
        operator: {"response":"done"}
        operator: {"response":"failed","reason":"'a' is disabled until the machine is restarted; use cairn enable a"}
        operator: {"response":"done"}
        operator: {"response":"failed","reason":"only root and members of sudo may do this; use sudo or doas"}
        operator: {"response":"failed","reason":"only root and members of sudo may do this; use sudo or doas"}
        operator: {"response":"failed","reason":"cannot use request: unknown field `now`, expected one of `request`, `name`, `toplevel` at line 1 column 25; this supervisor speaks version 3"}
        administrator: a status
        administrator: {"response":"done"}
        administrator: {"response":"failed","reason":"'a' is disabled until the machine is restarted; use cairn enable a"}
        administrator: {"response":"done"}
        administrator: {"response":"failed","reason":"cannot switch to /nonexistent: /nonexistent/init: No such file or directory (os error 2)"}
        administrator: {"response":"failed","reason":"no kernel is loaded; use cairn reboot --kexec"}
        administrator: {"response":"failed","reason":"cannot use request: unknown field `now`, expected one of `request`, `name`, `toplevel` at line 1 column 25; this supervisor speaks version 3"}
        root: a status
        root: {"response":"done"}
        root: {"response":"failed","reason":"'a' is disabled until the machine is restarted; use cairn enable a"}
        root: {"response":"done"}
        root: {"response":"failed","reason":"cannot switch to /nonexistent: /nonexistent/init: No such file or directory (os error 2)"}
        root: {"response":"failed","reason":"no kernel is loaded; use cairn reboot --kexec"}
        root: {"response":"failed","reason":"cannot use request: unknown field `now`, expected one of `request`, `name`, `toplevel` at line 1 column 25; this supervisor speaks version 3"}
    "#]].assert_eq(&table);
}

#[test]
fn what_is_disabled_stays_down_whoever_wants_it() {
    let services = [
        script("base", SLEEP, ""),
        script("top", SLEEP, r#""requires":["base"]"#),
    ]
    .join(",");
    let machine = Machine::boot(&services);
    machine.wait_for("top", ServiceState::Up);
    let base = || name("base");
    let top = || name("top");
    assert_eq!(
        machine.request(&Request::Disable { name: base() }),
        Response::Done
    );
    assert_eq!(machine.service("top").state, ServiceState::Stopped);
    let refused = reason(machine.request(&Request::Start { name: top() }));
    assert_eq!(
        refused,
        "'top' has failed: it requires 'base', which is disabled"
    );
    // A successor knows it, of this generation or another.
    machine.replace_supervisor(9);
    assert!(machine.service("base").disabled);
    let next = machine.generation("next", &services);
    machine.switch(&next);
    let refused = reason(machine.request(&Request::Start { name: base() }));
    assert_eq!(
        refused,
        "'base' is disabled until the machine is restarted; use cairn enable base"
    );
    assert_eq!(
        machine.request(&Request::Enable { name: base() }),
        Response::Done
    );
    assert_eq!(
        machine.request(&Request::Start { name: top() }),
        Response::Done
    );
}

#[test]
fn one_of_two_that_conflict_makes_way() {
    let slow = "trap 'sleep 0.2; echo gone >> /var/log/story; exit' TERM; \
        echo one >> /var/log/story; while :; do sleep 0.01; done";
    let services = [
        script("one", slow, ""),
        script(
            "other",
            "echo other >> /var/log/story; exec sleep 1000000",
            r#""conflicts":["one"],"wantedAtBoot":false"#,
        ),
    ]
    .join(",");
    let machine = Machine::boot(&services);
    let story = || std::fs::read_to_string(machine.folder().join("log/story")).unwrap_or_default();
    machine.wait_until("the first runs", |_| story() == "one\n");
    let start = |service: &str| {
        machine.request(&Request::Start {
            name: name(service),
        })
    };
    assert_eq!(start("other"), Response::Done);
    assert_eq!(machine.service("one").state, ServiceState::Stopped);
    machine.wait_until("the other runs", |_| story() == "one\ngone\nother\n");
    assert_eq!(start("one"), Response::Done);
    machine.wait_until("it has all happened", |_| story().lines().count() == 4);
    assert_eq!(story(), "one\ngone\nother\none\n");
    assert_eq!(machine.service("other").state, ServiceState::Stopped);
}

#[test]
fn times_of_a_boot_are_noted() {
    let services = [
        script("slow", "sleep 0.3", r#""kind":"oneshot""#),
        script("never", SLEEP, r#""wantedAtBoot":false"#),
    ]
    .join(",");
    let machine = Machine::boot(&services);
    assert_eq!(machine.settle(), [""; 0]);
    let slow = machine.service("slow");
    let took = slow.up_ms.unwrap() - slow.started_ms.unwrap();
    assert!((300..10_000).contains(&took), "{took}");
    let never = machine.service("never");
    assert_eq!((never.started_ms, never.up_ms), (None, None));
    // Here stage 1 and stage 2 were a shell.
    let stages = std::fs::read_to_string(machine.inside(STAGE_TIMES)).unwrap();
    let fields: Vec<&str> = stages.trim_end().split(' ').collect();
    assert_eq!(fields[0], "services");
    assert!(fields[2].parse::<u64>().unwrap() >= slow.up_ms.unwrap());
    let Response::Status { version, .. } = machine.request(&Request::Status) else {
        panic!("that is no status")
    };
    assert_eq!(version, VERSION);
}

#[test]
fn user_space_starts_again_in_another_generation() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    machine.wait_for("a", ServiceState::Up);
    let toplevel = machine.generation("next", &script("b", SLEEP, ""));
    // What stage 2 would be: it finds what core has left, and becomes core.
    let init = std::path::Path::new(&toplevel).join("init");
    std::fs::rename(&init, init.with_file_name("program")).unwrap();
    let folder = machine.folder().display();
    let stage_2 = format!(
        "#!/bin/sh\nset -e\n[ $$ = 1 ]\ntest -e /run/cairn/restarted\n\
         ps -e -o pid= | wc -l > {folder}/processes\n\
         grep SigBlk /proc/self/status > {folder}/blocked\n\
         ls -l /proc/self/fd > {folder}/descriptors\n\
         mv {toplevel}/program {toplevel}/init.new\nmv {toplevel}/init.new {toplevel}/init\n\
         exec {folder}/cairn-core {toplevel}\n"
    );
    std::fs::write(&init, stage_2).unwrap();
    std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755)).unwrap();
    let answer = machine.request(&Request::RestartUserSpace {
        toplevel: "/nonexistent".to_owned(),
    });
    expect_test::expect![
        "cannot switch to /nonexistent: /nonexistent/init: No such file or directory (os error 2)"
    ]
    .assert_eq(&reason(answer));
    let request = Request::RestartUserSpace {
        toplevel: toplevel.clone(),
    };
    assert_eq!(machine.request(&request), Response::Done);
    machine.wait_until("the other generation runs", |machine| {
        matches!(machine.try_request(&Request::Status),
            Some(Response::Status { toplevel: now, .. }) if now == toplevel)
    });
    machine.wait_for("b", ServiceState::Up);
    let read = |file: &str| std::fs::read_to_string(machine.folder().join(file)).unwrap();
    // PID 1, ps, wc and the shell that starts them.
    assert!(read("processes").trim().parse::<u32>().unwrap() <= 4);
    assert_eq!(read("blocked"), "SigBlk:\t0000000000000000\n");
    // Nothing of core's or the supervisor's: those of the test's own are there from the start.
    let descriptors = read("descriptors");
    for kind in ["socket:", "anon_inode:", "memfd:"] {
        assert!(!descriptors.contains(kind), "{descriptors}");
    }
    assert!(machine.log("a").is_empty());
    assert!(machine.inside("/run/cairn/restarted").exists());
}

#[test]
fn a_generation_that_cannot_be_started_is_a_reboot() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    machine.wait_for("a", ServiceState::Up);
    let toplevel = machine.generation("next", "");
    let init = std::path::Path::new(&toplevel).join("init");
    std::fs::remove_file(&init).unwrap();
    // It can be executed by its rights, and by no kernel.
    std::fs::write(&init, "\u{7f}ELF of another machine").unwrap();
    std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755)).unwrap();
    let request = Request::RestartUserSpace { toplevel };
    assert_eq!(machine.request(&request), Response::Done);
    assert_eq!(machine.ended(), Some(1), "it reboots");
}

#[test]
fn no_kernel_is_executed_that_nobody_has_loaded() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    let refused = reason(machine.request(&Request::Kexec));
    assert_eq!(refused, "no kernel is loaded; use cairn reboot --kexec");
    machine.wait_for("a", ServiceState::Up);
}
