//! Signals by name, as people and unit files write them.

use serde::{Deserialize, Serialize};

/// By number, from 1; the numbers of x86, ARM and RISC-V.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// A signal: `SIGTERM`, `TERM` or `15` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(u8);

/// A text that is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a signal; names are like SIGTERM, see signal(7)")]
pub struct UnknownSignal(String);

impl Signal {
    /// SIGTERM.
    pub const TERM: Self = Self(15);

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }
}

impl TryFrom<String> for Signal {
    type Error = UnknownSignal;

    fn try_from(text: String) -> Result<Self, UnknownSignal> {
        let by_name = |known: &&str| {
            *known == text || known.strip_prefix("SIG").is_some_and(|short| short == text)
        };
        (1..)
            .zip(&NAMES)
            .find(|(_, known)| by_name(known))
            .map(|(number, _)| number)
            .or_else(|| text.parse().ok().filter(|number| (1..=64).contains(number)))
            .map(Self)
            .ok_or(UnknownSignal(text))
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        usize::from(signal.0)
            .checked_sub(1)
            .and_then(|place| NAMES.get(place))
            .map_or_else(|| signal.0.to_string(), |name| (*name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let number = |text: &str| Signal::try_from(text.to_owned()).map(Signal::number);
        assert_eq!(number("SIGTERM"), Ok(15));
        assert_eq!(number("HUP"), Ok(1));
        assert_eq!(number("31"), Ok(31));
        assert_eq!(number("64"), Ok(64));
        for text in ["", "SIG", "0", "65", "term", "-1"] {
            assert!(number(text).is_err(), "{text}");
        }
        for signal in (1..=64).map(Signal) {
            assert_eq!(Signal::try_from(String::from(signal)), Ok(signal));
        }
    }
}
