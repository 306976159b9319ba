//! What a fresh supervisor is told of a service.

use cairn_sys::process::Exit;
use cairn_system::Standing;

use super::outcome::{Outcome, Owed};
use super::phase::{Due, Goal, Phase, StoppedBy, Verdict, standing};
use super::unit::{Ms, Unit};

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
    pub extended_to: Option<Ms>,
    pub disabled: bool,
    pub frozen: bool,
    pub outcome: Outcome,
    /// [`Owed::to`] is known by its slot alone: see [`Record`](super::record::Record).
    pub owed: Option<Owed>,
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
            extended_to: unit.extended_to,
            disabled: unit.disabled,
            frozen: unit.frozen,
            outcome: unit.outcome,
            owed: unit.owed,
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
            extended_to: restored.extended_to,
            disabled: restored.disabled,
            frozen: restored.frozen,
            outcome: restored.outcome,
            owed: restored.owed,
            outlives: false,
            winds_down: false,
            reload_again: false,
            alive_at: 0,
        }
    }
}
