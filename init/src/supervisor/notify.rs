//! The socket on which services say that they are ready, and leave descriptors.
//!
//! A message counts for the service in whose cgroup its sender is, which the kernel says. Core
//! keeps the socket: what is said while there is no supervisor is heard by the next one.
//!
//! Source: `sd_notify(3)`, `unix(7)`, `cgroups(7)`.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use cairn_sys::datagram;
use cairn_sys::handed::Handed;
use nix::sys::socket::{setsockopt, sockopt};

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
        let Some(datagram) = datagram::look(self.as_fd(), &mut buffer)? else {
            return Ok(None);
        };
        let mut text = buffer.get(..datagram.length).unwrap_or_default();
        if !datagram.is_whole {
            // Half a line says something else, such as another process.
            let end = text.iter().rposition(|byte| *byte == b'\n');
            text = text.get(..end.unwrap_or(0)).unwrap_or_default();
        }
        Ok(Some(Notification {
            pid: datagram.pid,
            text: String::from_utf8_lossy(text).into_owned(),
            descriptors: datagram.descriptors,
        }))
    }

    /// Takes what was looked at.
    pub fn take(&self) {
        if let Err(error) = datagram::take(self.as_fd()) {
            log::error!("cannot take what a service has said: {error}");
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
}
