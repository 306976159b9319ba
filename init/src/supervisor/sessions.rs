//! A user's supervisor and the sessions that it is there for: with the last one it ends, unless the
//! user's services linger.
//!
//! One that has been started by hand, without any session, stays.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use cairn_sys::inotify;
use cairn_sys::reboot::Ending;
use nix::sys::epoll::EpollFlags;

use crate::realm::realm;
use crate::user::session::{self, SESSIONS};

use super::Supervisor;
use super::source::{Source, unwatch, watch};

/// Where the machine's supervisor hears its services.
const MACHINES_NOTIFICATIONS: &str = "/run/cairn/notify";

/// The sessions, as far as somebody is interested in them.
#[derive(Debug, Default)]
pub struct Sessions {
    queue: Option<OwnedFd>,
    leaders: Vec<(u32, OwnedFd)>,
}

impl Supervisor {
    /// Looks at the sessions from now on, if these are services of a user that do not linger.
    pub(super) fn watch_sessions(&mut self) {
        let Some(owner) = realm().owner.as_ref().filter(|owner| !owner.lingers) else {
            return;
        };
        let directory = session::directory(Path::new(SESSIONS), owner.credentials.uid);
        let queue = inotify::open().and_then(|queue| {
            inotify::add(queue.as_fd(), &directory, inotify::MOVED_TO)?;
            let flags = EpollFlags::EPOLLIN;
            watch(&self.epoll, queue.as_fd(), Source::Sessions, flags)?;
            Ok(queue)
        });
        match queue {
            Ok(queue) => self.sessions.queue = Some(queue),
            // There is none, and services that nobody has logged in for go on until they are stopped.
            Err(error) => log::info!("there are no sessions in {}: {error}", directory.display()),
        }
        self.look_at_sessions();
    }

    /// Something has come.
    pub(super) fn session_news(&mut self) {
        if let Some(queue) = &self.sessions.queue
            && let Err(error) = inotify::read(queue.as_fd())
        {
            log::error!("cannot hear of sessions: {error}");
        }
        self.look_at_sessions();
    }

    /// The process of a session has ended.
    pub(super) fn session_ended(&mut self, pid: usize) {
        let ended = |leader: &(u32, OwnedFd)| usize::try_from(leader.0) == Ok(pid);
        for (_, process) in self.sessions.leaders.extract_if(.., |leader| ended(leader)) {
            unwatch(&self.epoll, process.as_fd());
        }
        self.look_at_sessions();
    }

    fn look_at_sessions(&mut self) {
        let Some(owner) = &realm().owner else { return };
        let (living, any) = session::living(Path::new(SESSIONS), owner.credentials.uid);
        for (pid, process) in living {
            if self.sessions.leaders.iter().any(|(known, _)| *known == pid) {
                continue;
            }
            let source = Source::Session(usize::try_from(pid).unwrap_or(usize::MAX));
            match watch(&self.epoll, process.as_fd(), source, EpollFlags::EPOLLIN) {
                Ok(()) => self.sessions.leaders.push((pid, process)),
                Err(error) => log::error!("cannot watch the session {pid}: {error}"),
            }
        }
        if any && self.sessions.leaders.is_empty() && self.ending.is_none() {
            log::info!("the last session has ended");
            self.end(Ending::PowerOff);
        }
    }

    /// How this ends, when everything is down: again from the beginning if somebody has logged in
    /// meanwhile, who has found us still there.
    pub(super) fn ending_of_user(&self, ending: Ending) -> Ending {
        match &realm().owner {
            Some(owner) if self.sessions.queue.is_some() => {
                let (living, _) = session::living(Path::new(SESSIONS), owner.credentials.uid);
                if living.is_empty() {
                    ending
                } else {
                    Ending::Reboot
                }
            }
            _ => ending,
        }
    }
}

/// Tells the machine's supervisor that this user's is there.
pub fn say_ready() {
    let said = UnixDatagram::unbound()
        .and_then(|socket| socket.send_to(b"READY=1", MACHINES_NOTIFICATIONS));
    if let Err(error) = said {
        log::error!("cannot say to {MACHINES_NOTIFICATIONS} that this is ready: {error}");
    }
}
