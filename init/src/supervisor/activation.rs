//! Sockets and paths, carried out: opened and closed, attended to while they are to start something,
//! and the connections that are taken for services.
//!
//! Invariant: whatever a service is given is with core before anybody could connect to it or count on
//! it, so that neither our end nor that of the service loses it. A connection is with core until a process is about
//! to have it: no second one gets what the first has begun to read.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use cairn_sys::handed::Handed;
use cairn_sys::inotify;
use cairn_sys::process::Exit;
use cairn_system::ServiceName;
use nix::sys::epoll::EpollFlags;

use crate::clock::{Ms, now};
use crate::core::message::{Message, Place};

use super::Supervisor;
use super::given::{IPC, Own, STORED, Trigger};
use super::graph::Id;
use super::heir;
use super::listening;
use super::peer::{self, Peer};
use super::services::{Event, Phase};
use super::source::{Source, unwatch, watch};
use super::watching;

/// How long core may take to close what it is told to, in milliseconds: that long an address that we have let
/// go may be in use.
const CLOSING_MS: Ms = 500;

/// Connections that are taken before others get their turn.
const CONNECTIONS: usize = 16;

impl Supervisor {
    /// Opens the socket, or watches the path; what came of it.
    pub(super) fn open(&mut self, id: Id) -> Event {
        let opened = self.opened(id).and_then(|opened| {
            for (number, descriptor) in (0..).zip(opened) {
                self.own(id, number, String::new(), descriptor)?;
            }
            self.renew_watching(id)?;
            Ok(())
        });
        match opened {
            Ok(()) => Event::Executed(id),
            Err(error) => {
                log::error!("'{}': {error}", self.name(id));
                self.close(id);
                Event::NotExecuted(id, error.to_string())
            }
        }
    }

    fn opened(&mut self, id: Id) -> io::Result<Vec<OwnedFd>> {
        let Some(service) = self.services.descriptions().get(id) else {
            return Ok(Vec::new());
        };
        if let Some(watch) = &service.watch {
            if watch.make_directories {
                watching::make_directories(watch)?;
            }
            return Ok(vec![inotify::open()?]);
        }
        let Some(socket) = service.socket.as_deref() else {
            return Ok(Vec::new());
        };
        loop {
            match listening::open(socket) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && now() < self.closed_by =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                opened => return opened,
            }
        }
    }

    /// Closes the socket, or what watches; it has ended then.
    pub(super) fn close(&mut self, id: Id) -> Event {
        self.let_go(id, |_| true);
        self.watching.remove(&id);
        Event::Exited(id, Exit::Status(0))
    }

    /// Keeps a descriptor of `id`, and gives it to core.
    pub(super) fn own(
        &mut self,
        id: Id,
        number: u32,
        name: String,
        descriptor: OwnedFd,
    ) -> io::Result<()> {
        let Some(held) = self.held.get_mut(id) else {
            return Ok(());
        };
        let slot = held.slot;
        let place = Place::Descriptor { slot, number };
        self.link
            .send(Message::Keep(place), Some(descriptor.as_fd()))?;
        held.own.push(Own {
            number,
            name,
            descriptor,
        });
        held.own.sort_by_key(|own| own.number);
        Ok(())
    }

    /// Closes those descriptors of `id`, here and at core.
    pub(super) fn let_go(&mut self, id: Id, is_one: impl Fn(&Own) -> bool) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        if held.attended {
            held.attended = false;
            for own in &held.own {
                unwatch(&self.epoll, own.descriptor.as_fd());
            }
        }
        let (gone, kept): (Vec<Own>, Vec<Own>) =
            std::mem::take(&mut held.own).into_iter().partition(is_one);
        held.own = kept;
        let slot = held.slot;
        for own in gone {
            let number = own.number;
            let service = self.services.descriptions().get(id);
            match service.and_then(|service| service.socket.as_ref()) {
                Some(socket) => {
                    listening::close(socket, own.descriptor.as_fd());
                    self.closed_by = now().saturating_add(CLOSING_MS);
                }
                // Before core's, which is the last and is not to wait.
                None if number >= STORED => drop(Handed::from(vec![own.descriptor])),
                None => drop(own.descriptor),
            }
            self.tell_core(Message::Drop(Place::Descriptor { slot, number }));
        }
    }

    /// After each step: what is to start something wakes us, and nothing else does. Connections that
    /// nobody serves are closed.
    pub(super) fn attend(&mut self) {
        for id in self.services.described().len()..self.held.len() {
            let is_unused = (self.services.units().get(id))
                .is_some_and(|unit| unit.phase == Phase::Stopped && !unit.running);
            if is_unused && self.held.get(id).is_some_and(|held| !held.own.is_empty()) {
                log::warn!(
                    "a connection is closed: '{}' has not come up",
                    self.name(id)
                );
                self.let_go(id, |_| true);
            }
        }
        for place in 0..self.activators.len() {
            let Some(id) = self.activators.get(place).copied() else {
                return;
            };
            let is_path = self.watching.contains_key(&id);
            let Some(held) = self.held.get_mut(id) else {
                continue;
            };
            // Events of files are always taken: while a service runs, they mean nothing.
            let wanted = self.services.listens(id) || is_path && !held.own.is_empty();
            if wanted == held.attended {
                continue;
            }
            held.attended = wanted;
            for own in &held.own {
                let descriptor = own.descriptor.as_fd();
                if !wanted {
                    unwatch(&self.epoll, descriptor);
                    continue;
                }
                let source = Source::incoming(id, own.number);
                if let Err(error) = watch(&self.epoll, descriptor, source, EpollFlags::EPOLLIN) {
                    log::error!("cannot wait for what comes in at a socket: {error}");
                }
            }
        }
    }

    /// Something has come in.
    pub(super) fn incoming(&mut self, id: Id, number: u32) {
        if self.watching.contains_key(&id) {
            self.files_changed(id);
        } else if self.services.accepting(id).is_some() {
            for _ in 0..CONNECTIONS {
                if !self.take_connection(id, number) {
                    return;
                }
            }
        } else if self.services.listens(id) {
            self.trigger(id, None);
        }
    }

    fn trigger(&mut self, id: Id, path: Option<String>) {
        let unit = self.name(id).to_owned();
        let target = self.services.started_by(id);
        if let Some(held) = target.and_then(|target| self.held.get_mut(target)) {
            held.trigger = Some(Box::new(Trigger::Unit(unit, path)));
        }
        self.step(Event::Triggered(id));
    }

    /// What people are told of a socket, path or device that is up.
    pub(super) fn activity(&self, id: Id) -> Option<String> {
        let service = self.services.descriptions().get(id)?;
        if let Some(path) = &service.device {
            return Some(format!("{path} is there"));
        }
        if let Some(watch) = &service.watch {
            let paths: Vec<String> = watch.paths.iter().map(ToString::to_string).collect();
            return Some(format!("waits until {}", paths.join(" or ")));
        }
        let socket = service.socket.as_ref()?;
        let listen: Vec<String> = socket.listen.iter().map(ToString::to_string).collect();
        let connections = match self.services.connections(id).count() {
            _ if !socket.accept => String::new(),
            1 => "; 1 connection".to_owned(),
            count => format!("; {count} connections"),
        };
        Some(format!("listens on {}{connections}", listen.join(", ")))
    }

    /// Why nobody can ask for a start of this, if nobody can.
    pub(super) fn refuses_start(&self, id: Id) -> Option<String> {
        let name = self.name(id);
        if self.services.units().get(id)?.instance {
            return Some(format!(
                "'{name}' serves one connection: only another one starts it"
            ));
        }
        let mut activators = self.activators.iter();
        let socket = activators.find(|socket| {
            self.services.accepting(**socket).is_some()
                && self.services.started_by(**socket) == Some(id)
        })?;
        let socket = self.name(*socket);
        Some(format!(
            "'{name}' is a template: '{socket}' starts one for each connection"
        ))
    }

    /// Takes one connection for an instance; whether there was one.
    fn take_connection(&mut self, id: Id, number: u32) -> bool {
        let listener = self.held.get(id).and_then(|held| {
            let own = held.own.iter().find(|own| own.number == number)?;
            Some(own.descriptor.as_fd())
        });
        let Some(listener) = listener.filter(|_| self.services.listens(id)) else {
            return false;
        };
        let (connection, peer) = match peer::take(listener) {
            Ok(Some(taken)) => taken,
            Ok(None) => return false,
            Err(error) => {
                log::error!("cannot take a connection for '{}': {error}", self.name(id));
                // Counted, lest we turn in circles where none can be taken.
                self.step(Event::Triggered(id));
                return false;
            }
        };
        if let Some(reason) = self.refuses(id, &peer) {
            log::warn!(
                "'{}' refuses a connection {}: {reason}",
                self.name(id),
                peer.note()
            );
            // Of a user of this machine, it may have come with descriptors.
            if peer.variables.is_empty() {
                drop(Handed::from(vec![connection]));
            }
            return true;
        }
        match self.instance_for(id) {
            Ok(instance) => self.serve(id, instance, connection, peer),
            Err(error) => log::error!("cannot serve a connection of '{}': {error}", self.name(id)),
        }
        true
    }

    fn serve(&mut self, id: Id, instance: Id, connection: OwnedFd, peer: Peer) {
        if let Err(error) = self.own(instance, 0, String::new(), connection) {
            return log::error!("cannot give core a connection: {error}");
        }
        let note = peer.note();
        if let Some(held) = self.held.get_mut(instance) {
            held.trigger = Some(Box::new(Trigger::Connection(peer)));
        }
        self.step(Event::Connected(id, instance, note));
    }

    /// Why no connection from there is served now.
    fn refuses(&self, id: Id, peer: &Peer) -> Option<String> {
        let socket = self.services.accepting(id)?;
        let is_of_peer = |note: &Option<String>| note.as_ref().is_some_and(|n| peer.is_noted(n));
        let notes: Vec<&Option<String>> =
            (self.services.connections(id).map(|(_, unit)| &unit.note)).collect();
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let per_source = socket.max_connections_per_source;
        if count(notes.len()) >= socket.max_connections {
            return Some(format!("it serves {} already", notes.len()));
        }
        let from_there = notes.into_iter().filter(|note| is_of_peer(note)).count();
        (per_source != 0 && count(from_there) >= per_source)
            .then(|| format!("it serves {from_there} from there already"))
    }

    /// A place for a service of one connection: one that is free, or a new one.
    fn instance_for(&mut self, id: Id) -> io::Result<Id> {
        if let Some(free) = self.services.vacant(id) {
            return Ok(free);
        }
        let number = self.services.instances(id).count();
        let template = self.services.started_by(id);
        let template = template.and_then(|id| self.services.descriptions().get(id));
        let template = template.ok_or_else(|| io::Error::other("there is no template"))?;
        let name = format!("{}{number}", template.name);
        let name = ServiceName::try_from(name).map_err(io::Error::other)?;
        if self.id_of(name.as_str()).is_some() {
            return Err(io::Error::other(format!("there is a service '{name}'")));
        }
        let service = template.instance(name);
        let used: Vec<u32> = self.held.iter().map(|held| held.slot).collect();
        let most = u32::try_from(used.len()).unwrap_or(u32::MAX);
        let slot = (0..=most).find(|slot| !used.contains(slot));
        let slot = slot.unwrap_or(u32::MAX);
        self.held.push(heir::hold(slot, &service));
        let new = self.services.add_instance(service);
        Ok(new)
    }

    /// A process is about to have its connection: a successor is not to give it to another one.
    pub(super) fn give_up_connection(&self, id: Id) {
        let unit = self.services.units().get(id);
        if let Some(held) = self.held.get(id)
            && unit.is_some_and(|unit| unit.instance)
        {
            let slot = held.slot;
            self.tell_core(Message::Drop(Place::Descriptor { slot, number: 0 }));
        }
    }

    /// Its process is executed, and has its connection: nobody hears of its end as long as we have it.
    pub(super) fn hand_over_connection(&mut self, id: Id) {
        if self
            .services
            .units()
            .get(id)
            .is_some_and(|unit| unit.instance)
        {
            self.let_go(id, |own| own.number < IPC);
        }
    }

    /// Something has happened to files.
    fn files_changed(&mut self, id: Id) {
        let queue = self.held.get(id).and_then(|held| held.own.first());
        let Some(queue) = queue.map(|own| own.descriptor.as_fd()) else {
            return;
        };
        let service = self.services.descriptions().get(id);
        let watch = service.and_then(|service| service.watch.as_ref());
        let events = inotify::read(queue);
        let changed = match (events, watch, self.watching.get(&id)) {
            (Ok(events), Some(watch), Some(watching)) => {
                watching.changed(watch, &events).map(str::to_owned)
            }
            (Err(error), ..) => {
                log::error!("cannot read events of files: {error}");
                None
            }
            _ => None,
        };
        let other = self.renew_watching(id).unwrap_or_else(|error| {
            log::error!("'{}': {error}", self.name(id));
            None
        });
        let changed = changed.or(other);
        match changed.filter(|_| self.services.counts_changes(id)) {
            Some(path) => self.trigger(id, Some(path)),
            None => {
                if let Some(event) = self.check_paths() {
                    self.step(event);
                }
            }
        }
    }

    /// Watches what there is now; the path that has come or gone.
    fn renew_watching(&mut self, id: Id) -> io::Result<Option<String>> {
        let service = self.services.descriptions().get(id);
        let Some(watch) = service.and_then(|service| service.watch.as_ref()) else {
            return Ok(None);
        };
        let queue = self.held.get(id).and_then(|held| held.own.first());
        let Some(queue) = queue.map(|own| own.descriptor.as_fd()) else {
            return Ok(None);
        };
        let watching = self.watching.entry(id).or_default();
        Ok(watching.renew(queue, watch)?.map(str::to_owned))
    }

    /// After each step: a path that is as it waits for, and whose service is down, starts it. Files are
    /// looked at when the service has gone down, or something has happened to them.
    pub(super) fn check_paths(&mut self) -> Option<Event> {
        let (id, path) = self.watching.iter_mut().find_map(|(id, watching)| {
            let service = self.services.descriptions().get(*id)?;
            let is_news = watching.is_news(self.services.listens(*id));
            let path = watching::holds(service.watch.as_ref().filter(|_| is_news)?)?;
            watching.is_looked_at = false;
            Some((*id, path))
        })?;
        let unit = self.name(id).to_owned();
        let target = self.services.started_by(id)?;
        if let Some(held) = self.held.get_mut(target) {
            held.trigger = Some(Box::new(Trigger::Unit(unit, Some(path))));
        }
        Some(Event::Triggered(id))
    }

    /// What a predecessor has watched is watched on.
    pub(super) fn adopt_watching(&mut self) {
        for place in 0..self.activators.len() {
            let id = self.activators.get(place).copied().unwrap_or_default();
            if let Err(error) = self.renew_watching(id) {
                log::error!("'{}': {error}", self.name(id));
            }
        }
    }
}
