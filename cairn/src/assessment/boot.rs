//! How the running system was booted, and what follows for its assessment.

use std::time::Duration;

use cairn_bootloader::{BootState, EntryId};
use cairn_system::trial;

/// The kernel parameter with which GRUB says why it did not start the entry on trial.
const FALLBACK_PARAMETER: &str = "cairn.fallback";

/// What the kernel's command line tells of the boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// The booted entry; none if the boot loader was not ours.
    pub entry: Option<EntryId>,
    /// Whether it is on trial.
    pub on_trial: bool,
    /// Time from the kernel's start until a trial must be judged.
    pub timeout: Duration,
    /// Why the entry on trial was not started in the place of this one.
    pub refused: Option<String>,
}

impl Boot {
    /// Reads a command line. Values that make no sense are as good as absent.
    #[must_use]
    pub fn parse(command_line: &str) -> Self {
        let last = |key: &str| {
            let values =
                words(command_line).filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            values.last()
        };
        let entry: Option<EntryId> =
            last(trial::GENERATION_PARAMETER).and_then(|text| text.parse().ok());
        let on_trial = last(trial::TRIAL_PARAMETER).and_then(|text| text.parse().ok());
        let seconds = last(trial::TIMEOUT_PARAMETER).and_then(|text| text.parse().ok());
        Self {
            on_trial: entry.is_some() && on_trial == entry,
            entry,
            timeout: Duration::from_secs(seconds.unwrap_or(trial::DEFAULT_TIMEOUT_SECONDS).into()),
            refused: last(FALLBACK_PARAMETER).map(str::to_owned),
        }
    }
}

/// Splits as the kernel does: at blanks that are not in double quotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |character: char| {
        quoted ^= character == '"';
        character.is_ascii_whitespace() && !quoted
    })
}

/// What runs, compared with what was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// The system of the booted entry, as the firmware started it.
    Booted,
    /// Another one: somebody has switched since.
    Switched,
    /// It, but user space was started again without the firmware.
    Restarted,
    /// Another one than the profile has under the entry's number.
    Unknown,
}

/// What there is to do for `cairn assess`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// Find out whether the entry is good.
    Judge {
        /// The entry.
        entry: EntryId,
        /// What follows if it is not.
        otherwise: Otherwise,
    },
    /// The entry is known to be good: find out how it is. It runs on in any case.
    LookAfter {
        /// The entry on trial that was left for this one, if that is to be noted.
        left: Option<EntryId>,
    },
}

/// What follows if an entry is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    /// The machine restarts into this one.
    Restart(EntryId),
    /// It is reported.
    Report,
}

/// Decides what there is to do.
#[must_use]
pub fn task(boot: &Boot, state: &BootState, running: Running) -> Task {
    let Some(entry) = &boot.entry else {
        return Task::Nothing("the boot loader does not say which generation it started");
    };
    match running {
        Running::Booted => {}
        Running::Switched => return Task::Nothing("the system was switched since it booted"),
        Running::Restarted => {
            return Task::Nothing("user space was restarted since the machine booted");
        }
        Running::Unknown => {
            return Task::Nothing("the profile has another system under the booted number");
        }
    }
    let on_trial = state.trial.as_ref();
    match &state.good {
        Some(good) if good == entry => {
            let left = on_trial.filter(|trial| {
                trial.entry != *entry && (trial.tries == 0 || boot.refused.is_some())
            });
            Task::LookAfter {
                left: left.map(|trial| trial.entry.clone()),
            }
        }
        Some(good) if boot.on_trial => Task::Judge {
            entry: entry.clone(),
            otherwise: Otherwise::Restart(good.clone()),
        },
        // Chosen in the menu: somebody is there to decide.
        Some(_) if on_trial.is_some_and(|trial| trial.entry == *entry) => Task::Judge {
            entry: entry.clone(),
            otherwise: Otherwise::Report,
        },
        Some(_) => {
            Task::Nothing("the generation was chosen for this boot, and another one is the default")
        }
        None => Task::Judge {
            entry: entry.clone(),
            otherwise: Otherwise::Report,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Running::{Booted, Restarted, Switched, Unknown};
    use super::*;
    use cairn_bootloader::Trial;
    use expect_test::{Expect, expect};

    #[test]
    fn the_command_line_is_read() {
        let check = |line: &str, expected: &Expect| {
            expected.assert_eq(&format!("{:?}", Boot::parse(line)));
        };
        check(
            "BOOT_IMAGE=/k init=/nix/store/x/init cairn.generation=13-debug cairn.trial=13-debug panic=10",
            &expect![[
                r#"Boot { entry: Some(EntryId { generation: 13, specialisation: Some("debug") }), on_trial: true, timeout: 300s, refused: None }"#
            ]],
        );
        check(
            "cairn.generation=12 cairn.trial=13 cairn.trial_timeout=60 cairn.fallback=damaged",
            &expect![[
                r#"Boot { entry: Some(EntryId { generation: 12, specialisation: None }), on_trial: false, timeout: 60s, refused: Some("damaged") }"#
            ]],
        );
        check(
            "note=\"not cairn.generation=1 cairn.trial=1\" cairn.generation=../x",
            &expect!["Boot { entry: None, on_trial: false, timeout: 300s, refused: None }"],
        );
    }

    proptest::proptest! {
        #[test]
        fn only_an_entry_that_is_its_own_trial_is_on_trial(
            line in "(cairn\\.(generation|trial|trial_timeout|fallback)=[0-9a-z\"/%-]{0,5}[ \"]){0,5}"
        ) {
            let boot = Boot::parse(&line);
            proptest::prop_assert!(boot.entry.is_some() || !boot.on_trial);
        }
    }

    fn state(good: Option<&str>, trial: Option<(&str, u8)>) -> BootState {
        let mut state = BootState::default();
        state.good = good.map(|text| text.parse().unwrap());
        state.trial = trial.map(|(entry, tries)| Trial {
            entry: entry.parse().unwrap(),
            tries,
        });
        state
    }

    /// Command line, good entry, trial with its tries, and what runs.
    type Case = (
        &'static str,
        Option<&'static str>,
        Option<(&'static str, u8)>,
        Running,
    );
    const TABLE: [Case; 16] = [
        ("", Some("12"), None, Booted),
        ("cairn.generation=12", Some("12"), None, Booted),
        ("cairn.generation=12", Some("12"), Some(("13", 2)), Booted),
        ("cairn.generation=12", Some("12"), Some(("13", 0)), Booted),
        (
            "cairn.generation=12 cairn.fallback=damaged",
            Some("12"),
            Some(("13", 1)),
            Booted,
        ),
        (
            "cairn.generation=12 cairn.fallback=damaged",
            Some("12"),
            None,
            Booted,
        ),
        (
            "cairn.generation=13 cairn.trial=13",
            Some("12"),
            Some(("13", 1)),
            Booted,
        ),
        (
            "cairn.generation=13 cairn.trial=13",
            Some("12"),
            None,
            Booted,
        ),
        (
            "cairn.generation=13 cairn.trial=13",
            Some("13"),
            None,
            Booted,
        ),
        (
            "cairn.generation=13 cairn.trial=13",
            Some("12"),
            Some(("13", 1)),
            Switched,
        ),
        (
            "cairn.generation=13 cairn.trial=13",
            Some("12"),
            Some(("13", 1)),
            Unknown,
        ),
        (
            "cairn.generation=13 cairn.trial=13",
            Some("12"),
            Some(("13", 1)),
            Restarted,
        ),
        ("cairn.generation=13", Some("12"), Some(("13", 1)), Booted),
        ("cairn.generation=9", Some("12"), Some(("13", 1)), Booted),
        ("cairn.generation=1", None, None, Booted),
        (
            "cairn.generation=1 cairn.trial=1",
            None,
            Some(("1", 1)),
            Booted,
        ),
    ];

    #[test]
    fn what_there_is_to_do() {
        let lines: Vec<_> = TABLE
            .iter()
            .map(|(line, good, trial, running)| {
                let task = task(&Boot::parse(line), &state(*good, *trial), *running);
                let task = match task {
                    Task::Nothing(reason) => format!("nothing: {reason}"),
                    Task::Judge {
                        entry,
                        otherwise: Otherwise::Restart(good),
                    } => {
                        format!("judge {entry}, else restart into {good}")
                    }
                    Task::Judge {
                        entry,
                        otherwise: Otherwise::Report,
                    } => {
                        format!("judge {entry}, else report")
                    }
                    Task::LookAfter { left: Some(left) } => {
                        format!("look after it; {left} was left for it")
                    }
                    Task::LookAfter { left: None } => "look after it".to_owned(),
                };
                format!("{line} {good:?} {trial:?} {running:?}\n    {task}\n")
            })
            .collect();
        expect![[r#"
             Some("12") None Booted
                nothing: the boot loader does not say which generation it started
            cairn.generation=12 Some("12") None Booted
                look after it
            cairn.generation=12 Some("12") Some(("13", 2)) Booted
                look after it
            cairn.generation=12 Some("12") Some(("13", 0)) Booted
                look after it; 13 was left for it
            cairn.generation=12 cairn.fallback=damaged Some("12") Some(("13", 1)) Booted
                look after it; 13 was left for it
            cairn.generation=12 cairn.fallback=damaged Some("12") None Booted
                look after it
            cairn.generation=13 cairn.trial=13 Some("12") Some(("13", 1)) Booted
                judge 13, else restart into 12
            cairn.generation=13 cairn.trial=13 Some("12") None Booted
                judge 13, else restart into 12
            cairn.generation=13 cairn.trial=13 Some("13") None Booted
                look after it
            cairn.generation=13 cairn.trial=13 Some("12") Some(("13", 1)) Switched
                nothing: the system was switched since it booted
            cairn.generation=13 cairn.trial=13 Some("12") Some(("13", 1)) Unknown
                nothing: the profile has another system under the booted number
            cairn.generation=13 cairn.trial=13 Some("12") Some(("13", 1)) Restarted
                nothing: user space was restarted since the machine booted
            cairn.generation=13 Some("12") Some(("13", 1)) Booted
                judge 13, else report
            cairn.generation=9 Some("12") Some(("13", 1)) Booted
                nothing: the generation was chosen for this boot, and another one is the default
            cairn.generation=1 None None Booted
                judge 1, else report
            cairn.generation=1 cairn.trial=1 None Some(("1", 1)) Booted
                judge 1, else report
        "#]]
        .assert_eq(&lines.concat());
    }
}
