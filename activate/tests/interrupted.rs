//! Activations that end after any of their changes, as a machine does that loses power; and going on
//! to the new generation, or back to the old one.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cairn_activate::{NoKernel, plan};
use cairn_system::SystemDescription;
use machine::{Machine, ONE, TWO, assert_no_temporaries, generations_of_all_kinds};

mod machine;

/// Everything that a generation has to say about: path to kind, rights and content.
type Picture = BTreeMap<String, String>;

fn picture(machine: &Machine) -> Picture {
    let mut picture = Picture::new();
    for folder in ["etc", "bin", "usr", "run", "home", "var"] {
        look(machine, &machine.root.path().join(folder), &mut picture);
    }
    // The memory of ids only grows, new folders stay, and a fresh folder of wrappers has any number.
    picture.retain(|path, what| {
        !path.starts_with("/var/lib/nixos/") && !path.contains("wrappers.") && what != "folder"
    });
    picture
}

fn look(machine: &Machine, place: &Path, picture: &mut Picture) {
    let found = fs::symlink_metadata(place).unwrap();
    let what = if found.is_symlink() {
        let target = fs::read_link(place).unwrap();
        match target.to_string_lossy() {
            target if target.contains("wrappers.") => {
                let names = fs::read_dir(machine.path(&target)).unwrap();
                let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
                format!("wrappers {names:?}")
            }
            target => format!("-> {target}"),
        }
    } else if found.is_dir() {
        for entry in fs::read_dir(place).unwrap() {
            look(machine, &entry.unwrap().path(), picture);
        }
        "folder".to_owned()
    } else {
        let content = String::from_utf8(fs::read(place).unwrap()).unwrap();
        let rights = found.mode();
        format!("{rights:o} {}:{} {content:?}", found.uid(), found.gid())
    };
    let path = place.strip_prefix(machine.root.path()).unwrap();
    picture.insert(format!("/{}", path.display()), what);
}

struct Generations {
    one: SystemDescription,
    two: SystemDescription,
}

impl Generations {
    /// A machine that has been activated once, and has a file of its own.
    fn machine(&self) -> Machine {
        let machine = Machine::new();
        machine.install(ONE, &self.one);
        machine.install(TWO, &self.two);
        machine.write("/etc/machine-id", "00000000000040008000000000000000\n");
        machine.write("/etc/own/file", "the user's\n");
        machine.activate(ONE);
        machine
    }

    /// Begins to activate the second generation, and stops after `effects` changes.
    fn begin(&self, machine: &Machine, effects: usize) -> bool {
        let root = machine.root.path();
        let plan = plan(root, Path::new(TWO), &self.two, &NoKernel);
        plan.apply_interrupted(root, &NoKernel, effects)
    }
}

/// What a reader of `/etc` may find at any moment: an entry of one of the generations, or nothing.
fn assert_whole(machine: &Machine, cut: usize) {
    for name in [
        "link-copy",
        "copy-link",
        "direct-link",
        "link-direct",
        "gone",
    ] {
        let path = machine.path(&format!("/etc/{name}"));
        let Ok(found) = fs::symlink_metadata(&path) else {
            continue;
        };
        if found.is_symlink() {
            let target = machine.link(&format!("/etc/{name}"));
            let known = target.starts_with("/etc/static/") || target.starts_with("/nix/store/");
            assert!(known, "cut {cut}: {name} -> {target}");
        } else {
            let content = machine.read(&format!("/etc/{name}"));
            let known = ["127.0.0.1 localhost\n", "root ALL=(ALL) ALL\n"];
            assert!(known.contains(&content.as_str()), "cut {cut}: {content:?}");
            assert_eq!(found.mode() & 0o777, 0o600, "cut {cut}: {name}");
        }
    }
    let tree = machine.link("/etc/static");
    assert!([ONE, TWO].iter().any(|one| tree == format!("{one}/etc")));
    for file in ["passwd", "group", "shadow", "gshadow"] {
        let content = machine.read(&format!("/etc/{file}"));
        assert!(content.starts_with("root:"), "cut {cut}: {file}");
        assert!(content.ends_with('\n'), "cut {cut}: {file}");
    }
}

#[test]
fn a_power_cut_at_any_change() {
    let (one, two) = generations_of_all_kinds();
    let generations = Generations { one, two };
    let machine = generations.machine();
    let old = picture(&machine);
    machine.activate(TWO);
    let new = picture(&machine);
    assert_ne!(old, new);
    let mut cut = 0;
    loop {
        let machine = generations.machine();
        let done = generations.begin(&machine, cut);
        assert_whole(&machine, cut);
        assert_eq!(machine.read("/etc/own/file"), "the user's\n");
        if done {
            break;
        }
        // Forward: as if nothing had happened.
        machine.activate(TWO);
        assert_eq!(
            picture(&machine),
            new,
            "going on after a cut at change {cut}"
        );

        // Back: the very state from before.
        let machine = generations.machine();
        generations.begin(&machine, cut);
        machine.activate(ONE);
        assert_no_temporaries(machine.root.path());
        assert_eq!(
            picture(&machine),
            old,
            "going back after a cut at change {cut}"
        );
        cut += 1;
    }
    assert!(cut > 40, "only {cut} changes were cut");
}

#[test]
fn back_again_is_as_before() {
    let (one, two) = generations_of_all_kinds();
    let generations = Generations { one, two };
    let machine = generations.machine();
    let old = picture(&machine);
    machine.activate(TWO);
    machine.activate(ONE);
    assert_eq!(picture(&machine), old);
}
