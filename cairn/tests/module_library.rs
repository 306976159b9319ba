//! The modules' library and the option reference, on our evaluator and on real Nix: the same
//! tables of values and of errors hold on both, and both give the same reference.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cairn::options::{self, Question, Reference};

/// The evaluators, which take the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evaluator {
    /// This project's.
    Ours,
    /// nix-instantiate of the package nix-bin.
    Nix,
}

const BOTH: [Evaluator; 2] = [Evaluator::Ours, Evaluator::Nix];

impl Evaluator {
    fn run(self, arguments: &[&str]) -> Output {
        let mut command = match self {
            Self::Ours => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
                command.arg0("nix-instantiate");
                command
            }
            Self::Nix => Command::new("nix-instantiate"),
        };
        command
            .args(["--eval", "--strict", "--readonly-mode"])
            .args(arguments)
            .current_dir(modules())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {self:?}: {error}; nix-bin has it"))
    }

    fn json<T: serde::de::DeserializeOwned>(self, arguments: &[&str]) -> T {
        let output = self.run(&[arguments, &["--json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} {arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules")
}

/// Text with white space as single spaces, without the excerpts of sources, which would hold
/// whatever a test expects.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let is_excerpt = |line: &str| {
        line.trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .starts_with(['|', '^'])
    };
    let lines: Vec<&str> = text.lines().filter(|line| !is_excerpt(line)).collect();
    words(&lines.join(" "))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_value_is_as_expected() {
    for evaluator in BOTH {
        let failures: Vec<serde_json::Value> = evaluator.json(&["lib/tests", "-A", "failures"]);
        assert!(failures.is_empty(), "{evaluator:?}: {failures:#?}");
        let count: usize = evaluator.json(&["lib/tests", "-A", "count"]);
        assert!(count > 150, "{evaluator:?}: only {count} tests");
    }
}

#[test]
fn every_error_says_what_is_wrong() {
    for evaluator in BOTH {
        let tests: BTreeMap<String, Vec<String>> = evaluator.json(&["lib/tests", "-A", "messages"]);
        assert!(tests.len() > 30, "only {} tests", tests.len());
        for (name, messages) in tests {
            let attribute = format!("errors.{name}.expr");
            let output = evaluator.run(&["lib/tests", "-A", &attribute, "--show-trace"]);
            assert!(
                !output.status.success(),
                "{evaluator:?}: {name} gave a value"
            );
            let said = said(&output.stderr);
            for message in messages {
                assert!(
                    said.contains(&words(&message)),
                    "{evaluator:?}: {name} does not say `{message}`:\n{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
}

#[test]
fn a_system_of_400_modules_is_the_same_on_both() {
    let arguments = ["lib/tests/synthetic.nix", "--arg", "modules", "400"];
    let sizes = BOTH.map(|evaluator| evaluator.json::<u64>(&arguments));
    assert_eq!(sizes[0], sizes[1]);
}

fn reference() -> Reference {
    let question = Question {
        search_path: vec![format!("cairn={}", modules().display()).into()],
        configuration: None,
    };
    options::evaluate(Path::new(env!("CARGO_BIN_EXE_cairn")), &question).unwrap()
}

/// The reference is made of the modules whenever it is asked for: no copy of it can go stale. What
/// can be wrong is an option that nobody has described.
#[test]
fn the_reference_is_whole() {
    let reference = reference();
    assert!(reference.entries.len() > 300, "{}", reference.entries.len());
    for entry in &reference.entries {
        let name = &entry.name;
        assert!(!entry.description.is_empty(), "{name} has no description");
        assert!(!entry.declared_by.is_empty(), "{name} has no declaration");
        for declaration in &entry.declared_by {
            let file = modules().join(&declaration.file);
            assert!(file.is_file(), "{name}: {}", file.display());
        }
    }
    let page = options::web_page(&reference);
    let manual = options::man_page(&reference);
    let count = reference.entries.len();
    assert_eq!(page.matches("<details ").count(), count);
    assert_eq!(manual.matches("\n.PP\n\\fB").count(), count);
}

#[test]
fn the_command_has_the_modules_inside() {
    let program = Path::new(env!("CARGO_BIN_EXE_cairn"));
    let built_in = options::evaluate(program, &Question::default()).unwrap();
    assert_eq!(built_in, reference());
}

#[test]
fn real_nix_gives_the_same_reference() {
    let mut theirs: Reference =
        Evaluator::Nix.json(&["reference.nix", "--arg", "configuration", "{ }"]);
    let mut ours = reference();
    // Attributes that `mapAttrs` has made keep their places here, and have none in real Nix.
    let pairs = ours.entries.iter_mut().zip(&mut theirs.entries);
    for (our, their) in pairs {
        let places = our.declared_by.iter_mut().zip(&their.declared_by);
        for (our, _) in places.filter(|(_, their)| their.line.is_none()) {
            our.line = None;
        }
        assert_eq!(our, their);
    }
    assert_eq!(ours.entries.len(), theirs.entries.len());
}

/// The formatter has nothing to complain of, but words that are longer than a line.
#[test]
fn the_man_page_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.5");
    std::fs::write(&page, options::man_page(&reference())).unwrap();
    let output = Command::new("groff")
        .args(["-man", "-ww", "-Wbreak", "-Kutf8", "-Tutf8", "-z"])
        .arg(&page)
        .output()
        .unwrap_or_else(|error| panic!("cannot run groff: {error}; groff-base has it"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

/// References to other options lead somewhere.
#[test]
fn options_that_descriptions_name_exist() {
    let reference = reference();
    // A whole set of options can be named, too.
    let is_prefix = |name: &str| {
        let start = format!("{name}.");
        let mut entries = reference.entries.iter();
        entries.any(|entry| entry.name.starts_with(&start))
    };
    let missing: Vec<String> = reference
        .entries
        .iter()
        .flat_map(|entry| {
            entry
                .mentioned()
                .into_iter()
                .filter(|name| reference.resolve(entry, name).is_none())
                .filter(|name| !is_prefix(name))
                .map(|name| format!("{}: {name}", entry.name))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
