//! The supervisor's end of its link to core.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cairn_sys::seqpacket;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::core::message::{self, Message, Place};

/// How long core may take to answer, in milliseconds; it does nothing else.
const PATIENCE_MS: u16 = 10_000;

/// The link.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
}

/// What core has kept for us.
#[derive(Debug)]
pub struct Inheritance {
    /// In the order of its messages.
    pub kept: Vec<(Place, OwnedFd)>,
    /// Ends of processes that it has told meanwhile, among others.
    pub messages: Vec<Message>,
    /// The version of what it understands.
    pub core: u32,
}

impl Link {
    /// Takes the link over from standard input, which is `/dev/null` from then on.
    ///
    /// # Errors
    /// Standard input is not open, or no descriptor is left.
    pub fn from_standard_input() -> io::Result<Self> {
        let inherited = seqpacket::inherited(0)?;
        let socket = inherited.try_clone()?;
        drop(inherited);
        // The lowest free number is 0; this process is single-threaded.
        std::mem::forget(File::open("/dev/null")?);
        Ok(Self { socket })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Core does not read: it is gone, and so is everything.
    pub fn send(&self, message: Message, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        loop {
            match seqpacket::send(self.socket.as_fd(), &message.encode(), descriptor) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::POLLOUT)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// The next message, if one has come.
    ///
    /// # Errors
    /// Core is gone.
    pub fn receive(&self) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
        let mut buffer = [0; message::BYTES];
        loop {
            return match seqpacket::receive(self.socket.as_fd(), &mut buffer) {
                Ok((0, _)) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((length, descriptor)) => {
                    match buffer.get(..length).and_then(Message::decode) {
                        Some(message) => Ok(Some((message, descriptor))),
                        None => continue, // a later generation's core says more than we know
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Asks core for all that it keeps.
    ///
    /// # Errors
    /// Core is gone or does not answer.
    pub fn inherit(&self) -> io::Result<Inheritance> {
        let version = message::VERSION;
        self.send(Message::Hello { version }, None)?;
        let mut kept = Vec::new();
        let mut messages = Vec::new();
        loop {
            match self.receive()? {
                None => self.wait(PollFlags::POLLIN)?,
                Some((Message::KeptAll { version }, _)) => {
                    return Ok(Inheritance {
                        kept,
                        messages,
                        core: version,
                    });
                }
                Some((Message::Keep(place), Some(descriptor))) => {
                    kept.push((place, descriptor));
                }
                Some((message, _)) => messages.push(message),
            }
        }
    }

    fn wait(&self, events: PollFlags) -> io::Result<()> {
        let mut fds = [PollFd::new(self.socket.as_fd(), events)];
        match poll(&mut fds, PollTimeout::from(PATIENCE_MS)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
