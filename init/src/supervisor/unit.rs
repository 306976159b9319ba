//! One service's state, and how it changes when something happens to this service alone.

use cairn_sys::process::Exit;
use cairn_system::control::ServiceState;
use cairn_system::{Service, ServiceKind, Standing, StartLimit};

use super::outcome::{Outcome, Owed};
use super::phase::{Due, Goal, Phase, StoppedBy, Verdict, standing};

/// Milliseconds of `CLOCK_MONOTONIC`.
pub type Ms = u64;

/// A start that lasted this long makes the delay of restarts begin anew, in milliseconds.
const STABLE_MS: Ms = 10_000;

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
    /// That was its first process, and it ends with the others; a fresh supervisor takes the next for the first.
    pub winds_down: bool,
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
    /// It goes on although all others are stopped; a fresh supervisor knows nothing of that.
    pub outlives: bool,
    /// When it has last said that it lives; a fresh supervisor counts from its own start.
    pub alive_at: Ms,
    /// By when it must be up, or until when it may be, if it has asked for more time.
    pub extended_to: Option<Ms>,
    /// Its processes stand still.
    pub frozen: bool,
    /// When it has read its configuration it is to do so again; a fresh supervisor knows nothing of that.
    pub reload_again: bool,
    /// What has come of its last run.
    pub outcome: Outcome,
    /// To the end of which service its last start is owed, if to one.
    pub owed: Option<Owed>,
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
            winds_down: false,
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
            outlives: false,
            alive_at: 0,
            extended_to: None,
            frozen: false,
            reload_again: false,
            outcome: Outcome::Success,
            owed: None,
        }
    }
}

impl Unit {
    /// The state that people are shown.
    pub fn state(&self) -> ServiceState {
        match self.phase {
            Phase::Stopped | Phase::Done => ServiceState::Stopped,
            Phase::Waiting => ServiceState::Waiting,
            Phase::Preparing(_)
            | Phase::Starting
            | Phase::Finding(_)
            | Phase::Proving(_)
            | Phase::Finishing(_) => ServiceState::Starting,
            Phase::Up | Phase::Reloading(_) | Phase::Refreshing(..) => ServiceState::Up,
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

    /// Whether a shutdown has to wait for it.
    pub fn is_to_end(&self) -> bool {
        self.is_alive() && !(self.outlives && self.goal == Goal::Up)
    }

    /// Whether it is wanted and not up, although nothing is under way.
    pub fn is_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed(_) | Phase::Backoff(_))
            || (self.phase == Phase::Waiting && self.settled)
    }

    /// Its processes are to go on; whether they stood still.
    pub fn melt(&mut self) -> bool {
        std::mem::take(&mut self.frozen)
    }

    /// Its command is not waited for any more: what comes of it is not heard. Whether there was one.
    pub fn forsake_helper(&mut self) -> bool {
        std::mem::take(&mut self.helper)
    }

    /// Somebody wants it up.
    pub fn want(&mut self) {
        self.stopped_by = None;
        match self.phase {
            // Its old process hangs in the kernel: there cannot be another one.
            Phase::Failed(_) if self.running => {}
            Phase::Stopped | Phase::Done | Phase::Failed(_) => {
                self.goal = Goal::Up;
                self.phase = Phase::Waiting;
                self.settled = false;
                self.restarts = 0;
                self.streak = 0;
                self.window_starts = 0;
                self.note = None;
                self.owed = None;
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

    /// It is to end for this reason, of which a restart depends on the description.
    pub fn blame(&mut self, outcome: Outcome, reason: String, service: &Service) {
        self.outcome = outcome.after(self.outcome);
        let restart = outcome.restarts(service);
        self.verdict = Some(Verdict::Bad { reason, restart });
    }

    /// How the process of its last run has ended, if that was the end of it.
    pub fn exit_of_run(&self) -> Option<Exit> {
        let has_ended = !matches!(
            self.outcome,
            Outcome::Resources | Outcome::StartLimitHit | Outcome::Dependency
        );
        self.last_exit.filter(|_| has_ended)
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
    /// again, after a delay that depends on `chance` too.
    pub fn back_off(&mut self, service: &Service, now: Ms, chance: u64) {
        let lasted = self.started_at.map_or(0, |at| now.saturating_sub(at));
        if lasted >= STABLE_MS {
            self.streak = 0;
        }
        let random = chance % (Ms::from(service.restart_random_delay_ms) + 1);
        let delay = restart_delay(service, self.streak).saturating_add(random);
        self.phase = Phase::Backoff(now.saturating_add(delay));
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

    /// Until when it may be up; none if that has no bound, or it is about to end in any case.
    pub fn runtime_deadline(&self, service: &Service) -> Option<Ms> {
        let bounded = self.phase.is_up() && self.running && self.goal == Goal::Up;
        let longest = service.runtime_max_ms.filter(|_| bounded)?;
        let up_at = self.up_at?;
        // By when it was up, which a successor knows, too.
        let chance = up_at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let extra = chance % (Ms::from(service.runtime_random_extra_ms) + 1);
        let deadline = up_at
            .saturating_add(Ms::from(longest))
            .saturating_add(extra);
        Some(deadline.max(self.extended_to.unwrap_or(0)))
    }

    /// When it must have said that it lives; none if it need not.
    pub fn watchdog_deadline(&self, service: &Service) -> Option<Ms> {
        let watched = self.phase.is_up() && self.running && self.goal == Goal::Up && !self.frozen;
        let within = service.watchdog_ms.filter(|_| watched)?;
        Some(self.alive_at.saturating_add(Ms::from(within)))
    }
}

/// How long a process that a forking service has left behind is looked for, in milliseconds.
const FIND_MS: Ms = 90_000;

/// Milliseconds before the restart that follows `streak` quick failures; at least 100 after five of
/// them, so that no description makes the machine spin.
fn restart_delay(service: &Service, streak: u32) -> Ms {
    let first = Ms::from(service.restart_delay_ms);
    if service.restart_steps > 0 {
        return stepped(service, streak);
    }
    let doubled = first.saturating_mul(1_u64.checked_shl(streak.min(40)).unwrap_or(u64::MAX));
    let longest = Ms::from(service.restart_delay_max_ms).max(first);
    let shortest = if streak >= 5 { 100 } else { 0 };
    doubled.min(longest).max(shortest)
}

/// The same for a delay that grows to the longest in as many steps as its description says.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both ends are delays, and what is between them is one, too"
)]
fn stepped(service: &Service, streak: u32) -> Ms {
    let first = f64::from(service.restart_delay_ms.max(1));
    let longest = f64::from(
        service
            .restart_delay_max_ms
            .max(service.restart_delay_ms)
            .max(1),
    );
    let steps = i32::from(service.restart_steps.max(1));
    let taken = i32::try_from(streak).map_or(steps, |streak| streak.min(steps));
    let delay = first * root(longest / first, steps).powi(taken);
    let delay = delay.round() as Ms;
    if streak >= 5 { delay.max(100) } else { delay }
}

/// The number from 1 on whose power is `power`. Logarithms would take more of the program than all delays.
fn root(power: f64, exponent: i32) -> f64 {
    let (mut below, mut above) = (1.0, power);
    for _ in 0..64 {
        let middle = f64::midpoint(below, above);
        if middle.powi(exponent) <= power {
            below = middle;
        } else {
            above = middle;
        }
    }
    below
}
