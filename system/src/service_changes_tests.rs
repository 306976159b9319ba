//! Tests of the plan: each writes both generations in a language of one line a service.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::process::Process;
use crate::service::Reload;

/// Reads one service a line: a name, `=` and what it executes, and words:
///
/// `>a` requires, `~a` wants, `<a` part of, `off` not wanted at boot, `hup` can be reloaded,
/// `restart`, `reload`, `keep` its `on_change`, `rt=`, `lt=` its triggers, `milestone`, `socket`, `device`, and in the
/// old generation where it stands: `down`, `failed`, `stopped`, `held`; otherwise it is up.
fn parse(text: &str) -> (Vec<Service>, BTreeMap<ServiceName, Standing>) {
    let name = |text: &str| ServiceName::try_from(text).unwrap();
    let mut standings = BTreeMap::new();
    let services = text.lines().filter(|line| !line.trim().is_empty());
    let services = services
        .map(|line| {
            let mut words = line.split_whitespace();
            let (own, program) = words.next().unwrap().split_once('=').unwrap();
            let process = Process::new(vec![format!("/bin/{program}")]);
            let mut service = Service::new(name(own), ServiceKind::Simple, process);
            let mut standing = Standing::Up;
            for word in words {
                match word {
                    "off" => service.wanted_at_boot = false,
                    "hup" => service.reload = Some(Reload::Signal(Signal::TERM)),
                    "restart" => service.on_change = OnChange::Restart,
                    "reload" => service.on_change = OnChange::Reload,
                    "keep" => service.on_change = OnChange::Keep,
                    "milestone" => service.kind = ServiceKind::Milestone,
                    "socket" => listen(&mut service, program),
                    "device" => be_device(&mut service, program),
                    "down" => standing = Standing::Idle,
                    "failed" => standing = Standing::Failed,
                    "stopped" => standing = Standing::Stopped,
                    "held" => standing = Standing::Held,
                    _ => match word.split_at(1) {
                        (">", other) => service.requires.push(name(other)),
                        ("~", other) => service.wants.push(name(other)),
                        ("<", other) => service.part_of.push(name(other)),
                        ("r", digest) => service.restart_trigger = Some(digest.to_owned()),
                        ("l", digest) => service.reload_trigger = Some(digest.to_owned()),
                        other => panic!("{other:?} is no word"),
                    },
                }
            }
            standings.insert(service.name.clone(), standing);
            service
        })
        .collect();
    (services, standings)
}

/// Makes it a socket for the service `web`, at a path of that name.
fn listen(service: &mut Service, path: &str) {
    let json = format!(r#"{{"service":"web","listen":[{{"stream":"/{path}"}}]}}"#);
    service.kind = ServiceKind::Socket;
    service.socket = Some(serde_json::from_str(&json).unwrap());
    service.process = Process::default();
}

/// Makes it the device of this name.
fn be_device(service: &mut Service, name: &str) {
    service.kind = ServiceKind::Device;
    service.device = Some(format!("/dev/{name}").try_into().unwrap());
    service.process = Process::default();
    service.wanted_at_boot = false;
}

fn changes(before: &str, after: &str) -> ServiceChanges {
    let (before, standings) = parse(before);
    let (after, _) = parse(after);
    ServiceChanges::between(&before, &after, |name| standings[name])
}

fn check(before: &str, after: &str, expected: &Expect) {
    expected.assert_eq(&changes(before, after).to_string());
}

#[test]
fn a_socket_that_is_another_takes_its_service_along() {
    check(
        "same=a socket restart\nmoves=b socket restart\ngone=c socket restart\nweb=1 >same >moves >gone off",
        "same=a socket restart\nmoves=d socket restart\nnew=e socket restart\nweb=1 >same >moves >new off",
        &expect![[r#"
            stop gone: it is not there any more
            stop and start web: it has changed
            restart moves: it has changed
            start new: it is new
        "#]],
    );
    check(
        "moves=b socket restart\nweb=1 >moves off down\nother=1",
        "moves=d socket restart\nweb=1 >moves off\nother=1",
        &expect![[r#"
            restart moves: it has changed
        "#]],
    );
    check(
        "same=a socket restart\nweb=1 >same off",
        "same=a socket restart\nweb=2 >same off",
        &expect![[r#"
            stop and start web: it has changed
        "#]],
    );
}

#[test]
fn a_device_that_is_waited_for_starts_nothing_yet() {
    check(
        "there=a device\nsame=b device ~known\nknown=1 >same off",
        "there=a device ~new\nnew=1 >there off\nlate=c device ~later\nlater=1 >late off\nasks=1 >late\nsame=b device ~known\nknown=1 >same off",
        &expect![[r#"
            start asks: it is new
            start late: asks wants it
            start new: there wants it
        "#]],
    );
    check(
        "moves=a device\nbound=1 >moves off",
        "moves=b device\nbound=1 >moves off",
        &expect![[r#"
            stop and start bound: it goes with moves
            stop and start moves: it has changed
        "#]],
    );
}

#[test]
fn each_service_by_itself() {
    check(
        "same=1\nchanged=1\ngone=1\ngone-and-down=1 down\nkept=1\nsoon=1\nread=1",
        "same=1\nchanged=2\nkept=2 keep\nsoon=2 restart\nread=2 reload hup\nnew=1\nnew-off=1 off",
        &expect![[r#"
            stop gone: it is not there any more
            stop and start changed: it has changed
            restart soon: it has changed
            reload read: it has changed
            start new: it is new
            leave kept alone, although it has changed: restart it by hand
        "#]],
    );
}

#[test]
fn triggers() {
    check(
        "a=1 rt=1 lt=1 hup\nb=1 rt=1 lt=1 hup\nc=1\nd=1 lt=1\ne=1 keep lt=1 hup\nf=1 down lt=1\ng=1",
        "a=1 rt=2 lt=2 hup\nb=1 rt=1 lt=2 hup\nc=1 rt=1\nd=1 lt=2\ne=1 keep lt=2 hup\nf=1 lt=2\ng=1 reload rt=1",
        &expect![[r#"
            stop and start a: what it depends on has changed
            stop and start c: what it depends on has changed
            stop and start d: what it reads has changed
            restart g: what it depends on has changed
            reload b: what it reads has changed
            reload e: what it reads has changed
        "#]],
    );
}

#[test]
fn what_is_down() {
    check(
        "done=1 down\nby-hand=1 stopped\nbroken=1 failed\nstill=1 failed\nlater=1 down off\ntimed=1 down off\nheld=1 held\nheld-gone=1 held",
        "done=2\nby-hand=2\nbroken=2\nstill=1\nlater=1\ntimed=2 off\nheld=1",
        &expect![[r#"
            start broken: it has changed
            start done: it has changed
            start held: a switch has stopped it
            start later: it is wanted at boot now
        "#]],
    );
}

#[test]
fn those_that_need_it_follow() {
    check(
        "db=1\nweb=1 >db\nfront=1 >web\npart=1 <db\naside=1 ~db\nidle=1 >db down\nlogin=1 >db keep\ncache=1\napp=1 >cache hup",
        "db=2\nweb=1 >db\nfront=1 >web\npart=1 <db\naside=1 ~db\nidle=1 >db\nlogin=1 >db keep\ncache=2 restart\napp=2 >cache reload hup",
        &expect![[r#"
            stop and start db: it has changed
            stop and start front: it goes with web
            stop and start login: it goes with db
            stop and start part: it goes with db
            stop and start web: it goes with db
            restart app: it goes with cache
            restart cache: it has changed
        "#]],
    );
}

#[test]
fn what_others_need_comes_along() {
    check(
        "a=1\nb=1\nc=1 down\nd=1 stopped\ne=1 stopped\nf=1 ~c",
        "a=1 ~n1\nb=2 >d ~e\nn1=1 off >n2\nn2=1 off\nn3=1 off\nc=1\nd=1\ne=1\nf=1 ~c",
        &expect![[r#"
            stop and start b: it has changed
            start d: b wants it
            start n1: a wants it
            start n2: n1 wants it
        "#]],
    );
}

#[test]
fn milestones_have_nothing_to_restart() {
    check(
        "net=1 milestone >link\nlink=1\nuser=1 >net",
        "net=1 milestone >link >dns\nlink=1\ndns=1 off\nuser=1 >net",
        &expect![[r#"
            start dns: net wants it
        "#]],
    );
}

#[test]
fn what_only_the_supervisor_goes_by_touches_nothing() {
    let (before, _) = parse("a=1");
    let mut after = before.clone();
    let a = &mut after[0];
    a.description = "x".to_owned();
    a.restart = Restart::Always;
    a.stop_timeout_ms = 1;
    a.after = vec![ServiceName::try_from("b").unwrap()];
    let changes = ServiceChanges::between(&before, &after, |_| Standing::Up);
    assert!(changes.is_empty());
}

fn any_generation() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("off"),
        Just("hup"),
        Just("restart"),
        Just("reload"),
        Just("keep"),
        Just("down"),
        Just("failed"),
        Just("stopped"),
        Just("held"),
        Just(">a"),
        Just(">b"),
        Just("~c"),
        Just("<d"),
        Just("rt=1"),
        Just("lt=1"),
    ];
    let service = (0..3, prop::collection::vec(word, 0..4));
    prop::collection::vec(prop::option::of(service), 5).prop_map(|services| {
        let lines = services
            .into_iter()
            .zip('a'..)
            .filter_map(|(service, name)| {
                let (program, words) = service?;
                Some(format!("{name}={program} {}\n", words.join(" ")))
            });
        lines.collect()
    })
}

proptest! {
    #[test]
    fn the_same_generation_changes_nothing(text in any_generation()) {
        let all = changes(&text, &text);
        prop_assert!(all.iter().all(|change| matches!(change.cause, Cause::Interrupted | Cause::For(_))), "{all}");
    }

    #[test]
    fn plans_agree_with_themselves(before in any_generation(), after in any_generation()) {
        let (old, standings) = parse(&before);
        let (new, _) = parse(&after);
        let all = changes(&before, &after);
        let mut names: Vec<_> = all.iter().map(|change| &change.name).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), all.iter().count());
        for change in all.iter() {
            let standing = standings.get(&change.name).copied().unwrap_or_default();
            let is_new = new.iter().any(|service| service.name == change.name);
            let is_up = standing == Standing::Up;
            match change.action {
                ServiceAction::Stop => prop_assert!(is_up && !is_new),
                ServiceAction::Start => prop_assert!(!is_up && is_new),
                _ => prop_assert!(is_up && is_new),
            }
        }
        // Nothing goes on whose base is taken away.
        let stops = |name: &ServiceName| all.iter().any(|change| {
            change.name == *name && matches!(change.action, ServiceAction::Stop | ServiceAction::StopAndStart)
        });
        for service in old.iter().filter(|service| standings[&service.name] == Standing::Up) {
            for leader in service.requires.iter().chain(&service.part_of) {
                prop_assert!(!stops(leader) || stops(&service.name), "{} without {leader}", service.name);
            }
        }
    }
}
