//! Nothing that a file or a device says panics, hangs or grows without end.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Fake, disk, machine, tty};
use crate::device::Device;
use crate::event::Event;
use crate::rules::pattern::{Case, Pattern};
use crate::rules::safe::{is_interface_name, link_name};
use crate::rules::{ENTRIES, Rules, VALUE_BYTES};

thread_local! {
    /// One for all cases of a test: none of them writes to it.
    static MACHINE: TempDir = machine();
}

fn decide(devpath: &str, rules: &[u8]) -> Event {
    let device = MACHINE.with(|sys| Device::open(sys.path(), devpath).unwrap());
    let mut event = Event::new("add", device);
    let (rules, _) = Rules::parse(&[("x", rules)]);
    rules.apply(&mut event, &mut Fake::default());
    assert!(event.links.len() <= ENTRIES && event.tags.len() <= ENTRIES);
    assert!(event.properties.len() <= ENTRIES && event.commands.len() <= ENTRIES);
    assert!(
        event
            .properties
            .values()
            .all(|value| value.len() <= VALUE_BYTES)
    );
    for link in &event.links {
        assert_eq!(link_name(link).as_ref(), Some(link));
    }
    event
}

/// A pattern's meaning, without regard to time.
fn is_like(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            is_like(rest, text) || !text.is_empty() && is_like(pattern, &text[1..])
        }
        (['?', rest @ ..], [_, after @ ..]) => is_like(rest, after),
        (['[', '!', first, '-', last, ']', rest @ ..], [c, after @ ..]) => {
            !(first..=last).contains(&c) && is_like(rest, after)
        }
        (['[', first, '-', last, ']', rest @ ..], [c, after @ ..]) => {
            (first..=last).contains(&c) && is_like(rest, after)
        }
        ([one, rest @ ..], [c, after @ ..]) => one == c && is_like(rest, after),
        _ => false,
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "KERNEL",
        "ATTR{x}",
        "ATTRS{idVendor}",
        "ENV{y}",
        "SYMLINK",
        "TAG",
        "RUN",
        "PROGRAM",
        "RESULT",
        "IMPORT{program}",
        "IMPORT{parent}",
        "TEST",
        "OPTIONS",
        "GOTO",
        "LABEL",
        "MODE",
        "OWNER",
        "NAME",
        "==",
        "!=",
        "=",
        "+=",
        "-=",
        ":=",
        "\"*\"",
        "\"a\"",
        "\"$attr{serial} %c{2+} $env{y}\"",
        "\"$env{y}$env{y}$env{y}x\"",
        "\"/bin/echo $links\"",
        "e\"\\n\"",
        "i\"A\"",
        "\"string_escape=none\"",
        "\"0660\"",
        "\"",
        "\\\n",
        "\n",
        ", ",
        " ",
        "#",
        "{",
        "}",
        "\0",
        "é",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        decide(&tty(), &bytes);
    }

    #[test]
    fn any_words(text in words()) {
        decide(&tty(), text.as_bytes());
    }

    #[test]
    fn any_value(value in "[^\"\\\\\n]*", key in prop::sample::select(vec!["ENV{x}", "SYMLINK", "RUN", "TAG", "PROGRAM"])) {
        let rule = format!("{key}+=\"{value}\"");
        decide(&disk(), rule.as_bytes());
    }

    #[test]
    fn any_substitution(value in "([$%](kernel|attr|env|result|links|c|s|E|\\{[a-z0-9+/\\[\\]]*\\}|\\{|\\}|.)){0,12}") {
        let rule = format!("PROGRAM=\"/bin/echo a b\", ENV{{x}}=\"{value}\", SYMLINK+=\"{value}\"");
        decide(&disk(), rule.as_bytes());
    }

    #[test]
    fn patterns_mean_what_they_say(pattern in "([ab*?]|\\[a-b\\]|\\[!a-b\\]){0,8}", text in "[abc]{0,10}") {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = is_like(&characters(&pattern), &characters(&text));
        prop_assert_eq!(Pattern::parse(&pattern, Case::Counts).matches(&text), expected);
        let upper = text.to_uppercase();
        prop_assert_eq!(Pattern::parse(&pattern, Case::Ignored).matches(&upper), expected);
    }

    #[test]
    fn patterns_of_anything(pattern in ".{0,40}", text in ".{0,40}") {
        Pattern::parse(&pattern, Case::Counts).matches(&text);
        let plain = Pattern::parse(&text.replace(['*', '?', '[', '|'], ""), Case::Counts);
        prop_assert!(plain.matches(&text.replace(['*', '?', '[', '|'], "")));
    }

    #[test]
    fn names_of_interfaces(name in ".{0,20}") {
        prop_assert!(!is_interface_name(&name) || !name.contains('/'));
    }
}

#[test]
fn sets() {
    for (pattern, text, expected) in [
        ("[]a]", "]", true),
        ("[!]a]", "]", false),
        ("[^a]", "b", true),
        ("[a-]", "-", true),
        ("[[:digit:]]*", "1a", true),
        ("[[:alpha:]x-z]", "1", false),
        ("a[", "a[", true),
        (r"\**", "*x", true),
        (r"\**", "x", false),
        // Without a pattern's characters, a backslash is itself.
        (r"a\b", r"a\b", true),
        (r"[\]]", "]", true),
        ("a|b*|", "", true),
        ("a|b*|", "bc", true),
        ("", "a", false),
    ] {
        let found = Pattern::parse(pattern, Case::Counts).matches(text);
        assert_eq!(found, expected, "{pattern} {text}");
    }
}

#[test]
fn no_pattern_takes_long() {
    let pattern = Pattern::parse(&"*a".repeat(2000), Case::Counts);
    let start = Instant::now();
    assert!(!pattern.matches(&format!("{}b", "a".repeat(4000))));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn lists_and_values_end() {
    let mut rules = String::from("ENV{x}=\"0123456789abcdef\"\n");
    rules.push_str(&"ENV{x}=\"$env{x}$env{x}\"\n".repeat(40));
    for number in 0..ENTRIES + 10 {
        let line = format!(
            "SYMLINK+=\"l{number}\", TAG+=\"t{number}\", ENV{{p{number}}}=\"1\", RUN+=\"/bin/{number}\"\n"
        );
        rules += &line;
    }
    let event = decide(&disk(), rules.as_bytes());
    assert_eq!(event.links.len(), ENTRIES);
    assert_eq!(event.tags.len(), ENTRIES);
    assert_eq!(event.commands.len(), ENTRIES);
    assert_eq!(event.properties.len(), ENTRIES);
    assert_eq!(event.property("x").map(str::len), Some(VALUE_BYTES));
}
