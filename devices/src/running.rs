//! The events that are being handled, and what is said of those that take long.
//!
//! Invariant: devices that do not answer do not keep others waiting, unless there are [`THREADS`] of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::queue::Ticket;

/// A device that takes longer is named.
const LONG: Duration = Duration::from_secs(30);

/// A device that takes longer does not keep others from being handled at the same time.
const SLOW: Duration = Duration::from_secs(3);

/// So many events are handled at the same time at most, the slow ones among them.
const THREADS: usize = 256;

/// So many that are not slow, whatever the machine is.
const QUICK: (usize, usize) = (8, 64);

#[derive(Debug)]
pub(crate) struct Running {
    events: BTreeMap<Ticket, Event>,
    /// So many that are not slow are handled at the same time.
    quick: usize,
}

#[derive(Debug)]
struct Event {
    devpath: String,
    since: Instant,
    is_named: bool,
}

impl Running {
    /// None so far, and about `quick` at the same time.
    pub(crate) fn new(quick: usize) -> Self {
        Self {
            events: BTreeMap::new(),
            quick: quick.clamp(QUICK.0, QUICK.1),
        }
    }

    pub(crate) fn begin(&mut self, ticket: Ticket, devpath: String) {
        let event = Event {
            devpath,
            since: Instant::now(),
            is_named: false,
        };
        self.events.insert(ticket, event);
    }

    pub(crate) fn done(&mut self, ticket: Ticket) {
        let event = self.events.remove(&ticket);
        if let Some(event) = event.filter(|event| event.is_named) {
            let (devpath, seconds) = (event.devpath, event.since.elapsed().as_secs());
            log::warn!("{devpath} has answered after {seconds} s");
        }
    }

    /// Whether another one may be handled.
    pub(crate) fn has_room(&self) -> bool {
        let events = self.events.values();
        let quick = events.filter(|event| event.since.elapsed() < SLOW);
        self.events.len() < THREADS && quick.count() < self.quick
    }

    /// The devices that they are about.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.events.values().map(|event| event.devpath.as_str())
    }

    /// When there is something to say, or room if others wait for some.
    pub(crate) fn next(&self, others_wait: bool) -> Option<Instant> {
        let events = self.events.values();
        let unnamed = events.clone().filter(|event| !event.is_named);
        let long = unnamed.map(|event| event.since + LONG);
        let slow = events.map(|event| event.since + SLOW);
        let now = Instant::now();
        let slow = slow.filter(|slow| others_wait && *slow > now);
        long.chain(slow).min()
    }

    pub(crate) fn name_what_takes_long(&mut self) {
        for event in self.events.values_mut() {
            if !event.is_named && event.since.elapsed() >= LONG {
                event.is_named = true;
                let (devpath, seconds) = (&event.devpath, LONG.as_secs());
                log::warn!("{devpath} has not answered for {seconds} s");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hang_leave_room() {
        let mut running = Running::new(2);
        for ticket in 0..8 {
            assert!(running.has_room());
            running.begin(ticket, format!("/devices/{ticket}"));
        }
        assert!(!running.has_room());
        let soon = running.next(true).unwrap();
        assert!(soon < running.next(false).unwrap());
        for event in running.events.values_mut() {
            event.since -= SLOW;
        }
        assert!(running.has_room());
        for ticket in 8..THREADS as u64 {
            running.begin(ticket, String::new());
        }
        for event in running.events.values_mut() {
            event.since -= LONG;
        }
        assert!(!running.has_room());
        assert!(running.next(false).is_some());
        running.name_what_takes_long();
        assert_eq!(running.next(false), None);
        running.done(0);
        assert!(running.has_room());
        assert_eq!(running.names().next(), Some("/devices/1"));
    }
}
