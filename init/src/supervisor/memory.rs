//! What the kernel kills of services for want of memory.
//!
//! It counts that for each control group, in a file that wakes us when it changes. Only files of services whose memory
//! has bounds are held open: any other service is looked at when its main process has ended. What was killed before a
//! service's present start is noted at its group, for a successor.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst`, `memory.events`; `OOMPolicy=` of `systemd.service(5)`.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use cairn_sys::cgroup::{Cgroup, MemoryEvents};
use cairn_sys::process::Exit;
use cairn_sys::xattr;
use cairn_system::Service;
use nix::libc::SIGKILL;
use nix::sys::epoll::EpollFlags;

use super::Supervisor;
use super::graph::Id;
use super::held::Held;
use super::services::Event;
use super::source::{Source, unwatch, watch};

/// The status of a shell whose last command was ended by SIGKILL.
const SHELL_KILLED: i32 = 128 + SIGKILL;

/// The attribute of a group that has the number of what was killed before.
const KILLED_BEFORE: &CStr = c"user.cairn.killed-before";

/// What was killed of one service.
#[derive(Debug, Default)]
pub struct Shortage {
    /// How many processes before its last start. Of what is not watched, a successor does not know it.
    before: u64,
    /// How many the log tells of.
    told: u64,
    /// What wakes us.
    events: Option<MemoryEvents>,
}

/// Whether we hear of it at once when a process of it is killed. If all of them are, so is its main process.
fn is_watched(service: &Service) -> bool {
    let mut files = service.cgroup.iter();
    let ends_at_once = service
        .cgroup
        .get("memory.oom.group")
        .is_some_and(|all| all == "1");
    service.kind.has_process()
        && !ends_at_once
        && files.any(|(file, bound)| file.starts_with("memory.") && bound != "max")
}

/// Whether it is stopped when a process of it has been killed.
pub fn is_stopped(service: &Service) -> bool {
    is_watched(service) && !service.goes_on_after_oom
}

impl Held {
    /// It is started: what was killed of it before does not count.
    pub fn forget_killed(&mut self, service: &Service) {
        let before = self.count_killed();
        self.shortage.before = before;
        if before > 0
            && is_watched(service)
            && let Some(group) = &self.cgroup
            && let Err(error) = note(group, before)
        {
            log::warn!(
                "cannot note what was killed of '{}': {error}; after the supervisor's end it counts again",
                service.name
            );
        }
    }

    /// Whether a process of it was killed for want of memory since its start.
    pub fn is_short_of_memory(&self) -> bool {
        self.count_killed() > self.shortage.before
    }

    /// None are counted without a group, or where nobody counts the memory of groups.
    fn count_killed(&self) -> u64 {
        let events = self.cgroup.as_ref().map(Cgroup::memory_events);
        let killed = events.and_then(Result::ok).map(|events| events.killed());
        killed.and_then(Result::ok).unwrap_or(0)
    }
}

fn note(group: &Cgroup, before: u64) -> io::Result<()> {
    xattr::set(group.directory()?, KILLED_BEFORE, &before.to_ne_bytes())
}

/// None if nothing was killed before.
fn noted(group: &Cgroup) -> Option<u64> {
    let value = xattr::get(group.directory().ok()?, KILLED_BEFORE).ok()??;
    Some(u64::from_ne_bytes(value.try_into().ok()?))
}

impl Supervisor {
    /// It is started, or was by a predecessor: from now on we hear of what is killed, first of what was already.
    pub(super) fn watch_memory(&mut self, id: Id) {
        let service = self.services.descriptions().get(id);
        let Some((held, service)) = self.held.get_mut(id).zip(service) else {
            return;
        };
        if let Some(events) = held.shortage.events.take() {
            unwatch(&self.epoll, events.as_fd());
        }
        if !is_watched(service) {
            return;
        }
        held.ensure_cgroup(service);
        let Some(group) = &held.cgroup else { return };
        held.shortage.before = noted(group).unwrap_or(held.shortage.before);
        held.shortage.told = held.shortage.before;
        let watched = group.memory_events().and_then(|events| {
            let source = Source::Memory(id);
            watch(&self.epoll, events.as_fd(), source, EpollFlags::EPOLLPRI)?;
            Ok(events)
        });
        match watched {
            Ok(events) => held.shortage.events = Some(events),
            // Nobody counts: that its bounds are refused was told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::error!(
                "cannot watch the memory of '{}': {error}; it goes on when a process of it is killed",
                service.name
            ),
        }
    }

    /// Something has come of its bounds.
    pub(super) fn memory_news(&mut self, id: Id) {
        let service = self.services.descriptions().get(id);
        let Some((held, service)) = self.held.get_mut(id).zip(service) else {
            return;
        };
        let shortage = &mut held.shortage;
        match shortage.events.as_ref().map(MemoryEvents::killed) {
            Some(Ok(killed)) if killed > shortage.told => {
                shortage.told = killed;
                log::warn!(
                    "the kernel has killed a process of '{}': memory had run out",
                    service.name
                );
                if is_stopped(service) {
                    self.step(Event::ShortOfMemory(id));
                }
            }
            // Its group has been removed.
            Some(Err(_)) => {
                if let Some(events) = shortage.events.take() {
                    unwatch(&self.epoll, events.as_fd());
                }
            }
            _ => {}
        }
    }

    /// Whether memory had run out is news before the end itself is.
    pub(super) fn hear_of_memory(&mut self, id: Id, exit: Exit) {
        let service = self.services.descriptions().get(id);
        let is_short = (self.held.get(id).zip(service)).is_some_and(|(held, service)| {
            (is_kill(exit) || is_stopped(service)) && held.is_short_of_memory()
        });
        if is_short {
            self.step(Event::ShortOfMemory(id));
        }
    }
}

/// Whether it, or what a shell waited for last, was ended by SIGKILL.
fn is_kill(exit: Exit) -> bool {
    matches!(exit, Exit::Signal(SIGKILL) | Exit::Status(SHELL_KILLED))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::supervisor::journal::Journal;

    fn service(bounds: &str) -> Service {
        let text = format!(
            r#"{{"name":"a","kind":"simple","wantedAtBoot":true,"process":{{"argv":["/bin/x"]}},{bounds}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_has_bounds_of_memory_is_watched() {
        let check = |bounds: &str| (is_watched(&service(bounds)), is_stopped(&service(bounds)));
        assert_eq!(check(r#""cgroup":{"pids.max":"9"}"#), (false, false));
        assert_eq!(check(r#""cgroup":{"memory.max":"max"}"#), (false, false));
        assert_eq!(check(r#""cgroup":{"memory.max":"1M"}"#), (true, true));
        assert_eq!(
            check(r#""cgroup":{"memory.max":"1M"},"goesOnAfterOom":true"#),
            (true, false)
        );
        assert_eq!(
            check(r#""cgroup":{"memory.max":"1M","memory.oom.group":"1"}"#),
            (false, false)
        );
    }

    #[test]
    fn what_was_killed_for_memory_is_counted() {
        let service = service(r#""cgroup":{"memory.max":"1M"}"#);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        let mut held = Held::new(0, Journal::new(folder.path(), "a"));
        assert!(!held.is_short_of_memory());
        let group = || Cgroup::create(folder.path()).unwrap();
        held.cgroup = Some(group());
        assert!(!held.is_short_of_memory(), "nobody counts");
        let events = folder.path().join("memory.events");
        let have_been_killed = |count: &str| {
            let text = format!("low 0\nhigh 7\nmax 4\noom 3\noom_kill {count}\noom_group_kill 1\n");
            fs::write(&events, text).unwrap();
        };
        have_been_killed("2");
        assert!(held.is_short_of_memory());
        assert_eq!(noted(&group()), None);
        held.forget_killed(&service);
        assert!(!held.is_short_of_memory());
        assert_eq!(noted(&group()), Some(2));
        have_been_killed("3");
        assert!(held.is_short_of_memory());
        have_been_killed("many");
        assert!(!held.is_short_of_memory());
    }
}
