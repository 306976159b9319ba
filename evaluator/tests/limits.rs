//! Expressions without end, depth or measure: one clear error each, and no crash.

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::load::Text;
use cairn_evaluator::{Evaluator, Options, Origin, with_stack};

/// Small, so that the tests reach it soon.
const STACK: usize = 32 << 20;

fn outcome(text: &str, options: &Options) -> String {
    with_stack(STACK, || {
        let arena = Bump::new();
        let io = MemoryIo::new();
        let mut evaluator = Evaluator::new(&arena, &io, options.clone(), TABLES);
        let text = Text {
            origin: Origin::String,
            bytes: text.as_bytes(),
            base: b"/base",
            library: false,
        };
        let value = evaluator.evaluate_text(text, None);
        match value.and_then(|value| evaluator.force_deep(value)) {
            Ok(value) => value.describe().to_owned(),
            Err(error) => format!("{:?}: {error}", error.kind()),
        }
    })
    .unwrap_or_else(|error| error.to_string())
}

fn check(options: &Options, table: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in table {
        let got = outcome(text, options);
        if got != *expected {
            let start: String = text.chars().take(200).collect();
            wrong += &[
                &start,
                "\n  gives    ",
                &got,
                "\n  expected ",
                expected,
                "\n",
            ]
            .concat();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

const TOO_DEEP: &str = "StackOverflow: stack overflow; values or calls are nested too deeply";
const TOO_MANY_CALLS: &str =
    "StackOverflow: stack overflow; max-call-depth exceeded: more than 1000 calls in one another";

/// A list in a list in a list …
const DEEP_LIST: &str =
    "builtins.foldl' (inner: _: [ inner ]) [ ] (builtins.genList (i: i) 100000)";
/// A set in a set in a set …
const DEEP_SET: &str =
    "builtins.foldl' (inner: _: { a = inner; }) { } (builtins.genList (i: i) 100000)";

#[test]
fn depth_has_an_end() {
    let deep_equal = |deep: &str| format!("let d = {deep}; e = {deep}; in d == e");
    let lazy_sum = "builtins.foldl' (sum: i: [ (builtins.head sum + i) ]) [ 0 ] (builtins.genList (i: i) 100000)";
    let to_string = format!("toString ({DEEP_LIST})");
    let less = format!("({DEEP_LIST}) < ({DEEP_LIST})");
    check(
        &Options {
            max_call_depth: 1000,
            ..Options::default()
        },
        &[
            (DEEP_LIST, TOO_DEEP),
            (DEEP_SET, TOO_DEEP),
            (&deep_equal(DEEP_LIST), TOO_DEEP),
            (&deep_equal(DEEP_SET), TOO_DEEP),
            (lazy_sum, TOO_DEEP),
            (&to_string, TOO_DEEP),
            (&less, TOO_DEEP),
            (
                "let s = { __toString = _: s; }; in \"${s}\"",
                TOO_MANY_CALLS,
            ),
            ("let s = { outPath = s; }; in \"${s}\"", TOO_MANY_CALLS),
            ("let s = { __functor = _: s; }; in s 1", TOO_MANY_CALLS),
            ("let f = x: f x; in f 1", TOO_MANY_CALLS),
            ("let f = x: builtins.seq x (f x); in f 1", TOO_MANY_CALLS),
            (
                "let x = x; in x",
                "InfiniteRecursion: infinite recursion encountered",
            ),
            (
                "rec { a = b; b = c; c = a; }",
                "InfiniteRecursion: infinite recursion encountered",
            ),
        ],
    );
}

#[test]
fn memory_has_an_end() {
    let options = Options {
        memory_limit: 64 << 20,
        ..Options::default()
    };
    let out_of_memory = "Memory: out of memory: the evaluation needs more than its limit of 64 MiB";
    check(
        &options,
        &[
            ("builtins.genList (i: i) 1000000000", out_of_memory),
            (
                "builtins.foldl' (text: _: text + text) \"0123456789\" (builtins.genList (i: i) 60)",
                out_of_memory,
            ),
            (
                "builtins.foldl' (list: _: list ++ list) [ 1 2 3 4 ] (builtins.genList (i: i) 60)",
                out_of_memory,
            ),
            (
                "builtins.foldl' (sum: i: sum + (x: x) i) 0 (builtins.genList (i: i) 2000000)",
                out_of_memory,
            ),
            (
                "builtins.foldl' (text: _: \"${text}${text}\") \"0123456789\" (builtins.genList (i: i) 60)",
                out_of_memory,
            ),
            (
                "builtins.concatStringsSep \"0123456789\" (builtins.genList (i: \"0123456789\") 3000000)",
                out_of_memory,
            ),
            (
                "builtins.concatLists (builtins.genList (i: [ 1 2 3 4 5 6 7 8 ]) 1000000)",
                out_of_memory,
            ),
        ],
    );
}

#[test]
fn long_is_not_deep() {
    let sum = format!("{}0", "1 + ".repeat(3_000));
    let concatenation = format!("{}\"\"", "\"a\" + ".repeat(3_000));
    let updates = format!("{}{{ }}", "{ a = 1; } // ".repeat(3_000));
    let string = format!("\"{}\"", "x".repeat(10 << 20));
    let list = format!("[ {} ]", "1 ".repeat(1_000_000));
    let lets = format!("{}x", "let x = 1; in ".repeat(3_000));
    check(
        &Options::default(),
        &[
            (&sum, "an integer"),
            (&concatenation, "a string"),
            (&updates, "a set"),
            (&string, "a string"),
            (&list, "a list"),
            (&lets, "an integer"),
            (
                "builtins.foldl' (set: i: set // { ${toString i} = i; }) { } (builtins.genList (i: i) 20000)",
                "a set",
            ),
        ],
    );
}
