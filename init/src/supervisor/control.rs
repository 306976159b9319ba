//! The control socket's connections: bounded in number, bytes and time, whatever a client does.
//!
//! A connection asks once. What it may ask for depends on who has made it, see [`super::access`]; those
//! that are not root may hold only some of the places, so that nobody can lock root out.

use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use cairn_sys::datagram;
use cairn_sys::peer::{self, Peer};
use cairn_system::control::{REQUEST_BYTES, Request, Response};

use super::graph::Id;
use crate::clock::Ms;
use crate::realm::realm;

/// Connections at a time, and how many of them may be other users'.
pub const PLACES: usize = 64;
const OTHERS: usize = 32;

/// Time to send the request, and to read the answer, in milliseconds.
const PATIENCE_MS: Ms = 5_000;

/// Longest time that a request about a service is left without an answer, in milliseconds.
const ANSWER_MS: Ms = 120_000;

/// How long nobody new is listened to when a connection could not be taken, in milliseconds.
const REST_MS: Ms = 100;

/// The socket and its connections.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    connections: Vec<Option<Connection>>,
    /// Whether the last connection could not be taken.
    fails: bool,
    /// Until when nobody new is listened to, since none can be taken.
    rests: Option<Ms>,
}

/// A request, and who is waiting for its answer.
#[derive(Debug)]
pub struct Asked {
    /// The connection's place.
    pub place: usize,
    /// What it wants.
    pub request: Request,
    /// Who wants it.
    pub peer: Peer,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    peer: Peer,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    waits_for: Option<Wait>,
    /// When it is closed; none while it waits for as long as it likes.
    deadline: Option<Ms>,
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// This service has settled, and is to be up.
    Up(Id),
    /// The same, and it is to be down.
    Down(Id),
    /// All services have.
    Everything,
    /// What a switch stops is down.
    Prepared,
    /// The switch is about to happen.
    Switch,
}

impl Server {
    /// Goes on with the socket that a predecessor has listened on: who has asked meanwhile waits.
    ///
    /// # Errors
    /// It cannot be made not to block.
    pub fn adopted(listener: OwnedFd) -> io::Result<Self> {
        let listener = UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        Ok(Self::on(listener))
    }

    fn on(listener: UnixListener) -> Self {
        Self {
            listener,
            connections: (0..PLACES).map(|_| None).collect(),
            fails: false,
            rests: None,
        }
    }

    /// Listens at `path`, in place of a socket that an earlier supervisor left there.
    ///
    /// # Errors
    /// The directory cannot be made, or the socket cannot be bound.
    pub fn listen(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        // Everybody may ask; who asks decides what is answered.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        Ok(Self::on(listener))
    }

    /// The socket to wait on for new connections.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Takes one new connection, if there is one: its place. One for which there is none is closed.
    pub fn accept(&mut self, now: Ms) -> io::Result<Option<usize>> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => {
                self.fails = false;
                stream
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        let peer = peer::of(&stream)?;
        let root = realm().obeys(peer.uid);
        let others = self
            .connections
            .iter()
            .flatten()
            .filter(|c| !realm().obeys(c.peer.uid))
            .count();
        let connection = Connection {
            stream,
            peer,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            waits_for: None,
            deadline: Some(now.saturating_add(PATIENCE_MS)),
        };
        let free = self.connections.iter().position(Option::is_none);
        let free = free.filter(|_| root || others < OTHERS);
        if let Some(place) = free.and_then(|free| self.connections.get_mut(free)) {
            *place = Some(connection);
        }
        Ok(free)
    }

    /// The stream at `place`.
    pub fn stream(&self, place: usize) -> Option<&UnixStream> {
        self.connections.get(place)?.as_ref().map(|c| &c.stream)
    }

    /// Reads what has come: a whole request, if it is one. Anything else that is whole is answered here.
    pub fn read(&mut self, place: usize, now: Ms) -> Option<Asked> {
        let connection = self.connections.get_mut(place)?.as_mut()?;
        if !connection.output.is_empty() || connection.waits_for.is_some() {
            // It has asked already. Its silence is fine; its going away is seen when answering.
            if connection.is_gone() {
                self.close(place);
            }
            return None;
        }
        match connection.read_line() {
            Ok(None) => None,
            Ok(Some(line)) => match Request::parse(&line) {
                Err(error) => {
                    self.fail(place, &error.to_string(), now);
                    None
                }
                Ok(request) => {
                    let peer = connection.peer.clone();
                    Some(Asked {
                        place,
                        request,
                        peer,
                    })
                }
            },
            Err(_) => {
                // It sent too much, or went away: it gets nothing.
                self.close(place);
                None
            }
        }
    }

    /// Notes that the answer comes later. One about a service is not waited for for ever; all
    /// others are until the client goes away.
    pub fn wait_for(&mut self, place: usize, wait: Wait, now: Ms) {
        if let Some(Some(connection)) = self.connections.get_mut(place) {
            connection.waits_for = Some(wait);
            connection.deadline = match wait {
                Wait::Up(_) | Wait::Down(_) => Some(now.saturating_add(ANSWER_MS)),
                Wait::Everything | Wait::Prepared | Wait::Switch => None,
            };
        }
    }

    /// Who waits for what.
    pub fn waiting(&self) -> Vec<(usize, Wait)> {
        self.connections
            .iter()
            .enumerate()
            .filter_map(|(place, connection)| Some((place, connection.as_ref()?.waits_for?)))
            .collect()
    }

    /// Answers; returns whether the connection still has bytes to take.
    pub fn answer(&mut self, place: usize, response: &Response, now: Ms) {
        let Some(Some(connection)) = self.connections.get_mut(place) else {
            return;
        };
        match serde_json::to_vec(response) {
            Ok(mut line) => {
                line.push(b'\n');
                connection.output = line;
                connection.waits_for = None;
                connection.deadline = Some(now.saturating_add(PATIENCE_MS));
                self.write(place);
            }
            Err(error) => {
                log::error!("cannot write an answer: {error}");
                self.close(place);
            }
        }
    }

    /// Answers that it could not be done.
    pub fn fail(&mut self, place: usize, reason: &str, now: Ms) {
        let reason = reason.to_owned();
        self.answer(place, &Response::Failed { reason }, now);
    }

    /// Writes what the client takes; closes when it has all.
    pub fn write(&mut self, place: usize) {
        let Some(Some(connection)) = self.connections.get_mut(place) else {
            return;
        };
        if connection.output.is_empty() {
            return;
        }
        loop {
            let rest = connection
                .output
                .get(connection.written..)
                .unwrap_or_default();
            if rest.is_empty() {
                return self.close(place);
            }
            match connection.stream.write(rest) {
                Ok(written) => connection.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(place), // it went away
            }
        }
    }

    /// When [`Server::expire`] is due.
    pub fn next_deadline(&self) -> Option<Ms> {
        let connections = self.connections.iter().flatten();
        let deadlines = connections.filter_map(|c| c.deadline);
        deadlines.chain(self.rests).min()
    }

    /// No connection can be taken, which would wake us again at once: nobody new is listened to for a while. Whether
    /// that is news.
    pub fn rest(&mut self, now: Ms) -> bool {
        self.rests = Some(now.saturating_add(REST_MS));
        !std::mem::replace(&mut self.fails, true)
    }

    /// Whether somebody new is to be listened to again.
    pub fn is_rested(&mut self, now: Ms) -> bool {
        self.rests.take_if(|until| *until <= now).is_some()
    }

    /// Closes those that were too slow; those that wait for a service are told so.
    pub fn expire(&mut self, now: Ms) {
        for place in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get(place) else {
                continue;
            };
            if connection.deadline.is_none_or(|at| at > now) {
                continue;
            }
            if connection.waits_for.is_some() {
                self.fail(place, "it is still under way; see cairn status", now);
            } else {
                self.close(place);
            }
        }
    }

    fn close(&mut self, place: usize) {
        if let Some(connection) = self.connections.get_mut(place) {
            *connection = None;
        }
    }
}

impl Connection {
    /// Reads some of what has come. Descriptors that came along are for nobody.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        datagram::next(self.stream.as_fd(), buffer).map(|(length, _)| length)
    }

    /// The request's line, once it is whole.
    fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut buffer = [0; 1024];
        loop {
            match self.receive(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.input
                        .extend_from_slice(buffer.get(..length).unwrap_or_default());
                    if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                        self.input.truncate(end);
                        return Ok(Some(String::from_utf8_lossy(&self.input).into_owned()));
                    }
                    if self.input.len() >= REQUEST_BYTES {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the client has gone; what it sends after its request is dropped.
    fn is_gone(&mut self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut buffer = [0; 1024];
        match self.receive(&mut buffer) {
            Ok(0) => {
                // Half closed is allowed: it may still read.
                let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
                let polled = poll(&mut fds, PollTimeout::ZERO);
                polled.is_err()
                    || fds.iter().any(|fd| {
                        fd.revents().is_some_and(|events| {
                            events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)
                        })
                    })
            }
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Drop for Connection {
    /// Nothing is left in it, such as descriptors, that would have to be closed with it.
    fn drop(&mut self) {
        if let Err(error) = self.stream.shutdown(Shutdown::Read) {
            log::debug!("cannot shut a control connection down: {error}");
        }
        let mut buffer = [0; 1024];
        while self.receive(&mut buffer).is_ok_and(|length| length > 0) {}
    }
}
