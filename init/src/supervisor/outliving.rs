//! What outlives user space: services that are described so, and descriptors that services have left for good.
//!
//! ```text
//! the supervisor that leaves   tells core of the ending, marks the state as one for a fresh start, and names
//!                              what goes on in /run/cairn/outliving; then it stops all others
//! core                         ends all other processes, and leaves what it keeps to the generation's program
//! the supervisor that comes    plans the start of all services but those, as a switch is planned
//! ```
//! Core starts no other supervisor once it knows of the ending: the mark in the state is seen only where all other
//! processes have ended. Without the names core leaves nothing, and the machine begins anew.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use cairn_system::ordered;
use cairn_system::{OnChange, Service, ServiceAction};

use super::given::STORED;
use super::graph::Id;
use super::heir::{self, Estate};
use super::link::Link;
use super::record::Record;
use super::state::{Header, State};
use super::{Supervisor, console, description, plan};
use crate::core::handover;
use crate::core::message::{Message, Place, SPARES};
use crate::core::outliving::{LAST_NAMES, NAMES};
use crate::generation::CORE;
use crate::realm::realm;
use crate::role::{GOES_ON, core_name};

impl Supervisor {
    /// What goes on while user space of the generation at `toplevel` takes the place of ours; none if nothing
    /// is kept at all. The console is told what cannot go on.
    pub(super) fn outliving(&self, toplevel: &str) -> Option<Vec<Id>> {
        let is_meant = |id: &Id| {
            let service = self.services.descriptions().get(*id);
            let unit = self.services.units().get(*id);
            service.is_some_and(|service| service.outlives_user_space)
                && unit.is_some_and(|unit| unit.phase.is_up())
        };
        let meant: Vec<Id> = (0..self.held.len()).filter(is_meant).collect();
        // The socket of a service that is down goes on as well.
        let is_nothing = meant.is_empty() && self.services.outliving(|_| true).is_empty();
        if is_nothing && !self.has_pinned() {
            return None;
        }
        let names = match self.names_of_next(toplevel) {
            Ok(names) => names,
            Err(reason) => {
                console(&format!("nothing outlives this: {reason}"));
                return None;
            }
        };
        let goes_on = self.services.outliving(|name| names.contains(name));
        for id in meant.iter().filter(|id| !goes_on.contains(id)) {
            let name = self.name(*id);
            if names.contains(name) {
                console(&format!("'{name}' stops: it needs something that stops"));
            } else {
                console(&format!("'{name}' stops: it is not in {toplevel}"));
            }
        }
        Some(goes_on)
    }

    /// Whether a service has left something for good.
    fn has_pinned(&self) -> bool {
        let mut all = self.held.iter().zip(self.services.descriptions());
        all.any(|(held, service)| {
            service.pinned_descriptors && held.own.iter().any(|own| own.number >= STORED)
        })
    }

    /// The services of a generation that can take over what goes on.
    fn names_of_next(&self, toplevel: &str) -> Result<BTreeSet<String>, String> {
        if self.core < SPARES {
            return Err("PID 1 is of an older generation".to_owned());
        }
        let toplevel = Path::new(toplevel);
        if !goes_on(&toplevel.join(CORE)) {
            return Err(format!(
                "the program of {} is too old for that",
                toplevel.display()
            ));
        }
        let names = description::names(toplevel).map_err(|error| format!("{error:#}"))?;
        Ok(ordered::set(names))
    }

    /// Notes what goes on, once core knows what is to come: if that fails, everything ends.
    pub(super) fn note_outliving(&mut self, outliving: &[Id]) {
        let names = outliving.iter().map(|id| format!("{}\n", self.name(*id)));
        let names: String = names.collect();
        let noted = self
            .state
            .write_header(&self.header())
            .and_then(|()| write(&path(NAMES), &names));
        match noted {
            Ok(()) if names.is_empty() => {}
            Ok(()) => log::info!("these go on: {}", names.trim_end().replace('\n', ", ")),
            Err(error) => console(&format!(
                "cannot note what goes on: {error}; everything stops"
            )),
        }
    }

    /// All that is left to do is core's. What goes on writes meanwhile is for the supervisor that comes, and
    /// could be lost with this one.
    pub(super) fn rest() -> ! {
        loop {
            nix::unistd::pause();
        }
    }
}

fn path(name: &str) -> PathBuf {
    realm().control.with_file_name(name)
}

/// Writes a file as a whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// Whether a generation's program takes over what this one leaves. An older one does not know the question.
fn goes_on(core: &Path) -> bool {
    let status = Command::new(core)
        .arg0(core_name(None))
        .args([
            OsStr::new(GOES_ON),
            OsStr::new(&handover::VERSION.to_string()),
        ])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            log::error!("cannot execute {}: {error}", core.display());
            false
        }
    }
}

/// User space has started again: plans the start of the services of the generation at `toplevel`, but for those
/// that have gone on. Returns what holds then.
///
/// # Errors
/// Core is gone, or the state cannot be read or written.
pub fn begin_again(
    link: &Link,
    state: &State,
    header: &Header,
    estate: &mut Estate,
    (toplevel, services): (&str, &[Service]),
) -> anyhow::Result<Header> {
    let names = path(LAST_NAMES);
    let text = fs::read_to_string(&names).unwrap_or_else(|error| {
        log::error!("cannot read {}: {error}", names.display());
        String::new()
    });
    let names: BTreeSet<&str> = ordered::set(text.lines());
    for (slot, record) in (0..).zip(state.records()?) {
        let Some(record) = record else { continue };
        if names.contains(record.name.as_str()) {
            continue;
        }
        forget(link, estate, slot, services, &record.name)?;
        heir::remove_group(&record.name);
        if record.restored.instance {
            state.clear(slot)?;
        } else {
            state.write(slot, &Record::fresh(&record.name))?;
        }
    }
    state.write_marks(&[])?;
    let before = before(header, services, &names);
    let after: Vec<Service> = services
        .iter()
        .map(|service| kept(service, &names))
        .collect();
    let header = Header {
        booted: false,
        restarts: false,
        ..header.clone()
    };
    let changes = plan::plan(state, &header, &before, (toplevel, &after))?;
    for change in changes
        .iter()
        .filter(|one| one.action == ServiceAction::Keep)
    {
        console(&change.to_string());
    }
    Ok(Header {
        plan: Some(toplevel.to_owned()),
        ..header
    })
}

/// Has core forget what a service has that has ended, but for its output that nobody has read, and what it has left
/// for good.
fn forget(
    link: &Link,
    estate: &mut Estate,
    slot: u32,
    services: &[Service],
    name: &str,
) -> anyhow::Result<()> {
    if let Some(pid) = estate.take_process(slot) {
        link.send(Message::Drop(Place::Process { slot, pid }), None)?;
    }
    let pinned = services
        .iter()
        .any(|service| service.name.as_str() == name && service.pinned_descriptors);
    if pinned {
        return Ok(());
    }
    for number in estate.take_stored(slot) {
        let place = Place::Descriptor { slot, number };
        link.send(Message::Drop(place), None)
            .context("cannot let core forget what a service has left")?;
    }
    Ok(())
}

/// What the generation before said of what has gone on. What that wants along is to come along anew.
fn before(header: &Header, services: &[Service], names: &BTreeSet<&str>) -> Vec<Service> {
    let before = match description::read(Path::new(&header.toplevel)) {
        Ok(description) => description.services,
        Err(error) => {
            log::warn!("{error:#}; what goes on counts as unchanged");
            services.to_vec()
        }
    };
    let goes_on = |service: &Service| names.contains(service.name.as_str());
    let mut before: Vec<Service> = before.into_iter().filter(goes_on).collect();
    for service in &mut before {
        service.wants.clear();
    }
    before
}

/// What has gone on is not restarted, whatever has changed.
fn kept(service: &Service, names: &BTreeSet<&str>) -> Service {
    let mut service = service.clone();
    if names.contains(service.name.as_str()) {
        service.on_change = OnChange::Keep;
    }
    service
}
