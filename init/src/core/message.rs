//! What core and supervisor say to each other: datagrams of 16 bytes, some with a descriptor.
//!
//! ```text
//! 0      1         2          3     4..8   8..12    12..16
//! kind   part or   exit kind  zero  slot   pid or   exit value
//!        ending                            number
//! ```
//! Numbers are in the machine's order; both ends are the same program, or two generations of it,
//! which is why a kind, once given, keeps its number. Each end passes over a kind that it does not
//! know. [`Message::Hello`] and [`Message::KeptAll`] carry the [`VERSION`] of their senders (0 in
//! place of 1, in the oldest), so that an end can tell what the other one passes over.

use cairn_sys::process::Exit;
use cairn_sys::reboot::Ending;

/// Bytes of a message.
pub const BYTES: usize = 16;

/// What an end understands: 2 has [`Message::Renew`] and [`Place::Control`] beyond 1, 3 has
/// [`Place::Descriptor`], 4 has [`Ending::Kexec`] and [`Ending::UserSpace`], and 5 lets what `outliving` names go
/// on in the latter.
pub const VERSION: u32 = 5;

/// The oldest version that lets something go on while user space starts again.
pub const SPARES: u32 = 5;

/// The oldest version that keeps descriptors of services.
pub const DESCRIPTORS: u32 = 3;

/// The oldest version that ends in those two ways.
pub const RESTARTS: u32 = 4;

/// The oldest version that can be replaced by [`Message::Renew`].
pub const RENEWABLE: u32 = 2;

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Supervisor: I am here; send what you keep.
    Hello {
        /// Its [`VERSION`].
        version: u32,
    },
    /// Either way: this descriptor is kept under that place.
    Keep(Place),
    /// Supervisor: forget what is kept under that place.
    Drop(Place),
    /// Core: that was all; sent after each [`Message::Hello`].
    KeptAll {
        /// Its [`VERSION`].
        version: u32,
    },
    /// Core: a kept process, which had lost its parent, has ended.
    Exited {
        /// Its slot.
        slot: u32,
        /// Its id.
        pid: u32,
        /// How it ended.
        exit: Exit,
    },
    /// Core: somebody wants this ending (a signal). Supervisor: it has begun, I am alive.
    Ending(Ending),
    /// Supervisor: all services have stopped; do the rest.
    Finish(Ending),
    /// Supervisor: execute the program of the generation that runs, which is mine and not yours.
    Renew {
        /// The newest handover that the program can read, see `handover`.
        handover: u32,
    },
}

/// Where a descriptor is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The supervisor's memory.
    State,
    /// The end of the log pipe that is read.
    Log {
        /// The service's slot.
        slot: u32,
    },
    /// The pidfd of the main process.
    Process {
        /// The service's slot.
        slot: u32,
        /// Its id.
        pid: u32,
    },
    /// The socket on which services say that they are ready.
    Notifications,
    /// The socket on which the supervisor is asked.
    Control,
    /// What a service is given: a socket, a connection, or what it has left with the supervisor.
    Descriptor {
        /// The service's slot.
        slot: u32,
        /// Which one.
        number: u32,
    },
}

impl Message {
    /// The bytes of this message.
    pub fn encode(self) -> [u8; BYTES] {
        let (kind, part, slot, pid, exit) = match self {
            Self::Hello { version } => (1, 0, version, 0, None),
            Self::Keep(place) => {
                let (part, slot, pid) = place.encode();
                (2, part, slot, pid, None)
            }
            Self::Drop(place) => {
                let (part, slot, pid) = place.encode();
                (3, part, slot, pid, None)
            }
            Self::KeptAll { version } => (4, 0, version, 0, None),
            Self::Exited { slot, pid, exit } => (5, 0, slot, pid, Some(exit)),
            Self::Ending(ending) => (6, encode_ending(ending), 0, 0, None),
            Self::Finish(ending) => (7, encode_ending(ending), 0, 0, None),
            Self::Renew { handover } => (8, 0, handover, 0, None),
        };
        let (exit_kind, value) = match exit {
            None => (0, 0),
            Some(Exit::Status(status)) => (1, status),
            Some(Exit::Signal(signal)) => (2, signal),
        };
        let [s0, s1, s2, s3] = slot.to_ne_bytes();
        let [p0, p1, p2, p3] = pid.to_ne_bytes();
        let [v0, v1, v2, v3] = value.to_ne_bytes();
        [
            kind, part, exit_kind, 0, s0, s1, s2, s3, p0, p1, p2, p3, v0, v1, v2, v3,
        ]
    }

    /// Reads a message; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let [
            kind,
            part,
            exit_kind,
            _,
            s0,
            s1,
            s2,
            s3,
            p0,
            p1,
            p2,
            p3,
            v0,
            v1,
            v2,
            v3,
        ] = *<&[u8; BYTES]>::try_from(bytes).ok()?;
        let slot = u32::from_ne_bytes([s0, s1, s2, s3]);
        let pid = u32::from_ne_bytes([p0, p1, p2, p3]);
        let value = i32::from_ne_bytes([v0, v1, v2, v3]);
        Some(match kind {
            1 => Self::Hello { version: slot },
            2 => Self::Keep(Place::decode(part, slot, pid)?),
            3 => Self::Drop(Place::decode(part, slot, pid)?),
            4 => Self::KeptAll { version: slot },
            5 => Self::Exited {
                slot,
                pid,
                exit: match exit_kind {
                    1 => Exit::Status(value),
                    2 => Exit::Signal(value),
                    _ => return None,
                },
            },
            6 => Self::Ending(decode_ending(part)?),
            7 => Self::Finish(decode_ending(part)?),
            8 => Self::Renew { handover: slot },
            _ => return None,
        })
    }
}

impl Place {
    fn encode(self) -> (u8, u32, u32) {
        match self {
            Self::State => (1, 0, 0),
            Self::Log { slot } => (2, slot, 0),
            Self::Process { slot, pid } => (3, slot, pid),
            Self::Notifications => (4, 0, 0),
            Self::Control => (5, 0, 0),
            Self::Descriptor { slot, number } => (6, slot, number),
        }
    }

    fn decode(part: u8, slot: u32, pid: u32) -> Option<Self> {
        match part {
            1 => Some(Self::State),
            2 => Some(Self::Log { slot }),
            3 => Some(Self::Process { slot, pid }),
            4 => Some(Self::Notifications),
            5 => Some(Self::Control),
            6 => Some(Self::Descriptor { slot, number: pid }),
            _ => None,
        }
    }
}

/// An ending's number.
pub fn encode_ending(ending: Ending) -> u8 {
    match ending {
        Ending::PowerOff => 1,
        Ending::Reboot => 2,
        Ending::Halt => 3,
        Ending::Kexec => 4,
        Ending::UserSpace => 5,
    }
}

/// Undoes it.
pub fn decode_ending(number: u8) -> Option<Ending> {
    match number {
        1 => Some(Ending::PowerOff),
        2 => Some(Ending::Reboot),
        3 => Some(Ending::Halt),
        4 => Some(Ending::Kexec),
        5 => Some(Ending::UserSpace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_the_wire() {
        let messages = [
            Message::Hello { version: VERSION },
            Message::Renew { handover: 3 },
            Message::Keep(Place::Control),
            Message::Keep(Place::State),
            Message::Keep(Place::Descriptor {
                slot: 7,
                number: 42,
            }),
            Message::Keep(Place::Notifications),
            Message::Keep(Place::Process { slot: 7, pid: 42 }),
            Message::Drop(Place::Log { slot: u32::MAX }),
            Message::KeptAll { version: 1 },
            Message::Exited {
                slot: 1,
                pid: 2,
                exit: Exit::Signal(9),
            },
            Message::Exited {
                slot: 1,
                pid: 2,
                exit: Exit::Status(0),
            },
            Message::Ending(Ending::Halt),
            Message::Finish(Ending::Reboot),
            Message::Finish(Ending::Kexec),
            Message::Ending(Ending::UserSpace),
        ];
        for message in messages {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(bytes: Vec<u8>, whole: [u8; BYTES]) {
            prop_assert!(bytes.len() == BYTES || Message::decode(&bytes).is_none());
            if let Some(message) = Message::decode(&whole) {
                prop_assert_eq!(Message::decode(&message.encode()), Some(message));
            }
        }
    }
}
