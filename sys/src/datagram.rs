//! What comes through local sockets with more than bytes: messages of processes, with their sender, which the kernel
//! names. One is looked at, and taken when what it asks for is done: who is killed in between leaves it to a successor.
//!
//! Invariant: each descriptor that the kernel hands in is held, also where it has handed in fewer than there were: `nix`
//! says nothing of those, and they stayed open.
//!
//! Source: `unix(7)` (`SO_PASSCRED`), `recv(2)` (`MSG_PEEK`, `MSG_CTRUNC`), `cmsg(3)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::handed::{AT_ONCE, Handed};

/// Room for a sender and all descriptors that may come along, in words.
const CONTROL_WORDS: usize = 16 + AT_ONCE;

/// One message.
#[derive(Debug)]
pub struct Datagram {
    /// Who sent it; 0 if the kernel does not say.
    pub pid: u32,
    /// Bytes of it that there was room for.
    pub length: usize,
    /// Whether that is all.
    pub is_whole: bool,
    /// What came along.
    pub descriptors: Handed,
}

/// The next message, if there is one; it stays.
///
/// # Errors
/// The socket is broken.
pub fn look(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
    match receive(socket, buffer, libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Err(error) => nothing(error),
        Ok(datagram) => Ok(Some(datagram)),
    }
}

/// What comes next on a stream: its bytes, and what came along. No bytes mean that there will be none.
///
/// # Errors
/// There is nothing for now (`WouldBlock`, where it does not block), or the socket is broken.
pub fn next(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Handed)> {
    let datagram = receive(socket, buffer, 0)?;
    Ok((datagram.length, datagram.descriptors))
}

fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: i32) -> io::Result<Datagram> {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control = [0_u64; CONTROL_WORDS];
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: an all-zero msghdr is valid; its pointers are to locals that outlive the call.
    let (received, header) = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let received = libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags);
        (received, header)
    };
    let Ok(length) = usize::try_from(received) else {
        return Err(io::Error::last_os_error());
    };
    let mut pid = 0;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    // SAFETY: the kernel has written whole headers, each with the bytes that its length says; the descriptors are nobody
    // else's. The data need not be aligned.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(&raw const header);
        while let Some(one) = next.as_ref() {
            let data = libc::CMSG_DATA(next);
            let bytes = one.cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize);
            match (one.cmsg_level, one.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if bytes >= size_of::<libc::ucred>() => {
                    let sender = ptr::read_unaligned(data.cast::<libc::ucred>());
                    pid = u32::try_from(sender.pid).unwrap_or(0);
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for at in 0..bytes / size_of::<RawFd>() {
                        let number =
                            ptr::read_unaligned(data.add(at * size_of::<RawFd>()).cast::<RawFd>());
                        descriptors.push(OwnedFd::from_raw_fd(number));
                    }
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(&raw const header, next);
        }
    }
    Ok(Datagram {
        pid,
        length,
        is_whole: header.msg_flags & libc::MSG_TRUNC == 0,
        descriptors: descriptors.into(),
    })
}

/// Takes what was looked at.
///
/// # Errors
/// The socket is broken.
pub fn take(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: nothing is written to.
    let taken = unsafe { libc::recv(socket.as_raw_fd(), ptr::null_mut(), 0, libc::MSG_DONTWAIT) };
    if taken < 0 {
        return nothing(io::Error::last_os_error()).map(|_: Option<()>| ());
    }
    Ok(())
}

/// That there is nothing for now is no error.
fn nothing<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_message_stays_until_it_is_taken() {
        let (here, there) = UnixDatagram::pair().unwrap();
        nix::sys::socket::setsockopt(&there, nix::sys::socket::sockopt::PassCred, &true).unwrap();
        let file = File::open("/dev/null").unwrap();
        crate::seqpacket::send(here.as_fd(), b"first", Some(file.as_fd())).unwrap();
        here.send(b"second").unwrap();
        let mut buffer = [0; 5];
        for _ in 0..2 {
            let one = look(there.as_fd(), &mut buffer).unwrap().unwrap();
            assert_eq!(
                (one.pid, one.length, one.is_whole),
                (std::process::id(), 5, true)
            );
            assert_eq!((&buffer[..], one.descriptors.count()), (&b"first"[..], 1));
        }
        take(there.as_fd()).unwrap();
        let one = look(there.as_fd(), &mut buffer).unwrap().unwrap();
        assert_eq!(
            (one.length, one.is_whole, one.descriptors.is_empty()),
            (5, false, true)
        );
        take(there.as_fd()).unwrap();
        take(there.as_fd()).unwrap();
        assert!(look(there.as_fd(), &mut buffer).unwrap().is_none());
    }
}
