//! Who is at the other end of a local socket, as the kernel says.
//!
//! Source: `unix(7)`, `socket(7)` (`SO_PEERCRED`, `SO_PEERGROUPS`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Groups that a process may have, as the kernel bounds them.
const MOST_GROUPS: usize = 65_536;

/// Who has connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The group, and all further ones.
    pub groups: Vec<u32>,
}

/// Who was at the other end of `socket` when it was connected.
///
/// # Errors
/// It is no connected local socket.
pub fn of(socket: &impl AsFd) -> io::Result<Peer> {
    let descriptor = socket.as_fd().as_raw_fd();
    let mut credentials = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: the kernel writes no more than the length that it is told, which is the structure's.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut groups = further_groups(descriptor)?;
    groups.push(credentials.gid);
    Ok(Peer {
        uid: credentials.uid,
        groups,
    })
}

fn further_groups(descriptor: i32) -> io::Result<Vec<u32>> {
    // Nearly everybody has room enough in that; who has not is told how much it takes.
    let mut groups = vec![0_u32; 64];
    loop {
        let bytes = groups.len() * size_of::<u32>();
        let mut length = libc::socklen_t::try_from(bytes).unwrap_or(0);
        // SAFETY: the kernel writes no more than the length that it is told, which is the vector's.
        let result = unsafe {
            libc::getsockopt(
                descriptor,
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = usize::try_from(length).unwrap_or(0) / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        let grows = (groups.len() + 1..=MOST_GROUPS).contains(&count);
        if error.raw_os_error() != Some(libc::ERANGE) || !grows {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_other_end_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = of(&one).unwrap();
        // SAFETY: these calls cannot fail.
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        assert_eq!(peer.uid, uid);
        assert_eq!(peer.groups.last(), Some(&gid));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(of(&file).is_err());
    }
}
