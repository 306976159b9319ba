//! Filters of system calls, in the words of unit files: `@system-service`, `~@privileged ptrace:EPERM`.
//!
//! Source: `SystemCallFilter=` in systemd.exec(5).

mod groups;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use syscalls::{Errno, Sysno};

use groups::GROUPS;

/// A filter, as it is written; its words are known ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct SystemCallFilter(Written);

/// What a filter says of each system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdicts {
    /// What becomes of a call that is not in `calls`.
    pub others: Verdict,
    /// By number.
    pub calls: BTreeMap<i32, Verdict>,
}

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The kernel does it.
    Allow,
    /// It fails with this error number.
    Fail(u16),
    /// The process is killed.
    Kill,
}

/// A filter as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    /// Lists of calls and groups, in order. The first one decides: with `~`, what is named is refused
    /// and all else allowed; otherwise what is named is allowed, and all else refused. Each later one
    /// adds to what is allowed, or takes away from it. `:ERRNO` after a word says how it is refused.
    entries: Vec<String>,
    /// How calls are refused: the name or number of an error, or `kill`, which is the default.
    #[serde(default)]
    errno: Option<String>,
}

/// Why a filter is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A group.
    #[error("there is no group '{0}' of system calls; known are {known}", known = group_names())]
    Group(String),
    /// A call.
    #[error("'{0}' is no system call; see syscalls(2)")]
    Call(String),
    /// An error.
    #[error("'{0}' is no error number; examples are EPERM, ENOSYS, 1, kill")]
    Errno(String),
    /// An entry.
    #[error("a filter of system calls has no entry")]
    Empty,
}

fn group_names() -> String {
    let names: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
    names.join(" ")
}

impl SystemCallFilter {
    /// The filter of these entries, which refuses as `errno` says.
    ///
    /// # Errors
    /// A word is unknown, or there is no entry.
    pub fn new(entries: Vec<String>, errno: Option<String>) -> Result<Self, FilterError> {
        Self::try_from(Written { entries, errno })
    }

    /// What it says of each call of this architecture.
    ///
    /// # Errors
    /// None: its words are known.
    pub fn verdicts(&self) -> Result<Verdicts, FilterError> {
        self.0.verdicts()
    }
}

impl TryFrom<Written> for SystemCallFilter {
    type Error = FilterError;

    fn try_from(written: Written) -> Result<Self, FilterError> {
        written.verdicts().map(|_| Self(written))
    }
}

impl From<SystemCallFilter> for Written {
    fn from(filter: SystemCallFilter) -> Self {
        filter.0
    }
}

impl Written {
    fn verdicts(&self) -> Result<Verdicts, FilterError> {
        let refusal = match &self.errno {
            Some(text) => verdict(text)?,
            None => Verdict::Kill,
        };
        let first = self.entries.first().ok_or(FilterError::Empty)?;
        let refuses = first.starts_with('~');
        let mut calls = BTreeMap::new();
        if !refuses {
            // No program begins or ends without them.
            add("@default", &mut |call| {
                calls.insert(call, Verdict::Allow);
            })?;
        }
        for entry in &self.entries {
            let (takes, words) = match entry.strip_prefix('~') {
                Some(words) => (true, words),
                None => (false, entry.as_str()),
            };
            for word in words.split_whitespace() {
                let (name, own) = match word.split_once(':') {
                    Some((name, errno)) => (name, Some(verdict(errno)?)),
                    None => (word, None),
                };
                // With an error number, a word is refused in either kind of list.
                let said = match (own, takes) {
                    (Some(own), _) => own,
                    (None, true) => refusal,
                    (None, false) => Verdict::Allow,
                };
                let others = if refuses { Verdict::Allow } else { refusal };
                add(name, &mut |call| {
                    if said == others {
                        calls.remove(&call);
                    } else {
                        calls.insert(call, said);
                    }
                })?;
            }
        }
        Ok(Verdicts {
            others: if refuses { Verdict::Allow } else { refusal },
            calls,
        })
    }
}

/// Hands on the number of a call, or of each of a group.
fn add(word: &str, take: &mut impl FnMut(i32)) -> Result<(), FilterError> {
    if word.starts_with('@') {
        let group = GROUPS.iter().find(|(name, _)| *name == word);
        let (_, members) = group.ok_or_else(|| FilterError::Group(word.to_owned()))?;
        return members.iter().try_for_each(|member| add(member, take));
    }
    match word.parse::<Sysno>() {
        Ok(call) => take(call.id()),
        // Another architecture's.
        Err(()) if GROUPS.iter().any(|(_, members)| members.contains(&word)) => {}
        Err(()) => return Err(FilterError::Call(word.to_owned())),
    }
    Ok(())
}

fn verdict(text: &str) -> Result<Verdict, FilterError> {
    let unknown = || FilterError::Errno(text.to_owned());
    if text == "kill" {
        return Ok(Verdict::Kill);
    }
    let number = match text.parse::<u16>() {
        Ok(number) => Some(number),
        Err(_) => (1..=HIGHEST).find(|number| {
            let known = Errno::new(i32::from(*number)).name_and_description();
            known.is_some_and(|(name, _)| name == text)
        }),
    };
    let number = number.filter(|number| (1..=HIGHEST).contains(number));
    number.map(Verdict::Fail).ok_or_else(unknown)
}

/// No error number is higher: `MAX_ERRNO`.
const HIGHEST: u16 = 4095;

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(entries: &[&str], errno: Option<&str>, expected: &Expect) {
        let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let text = match SystemCallFilter::new(entries, errno.map(str::to_owned)) {
            Ok(filter) => {
                let filter = filter.verdicts().unwrap();
                let default = Sysno::iter().filter(|call| {
                    let (_, members) = GROUPS.iter().find(|(name, _)| *name == "@default").unwrap();
                    members.contains(&call.name())
                });
                let default: Vec<i32> = default.map(|call| call.id()).collect();
                let calls = filter.calls.iter().filter(|(call, verdict)| {
                    **verdict != Verdict::Allow || !default.contains(call)
                });
                let calls = calls.map(|(call, verdict)| {
                    let number = usize::try_from(*call).unwrap();
                    format!(" {}={verdict:?}", Sysno::new(number).unwrap().name())
                });
                format!("others={:?}{}", filter.others, calls.collect::<String>())
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn lists() {
        check(
            &["@swap read", "~swapoff"],
            Some("EPERM"),
            &expect!["others=Fail(1) read=Allow swapon=Allow"],
        );
        check(
            &["~@swap ptrace:ENOSYS", "swapoff"],
            None,
            &expect!["others=Allow ptrace=Fail(38) swapon=Kill"],
        );
        check(
            &["read", "~ptrace:13"],
            None,
            &expect!["others=Kill read=Allow ptrace=Fail(13)"],
        );
        check(&["~cacheflush"], None, &expect!["others=Allow"]);
    }

    #[test]
    fn errors() {
        check(
            &["@swop"],
            None,
            &expect![
                "there is no group '@swop' of system calls; known are @aio @basic-io @chown @clock @cpu-emulation @debug @default @file-system @io-event @ipc @keyring @memlock @module @mount @network-io @obsolete @pkey @privileged @process @raw-io @reboot @resources @setuid @signal @swap @sync @system-service @timer"
            ],
        );
        check(
            &["raed"],
            None,
            &expect!["'raed' is no system call; see syscalls(2)"],
        );
        check(
            &["read"],
            Some("EFOO"),
            &expect!["'EFOO' is no error number; examples are EPERM, ENOSYS, 1, kill"],
        );
        check(&[], None, &expect!["a filter of system calls has no entry"]);
    }

    #[test]
    fn groups_end() {
        for (name, _) in GROUPS {
            let mut count = 0;
            add(name, &mut |_| count += 1).unwrap();
            assert!(
                count > 0 || ["@cpu-emulation", "@obsolete"].contains(name),
                "{name}"
            );
        }
    }
}
