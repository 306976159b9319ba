//! The supervisor's heart: a state machine without I/O, `step(event, now) -> actions`.
//!
//! Invariants, which the property tests hold it to:
//! - A service's process is started only while everything that it requires is up, and while
//!   nothing that it comes after is still on its way up.
//! - At most one main process a service.
//! - A service on a circle of dependencies is never started, and says why; others are unaffected.
//! - While shutting down nothing is started, and the end is always reached, whatever becomes of what outlives it.

use std::collections::BTreeSet;

use cairn_sys::process::Exit;
use cairn_system::{MachineAction, Service};

mod activation;
mod devices;
mod endings;
mod faults;
mod following;
mod marks;
mod outliving;
mod progress;
mod standstill;
mod units;
mod unneeded;
mod upholding;
mod wishes;

use super::graph::{self, Id, Node};
pub use super::job::Job;
pub use super::outcome::{Outcome, Owed};
pub use super::phase::{Due, Goal, Phase, StoppedBy, Verdict};
pub use super::restored::Restored;
pub use super::unit::{Ms, Unit};
use marks::Marks;
use units::Units;

/// How long after SIGKILL a process is waited for, in milliseconds: it hangs in the kernel then.
const KILLED_MS: Ms = 5_000;

/// How often a process that a forking service has left behind is looked for, in milliseconds.
const FIND_AGAIN_MS: Ms = 20;

/// How often it is looked whether a process is ready, in milliseconds.
const PROVE_AGAIN_MS: Ms = 50;

/// How long a process may take to read its configuration again if its description has no bound for its start,
/// in milliseconds.
const REFRESH_MS: Ms = 90_000;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Start everything that is wanted at boot.
    Boot,
    /// Somebody wants it up.
    Start(Id),
    /// This device is there.
    Present(Id),
    /// This device is not there any more.
    Absent(Id),
    /// Something has come in at this socket, or a path is as it waits for.
    Triggered(Id),
    /// A connection has come in at the first, from there, and the second is its instance.
    Connected(Id, Id, String),
    /// Somebody wants it down.
    Stop(Id),
    /// Somebody wants it down, and nothing to start it.
    Disable(Id),
    /// Somebody wants it up, and whatever wants to to be able to start it.
    Enable(Id),
    /// Somebody wants it down and up again.
    Restart(Id),
    /// Somebody wants it to read its configuration again.
    Reload(Id),
    /// Its program has been executed.
    Executed(Id),
    /// Its program could not be executed, for this reason; no process is left.
    NotExecuted(Id, String),
    /// There is no reason to start it, says this: a condition does not hold.
    Skipped(Id, String),
    /// It must not be started, says this: an asserted condition does not hold.
    Forbidden(Id, String),
    /// Its process says that it is ready.
    Ready(Id),
    /// Its process says that it lives.
    Alive(Id),
    /// Its process says that something is wrong with it.
    Sick(Id),
    /// Its process says that it has begun to read its configuration again.
    Refreshing(Id),
    /// Its process says that it is about to end.
    Leaving(Id),
    /// Somebody wants its processes to stand still.
    Freeze(Id),
    /// Somebody wants them to go on, or they could not be made to stand still.
    Thaw(Id),
    /// Its process asks for so much more time to come up or to end, in milliseconds.
    Extended(Id, Ms),
    /// The process that it has left behind is found.
    Found(Id),
    /// It has left no process behind.
    NothingFound(Id),
    /// Its main process, or a command in its place, has ended.
    Exited(Id, Exit),
    /// Memory has run out and a process of it was killed. If that was its main one, its end is the next news.
    ShortOfMemory(Id),
    /// Its main process has ended, and another one of its processes is taken for it.
    Succeeded(Id, Exit),
    /// Its command beside the main process has ended; none says that it could not be executed.
    HelperExited(Id, Option<Exit>),
    /// A switch to another generation is near: until it is made or given up, these are to be down.
    Hold(Vec<Id>),
    /// The switch is made: what is due is to be done.
    Switched,
    /// The switch is given up: what it holds is started again.
    Resume,
    /// Time has passed.
    Tick,
    /// Everything is to stop, for good.
    Shutdown,
    /// The same, but these go on: user space is to start again around them.
    StopOthers(Vec<Id>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Execute this for it.
    Spawn(Id, Job),
    /// Send the stop signal (and SIGCONT) to its processes.
    Terminate(Id),
    /// Send this signal to its main process.
    Signal(Id, i32),
    /// Look for the process that it has left behind.
    Find(Id),
    /// Look whether it is ready.
    Probe(Id),
    /// Let its processes stand still.
    Freeze(Id),
    /// Let them go on.
    Thaw(Id),
    /// Kill all that is left of it.
    Kill(Id),
    /// Kill its command beside the main process.
    KillHelper(Id),
    /// It is down: what it has only while it runs is removed.
    Release(Id),
    /// It is down and not about to be started again: what it has left with us is closed.
    Forget(Id),
    /// It did not stop in time and is killed: tell the console.
    Late(Id),
    /// Its end is to do this to the machine.
    Machine(Id, MachineAction),
    /// Everything wanted at boot is up or has failed; the number of failures.
    BootDone(usize),
    /// Everything has stopped that is to.
    ShutdownDone,
}

/// All services and what is to become of them.
#[derive(Debug)]
pub struct Services {
    descriptions: Vec<Service>,
    nodes: Vec<Node>,
    units: Units,
    boot: Boot,
    shutdown: Shutdown,
    /// Whose turn comes, and whose time has come, in this step.
    pending: Marks,
    /// Those that have failed in this step.
    fallen: Vec<Id>,
    /// Those whose work is done since this step.
    finished: Vec<Id>,
    /// Those that have ended in this step and are started again, which others are told of.
    returning: Vec<(Id, Owed)>,
    /// When those are followed that were put off.
    follow_at: Option<Ms>,
    /// What delays by chance are taken from.
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    Before,
    Going,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    No,
    Going,
    Done,
}

impl Services {
    /// All of them down.
    pub fn new(services: Vec<Service>) -> Self {
        let nodes = graph::nodes(&services);
        let units = Units::new(services.len());
        Self {
            descriptions: services,
            nodes,
            units,
            boot: Boot::Before,
            shutdown: Shutdown::No,
            pending: Marks::default(),
            fallen: Vec::new(),
            finished: Vec::new(),
            returning: Vec::new(),
            follow_at: None,
            seed: 0,
        }
    }

    /// Has delays by chance differ from those of other machines and supervisors.
    pub fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The next number by chance (`SplitMix64`).
    fn chance(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ self.seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The descriptions, by number.
    pub fn descriptions(&self) -> &[Service] {
        &self.descriptions
    }

    /// The states, by number.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Whether another one reads what it writes.
    pub fn has_reader(&self, id: Id) -> bool {
        self.nodes.get(id).is_some_and(|node| node.has_reader)
    }

    /// Puts back what an earlier supervisor knew.
    pub fn restore(&mut self, id: Id, restored: Restored) {
        if let Some(unit) = self.units.get_mut(id) {
            *unit = restored.into();
        }
    }

    /// After the last [`Services::restore`]: what starts are owed to, which is known by slot until now.
    pub fn know_owed(&mut self, id_of: impl Fn(usize) -> Option<Id>) {
        for unit in self.units.iter_mut() {
            unit.owed = unit.owed.and_then(|owed| {
                let to = id_of(owed.to)?;
                Some(Owed { to, ..owed })
            });
        }
    }

    /// After that: the boot goes on, unless it was over. What has gone
    /// down unseen counts as down since now.
    pub fn resume(&mut self, booted: bool, now: Ms) {
        for unit in self.units.iter_mut() {
            unit.alive_at = now;
            if !unit.is_alive() {
                unit.ended_at = unit.ended_at.or(unit.started_at.map(|_| now));
            }
        }
        self.units.sum_up(&self.descriptions, now);
        self.boot = if booted { Boot::Done } else { Boot::Going };
    }

    /// Whether everything wanted at boot has been up or has failed.
    pub fn has_booted(&self) -> bool {
        self.boot == Boot::Done
    }

    /// Whether nothing can be started any more.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// Whether a request about it can be answered.
    pub fn is_settled(&self, id: Id) -> bool {
        self.units.get(id).is_none_or(|unit| {
            unit.settled
                && unit.goal != Goal::Again
                && !unit.phase.is_ending()
                && !matches!(unit.phase, Phase::Reloading(_) | Phase::Refreshing(..))
                && !(unit.goal == Goal::Down && unit.is_alive())
        })
    }

    /// Whether nothing is on its way any more: the boot, or a switch, is done.
    pub fn has_settled(&self) -> bool {
        self.boot != Boot::Before && (0..self.units.len()).all(|id| self.is_settled(id))
    }

    /// The services that keep a shutdown waiting.
    pub fn still_stopping(&self) -> impl Iterator<Item = Id> {
        self.units
            .iter()
            .enumerate()
            .filter(|(_, unit)| unit.is_to_end())
            .map(|(id, _)| id)
    }

    /// When [`Event::Tick`] is due, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Ms> {
        let of_units = self.units.next_deadline();
        of_units.into_iter().chain(self.follow_at).min()
    }

    /// One whose state may be another one than when it was last taken.
    pub fn take_unrecorded(&mut self) -> Option<Id> {
        self.units.take_unrecorded()
    }

    /// These are to be among the next ones of that kind, too.
    pub fn record_again(&mut self, ids: impl IntoIterator<Item = Id>) {
        self.units.record_again(ids);
    }

    /// Has `act` look at each service that has changed in this step, behind those that are `related` to it; whether it
    /// has done anything.
    fn each_changed(
        &mut self,
        related: impl Fn(&Node) -> cairn_system::Few<Id>,
        mut act: impl FnMut(&mut Self, Id) -> bool,
    ) -> bool {
        let mut any = false;
        let mut next = self.units.next_changed(0);
        while let Some(changed) = next {
            next = self.units.next_changed(changed + 1);
            let related = self.nodes.get(changed).map(&related);
            for id in related.into_iter().flatten().chain([changed]) {
                any |= act(self, id);
            }
        }
        any
    }

    /// What follows from `event`.
    pub fn step(&mut self, event: Event, now: Ms) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Boot => {
                self.boot = Boot::Going;
                for id in 0..self.descriptions.len() {
                    if self.descriptions.get(id).is_some_and(|s| s.wanted_at_boot) {
                        self.want(id);
                    }
                }
            }
            Event::Start(id) => self.want(id),
            Event::Present(id) => self.present(id, now),
            Event::Absent(id) => self.absent(id, now, &mut actions),
            Event::Triggered(id) => self.triggered(id, now, &mut actions),
            Event::Connected(socket, instance, peer) => {
                self.connected((socket, instance), peer, now, &mut actions);
            }
            Event::Stop(id) => self.stop_by_hand(id),
            Event::Disable(id) => self.disable(id),
            Event::Enable(id) => self.enable(id),
            Event::Restart(id) => {
                self.unwant(id, Goal::Again);
                self.want(id);
            }
            Event::Reload(id) => self.reload(id, now, &mut actions),
            Event::Executed(id) => self.executed(id, now),
            Event::Refreshing(id) => self.refreshing(id, now),
            Event::Leaving(id) => self.leaving(id, now, &mut actions),
            Event::Freeze(id) => self.freeze(id, &mut actions),
            Event::Thaw(id) => self.thaw(id, now, &mut actions),
            Event::Alive(id) => self.lives(id, now),
            Event::Sick(id) => {
                let reason = "it has said itself that something is wrong with it".to_owned();
                self.bark(id, reason, now, &mut actions);
            }
            Event::Extended(id, more) => self.extended(id, now.saturating_add(more)),
            Event::Ready(id) => self.ready(id, now),
            Event::NotExecuted(id, reason) => self.not_executed(id, reason, now, &mut actions),
            Event::Skipped(id, why) => self.skipped(id, why),
            Event::Forbidden(id, why) => self.forbidden(id, why),
            Event::Found(id) => self.found(id, now),
            Event::NothingFound(id) => self.nothing_found(id, now, &mut actions),
            Event::HelperExited(id, exit) => self.helper_exited(id, exit, now, &mut actions),
            Event::Exited(id, exit) => self.exited(id, exit, now, &mut actions),
            Event::ShortOfMemory(id) => self.short_of_memory(id, now, &mut actions),
            Event::Succeeded(id, exit) => self.succeeded(id, exit, now, &mut actions),
            Event::Hold(ids) => self.hold(&ids),
            Event::Switched => self.switched(now, &mut actions),
            Event::Resume => {
                for unit in self.units.iter_mut() {
                    if unit.stopped_by == Some(StoppedBy::Switch) {
                        unit.due = Some(Due::Start);
                    }
                }
                self.switched(now, &mut actions);
            }
            Event::Tick => {}
            Event::Shutdown => self.stop_others(&[]),
            Event::StopOthers(outliving) => self.stop_others(&outliving),
        }
        self.expire(now, &mut actions);
        let (mut raised, mut followed) = (BTreeSet::new(), BTreeSet::new());
        loop {
            self.advance(now, &mut actions);
            if !self.follow_ends(&mut followed, now)
                && !self.uphold(&mut raised, now)
                && !self.dismiss()
            {
                break;
            }
        }
        self.vacate();
        self.units.sum_up(&self.descriptions, now);
        self.milestones(&mut actions);
        actions
    }

    fn pair(&mut self, id: Id) -> Option<(&Service, &mut Unit)> {
        self.descriptions.get(id).zip(self.units.get_mut(id))
    }
}

#[cfg(test)]
mod tests;
