//! What has come of a service's run, for those that are told of it: its own last commands, and services that
//! are started because of it.
//!
//! Source: `systemd.exec(5)`, "Environment Variables Set or Propagated by the Service Manager".

use cairn_sys::process::Exit;
use cairn_system::{Restart, Service};

use super::end::End;
use super::graph::Id;
use super::unit::Unit;

/// What has come of a service's last run, or of the try to start it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It runs, or has ended as it should.
    #[default]
    Success,
    /// It has ended with another status.
    ExitCode,
    /// It was ended by a signal.
    Signal,
    /// It took too long: to come up, to end, or as a whole.
    Timeout,
    /// Its watchdog was not satisfied.
    Watchdog,
    /// It has not done what its kind does.
    Protocol,
    /// It could not be executed.
    Resources,
    /// It was started too often.
    StartLimitHit,
    /// What it needs is not there.
    Dependency,
    /// A command has said that there is no reason to start it.
    Condition,
    /// A process of it was killed since memory had run out.
    OomKill,
}

impl Outcome {
    const ALL: [Self; 11] = [
        Self::Success,
        Self::ExitCode,
        Self::Signal,
        Self::Timeout,
        Self::Watchdog,
        Self::Protocol,
        Self::Resources,
        Self::StartLimitHit,
        Self::Dependency,
        Self::Condition,
        Self::OomKill,
    ];

    /// What this end of a process is to a service that thinks that of it.
    pub fn of(end: End, exit: Exit) -> Self {
        match (end, exit) {
            (End::Good, _) => Self::Success,
            (_, Exit::Status(_)) => Self::ExitCode,
            (_, Exit::Signal(_)) => Self::Signal,
        }
    }

    /// This one, unless what was before was no success: a process that is aborted ends by a signal.
    pub fn after(self, before: Self) -> Self {
        match before {
            Self::Success => self,
            _ => before,
        }
    }

    /// What it is as far as a restart is concerned.
    pub fn end(self) -> End {
        match self {
            Self::Success | Self::Condition => End::Good,
            Self::ExitCode | Self::Protocol | Self::Resources | Self::Dependency => End::Status,
            Self::Signal | Self::OomKill | Self::Timeout | Self::Watchdog | Self::StartLimitHit => {
                End::Abnormal
            }
        }
    }

    /// Whether a service of which this has come, and that was ended because of it, is started again.
    pub fn restarts(self, service: &Service) -> bool {
        match service.restart {
            Restart::OnAbort => self == Self::Signal,
            Restart::OnWatchdog => self == Self::Watchdog,
            _ => self.end().restarts(service),
        }
    }

    /// Whether it has ended as it should.
    pub fn is_good(self) -> bool {
        self.end() == End::Good
    }

    /// As the field calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Watchdog => "watchdog",
            Self::Protocol => "protocol",
            Self::Resources => "resources",
            Self::StartLimitHit => "start-limit-hit",
            Self::Dependency => "dependency",
            Self::Condition => "exec-condition",
            Self::OomKill => "oom-kill",
        }
    }

    /// Its number in a record, below 16.
    pub fn number(self) -> u8 {
        let place = Self::ALL.iter().position(|one| *one == self);
        place
            .and_then(|place| u8::try_from(place).ok())
            .unwrap_or(0)
    }

    /// The one of this number.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// To which end of another service a start is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// The other service.
    pub to: Id,
    /// What had come of it.
    pub outcome: Outcome,
    /// How its process had ended, if that was the end of it.
    pub exit: Option<Exit>,
}

impl Owed {
    /// What is owed to the end of this one.
    pub fn to(id: Id, unit: &Unit) -> Self {
        Self {
            to: id,
            outcome: unit.outcome,
            exit: unit.exit_of_run(),
        }
    }
}

/// The variables that tell of this, with names that begin with this word.
pub fn variables(prefix: &str, outcome: Outcome, exit: Option<Exit>) -> Vec<(String, String)> {
    let variable = |name: &str, value: String| (format!("{prefix}{name}"), value);
    let mut all = vec![variable("SERVICE_RESULT", outcome.word().to_owned())];
    if let Some(exit) = exit {
        let (how, number) = match exit {
            Exit::Status(number) => ("exited", number.to_string()),
            Exit::Signal(number) => ("killed", signal_name(number)),
        };
        all.push(variable("EXIT_CODE", how.to_owned()));
        all.push(variable("EXIT_STATUS", number));
    }
    all
}

/// A signal's name without `SIG`, or its number.
fn signal_name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::numbered(outcome.number()), Some(outcome));
        }
        assert_eq!(Outcome::numbered(15), None);
    }
}
