//! Objects of System V's inter-process communication, which stay until somebody removes them.
//!
//! Source: `sysvipc(7)`, `proc(5)`, "/proc/sysvipc".

use std::{fs, io};

/// What there is of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A queue of messages.
    Queue,
    /// A set of semaphores.
    Semaphores,
    /// A segment of shared memory.
    Memory,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Queue, Self::Semaphores, Self::Memory];

    /// The list of all of this kind, and the column there that has their numbers.
    fn list(self) -> (&'static str, &'static str) {
        match self {
            Self::Queue => ("/proc/sysvipc/msg", "msqid"),
            Self::Semaphores => ("/proc/sysvipc/sem", "semid"),
            Self::Memory => ("/proc/sysvipc/shm", "shmid"),
        }
    }
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    kind: Kind,
    id: i32,
}

impl Object {
    fn remove(self) -> io::Result<()> {
        let (id, none) = (self.id, std::ptr::null_mut());
        // SAFETY: system calls on numbers; for this command the kernel reads and writes nothing.
        let result = unsafe {
            match self.kind {
                Kind::Queue => libc::msgctl(id, libc::IPC_RMID, none),
                Kind::Semaphores => libc::semctl(id, 0, libc::IPC_RMID),
                Kind::Memory => libc::shmctl(id, libc::IPC_RMID, none.cast()),
            }
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Removes those of this user, but for memory that somebody uses; says of each what has come of it. A kernel that has no
/// such objects has no lists of them.
pub fn remove_all_of(uid: u32, mut note: impl FnMut(io::Result<()>)) {
    for kind in Kind::ALL {
        let text = fs::read(kind.list().0).unwrap_or_default();
        all_of(&text, kind, uid, |object| note(object.remove()));
    }
}

/// Those of this user in a list, whose first line names its columns.
fn all_of(text: &[u8], kind: Kind, uid: u32, mut found: impl FnMut(Object)) {
    let mut lines = text.split(|byte| *byte == b'\n');
    let names = lines.next().unwrap_or_default();
    let (_, number) = kind.list();
    for line in lines {
        let (mut id, mut is_theirs) = (None, false);
        for (name, field) in words(names).zip(words(line)) {
            let value: Option<i64> = std::str::from_utf8(field)
                .ok()
                .and_then(|text| text.parse().ok());
            match name {
                b"uid" => is_theirs = value == Some(uid.into()),
                b"nattch" if value != Some(0) => break,
                _ if name == number.as_bytes() => id = value,
                _ => {}
            }
        }
        if is_theirs && let Some(id) = id.and_then(|id| id.try_into().ok()) {
            found(Object { kind, id });
        }
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str, kind: Kind, uid: u32) -> Vec<i32> {
        let mut all = Vec::new();
        all_of(text.as_bytes(), kind, uid, |object| all.push(object.id));
        all
    }

    #[test]
    fn lists_are_read_by_the_names_of_their_columns() {
        let memory = "key shmid perms size cpid lpid nattch uid gid\n\
            0 7 600 4096 1 1 0 1000 100\n\
            0 8 600 4096 1 1 1 1000 100\n\
            0 9 600 4096 1 1 0 1001 1000\n\
            0 many\n";
        let queues = "uid msqid\n1000 0\n1001 1\n1000 99999999999\n";
        assert_eq!(listed(memory, Kind::Memory, 1000), [7]);
        assert_eq!(listed(queues, Kind::Queue, 1000), [0]);
        assert_eq!(listed("", Kind::Semaphores, 1000), []);
        assert_eq!(listed("a b\n1000 1000\n", Kind::Semaphores, 1000), []);
    }

    #[test]
    fn an_object_is_found_and_removed() {
        // SAFETY: this call cannot fail.
        let uid = unsafe { libc::geteuid() };
        // SAFETY: a system call on numbers.
        let id = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        let own = Object {
            kind: Kind::Queue,
            id,
        };
        let is_there = || {
            let text = fs::read_to_string(own.kind.list().0).unwrap();
            listed(&text, own.kind, uid).contains(&id)
        };
        assert!(id >= 0 && is_there());
        own.remove().unwrap();
        assert!(!is_there() && own.remove().is_err());
    }
}
