//! Main processes of services: started, watched, read from, and reaped.

use std::io;
use std::os::fd::AsFd;

use cairn_sys::process::{Exit, Report};
use nix::sys::epoll::EpollFlags;

use crate::clock::{now, since_epoch};
use crate::core::message::{Message, Place};

use super::Supervisor;
use super::graph::Id;
use super::services::Event;
use super::source::{Source, unwatch, watch};

/// Most bytes read from one pipe before others get their turn.
const PIPE_BYTES: usize = 65_536;

impl Supervisor {
    /// Starts the process of `id`; an event if that failed.
    pub(super) fn spawn(&mut self, id: Id) -> Option<Event> {
        match self.try_spawn(id) {
            Ok(()) => None,
            Err(error) => {
                log::error!("cannot start '{}': {error:#}", self.name(id));
                Some(Event::NotExecuted(id, format!("{error:#}")))
            }
        }
    }

    fn try_spawn(&mut self, id: Id) -> anyhow::Result<()> {
        let Some((held, service)) = self
            .held
            .get_mut(id)
            .zip(self.services.descriptions().get(id))
        else {
            return Ok(());
        };
        if held.ensure_pipe()?
            && let Some(pipe) = &held.pipe
        {
            let reader = pipe.reader.as_fd();
            watch(&self.epoll, reader, Source::Pipe(id), EpollFlags::EPOLLIN)?;
            let place = Place::Log { slot: held.slot };
            self.link.send(Message::Keep(place), Some(reader))?;
        }
        held.start(service)?;
        if let Some(main) = &held.main {
            let pidfd = main.pidfd.as_fd();
            let place = Place::Process {
                slot: held.slot,
                pid: main.pid,
            };
            self.link.send(Message::Keep(place), Some(pidfd))?;
            watch(&self.epoll, pidfd, Source::Main(id), EpollFlags::EPOLLIN)?;
            if let Some(report) = &main.report {
                watch(
                    &self.epoll,
                    report.as_fd(),
                    Source::Report(id),
                    EpollFlags::EPOLLIN,
                )?;
            }
        }
        Ok(())
    }

    /// The pipe says whether the program was executed.
    pub(super) fn reported(&mut self, id: Id) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        let report = held.report();
        if matches!(report, Ok(Report::Pending)) {
            return;
        }
        if let Some(report) = held.main.as_mut().and_then(|main| main.report.take()) {
            unwatch(&self.epoll, report.as_fd());
        }
        match report {
            Ok(Report::Executed) => self.step(Event::Executed(id)),
            Ok(Report::Failed(failure)) => {
                let error = io::Error::from_raw_os_error(failure.errno);
                let program = self
                    .services
                    .descriptions()
                    .get(id)
                    .and_then(|service| service.process.argv.first());
                let program = program.map_or("", String::as_str);
                held.failure = Some(format!("cannot {}: {error} ({program})", failure.step));
            }
            Ok(Report::Pending) => {}
            Err(error) => held.failure = Some(format!("cannot read its report: {error}")),
        }
    }

    /// A child of ours has ended.
    pub(super) fn main_ended(&mut self, id: Id) {
        self.reported(id);
        let Some(main) = self.held.get(id).and_then(|held| held.main.as_ref()) else {
            return;
        };
        match cairn_sys::process::reap_pidfd(main.pidfd.as_fd()) {
            Ok(Some(exit)) => self.ended(id, exit),
            Ok(None) => {}
            Err(error) => {
                // It was never our child; core tells of its end.
                log::error!("cannot reap '{}': {error}", self.name(id));
                unwatch(&self.epoll, main.pidfd.as_fd());
            }
        }
    }

    /// The main process has ended: its last words, then the news.
    pub(super) fn ended(&mut self, id: Id, exit: Exit) {
        // Its last words come before the news of its end.
        self.read_pipe(id);
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        held.journal.finish(since_epoch(), now());
        let Some(main) = held.main.take() else { return };
        unwatch(&self.epoll, main.pidfd.as_fd());
        let place = Place::Process {
            slot: held.slot,
            pid: main.pid,
        };
        let failure = held.failure.take();
        if let Err(error) = self.link.send(Message::Drop(place), None) {
            log::error!("cannot tell core: {error}");
        }
        self.step(match failure {
            Some(reason) => {
                log::error!("cannot start '{}': {reason}", self.name(id));
                Event::NotExecuted(id, reason)
            }
            None => Event::Exited(id, exit),
        });
    }

    /// Takes what a service has written.
    pub(super) fn read_pipe(&mut self, id: Id) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        let Some(pipe) = &held.pipe else { return };
        let mut buffer = [0; 16_384];
        let mut total = 0;
        while total < PIPE_BYTES {
            match nix::unistd::read(&pipe.reader, &mut buffer) {
                Ok(0) | Err(nix::errno::Errno::EAGAIN) => return,
                Ok(length) => {
                    total += length;
                    let bytes = buffer.get(..length).unwrap_or_default();
                    held.journal.write(bytes, since_epoch(), now());
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    log::error!("cannot read the output of service {id}: {error}");
                    return unwatch(&self.epoll, pipe.reader.as_fd());
                }
            }
        }
    }
}
