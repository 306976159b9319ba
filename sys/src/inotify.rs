//! What happens to files, as the kernel tells it.
//!
//! Source: `inotify(7)`.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What may happen, as bits.
pub type Mask = u32;

/// Bits of a [`Mask`].
pub const MODIFY: Mask = libc::IN_MODIFY;
/// Rights, owner, times or the number of names.
pub const ATTRIBUTES: Mask = libc::IN_ATTRIB;
/// A file that was open for writing is closed.
pub const CLOSE_WRITE: Mask = libc::IN_CLOSE_WRITE;
/// Something is made in a directory.
pub const CREATE: Mask = libc::IN_CREATE;
/// Something is removed from a directory.
pub const DELETE: Mask = libc::IN_DELETE;
/// It is removed itself.
pub const DELETE_SELF: Mask = libc::IN_DELETE_SELF;
/// It is moved itself.
pub const MOVE_SELF: Mask = libc::IN_MOVE_SELF;
/// Something is moved out of a directory.
pub const MOVED_FROM: Mask = libc::IN_MOVED_FROM;
/// Something is moved into a directory.
pub const MOVED_TO: Mask = libc::IN_MOVED_TO;
/// It is not watched any more.
pub const IGNORED: Mask = libc::IN_IGNORED;

/// The number of no watch: events have been lost, since the queue was full.
pub const LOST: i32 = -1;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What is watched; [`LOST`] if events have been lost.
    pub watch: i32,
    /// What has happened.
    pub mask: Mask,
    /// To what in the directory, if it is one.
    pub name: OsString,
}

/// A new queue of events, which does not block.
///
/// # Errors
/// No descriptor is left.
pub fn open() -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers.
    let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Watches what is at `path` now; the number of the watch, which is the old one if it is watched
/// already.
///
/// # Errors
/// There is nothing, or no watch is left.
pub fn add(queue: BorrowedFd<'_>, path: &Path, mask: Mask) -> io::Result<i32> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path ends in NUL.
    let watch = unsafe { libc::inotify_add_watch(queue.as_raw_fd(), path.as_ptr(), mask) };
    if watch < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(watch)
}

/// Ends a watch. That it has ended by itself is no error.
///
/// # Errors
/// It is no queue.
pub fn remove(queue: BorrowedFd<'_>, watch: i32) -> io::Result<()> {
    // SAFETY: a system call on numbers.
    if unsafe { libc::inotify_rm_watch(queue.as_raw_fd(), watch) } < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
    }
    Ok(())
}

/// Some of the events that have come; none if there are none.
///
/// # Errors
/// It is no queue.
pub fn read(queue: BorrowedFd<'_>) -> io::Result<Vec<Event>> {
    let mut buffer = [0_u8; 8192];
    // SAFETY: the buffer is valid for its length.
    let length = unsafe { libc::read(queue.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    match usize::try_from(length) {
        Ok(length) => Ok(parse(buffer.get(..length).unwrap_or_default())),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            error if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            error => Err(error),
        },
    }
}

/// The events in what the kernel has written: `struct inotify_event`: watch, mask, cookie, length of the
/// name, and the name with NULs.
#[must_use]
pub fn parse(mut bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<16>() {
        let word = |at: usize| {
            let word = head.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map_or(0, u32::from_ne_bytes)
        };
        let length = usize::try_from(word(12)).unwrap_or(usize::MAX);
        let Some((name, behind)) = rest.split_at_checked(length) else {
            break;
        };
        let end = name.iter().position(|byte| *byte == 0);
        let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        events.push(Event {
            watch: word(0).cast_signed(),
            mask: word(4),
            name: OsString::from_vec(OsStr::from_bytes(name).as_bytes().to_vec()),
        });
        bytes = behind;
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::fd::AsFd;

    #[test]
    fn events_come_with_names() {
        let folder = std::env::temp_dir().join(format!("cairn-inotify-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let queue = open().unwrap();
        let queue = queue.as_fd();
        assert_eq!(read(queue).unwrap(), []);
        let watch = add(queue, &folder, CREATE | DELETE_SELF).unwrap();
        assert_eq!(add(queue, &folder, CREATE | DELETE_SELF).unwrap(), watch);
        fs::write(folder.join("x"), "").unwrap();
        let event = Event {
            watch,
            mask: CREATE,
            name: "x".into(),
        };
        assert_eq!(read(queue).unwrap(), [event]);
        fs::remove_dir_all(&folder).unwrap();
        let masks: Vec<Mask> = read(queue)
            .unwrap()
            .iter()
            .map(|event| event.mask)
            .collect();
        assert_eq!(masks, [DELETE_SELF, IGNORED]);
        remove(queue, watch).unwrap();
        assert!(add(queue, &folder, CREATE).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            prop_assert!(parse(&bytes).len() <= bytes.len() / 16);
        }
    }
}
