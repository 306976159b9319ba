//! Datagrams between two processes of ours, each with at most one descriptor.
//!
//! Nothing is allocated, so that PID 1 can use it when memory is short.
//!
//! Source: unix(7), cmsg(3).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Room for one descriptor's control message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// A connected pair, closed on exec; its first end does not block.
///
/// # Errors
/// No descriptor is left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let [first, second] = ends;
    // SAFETY: the kernel has just made these descriptors for us.
    Ok(unsafe { (OwnedFd::from_raw_fd(first), OwnedFd::from_raw_fd(second)) })
}

/// Takes over descriptor `number`, which whoever executed this program has left open.
///
/// # Errors
/// It is not open.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a system call on numbers; a descriptor that is not open is an error.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the caller says that it is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends one datagram, with a copy of a descriptor if one is given.
///
/// # Errors
/// The other side is gone or its queue is full (`WouldBlock`).
pub fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut part = libc::iovec {
        iov_base: message.as_ptr().cast_mut().cast(),
        iov_len: message.len(),
    };
    let mut control = Control([0; 64]);
    // SAFETY: an all-zero msghdr is valid; its pointers are to locals that outlive the call, and
    // the control buffer has room for one descriptor (CMSG_SPACE(4) is 24 bytes).
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if let Some(descriptor) = descriptor {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(4) as _;
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(4) as _;
            ptr::write_unaligned(
                libc::CMSG_DATA(first).cast::<RawFd>(),
                descriptor.as_raw_fd(),
            );
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL)
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Receives one datagram into `buffer`: its length, and the descriptor that came with it.
/// A length of 0 means that the other side is gone.
///
/// # Errors
/// There is none for now (`WouldBlock`), or the socket is broken.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control = Control([0; 64]);
    // SAFETY: an all-zero msghdr is valid; its pointers are to locals that outlive the call. The
    // kernel puts whole descriptors into the control buffer, or truncates and closes them.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(4) as _;
        let received = libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC);
        if received < 0 {
            return Err(io::Error::last_os_error());
        }
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        let descriptor = if !first.is_null()
            && (*first).cmsg_level == libc::SOL_SOCKET
            && (*first).cmsg_type == libc::SCM_RIGHTS
            && (*first).cmsg_len as usize >= libc::CMSG_LEN(4) as usize
        {
            let fd = ptr::read_unaligned(libc::CMSG_DATA(first).cast::<RawFd>());
            Some(OwnedFd::from_raw_fd(fd))
        } else {
            None
        };
        Ok((usize::try_from(received).unwrap_or(0), descriptor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    #[test]
    fn a_descriptor_arrives_with_its_message() {
        let (left, right) = pair().unwrap();
        let mut file = crate::memory_file::memory_file(c"test").unwrap();
        file.write_all(b"inside").unwrap();
        send(left.as_fd(), b"one", Some(file.as_fd())).unwrap();
        send(left.as_fd(), b"two", None).unwrap();
        let mut buffer = [0; 16];
        let (length, descriptor) = receive(right.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"one");
        let mut copy = File::from(descriptor.unwrap());
        copy.rewind().unwrap();
        let mut text = String::new();
        copy.read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        let (length, descriptor) = receive(right.as_fd(), &mut buffer).unwrap();
        assert_eq!(
            (&buffer[..length], descriptor.is_none()),
            (&b"two"[..], true)
        );
        let error = receive(right.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(left);
        assert_eq!(receive(right.as_fd(), &mut buffer).unwrap().0, 0);
    }
}
