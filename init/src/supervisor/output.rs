//! Where services write to: a pipe that we read for their logs, or that another service has as its input.
//!
//! Whoever reads it opens it for itself, so that nothing that it does to its descriptor is done to ours. Core keeps the
//! pipe in either case: what was written waits there while its reader is down, or there is no supervisor.
//!
//! Invariant: a pipe that another service reads is not read by us, who would get some of its lines.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::epoll::EpollFlags;

use crate::core::message::{Message, Place};

use super::Supervisor;
use super::graph::Id;
use super::held::Pipe;
use super::source::{Source, watch};

impl Supervisor {
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
                watch(&self.epoll, reader, Source::Pipe(id), EpollFlags::EPOLLIN)?;
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
