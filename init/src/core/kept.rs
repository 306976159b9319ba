//! What survives the supervisor: a table of fixed size, filled and read by messages.
//!
//! Invariant: after [`Kept::new`] nothing is allocated; what does not fit is refused.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cairn_sys::process::Exit;

use super::message::{Message, Place};

/// Services that can be kept. Memory is touched only for slots that are used.
pub const SLOTS: usize = 8192;

/// Descriptors that can be kept for services, beside their logs and processes.
pub const DESCRIPTORS: usize = 16_384;

/// Everything that is kept.
#[derive(Debug)]
pub struct Kept {
    pub(super) state: Option<OwnedFd>,
    pub(super) notifications: Option<OwnedFd>,
    pub(super) control: Option<OwnedFd>,
    pub(super) slots: Vec<Slot>,
    pub(super) descriptors: Vec<Held>,
    /// The supervisor has been told of every end.
    all_told: bool,
}

/// A descriptor of a service's; a place without one is free.
#[derive(Debug, Default)]
pub struct Held {
    pub(super) slot: u32,
    pub(super) number: u32,
    pub(super) descriptor: Option<OwnedFd>,
}

/// What is kept of one service.
#[derive(Debug, Default)]
pub struct Slot {
    pub(super) log: Option<OwnedFd>,
    pub(super) process: Option<OwnedFd>,
    pub(super) pid: u32,
    pub(super) exit: Option<Exit>,
    pub(super) told: bool,
}

/// How far the answer to a hello has got: one position is the state, one of the sockets, one part of
/// one slot, or, behind all slots that there may be, one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) usize);

/// Positions before the first slot's.
const SINGLE: usize = 3;

/// The position of the first descriptor.
const BEHIND_SLOTS: usize = SINGLE + 2 * SLOTS;

impl Kept {
    /// An empty table: the only allocations.
    pub fn new() -> Self {
        Self {
            state: None,
            notifications: None,
            control: None,
            slots: Vec::with_capacity(SLOTS),
            descriptors: Vec::with_capacity(DESCRIPTORS),
            all_told: false,
        }
    }

    /// Keeps `descriptor`; whether there was room.
    pub fn keep(&mut self, place: Place, descriptor: OwnedFd) -> bool {
        match place {
            Place::State => self.state = Some(descriptor),
            Place::Notifications => self.notifications = Some(descriptor),
            Place::Control => self.control = Some(descriptor),
            Place::Log { slot } => match self.slot(slot) {
                Some(slot) => slot.log = Some(descriptor),
                None => return false,
            },
            Place::Process { slot, pid } => match self.slot(slot) {
                Some(slot) => {
                    slot.process = Some(descriptor);
                    slot.pid = pid;
                    slot.exit = None;
                    slot.told = false;
                }
                None => return false,
            },
            Place::Descriptor { slot, number } => {
                let own = self.position(slot, number);
                let free = || self.descriptors.iter().position(|h| h.descriptor.is_none());
                let held = Held {
                    slot,
                    number,
                    descriptor: Some(descriptor),
                };
                let at = own.or_else(free).unwrap_or(self.descriptors.len());
                if let Some(place) = self.descriptors.get_mut(at) {
                    *place = held;
                } else if at < DESCRIPTORS {
                    self.descriptors.push(held);
                } else {
                    return false;
                }
            }
        }
        true
    }

    /// Forgets what is kept there.
    pub fn drop(&mut self, place: Place) {
        match place {
            Place::State => self.state = None,
            Place::Notifications => self.notifications = None,
            Place::Control => self.control = None,
            Place::Log { slot } => {
                if let Some(slot) = self.slot(slot) {
                    slot.log = None;
                }
            }
            Place::Process { slot, pid } => {
                if let Some(slot) = self.slot(slot).filter(|slot| slot.pid == pid) {
                    slot.process = None;
                    slot.pid = 0;
                    slot.exit = None;
                }
            }
            Place::Descriptor { slot, number } => {
                let at = self.position(slot, number);
                if let Some(held) = at.and_then(|at| self.descriptors.get_mut(at)) {
                    *held = Held::default();
                }
            }
        }
    }

    fn position(&self, slot: u32, number: u32) -> Option<usize> {
        self.descriptors.iter().position(|held| {
            held.slot == slot && held.number == number && held.descriptor.is_some()
        })
    }

    /// Notes the end of a process that was reaped, if it is a kept one.
    pub fn exited(&mut self, pid: u32, exit: Exit) {
        let slot = self.slots.iter_mut().find(|slot| slot.pid == pid);
        if let Some(slot) = slot {
            slot.exit = Some(exit);
            slot.told = false;
            self.all_told = false;
        }
    }

    /// Whether there may be an end of a process that the supervisor has not been told of.
    pub fn has_untold(&self) -> bool {
        !self.all_told
    }

    /// The next one.
    pub fn untold(&mut self) -> Option<Message> {
        if self.all_told {
            return None;
        }
        let untold = self.slots.iter().zip(0..).find_map(|(slot, number)| {
            let exit = slot.exit.filter(|_| !slot.told)?;
            Some(Message::Exited {
                slot: number,
                pid: slot.pid,
                exit,
            })
        });
        self.all_told = untold.is_none();
        untold
    }

    /// The supervisor has been told what [`Kept::untold`] returned.
    pub fn told(&mut self, message: Message) {
        if let Message::Exited { slot, .. } = message
            && let Some(slot) = self.slot(slot)
        {
            slot.told = true;
        }
    }

    /// A new supervisor knows nothing: where the answer to its hello begins.
    pub fn start(&mut self) -> Cursor {
        for slot in &mut self.slots {
            slot.told = false;
        }
        self.all_told = false;
        Cursor(0)
    }

    /// The message at or after `cursor`, with its descriptor, and the cursor behind it.
    pub fn next(&self, mut cursor: Cursor) -> Option<(Message, BorrowedFd<'_>, Cursor)> {
        loop {
            let behind = Cursor(cursor.0 + 1);
            if let Some(at) = cursor.0.checked_sub(BEHIND_SLOTS) {
                let held = self.descriptors.get(at)?;
                let place = Place::Descriptor {
                    slot: held.slot,
                    number: held.number,
                };
                if let Some(descriptor) = &held.descriptor {
                    return Some((Message::Keep(place), descriptor.as_fd(), behind));
                }
                cursor = behind;
                continue;
            }
            let (place, descriptor) = match (cursor.0, cursor.0.checked_sub(SINGLE)) {
                (0, _) => (Place::State, self.state.as_ref()),
                (1, _) => (Place::Control, self.control.as_ref()),
                (_, None) => (Place::Notifications, self.notifications.as_ref()),
                (_, Some(part)) => {
                    let number = part / 2;
                    let Some(slot) = self.slots.get(number) else {
                        cursor = Cursor(BEHIND_SLOTS);
                        continue;
                    };
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    if part % 2 == 0 {
                        (Place::Log { slot: number }, slot.log.as_ref())
                    } else {
                        let place = Place::Process {
                            slot: number,
                            pid: slot.pid,
                        };
                        (place, slot.process.as_ref())
                    }
                }
            };
            if let Some(descriptor) = descriptor {
                return Some((Message::Keep(place), descriptor.as_fd(), behind));
            }
            cursor = behind;
        }
    }

    pub(super) fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        let number = usize::try_from(number).ok().filter(|n| *n < SLOTS)?;
        while self.slots.len() <= number {
            self.slots.push(Slot::default());
        }
        self.slots.get_mut(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    fn all(kept: &mut Kept) -> Vec<Message> {
        let mut cursor = kept.start();
        let mut messages = Vec::new();
        while let Some((message, _, next)) = kept.next(cursor) {
            messages.push(message);
            cursor = next;
        }
        messages
    }

    #[test]
    fn what_is_kept_is_handed_back() {
        let mut kept = Kept::new();
        let process = Place::Process { slot: 3, pid: 42 };
        assert!(kept.keep(Place::Log { slot: 3 }, descriptor()));
        assert!(kept.keep(process, descriptor()));
        assert!(kept.keep(Place::State, descriptor()));
        assert!(kept.keep(Place::Notifications, descriptor()));
        kept.drop(Place::Notifications);
        let three = [
            Message::Keep(Place::State),
            Message::Keep(Place::Log { slot: 3 }),
            Message::Keep(process),
        ];
        assert_eq!(all(&mut kept), three);
        kept.drop(Place::Process { slot: 3, pid: 41 });
        assert_eq!(all(&mut kept), three, "another process's end drops nothing");
        kept.drop(process);
        assert_eq!(all(&mut kept), three[..2]);
    }

    #[test]
    fn descriptors_of_services_have_numbers() {
        let mut kept = Kept::new();
        let place = |slot, number| Place::Descriptor { slot, number };
        for (slot, number) in [(3, 0), (3, 70_000), (4, 0), (3, 0)] {
            assert!(kept.keep(place(slot, number), descriptor()));
        }
        kept.keep(Place::Log { slot: 1 }, descriptor());
        kept.drop(place(3, 1));
        kept.drop(place(3, 70_000));
        kept.keep(place(5, 1), descriptor());
        let places = [
            Place::Log { slot: 1 },
            place(3, 0),
            place(5, 1),
            place(4, 0),
        ];
        assert_eq!(all(&mut kept), places.map(Message::Keep));
        let capacity = kept.descriptors.capacity();
        // A table that is full of what is not there: real ones are more than a test may open.
        kept.descriptors.resize_with(DESCRIPTORS, Held::default);
        assert!(kept.keep(place(9, 9), descriptor()));
        assert_eq!(kept.descriptors.capacity(), capacity);
    }

    #[test]
    fn an_end_is_told_once_to_each_supervisor() {
        let mut kept = Kept::new();
        kept.keep(Place::Process { slot: 1, pid: 42 }, descriptor());
        kept.exited(41, Exit::Status(0));
        assert_eq!(kept.untold(), None);
        kept.exited(42, Exit::Signal(9));
        let told = Message::Exited {
            slot: 1,
            pid: 42,
            exit: Exit::Signal(9),
        };
        assert_eq!(kept.untold(), Some(told));
        kept.told(told);
        assert_eq!(kept.untold(), None);
        kept.start();
        assert_eq!(kept.untold(), Some(told));
        kept.drop(Place::Process { slot: 1, pid: 42 });
        assert_eq!(kept.untold(), None);
    }

    #[test]
    fn the_table_does_not_grow_past_its_size() {
        let mut kept = Kept::new();
        let capacity = kept.slots.capacity();
        let last = u32::try_from(SLOTS).unwrap() - 1;
        assert!(kept.keep(Place::Log { slot: last }, descriptor()));
        assert!(!kept.keep(Place::Log { slot: last + 1 }, descriptor()));
        assert!(!kept.keep(Place::Log { slot: u32::MAX }, descriptor()));
        assert_eq!(kept.slots.capacity(), capacity);
    }
}
