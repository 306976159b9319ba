//! One event: the rules are asked, then names, rights and record are made so, commands run, and listeners told.
//!
//! Invariant: a device whose record is there, or of which listeners are told, has its names and rights.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nix::time::{ClockId, clock_gettime};

use crate::broadcast::{self, Broadcast};
use crate::builtins;
use crate::device::Device;
use crate::event::{Command, Event};
use crate::interface;
use crate::links::Links;
use crate::lock::Lock;
use crate::machine::Machine;
use crate::node::{self, Rights};
use crate::places::Places;
use crate::program;
use crate::record::{Record, Records};
use crate::rules::Rules;

/// What has happened to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// `add`, `remove`, `change` and the like.
    pub action: String,
    /// To which device.
    pub device: Device,
    /// Whether services that it wants are wanted though they were before: none of them runs.
    pub is_anew: bool,
}

impl News {
    /// An event that is not the kernel's own, as its last one: listeners leave out what has no number.
    #[must_use]
    pub fn made(action: &str, device: Device) -> Self {
        let number = device.sys().join("kernel/uevent_seqnum");
        let number = std::fs::read_to_string(number).unwrap_or_default();
        let number = match number.trim_end() {
            "" | "0" => "1", // the kernel has said nothing yet
            number => number,
        };
        Self {
            action: action.to_owned(),
            device: device.with("SEQNUM", number),
            is_anew: false,
        }
    }

    /// Whether both are changes of which the kernel says the same: who handles one looks at the device as it is then.
    /// For each event with a cookie somebody waits who has counted them.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.action == "change"
            && other.action == "change"
            && self.device.property("DM_COOKIE").is_none()
            && self.device.clone().with("SEQNUM", "") == other.device.clone().with("SEQNUM", "")
    }

    /// What a later event must not overtake.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let old = self.device.property("DEVPATH_OLD");
        let id = self.device.id().map(|id| format!("/:{id}"));
        let paths = [
            Some(self.device.devpath().to_owned()),
            old.map(str::to_owned),
            id,
        ];
        paths.into_iter().flatten().collect()
    }
}

/// What is asked of the services when a device is there: systemd's `SYSTEMD_WANTS`.
pub type Wanted = Box<dyn Fn(&str) + Send + Sync>;

/// The rules, and all that they have decided so far.
pub struct Handler {
    pub(crate) places: Places,
    path: String,
    rules: RwLock<Arc<Rules>>,
    records: Records,
    links: Mutex<Links>,
    broadcast: Broadcast,
    wanted: Wanted,
}

/// What is to be done once an event was handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The device.
    pub device: Device,
    /// Whether it is to be looked at anew when somebody has written to its node.
    pub is_watched: bool,
}

impl Handler {
    /// Rules for the machine, whose programs are in the folders of `path`.
    ///
    /// # Errors
    /// Nothing can be recorded, or listeners cannot be told.
    pub fn new(places: Places, path: String, rules: Rules, wanted: Wanted) -> io::Result<Self> {
        let records = Records::open(&places.state)?;
        let links = Links::new(&places.dev);
        let broadcast = Broadcast::sender()?;
        Ok(Self {
            places,
            path,
            rules: RwLock::new(Arc::new(rules)),
            records,
            links: Mutex::new(links),
            broadcast,
            wanted,
        })
    }

    /// Other rules from now on.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// What is known of devices.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Handles an event. What cannot be done is logged, and all else is done.
    pub fn handle(&self, news: &News) -> Handled {
        let before = news.device.id().and_then(|id| self.records.get(&id));
        let mut event = Event::new(&news.action, news.device.clone());
        if news.action == "remove" {
            self.removed(&mut event, before);
            return Handled {
                device: event.device,
                is_watched: false,
            };
        }
        let lock = Lock::wait(&event.device, &self.places.dev);
        self.rules().apply(&mut event, &mut self.machine());
        drop(lock);
        if event.action == "add" {
            rename(&mut event);
        }
        let rights = Rights::of(&event);
        match node::set(&event.device, &self.places.dev, rights) {
            // Its next event says that it has gone.
            Err(error) if !event.device.is_there() => log::debug!("{error}"),
            result => warn(result),
        }
        let record = Record::of(&event, before.as_ref(), now());
        if let Some(id) = event.device.id() {
            self.name(&id, &event, &record, before.as_ref());
        }
        event.properties.extend(record.told());
        self.run(&event);
        self.broadcast(&event, &record);
        let wanted_before = before.as_ref().filter(|_| !news.is_anew);
        for name in newly_wanted(&record, wanted_before) {
            (self.wanted)(name);
        }
        Handled {
            is_watched: event.is_watched == Some(true),
            device: event.device,
        }
    }

    /// The device has its names and its record from now on.
    fn name(&self, id: &str, event: &Event, record: &Record, before: Option<&Record>) {
        let node = event.device.node().unwrap_or_default();
        let errors = self
            .links()
            .set(id, node, record.link_priority, &record.links);
        for error in errors {
            log::warn!("{}: {error}", event.device.devpath());
        }
        let says_something =
            !record.properties.is_empty() || !record.tags.is_empty() || !record.old_tags.is_empty();
        let is_used = event.device.numbers().is_some() || event.device.interface().is_some();
        if says_something || is_used {
            warn(self.records.put(id, record, before));
        } else if let Some(before) = before {
            warn(self.records.remove(id, before));
        }
    }

    fn removed(&self, event: &mut Event, before: Option<Record>) {
        let mut record = before.unwrap_or_default();
        for (name, value) in &record.properties {
            event
                .properties
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        event.links.clone_from(&record.links);
        event.tags.clone_from(&record.tags);
        self.rules().apply(event, &mut self.machine());
        if let Some(id) = event.device.id() {
            let errors = self.links().remove(&id);
            for error in errors {
                log::warn!("{}: {error}", event.device.devpath());
            }
            warn(self.records.remove(&id, &record));
        }
        warn(node::remove(&event.device, &self.places.dev));
        // The rules may have named it once more.
        record.links.clone_from(&event.links);
        event.properties.extend(record.told());
        self.run(event);
        self.broadcast(event, &record);
    }

    fn run(&self, event: &Event) {
        for command in &event.commands {
            let (argv, result) = match command {
                Command::Program(argv) => {
                    (argv, program::output(argv, &event.properties, &self.path))
                }
                Command::Builtin(argv) => {
                    let done = builtins::run(argv, event, &self.places.dev);
                    (argv, done.map(|_| Some(String::new())))
                }
            };
            let what = || argv.join(" ");
            match result {
                Ok(Some(_)) => {}
                Ok(None) => log::warn!("{}: '{}' has failed", event.device.devpath(), what()),
                Err(error) => log::warn!("{}: {error} ({})", event.device.devpath(), what()),
            }
        }
    }

    fn broadcast(&self, event: &Event, record: &Record) {
        let told = event
            .properties
            .iter()
            .filter(|(name, value)| !name.starts_with('.') && !value.contains('\0'));
        let told = told
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let tags = record.tags.union(&record.old_tags).cloned().collect();
        if let Err(error) = self.broadcast.send(&broadcast::message(&told, &tags)) {
            log::warn!(
                "{}: nobody can be told of its event: {error}",
                event.device.devpath()
            );
        }
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn machine(&self) -> Machine<'_> {
        Machine::new(&self.places, &self.records, &self.path)
    }

    pub(crate) fn links(&self) -> std::sync::MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The services that a device wants and did not want before. A service that has ended or was stopped is not started again
/// at each change of a device: only when the device comes, or is ready for the first time.
fn newly_wanted<'r>(record: &'r Record, before: Option<&Record>) -> Vec<&'r str> {
    let had = before.map(wanted).unwrap_or_default();
    let names = wanted(record).into_iter();
    names.filter(|name| !had.contains(name)).collect()
}

/// The services that a device wants: none if it is not for services, or not ready yet.
fn wanted(record: &Record) -> Vec<&str> {
    let property = |name| record.properties.get(name).map(String::as_str);
    let is_ready = !matches!(
        property("SYSTEMD_READY"),
        Some("0" | "no" | "false" | "off")
    );
    if !record.tags.contains("systemd") || !is_ready {
        return Vec::new();
    }
    let names = property("SYSTEMD_WANTS").unwrap_or_default();
    names.split_ascii_whitespace().collect()
}

/// Gives a network interface the name that the rules want.
fn rename(event: &mut Event) {
    let (Some(number), Some(wanted)) = (event.device.interface(), event.interface.clone()) else {
        return;
    };
    let name = event.device.name();
    if name == wanted {
        return;
    }
    match interface::rename(number, &wanted) {
        Ok(()) => {
            log::info!("the network interface {name} is {wanted} now");
            event.properties.insert("INTERFACE_OLD".to_owned(), name);
            event.device = event.device.renamed(&wanted);
            let devpath = event.device.devpath().to_owned();
            event.properties.insert("DEVPATH".to_owned(), devpath);
            event.properties.insert("INTERFACE".to_owned(), wanted);
        }
        Err(error) => log::warn!("{name} cannot be renamed to '{wanted}': {error}"),
    }
}

/// Microseconds since the kernel's start.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    let micros = time
        .ok()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_nsec() / 1000);
    micros
        .and_then(|micros| u64::try_from(micros).ok())
        .unwrap_or_default()
}

pub(crate) fn warn(result: io::Result<()>) {
    if let Err(error) = result {
        log::warn!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_which_the_same_is_said_are_one() {
        let news = |action: &str, field: &str, number: &str| {
            let fields = [("SEQNUM", number), (field, "x")];
            let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let fields = crate::device::Properties::from(fields);
            let sys = std::path::Path::new("/sys");
            News {
                action: action.to_owned(),
                device: Device::of_event(sys, "/devices/x", &fields).unwrap(),
                is_anew: false,
            }
        };
        let change = news("change", "x", "7");
        assert!(change.says_the_same(&news("change", "x", "8")));
        assert!(!change.says_the_same(&news("change", "y", "8")));
        assert!(!change.says_the_same(&news("add", "x", "8")));
        let counted = news("change", "DM_COOKIE", "7");
        assert!(!counted.says_the_same(&news("change", "DM_COOKIE", "8")));
        assert!(!news("add", "x", "7").says_the_same(&news("add", "x", "8")));
    }

    #[test]
    fn a_service_is_wanted_once() {
        let record = |text: &str| Record::parse(text);
        let plugged = record("E:SYSTEMD_WANTS=a b.service\nG:systemd\nQ:systemd\n");
        let other = record("E:SYSTEMD_WANTS=b.service c\nG:systemd\nQ:systemd\n");
        let not_ready =
            record("E:SYSTEMD_READY=0\nE:SYSTEMD_WANTS=a b.service\nG:systemd\nQ:systemd\n");
        let untagged = record("E:SYSTEMD_WANTS=a b.service\nG:systemd\n");
        let nothing: [&str; 0] = [];
        for before in [None, Some(&not_ready), Some(&untagged)] {
            assert_eq!(newly_wanted(&plugged, before), ["a", "b.service"]);
        }
        assert_eq!(newly_wanted(&plugged, Some(&plugged)), nothing);
        assert_eq!(newly_wanted(&other, Some(&plugged)), ["c"]);
        assert_eq!(newly_wanted(&not_ready, None), nothing);
        assert_eq!(newly_wanted(&untagged, None), nothing);
    }
}
