//! The kernel's device events, from the `NETLINK_KOBJECT_UEVENT` socket.
//!
//! A message is `ACTION@DEVPATH`, then `KEY=value` fields, each ended by a NUL. Group 1 carries the
//! kernel's own messages (group 2 is udev's). Anyone in the network namespace may send to the
//! socket, so that messages whose sender is not the kernel (port 0) are dropped.
//!
//! Source: the kernel's `lib/kobject_uevent.c`.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt,
    socket, sockopt,
};

/// The kernel's buffer for unread events, in bytes: a limit, not an allocation.
const RECEIVE_BUFFER: usize = 16 << 20;

/// The kernel's longest message: `UEVENT_BUFFER_SIZE` and its header.
const MESSAGE_BYTES: usize = 8192;

/// One event of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `remove`, `change`, `bind`, `unbind`, `move`, `online`, `offline`.
    pub action: String,
    /// The device's path below `/sys`, with a slash first.
    pub devpath: String,
    /// `SUBSYSTEM`, `DEVNAME`, `MODALIAS` and the like.
    pub fields: BTreeMap<String, String>,
}

impl Uevent {
    /// Reads one message; `None` if it is not in the kernel's form.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let mut parts = message
            .split(|byte| *byte == 0)
            .filter(|part| !part.is_empty());
        let header = std::str::from_utf8(parts.next()?).ok()?;
        let (action, devpath) = header.split_once('@')?;
        if action.is_empty() || !devpath.starts_with('/') {
            return None;
        }
        let mut fields = BTreeMap::new();
        for field in parts.map(String::from_utf8_lossy) {
            if let Some((key, value)) = field.split_once('=') {
                fields.insert(key.to_owned(), value.to_owned());
            }
        }
        Some(Self {
            action: action.to_owned(),
            devpath: devpath.to_owned(),
            fields,
        })
    }

    /// The field's value.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }
}

/// What a read of the socket gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// An event.
    Event(Uevent),
    /// Events were lost, since nobody read for too long: look at `/sys` again.
    Overrun,
    /// Nothing more for now.
    Empty,
}

/// The socket: non-blocking, closed on exec, ready for `poll` and `epoll`.
#[derive(Debug)]
pub struct UeventSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl UeventSocket {
    /// Subscribes to the kernel's events. Needs no privilege.
    ///
    /// # Errors
    /// The kernel has no netlink, or the process has no free descriptor.
    pub fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        // Without the privilege to force it the default buffer serves, and an overrun is reported.
        if let Err(error) = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER) {
            log::debug!("uevent socket keeps its default buffer: {error}");
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
        Ok(Self {
            socket,
            buffer: vec![0; MESSAGE_BYTES],
        })
    }

    /// The next event, without waiting.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn receive(&mut self) -> io::Result<Received> {
        loop {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut self.buffer) {
                Ok((length, sender)) => {
                    if sender.is_none_or(|sender| sender.pid() != 0) {
                        continue; // not the kernel
                    }
                    let message = self.buffer.get(..length).unwrap_or_default();
                    if let Some(event) = Uevent::parse(message) {
                        return Ok(Received::Event(event));
                    }
                }
                Err(Errno::EAGAIN) => return Ok(Received::Empty),
                Err(Errno::ENOBUFS) => return Ok(Received::Overrun),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for UeventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn a_block_device_is_announced() {
        let message = b"add@/devices/pci0000:00/0000:00:02.0/virtio0/block/vda/vda1\0\
            ACTION=add\0SUBSYSTEM=block\0DEVNAME=vda1\0PARTN=1\0junk\0";
        expect![[r#"
            Some(
                Uevent {
                    action: "add",
                    devpath: "/devices/pci0000:00/0000:00:02.0/virtio0/block/vda/vda1",
                    fields: {
                        "ACTION": "add",
                        "DEVNAME": "vda1",
                        "PARTN": "1",
                        "SUBSYSTEM": "block",
                    },
                },
            )
        "#]]
        .assert_debug_eq(&Uevent::parse(message));
    }

    #[test]
    fn other_messages_are_refused() {
        for message in [
            &b"libudev\0\xfe\xed\xca\xfe"[..],
            b"",
            b"\0\0",
            b"add@",
            b"@/x",
            b"add@x",
        ] {
            assert_eq!(Uevent::parse(message), None, "{message:?}");
        }
    }

    #[test]
    fn the_socket_opens_and_is_empty() {
        let mut socket = UeventSocket::open().unwrap();
        while socket.receive().unwrap() != Received::Empty {}
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(message: Vec<u8>) {
            prop_assert!(Uevent::parse(&message).is_none_or(|event| !event.action.is_empty()));
        }
    }
}
