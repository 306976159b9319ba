//! Sources of events, and their numbers in epoll.

use std::io;
use std::os::fd::BorrowedFd;

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::graph::Id;

/// What an event's number says: the source, and which one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The link to core.
    Core,
    /// The control socket.
    Listener,
    /// A control connection.
    Connection(usize),
    /// A service's process.
    Main(Id),
    /// The pipe that says whether it was executed.
    Report(Id),
    /// A service's output.
    Pipe(Id),
    /// The kernel's device events.
    Devices,
    /// A power button.
    Button(usize),
    /// The process that loads modules.
    Modprobe,
    /// Commands of a service beside its process.
    Helper(Id),
    /// What services say of themselves.
    Notifications,
    /// The wall clock.
    Alarm,
    /// A child that a predecessor has left.
    Stray(usize),
    /// A descriptor of a socket or path, see [`Source::incoming`].
    Incoming(usize),
    /// Files of sessions.
    Sessions,
    /// The process of a session.
    Session(usize),
    /// The pipe through which a service says that it is ready.
    Readiness(Id),
    /// Names in `/etc`.
    Names,
    /// Names of devices that services are for.
    Presence,
    /// Children that have descriptors of their own now.
    Tray,
    /// What has come of a service's bounds of memory.
    Memory(Id),
}

/// Descriptors of a socket that can be told apart.
const OF_SOCKET: usize = 256;

impl Source {
    /// That of the descriptor of this number of a socket or path.
    pub fn incoming(id: Id, number: u32) -> Self {
        let number = usize::try_from(number).unwrap_or(0) % OF_SOCKET;
        Self::Incoming(id * OF_SOCKET + number)
    }

    /// Undoes it.
    pub fn of_incoming(place: usize) -> (Id, u32) {
        let number = u32::try_from(place % OF_SOCKET).unwrap_or(0);
        (place / OF_SOCKET, number)
    }

    /// As the number of an epoll event.
    pub fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Core => (1_u64, 0),
            Self::Listener => (2, 0),
            Self::Connection(place) => (3, place),
            Self::Main(id) => (4, id),
            Self::Report(id) => (5, id),
            Self::Pipe(id) => (6, id),
            Self::Devices => (7, 0),
            Self::Button(number) => (8, number),
            Self::Modprobe => (9, 0),
            Self::Helper(id) => (10, id),
            Self::Notifications => (11, 0),
            Self::Alarm => (12, 0),
            Self::Stray(number) => (13, number),
            Self::Incoming(place) => (14, place),
            Self::Sessions => (15, 0),
            Self::Session(pid) => (16, pid),
            Self::Readiness(id) => (17, id),
            Self::Names => (18, 0),
            Self::Presence => (19, 0),
            Self::Tray => (20, 0),
            Self::Memory(id) => (21, id),
        };
        kind << 32 | number as u64
    }

    /// Undoes it.
    pub fn decode(data: u64) -> Option<Self> {
        let number = usize::try_from(data & 0xffff_ffff).ok()?;
        Some(match data >> 32 {
            1 => Self::Core,
            2 => Self::Listener,
            3 => Self::Connection(number),
            4 => Self::Main(number),
            5 => Self::Report(number),
            6 => Self::Pipe(number),
            7 => Self::Devices,
            8 => Self::Button(number),
            9 => Self::Modprobe,
            10 => Self::Helper(number),
            11 => Self::Notifications,
            12 => Self::Alarm,
            13 => Self::Stray(number),
            14 => Self::Incoming(number),
            15 => Self::Sessions,
            16 => Self::Session(number),
            17 => Self::Readiness(number),
            18 => Self::Names,
            19 => Self::Presence,
            20 => Self::Tray,
            21 => Self::Memory(number),
            _ => return None,
        })
    }
}

/// Wakes us when `descriptor` is ready.
pub fn watch(
    epoll: &Epoll,
    descriptor: BorrowedFd<'_>,
    source: Source,
    flags: EpollFlags,
) -> io::Result<()> {
    epoll.add(descriptor, EpollEvent::new(flags, source.encode()))?;
    Ok(())
}

/// Before a descriptor is closed: core has a copy, which would keep the watch alive.
pub fn unwatch(epoll: &Epoll, descriptor: BorrowedFd<'_>) {
    match epoll.delete(descriptor) {
        // It was not watched: an adopted process.
        Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
        Err(error) => log::error!("cannot stop watching a descriptor: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for source in [
            Source::Core,
            Source::Listener,
            Source::Connection(3),
            Source::Main(0),
            Source::Report(70_000),
            Source::Pipe(1),
            Source::Devices,
            Source::Button(2),
            Source::Modprobe,
            Source::Helper(5),
            Source::Notifications,
            Source::Alarm,
            Source::Stray(1),
            Source::Readiness(9),
            Source::Names,
            Source::Presence,
            Source::Memory(4),
            Source::incoming(8191, 127),
        ] {
            assert_eq!(Source::decode(source.encode()), Some(source));
        }
        let Source::Incoming(place) = Source::incoming(8191, 127) else {
            panic!("it comes in")
        };
        assert_eq!(Source::of_incoming(place), (8191, 127));
        assert_eq!(Source::decode(0), None);
    }
}
