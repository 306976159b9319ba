//! What a value is compared with: a shell's patterns, several with `|` between.
//!
//! `*` is any text, `?` one character, `[a-z]` one of these, `[!a-z]` one of the others. Slashes and dots are like any
//! other character. Once a value has one of these, a backslash takes the meaning from what follows it. Matching takes
//! at most the product of both lengths in steps.

use std::str::Chars;

/// Whether capitals differ from small letters; ASCII's only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Counts,
    Ignored,
}

/// A value that others are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    alternatives: Vec<Vec<Item>>,
    case: Case,
    ends_with_space: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    One(char),
    AnyOne,
    Any,
    OneOf(Set),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    is_negated: bool,
    ranges: Vec<(char, char)>,
}

impl Pattern {
    /// Any text is a pattern.
    pub(super) fn parse(text: &str, case: Case) -> Self {
        let is_glob = text.contains(['*', '?', '[']);
        let alternatives = text.split('|').map(|text| {
            if is_glob {
                items(text, case)
            } else {
                text.chars().map(|c| Item::One(folded(c, case))).collect()
            }
        });
        Self {
            alternatives: alternatives.collect(),
            case,
            ends_with_space: text.ends_with(|c: char| c.is_ascii_whitespace()),
        }
    }

    /// Whether spaces at the end count.
    pub(super) fn ends_with_space(&self) -> bool {
        self.ends_with_space
    }

    /// Whether one of the alternatives is all of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|c| folded(c, self.case)).collect();
        let mut alternatives = self.alternatives.iter();
        alternatives.any(|items| is_match(items, &text, self.case))
    }
}

fn folded(c: char, case: Case) -> char {
    match case {
        Case::Counts => c,
        Case::Ignored => c.to_ascii_lowercase(),
    }
}

/// Only the last `*` is ever gone back to: an earlier one could give nothing that it cannot.
fn is_match(items: &[Item], text: &[char], case: Case) -> bool {
    let (mut item, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (items.get(item), text.get(at)) {
            (None, None) => return true,
            (Some(Item::Any), _) => {
                star = Some((item, at));
                item += 1;
                continue;
            }
            (Some(one), Some(c)) if one.takes(*c, case) => {
                item += 1;
                at += 1;
                continue;
            }
            _ => {}
        }
        match star {
            Some((starred, from)) if from < text.len() => {
                star = Some((starred, from + 1));
                item = starred + 1;
                at = from + 1;
            }
            _ => return false,
        }
    }
}

impl Item {
    fn takes(&self, c: char, case: Case) -> bool {
        match self {
            Self::One(one) => *one == c,
            Self::AnyOne | Self::Any => true,
            Self::OneOf(set) => set.takes(c, case),
        }
    }
}

impl Set {
    fn takes(&self, c: char, case: Case) -> bool {
        let has = |c: char| {
            let mut ranges = self.ranges.iter();
            ranges.any(|(first, last)| (*first..=*last).contains(&c))
        };
        let is_in = has(c) || case == Case::Ignored && has(c.to_ascii_uppercase());
        is_in != self.is_negated
    }
}

fn items(text: &str, case: Case) -> Vec<Item> {
    let mut items = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let item = match c {
            '*' if items.last() == Some(&Item::Any) => continue,
            '*' => Item::Any,
            '?' => Item::AnyOne,
            '[' => match set(&chars) {
                Some((set, rest)) => {
                    chars = rest;
                    Item::OneOf(set)
                }
                None => Item::One(c),
            },
            '\\' => Item::One(folded(chars.next().unwrap_or(c), case)),
            _ => Item::One(folded(c, case)),
        };
        items.push(item);
    }
    items
}

/// What is between brackets, and what follows; none if they are not closed.
fn set<'a>(chars: &Chars<'a>) -> Option<(Set, Chars<'a>)> {
    let mut chars = chars.clone();
    let is_negated = chars.as_str().starts_with(['!', '^']);
    if is_negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    let mut is_first = true;
    loop {
        if let Some((class, rest)) = class(chars.as_str()) {
            ranges.extend_from_slice(class);
            chars = rest.chars();
        } else {
            let first = chars.next()?;
            if first == ']' && !is_first {
                return Some((Set { is_negated, ranges }, chars));
            }
            let first = if first == '\\' { chars.next()? } else { first };
            ranges.push((first, range_end(&mut chars).unwrap_or(first)));
        }
        is_first = false;
    }
}

/// The end of a range: what follows a hyphen that is not the last in its brackets.
fn range_end(chars: &mut Chars<'_>) -> Option<char> {
    let mut ahead = chars.clone();
    if ahead.next()? != '-' || ahead.as_str().starts_with(']') {
        return None;
    }
    let last = ahead.next()?;
    let last = if last == '\\' { ahead.next()? } else { last };
    *chars = ahead;
    Some(last)
}

type Ranges = &'static [(char, char)];

const CLASSES: [(&str, Ranges); 8] = [
    ("[:alnum:]", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("[:alpha:]", &[('A', 'Z'), ('a', 'z')]),
    ("[:blank:]", &[(' ', ' '), ('\t', '\t')]),
    ("[:digit:]", &[('0', '9')]),
    ("[:lower:]", &[('a', 'z')]),
    ("[:space:]", &[(' ', ' '), ('\t', '\r')]),
    ("[:upper:]", &[('A', 'Z')]),
    ("[:xdigit:]", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// The class that `text` begins with, and what follows.
fn class(text: &str) -> Option<(Ranges, &str)> {
    CLASSES
        .iter()
        .find_map(|(name, ranges)| Some((*ranges, text.strip_prefix(name)?)))
}
