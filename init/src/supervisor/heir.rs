//! What a supervisor takes over of each service from what core has kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context;
use cairn_sys::cgroup::Cgroup;
use cairn_sys::handed;
use cairn_sys::pidfd;
use cairn_sys::process;
use cairn_system::ordered;
use cairn_system::{Process, Readiness, Service, ServiceKind, ServiceName, Socket};

use super::given::{IPC, NETWORK, Own, READY, STORED};
use super::held::{Held, Helper, Main, Pipe};
use super::journal::Journal;
use super::link::Link;
use super::listening;
use super::record::Record;
use super::services::{Goal, Phase, Restored, Services};
use super::state::State;
use crate::core::message::{Message, Place};
use crate::realm::realm;

/// What core kept.
#[derive(Default)]
pub struct Estate {
    /// The state file.
    pub state: Option<File>,
    /// The socket of notifications.
    pub notifications: Option<OwnedFd>,
    /// The control socket.
    pub control: Option<OwnedFd>,
    logs: BTreeMap<u32, OwnedFd>,
    processes: BTreeMap<u32, (u32, OwnedFd)>,
    descriptors: BTreeMap<u32, BTreeMap<u32, OwnedFd>>,
}

impl Estate {
    /// Sorts it.
    pub fn of(kept: Vec<(Place, OwnedFd)>) -> Self {
        let mut estate = Self::default();
        for (place, descriptor) in kept {
            match place {
                Place::State => estate.state = Some(File::from(descriptor)),
                Place::Notifications => estate.notifications = Some(descriptor),
                Place::Control => estate.control = Some(descriptor),
                Place::Log { slot } => {
                    estate.logs.insert(slot, descriptor);
                }
                Place::Process { slot, pid } => {
                    estate.processes.insert(slot, (pid, descriptor));
                }
                Place::Descriptor { slot, number } => {
                    let own = estate.descriptors.entry(slot).or_default();
                    own.insert(number, descriptor);
                }
            }
        }
        estate
    }

    /// The pipe that a service writes to.
    pub fn log(&self, slot: u32) -> Option<BorrowedFd<'_>> {
        self.logs.get(&slot).map(AsFd::as_fd)
    }

    /// The main process of the service with this record. One whose end that accounts for is left over.
    fn main(&mut self, slot: u32, record: &Record) -> Option<(u32, OwnedFd)> {
        let (pid, _) = self.processes.get(&slot)?;
        let is_main = !record.accounts_for(*pid);
        is_main.then(|| self.processes.remove(&slot)).flatten()
    }

    /// The main process of a service's, which is not to be taken over.
    pub fn take_process(&mut self, slot: u32) -> Option<u32> {
        self.processes.remove(&slot).map(|(pid, _)| pid)
    }

    /// What a service has left, which is not to be taken over: the numbers.
    pub fn take_stored(&mut self, slot: u32) -> Vec<u32> {
        let own = self.descriptors.entry(slot).or_default();
        own.split_off(&STORED).into_keys().collect()
    }
}

/// What is held of a service that does not run.
pub fn hold(slot: u32, service: &Service) -> Held {
    let journal = Journal::new(&realm().logs, service.name.as_str());
    Held::new(slot, journal.from(service.least_log_level))
}

/// The slot of each service: its old one, or one that is free.
fn slots(services: &[Service], records: &[Option<Record>]) -> Vec<u32> {
    let old: BTreeMap<&str, u32> = ordered::map(
        (0..)
            .zip(records)
            .filter_map(|(slot, record)| Some((record.as_ref()?.name.as_str(), slot))),
    );
    let used: BTreeSet<u32> = ordered::set(old.values().copied());
    let mut free = (0..).filter(|slot| !used.contains(slot));
    services
        .iter()
        .map(|service| match old.get(service.name.as_str()) {
            Some(slot) => *slot,
            None => free.next().unwrap_or(u32::MAX),
        })
        .collect()
}

/// A supervisor that takes over.
pub struct Heir<'a> {
    /// The link to core.
    pub link: &'a Link,
    /// What the predecessor has noted.
    pub state: &'a State,
    /// The services of the generation.
    pub services: &'a [Service],
}

impl Heir<'_> {
    /// Takes over what goes on, and lets core forget the rest.
    ///
    /// # Errors
    /// Core is gone, or the state cannot be read.
    pub fn restore(&self, estate: &mut Estate) -> anyhow::Result<(Services, Vec<Held>)> {
        let records = self.state.records().context("cannot read the state")?;
        let mut machine = Services::new(self.services.to_vec());
        let mut held = Vec::with_capacity(self.services.len());
        for (id, (service, slot)) in (self.services.iter())
            .zip(slots(self.services, &records))
            .enumerate()
        {
            let mut holding = hold(slot, service);
            let number = usize::try_from(slot).unwrap_or(usize::MAX);
            if let Some(Some(record)) = records.get(number) {
                machine.restore(id, self.take_over(&mut holding, estate, service, record)?);
            }
            held.push(holding);
        }
        for (slot, record) in (0..).zip(&records) {
            if let Some(record) = record.as_ref().filter(|record| is_connected(record)) {
                let service = self.instance(record)?;
                let mut holding = hold(slot, &service);
                let restored = self.take_over(&mut holding, estate, &service, record)?;
                let id = machine.add_instance(service);
                machine.restore(id, restored);
                held.push(holding);
            }
        }
        machine.know_owed(|slot| held.iter().position(|held| held.place() == slot));
        self.drop_leftovers(estate, &records)?;
        Ok((machine, held))
    }

    /// The service of a connection. If its template is gone, so that nobody could start it, it goes on
    /// until it ends.
    fn instance(&self, record: &Record) -> anyhow::Result<Service> {
        let name = ServiceName::try_from(record.name.as_str())?;
        let template = record.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let template = (self.services.iter()).find(|service| service.name.as_str() == template);
        Ok(template.map_or_else(
            || {
                let mut last = Service::new(name.clone(), ServiceKind::Simple, Process::default());
                last.wanted_at_boot = false;
                last
            },
            |template| template.instance(name.clone()),
        ))
    }

    fn take_over(
        &self,
        held: &mut Held,
        estate: &mut Estate,
        service: &Service,
        record: &Record,
    ) -> anyhow::Result<Restored> {
        let has_group = realm().groups.join(service.name.as_str()).exists();
        held.adopted(has_group);
        for (number, descriptor) in estate.descriptors.remove(&held.slot).unwrap_or_default() {
            let name = match number.checked_sub(STORED) {
                Some(stored) => self.state.name(held.slot, stored)?,
                None => String::new(),
            };
            held.own.push(Own {
                number,
                name,
                descriptor,
            });
        }
        let restored = take_over(held, estate, service, record);
        let is_lost = |own: &Own| match own.number {
            STORED.. => service.stored_descriptors == 0,
            // It is waited for until it is up.
            READY => restored.phase != Phase::Starting,
            IPC..=NETWORK => {
                restored.phase.is_down() || service.process.confinement.shared_as.is_none()
            }
            // A process has its connection; anything else is opened as a whole.
            _ => held.main.is_some() || !service.kind.has_process() && !restored.running,
        };
        let (lost, kept): (Vec<Own>, Vec<Own>) =
            std::mem::take(&mut held.own).into_iter().partition(is_lost);
        held.own = kept;
        for own in lost {
            let number = own.number;
            let socket = service.socket.as_deref();
            self.forget_descriptor(held.slot, number, own.descriptor.as_fd(), socket)?;
        }
        Ok(restored)
    }

    fn forget_descriptor(
        &self,
        slot: u32,
        number: u32,
        descriptor: BorrowedFd<'_>,
        socket: Option<&Socket>,
    ) -> anyhow::Result<()> {
        let place = Place::Descriptor { slot, number };
        if number >= STORED {
            handed::hurry(descriptor);
        }
        self.link.send(Message::Drop(place), None)?;
        if let Some(socket) = socket {
            listening::close(socket, descriptor);
        }
        Ok(())
    }

    /// Kills what no service of this generation accounts for, and lets core forget it.
    fn drop_leftovers(&self, estate: &Estate, records: &[Option<Record>]) -> anyhow::Result<()> {
        let names: BTreeSet<&str> =
            ordered::set((self.services.iter()).map(|service| service.name.as_str()));
        for (slot, record) in (0..).zip(records) {
            let Some(record) = record else { continue };
            if !names.contains(record.name.as_str()) && !is_connected(record) {
                forget(record);
                self.state.clear(slot)?;
            }
        }
        for slot in estate.logs.keys() {
            let place = Place::Log { slot: *slot };
            self.link.send(Message::Drop(place), None)?;
        }
        for (slot, (pid, _)) in &estate.processes {
            let place = Place::Process {
                slot: *slot,
                pid: *pid,
            };
            self.link.send(Message::Drop(place), None)?;
        }
        for (slot, own) in &estate.descriptors {
            for (number, descriptor) in own {
                // What somebody has left is not ours to be removed.
                if *number < IPC {
                    listening::remove_file(descriptor.as_fd());
                }
                self.forget_descriptor(*slot, *number, descriptor.as_fd(), None)?;
            }
        }
        Ok(())
    }
}

/// Whether it is of a service of one connection that goes on.
fn is_connected(record: &Record) -> bool {
    let unit = &record.restored;
    let is_down = matches!(unit.phase, Phase::Stopped | Phase::Done | Phase::Failed(_));
    unit.instance && !is_down
}

/// A service that there is no more: usually it is down, and only its cgroup is left.
fn forget(record: &Record) {
    let path = realm().groups.join(&record.name);
    let phase = &record.restored.phase;
    if phase.is_up() || phase.is_on_its_way() || phase.is_ending() {
        log::info!("'{}' is not in this generation: it is killed", record.name);
        if let Err(error) = Cgroup::create(&path).and_then(|cgroup| cgroup.kill()) {
            log::error!("cannot kill '{}': {error}", record.name);
        }
    }
    remove_group(&record.name);
}

/// Removes the control group of a service that is down, with its bounds: the next one is another. Whether there is none
/// any more.
pub fn remove_group(name: &str) -> bool {
    let path = realm().groups.join(name);
    if !path.exists() {
        return true;
    }
    let removed = Cgroup::create(&path).and_then(|cgroup| {
        cgroup.clear()?;
        cgroup.remove()
    });
    let is_gone = removed.is_ok();
    match removed {
        // What it has left running, as its kind of stop allows, goes on.
        Err(error)
            if error.kind() != io::ErrorKind::NotFound
                && error.kind() != io::ErrorKind::ResourceBusy =>
        {
            log::warn!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
    is_gone
}

fn take_over(held: &mut Held, estate: &mut Estate, service: &Service, record: &Record) -> Restored {
    let mut restored = record.restored.clone();
    if let Some(reader) = estate.logs.remove(&held.slot) {
        held.pipe = Some(Pipe::of(&reader).unwrap_or_else(|error| {
            log::error!("cannot hold the pipe of '{}' open: {error}", service.name);
            Pipe::ending(reader)
        }));
    }
    restored.helper = adopt_helper(held, service, record.helper);
    let process = estate.main(held.slot, record);
    if process.is_none() && service.device.is_some() {
        return restored; // whether it is there is looked at
    }
    if process.is_none() && is_open(held, service) {
        return still_open(restored);
    }
    match process.filter(|_| restored.running) {
        Some((pid, pidfd)) => {
            held.main = Some(Main {
                pid,
                pidfd,
                attempt: None,
            });
            if restored.phase == Phase::Starting && service.kind == ServiceKind::Simple {
                // Its report is lost. Had it not been executed, its end will say so.
                restored.phase = match service.readiness {
                    Some(Readiness::Descriptor(_)) => Phase::Starting,
                    Some(Readiness::Command(_) | Readiness::Port(_)) => Phase::Proving(1),
                    None if service.post_start.is_empty() => Phase::Up,
                    None => Phase::Finishing(0),
                };
                restored.settled |= restored.phase == Phase::Up;
            }
            if matches!(restored.phase, Phase::Stopping(_)) {
                // Whether it has been asked is not known; twice does no harm.
                held.terminate(service);
            }
        }
        None if restored.running => {
            held.kill(service);
            restored.running = false;
            if has_had_connection(held, &restored) {
                // Nobody knows what has come of it, and another process could not go on with it.
                restored.goal = Goal::Down;
                restored.phase = Phase::Stopped;
                return restored;
            }
            restored.phase = match restored.phase {
                Phase::Stopping(_) | Phase::Killed(_) => Phase::Stopped,
                // The command is run again.
                Phase::Cleaning(command, until) => Phase::Cleaning(command, until),
                _ => Phase::Waiting,
            };
            restored.settled &= restored.phase != Phase::Waiting || restored.goal != Goal::Up;
        }
        None => {}
    }
    restored
}

/// Whether it is of a single connection, which a process of it was given.
fn has_had_connection(held: &Held, restored: &Restored) -> bool {
    restored.instance && held.own.iter().all(|own| own.number >= IPC)
}

/// Whether all is there that a socket or path had opened.
fn is_open(held: &Held, service: &Service) -> bool {
    let count = match (&service.socket, &service.watch) {
        (Some(socket), _) => socket.listen.len(),
        (None, Some(_)) => 1,
        (None, None) => return false,
    };
    held.own.len() == count
}

/// It counts as up although nobody has said so: what follows is the same.
fn still_open(mut restored: Restored) -> Restored {
    if restored.running && restored.phase == Phase::Starting {
        restored.phase = Phase::Up;
        restored.settled = true;
    }
    restored
}

/// Whether the command beside the main process goes on: as our child, it does.
fn adopt_helper(held: &mut Held, service: &Service, helper: u32) -> bool {
    if helper == 0 {
        return false;
    }
    match pidfd::open(helper) {
        Ok(pidfd) if process::is_child(pidfd.as_fd()) => {
            held.helpers.push(Helper::adopted(helper, pidfd));
            true
        }
        _ => {
            held.kill_lost_helper(service, helper);
            false
        }
    }
}
