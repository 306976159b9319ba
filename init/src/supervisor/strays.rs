//! Children that are no main process and no command of a service: commands that a predecessor had killed
//! when it executed this program in its own place, one that loads modules, and those that were main processes
//! until their service has named another one. They are reaped when they end.
//!
//! A main process that is not our child falls to core when its parent ends, and core tells of its end. Where the
//! parent takes its end itself, nobody does: then the service ends with the parent, as that does.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use cairn_sys::process::Exit;
use cairn_sys::{pidfd, process};
use nix::sys::epoll::{Epoll, EpollFlags};

use super::graph::Id;
use super::held::Main;
use super::source::{Source, unwatch, watch};
use super::{Supervisor, realm};

/// All of them; the place is the number of their source.
#[derive(Debug, Default)]
pub struct Strays(Vec<Option<Stray>>);

#[derive(Debug)]
struct Stray {
    pid: u32,
    pidfd: OwnedFd,
}

impl Strays {
    /// Watches our children but those that are `known`.
    pub fn find(epoll: &Epoll, known: impl Fn(u32) -> bool) -> Self {
        let path = "/proc/thread-self/children";
        let text = fs::read_to_string(path).unwrap_or_else(|error| {
            // A kernel without that list: they stay as zombies.
            log::warn!("cannot read {path}: {error}");
            String::new()
        });
        let strays = text
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .filter(|pid| !known(*pid));
        let mut found = Self::default();
        for pid in strays {
            match pidfd::open(pid) {
                Ok(pidfd) => found.watch(epoll, Stray { pid, pidfd }),
                Err(error) => log::error!("cannot watch the child {pid}: {error}"),
            }
        }
        found
    }

    /// What was a main process is one, if it is a child of ours.
    pub fn add(&mut self, epoll: &Epoll, main: Main) {
        let Main { pid, pidfd, .. } = main;
        if process::is_child(pidfd.as_fd()) {
            self.watch(epoll, Stray { pid, pidfd });
        }
    }

    fn watch(&mut self, epoll: &Epoll, stray: Stray) {
        let place = self.0.iter().position(Option::is_none);
        let place = place.unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        let source = Source::Stray(place);
        match watch(epoll, stray.pidfd.as_fd(), source, EpollFlags::EPOLLIN) {
            Ok(()) => {
                if let Some(place) = self.0.get_mut(place) {
                    *place = Some(stray);
                }
            }
            Err(error) => log::error!("cannot watch the child {}: {error}", stray.pid),
        }
    }

    /// This one is a main process again; whether it is one of them.
    pub fn take_back(&mut self, epoll: &Epoll, pid: u32) -> bool {
        let is_it = |stray: &mut Stray| stray.pid == pid;
        let taken = self.0.iter_mut().find_map(|place| place.take_if(is_it));
        if let Some(stray) = &taken {
            unwatch(epoll, stray.pidfd.as_fd());
        }
        taken.is_some()
    }

    /// One has ended: how, and the service that it was of.
    fn ended(&mut self, number: usize, epoll: &Epoll) -> Option<(Exit, Option<String>)> {
        let place = self.0.get_mut(number)?;
        let stray = place.as_ref()?;
        // Until it is reaped it is in its group.
        let service = realm().service_of(stray.pid);
        match process::reap_pidfd(stray.pidfd.as_fd()) {
            Ok(exit) => {
                let exit = exit?;
                unwatch(epoll, stray.pidfd.as_fd());
                *place = None;
                Some((exit, service))
            }
            Err(error) => {
                log::error!("cannot reap the child {}: {error}", stray.pid);
                unwatch(epoll, stray.pidfd.as_fd());
                *place = None;
                None
            }
        }
    }
}

impl Supervisor {
    /// One that is no main process has ended.
    pub(super) fn stray_ended(&mut self, number: usize) -> anyhow::Result<()> {
        let Some((exit, service)) = self.strays.ended(number, &self.epoll) else {
            return Ok(());
        };
        // What core knows of main processes is the truth of them.
        self.hear_core()?;
        self.hear_all();
        if let Some(id) = service.and_then(|name| self.id_of(&name))
            && self.has_lost_main(id)
            && !self.goes_on(id, exit)
        {
            self.ended(id, exit);
        }
        Ok(())
    }

    /// Whether somebody has taken the end of its main process who did not tell of it.
    fn has_lost_main(&self, id: Id) -> bool {
        let main = self.held.get(id).and_then(|held| held.main.as_ref());
        main.is_some_and(|main| !pidfd::is_there(main.pidfd.as_fd()))
    }
}
