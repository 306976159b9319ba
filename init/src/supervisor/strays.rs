//! Children that the predecessor had when it executed this program in its own place, and that belong
//! to no service: commands that it had killed, or one that loads modules. They are reaped when they
//! end, and that is all.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use cairn_sys::{pidfd, process};
use nix::sys::epoll::{Epoll, EpollFlags};

use super::source::{Source, unwatch, watch};

/// All of them; the place is the number of their source.
#[derive(Debug, Default)]
pub struct Strays(Vec<Option<OwnedFd>>);

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
        let mut found = Vec::new();
        for pid in strays {
            let watched = pidfd::open(pid).and_then(|pidfd| {
                let source = Source::Stray(found.len());
                watch(epoll, pidfd.as_fd(), source, EpollFlags::EPOLLIN)?;
                Ok(pidfd)
            });
            match watched {
                Ok(pidfd) => found.push(Some(pidfd)),
                Err(error) => log::error!("cannot watch the child {pid}: {error}"),
            }
        }
        Self(found)
    }

    /// One more, which is reaped if it is a child of ours.
    pub fn add(&mut self, epoll: &Epoll, pidfd: OwnedFd) {
        if !process::is_child(pidfd.as_fd()) {
            return;
        }
        let source = Source::Stray(self.0.len());
        match watch(epoll, pidfd.as_fd(), source, EpollFlags::EPOLLIN) {
            Ok(()) => self.0.push(Some(pidfd)),
            Err(error) => log::error!("cannot watch a child: {error}"),
        }
    }

    /// One has ended.
    pub fn ended(&mut self, number: usize, epoll: &Epoll) {
        let Some(place) = self.0.get_mut(number) else {
            return;
        };
        if let Some(pidfd) = place.take() {
            unwatch(epoll, pidfd.as_fd());
            if let Err(error) = process::reap_pidfd(pidfd.as_fd()) {
                log::error!("cannot reap a child: {error}");
            }
        }
    }
}
