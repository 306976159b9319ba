//! What a user's processes leave behind for each other, and nobody uses when they are gone: queues, semaphores and
//! shared memory.
//!
//! Source: `systemd.exec(5)`, `RemoveIPC=`; `shm_overview(7)`, `mq_overview(7)`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use cairn_sys::ipc;

/// Where those of POSIX are files.
const FOLDERS: [&str; 2] = ["/dev/shm", "/dev/mqueue"];

/// Removes all that is this user's; what is gone meanwhile is no obstacle.
///
/// # Errors
/// The first that cannot be removed; the others are tried all the same.
pub fn remove(uid: u32) -> io::Result<()> {
    let mut result = Ok(());
    let mut note = |removed: io::Result<()>| match removed {
        Err(error) if result.is_ok() && !is_gone(&error) => result = Err(error),
        _ => {}
    };
    for folder in FOLDERS {
        // Folders there are nobody's objects.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_theirs =
                (entry.metadata()).is_ok_and(|data| data.uid() == uid && !data.is_dir());
            if is_theirs {
                note(fs::remove_file(entry.path()));
            }
        }
    }
    ipc::remove_all_of(uid, &mut note);
    result
}

fn is_gone(error: &io::Error) -> bool {
    use nix::libc::{EIDRM, EINVAL, ENOENT};
    matches!(error.raw_os_error(), Some(ENOENT | EINVAL | EIDRM))
}
