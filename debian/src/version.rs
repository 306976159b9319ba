//! Debian package versions: `[epoch:]upstream[-revision]`, and their order.
//!
//! Source: Debian Policy 5.6.12 and deb-version(7). Versions are compared part by part; inside a
//! part, runs of non-digits and runs of digits alternate. Among non-digits `~` sorts before the
//! end of the part, letters before everything else. `dpkg --compare-versions` is the oracle in the
//! tests.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version. Equality is that of the order: `1.0` and `0:1.00-0` are equal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?} as a version: {reason}")]
pub struct ParseVersionError {
    text: String,
    reason: &'static str,
}

impl Version {
    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match check(text) {
            Ok(()) => Ok(Self {
                text: text.to_owned(),
            }),
            Err(reason) => Err(ParseVersionError {
                text: text.chars().take(80).collect(),
                reason,
            }),
        }
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    let (epoch, rest) = text
        .split_once(':')
        .map_or((None, text), |(e, rest)| (Some(e), rest));
    if let Some(epoch) = epoch
        && (epoch.is_empty()
            || !epoch.bytes().all(|byte| byte.is_ascii_digit())
            || epoch.parse::<i32>().is_err())
    {
        return Err("the epoch is not a number below 2147483648");
    }
    let (upstream, revision) = split_revision(rest);
    if upstream.is_empty() {
        return Err("it is empty");
    }
    if revision.is_some_and(str::is_empty) {
        return Err("nothing follows the last '-'");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-:~".contains(&byte);
    if !upstream.bytes().all(allowed) {
        return Err("only letters, digits and . + - : ~ may occur");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+~".contains(&byte);
    if !revision.unwrap_or_default().bytes().all(allowed) {
        return Err("only letters, digits and . + ~ may follow the last '-'");
    }
    if !upstream.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("it does not begin with a digit");
    }
    Ok(())
}

fn split_revision(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('-')
        .map_or((text, None), |(upstream, revision)| {
            (upstream, Some(revision))
        })
}

/// Compares two texts as versions, whether or not they are valid ones.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let parts = |text| -> (&str, &str, &str) {
        let (epoch, rest) = str::split_once(text, ':').unwrap_or(("", text));
        let (upstream, revision) = split_revision(rest);
        (epoch, upstream, revision.unwrap_or(""))
    };
    let (left, right) = (parts(left), parts(right));
    compare_part(left.0, right.0)
        .then_with(|| compare_part(left.1, right.1))
        .then_with(|| compare_part(left.2, right.2))
}

fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (words, rests) = (split_words(left), split_words(right));
        let order = compare_words(words.0, rests.0);
        if order.is_ne() {
            return order;
        }
        let (numbers, others) = (split_number(words.1), split_number(rests.1));
        let order = compare_numbers(numbers.0, others.0);
        if order.is_ne() {
            return order;
        }
        (left, right) = (numbers.1, others.1);
    }
    Ordering::Equal
}

fn split_words(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(u8::is_ascii_digit)
        .unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn split_number(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn compare_words(left: &[u8], right: &[u8]) -> Ordering {
    // The end of a word sorts after '~' and before every other character.
    let weight = |word: &[u8], at: usize| match word.get(at) {
        None => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    };
    (0..left.len().max(right.len()))
        .map(|at| weight(left, at).cmp(&weight(right, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    // Digits of any length: without leading zeros, the longer number is the greater.
    let significant = |digits: &[u8]| -> usize {
        digits
            .iter()
            .position(|digit| *digit != b'0')
            .unwrap_or(digits.len())
    };
    let left = left.split_at(significant(left)).1;
    let right = right.split_at(significant(right)).1;
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.text, &other.text)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl TryFrom<String> for Version {
    type Error = ParseVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const VERSION: &str = "([0-2]:)?[0-9][0-9ab.+~-]{0,6}(-[0-9ab.+~]{1,4})?";

    fn oracle(left: &str, relation: &str, right: &str) -> bool {
        let status = Command::new("dpkg")
            .args(["--compare-versions", left, relation, right])
            .status();
        status
            .expect("dpkg is needed: apt-get install dpkg")
            .success()
    }

    #[test]
    fn order() {
        // Each is lower than the next.
        let sorted = [
            "0~",
            "0",
            "0.1",
            "0.9",
            "0.10",
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0-0.1",
            "1.0-1~bpo1",
            "1.0-1",
            "1.0-1+b1",
            "1.0a",
            "1.0+dfsg",
            "1.0.1",
            "9999999999999999999999",
            "10000000000000000000000",
            "1:0~",
            "1:0",
            "2:0",
        ];
        for (at, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                assert_eq!(compare(left, right), at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(
            "0:1.00-0".parse::<Version>().unwrap(),
            "1.0".parse().unwrap()
        );
    }

    #[test]
    fn refuses_what_is_no_version() {
        for text in [
            "",
            "-1",
            "1-",
            ":1",
            "a:1",
            "1_2",
            "1 2",
            "a1",
            "1:",
            "99999999999:1",
            "1-a:b",
            "é",
            "1/2",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn agrees_with_dpkg() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let pairs = (VERSION, VERSION).prop_filter("valid", |(left, right)| {
            left.parse::<Version>().is_ok() && right.parse::<Version>().is_ok()
        });
        runner
            .run(&pairs, |(left, right)| {
                let relation = match compare(&left, &right) {
                    Ordering::Less => "lt",
                    Ordering::Equal => "eq",
                    Ordering::Greater => "gt",
                };
                prop_assert!(
                    oracle(&left, relation, &right),
                    "{} {} {}",
                    left,
                    relation,
                    right
                );
                Ok(())
            })
            .unwrap();
    }

    proptest! {
        #[test]
        fn is_an_order(a in VERSION, b in VERSION, c in VERSION) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            let mut sorted = [&a, &b, &c];
            sorted.sort_by(|left, right| compare(left, right));
            prop_assert!(compare(sorted[0], sorted[2]).is_le());
        }

        #[test]
        fn hostile_text_never_panics(left in "(?s).{0,20}", right in "(?s).{0,20}") {
            prop_assert_eq!(compare(&left, &right), compare(&right, &left).reverse());
            if let Ok(version) = left.parse::<Version>() {
                prop_assert_eq!(version.as_str(), left);
            }
        }
    }
}
