//! Descriptors of services: what sockets listen on, connections, and what services have left with us.
//!
//! Core keeps each under the slot of its service and a number:
//! ```text
//! of a socket    0, 1, …      in the order of its description
//! of a path      0            what watches
//! of an instance 0            its connection, until its process is executed
//! of any service READY        what it says through a pipe that it is ready
//!                NETWORK, IPC namespaces that it has in common with others, while it is not down
//! of any other   STORED + n   the n-th that it has left (`FDSTORE=1`), whose name is in the state
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cairn_system::{Service, StandardStream};

use super::environment::Environment;
use super::graph::Id;
use super::held::Held;
use super::listening;
use super::open_files;
use super::peer::Peer;
use super::unit::Ms;

/// The number of the first that a service has left.
pub const STORED: u32 = 1 << 16;

/// The number of the pipe through which a service says that it is ready.
pub const READY: u32 = STORED - 1;

/// The number of a network that it has in common with others.
pub const NETWORK: u32 = STORED - 2;

/// The number of message queues and the like that it has in common with others.
pub const IPC: u32 = STORED - 3;

/// One descriptor of a service.
#[derive(Debug)]
pub struct Own {
    /// Its number with core.
    pub number: u32,
    /// What the service calls it, if it has left it.
    pub name: String,
    /// Itself.
    pub descriptor: OwnedFd,
}

impl Own {
    /// Whether it is not the service's, but ours to do something with.
    pub fn is_ours(&self) -> bool {
        (IPC..STORED).contains(&self.number)
    }
}

/// What a process is given.
#[derive(Debug, Default)]
pub struct Given {
    /// Descriptors from 3 on, and their names.
    pub passed: Vec<(String, OwnedFd)>,
    /// What some of its first three are.
    pub stream: Option<OwnedFd>,
    /// Its standard input, if that is the output of another service.
    pub input: Option<OwnedFd>,
    /// The one of this number through which it says that it is ready.
    pub readiness: Option<(u8, OwnedFd)>,
    /// What it is told of why it was started.
    pub variables: Vec<(String, String)>,
}

/// What a start is owed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A socket or path, and the path that is as it waits for.
    Unit(String, Option<String>),
    /// A connection.
    Connection(Peer),
    /// A timer, at this time of the wall clock and of `CLOCK_MONOTONIC`, in milliseconds.
    Timer(String, Ms, Ms),
}

impl Given {
    /// What the main process of the service `id` is given; `sockets` are those that may be for it.
    ///
    /// # Errors
    /// No descriptor is left, a file cannot be opened for it, or it has a standard stream of one where there are others.
    pub fn new(id: Id, sockets: &[Id], services: &[Service], held: &[Held]) -> io::Result<Self> {
        let Some((service, own)) = services.get(id).zip(held.get(id)) else {
            return Ok(Self::default());
        };
        let mut passed = Vec::new();
        let sockets = sockets.iter().filter_map(|id| {
            let (other, held) = services.get(*id).zip(held.get(*id))?;
            let socket = other.socket.as_ref()?;
            (!socket.accept && socket.service == service.name).then_some((other, socket, held))
        });
        for (other, socket, held) in sockets {
            let name = socket.descriptor_name.as_deref();
            let name = name.unwrap_or(other.name.as_str());
            for one in &held.own {
                listening::block(one.descriptor.as_fd(), !service.process.non_blocking)?;
                passed.push((name.to_owned(), one.descriptor.try_clone()?));
            }
        }
        for one in own.own.iter().filter(|one| !one.is_ours()) {
            let name = if one.number < STORED {
                "connection"
            } else {
                &one.name
            };
            passed.push((name.to_owned(), one.descriptor.try_clone()?));
        }
        let mut stream = None;
        if !service.process.connected.is_empty() {
            if passed.len() != 1 {
                return Err(io::Error::other(format!(
                    "its standard streams are to be its socket, but it is given {}",
                    passed.len()
                )));
            }
            stream = passed.pop().map(|(_, descriptor)| descriptor);
        }
        passed.extend(open_files::open(service)?);
        Ok(Self {
            passed,
            stream,
            input: None,
            readiness: None,
            variables: own
                .trigger
                .as_deref()
                .map_or_else(Vec::new, Trigger::variables),
        })
    }

    /// Adds what the process is told.
    pub fn describe(&self, environment: &mut Environment) {
        environment.extend(self.variables.iter().cloned());
        if self.passed.is_empty() {
            return;
        }
        let names: Vec<&str> = self.passed.iter().map(|(name, _)| name.as_str()).collect();
        environment.insert("LISTEN_FDS".to_owned(), names.len().to_string());
        environment.insert("LISTEN_FDNAMES".to_owned(), names.join(":"));
    }

    /// The descriptor that this standard stream is.
    pub fn stream(&self, service: &Service, stream: StandardStream) -> Option<&OwnedFd> {
        let connected = &service.process.connected;
        self.stream.as_ref().filter(|_| connected.contains(&stream))
    }
}

impl Trigger {
    /// What a process is told of it.
    pub fn variables(&self) -> Vec<(String, String)> {
        match self {
            Self::Timer(timer, wall, monotonic) => {
                let microseconds = |time: &Ms| time.saturating_mul(1000).to_string();
                [
                    ("TRIGGER_UNIT", timer.clone()),
                    ("TRIGGER_TIMER_REALTIME_USEC", microseconds(wall)),
                    ("TRIGGER_TIMER_MONOTONIC_USEC", microseconds(monotonic)),
                ]
                .map(|(name, value)| (name.to_owned(), value))
                .into()
            }
            Self::Unit(unit, path) => {
                let path = path.clone().map(|path| ("TRIGGER_PATH".to_owned(), path));
                let unit = ("TRIGGER_UNIT".to_owned(), unit.clone());
                std::iter::once(unit).chain(path).collect()
            }
            Self::Connection(peer) => peer.variables.clone(),
        }
    }
}
