//! The parser on generated, mutated and damaged texts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "helpers of tests fail as tests do, and need not be quick"
)]

mod source_text;

use bumpalo::Bump;
use cairn_evaluator::diagnostic::{NamedSource, Style, line_and_column};
use cairn_evaluator::{ParseError, ParseOptions, SymbolTable, parse, show};
use proptest::prelude::*;
use source_text::{Written, expression, tokens};

/// Texts as people write them, for tests that damage them.
const SAMPLES: &[&str] = &[
    include_str!("../../examples/demo/configuration.nix"),
    r#"{ config, pkgs, ... }:
{
  boot.loader.grub.device = "/dev/sda";
  fileSystems."/".device = "/dev/sda1";
  services.sshd.enable = true;
}
"#,
    r#"# A comment.
{ lib, pkgs ? import <nixpkgs> { }, ... }@args:
let
  inherit (lib) mkIf types;
  inherit args;
  port = 80 + 8000;
  name = "web-${toString port}";
in
{
  imports = [
    ./hardware.nix
    (./. + "/x.nix")
  ];

  options.a."b c".${name} = lib.mkOption {
    type = types.nullOr types.int;
    default = if port > 80 && port != 8080 then null else -1;
  };

  /* A longer
     comment. */
  config = mkIf (args ? port) rec {
    script = ''
      echo "''${HOME}" ${name}
        exit $?
    '';
    list = map (x: x * 2) [ 1 2.5 "three" ] ++ [ { a = 1; } ];
    total = assert list != [ ]; with lib; foldl' (a: b: a + b) 0 list;
    both = { a.b = 1; } // { a.c = args.port or 22; };
  };
}
"#,
];

/// The tree of a text as `--parse` shows it.
fn shown(text: &[u8]) -> Result<String, ParseError> {
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    let options = ParseOptions {
        base: b"/base",
        home: Some(b"/home"),
        pipe_operators: true,
    };
    let expr = parse(text, &options, &symbols, &arena)?;
    Ok(String::from_utf8_lossy(&show(expr, &symbols)).into_owned())
}

/// The error of a text that is none, seen to be one that can be shown.
fn error(text: &[u8]) -> Option<ParseError> {
    let error = shown(text).err()?;
    assert!(!error.message.is_empty() && !error.message.contains('\n'));
    assert!(error.span.start as usize <= text.len(), "{error:?}");
    assert!(error.span.start <= error.span.end, "{error:?}");
    let source = NamedSource { name: "x", text };
    let rendered = error.render(source, Style::Plain);
    assert!(rendered.starts_with("error: "), "{rendered}");
    Some(error)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Parentheses that precedence makes needless change nothing, nor do blanks and comments.
    #[test]
    fn precedence_needs_no_parentheses(Written { sparse, full, .. } in expression()) {
        let expected = shown(full.as_bytes());
        prop_assert!(expected.is_ok(), "{}\n{:?}", full, expected);
        prop_assert_eq!(shown(sparse.as_bytes()), expected, "{}\n{}", sparse, full);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        error(&bytes);
    }

    #[test]
    fn no_sequence_of_tokens_makes_it_panic(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..40)
    ) {
        error(tokens.concat().as_bytes());
    }

    #[test]
    fn no_sequence_of_operands_makes_it_panic(text in tokens()) {
        error(text.as_bytes());
    }

    #[test]
    fn no_damage_makes_it_panic(
        sample in prop::sample::select(SAMPLES),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..5),
    ) {
        let mut text = sample.as_bytes().to_vec();
        for (at, byte, how) in damage {
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 if text.len() > 1 => { text.remove(at); }
                _ => text.truncate(at.max(1)),
            }
        }
        error(&text);
    }
}

const TOKENS: &[&str] = &[
    "if ", "then ", "else ", "let ", "in ", "rec ", "inherit ", "with ", "assert ", "or ", "a",
    "b'", " ", "\n", "\r\n", "1", "1.5", ".5", "\"", "''", "${", "}", "{", "[", "]", "(", ")", "=",
    "==", "!", "-", "->", "+", "++", "/", "//", "*", "<", "<=", "<|", "|>", "|", "||", "&&", "?",
    ".", "...", "@", ":", ";", ",", "a/b", "./c", "~/d", "<e>", "x:y", "# f\n", "/* g */", "/*",
    "\\", "$", "'", "$$", "''$", "'''", "''\\", "\0", "\u{e9}",
];

fn line(text: &[u8], offset: usize) -> u32 {
    line_and_column(text, u32::try_from(offset).unwrap()).0
}

#[test]
fn a_text_cut_anywhere_has_one_error_on_its_last_line_or_where_something_opens() {
    for sample in SAMPLES {
        for end in 0..sample.len() {
            let text = &sample.as_bytes()[..end];
            let Some(error) = error(text) else {
                continue;
            };
            let at = line(text, error.span.start as usize);
            let last = line(text, text.trim_ascii_end().len());
            let is_open = error.message.ends_with("never closed");
            assert!(at == last || is_open, "{at} {last} {error:?}\n{sample}");
        }
    }
}

#[test]
fn a_stray_character_is_found_where_it_is() {
    for sample in SAMPLES {
        for (at, next) in sample.char_indices() {
            // Between quotes or in a comment's end it makes something longer than it was.
            if sample[..at].ends_with(['\'', '*']) || next == '\'' {
                continue;
            }
            for stray in ["\u{1}", "%"] {
                let text = format!("{}{stray}{}", &sample[..at], &sample[at..]);
                // In strings, comments and URIs it may stand.
                let Some(error) = error(text.as_bytes()) else {
                    continue;
                };
                assert_eq!(
                    line(text.as_bytes(), error.span.start as usize),
                    line(text.as_bytes(), at),
                    "{error:?}\n{text}",
                );
            }
        }
    }
}

#[test]
fn a_missing_semicolon_is_missed_on_its_line() {
    for sample in SAMPLES {
        for (at, _) in sample.match_indices(";\n") {
            let text = format!("{}{}", &sample[..at], &sample[at + 1..]);
            let Some(error) = error(text.as_bytes()) else {
                continue;
            };
            let place = error.span.start as usize;
            let found = line(text.as_bytes(), place);
            let missing = line(text.as_bytes(), at);
            assert!(
                found == missing,
                "line {found} for {missing}: {error:?}\n{text}"
            );
        }
    }
}

#[test]
fn depth_has_a_limit_and_below_it_no_stack_overflows() {
    for (open, inside, close) in [
        ("(", "1", ")"),
        ("[", "", "]"),
        ("{a=", "1", ";}"),
        ("x: ", "1", ""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("if a then b else ", "c", ""),
        ("a.b or ", "c", ""),
        ("\"${", "1", "}\""),
        ("''${", "1", "}''"),
        ("./a${", "x", "}"),
        ("a // ", "b", ""),
        ("let a = ", "1", "; in a"),
        ("{ a ? ", "1", " }: a"),
    ] {
        let text = |depth| format!("{}{inside}{}", open.repeat(depth), close.repeat(depth));
        shown(text(3000).as_bytes()).unwrap_or_else(|error| panic!("{open}: {error:?}"));
        let error = error(text(20_000).as_bytes()).unwrap_or_else(|| panic!("{open}: no limit"));
        assert_eq!(
            error.message,
            "expressions are nested more than 10000 levels deep"
        );
    }
}

#[test]
fn long_texts_are_read() {
    let long = "a + ".repeat(90_000) + "a";
    shown(long.as_bytes()).unwrap();
    let path = format!("{{ {} = 1; }}", vec!["a"; 5000].join("."));
    shown(path.as_bytes()).unwrap();
    let list = format!("[ {} ]", "{ a = \"x\"; } ".repeat(100_000));
    shown(list.as_bytes()).unwrap();
    let set: String = (0..50_000).map(|n| format!("a{n}.b = {n};")).collect();
    shown(format!("{{ {set} }}").as_bytes()).unwrap();
    let string = format!("\"{}\"", "x".repeat(10_000_000));
    shown(string.as_bytes()).unwrap();
}
