//! Connections: who is at the other end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{UnixAddr, getsockname, getsockopt, sockopt};

/// Who is at the other end of a connection: where it counts as coming from, what else is known of it,
/// and its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// An address, or a user.
    pub source: String,
    /// A port, or a process.
    pub detail: String,
    /// `REMOTE_ADDR` and `REMOTE_PORT`, of an address.
    pub variables: Vec<(String, String)>,
}

/// Takes one connection, if there is one.
///
/// # Errors
/// None can be taken: descriptors or memory are short.
pub fn take(listener: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, Peer)>> {
    let listener = listener.try_clone_to_owned()?;
    let taken = if getsockname::<UnixAddr>(listener.as_raw_fd()).is_ok() {
        let listener = std::os::unix::net::UnixListener::from(listener);
        listener.accept().and_then(|(stream, _)| {
            let peer = getsockopt(&stream, sockopt::PeerCredentials)?;
            let peer = Peer {
                source: format!("user {}", peer.uid()),
                detail: format!("process {}", peer.pid()),
                variables: Vec::new(),
            };
            Ok((stream.into(), peer))
        })
    } else {
        let listener = std::net::TcpListener::from(listener);
        listener
            .accept()
            .map(|(stream, address)| (stream.into(), Peer::at(address)))
    };
    match taken {
        Ok(taken) => Ok(Some(taken)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted => Ok(None),
            _ => Err(error),
        },
    }
}

impl Peer {
    fn at(address: SocketAddr) -> Self {
        // One of IPv4 is the same wherever it is listened to.
        let source = address.ip().to_canonical().to_string();
        let port = address.port().to_string();
        Self {
            variables: vec![
                ("REMOTE_ADDR".to_owned(), source.clone()),
                ("REMOTE_PORT".to_owned(), port.clone()),
            ],
            detail: format!("port {port}"),
            source,
        }
    }

    /// For people, and for whoever counts connections.
    pub fn note(&self) -> String {
        format!("from {}, {}", self.source, self.detail)
    }

    /// Whether a note of that kind is of this source.
    pub fn is_noted(&self, note: &str) -> bool {
        let source = note.strip_prefix("from ").and_then(|n| n.split_once(", "));
        source.is_some_and(|(source, _)| source == self.source)
    }
}
