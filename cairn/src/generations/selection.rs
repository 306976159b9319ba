//! Which generations the operator names: `old`, `+5`, `30d`, or numbers. The words of
//! `nix-env --delete-generations`, with the same meaning.

use std::collections::BTreeSet;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Generations that are to go, if nothing speaks against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All but the one that the profile points to.
    Old,
    /// All that are older than so many, counted from the one that the profile points to.
    ButNewest(usize),
    /// All that were no longer wanted so many days ago.
    OlderThan(u32),
    /// These.
    Numbers(BTreeSet<u64>),
}

/// Why words name no generations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// It is none of the words.
    #[error(
        "cannot tell which generations '{0}' are; say old, +5 (all but five), 30d (older than 30 days), or their numbers"
    )]
    Word(String),
    /// Words of one kind only can be said together: numbers.
    #[error("'{0}' cannot be said together with others; numbers can")]
    NotAlone(String),
    /// There is no such generation.
    #[error("there is no generation {number}; there are {known}")]
    Unknown {
        /// What was named.
        number: u64,
        /// Which ones there are.
        known: String,
    },
}

/// A generation, as far as its age decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub number: u64,
    /// When it was made, in seconds since 1970.
    pub time: i64,
    /// Whether the profile points to it.
    pub wanted: bool,
}

impl Selection {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// A word is none, or does not go with the others.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, SelectionError> {
        let mut numbers = BTreeSet::new();
        for word in words {
            let word = word.as_ref();
            match Self::word(word)? {
                Self::Numbers(more) => numbers.extend(more),
                alone if words.len() == 1 => return Ok(alone),
                _ => return Err(SelectionError::NotAlone(word.to_owned())),
            }
        }
        Ok(Self::Numbers(numbers))
    }

    /// Reads an age, `30d`.
    ///
    /// # Errors
    /// It is none.
    pub fn age(word: &str) -> Result<Self, SelectionError> {
        match Self::word(word) {
            Ok(age @ Self::OlderThan(_)) => Ok(age),
            _ => Err(SelectionError::Word(word.to_owned())),
        }
    }

    fn word(word: &str) -> Result<Self, SelectionError> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let selection = if word == "old" {
            Some(Self::Old)
        } else if let Some(count) = word.strip_prefix('+').filter(|count| digits(count)) {
            count
                .parse()
                .ok()
                .filter(|count| *count > 0)
                .map(Self::ButNewest)
        } else if let Some(days) = word.strip_suffix('d').filter(|days| digits(days)) {
            days.parse().ok().map(Self::OlderThan)
        } else if digits(word) {
            word.parse()
                .ok()
                .map(|number| Self::Numbers([number].into()))
        } else {
            None
        };
        selection.ok_or_else(|| SelectionError::Word(word.to_owned()))
    }

    /// Whether the operator named each by its number.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        matches!(self, Self::Numbers(_))
    }

    /// The numbers of those of `all`, lowest first, that are meant at the time `now`.
    ///
    /// # Errors
    /// A number is none of theirs.
    pub fn of(&self, all: &[Candidate], now: i64) -> Result<BTreeSet<u64>, SelectionError> {
        let wanted = all.iter().position(|one| one.wanted);
        Ok(match self {
            Self::Old => numbers(all.iter().filter(|one| !one.wanted)),
            Self::ButNewest(count) => {
                // Newer ones than the wanted one are not counted, and stay.
                let newest = wanted.map_or(all.len(), |at| at + 1);
                numbers(all.iter().take(newest.saturating_sub(*count)))
            }
            Self::OlderThan(days) => {
                let then = now.saturating_sub(i64::from(*days).saturating_mul(DAY));
                // The newest of those that are that old was the wanted one then.
                let old = all.iter().filter(|one| one.time < then).count();
                let old = all
                    .iter()
                    .filter(|one| one.time < then)
                    .take(old.saturating_sub(1));
                numbers(old.filter(|one| !one.wanted))
            }
            Self::Numbers(named) => {
                let there = numbers(all);
                if let Some(&number) = named.difference(&there).next() {
                    return Err(SelectionError::Unknown {
                        number,
                        known: listed(&there),
                    });
                }
                named.clone()
            }
        })
    }
}

fn numbers<'a>(all: impl IntoIterator<Item = &'a Candidate>) -> BTreeSet<u64> {
    all.into_iter().map(|one| one.number).collect()
}

/// `1-4, 7`: hundreds of numbers are still a line.
fn listed(numbers: &BTreeSet<u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts = runs.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    let text = texts.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Selection, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Selection::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_those_of_nix() {
        assert_eq!(parse("old"), Ok(Selection::Old));
        assert_eq!(parse("+5"), Ok(Selection::ButNewest(5)));
        assert_eq!(parse("30d"), Ok(Selection::OlderThan(30)));
        assert_eq!(parse("3 7 3"), Ok(Selection::Numbers([3, 7].into())));
        assert_eq!(Selection::age("7d"), Ok(Selection::OlderThan(7)));
        for word in [
            "",
            "+0",
            "-1",
            "d",
            "+",
            "1e3",
            "30",
            "d30",
            "+5d",
            "99999999999999999999999",
        ] {
            if word != "30" {
                assert!(Selection::parse(&[word]).is_err(), "{word}");
            }
            assert!(Selection::age(word).is_err(), "{word}");
        }
        assert_eq!(
            parse("old 3").unwrap_err(),
            "'old' cannot be said together with others; numbers can"
        );
        assert!(parse("3 +4").unwrap_err().starts_with("'+4' cannot"));
    }

    /// Generations 1 to 6, one a day; the profile points to 5.
    fn week() -> Vec<Candidate> {
        (1..=6)
            .map(|number| Candidate {
                number,
                time: i64::try_from(number).unwrap() * DAY,
                wanted: number == 5,
            })
            .collect()
    }

    #[test]
    fn they_mean_what_they_mean_to_nix() {
        let check = |selection: &Selection, expected: &str| {
            let meant = selection.of(&week(), 7 * DAY + 1).unwrap();
            assert_eq!(listed(&meant), expected, "{selection:?}");
        };
        check(&Selection::Old, "1-4, 6");
        check(&Selection::ButNewest(1), "1-4");
        check(&Selection::ButNewest(3), "1-2");
        check(&Selection::ButNewest(9), "none");
        check(&Selection::OlderThan(3), "1-3");
        check(&Selection::OlderThan(6), "none");
        check(&Selection::OlderThan(9), "none");
        check(&Selection::OlderThan(0), "1-4");
        check(&Selection::Numbers([2, 5].into()), "2, 5");
        let error = Selection::Numbers([2, 9].into())
            .of(&week(), 0)
            .unwrap_err();
        assert_eq!(error.to_string(), "there is no generation 9; there are 1-6");
        assert_eq!(Selection::Old.of(&[], 0).unwrap(), BTreeSet::new());
    }

    proptest! {
        #[test]
        fn whatever_the_words(words in prop::collection::vec("[+d0-9a-z-]{0,6}", 0..4)) {
            if let Ok(selection) = Selection::parse(&words) {
                match selection.of(&week(), 7 * DAY) {
                    Ok(meant) => prop_assert!(selection.is_explicit() || !meant.contains(&5)),
                    Err(error) => {
                        let is_unknown = matches!(error, SelectionError::Unknown { .. });
                        prop_assert!(is_unknown, "{}", error);
                    }
                }
            }
        }
    }
}
