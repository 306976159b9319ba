//! The parser against that of Debian's nix-bin, which shows its trees with `--parse`.
//!
//! Nix 2.8 shows bindings and arguments in an order that depends on its memory; both sides' trees
//! are therefore read and shown once more by us before they are compared.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "helpers of tests fail as tests do, and need not be quick"
)]

mod source_text;

use std::io::Write;
use std::process::{Command, Stdio};

use bumpalo::Bump;
use cairn_evaluator::{ParseOptions, SymbolTable, parse, show};
use proptest::prelude::*;
use source_text::{expression, tokens};

fn ours(text: &[u8]) -> Result<Vec<u8>, String> {
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    let options = ParseOptions {
        base: b"/tmp",
        home: Some(b"/home"),
        pipe_operators: false,
    };
    let expr = parse(text, &options, &symbols, &arena).map_err(|error| error.to_string())?;
    Ok(show(expr, &symbols))
}

fn theirs(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new("nix-instantiate")
        .args(["--parse", "-"])
        .current_dir("/tmp")
        .env("HOME", "/home")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nix-instantiate runs: apt-get install nix-bin");
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(output.stdout.trim_ascii_end().to_vec());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A shown tree without what depends on the version: orders, and dollars escaped without need.
fn normal(shown: &[u8]) -> String {
    let shown = String::from_utf8_lossy(shown);
    // The start of a path with interpolation is none by itself.
    let readable = shown.replace("/ +", " +");
    let shown = match ours(readable.as_bytes()) {
        Ok(shown) => String::from_utf8(shown).unwrap(),
        Err(_) => readable,
    };
    let mut normal = String::new();
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

/// Whether two shown trees are the same. Nix 2.8 keeps the empty pieces of indented strings, with
/// them the sums that they stand in, and takes a name that is such a sum for a computed one.
fn same(ours: &[u8], theirs: &[u8], text: &str) -> bool {
    let (ours, theirs) = (normal(ours), normal(theirs));
    let flat = |shown: &str| {
        shown
            .replace("\"\" + ", "")
            .replace(" + \"\"", "")
            .replace(['(', ')'], "")
            .replace("\"${\"", "\"")
            .replace("\"}\"", "\"")
    };
    ours == theirs || (text.contains("''") && flat(&ours) == flat(&theirs))
}

/// Texts that are expressions, so that the whole is one: no variable is undefined in it.
fn list(texts: &[String]) -> String {
    let elements: String = texts.iter().map(|text| format!("({text})\n")).collect();
    format!("with {{ }}; [ {elements} ]")
}

fn check(texts: &[String]) {
    let whole = list(texts);
    let (our, their) = (ours(whole.as_bytes()), theirs(whole.as_bytes()));
    if let (Ok(our), Ok(their)) = (&our, &their)
        && same(our, their, &whole)
    {
        return;
    }
    match texts.len() {
        0 => panic!("an empty list is none: {our:?} {their:?}"),
        1 => panic!(
            "{}\nours: {}\ntheirs: {}",
            texts[0],
            our.map_or_else(|error| error, |shown| normal(&shown)),
            their.map_or_else(|error| error, |shown| normal(&shown)),
        ),
        length => {
            check(&texts[..length / 2]);
            check(&texts[length / 2..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn trees_are_the_same(written in prop::collection::vec(expression(), 60)) {
        let texts = written.into_iter().map(|written| written.sparse);
        let (indented, plain): (Vec<_>, Vec<_>) = texts.partition(|text| text.contains("''"));
        check(&plain);
        check(&indented);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Texts of which most are none: both refuse the same.
    #[test]
    fn what_is_refused_is_the_same(text in tokens()) {
        let text = format!("with {{ }}; {text}");
        let (our, their) = (ours(text.as_bytes()), theirs(text.as_bytes()));
        prop_assert_eq!(our.is_ok(), their.is_ok(), "{}\n{:?}\n{:?}", text, our, their);
        // It shows the names that a set inherits from another as selections.
        if let (Ok(our), Ok(their)) = (our, their)
            && !text.contains("inherit (")
        {
            prop_assert!(same(&our, &their, &text), "{}\n{}\n{}", text, normal(&our), normal(&their));
        }
    }
}
