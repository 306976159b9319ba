//! The evaluator against Debian's nix-bin on random programs: the same value, or both fail.
//!
//! Where current Nix differs from the 2.8 that runs here, we follow current Nix; [`differs_by_age`]
//! knows these programs by what we say about them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "helpers of tests fail as tests do, and need not be quick"
)]

mod programs;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::load::Text;
use cairn_evaluator::print::{Paths, Style};
use cairn_evaluator::string::ContextBuilder;
use cairn_evaluator::{Evaluator, Options, Origin};
use programs::program;
use proptest::prelude::*;

/// How many programs one process of Nix evaluates.
const BATCH: usize = 60;

/// How many of the programs that we say fail are tried, each in a process of its own.
const FAILING: usize = 5;

/// How values are compared.
#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Nix,
}

/// A value as text, or why there is none.
type Outcome = Result<String, String>;

fn ours(text: &str, form: Form) -> Outcome {
    cairn_evaluator::with_stack(1 << 30, || ours_here(text, form)).unwrap()
}

fn ours_here(text: &str, form: Form) -> Outcome {
    let arena = Bump::new();
    let io = MemoryIo::new();
    let mut evaluator = Evaluator::new(&arena, &io, Options::default(), TABLES);
    let text = Text {
        origin: Origin::String,
        bytes: text.as_bytes(),
        base: folder().as_os_str().as_encoded_bytes(),
        library: false,
    };
    let shown = evaluator.evaluate_text(text, None).and_then(|value| {
        let mut shown = Vec::new();
        match form {
            Form::Json => {
                let context = &mut ContextBuilder::default();
                evaluator.print_json(value, Paths::Copied, &mut shown, context)?;
            }
            Form::Nix => {
                let value = evaluator.force_deep(value)?;
                shown = evaluator.print(value, Style::PLAIN)?;
            }
        }
        Ok(shown)
    });
    let shown = shown.map_err(|error| {
        let frames = error.frames().map(|frame| frame.message.clone());
        let lines: Vec<String> = std::iter::once(error.to_string()).chain(frames).collect();
        lines.join("\n")
    })?;
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// Where the programs lie, for both sides.
fn folder() -> &'static Path {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    FOLDER.path()
}

/// A store in which derivations can be written. Each test has one: when two processes create a
/// database at once, Nix 2.8 gives up at times, saying that it is busy.
fn store() -> PathBuf {
    let test = std::thread::current();
    folder().join(test.name().unwrap_or("unnamed"))
}

fn theirs(text: &str, form: Form) -> Outcome {
    let file = tempfile::Builder::new()
        .suffix(".nix")
        .tempfile_in(folder())
        .unwrap();
    std::fs::write(&file, text).unwrap();
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--read-write-mode"])
        .args(match form {
            Form::Json => &["--json"][..],
            Form::Nix => &[],
        })
        .env("NIX_REMOTE", store())
        .env("NIX_CONFIG", "build-users-group =")
        .arg(file.path())
        .stdin(Stdio::null())
        .output()
        .expect("nix-instantiate runs: apt-get install nix-bin");
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether current Nix fails where 2.8 does not, or the other way round, and we are with current.
fn differs_by_age(ours: &Outcome) -> bool {
    const SAID: &[&str] = &[
        // 2.8 wraps around.
        "integer overflow",
        // 2.8 writes any bytes.
        "UTF-8",
        // 2.8 looks at the function of `map` and the like only when there is something to map.
        "while a function was expected",
    ];
    ours.as_ref()
        .is_err_and(|error| SAID.iter().any(|said| error.contains(said)))
}

/// A value without what depends on the version: 2.8 writes whole floats in JSON without a fraction,
/// and escapes every dollar in the names of attributes.
fn normal(shown: &str) -> String {
    let shown = shown.replace(".0", "");
    let mut normal = String::with_capacity(shown.len());
    let mut rest = shown.chars();
    while let Some(next) = rest.next() {
        if next == '\\' && rest.as_str().starts_with('$') {
            continue;
        }
        normal.push(next);
        if next == '\\' {
            normal.extend(rest.next());
        }
    }
    normal
}

/// Whether it failed in a builtin that computes its function even if there is nothing to call it
/// with, as 2.8 does not.
fn computes_its_function(ours: &str) -> bool {
    const BUILTINS: &[&str] = &[
        "all",
        "any",
        "concatMap",
        "filter",
        "foldl'",
        "genList",
        "groupBy",
        "map",
        "mapAttrs",
        "partition",
        "sort",
        "zipAttrsWith",
    ];
    let called = |name: &&str| ours.contains(&format!("while calling the '{name}' builtin"));
    BUILTINS.iter().any(called)
}

/// Whether one program has the same outcome on both sides; if not, both.
fn check_one(text: &str, ours: &Outcome, form: Form) -> Result<(), String> {
    if differs_by_age(ours) {
        return Ok(());
    }
    let theirs = theirs(text, form);
    match (ours, &theirs) {
        (Ok(ours), Ok(theirs)) if normal(ours) == normal(theirs) => Ok(()),
        (Err(_), Err(_)) => Ok(()),
        (Err(ours), Ok(_)) if computes_its_function(ours) => Ok(()),
        // 2.8 computes all replacements, even of what does not occur.
        (Ok(_), Err(_)) if text.contains("replaceStrings") => Ok(()),
        _ => Err(format!("{text}\n  ours: {ours:?}\n  theirs: {theirs:?}\n")),
    }
}

/// A program that differs, made from as few of the choices as still make it differ.
fn smallest(choices: &[u8], found: String, form: Form) -> String {
    let mut length = 1;
    while length < choices.len() {
        let text = program(&choices[..length]);
        if let Err(smaller) = check_one(&text, &ours(&text, form), form) {
            return smaller;
        }
        length += length.div_ceil(4);
    }
    found
}

/// The programs of these choices whose outcomes differ.
fn differences(all: &[Vec<u8>], form: Form) -> Vec<String> {
    let made: Vec<(&Vec<u8>, String, Outcome)> = all
        .iter()
        .map(|choices| {
            let text = program(choices);
            let ours = ours(&text, form);
            (choices, text, ours)
        })
        .collect();
    let (good, bad): (Vec<_>, Vec<_>) = made.iter().partition(|(.., ours)| ours.is_ok());
    let mut suspects: Vec<_> = bad.into_iter().take(FAILING).collect();
    for batch in good.chunks(BATCH) {
        let list: String = batch
            .iter()
            .map(|(_, text, _)| format!("({text})\n"))
            .collect();
        let expected = batch.iter().filter_map(|(.., ours)| ours.as_deref().ok());
        let expected: Vec<_> = expected.collect();
        let expected = match form {
            Form::Json => format!("[{}]", expected.join(",")),
            Form::Nix => format!("[ {} ]", expected.join(" ")),
        };
        let same = theirs(&format!("[ {list} ]"), form)
            .is_ok_and(|theirs| normal(&theirs) == normal(&expected));
        if !same {
            suspects.extend(batch);
        }
    }
    suspects
        .into_iter()
        .filter_map(|(choices, text, ours)| {
            let found = check_one(text, ours, form).err()?;
            Some(smallest(choices, found, form))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        // The programs are made smaller here, with far fewer runs of Nix.
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn values_are_the_same(
        choices in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), BATCH),
        form in prop::sample::select(vec![Form::Json, Form::Nix]),
    ) {
        let differences = differences(&choices, form);
        prop_assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    }
}

/// Programs around what a compiler of scopes, calls and laziness can get wrong, one a line.
#[test]
fn chosen_programs_have_the_same_outcome() {
    let programs = include_str!("programs/chosen.txt").lines();
    let wrong: String = programs
        .filter_map(|text| check_one(text, &ours(text, Form::Nix), Form::Nix).err())
        .collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}
