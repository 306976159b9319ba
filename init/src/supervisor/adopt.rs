//! What a supervisor starts from: nothing, or what its predecessor left with core.
//!
//! A service goes on if core has its process. One that was about to be started when the predecessor
//! was killed is killed and started anew: nobody knows how far it had got. A command that ran beside
//! a service's process (after its start, before its stop) is killed and run again. A service that this
//! generation does not have is killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::Context;
use cairn_sys::cgroup::Cgroup;
use cairn_sys::process::{memory_file, pipe};
use cairn_system::control::LOG_DIRECTORY;
use cairn_system::{Service, ServiceKind};

use super::journal::Journal;
use super::link::Link;
use super::process::{Held, Main, Pipe, cgroup_root};
use super::record::{self, Record};
use super::services::{Event, Phase, Services};
use crate::clock::now;
use crate::core::message::{Message, Place};

/// Where a supervisor starts.
pub struct Adopted {
    /// The state machine.
    pub services: Services,
    /// What is held of each service.
    pub held: Vec<Held>,
    /// The state file; core has it too.
    pub state: File,
    /// What core said meanwhile.
    pub messages: Vec<Message>,
    /// The socket of notifications, if a predecessor had one.
    pub notifications: Option<OwnedFd>,
    /// The first event.
    pub first: Event,
}

/// Asks core for what it keeps, and takes it over.
///
/// # Errors
/// Core does not answer, or no descriptor is left.
pub fn adopt(link: &Link, services: &[Service]) -> anyhow::Result<Adopted> {
    let (inheritance, messages) = link.inherit().context("cannot ask core what it keeps")?;
    let mut estate = Estate::default();
    for (place, descriptor) in inheritance {
        match place {
            Place::State => estate.state = Some(File::from(descriptor)),
            Place::Notifications => estate.notifications = Some(descriptor),
            Place::Log { slot } => {
                estate.logs.insert(slot, descriptor);
            }
            Place::Process { slot, pid } => {
                estate.processes.insert(slot, (pid, descriptor));
            }
        }
    }
    let records = match &estate.state {
        Some(state) => record::read_all(state).context("cannot read the state")?,
        None => Vec::new(),
    };
    let mut machine = Services::new(services.to_vec());
    if records.iter().all(Option::is_none) {
        let held = (0..)
            .zip(services)
            .map(|(slot, service)| hold(slot, service))
            .collect();
        let state = memory_file(c"cairn-state").context("cannot make the state file")?;
        link.send(Message::Keep(Place::State), Some(state.as_fd()))?;
        return Ok(Adopted {
            services: machine,
            held,
            state,
            messages,
            notifications: estate.notifications,
            first: Event::Boot,
        });
    }
    let state = estate.state.take().context("there is no state")?;
    let slots = slots(services, &records);
    let mut held = Vec::with_capacity(services.len());
    for (id, (service, slot)) in services.iter().zip(slots).enumerate() {
        let mut holding = hold(slot, service);
        let number = usize::try_from(slot).unwrap_or(usize::MAX);
        if let Some(Some(record)) = records.get(number) {
            let mut restored = record.restored.clone();
            holding.adopted();
            take_over(&mut holding, &mut estate, service, &mut restored)?;
            if record.helper != 0 {
                holding.kill_lost_helper(service, record.helper);
            }
            machine.restore(id, restored);
        }
        held.push(holding);
    }
    drop_leftovers(link, &estate, services, &records)?;
    machine.resume(now());
    let adopted = held.iter().filter(|held| held.main.is_some()).count();
    log::info!("{adopted} services are taken over");
    Ok(Adopted {
        services: machine,
        held,
        state,
        messages,
        notifications: estate.notifications,
        first: Event::Tick,
    })
}

/// What core kept.
#[derive(Default)]
struct Estate {
    state: Option<File>,
    notifications: Option<OwnedFd>,
    logs: BTreeMap<u32, OwnedFd>,
    processes: BTreeMap<u32, (u32, OwnedFd)>,
}

fn hold(slot: u32, service: &Service) -> Held {
    let journal = Journal::new(Path::new(LOG_DIRECTORY), service.name.as_str());
    Held::new(slot, journal)
}

/// The slot of each service: its old one, or one that is free.
fn slots(services: &[Service], records: &[Option<Record>]) -> Vec<u32> {
    let old: BTreeMap<&str, u32> = (0..)
        .zip(records)
        .filter_map(|(slot, record)| Some((record.as_ref()?.name.as_str(), slot)))
        .collect();
    let used = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut fresh = used..;
    services
        .iter()
        .map(|service| match old.get(service.name.as_str()) {
            Some(slot) => *slot,
            None => fresh.next().unwrap_or(u32::MAX),
        })
        .collect()
}

fn take_over(
    held: &mut Held,
    estate: &mut Estate,
    service: &Service,
    restored: &mut super::services::Restored,
) -> anyhow::Result<()> {
    if let Some(reader) = estate.logs.remove(&held.slot) {
        let writer = reopen_for_writing(&reader).or_else(|error| {
            // Its present process keeps the old pipe; the next one gets a pipe that works.
            log::error!("cannot reopen the pipe of '{}': {error}", service.name);
            pipe().map(|(_, writer)| writer)
        })?;
        held.pipe = Some(Pipe { reader, writer });
    }
    if restored.phase != Phase::Stopped {
        held.ensure_cgroup(service);
    }
    let process = estate.processes.remove(&held.slot);
    match process.filter(|_| restored.running) {
        Some((pid, pidfd)) => {
            held.main = Some(Main {
                pid,
                pidfd,
                report: None,
                program: String::new(),
            });
            if restored.phase == Phase::Starting && service.kind == ServiceKind::Simple {
                // Its report is lost. Had it not been executed, its end will say so.
                restored.phase = if service.post_start.is_empty() {
                    Phase::Up
                } else {
                    Phase::Finishing(0)
                };
            }
        }
        None if restored.running => {
            held.kill(service);
            restored.running = false;
            restored.phase = match restored.phase {
                Phase::Stopping(_) | Phase::Killed(_) => Phase::Stopped,
                // The command is run again.
                Phase::Cleaning(command, until) => Phase::Cleaning(command, until),
                _ => Phase::Waiting,
            };
        }
        None => {}
    }
    Ok(())
}

/// The end to write to of a pipe of which only the other end was kept.
fn reopen_for_writing(reader: &OwnedFd) -> std::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    Ok(std::fs::OpenOptions::new().write(true).open(path)?.into())
}

/// Kills what no service of this generation accounts for, and lets core forget it.
fn drop_leftovers(
    link: &Link,
    estate: &Estate,
    services: &[Service],
    records: &[Option<Record>],
) -> anyhow::Result<()> {
    for record in records.iter().flatten() {
        if services
            .iter()
            .any(|service| service.name.as_str() == record.name)
        {
            continue;
        }
        log::info!("'{}' is not in this generation: it is killed", record.name);
        let path = cgroup_root().join(&record.name);
        if let Err(error) = Cgroup::create(&path).and_then(|cgroup| cgroup.kill()) {
            log::error!("cannot kill '{}': {error}", record.name);
        }
    }
    for slot in estate.logs.keys() {
        link.send(Message::Drop(Place::Log { slot: *slot }), None)?;
    }
    for (slot, (pid, _)) in &estate.processes {
        let place = Place::Process {
            slot: *slot,
            pid: *pid,
        };
        link.send(Message::Drop(place), None)?;
    }
    Ok(())
}
