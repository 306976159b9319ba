//! The socket on which services say that they are ready, and leave descriptors.
//!
//! A message counts for the service in whose cgroup its sender is, which the kernel says. Core
//! keeps the socket: what is said while there is no supervisor is heard by the next one.
//!
//! Source: `sd_notify(3)`, `unix(7)`, `cgroups(7)`.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::realm::realm;
use cairn_sys::handed::{AT_ONCE, Handed};
use cairn_sys::seqpacket::inherited;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recv, recvmsg, setsockopt, sockopt,
};

/// Longest message in bytes.
const BYTES: usize = 4096;

/// The socket.
#[derive(Debug)]
pub struct Notifications {
    socket: OwnedFd,
}

/// One message.
#[derive(Debug)]
pub struct Notification {
    /// Who sent it.
    pub pid: u32,
    /// Lines of `NAME=value`.
    pub text: String,
    /// What came along.
    pub descriptors: Handed,
}

impl Notifications {
    /// Listens at `path`, in place of a socket that is left there.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        // Whoever a service runs as: only those that are services are heard.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        let socket = socket.into();
        Ok(Self { socket })
    }

    /// The one that a predecessor listened on.
    pub fn adopted(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The next message, if there is one. It stays there until it is [taken](Self::take): what is killed before it has
    /// done what it says leaves it to a successor.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn look(&self) -> io::Result<Option<Notification>> {
        let mut buffer = [0; BYTES];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let mut space = nix::cmsg_space!(UnixCredentials, [RawFd; AT_ONCE]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_PEEK;
        let received =
            recvmsg::<UnixAddr>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), flags);
        let mut pid = 0;
        let mut descriptors = Vec::new();
        let (length, is_whole) = match received {
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(message) => {
                for control in message.cmsgs().into_iter().flatten() {
                    match control {
                        ControlMessageOwned::ScmCredentials(credentials) => {
                            pid = u32::try_from(credentials.pid()).unwrap_or(0);
                        }
                        ControlMessageOwned::ScmRights(numbers) => {
                            descriptors.extend(numbers.into_iter().map(inherited));
                        }
                        _ => {}
                    }
                }
                (message.bytes, !message.flags.contains(MsgFlags::MSG_TRUNC))
            }
        };
        let mut text = buffer.get(..length).unwrap_or_default();
        if !is_whole {
            // Half a line says something else, such as another process.
            let end = text.iter().rposition(|byte| *byte == b'\n');
            text = text.get(..end.unwrap_or(0)).unwrap_or_default();
        }
        let descriptors: Vec<OwnedFd> = descriptors.into_iter().flatten().collect();
        Ok(Some(Notification {
            pid,
            text: String::from_utf8_lossy(text).into_owned(),
            descriptors: descriptors.into(),
        }))
    }

    /// Takes what was looked at.
    pub fn take(&self) {
        match recv(self.socket.as_raw_fd(), &mut [], MsgFlags::MSG_DONTWAIT) {
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => {}
            Err(error) => log::error!("cannot take what a service has said: {error}"),
        }
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Notification {
    /// Whether it says that the service is ready.
    pub fn is_ready(&self) -> bool {
        self.says("READY", "1")
    }

    /// Whether it says that of itself.
    pub fn says(&self, name: &str, value: &str) -> bool {
        self.value(name) == Some(value)
    }

    /// The number that it says of that.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// What it says of that.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The name of the service in whose cgroup the process `pid` is.
pub fn service_of(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    service_in(&text, &realm().group_prefix).map(str::to_owned)
}

/// The part behind `prefix` of the path in `/proc/<pid>/cgroup`.
fn service_in<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.strip_prefix(prefix)?.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_with_their_sender() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let notifications = Notifications::listen(&path).unwrap();
        assert!(notifications.look().unwrap().is_none());
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"STATUS=x\nREADY=1", &path).unwrap();
        client.send_to(b"READY=10", &path).unwrap();
        for _ in 0..2 {
            let first = notifications.look().unwrap().unwrap();
            assert_eq!((first.pid, first.is_ready()), (std::process::id(), true));
        }
        notifications.take();
        assert!(!notifications.look().unwrap().unwrap().is_ready());
        notifications.take();
        notifications.take();
        assert!(notifications.look().unwrap().is_none());
    }

    #[test]
    fn of_too_long_a_message_whole_lines_count() {
        let (service, supervisor) = UnixDatagram::pair().unwrap();
        let notifications = Notifications::adopted(supervisor.into());
        // It would be cut behind the second digit.
        let status = "x".repeat(BYTES - "READY=1\nSTATUS=\nMAINPID=12".len());
        let text = format!("READY=1\nSTATUS={status}\nMAINPID=12345");
        service.send(text.as_bytes()).unwrap();
        let heard = notifications.look().unwrap().unwrap();
        notifications.take();
        assert_eq!((heard.is_ready(), heard.value("MAINPID")), (true, None));
        service.send(&[b'x'; BYTES + 1]).unwrap();
        assert_eq!(notifications.look().unwrap().unwrap().text, "");
    }

    fn service_in_machine(text: &str) -> Option<&str> {
        service_in(text, "/cairn/")
    }

    #[test]
    fn cgroups_name_their_service() {
        assert_eq!(service_in_machine("0::/cairn/web@1/sub\n"), Some("web@1"));
        assert_eq!(service_in_machine("1:cpu:/x\n0::/cairn/web\n"), Some("web"));
        assert_eq!(service_in_machine("0::/\n"), None);
        assert_eq!(service_in_machine(""), None);
    }
}
