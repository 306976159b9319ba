//! A user namespace in which root and one user are themselves, and everybody else is nobody.
//!
//! Who enters a new user namespace has no rights in the old one any more, and only who has them there
//! may map more than itself: a second process, left behind for a moment, writes the maps.
//!
//! Source: `user_namespaces(7)`.

use std::ffi::{CStr, c_int};

use super::Credentials;
use super::child::{Done, check};

/// The maps, as they are written.
#[derive(Debug)]
pub(super) struct UserMap {
    users: String,
    groups: String,
}

const STEP: &CStr = c"make users of its own for it";

impl UserMap {
    pub fn of(user: &Credentials) -> Self {
        let map = |id: u32| match id {
            0 => "0 0 1\n".to_owned(),
            id => format!("0 0 1\n{id} {id} 1\n"),
        };
        Self {
            users: map(user.uid),
            groups: map(user.gid),
        }
    }

    /// Leaves the second process behind, which sees the machine's files as they are now.
    /// Async-signal-safe.
    pub unsafe fn prepare(&self) -> Result<Mapper, &'static CStr> {
        let mut ends: [c_int; 2] = [-1; 2];
        // SAFETY: only system calls on locals and on memory prepared by the parent; the second process
        // has a copy of it, and ends here.
        unsafe {
            check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), STEP)?;
            let [reader, writer] = ends;
            let number = libc::getpid();
            let mapper = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
            if mapper == 0 {
                // A byte says that there is a namespace, an end of file that there will be none.
                let mut byte = [0_u8; 1];
                libc::close(writer);
                let begun = libc::read(reader, byte.as_mut_ptr().cast(), 1) == 1;
                libc::_exit(i32::from(!(begun && self.write(number))));
            }
            libc::close(reader);
            check(mapper, STEP)?;
            Ok(Mapper {
                pid: c_int::try_from(mapper).unwrap_or(0),
                writer,
            })
        }
    }

    /// Writes the maps of the process with this number; whether that went well.
    unsafe fn write(&self, number: libc::pid_t) -> bool {
        // SAFETY: as for `enter`.
        unsafe {
            write_file(number, b"/uid_map\0", self.users.as_bytes())
                && write_file(number, b"/gid_map\0", self.groups.as_bytes())
        }
    }
}

/// The process that writes the maps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapper {
    pid: libc::pid_t,
    /// Tells it that the namespace is there.
    writer: c_int,
}

impl Mapper {
    /// Enters the namespace. Async-signal-safe.
    pub unsafe fn enter(self) -> Done<'static> {
        // SAFETY: system calls on locals; the descriptor is this one's, and closed once.
        unsafe {
            let made = libc::unshare(libc::CLONE_NEWUSER);
            let reason = *libc::__errno_location();
            if made == 0 {
                libc::write(self.writer, c"x".as_ptr().cast(), 1);
            }
            libc::close(self.writer);
            let mut status = -1;
            libc::waitpid(self.pid, &raw mut status, 0);
            *libc::__errno_location() = if made < 0 { reason } else { libc::EPERM };
            check(if status == 0 { made } else { -1 }, STEP)
        }
    }
}

/// Writes to `/proc/<number><file>`, in one piece. Async-signal-safe.
unsafe fn write_file(number: libc::pid_t, file: &[u8], text: &[u8]) -> bool {
    let mut path = [0_u8; 40];
    let mut digits = [0_u8; 10];
    let mut rest = number.unsigned_abs();
    let mut first = digits.len();
    loop {
        let Some(digit) = first.checked_sub(1).and_then(|at| {
            first = at;
            digits.get_mut(at)
        }) else {
            return false;
        };
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let parts = [b"/proc/", digits.get(first..).unwrap_or_default(), file];
    let bytes = parts.into_iter().flatten();
    for (place, byte) in path.iter_mut().zip(bytes) {
        *place = *byte;
    }
    // SAFETY: the path ends with a zero byte, and the text is valid for its length.
    unsafe {
        let file = libc::open(path.as_ptr().cast(), libc::O_WRONLY | libc::O_CLOEXEC);
        file >= 0
            && libc::write(file, text.as_ptr().cast(), text.len())
                == isize::try_from(text.len()).unwrap_or(-1)
    }
}
