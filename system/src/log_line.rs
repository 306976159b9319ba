//! What stands behind the time in a line of a service's log.
//!
//! ```text
//! text
//! <3>text                                     as any service may say how serious it is
//! <38>sshd sshd[811]: text                    in the log of the service `syslogd`: of the service sshd
//! <13>- root[812]: text                       of no service
//! ```
//!
//! The number is eight times the facility, and the level. Source: `sd-daemon(3)`, `syslog(3)`, RFC 5424 §6.2.1.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ServiceName;

/// Longest line in bytes, behind the time; a longer one is cut into several.
pub const LINE_BYTES: usize = 8192;

/// The service in whose log is what others have written to `/dev/log`.
pub const SYSLOG_SERVICE: &str = "syslogd";

/// Names of levels, from the most serious one on.
pub const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// Names of facilities.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// Most bytes of an identifier.
const IDENTIFIER_BYTES: usize = 64;

/// How serious something is, and what kind of program says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority(u8);

impl Priority {
    /// What a message has that says nothing of it: a user's, worth a notice.
    pub const PLAIN: Self = Self(13);

    /// From `<0>` to `<191>` at the beginning of a line: it, and what is behind.
    #[must_use]
    pub fn split(line: &[u8]) -> Option<(Self, &[u8])> {
        let rest = line.strip_prefix(b"<")?;
        let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
        let digits = rest.get(..end).filter(|digits| !digits.is_empty())?;
        let mut number: u32 = 0;
        for digit in digits {
            number = number * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        let number = u8::try_from(number).ok().filter(|number| *number < 192)?;
        Some((Self(number), rest.get(end + 1..)?))
    }

    /// 0, an emergency, to 7, which is for finding faults.
    #[must_use]
    pub fn level(self) -> u8 {
        self.0 % 8
    }

    /// As it stands before a message.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The level's name.
    #[must_use]
    pub fn level_name(self) -> &'static str {
        LEVELS.get(usize::from(self.level())).unwrap_or(&"")
    }

    /// The facility's name.
    #[must_use]
    pub fn facility_name(self) -> &'static str {
        FACILITIES.get(usize::from(self.0 / 8)).unwrap_or(&"")
    }
}

/// The least serious lines that are kept, by the number of their level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct LeastLevel(u8);

/// There is no such level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no level: from 0, an emergency, to 7, which is for finding faults")]
pub struct NoLevel(u8);

impl LeastLevel {
    /// Whether this line of a service's output is kept. One that does not say how serious it is informs.
    #[must_use]
    pub fn keeps(self, line: &[u8]) -> bool {
        self.includes(Priority::split(line).map_or(Priority(6), |(priority, _)| priority))
    }

    /// Whether what has this priority is kept.
    #[must_use]
    pub fn includes(self, priority: Priority) -> bool {
        priority.level() <= self.0
    }
}

impl TryFrom<u8> for LeastLevel {
    type Error = NoLevel;

    fn try_from(number: u8) -> Result<Self, NoLevel> {
        let is_one = usize::from(number) < LEVELS.len();
        is_one.then_some(Self(number)).ok_or(NoLevel(number))
    }
}

impl From<LeastLevel> for u8 {
    fn from(level: LeastLevel) -> Self {
        level.0
    }
}

/// A message that somebody has written to `/dev/log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard<'a> {
    /// The service whose process has written it; none if it is of none.
    pub service: Option<Cow<'a, str>>,
    /// What the process calls itself.
    pub identifier: Cow<'a, str>,
    /// Its number, as it or the kernel says.
    pub pid: Option<u32>,
    /// One line of the message.
    pub text: &'a str,
}

impl<'a> Heard<'a> {
    /// As it stands behind the priority.
    #[must_use]
    pub fn head(&self) -> String {
        let service = self.service.as_deref().unwrap_or("-");
        let identifier = identifier(&self.identifier);
        match self.pid {
            Some(pid) => format!("{service} {identifier}[{pid}]: "),
            None => format!("{service} {identifier}: "),
        }
    }

    /// Undoes that.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (service, rest) = line.split_once(' ')?;
        let service = match service {
            "-" => None,
            name => Some(ServiceName::try_from(name).ok().map(|_| name.into())?),
        };
        let (who, text) = rest.split_once(": ")?;
        let numbered = who
            .strip_suffix(']')
            .and_then(|who| who.rsplit_once('['))
            .and_then(|(name, pid)| Some((name, pid.parse().ok()?)));
        let (identifier, pid) = numbered.map_or((who, None), |(name, pid)| (name, Some(pid)));
        Some(Self {
            service,
            identifier: identifier.into(),
            pid,
            text,
        })
    }
}

/// What cannot be told from the rest of a line is left out of a name.
fn identifier(name: &str) -> String {
    let mut kept = String::new();
    for letter in name.chars() {
        if kept.len() + letter.len_utf8() > IDENTIFIER_BYTES {
            break;
        }
        let is_odd =
            letter.is_whitespace() || letter.is_control() || matches!(letter, ':' | '[' | ']');
        kept.push(if is_odd { '_' } else { letter });
    }
    if kept.is_empty() {
        kept.push('-');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn priorities_are_levels_and_facilities() {
        for (line, expected) in [
            ("<0>x", Some(("emerg", "kern", "x"))),
            ("<38>", Some(("info", "auth", ""))),
            ("<165><1>x", Some(("notice", "local4", "<1>x"))),
            ("<191>x", Some(("debug", "local7", "x"))),
            ("<007>x", Some(("debug", "kern", "x"))),
        ] {
            let found = Priority::split(line.as_bytes());
            let found = found.map(|(priority, rest)| {
                let rest = std::str::from_utf8(rest).unwrap();
                (priority.level_name(), priority.facility_name(), rest)
            });
            assert_eq!(found, expected, "{line}");
        }
        for none in [
            "", "<", "<>x", "<192>x", "<256>x", "<0003>x", "<-1>x", "<3x", " <3>x", "<+3>x",
        ] {
            assert_eq!(Priority::split(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn names_cannot_be_other_parts_of_a_line() {
        let of = |identifier: &'static str| {
            let heard = Heard {
                service: None,
                identifier: identifier.into(),
                pid: Some(7),
                text: "",
            };
            heard.head()
        };
        assert_eq!(of("a b: [1]\n"), "- a_b___1__[7]: ");
        assert_eq!(of(""), "- -[7]: ");
        assert_eq!(
            of(&"ö".repeat(40).leak()[..]),
            format!("- {}[7]: ", "ö".repeat(32))
        );
    }

    proptest! {
        #[test]
        fn what_was_heard_is_read_again(
            service in proptest::option::of("[a-z][a-z0-9@.-]{0,20}"),
            identifier in "[a-zA-Z0-9/_.<>-]{1,20}",
            pid: Option<u32>,
            text in ".{0,40}",
        ) {
            let heard = Heard {
                service: service.map(Cow::from),
                identifier: identifier.into(),
                pid,
                text: &text,
            };
            let line = heard.head() + heard.text;
            prop_assert_eq!(Heard::parse(&line), Some(heard));
        }

        #[test]
        fn any_line_is_read(line in ".{0,60}") {
            if let Some(heard) = Heard::parse(&line) {
                prop_assert!(line.ends_with(heard.text));
            }
        }
    }
}
