//! Where services write to: a pipe that we read for their logs, or that another service has as its input.
//!
//! Whoever reads it opens it for itself, so that nothing that it does to its descriptor is done to ours. Core keeps the
//! pipe in either case: what was written waits there while its reader is down, or there is no supervisor.
//!
//! Invariants: a pipe that another service reads is not read by us, who would get some of its lines. A line that has not
//! ended stays in the pipe, so that we are woken by what comes, not by what is there.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::core::message::{Message, Place};

use super::Supervisor;
use super::graph::Id;
use super::held::Pipe;
use super::intake::{Log, Taken, Until};
use super::source::{Source, unwatch, watch};

/// Most bytes logged of one service before others get their turn.
const TURN_BYTES: usize = 65_536;

/// A service has written something since it was last looked at.
pub const NEWS: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLET);

impl Supervisor {
    /// Logs the lines that a service has written.
    pub(super) fn read_pipe(&mut self, id: Id) {
        self.drain(id, Until::Line);
    }

    /// Its process has ended: what it has written last is a line, whether it ends as one or not.
    pub(super) fn read_last_words(&mut self, id: Id) {
        self.drain(id, Until::Nothing);
    }

    fn drain(&mut self, id: Id, until: Until) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        let is_ours = !self.services.has_reader(id);
        let Some(pipe) = held.pipe.as_ref().filter(|_| is_ours) else {
            return;
        };
        let mut log = Log {
            slot: held.slot,
            journal: &mut held.journal,
            state: &self.state,
        };
        let mut total = 0;
        while total < TURN_BYTES {
            match self.intake.take(pipe.as_fd(), &mut log, until) {
                Ok(Taken::Bytes(length)) => total += length,
                Ok(Taken::Nothing) => return,
                Ok(Taken::End) => {
                    // Nobody writes to it any more, and nobody can: the next start makes another one.
                    unwatch(&self.epoll, pipe.as_fd());
                    held.pipe = None;
                    return;
                }
                Err(error) => {
                    log::error!("cannot read the output of service {id}: {error}");
                    return unwatch(&self.epoll, pipe.as_fd());
                }
            }
        }
        // What is left is news.
        let mut event = EpollEvent::new(NEWS, Source::Pipe(id).encode());
        if let Err(error) = self.epoll.modify(pipe.as_fd(), &mut event) {
            log::error!("cannot watch the output of service {id}: {error}");
        }
    }

    /// Makes the pipe that the service writes to, if there is none.
    pub(super) fn ensure_pipe(&mut self, id: Id) -> anyhow::Result<()> {
        let Some(held) = self.held.get_mut(id) else {
            return Ok(());
        };
        if !held.ensure_pipe()? {
            return Ok(());
        }
        if let Some(pipe) = &held.pipe {
            let reader = pipe.as_fd();
            if !self.services.has_reader(id) {
                watch(&self.epoll, reader, Source::Pipe(id), NEWS)?;
            }
            let place = Place::Log { slot: held.slot };
            self.link.send(Message::Keep(place), Some(reader))?;
        }
        Ok(())
    }

    /// What the service's input is, if that is the output of another one.
    pub(super) fn input(&mut self, id: Id) -> anyhow::Result<Option<OwnedFd>> {
        let service = self.services.descriptions().get(id);
        let other = service.and_then(|service| service.reads_output_of.as_ref());
        let Some(other) = other.and_then(|name| self.id_of(name.as_str())) else {
            return Ok(None);
        };
        self.ensure_pipe(other)?;
        let pipe = self.held.get(other).and_then(|held| held.pipe.as_ref());
        Ok(pipe.map(Pipe::reader).transpose()?)
    }
}
