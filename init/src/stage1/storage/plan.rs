//! What is opened next: a pure function of what is there, what is wished for, and what was done.
//!
//! Devices come in any order, and what is opened brings further ones: a volume group lies in an
//! encrypted device on an array, or the other way round. So nothing is opened in an order of its own,
//! but as soon as its devices are there. What a machine can do alone comes before a question to people.
//!
//! Invariants, held by tests: a device is given to a program once, unless it went and came back;
//! nobody is asked while something can be done without; a device that is open is never opened.

use std::collections::BTreeSet;
use std::time::Duration;

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// Members of arrays, by the kernel's names.
    pub array_members: Vec<String>,
    /// Physical volumes, by the kernel's names.
    pub physical_volumes: Vec<String>,
    /// The encrypted devices, in the order of the wishes.
    pub encrypted: Vec<Lock>,
}

/// An encrypted device, as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lock {
    /// It is open.
    pub is_open: bool,
    /// It is there, and its header.
    pub is_there: bool,
    /// How it may be opened without people.
    pub key: Key,
}

/// The key of an encrypted device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Key {
    /// There is none: people are asked.
    #[default]
    None,
    /// It is on a device that is not there.
    Absent {
        /// How long it is waited for.
        patience: Duration,
        /// People are asked after that; else the device stays locked.
        or_people: bool,
    },
    /// It can be read.
    There {
        /// People are asked if it does not fit.
        or_people: bool,
    },
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Give this member to its array.
    AddToArray(String),
    /// Make this physical volume known to its group.
    AddToGroup(String),
    /// Open this encrypted device with its key.
    UseKey(usize),
    /// Ask somebody for the passphrase of this one.
    Ask(usize),
    /// Leave this one locked: its key did not come.
    GiveUp(usize),
    /// Nothing can be done before a device comes, or before this time.
    Wait(Option<Duration>),
}

/// What was done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    given: BTreeSet<String>,
    /// When each encrypted device was first there, and what became of it.
    attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Attempt {
    since: Option<Duration>,
    key_failed: bool,
    settled: bool,
}

impl Progress {
    /// The next step at the time `now`, which only grows.
    pub fn next(&mut self, sight: &Sight, now: Duration) -> Step {
        self.forget_what_went(sight);
        let new = |names: &[String]| {
            names
                .iter()
                .find(|name| !self.given.contains(*name))
                .cloned()
        };
        if let Some(name) = new(&sight.array_members) {
            self.given.insert(name.clone());
            return Step::AddToArray(name);
        }
        if let Some(name) = new(&sight.physical_volumes) {
            self.given.insert(name.clone());
            return Step::AddToGroup(name);
        }
        self.next_lock(&sight.encrypted, now)
    }

    /// The key did not open the device, or could not be read.
    pub fn key_failed(&mut self, index: usize) {
        self.change(index, |attempt| attempt.key_failed = true);
    }

    /// The device was opened, or cannot be opened at all.
    pub fn settle(&mut self, index: usize) {
        self.change(index, |attempt| attempt.settled = true);
    }

    /// Whether nothing more is going to be done about this one, unless it goes and comes back.
    pub fn is_settled(&self, index: usize) -> bool {
        self.attempts
            .get(index)
            .is_some_and(|attempt| attempt.settled)
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempts.get_mut(index) {
            change(attempt);
        }
    }

    fn forget_what_went(&mut self, sight: &Sight) {
        let there = |name: &String| {
            sight.array_members.contains(name) || sight.physical_volumes.contains(name)
        };
        self.given.retain(there);
        self.attempts
            .resize(sight.encrypted.len(), Attempt::default());
        for (attempt, lock) in self.attempts.iter_mut().zip(&sight.encrypted) {
            if !lock.is_there {
                *attempt = Attempt::default();
            }
        }
    }

    fn next_lock(&mut self, locks: &[Lock], now: Duration) -> Step {
        let mut person = None;
        let mut wake: Option<Duration> = None;
        for (index, (lock, attempt)) in locks.iter().zip(&mut self.attempts).enumerate() {
            if lock.is_open || !lock.is_there || attempt.settled {
                continue;
            }
            let since = *attempt.since.get_or_insert(now);
            let or_people = match lock.key {
                Key::None => true,
                Key::There { .. } if !attempt.key_failed => return Step::UseKey(index),
                Key::Absent { patience, .. } if now < since.saturating_add(patience) => {
                    let end = since.saturating_add(patience);
                    wake = Some(wake.map_or(end, |wake| wake.min(end)));
                    continue;
                }
                Key::There { or_people } | Key::Absent { or_people, .. } => or_people,
            };
            if !or_people {
                attempt.settled = true;
                return Step::GiveUp(index);
            }
            person = person.or(Some(index));
        }
        person.map_or(Step::Wait(wake), Step::Ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn locks(all: &[Lock]) -> Sight {
        Sight {
            encrypted: all.to_vec(),
            ..Sight::default()
        }
    }

    const fn there(key: Key) -> Lock {
        Lock {
            is_open: false,
            is_there: true,
            key,
        }
    }

    #[test]
    fn a_key_is_used_before_anybody_is_asked() {
        let mut progress = Progress::default();
        let key = Key::There { or_people: true };
        let sight = locks(&[there(Key::None), there(key)]);
        assert_eq!(progress.next(&sight, seconds(0)), Step::UseKey(1));
        progress.key_failed(1);
        assert_eq!(progress.next(&sight, seconds(1)), Step::Ask(0));
        progress.settle(0);
        assert_eq!(progress.next(&sight, seconds(2)), Step::Ask(1));
    }

    #[test]
    fn a_key_is_waited_for() {
        let key = |or_people| Key::Absent {
            patience: seconds(10),
            or_people,
        };
        let mut progress = Progress::default();
        let sight = locks(&[there(key(true)), there(key(false))]);
        let wait = Step::Wait(Some(seconds(13)));
        assert_eq!(progress.next(&sight, seconds(3)), wait);
        assert_eq!(progress.next(&sight, seconds(12)), wait);
        assert_eq!(progress.next(&sight, seconds(13)), Step::GiveUp(1));
        assert_eq!(progress.next(&sight, seconds(13)), Step::Ask(0));
        assert!(progress.is_settled(1) && !progress.is_settled(0));
        // A device that is pulled out and put in again is another one.
        assert_eq!(
            progress.next(&locks(&[Lock::default(); 2]), seconds(14)),
            Step::Wait(None)
        );
        let wait = Step::Wait(Some(seconds(30)));
        assert_eq!(progress.next(&sight, seconds(20)), wait);
    }

    #[test]
    fn a_member_is_given_once_for_each_time_that_it_comes() {
        let mut progress = Progress::default();
        let sight = Sight {
            array_members: vec!["sda1".to_owned()],
            physical_volumes: vec!["md0".to_owned()],
            encrypted: vec![there(Key::None)],
        };
        let steps: Vec<Step> = (0..3).map(|_| progress.next(&sight, seconds(0))).collect();
        let add = Step::AddToArray("sda1".to_owned());
        let expected = [
            add.clone(),
            Step::AddToGroup("md0".to_owned()),
            Step::Ask(0),
        ];
        assert_eq!(steps, expected);
        progress.next(&Sight::default(), seconds(1));
        assert_eq!(progress.next(&sight, seconds(2)), add);
    }

    /// A machine: each part needs others to be there first, and brings a device when it is opened.
    #[derive(Debug, Clone)]
    struct Machine {
        /// Indices of the parts that must be open before this one is there.
        needs: Vec<Vec<usize>>,
        kinds: Vec<u8>,
        /// When each part's own disk comes.
        arrives: Vec<u64>,
    }

    fn machine() -> impl Strategy<Value = Machine> {
        (1..7_usize).prop_flat_map(|count| {
            let needs = (0..count)
                .map(|index| {
                    proptest::sample::subsequence((0..index).collect::<Vec<_>>(), 0..=index)
                })
                .collect::<Vec<_>>();
            let kinds = proptest::collection::vec(0..4_u8, count);
            let arrives = proptest::collection::vec(0..40_u64, count);
            (needs, kinds, arrives).prop_map(|(needs, kinds, arrives)| Machine {
                needs,
                kinds,
                arrives,
            })
        })
    }

    impl Machine {
        fn is_there(&self, part: usize, open: &BTreeSet<usize>, now: u64) -> bool {
            self.arrives[part] <= now && self.needs[part].iter().all(|need| open.contains(need))
        }

        fn of_kind(&self, kinds: &[u8]) -> Vec<usize> {
            (0..self.kinds.len())
                .filter(|part| kinds.contains(&self.kinds[*part]))
                .collect()
        }

        fn sight(&self, open: &BTreeSet<usize>, now: u64) -> Sight {
            let names = |kind| {
                let all = self.of_kind(&[kind]).into_iter();
                all.filter(|part| self.is_there(*part, open, now))
                    .map(|part| part.to_string())
                    .collect()
            };
            let lock = |part: usize| Lock {
                is_open: open.contains(&part),
                is_there: self.is_there(part, open, now),
                key: match self.kinds[part] {
                    2 => Key::None,
                    _ => Key::There { or_people: false },
                },
            };
            Sight {
                array_members: names(0),
                physical_volumes: names(1),
                encrypted: self.of_kind(&[2, 3]).into_iter().map(lock).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn everything_is_opened_in_whatever_order_it_comes(machine in machine()) {
            let locks = machine.of_kind(&[2, 3]);
            let mut open = BTreeSet::new();
            let mut progress = Progress::default();
            for now in 0..=40 {
                loop {
                    let sight = machine.sight(&open, now);
                    let step = progress.next(&sight, seconds(now));
                    let part = match &step {
                        Step::AddToArray(name) | Step::AddToGroup(name) => name.parse().unwrap(),
                        Step::UseKey(index) | Step::Ask(index) => locks[*index],
                        Step::Wait(_) => break,
                        Step::GiveUp(_) => panic!("nothing is missing"),
                    };
                    prop_assert!(machine.is_there(part, &open, now), "{step:?} is not there");
                    if let Step::Ask(_) = step {
                        let left = |part: &usize| machine.kinds[*part] != 2
                            && !open.contains(part)
                            && machine.is_there(*part, &open, now);
                        prop_assert!(!(0..machine.kinds.len()).any(|part| left(&part)), "a question too early");
                    }
                    prop_assert!(open.insert(part), "{step:?} was done before");
                }
            }
            prop_assert_eq!(open.len(), machine.kinds.len());
        }
    }
}
