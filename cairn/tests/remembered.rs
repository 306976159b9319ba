//! An evaluation whose answers have not changed is not done again, and one whose answers have is.
//!
//! Each case has a `command.nix` of its own in place of the modules', which asks the machine for one kind
//! of thing and makes a derivation of the answer.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::expect;

/// What a program says at its end, and how it came to it.
#[derive(Debug, PartialEq, Eq)]
struct Built {
    /// The derivations that are to be built.
    derivations: String,
    remembered: bool,
    /// What was shown to the user.
    messages: String,
}

/// A folder with the program under another name: it need not go into each store that is made here.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    // By a process of its own: as long as one that writes it is open, here or in a child that another test
    // has just started, it cannot be run.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_cairn"))
        .arg(home.path().join("program"))
        .status();
    assert!(copied.unwrap().success());
    home
}

/// A configuration in a folder of its own; store and cache are those of all cases.
struct Case {
    home: PathBuf,
    folder: PathBuf,
}

impl Case {
    /// `answer` is an expression of a string, in which `here` is the folder.
    fn new(home: &Path, name: &str, answer: &str) -> Self {
        let folder = home.join(name);
        fs::create_dir_all(folder.join("modules")).unwrap();
        fs::write(folder.join("configuration.nix"), "{ }").unwrap();
        let command = format!(
            r#"{{ job }}:
            let
              here = {};
              made = derivation {{
                name = "{name}"; system = "x86_64-linux"; builder = "none"; answer = {answer};
              }};
              self = builtins.unsafeDiscardStringContext;
            in
            builtins.toJSON {{
              derivations = [ {{
                inherit (made) name;
                drv = self made.drvPath; output = "out"; outputs.out = self made.outPath;
              }} ];
              facts = [ ];
            }}"#,
            folder.display()
        );
        fs::write(folder.join("modules/command.nix"), command).unwrap();
        Self {
            home: home.to_owned(),
            folder,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.home.join("program"));
        let entry = |name: &str, folder: &Path| format!("{name}={}", folder.display());
        command
            .args(["build", "--dry-run", "--locked", "--cache"])
            .arg(self.home.join("cache"))
            .arg("--store")
            .arg(self.home.join("store"))
            .arg("-c")
            .arg(self.folder.join("configuration.nix"))
            .arg("-I")
            .arg(entry("cairn", &self.folder.join("modules")))
            .env("CAIRN_LOG", "info");
        command
    }

    fn build(&self) -> Built {
        read(&self.command().output().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// The file that remembers this case, the only one.
    fn memory(&self) -> PathBuf {
        let folder = self.home.join("cache/evaluations");
        let mut files = fs::read_dir(folder).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }
}

fn read(output: &Output) -> Built {
    let log = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.success(), "{log}");
    let (own, messages): (Vec<&str>, Vec<&str>) = log
        .lines()
        .partition(|line| line.starts_with("cairn: info: "));
    Built {
        derivations: String::from_utf8(output.stdout.clone()).unwrap(),
        remembered: own
            .iter()
            .any(|line| line.ends_with("the evaluation is remembered")),
        messages: messages.join("\n"),
    }
}

/// Builds twice, changes something and builds twice again: the change is seen, and then remembered.
fn check(case: &Case, what: &str, change: impl FnOnce()) {
    let first = case.build();
    assert!(!first.remembered, "{what}");
    let second = case.build();
    assert_eq!(
        (&second.derivations, second.remembered),
        (&first.derivations, true),
        "{what}"
    );
    change();
    let third = case.build();
    assert_ne!(third.derivations, first.derivations, "{what}");
    assert!(!third.remembered, "{what}");
    let fourth = case.build();
    assert_eq!(
        (&fourth.derivations, fourth.remembered),
        (&third.derivations, true),
        "{what}"
    );
}

#[test]
fn what_an_evaluation_asked_is_asked_again() {
    let home = home();
    let home = home.path();

    let case = Case::new(home, "file", "builtins.readFile (here + \"/file\")");
    case.write("file", "one");
    check(&case, "a file of the same size and time", || {
        let file = case.folder.join("file");
        let before = fs::metadata(&file).unwrap();
        fs::write(&file, "two").unwrap();
        let times = FileTimes::new()
            .set_accessed(before.accessed().unwrap())
            .set_modified(before.modified().unwrap());
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_times(times)
            .unwrap();
    });

    let names = "toString (builtins.attrNames (builtins.readDir here))";
    let case = Case::new(home, "folder", names);
    check(&case, "a folder that gains a file", || {
        case.write("new", "");
    });

    let kinds = "toString (builtins.attrValues (builtins.readDir here))";
    let case = Case::new(home, "kind", kinds);
    case.write("entry", "");
    check(&case, "a file that becomes a folder", || {
        fs::remove_file(case.folder.join("entry")).unwrap();
        fs::create_dir(case.folder.join("entry")).unwrap();
    });

    let exists = "builtins.toJSON (builtins.pathExists (here + \"/file\"))";
    let case = Case::new(home, "exists", exists);
    check(&case, "a file that was not there", || {
        case.write("file", "");
    });

    let case = Case::new(home, "link", "import (here + \"/link\")");
    case.write("one.nix", "\"same\"");
    case.write("two.nix", "\"other\"");
    symlink("one.nix", case.folder.join("link")).unwrap();
    check(&case, "a link to another file", || {
        fs::remove_file(case.folder.join("link")).unwrap();
        symlink("two.nix", case.folder.join("link")).unwrap();
    });

    let case = Case::new(home, "tree", "\"${here + \"/tree\"}\"");
    fs::create_dir(case.folder.join("tree")).unwrap();
    case.write("tree/file", "one");
    check(&case, "a tree that is copied", || {
        case.write("tree/file", "two");
    });
}

#[test]
fn what_a_filter_leaves_out_does_not_matter() {
    let home = home();
    let answer = "\"${builtins.path { path = here + \"/tree\"; name = \"tree\"; \
                  filter = path: _: baseNameOf path != \"not\"; }}\"";
    let case = Case::new(home.path(), "filtered", answer);
    fs::create_dir(case.folder.join("tree")).unwrap();
    case.write("tree/not", "one");
    case.write("tree/file", "one");
    let first = case.build();
    case.write("tree/not", "two");
    let second = case.build();
    assert_eq!(
        (&second.derivations, second.remembered),
        (&first.derivations, true)
    );
    case.write("tree/file", "two");
    let third = case.build();
    assert!(third.derivations != first.derivations && !third.remembered);
    case.write("tree/more", "");
    let fourth = case.build();
    assert!(fourth.derivations != third.derivations && !fourth.remembered);
}

#[test]
fn the_environment_counts_where_it_was_asked_for() {
    let home = home();
    let case = Case::new(home.path(), "variable", "builtins.getEnv \"WHO\"");
    let with = |name: &str, value: &str| read(&case.command().env(name, value).output().unwrap());
    let first = with("WHO", "one");
    let second = with("WHO", "one");
    assert_eq!(
        (&second.derivations, second.remembered),
        (&first.derivations, true)
    );
    let unset = with("NOBODY", "asks");
    assert!(unset.derivations != first.derivations && !unset.remembered);
    assert!(case.build().remembered);
    // That it is not set is another answer than that it is empty.
    assert!(!with("WHO", "").remembered);

    let case = Case::new(home.path(), "search", "import <other>");
    for folder in ["a", "b"] {
        fs::create_dir(case.folder.join(folder)).unwrap();
        let text = format!("\"{folder}\"");
        case.write(&format!("{folder}/default.nix"), &text);
    }
    let path = |folder: &str| format!("other={}", case.folder.join(folder).display());
    let with = |folder: &str| {
        let path = path(folder);
        read(&case.command().env("NIX_PATH", path).output().unwrap())
    };
    let first = with("a");
    assert!(with("a").remembered);
    let second = with("b");
    assert!(second.derivations != first.derivations && !second.remembered);
    let mut by_option = case.command();
    by_option.arg("-I").arg(path("a"));
    let third = read(&by_option.output().unwrap());
    assert_eq!(
        (&third.derivations, third.remembered),
        (&first.derivations, false)
    );
}

#[test]
fn messages_are_shown_again() {
    let home = home();
    let answer = "builtins.trace \"a trace\" (builtins.warn \"a warning\" \"x\")";
    let case = Case::new(home.path(), "messages", answer);
    let mut command = case.command();
    // One that is not there is told of when it is looked at.
    command.arg("-I").arg("nowhere=/nowhere");
    let first = read(&command.output().unwrap());
    let second = read(&command.output().unwrap());
    assert!(!first.remembered && second.remembered);
    assert_eq!(first.messages, second.messages);
    expect![[r#"
        trace: a trace
        evaluation warning: a warning"#]]
    .assert_eq(&second.messages);
    // Who asks how it is evaluated gets an evaluation.
    let shown = read(&case.command().arg("--stats").output().unwrap());
    assert!(!shown.remembered && shown.messages.contains("peak memory"));
}

#[test]
fn what_is_gone_from_the_store_is_made_again() {
    let home = home();
    let case = Case::new(home.path(), "gone", "\"x\"");
    let first = case.build();
    assert!(case.build().remembered);
    let collected = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["gc", "--store"])
        .arg(home.path().join("store"))
        .output()
        .unwrap();
    assert!(collected.status.success(), "{collected:?}");
    let third = case.build();
    assert_eq!(
        (&third.derivations, third.remembered),
        (&first.derivations, false)
    );
}

#[test]
fn a_damaged_memory_is_none() {
    let home = home();
    let case = Case::new(home.path(), "damaged", "\"x\"");
    let first = case.build();
    let memory = case.memory();
    let whole = fs::read(&memory).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bytes in [&whole[..whole.len() / 2], &[], &changed] {
        fs::write(&memory, bytes).unwrap();
        let again = case.build();
        assert_eq!(
            (&again.derivations, again.remembered),
            (&first.derivations, false)
        );
        assert!(case.build().remembered);
    }
    // Where it cannot be written, the build goes on.
    let folder = memory.parent().unwrap();
    fs::remove_dir_all(folder).unwrap();
    fs::write(folder, "in the way").unwrap();
    for _ in 0..2 {
        let again = case.build();
        assert_eq!(
            (&again.derivations, again.remembered),
            (&first.derivations, false)
        );
    }
}

#[test]
fn several_at_once_agree() {
    let home = home();
    let case = Case::new(
        home.path(),
        "several",
        "builtins.readFile (here + \"/file\")",
    );
    case.write("file", "one");
    let first = case.build();
    case.write("file", "two");
    let running: Vec<_> = (0..4)
        .map(|_| {
            let mut command = case.command();
            std::thread::spawn(move || read(&command.output().unwrap()))
        })
        .collect();
    let built: Vec<Built> = running.into_iter().map(|one| one.join().unwrap()).collect();
    let last = case.build();
    assert!(last.remembered);
    assert_ne!(last.derivations, first.derivations);
    assert!(built.iter().all(|one| one.derivations == last.derivations));
}
