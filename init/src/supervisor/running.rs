//! Main processes of services: started, watched, read from, and reaped.

use std::io;
use std::os::fd::AsFd;

use cairn_sys::pidfd;
use cairn_sys::process::{Exit, Report};
use nix::sys::epoll::EpollFlags;

use crate::core::message::{Message, Place};
use crate::realm::realm;

use super::condition::{self, Unmet};
use super::given::{Given, Own, Trigger};
use super::graph::Id;
use super::held::{self, Held, Main};
use super::job::Job;
use super::link::Link;
use super::notify::{Notification, Notifications};
use super::process;
use super::services::Event;
use super::source::{Source, unwatch, watch};
use super::{Supervisor, outcome, presence};

/// Most messages that are heard before the news of an end.
const LAST_WORDS: usize = 256;

impl Supervisor {
    /// Executes `job` for `id`; an event if that failed, or if there is no reason to.
    pub(super) fn spawn(&mut self, id: Id, job: Job) -> Option<Event> {
        let service = self.services.descriptions().get(id)?;
        if job.begins(service)
            && let Some(why) = condition::unmet(&service.conditions)
        {
            return Some(match why {
                Unmet::Skipped(why) => Event::Skipped(id, why),
                Unmet::Asserted(why) => Event::Forbidden(id, why),
            });
        }
        if job == Job::Main
            && let Some(path) = &service.device
        {
            return presence::is_there(path).then_some(Event::Present(id));
        }
        if job == Job::Main && !service.kind.has_process() {
            return Some(self.open(id));
        }
        let prepared = if job.begins(service) {
            process::prepare(service, self.is_shared(id))
                .map_err(anyhow::Error::from)
                .and_then(|()| self.share(id))
        } else {
            Ok(())
        };
        match prepared.and_then(|()| self.try_spawn(id, job)) {
            Ok(()) => None,
            Err(error) => {
                let (name, what) = (self.name(id), job.describe());
                log::error!("cannot start the {what} of '{name}': {error:#}");
                Some(if job.is_helper() {
                    Event::HelperExited(id, None)
                } else {
                    Event::NotExecuted(id, format!("{error:#}"))
                })
            }
        }
    }

    fn try_spawn(&mut self, id: Id, job: Job) -> anyhow::Result<()> {
        self.ensure_pipe(id)?;
        let mut given = match job {
            Job::Main => Given {
                readiness: self.readiness_pipe(id)?,
                input: self.input(id)?,
                ..self.given(id)?
            },
            Job::PreStart(_) => Given {
                variables: self.reason_of_start(id),
                ..Given::default()
            },
            _ => Given::default(),
        };
        given.variables.extend(self.told(id, job));
        if job == Job::Main {
            self.give_up_connection(id);
        }
        let Some((held, service)) = self
            .held
            .get_mut(id)
            .zip(self.services.descriptions().get(id))
        else {
            return Ok(());
        };
        let begins = job.begins(service);
        let is_placed = held.start(service, job, &given, &self.tray)?;
        if job.is_helper() {
            if let Some(helper) = held.helpers.last() {
                let pidfd = helper.pidfd.as_fd();
                watch(&self.epoll, pidfd, Source::Helper(id), EpollFlags::EPOLLIN)?;
            }
        } else if let Some(main) = &held.main {
            let pidfd = main.pidfd.as_fd();
            if job == Job::Main {
                held.trigger = None; // the next start may have another reason
            }
            // While it is not in its control group it ends with us: a successor is to know nothing of it.
            if is_placed {
                keep(&self.link, held.slot, main)?;
            }
            watch(&self.epoll, pidfd, Source::Main(id), EpollFlags::EPOLLIN)?;
            if let Some(attempt) = &main.attempt {
                watch(
                    &self.epoll,
                    attempt.report.as_fd(),
                    Source::Report(id),
                    EpollFlags::EPOLLIN,
                )?;
            }
        }
        if begins {
            self.watch_memory(id);
        }
        Ok(())
    }

    /// Core is told of what is still on its way into its control group: who executes another program in this
    /// place stays its parent, and has no other way to know of it.
    pub(super) fn keep_unreported(&self) {
        for held in &self.held {
            if let Some(main) = held.main.as_ref().filter(|main| main.attempt.is_some())
                && let Err(error) = keep(&self.link, held.slot, main)
            {
                log::error!("cannot tell core of the process {}: {error}", main.pid);
            }
        }
    }

    /// What a command is told of what has come of its service, or of the one to whose end it is owed.
    fn told(&self, id: Id, job: Job) -> Vec<(String, String)> {
        let Some(unit) = self.services.units().get(id) else {
            return Vec::new();
        };
        match (job, unit.owed) {
            (Job::PreStop(_), _) => outcome::variables("", unit.outcome, None),
            (Job::PostStop(_), _) => outcome::variables("", unit.outcome, unit.exit_of_run()),
            (Job::PreStart(_) | Job::Main, Some(owed)) => {
                let mut all = outcome::variables("MONITOR_", owed.outcome, owed.exit);
                all.push(("MONITOR_UNIT".to_owned(), self.name(owed.to).to_owned()));
                all
            }
            _ => Vec::new(),
        }
    }

    /// What a command before its process is told of why it is started; the process itself is told with all else.
    fn reason_of_start(&self, id: Id) -> Vec<(String, String)> {
        let trigger = self.held.get(id).and_then(|held| held.trigger.as_deref());
        trigger.map_or_else(Vec::new, Trigger::variables)
    }

    /// What its process is given; an instance without its connection is not started.
    fn given(&self, id: Id) -> io::Result<Given> {
        let is_instance = (self.services.units().get(id)).is_some_and(|unit| unit.instance);
        let own = self.held.get(id).map(|held| held.own.as_slice());
        let has_none = own.unwrap_or_default().iter().all(Own::is_ours);
        if is_instance && has_none {
            return Err(io::Error::other("its connection is lost"));
        }
        Given::new(
            id,
            &self.activators,
            self.services.descriptions(),
            &self.held,
        )
    }

    /// The pipe says whether the program was executed.
    pub(super) fn reported(&mut self, id: Id) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        let mut report = held.report();
        if matches!(report, Ok(Report::Placed)) {
            if let Some(main) = &held.main
                && let Err(error) = keep(&self.link, held.slot, main)
            {
                log::error!("cannot tell core of the process {}: {error}", main.pid);
            }
            report = held.report();
        }
        if matches!(report, Ok(Report::Pending | Report::Placed)) {
            return;
        }
        let attempt = held.main.as_mut().and_then(|main| main.attempt.take());
        if let Some(attempt) = &attempt {
            unwatch(&self.epoll, attempt.report.as_fd());
        }
        match report {
            Ok(Report::Executed) => {
                self.hand_over_connection(id);
                self.step(Event::Executed(id));
            }
            Ok(Report::Failed(failure)) => {
                let error = io::Error::from_raw_os_error(failure.errno);
                let program = attempt
                    .as_ref()
                    .map_or("", |attempt| attempt.program.as_str());
                held.failure = Some(format!("cannot {}: {error} ({program})", failure.step));
            }
            Ok(Report::Pending | Report::Placed) => {}
            Err(error) => held.failure = Some(format!("cannot read its report: {error}")),
        }
    }

    /// A child of ours has ended.
    pub(super) fn main_ended(&mut self, id: Id) {
        if let Some(main) = self.held.get(id).and_then(|held| held.main.as_ref())
            && let Some(attempt) = &main.attempt
            && let Ok(Some(_)) = cairn_sys::process::end_of_pidfd(main.pidfd.as_fd())
        {
            attempt.report.close();
        }
        self.reported(id);
        let main = |held: Option<&Held>| held?.main.as_ref().map(|main| main.pid);
        let before = main(self.held.get(id));
        self.hear_all();
        if main(self.held.get(id)) != before {
            return; // it has left the service to another one
        }
        let Some(main) = self.held.get(id).and_then(|held| held.main.as_ref()) else {
            return;
        };
        // It is reaped when its end has been noted: should we be killed before that, it falls to core,
        // and a successor hears of it.
        match cairn_sys::process::end_of_pidfd(main.pidfd.as_fd()) {
            Ok(Some(exit)) => {
                if !self.goes_on(id, exit)
                    && let Some(main) = self.ended(id, exit)
                    && let Err(error) = cairn_sys::process::reap_pidfd(main.pidfd.as_fd())
                {
                    log::error!("cannot reap '{}': {error}", self.name(id));
                }
            }
            Ok(None) => {}
            Err(error) => {
                // It was never our child; core tells of its end.
                log::error!("cannot reap '{}': {error}", self.name(id));
                unwatch(&self.epoll, main.pidfd.as_fd());
            }
        }
    }

    /// Commands of `id` beside its process have ended; only the latest counts.
    pub(super) fn helpers_ended(&mut self, id: Id) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        let mut news = None;
        let epoll = &self.epoll;
        let latest = held.helpers.last().map(|helper| helper.pid);
        held.helpers.retain(|helper| {
            let exit = match held::helper_exit(helper) {
                Ok(None) => return true,
                Ok(exit) => exit,
                Err(error) => {
                    log::error!("cannot reap a command of service {id}: {error}");
                    None
                }
            };
            unwatch(epoll, helper.pidfd.as_fd());
            if latest == Some(helper.pid) {
                news = Some(exit);
            }
            false
        });
        if let Some(exit) = news {
            self.read_pipe(id);
            self.step(Event::HelperExited(id, exit));
        }
    }

    /// Looks for the process that a forking service has left behind, or for any that is to end; an event if it is found or
    /// there is none.
    pub(super) fn find(&mut self, id: Id) -> Option<Event> {
        let service = self.services.descriptions().get(id)?;
        let unit = self.services.units().get(id)?;
        let held = self.held.get_mut(id)?;
        loop {
            match held.find_main(service, unit.phase.is_ending()) {
                Ok(held::Find::Nothing) => return Some(Event::NothingFound(id)),
                Ok(held::Find::NotYet) => return None,
                Ok(held::Find::Found) => {}
                Err(error) => {
                    log::warn!(
                        "cannot look for the process of '{}' yet: {error}",
                        service.name
                    );
                    return None;
                }
            }
            let main = held.main.as_ref()?;
            // It is not our child: core, which it has fallen to, tells of its end.
            if let Err(error) = keep(&self.link, held.slot, main) {
                log::error!(
                    "cannot tell core of the process of '{}': {error}",
                    service.name
                );
            }
            if pidfd::is_there(main.pidfd.as_fd()) {
                return Some(Event::Found(id));
            }
            // It has ended since it was found, and core may have taken that end before it knew whose it was.
            let place = Place::Process {
                slot: held.slot,
                pid: main.pid,
            };
            held.main = None;
            if let Err(error) = self.link.send(Message::Drop(place), None) {
                log::error!("cannot have core drop a process that has ended: {error}");
            }
        }
    }

    /// Listens for what services say, unless a predecessor's socket is there.
    pub(super) fn hear_notifications(&mut self) {
        if self.notifications.is_none() {
            match Notifications::listen(&realm().notifications) {
                Ok(notifications) => {
                    let message = Message::Keep(Place::Notifications);
                    if let Err(error) = self.link.send(message, Some(notifications.as_fd())) {
                        log::error!("cannot give core the socket of notifications: {error}");
                    }
                    self.notifications = Some(notifications);
                }
                Err(error) => log::error!(
                    "cannot listen on {}: {error}; services cannot say that they are ready",
                    realm().notifications.display()
                ),
            }
        }
        if let Some(notifications) = &self.notifications {
            let socket = notifications.as_fd();
            let result = watch(
                &self.epoll,
                socket,
                Source::Notifications,
                EpollFlags::EPOLLIN,
            );
            if let Err(error) = result {
                log::error!("cannot hear what services say: {error}");
            }
        }
    }

    /// A service has said something.
    pub(super) fn notified(&mut self) {
        // The others get their turn in between: a flood of messages starves nobody.
        self.hear_one();
    }

    /// Before the news of an end: what has been said before that counts, such as what is left for the next start.
    pub(super) fn hear_all(&mut self) {
        for _ in 0..LAST_WORDS {
            if !self.hear_one() {
                break;
            }
        }
    }

    /// Does what one message says, if there is one; whether there was.
    fn hear_one(&mut self) -> bool {
        let seen = self.notifications.as_ref().map(Notifications::look);
        let mut notification = match seen {
            Some(Ok(Some(notification))) => notification,
            Some(Err(error)) => {
                log::error!("cannot hear what services say: {error}");
                return false;
            }
            _ => return false,
        };
        self.heed(&mut notification);
        // Before its descriptors are closed: there is another of each in it.
        if let Some(notifications) = &self.notifications {
            notifications.take();
        }
        true
    }

    /// Does what it says. A successor may have to do so once more.
    fn heed(&mut self, notification: &mut Notification) {
        let main = |held: &Held| {
            held.main
                .as_ref()
                .is_some_and(|m| m.pid == notification.pid)
        };
        let id = self.held.iter().position(main).or_else(|| {
            let name = realm().service_of(notification.pid)?;
            self.id_of(&name)
        });
        let Some(id) = id else { return };
        let is_ready = notification.is_ready();
        let is_refreshing = notification.says("RELOADING", "1");
        let is_leaving = notification.says("STOPPING", "1");
        let name = notification.value("FDNAME").map(str::to_owned);
        let status = notification.value("STATUS").map(str::to_owned);
        let main = notification.number("MAINPID");
        let extension = notification.number("EXTEND_TIMEOUT_USEC");
        let alive = notification.value("WATCHDOG").map(|word| word == "trigger");
        if notification.says("FDSTOREREMOVE", "1") {
            self.unstore(id, name.as_deref());
        } else if notification.says("FDSTORE", "1") {
            let descriptors = std::mem::take(&mut notification.descriptors);
            self.store(id, name.as_deref(), descriptors);
        }
        if let Some(status) = status
            && let Some(held) = self.held.get_mut(id)
        {
            held.says = Some(status).filter(|status| !status.is_empty());
        }
        if let Some(pid) = main.and_then(|pid| u32::try_from(pid).ok()) {
            self.main_is(id, pid);
        }
        if let Some(more) = extension {
            self.step(Event::Extended(id, more / 1000));
        }
        match alive {
            Some(true) => self.step(Event::Sick(id)),
            Some(false) => self.step(Event::Alive(id)),
            None => {}
        }
        if is_refreshing {
            self.step(Event::Refreshing(id));
        }
        if is_ready {
            self.step(Event::Ready(id));
        }
        if is_leaving {
            self.step(Event::Leaving(id));
        }
    }

    /// Another process of the service is to be its main one, says the service.
    fn main_is(&mut self, id: Id, pid: u32) {
        match self.take_for_main(id, pid) {
            Ok(()) => self.keep_main(id),
            Err(error) => {
                let name = self.name(id);
                log::warn!("'{name}' names {pid} as its main process: {error}");
            }
        }
    }

    /// Its main process has ended; whether the service goes on with another one of its processes.
    pub(super) fn goes_on(&mut self, id: Id, exit: Exit) -> bool {
        if !self.services.goes_on_without(id, exit) {
            return false;
        }
        let (Some(service), Some(held)) =
            (self.services.descriptions().get(id), self.held.get_mut(id))
        else {
            return false;
        };
        let (slot, successors) = (held.slot, held.successors(service));
        if successors.is_empty() {
            return false;
        }
        self.hear_of_memory(id, exit);
        for pid in successors {
            // It may have ended meanwhile, and core may have taken that end before it knew whose it was.
            if self.take_for_main(id, pid).is_ok() && self.has_main(id, pid) == Some(true) {
                // Should we be killed in between, a successor hears of that end once more.
                self.step(Event::Succeeded(id, exit));
                self.keep_main(id);
                if self.has_main(id, pid) == Some(false) {
                    // So it may since, asked to by that. How does not matter: the first of them counts.
                    self.core_says(Message::Exited { slot, pid, exit });
                }
                return true;
            }
        }
        false
    }

    /// Whether the main process is there, or nobody has taken its end yet; nothing if it is another one.
    fn has_main(&self, id: Id, pid: u32) -> Option<bool> {
        let main = self.held.get(id)?.main.as_ref()?;
        (main.pid == pid).then(|| pidfd::is_there(main.pidfd.as_fd()))
    }

    /// Takes another process of the service for its main one. What was is left to end.
    fn take_for_main(&mut self, id: Id, pid: u32) -> io::Result<()> {
        self.services.record_again([id]);
        let (Some(service), Some(held)) =
            (self.services.descriptions().get(id), self.held.get_mut(id))
        else {
            return Ok(());
        };
        let Some(old) = held.replace_main(service, pid)? else {
            return Ok(());
        };
        unwatch(&self.epoll, old.pidfd.as_fd());
        self.strays.add(&self.epoll, old);
        let Some(main) = &held.main else {
            return Ok(());
        };
        let descriptor = main.pidfd.as_fd();
        if self.strays.take_back(&self.epoll, main.pid)
            && let Err(error) = watch(
                &self.epoll,
                descriptor,
                Source::Main(id),
                EpollFlags::EPOLLIN,
            )
        {
            log::error!("cannot watch the process {}: {error}", main.pid);
        }
        Ok(())
    }

    /// Core is told of its main process: if it is not our child, it falls to core as that of a forking service, and
    /// core tells of its end.
    fn keep_main(&self, id: Id) {
        if let Some(held) = self.held.get(id)
            && let Some(main) = &held.main
            && let Err(error) = keep(&self.link, held.slot, main)
        {
            log::error!(
                "cannot tell core of the process of '{}': {error}",
                self.name(id)
            );
        }
    }

    /// The main process has ended: its last words, then the news. Returns what was held of it.
    ///
    /// Should we be killed meanwhile, a successor hears of the end anew, until a record says that it is accounted for;
    /// only then does core forget the process.
    pub(super) fn ended(&mut self, id: Id, exit: Exit) -> Option<Main> {
        // Its last words come before the news of its end.
        self.read_last_words(id);
        self.drop_readiness_pipe(id);
        // As long as the process is held: the end itself is not accounted for by this.
        self.hear_of_memory(id, exit);
        let held = self.held.get_mut(id)?;
        let main = held.main.take()?;
        unwatch(&self.epoll, main.pidfd.as_fd());
        let place = Place::Process {
            slot: held.slot,
            pid: main.pid,
        };
        held.ended = main.pid;
        let failure = held.failure.take();
        self.step(match failure {
            Some(reason) => {
                log::error!("cannot start '{}': {reason}", self.name(id));
                Event::NotExecuted(id, reason)
            }
            None => Event::Exited(id, exit),
        });
        if self.has_successor() {
            self.tell_core(Message::Drop(place));
        }
        if let Some(held) = self.held.get_mut(id) {
            held.ended = 0;
        }
        Some(main)
    }
}

/// Has core keep a service's main process.
fn keep(link: &Link, slot: u32, main: &Main) -> io::Result<()> {
    let place = Place::Process {
        slot,
        pid: main.pid,
    };
    link.send(Message::Keep(place), Some(main.pidfd.as_fd()))
}
