//! One service's state, and how it changes when something happens to this service alone.

use cairn_sys::process::Exit;
use cairn_system::control::ServiceState;
use cairn_system::{Restart, Service, ServiceKind, Standing, StartLimit};

/// Milliseconds of `CLOCK_MONOTONIC`.
pub type Ms = u64;

/// A start that lasted this long makes the delay of restarts begin anew, in milliseconds.
const STABLE_MS: Ms = 10_000;

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Down.
    Stopped,
    /// Down, with its work done: a oneshot that does not stay up, or one that there was no reason
    /// to start.
    Done,
    /// To be started as soon as its dependencies allow.
    Waiting,
    /// The command of this number that comes before its process is at work.
    Preparing(u8),
    /// Its process is there, but it does not count as up yet.
    Starting,
    /// Its process has left another one behind, which is looked for again at this time.
    Finding(Ms),
    /// The command of this number that comes after its start is at work.
    Finishing(u8),
    /// Up; a oneshot without a process.
    Up,
    /// Up; its reload command of this number is at work.
    Reloading(u8),
    /// The command of this number that comes before its end is at work; killed at this time.
    Leaving(u8, Ms),
    /// Asked to stop; killed at this time.
    Stopping(Ms),
    /// Killed; given up at this time.
    Killed(Ms),
    /// Its process has ended; the command of this number that comes after is at work, and is killed
    /// at this time.
    Cleaning(u8, Ms),
    /// Restarted at this time.
    Backoff(Ms),
    /// Down for this reason.
    Failed(String),
}

impl Phase {
    /// Whether others may count on it.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up | Self::Reloading(_))
    }

    /// Whether it is on its way up, with commands or processes of its own.
    pub fn is_on_its_way(&self) -> bool {
        matches!(
            self,
            Self::Preparing(_) | Self::Starting | Self::Finding(_) | Self::Finishing(_)
        )
    }

    /// Whether it is on its way down.
    pub fn is_ending(&self) -> bool {
        matches!(
            self,
            Self::Leaving(..) | Self::Stopping(_) | Self::Killed(_) | Self::Cleaning(..)
        )
    }
}

/// What is to become of a service whose process has ended, once that is cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Down, as somebody wanted.
    Requested,
    /// Down, because its work is done.
    Finished,
    /// Down for this reason; started again or not.
    Bad {
        /// Why.
        reason: String,
        /// Whether it is started again.
        restart: bool,
    },
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
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
    /// A command beside its main process is at work.
    pub helper: bool,
    /// What follows when it has ended, if that is decided.
    pub verdict: Option<Verdict>,
    /// When the time over which starts are counted began.
    pub window_start: Ms,
    /// Starts since then.
    pub window_starts: u32,
    /// When it was last down after it had been started.
    pub ended_at: Option<Ms>,
    /// What is worth knowing of its present state, such as a reload that failed.
    pub note: Option<String>,
    /// Who has stopped it, if somebody has since it was last wanted.
    pub stopped_by: Option<StoppedBy>,
    /// What a switch to another generation has in store for it.
    pub due: Option<Due>,
    /// It serves one connection, and no description has it.
    pub instance: bool,
    /// When it was first up after its last start; none if it was not yet.
    pub up_at: Option<Ms>,
    /// Nothing starts it until somebody allows that again, or the machine does.
    pub disabled: bool,
    /// When it has last said that it lives; a fresh supervisor counts from its own start.
    pub alive_at: Ms,
    /// By when it must be up, if it has asked for more time.
    pub extended_to: Option<Ms>,
}

/// Who wants a service down that others may want up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// Somebody, by hand.
    Hand,
    /// A switch to another generation, which starts it again.
    Switch,
}

/// What is to be done to a service once its new generation's supervisor is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A start.
    Start,
    /// A restart.
    Restart,
    /// A reload, or if it is not up yet, a restart.
    Reload,
}

/// What a fresh supervisor is told of a service that an earlier one started: a [`Unit`], but for
/// what is found out anew.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct Restored {
    pub phase: Phase,
    pub goal: Goal,
    pub running: bool,
    pub helper: bool,
    pub settled: bool,
    pub started_at: Option<Ms>,
    pub ended_at: Option<Ms>,
    pub restarts: u32,
    pub streak: u32,
    pub last_exit: Option<Exit>,
    pub verdict: Option<Verdict>,
    pub window_start: Ms,
    pub window_starts: u32,
    pub note: Option<String>,
    pub stopped_by: Option<StoppedBy>,
    pub due: Option<Due>,
    pub instance: bool,
    pub up_at: Option<Ms>,
    pub disabled: bool,
}

impl Restored {
    /// What is to be told of `unit`.
    pub fn of(unit: &Unit) -> Self {
        Self {
            phase: unit.phase.clone(),
            goal: unit.goal,
            running: unit.running,
            helper: unit.helper,
            settled: unit.settled,
            started_at: unit.started_at,
            ended_at: unit.ended_at,
            restarts: unit.restarts,
            streak: unit.streak,
            last_exit: unit.last_exit,
            verdict: unit.verdict.clone(),
            window_start: unit.window_start,
            window_starts: unit.window_starts,
            note: unit.note.clone(),
            stopped_by: unit.stopped_by,
            due: unit.due,
            instance: unit.instance,
            up_at: unit.up_at,
            disabled: unit.disabled,
        }
    }

    /// Where it stands as far as a switch is concerned.
    pub fn standing(&self) -> Standing {
        standing(&self.phase, self.stopped_by)
    }
}

impl From<Restored> for Unit {
    fn from(restored: Restored) -> Self {
        Self {
            phase: restored.phase,
            goal: restored.goal,
            running: restored.running,
            helper: restored.helper,
            settled: restored.settled,
            started_at: restored.started_at,
            ended_at: restored.ended_at,
            restarts: restored.restarts,
            streak: restored.streak,
            last_exit: restored.last_exit,
            verdict: restored.verdict,
            window_start: restored.window_start,
            window_starts: restored.window_starts,
            note: restored.note,
            stopped_by: restored.stopped_by,
            due: restored.due,
            instance: restored.instance,
            up_at: restored.up_at,
            disabled: restored.disabled,
            alive_at: 0,
            extended_to: None,
        }
    }
}

fn standing(phase: &Phase, stopped_by: Option<StoppedBy>) -> Standing {
    match (stopped_by, phase) {
        (Some(StoppedBy::Switch), _) => Standing::Held,
        (Some(StoppedBy::Hand), _) => Standing::Stopped,
        (None, Phase::Stopped | Phase::Done) => Standing::Idle,
        (None, Phase::Failed(_)) => Standing::Failed,
        (None, _) => Standing::Up,
    }
}

impl Default for Unit {
    /// Down.
    fn default() -> Self {
        Self {
            phase: Phase::Stopped,
            goal: Goal::Down,
            running: false,
            settled: true,
            started_at: None,
            restarts: 0,
            streak: 0,
            last_exit: None,
            helper: false,
            verdict: None,
            window_start: 0,
            window_starts: 0,
            ended_at: None,
            note: None,
            stopped_by: None,
            due: None,
            instance: false,
            up_at: None,
            disabled: false,
            alive_at: 0,
            extended_to: None,
        }
    }
}

impl Unit {
    /// The state that people are shown.
    pub fn state(&self) -> ServiceState {
        match self.phase {
            Phase::Stopped | Phase::Done => ServiceState::Stopped,
            Phase::Waiting => ServiceState::Waiting,
            Phase::Preparing(_) | Phase::Starting | Phase::Finding(_) | Phase::Finishing(_) => {
                ServiceState::Starting
            }
            Phase::Up | Phase::Reloading(_) => ServiceState::Up,
            Phase::Leaving(..) | Phase::Stopping(_) | Phase::Killed(_) | Phase::Cleaning(..) => {
                ServiceState::Stopping
            }
            Phase::Backoff(_) => ServiceState::Backoff,
            Phase::Failed(_) => ServiceState::Failed,
        }
    }

    /// Where it stands as far as a switch is concerned.
    pub fn standing(&self) -> Standing {
        standing(&self.phase, self.stopped_by)
    }

    /// Whether there is something to stop.
    pub fn is_alive(&self) -> bool {
        self.phase.is_up() || self.phase.is_on_its_way() || self.phase.is_ending()
    }

    /// Whether it is wanted and not up, although nothing is under way.
    pub fn is_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed(_) | Phase::Backoff(_))
            || (self.phase == Phase::Waiting && self.settled)
    }

    /// Somebody wants it up.
    pub fn want(&mut self) {
        self.stopped_by = None;
        match self.phase {
            Phase::Stopped | Phase::Done | Phase::Failed(_) => {
                self.goal = Goal::Up;
                self.phase = Phase::Waiting;
                self.settled = false;
                self.restarts = 0;
                self.streak = 0;
                self.window_starts = 0;
                self.note = None;
            }
            Phase::Backoff(_) => {
                self.goal = Goal::Up;
                self.phase = Phase::Waiting;
                self.settled = false;
                self.window_starts = 0;
            }
            _ if self.phase.is_ending() => self.goal = Goal::Again,
            // It is to stop, but not yet asked to: a restart stays one.
            _ if self.goal == Goal::Again && self.phase != Phase::Waiting => {}
            _ => {
                self.goal = Goal::Up;
                self.note = None;
            }
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
    pub fn stopped_by_itself(&mut self, kind: ServiceKind) {
        self.phase = match kind {
            ServiceKind::Oneshot => Phase::Done,
            _ => Phase::Stopped,
        };
        self.goal = Goal::Down;
        self.settled = true;
    }

    /// It is down for this reason.
    pub fn fail(&mut self, reason: String) {
        self.phase = Phase::Failed(reason);
        self.goal = Goal::Down;
        self.settled = true;
    }

    /// It has not been started, since there is no reason to: this one.
    pub fn skip(&mut self, why: String) {
        self.phase = Phase::Done;
        self.goal = Goal::Down;
        self.settled = true;
        self.note = Some(why);
    }

    /// Its process has ended although it should not have, or could not be started; it is started
    /// again.
    pub fn back_off(&mut self, service: &Service, now: Ms) {
        let lasted = self.started_at.map_or(0, |at| now.saturating_sub(at));
        if lasted >= STABLE_MS {
            self.streak = 0;
        }
        self.phase = Phase::Backoff(now.saturating_add(restart_delay(service, self.streak)));
        self.streak = self.streak.saturating_add(1);
        self.settled = true;
    }

    /// Counts a start; why it is one too many, if it is.
    pub fn count_start(&mut self, limit: Option<StartLimit>, now: Ms) -> Option<String> {
        let limit = limit?;
        if now.saturating_sub(self.window_start) >= Ms::from(limit.interval_ms)
            || self.window_starts == 0
        {
            self.window_start = now;
            self.window_starts = 0;
        }
        self.window_starts = self.window_starts.saturating_add(1);
        (self.window_starts > limit.burst).then(|| {
            format!(
                "it was started more than {} times within {} ms",
                limit.burst, limit.interval_ms
            )
        })
    }

    /// When it must be up; none if it is not on its way or has all the time.
    pub fn start_deadline(&self, service: &Service) -> Option<Ms> {
        let timeout = service.start_timeout_ms.map(Ms::from);
        let timeout = match self.phase {
            // A process that is looked for is not looked for for ever.
            Phase::Finding(_) => timeout.or(Some(FIND_MS)),
            _ if self.phase.is_on_its_way() => timeout,
            _ => None,
        }?;
        let deadline = self.started_at?.saturating_add(timeout);
        Some(deadline.max(self.extended_to.unwrap_or(0)))
    }

    /// When it must have said that it lives; none if it need not.
    pub fn watchdog_deadline(&self, service: &Service) -> Option<Ms> {
        let watched = self.phase.is_up() && self.running && self.goal == Goal::Up;
        let within = service.watchdog_ms.filter(|_| watched)?;
        Some(self.alive_at.saturating_add(Ms::from(within)))
    }
}

/// How a process ended, as far as a restart is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Good,
    /// With a status that says that something went wrong.
    Status,
    /// By a signal, or since it took too long.
    Abnormal,
}

impl End {
    /// What to think of `exit`.
    pub fn of(service: &Service, exit: Exit) -> Self {
        let oneshot = service.kind == ServiceKind::Oneshot;
        match exit {
            Exit::Status(0) => Self::Good,
            Exit::Status(status) if listed(&service.success_statuses, status) => Self::Good,
            Exit::Status(_) => Self::Status,
            Exit::Signal(signal) if !oneshot && GOOD_SIGNALS.contains(&signal) => Self::Good,
            Exit::Signal(_) => Self::Abnormal,
        }
    }

    /// Whether a service that ended like this by itself is started again.
    pub fn restarts(self, service: &Service) -> bool {
        match service.restart {
            Restart::Never => false,
            Restart::OnFailure => self != Self::Good,
            Restart::OnAbnormal => self == Self::Abnormal,
            Restart::OnSuccess => self == Self::Good,
            Restart::Always => true,
        }
    }
}

/// Whether a description's list has this status.
pub fn listed(statuses: &[u8], status: i32) -> bool {
    statuses.iter().any(|listed| i32::from(*listed) == status)
}

/// Signals that people end services with: SIGHUP, SIGINT, SIGPIPE, SIGTERM.
const GOOD_SIGNALS: [i32; 4] = [1, 2, 13, 15];

/// How long a process that a forking service has left behind is looked for, in milliseconds.
const FIND_MS: Ms = 90_000;

/// Milliseconds before the restart that follows `streak` quick failures; never 0, and at least
/// 100 after five of them, so that no description makes the machine spin.
fn restart_delay(service: &Service, streak: u32) -> Ms {
    let first = Ms::from(service.restart_delay_ms).max(1);
    let doubled = first.saturating_mul(1_u64.checked_shl(streak.min(40)).unwrap_or(u64::MAX));
    let longest = Ms::from(service.restart_delay_max_ms).max(first);
    let shortest = if streak >= 5 { 100 } else { 1 };
    doubled.min(longest).max(shortest)
}
