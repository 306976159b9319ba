//! The command line of `torture generations`.

use anyhow::bail;

use super::table::{ROWS, Row};

pub const USAGE: &str = "\
usage: torture generations [--short | --list | NAME…]

  Tries bad generations, each in a way of its own, on a virtual machine that has to find back to the good
  one by itself: all of them, about two minutes each.

  NAME        these alone
  --short     those that the test command tries
  --list      their names, and what is wrong with each
";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    Help,
    List,
    Try(Choice),
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    All,
    Short,
    Named(Vec<String>),
}

impl Choice {
    pub fn has(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Short => row.short,
            Self::Named(names) => names.iter().any(|name| name == row.name),
        }
    }
}

impl Arguments {
    pub fn parse(words: &[String]) -> anyhow::Result<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            [] => Self::Try(Choice::All),
            ["--short"] => Self::Try(Choice::Short),
            ["--list"] => Self::List,
            words if words.contains(&"--help") || words.contains(&"-h") => Self::Help,
            names => {
                for name in names {
                    if !ROWS.iter().any(|row| row.name == *name) {
                        bail!(
                            "there is no bad generation '{name}'; see torture generations --list"
                        );
                    }
                }
                Self::Try(Choice::Named(
                    names.iter().map(ToString::to_string).collect(),
                ))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Arguments> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn words() {
        assert_eq!(parse("").unwrap(), Arguments::Try(Choice::All));
        assert_eq!(parse("--short").unwrap(), Arguments::Try(Choice::Short));
        assert_eq!(parse("--list").unwrap(), Arguments::List);
        assert_eq!(parse("no-root --help").unwrap(), Arguments::Help);
        let names = vec!["no-root".to_owned(), "panics".to_owned()];
        assert_eq!(
            parse("no-root panics").unwrap(),
            Arguments::Try(Choice::Named(names))
        );
        assert!(parse("no-root --short").is_err());
        assert!(parse("unheard-of").is_err());
    }

    #[test]
    fn the_sample_is_short() {
        let short = ROWS.iter().filter(|row| Choice::Short.has(row)).count();
        assert!((2..=3).contains(&short), "{short}");
    }
}
