//! Telling programs that use libudev what has become of a device, and hearing it as they do.
//!
//! ```text
//!  0  8  "libudev\0"
//!  8  4  0xfeedcafe, big endian
//! 12  4  length of this header, 40; from here on in the machine's order
//! 16  4  where the properties begin, 40
//! 20  4  their length
//! 24  4  hash of the subsystem, big endian as all of these: the listeners' socket filters compare them
//! 28  4  hash of the kind, 0 if there is none
//! 32  8  bits of the tags: high half, low half
//! 40     KEY=value, each ended by a NUL
//! ```
//!
//! Group 2 of the kernel's socket for device events carries such messages; only root may send them, and a listener
//! drops what another user has sent.
//!
//! Source: libudev's monitor of systemd 252; `MurmurHash2` by Austin Appleby for the hashes.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    setsockopt, socket, sockopt,
};

use crate::device::Properties;

const PREFIX: &[u8; 8] = b"libudev\0";
const MAGIC: u32 = 0xfeed_cafe;
const HEADER_BYTES: usize = 40;

/// The multicast group of those who listen to what rules have decided.
const GROUP: u32 = 2;

/// The listeners' buffers, in bytes.
const MESSAGE_BYTES: usize = 64 << 10;
const RECEIVE_BUFFER: usize = 16 << 20;

/// The message about a device with these properties and tags.
#[must_use]
pub fn message(properties: &Properties, tags: &BTreeSet<String>) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in properties {
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
        text.push(0);
    }
    let hashed = |name: &str| {
        properties
            .get(name)
            .map_or(0, |value| hash(value.as_bytes()))
    };
    let bits = tags.iter().fold(0, |bits, tag| bits | tag_bits(tag));
    let [high, low] =
        [bits >> 32, bits & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or_default());
    let header_bytes = u32::try_from(HEADER_BYTES).unwrap_or_default();
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut message = PREFIX.to_vec();
    message.extend(MAGIC.to_be_bytes());
    for number in [header_bytes, header_bytes, length] {
        message.extend(number.to_ne_bytes());
    }
    for number in [hashed("SUBSYSTEM"), hashed("DEVTYPE"), high, low] {
        message.extend(number.to_be_bytes());
    }
    message.extend(text);
    message
}

/// The properties in a message; none if it is of another form.
#[must_use]
pub fn parse(message: &[u8]) -> Option<Properties> {
    let rest = message
        .strip_prefix(PREFIX)?
        .strip_prefix(&MAGIC.to_be_bytes())?;
    let number = |at: usize| {
        let bytes = rest.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_ne_bytes(bytes)).ok()
    };
    let (start, length) = (number(4)?, number(8)?);
    let text = message.get(start..start.checked_add(length)?)?;
    let lines = text
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty());
    let pairs = lines.map(String::from_utf8_lossy);
    let pairs = pairs.filter_map(|line| {
        line.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    Some(pairs.collect())
}

/// The bits of a tag in a message: four of 64.
fn tag_bits(tag: &str) -> u64 {
    let hash = hash(tag.as_bytes());
    [0, 6, 12, 18]
        .into_iter()
        .fold(0, |bits, shift| bits | 1 << ((hash >> shift) & 63))
}

/// `MurmurHash2` with the seed 0.
fn hash(bytes: &[u8]) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    let mut hash = u32::try_from(bytes.len()).unwrap_or_default();
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let rest = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> 15
}

/// The socket that messages are sent by, or heard with.
#[derive(Debug)]
pub struct Broadcast {
    socket: OwnedFd,
}

impl Broadcast {
    /// To send.
    ///
    /// # Errors
    /// The kernel has no such socket, or no descriptor is left.
    pub fn sender() -> io::Result<Self> {
        Self::open(0)
    }

    /// To hear what is sent. Needs no privilege.
    ///
    /// # Errors
    /// As [`Broadcast::sender`].
    pub fn listener() -> io::Result<Self> {
        Self::open(GROUP)
    }

    fn open(groups: u32) -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        if let Err(error) = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER) {
            log::debug!("the socket for devices keeps its default buffer: {error}");
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { socket })
    }

    /// Tells all listeners. That nobody listens is no error.
    ///
    /// # Errors
    /// The message is too long, or not root sends it.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        let everybody = NetlinkAddr::new(0, GROUP);
        match sendto(
            self.socket.as_raw_fd(),
            message,
            &everybody,
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(_) | Err(Errno::ECONNREFUSED) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next one, without waiting; none if there is none for now.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn receive(&self) -> io::Result<Option<Properties>> {
        let mut buffer = vec![0; MESSAGE_BYTES];
        loop {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => {
                    let message = buffer.get(..length).unwrap_or_default();
                    if let Some(properties) = parse(message) {
                        return Ok(Some(properties));
                    }
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Broadcast {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hashes_are_those_of_listeners() {
        for (word, expected) in [
            ("", 0),
            ("a", 0x9268_5f5e),
            ("usb", 0x0577_c5e5),
            ("block", 0xf003_1db7),
            ("partition", 0xcb23_4489),
        ] {
            assert_eq!(hash(word.as_bytes()), expected, "{word}");
        }
    }

    #[test]
    fn a_message_has_what_filters_look_at() {
        let properties = [
            ("ACTION", "add"),
            ("DEVPATH", "/devices/x"),
            ("SUBSYSTEM", "block"),
            ("DEVTYPE", "disk"),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let properties = Properties::from(properties);
        let message = message(&properties, &BTreeSet::from(["seat".to_owned()]));
        assert_eq!(&message[..12], b"libudev\0\xfe\xed\xca\xfe");
        assert_eq!(message[24..28], hash(b"block").to_be_bytes());
        assert_eq!(message[28..32], hash(b"disk").to_be_bytes());
        let bits = u64::from_be_bytes(message[32..40].try_into().unwrap());
        assert_eq!(bits, tag_bits("seat"));
        assert!((1..=4).contains(&bits.count_ones()));
        assert_eq!(parse(&message), Some(properties));
    }

    proptest! {
        #[test]
        fn any_message_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(parse(&bytes));
            let mut message = message(&Properties::new(), &BTreeSet::new());
            message.truncate(12);
            message.extend(bytes);
            drop(parse(&message));
        }
    }
}
