//! One service's state, and how it changes when something happens to this service alone.

use cairn_sys::process::Exit;
use cairn_system::control::ServiceState;
use cairn_system::{Restart, Service};

/// Milliseconds of `CLOCK_MONOTONIC`.
pub type Ms = u64;

/// A start that lasted this long makes the delay of restarts begin anew, in milliseconds.
const STABLE_MS: Ms = 10_000;

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Down.
    Stopped,
    /// To be started as soon as its dependencies allow.
    Waiting,
    /// Its process is there, but it does not count as up yet.
    Starting,
    /// Up; a oneshot without a process.
    Up,
    /// Asked to stop; killed at this time.
    Stopping(Ms),
    /// Killed; given up at this time.
    Killed(Ms),
    /// Restarted at this time.
    Backoff(Ms),
    /// Down for this reason.
    Failed(String),
}

/// What somebody wants of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Down, and then up again.
    Again,
}

/// One service's state.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Where it stands.
    pub phase: Phase,
    /// What is wanted of it.
    pub goal: Goal,
    /// Its main process lives.
    pub running: bool,
    /// It has been up, down or in trouble since it was last asked for: nobody waits for it.
    pub settled: bool,
    /// Time of the last start of its process; none if there was none.
    pub started_at: Option<Ms>,
    /// Restarts by itself since it was last asked for.
    pub restarts: u32,
    /// Failures in a row, each within [`STABLE_MS`] of a start.
    pub streak: u32,
    /// How its last process ended.
    pub last_exit: Option<Exit>,
}

impl Unit {
    /// The state that people are shown.
    pub fn state(&self) -> ServiceState {
        match self.phase {
            Phase::Stopped => ServiceState::Stopped,
            Phase::Waiting => ServiceState::Waiting,
            Phase::Starting => ServiceState::Starting,
            Phase::Up => ServiceState::Up,
            Phase::Stopping(_) | Phase::Killed(_) => ServiceState::Stopping,
            Phase::Backoff(_) => ServiceState::Backoff,
            Phase::Failed(_) => ServiceState::Failed,
        }
    }

    /// Whether there is something to stop.
    pub fn is_alive(&self) -> bool {
        matches!(
            self.phase,
            Phase::Starting | Phase::Up | Phase::Stopping(_) | Phase::Killed(_)
        )
    }

    /// Whether it is wanted and not up, although nothing is under way.
    pub fn is_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed(_) | Phase::Backoff(_))
            || (self.phase == Phase::Waiting && self.settled)
    }

    /// Somebody wants it up.
    pub fn want(&mut self) {
        match self.phase {
            Phase::Stopped | Phase::Failed(_) => {
                self.goal = Goal::Up;
                self.phase = Phase::Waiting;
                self.settled = false;
                self.restarts = 0;
                self.streak = 0;
            }
            Phase::Backoff(_) => {
                self.goal = Goal::Up;
                self.phase = Phase::Waiting;
                self.settled = false;
            }
            Phase::Stopping(_) | Phase::Killed(_) => self.goal = Goal::Again,
            // It is to stop, but not yet asked to: a restart stays one.
            Phase::Starting | Phase::Up if self.goal == Goal::Again => {}
            Phase::Waiting | Phase::Starting | Phase::Up => self.goal = Goal::Up,
        }
    }

    /// All of it is gone, by request.
    pub fn stopped(&mut self) {
        self.phase = Phase::Stopped;
        self.settled = true;
        if self.goal == Goal::Again {
            self.want();
        } else {
            self.goal = Goal::Down;
        }
    }

    /// Its process has ended as it should.
    pub fn stopped_by_itself(&mut self) {
        self.phase = Phase::Stopped;
        self.goal = Goal::Down;
        self.settled = true;
    }

    /// It is down for this reason.
    pub fn fail(&mut self, reason: String) {
        self.phase = Phase::Failed(reason);
        self.goal = Goal::Down;
        self.settled = true;
    }

    /// Its process has ended although it should not have, or could not be started.
    pub fn ended_badly(&mut self, service: &Service, reason: &str, now: Ms) {
        if service.restart == Restart::Never {
            return self.fail(reason.to_owned());
        }
        let lasted = self.started_at.map_or(0, |at| now.saturating_sub(at));
        if lasted >= STABLE_MS {
            self.streak = 0;
        }
        self.phase = Phase::Backoff(now.saturating_add(restart_delay(service, self.streak)));
        self.streak = self.streak.saturating_add(1);
        self.settled = true;
    }
}

/// Milliseconds before the restart that follows `streak` quick failures; never 0, and at least
/// 100 after five of them, so that no description makes the machine spin.
fn restart_delay(service: &Service, streak: u32) -> Ms {
    let first = Ms::from(service.restart_delay_ms).max(1);
    let doubled = first.saturating_mul(1_u64.checked_shl(streak.min(40)).unwrap_or(u64::MAX));
    let longest = Ms::from(service.restart_delay_max_ms).max(first);
    let shortest = if streak >= 5 { 100 } else { 1 };
    doubled.min(longest).max(shortest)
}
