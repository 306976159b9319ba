//! The states of all services, and what is known of them without looking at each: after an event only
//! those are looked at that it has to do with, however many services there are.
//!
//! Invariant: a state is changed through this type alone, which notes whose it is.

use std::collections::BTreeSet;
use std::ops::Deref;

use cairn_system::Service;

use super::super::graph::Id;
use super::marks::Marks;
use super::{Ms, Phase, Unit};

/// All states, by number; they are read as a slice.
#[derive(Debug, Default)]
pub struct Units {
    all: Vec<Unit>,
    /// What `summary` and `deadlines` hold of each.
    known: Vec<Known>,
    /// May have changed since it was last asked what follows from that.
    touched: Marks,
    /// May have changed since they were last summed up: those that are touched, and more.
    changed: Marks,
    /// May have changed since they were last noted for a successor.
    unrecorded: Marks,
    deadlines: BTreeSet<(Ms, Id)>,
    summary: Summary,
}

/// How many there are of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Those that somebody may wait for.
    pub unsettled: usize,
    /// Those with something to stop that a shutdown waits for.
    pub alive: usize,
}

/// What has been summed up of one of them.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    deadline: Option<Ms>,
    unsettled: bool,
    alive: bool,
}

impl Known {
    fn of(unit: &Unit, service: &Service) -> Self {
        Self {
            deadline: deadline(unit, service),
            unsettled: !unit.settled,
            alive: unit.is_to_end(),
        }
    }
}

impl Units {
    /// So many, all of them down.
    pub fn new(count: usize) -> Self {
        let mut unrecorded = Marks::default();
        unrecorded.extend(0..count);
        Self {
            all: vec![Unit::default(); count],
            known: vec![Known::default(); count],
            unrecorded,
            ..Self::default()
        }
    }

    /// One of them, to be changed.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut Unit> {
        let unit = self.all.get_mut(id)?;
        self.touched.insert(id);
        self.changed.insert(id);
        Some(unit)
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Unit> {
        self.touched.extend(0..self.all.len());
        self.changed.extend(0..self.all.len());
        self.all.iter_mut()
    }

    /// Adds one.
    pub fn push(&mut self, unit: Unit) {
        self.touched.insert(self.all.len());
        self.changed.insert(self.all.len());
        self.all.push(unit);
        self.known.push(Known::default());
    }

    /// One from whose changes nothing has followed yet.
    pub fn take_touched(&mut self) -> Option<Id> {
        self.touched.pop_first()
    }

    /// Adds those whose time has come at `now`, or may have with what has changed.
    pub fn add_due(&self, now: Ms, due: &mut Marks) {
        due.extend(self.deadlines.range(..=(now, Id::MAX)).map(|(_, id)| *id));
        due.extend(self.touched.iter());
    }

    /// The first from this number on that has changed since it was last summed up.
    pub fn next_changed(&self, from: Id) -> Option<Id> {
        self.changed.next(from)
    }

    /// Sums up what has changed. What is up now and was not before is so since `now`.
    pub fn sum_up(&mut self, services: &[Service], now: Ms) {
        while let Some(id) = self.changed.pop_first() {
            let (Some(unit), Some(known), Some(service)) = (
                self.all.get_mut(id),
                self.known.get_mut(id),
                services.get(id),
            ) else {
                continue;
            };
            if unit.phase.is_up() && unit.up_at.is_none() {
                unit.up_at = Some(now);
                unit.extended_to = None; // that was for the way there
            }
            let old = std::mem::replace(known, Known::of(unit, service));
            if old.deadline != known.deadline {
                if let Some(at) = old.deadline {
                    self.deadlines.remove(&(at, id));
                }
                self.deadlines.extend(known.deadline.map(|at| (at, id)));
            }
            let Summary { unsettled, alive } = &mut self.summary;
            *unsettled = *unsettled + usize::from(known.unsettled) - usize::from(old.unsettled);
            *alive = *alive + usize::from(known.alive) - usize::from(old.alive);
            self.unrecorded.insert(id);
        }
    }

    /// How many there were of each kind when they were last summed up.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// When the first one's time comes, as of the last [`Units::sum_up`].
    pub fn next_deadline(&self) -> Option<Ms> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// One whose state may be another one than that which is noted.
    pub fn take_unrecorded(&mut self) -> Option<Id> {
        self.unrecorded.pop_first()
    }

    /// What is noted of these is to be noted anew.
    pub fn record_again(&mut self, ids: impl IntoIterator<Item = Id>) {
        self.unrecorded.extend(ids);
    }
}

impl Deref for Units {
    type Target = [Unit];

    fn deref(&self) -> &[Unit] {
        &self.all
    }
}

/// When something becomes of a service if nothing happens before.
pub fn deadline(unit: &Unit, service: &Service) -> Option<Ms> {
    match unit.phase {
        Phase::Stopping(at)
        | Phase::Killed(at)
        | Phase::Backoff(at)
        | Phase::Leaving(_, at)
        | Phase::Cleaning(_, at) => Some(at),
        Phase::Finding(at) => unit.start_deadline(service).map(|end| end.min(at)),
        // A command that looks says itself when it is done.
        Phase::Proving(at) => {
            let again = (!unit.helper).then_some(at);
            again.into_iter().chain(unit.start_deadline(service)).min()
        }
        Phase::Refreshing(_, at) => up_deadline(unit, service).into_iter().chain([at]).min(),
        _ => unit
            .start_deadline(service)
            .or_else(|| up_deadline(unit, service)),
    }
}

/// When something becomes of one that is up.
fn up_deadline(unit: &Unit, service: &Service) -> Option<Ms> {
    let watchdog = unit.watchdog_deadline(service);
    watchdog
        .into_iter()
        .chain(unit.runtime_deadline(service))
        .min()
}
