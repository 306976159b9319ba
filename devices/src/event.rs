//! What happens to a device, and what the rules decide about it.

use std::collections::BTreeSet;
use std::io;

use crate::device::{Device, Properties};

/// A command that a rule asks for, once everything else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A program and its arguments.
    Program(Vec<String>),
    /// One of [`crate::builtins`] and its arguments.
    Builtin(Vec<String>),
}

/// An event while the rules decide about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `add`, `remove`, `change` and the like.
    pub action: String,
    /// What it happens to.
    pub device: Device,
    /// What is known of it: what the kernel says, `ACTION`, `DEVPATH` and `SUBSYSTEM` included, and what rules have
    /// added. What begins with a dot is for rules alone.
    pub properties: Properties,
    /// More names below `/dev`.
    pub links: BTreeSet<String>,
    /// Of two devices that want the same name, the one with the higher number has it.
    pub link_priority: i32,
    /// Words by which listeners find it.
    pub tags: BTreeSet<String>,
    /// The node's owner.
    pub owner: Option<u32>,
    /// The node's group.
    pub group: Option<u32>,
    /// The node's mode.
    pub mode: Option<u32>,
    /// Another name for a network interface.
    pub interface: Option<String>,
    /// What is to be run, in this order.
    pub commands: Vec<Command>,
    /// Whether a node that was open for writing is looked at anew.
    pub is_watched: Option<bool>,
    /// Whether the record outlives the initrd's.
    pub is_kept: bool,
    /// What the last `PROGRAM` wrote.
    pub result: Option<String>,
}

impl Event {
    /// `device` as the kernel shows it, and nothing decided.
    #[must_use]
    pub fn new(action: &str, device: Device) -> Self {
        let mut properties = device.properties();
        properties.insert("ACTION".to_owned(), action.to_owned());
        Self {
            action: action.to_owned(),
            device,
            properties,
            links: BTreeSet::new(),
            link_priority: 0,
            tags: BTreeSet::new(),
            owner: None,
            group: None,
            mode: None,
            interface: None,
            commands: Vec::new(),
            is_watched: None,
            is_kept: false,
            result: None,
        }
    }

    /// A property's value.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }
}

/// What rules ask of the machine beside the device: behind a trait, so that they are tested without one.
pub trait Surroundings {
    /// Runs a program, of which the first word is a path, with the event's properties in its environment, and gives
    /// what it has written; none if it has ended with anything but status 0.
    ///
    /// # Errors
    /// It cannot be run, or did not end in time.
    fn output(&mut self, argv: &[String], properties: &Properties) -> io::Result<Option<String>>;

    /// What a builtin finds out; none if it knows nothing of the device.
    ///
    /// # Errors
    /// The device cannot be read, or there is no such builtin.
    fn builtin(&mut self, argv: &[String], event: &Event) -> io::Result<Option<Properties>>;

    /// The properties in the record of the device with this id, from an earlier event.
    fn recorded(&mut self, id: &str) -> Properties;

    /// The tags in the record of the device with this id.
    fn recorded_tags(&mut self, id: &str) -> BTreeSet<String>;

    /// A word of the kernel's command line: its value, `1` if it has none.
    fn command_line(&mut self, key: &str) -> Option<String>;

    /// A file's text, for `IMPORT{file}`.
    ///
    /// # Errors
    /// It cannot be read.
    fn file(&mut self, path: &str) -> io::Result<String>;

    /// The mode of what is at an absolute path, links followed.
    fn mode(&mut self, path: &str) -> Option<u32>;

    /// A user's number, by name or number.
    fn user(&mut self, name: &str) -> Option<u32>;

    /// A group's number, by name or number.
    fn group(&mut self, name: &str) -> Option<u32>;

    /// A parameter below `/proc/sys`, by a path or with dots.
    fn sysctl(&mut self, key: &str) -> Option<String>;

    /// Sets it.
    ///
    /// # Errors
    /// The kernel's.
    fn set_sysctl(&mut self, key: &str, value: &str) -> io::Result<()>;

    /// Writes an attribute of `device`.
    ///
    /// # Errors
    /// The kernel's.
    fn set_attribute(&mut self, device: &Device, name: &str, value: &str) -> io::Result<()>;

    /// The value of `CONST{key}`: `arch` (`x86-64`), `virt` (`none`, `kvm`, `qemu` and the like).
    fn constant(&mut self, key: &str) -> Option<String>;

    /// Whether [`Surroundings::decided`] wants to be told.
    fn wants_to_know(&self) -> bool {
        false
    }

    /// The rule at `place`, a file and line, has made `after` of `before`.
    fn decided(&mut self, place: &str, before: &Event, after: &Event) {
        log::trace!("{place}: {before:?} {after:?}");
    }
}
