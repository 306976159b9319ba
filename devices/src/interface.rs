//! Another name for a network interface.
//!
//! Source: `rtnetlink(7)`: `RTM_NEWLINK` with an `ifinfomsg` and the attribute `IFLA_IFNAME`.

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// Longest name, in bytes, with its NUL: `IFNAMSIZ`.
const NAME_BYTES: usize = 16;

const RTM_NEWLINK: u16 = 16;
/// A request whose success is told as well: `NLM_F_REQUEST | NLM_F_ACK`.
const FLAGS: u16 = 1 | 4;
const IFLA_IFNAME: u16 = 3;
const NLMSG_ERROR: u16 = 2;

/// Renames the interface of this number.
///
/// # Errors
/// It is up, and the kernel older than 6.2; or another one has the name; or it is no name.
pub fn rename(number: u32, name: &str) -> io::Result<()> {
    let message = request(number, name)?;
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &message, &kernel, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let errno =
        errno(answer.get(..length).unwrap_or_default()).ok_or(io::ErrorKind::InvalidData)?;
    match errno {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno).into()),
    }
}

fn request(number: u32, name: &str) -> io::Result<Vec<u8>> {
    let is_name = !name.is_empty()
        && name.len() < NAME_BYTES
        && ![".", ".."].contains(&name)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/:%".contains(&byte));
    if !is_name {
        let text = format!(
            "'{name}' is no name of a network interface: at most 15 letters, digits and signs"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut attribute = name.as_bytes().to_vec();
    attribute.push(0);
    let attribute_length = u16::try_from(attribute.len() + 4).unwrap_or_default();
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    let length = u32::try_from(16 + 16 + 4 + attribute.len()).unwrap_or_default();
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // family, device type
    message.extend(number.to_ne_bytes());
    message.extend([0; 8]); // flags, and which of them change
    message.extend(attribute_length.to_ne_bytes());
    message.extend(IFLA_IFNAME.to_ne_bytes());
    message.extend(attribute);
    Ok(message)
}

/// What the kernel answers, as a positive number; none if it is no answer.
fn errno(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(error.checked_neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "sixteen-letters-",
            "a\0",
            "x%d",
        ] {
            assert!(request(2, name).is_err(), "{name}");
        }
        assert_eq!(request(2, "lan0").unwrap().len(), 16 + 16 + 4 + 8);
    }

    #[test]
    fn the_kernel_answers() {
        let error = rename(u32::MAX >> 1, "lan0").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ENODEV as i32), "{error}");
    }
}
