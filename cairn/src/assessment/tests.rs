//! What an assessment leaves behind, in a root of its own.

use std::fs;
use std::os::unix::fs::symlink;

use cairn_bootloader::Trial;
use cairn_store::Store;
use expect_test::{Expect, expect};

use super::*;

/// A system that demands nothing.
const DESCRIPTION: &str = r#"{ "version": 1, "label": "x", "hostName": "x", "fileSystems": [],
    "users": [], "groups": [], "binSh": "/x", "usrBinEnv": "/x", "services": [] }"#;

/// A machine with generations 1 and 2.
struct Root {
    folder: tempfile::TempDir,
    machine: Machine,
    systems: Vec<String>,
}

impl Root {
    fn new(good: Option<&str>, trial: Option<(&str, u8)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let store = Store::open(root).unwrap();
        let systems: Vec<_> = ["one", "two"]
            .iter()
            .map(|name| {
                let tree = root.join(name);
                fs::create_dir(&tree).unwrap();
                fs::write(tree.join("name"), name).unwrap();
                fs::write(tree.join("system.json"), DESCRIPTION).unwrap();
                let path = store.add_tree(name, &tree).unwrap();
                store.add_generation("system", &path).unwrap();
                path.to_string()
            })
            .collect();
        store.set_current("system", 2).unwrap();
        fs::create_dir_all(root.join("boot/grub")).unwrap();
        let mut state = BootState::default();
        state.good = good.map(|text| text.parse().unwrap());
        state.trial = trial.map(|(entry, tries)| Trial {
            entry: entry.parse().unwrap(),
            tries,
        });
        state.write(&root.join("boot/grub")).unwrap();
        Self {
            machine: Machine::at(folder.path()),
            folder,
            systems,
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            machine: &self.machine,
            console: |_, _| {},
        }
    }

    /// It runs this generation.
    fn runs(&self, number: usize) {
        let run = self.folder.path().join("run");
        fs::create_dir_all(&run).unwrap();
        for name in ["booted-system", "current-system"] {
            symlink(&self.systems[number - 1], run.join(name)).unwrap();
        }
    }

    /// What boots next, and what is known of the generations.
    fn check(&self, expected: &Expect) {
        let root = self.folder.path();
        let state = self.machine.boot_state();
        let name = |entry: Option<&EntryId>| entry.map(ToString::to_string).unwrap_or_default();
        let trial = state.trial.as_ref();
        let generations = Store::open(root).unwrap().generations("system").unwrap();
        let current = generations.iter().find(|one| one.current).unwrap();
        let mut text = format!(
            "good {}, trial {}, profile {}\n",
            name(state.good.as_ref()),
            name(trial.map(|trial| &trial.entry)),
            current.number
        );
        for entry in ["1", "2"] {
            if let Some(verdict) = Verdict::read(root, entry).unwrap() {
                let of = self
                    .systems
                    .iter()
                    .position(|one| *one == verdict.toplevel)
                    .unwrap()
                    + 1;
                let line = format!(
                    "{entry} (system {of}): {:?} {:?}, {} failures, log of {} lines\n",
                    verdict.outcome,
                    verdict.reason,
                    verdict.failures,
                    verdict.log.lines().take(2).count()
                );
                text += &line;
            }
        }
        if let Some(entry) = self.subject().last_failure() {
            text += &["the last failure: ", &entry.to_string(), "\n"].concat();
        }
        text += &fs::read_to_string(root.join(NOTE)).unwrap_or_default();
        expected.assert_eq(&text);
    }
}

fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

#[test]
fn a_good_one_is_blessed() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    let remark = "health check 'mail' failed: status 1".to_owned();
    let next = bless(root.subject(), &id("2"), &[remark]).unwrap();
    assert_eq!(next, Next::Go("good".to_owned()));
    root.check(&expect![[r#"
        good 2, trial , profile 2
        2 (system 2): Good "what is required is well; health check 'mail' failed: status 1", 0 failures, log of 0 lines
    "#]]);
}

#[test]
fn a_good_one_is_told_of_its_earlier_try() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    let boots = root.folder.path().join(FOLDER);
    fs::create_dir_all(&boots).unwrap();
    fs::write(boots.join("2.report"), "stage 1: no root\na\nb\n").unwrap();
    bless(root.subject(), &id("2"), &[]).unwrap();
    root.check(&expect![[r#"
        good 2, trial , profile 2
        2 (system 2): Good "what is required is well; an earlier try ended: stage 1: no root", 0 failures, log of 2 lines
    "#]]);
    assert!(!boots.join("2.report").exists());
}

#[test]
fn another_trial_goes_on_when_one_is_blessed() {
    let root = Root::new(Some("1"), Some(("7", 2)));
    bless(root.subject(), &id("2"), &[]).unwrap();
    root.check(&expect![[r#"
        good 2, trial 7, profile 2
        2 (system 2): Good "all services are up and all checks passed", 0 failures, log of 0 lines
    "#]]);
}

#[test]
fn a_failed_one_is_left_as_often_as_it_is_tried() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    let otherwise = Otherwise::Restart(id("1"));
    let problem = Problem::new("no network");
    for _ in 0..LIMIT {
        let next = condemn(root.subject(), &id("2"), &otherwise, &problem).unwrap();
        assert_eq!(next, Next::Restart);
    }
    root.check(&expect![[r#"
        good 1, trial , profile 1
        2 (system 2): Failed "no network", 3 failures, log of 2 lines
        the last failure: 2
    "#]]);
    let next = condemn(root.subject(), &id("2"), &otherwise, &problem).unwrap();
    assert_eq!(next, Next::Restart);
}

#[test]
fn a_trial_that_cannot_be_ended_does_not_restart_for_ever() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    let boot = root.folder.path().join("boot");
    fs::remove_dir_all(&boot).unwrap();
    fs::write(&boot, "no folder").unwrap();
    let otherwise = Otherwise::Restart(id("1"));
    let problem = Problem::new("no network");
    let restarts = (0..10)
        .map(|_| condemn(root.subject(), &id("2"), &otherwise, &problem).unwrap())
        .take_while(|next| *next == Next::Restart)
        .count();
    assert_eq!(restarts, 3);
}

#[test]
fn the_last_failure_is_told_at_each_boot_until_another_one_is_good() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    root.runs(1);
    let otherwise = Otherwise::Restart(id("1"));
    condemn(
        root.subject(),
        &id("2"),
        &otherwise,
        &Problem::new("no network"),
    )
    .unwrap();
    let boot = Boot::parse("cairn.generation=1");
    for _ in 0..2 {
        carry_out(root.subject(), &boot, Duration::ZERO, &IDLE).unwrap();
    }
    root.check(&expect![[r#"
        good 1, trial , profile 1
        1 (system 1): Good "all services are up and all checks passed", 0 failures, log of 0 lines
        2 (system 2): Failed "no network", 1 failures, log of 2 lines
        the last failure: 2
        generation 2 failed its trial, and 1 runs: no network
    "#]]);
    bless(root.subject(), &id("2"), &[]).unwrap();
    fs::remove_file(root.folder.path().join(NOTE)).unwrap();
    last_good::remember(root.subject(), &id("1")).unwrap();
    root.check(&expect![[r#"
        good 2, trial , profile 1
        1 (system 1): Good "all services are up and all checks passed", 0 failures, log of 0 lines
        2 (system 2): Good "all services are up and all checks passed", 0 failures, log of 0 lines
    "#]]);
}

#[test]
fn a_failure_that_cannot_be_written_is_left_for_the_next_boot_to_find() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    let boots = root.folder.path().join(FOLDER);
    fs::create_dir_all(boots.parent().unwrap()).unwrap();
    fs::write(&boots, "no folder").unwrap();
    let otherwise = Otherwise::Restart(id("1"));
    let problem = Problem::new("the disk is full");
    let next = condemn(root.subject(), &id("2"), &otherwise, &problem).unwrap();
    assert_eq!(next, Next::Restart);
    let trial = root.machine.boot_state().trial.unwrap();
    assert_eq!((trial.entry, trial.tries), (id("2"), 0));
}

#[test]
fn the_last_good_one_stays_up_however_it_is() {
    let root = Root::new(Some("1"), None);
    root.runs(1);
    let run = root.folder.path().join("run/cairn");
    fs::create_dir_all(&run).unwrap();
    let boot = Boot::parse("cairn.generation=1");
    for (problems, expected) in [
        (
            "cannot mount /data\n",
            expect![[r#"
                good 1, trial , profile 2
                1 (system 1): Failed "cannot mount /data", 1 failures, log of 2 lines
                generation 1 is the last good one, and is not well: cannot mount /data; the machine stays up
            "#]],
        ),
        (
            "",
            expect![[r#"
                good 1, trial , profile 2
                1 (system 1): Good "all services are up and all checks passed", 0 failures, log of 0 lines
            "#]],
        ),
    ] {
        fs::write(run.join("boot-problems"), problems).unwrap();
        let note = root.folder.path().join(NOTE);
        if note.exists() {
            // Another boot.
            fs::remove_file(note).unwrap();
        }
        let next = carry_out(root.subject(), &boot, Duration::ZERO, &IDLE);
        assert_eq!(next.unwrap(), Next::Go("known to be good".to_owned()));
        root.check(&expected);
    }
}

/// A supervisor that has nothing to do.
struct Idle<'a> {
    /// The root whose system somebody switches meanwhile.
    switched: Option<&'a Path>,
}

const IDLE: Idle<'_> = Idle { switched: None };

impl Supervisor for Idle<'_> {
    fn settle(&self, _: Duration) -> Result<(), String> {
        if let Some(root) = self.switched {
            let link = root.join("run/current-system");
            fs::remove_file(&link).unwrap();
            symlink("/nix/store/another", link).unwrap();
        }
        Ok(())
    }

    fn status(&self, _: Duration) -> Result<Vec<cairn_system::control::ServiceStatus>, String> {
        Ok(Vec::new())
    }

    fn start(&self, _: &cairn_system::ServiceName, _: Duration) -> Result<(), String> {
        Ok(())
    }

    fn sleep(&self, _: Duration) {}

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn what_was_switched_while_it_was_judged_is_neither_good_nor_bad() {
    let root = Root::new(Some("1"), Some(("2", 1)));
    root.runs(2);
    let boot = Boot::parse("cairn.generation=2 cairn.trial=2");
    let supervisor = Idle {
        switched: Some(root.folder.path()),
    };
    let next = carry_out(root.subject(), &boot, Duration::ZERO, &supervisor).unwrap();
    assert_eq!(next, Next::Go("switched while it was judged".to_owned()));
    root.check(&expect![[r#"
        good 1, trial 2, profile 2
    "#]]);
}

#[test]
fn without_a_good_one_the_machine_runs_on() {
    let root = Root::new(None, None);
    let problem = Problem::new("no network");
    let next = condemn(root.subject(), &id("2"), &Otherwise::Report, &problem).unwrap();
    assert!(matches!(next, Next::Go(_)));
    root.check(&expect![[r#"
        good , trial , profile 2
        2 (system 2): Failed "no network", 1 failures, log of 2 lines
        the last failure: 2
    "#]]);
}

#[test]
fn a_fallback_is_noted_with_what_is_known() {
    let note = |boot: &str, report: Option<&str>, expected: &Expect| {
        let root = Root::new(Some("1"), Some(("2", 0)));
        root.runs(1);
        if let Some(text) = report {
            let boots = root.folder.path().join(FOLDER);
            fs::create_dir_all(&boots).unwrap();
            fs::write(boots.join("2.report"), text).unwrap();
        }
        let boot = Boot::parse(&format!("cairn.generation=1 {boot}"));
        let next = carry_out(root.subject(), &boot, Duration::ZERO, &IDLE).unwrap();
        assert_eq!(next, Next::Go("known to be good".to_owned()));
        root.check(expected);
        assert!(!root.folder.path().join(FOLDER).join("2.report").exists());
    };
    note(
        "",
        None,
        &expect![[r#"
            good 1, trial , profile 1
            1 (system 1): Good "all services are up and all checks passed", 0 failures, log of 0 lines
            2 (system 2): Failed "it ended before it was judged, and left no report: it did not reach user space, or the kernel panicked or hung", 1 failures, log of 0 lines
            the last failure: 2
            generation 2 failed its trial, and 1 runs: it ended before it was judged, and left no report: it did not reach user space, or the kernel panicked or hung
        "#]],
    );
    note(
        "cairn.fallback=damaged",
        None,
        &expect![[r#"
            good 1, trial , profile 1
            1 (system 1): Good "all services are up and all checks passed", 0 failures, log of 0 lines
            2 (system 2): Failed "its kernel or initrd in /boot is damaged", 1 failures, log of 0 lines
            the last failure: 2
            generation 2 failed its trial, and 1 runs: its kernel or initrd in /boot is damaged
        "#]],
    );
    note(
        "",
        Some("stage 2: no system.json\na\nb\n"),
        &expect![[r#"
            good 1, trial , profile 1
            1 (system 1): Good "all services are up and all checks passed", 0 failures, log of 0 lines
            2 (system 2): Failed "stage 2: no system.json", 1 failures, log of 2 lines
            the last failure: 2
            generation 2 failed its trial, and 1 runs: stage 2: no system.json
        "#]],
    );
}
