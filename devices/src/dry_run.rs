//! What rules would decide about a device, and which of them why: nothing is changed.
//!
//! What rules ask of programs (`PROGRAM`, `IMPORT`) is asked; what they would write or run (`ATTR`, `SYSCTL`, `RUN`) is
//! only named.

use std::collections::BTreeSet;
use std::io;

use crate::device::{Device, Properties};
use crate::event::{Command, Event, Surroundings};
use crate::machine::Machine;
use crate::places::Places;
use crate::record::Records;
use crate::rules::Rules;

/// Something that a rule has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The rule's file and line.
    pub place: String,
    /// What, as a rule would say it.
    pub what: String,
}

/// What `rules` would make of `device` if `action` happened to it, where programs are in the folders of `path`.
#[must_use]
pub fn decide(
    rules: &Rules,
    places: &Places,
    path: &str,
    action: &str,
    device: Device,
) -> (Event, Vec<Decided>) {
    let records = Records::of(&places.state);
    let mut event = Event::new(action, device);
    let mut dry = Dry {
        machine: Machine::new(places, &records, path),
        written: Vec::new(),
        decided: Vec::new(),
    };
    rules.apply(&mut event, &mut dry);
    (event, dry.decided)
}

struct Dry<'m> {
    machine: Machine<'m>,
    /// What the rule would have written.
    written: Vec<String>,
    decided: Vec<Decided>,
}

impl Surroundings for Dry<'_> {
    fn output(&mut self, argv: &[String], properties: &Properties) -> io::Result<Option<String>> {
        self.machine.output(argv, properties)
    }

    fn builtin(&mut self, argv: &[String], event: &Event) -> io::Result<Option<Properties>> {
        self.machine.builtin(argv, event)
    }

    fn recorded(&mut self, id: &str) -> Properties {
        self.machine.recorded(id)
    }

    fn recorded_tags(&mut self, id: &str) -> BTreeSet<String> {
        self.machine.recorded_tags(id)
    }

    fn command_line(&mut self, key: &str) -> Option<String> {
        self.machine.command_line(key)
    }

    fn file(&mut self, path: &str) -> io::Result<String> {
        self.machine.file(path)
    }

    fn mode(&mut self, path: &str) -> Option<u32> {
        self.machine.mode(path)
    }

    fn user(&mut self, name: &str) -> Option<u32> {
        self.machine.user(name)
    }

    fn group(&mut self, name: &str) -> Option<u32> {
        self.machine.group(name)
    }

    fn sysctl(&mut self, key: &str) -> Option<String> {
        self.machine.sysctl(key)
    }

    fn set_sysctl(&mut self, key: &str, value: &str) -> io::Result<()> {
        self.written.push(format!("SYSCTL{{{key}}}=\"{value}\""));
        Ok(())
    }

    fn set_attribute(&mut self, _: &Device, name: &str, value: &str) -> io::Result<()> {
        self.written.push(format!("ATTR{{{name}}}=\"{value}\""));
        Ok(())
    }

    fn constant(&mut self, key: &str) -> Option<String> {
        self.machine.constant(key)
    }

    fn wants_to_know(&self) -> bool {
        true
    }

    fn decided(&mut self, place: &str, before: &Event, after: &Event) {
        let written = std::mem::take(&mut self.written);
        let all = differences(before, after).into_iter().chain(written);
        self.decided.extend(all.map(|what| Decided {
            place: place.to_owned(),
            what,
        }));
    }
}

/// What is decided after and was not before.
fn differences(before: &Event, after: &Event) -> Vec<String> {
    let mut all = Vec::new();
    let numbers = [
        ("OWNER", before.owner, after.owner),
        ("GROUP", before.group, after.group),
    ];
    for (name, before, after) in numbers {
        all.extend(changed(before.as_ref(), after).map(|number| format!("{name}=\"{number}\"")));
    }
    all.extend(
        changed(before.mode.as_ref(), after.mode).map(|mode| format!("MODE=\"{mode:04o}\"")),
    );
    for (name, value) in &after.properties {
        if before.properties.get(name) != Some(value) {
            all.push(format!("ENV{{{name}}}=\"{value}\""));
        }
    }
    let gone = before.properties.keys();
    let gone = gone.filter(|name| !after.properties.contains_key(*name));
    all.extend(gone.map(|name| format!("ENV{{{name}}}=\"\"")));
    for (key, before, after) in [
        ("TAG", &before.tags, &after.tags),
        ("SYMLINK", &before.links, &after.links),
    ] {
        let (new, old) = (after.difference(before), before.difference(after));
        all.extend(new.map(|value| format!("{key}+=\"{value}\"")));
        all.extend(old.map(|value| format!("{key}-=\"{value}\"")));
    }
    if after.interface != before.interface {
        let name = after.interface.as_deref().unwrap_or_default();
        all.push(format!("NAME=\"{name}\""));
    }
    if after.link_priority != before.link_priority {
        let priority = after.link_priority;
        all.push(format!("OPTIONS+=\"link_priority={priority}\""));
    }
    if let Some(is_watched) = changed(before.is_watched.as_ref(), after.is_watched) {
        let option = if is_watched { "watch" } else { "nowatch" };
        all.push(format!("OPTIONS+=\"{option}\""));
    }
    let new = after.commands.iter();
    let new = new.filter(|command| !before.commands.contains(command));
    all.extend(new.map(|command| match command {
        Command::Program(argv) => format!("RUN+=\"{}\"", argv.join(" ")),
        Command::Builtin(argv) => format!("RUN{{builtin}}+=\"{}\"", argv.join(" ")),
    }));
    all
}

fn changed<T: PartialEq>(before: Option<&T>, after: Option<T>) -> Option<T> {
    after.filter(|value| before != Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fs;

    #[test]
    fn each_decision_has_its_rule_and_nothing_is_changed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/devices/x");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("uevent", "MAJOR=1\nMINOR=3\nDEVNAME=null\n"),
            ("dev", "1:3\n"),
            ("size", "1\n"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        let places = Places::of(root.path());
        let device = Device::open(&places.sys, "/devices/x").unwrap();
        let text = "MODE=\"0660\", GROUP=\"7\", SYMLINK+=\"a b\", TAG+=\"seat\"\n\
            KERNEL==\"y\", MODE=\"0666\"\n\
            PROGRAM==\"/bin/echo it\", ENV{SAID}=\"%c\", ATTR{size}=\"2\", RUN+=\"/bin/false %k\"\n\
            SYMLINK-=\"a\", ENV{SAID}=\"\", OPTIONS+=\"link_priority=5\", OPTIONS+=\"watch\"\n";
        let (rules, problems) = Rules::parse(&[("x.rules", text)]);
        assert!(problems.is_empty(), "{problems:?}");
        let (event, decided) = decide(&rules, &places, "/bin", "add", device);
        let text: Vec<String> = decided
            .iter()
            .map(|decided| format!("{} {}\n", decided.place, decided.what))
            .collect();
        expect![[r#"
            x.rules:1 GROUP="7"
            x.rules:1 MODE="0660"
            x.rules:1 TAG+="seat"
            x.rules:1 SYMLINK+="a"
            x.rules:1 SYMLINK+="b"
            x.rules:3 ENV{SAID}="it"
            x.rules:3 RUN+="/bin/false x"
            x.rules:3 ATTR{size}="2"
            x.rules:4 ENV{SAID}=""
            x.rules:4 SYMLINK-="a"
            x.rules:4 OPTIONS+="link_priority=5"
            x.rules:4 OPTIONS+="watch"
        "#]]
        .assert_eq(&text.concat());
        assert_eq!(event.links, BTreeSet::from(["b".to_owned()]));
        assert_eq!(fs::read_to_string(folder.join("size")).unwrap(), "1\n");
        assert!(!places.state.exists());
    }
}
