//! Semaphores of System V, by which libdevmapper waits for whoever handles its devices' events.
//!
//! Source: `semop(2)`.

use std::io;

/// Takes one from the first semaphore of the set with this key, without waiting.
///
/// # Errors
/// There is no such set any more, or its value is 0 already.
pub fn decrement(key: u32) -> io::Result<()> {
    // SAFETY: a system call without pointers.
    let set = unsafe { libc::semget(key.cast_signed(), 1, 0) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut operation = libc::sembuf {
        sem_num: 0,
        sem_op: -1,
        sem_flg: IPC_NOWAIT,
    };
    // SAFETY: the kernel reads one operation, which is there.
    match unsafe { libc::semop(set, &raw mut operation, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "04000 in octal")]
const IPC_NOWAIT: i16 = libc::IPC_NOWAIT as i16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semaphore_is_taken_down_to_nothing() {
        let key = 0x0d4d_0000 | (std::process::id() & 0xffff);
        // SAFETY: system calls without pointers; the set is this test's.
        let set = unsafe {
            libc::semget(
                key.cast_signed(),
                1,
                libc::IPC_CREAT | libc::IPC_EXCL | 0o600,
            )
        };
        assert!(set >= 0, "{}", io::Error::last_os_error());
        // SAFETY: as above.
        assert_eq!(unsafe { libc::semctl(set, 0, libc::SETVAL, 1) }, 0);
        decrement(key).unwrap();
        assert_eq!(
            decrement(key).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        // SAFETY: as above.
        assert_eq!(unsafe { libc::semctl(set, 0, libc::IPC_RMID) }, 0);
        assert_eq!(decrement(key).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
