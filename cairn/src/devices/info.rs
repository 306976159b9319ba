//! What is known of a device: `cairn devices info`.
//!
//! Source: `udevadm(8)`, whose output this is, as scripts read it.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use cairn_devices::device::{Device, Properties};
use cairn_devices::record::Record;
use serde::Serialize;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Query {
    /// Everything, a line each
    All,
    /// The name of its node
    Name,
    /// Its other names
    Symlink,
    /// Its path below /sys
    Path,
    /// Its properties, as NAME=value
    Property,
}

/// How it is shown.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// Names of nodes with `/dev/` before them.
    pub with_root: bool,
    /// Values in quotes, for a shell.
    pub quoted: bool,
    /// Before each of the names then.
    pub prefix: String,
    /// Only these properties, if there are any.
    pub only: Vec<String>,
    /// Their values alone.
    pub value: bool,
}

/// What is known of a device, as data.
#[derive(Debug, Serialize)]
struct Known {
    path: String,
    node: Option<String>,
    links: Vec<String>,
    tags: Vec<String>,
    properties: Properties,
}

/// The properties of a device: the kernel's and those that rules have found out.
fn properties(device: &Device, record: &Record) -> Properties {
    let mut all = device.properties();
    all.extend(record.told());
    all.extend(record.properties.clone());
    all
}

/// The answer to a question about a device.
#[must_use]
pub fn answer(device: &Device, record: &Record, query: Query, form: &Form) -> String {
    let root = if form.with_root { "/dev/" } else { "" };
    let mut text = String::new();
    match query {
        Query::Name => line(
            &mut text,
            &format!("{root}{}", device.node().unwrap_or_default()),
        ),
        Query::Path => line(&mut text, device.devpath()),
        Query::Symlink => {
            let links: Vec<String> = record
                .links
                .iter()
                .map(|link| format!("{root}{link}"))
                .collect();
            line(&mut text, &links.join(" "));
        }
        Query::Property => {
            for (name, value) in properties(device, record) {
                if !form.only.is_empty() && !form.only.contains(&name) {
                    continue;
                }
                let name = format!("{}{name}=", form.prefix);
                let name = if form.value { "" } else { &name };
                if form.quoted {
                    line(
                        &mut text,
                        &format!("{name}'{}'", value.replace('\'', "'\\''")),
                    );
                } else {
                    line(&mut text, &format!("{name}{value}"));
                }
            }
        }
        Query::All => {
            line(&mut text, &format!("P: {}", device.devpath()));
            let name = device.devpath().rsplit('/').next().unwrap_or_default();
            line(&mut text, &format!("M: {name}"));
            if let Some(node) = device.node() {
                line(&mut text, &format!("N: {node}"));
            }
            if record.link_priority != 0 {
                line(&mut text, &format!("L: {}", record.link_priority));
            }
            for link in &record.links {
                line(&mut text, &format!("S: {link}"));
            }
            for (name, value) in properties(device, record) {
                line(&mut text, &format!("E: {name}={value}"));
            }
        }
    }
    text
}

/// All that is known, as JSON.
///
/// # Errors
/// Never, for text.
pub fn json(device: &Device, record: &Record) -> Result<String> {
    let known = Known {
        path: device.devpath().to_owned(),
        node: device.node().map(|node| format!("/dev/{node}")),
        links: record
            .links
            .iter()
            .map(|link| format!("/dev/{link}"))
            .collect(),
        tags: record.tags.iter().cloned().collect(),
        properties: properties(device, record),
    };
    Ok(serde_json::to_string(&known)? + "\n")
}

/// What rules can ask of a device and of those above it, as they would ask.
#[must_use]
pub fn walk(device: &Device) -> String {
    let mut text = "\
        What a rule can match: keys of the device itself, and those of one of the devices above it.\n"
        .to_owned();
    for (index, device) in device.lineage().enumerate() {
        let plural = if index == 0 { "" } else { "S" };
        let of = if index == 0 {
            "device"
        } else {
            "device above it"
        };
        line(&mut text, "");
        line(&mut text, &format!("  {of} '{}':", device.devpath()));
        line(
            &mut text,
            &format!("    KERNEL{plural}==\"{}\"", device.name()),
        );
        line(
            &mut text,
            &format!(
                "    SUBSYSTEM{plural}==\"{}\"",
                device.subsystem().unwrap_or_default()
            ),
        );
        line(
            &mut text,
            &format!(
                "    DRIVER{plural}==\"{}\"",
                device.driver().unwrap_or_default()
            ),
        );
        for (name, value) in attributes(&device) {
            line(
                &mut text,
                &format!("    ATTR{plural}{{{name}}}==\"{value}\""),
            );
        }
    }
    text
}

/// The attributes of a device that are a line of text.
fn attributes(device: &Device) -> Vec<(String, String)> {
    let entries = fs::read_dir(device.path()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let others = [
        "uevent",
        "dev",
        "driver",
        "subsystem",
        "module",
        "descriptors",
        "config",
    ];
    let names = names.into_iter().filter(|name| !others.contains(&&**name));
    let values = names.filter_map(|name| Some((device.attribute(&name)?, name)));
    let is_text = |value: &str| !value.contains(char::is_control) && !value.contains('\u{fffd}');
    values
        .filter(|(value, _)| is_text(value))
        .map(|(value, name)| (name, value))
        .collect()
}

fn line(text: &mut String, line: &str) {
    if writeln!(text, "{}", super::shown(line)).is_err() {
        log::error!("a line cannot be written"); // a String can
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use expect_test::expect;

    fn disk() -> (Device, Record) {
        let fields = [
            ("MAJOR", "8"),
            ("MINOR", "0"),
            ("DEVNAME", "sda"),
            ("SUBSYSTEM", "block"),
            ("DEVTYPE", "disk"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let device = Device::of_event(
            Path::new("/sys"),
            "/devices/x/sda",
            &Properties::from(fields),
        )
        .unwrap();
        let text =
            "S:disk/by-id/ata-x\nL:5\nI:7\nE:ID_MODEL=it's\nG:old\nG:systemd\nQ:systemd\nV:1\n";
        (device, Record::parse(text))
    }

    #[test]
    fn everything_is_shown() {
        let (device, record) = disk();
        let answers = [Query::All, Query::Name, Query::Symlink, Query::Path];
        let answers = answers.map(|query| answer(&device, &record, query, &Form::default()));
        expect![[r#"
            P: /devices/x/sda
            M: sda
            N: sda
            L: 5
            S: disk/by-id/ata-x
            E: CURRENT_TAGS=:systemd:
            E: DEVLINKS=/dev/disk/by-id/ata-x
            E: DEVNAME=/dev/sda
            E: DEVPATH=/devices/x/sda
            E: DEVTYPE=disk
            E: ID_MODEL=it's
            E: MAJOR=8
            E: MINOR=0
            E: SUBSYSTEM=block
            E: TAGS=:old:systemd:
            E: USEC_INITIALIZED=7
            sda
            disk/by-id/ata-x
            /devices/x/sda
        "#]]
        .assert_eq(&answers.concat());
    }

    #[test]
    fn properties_are_for_shells() {
        let (device, record) = disk();
        let only = vec!["ID_MODEL".to_owned(), "DEVNAME".to_owned()];
        let form = Form {
            quoted: true,
            prefix: "x_".to_owned(),
            only: only.clone(),
            ..Form::default()
        };
        let value = Form {
            only,
            value: true,
            ..Form::default()
        };
        let text = [form, value]
            .map(|form| answer(&device, &record, Query::Property, &form))
            .concat();
        expect![[r#"
            x_DEVNAME='/dev/sda'
            x_ID_MODEL='it'\''s'
            /dev/sda
            it's
        "#]]
        .assert_eq(&text);
        expect![[r#"
            {"path":"/devices/x/sda","node":"/dev/sda","links":["/dev/disk/by-id/ata-x"],"tags":["systemd"],"properties":{"CURRENT_TAGS":":systemd:","DEVLINKS":"/dev/disk/by-id/ata-x","DEVNAME":"/dev/sda","DEVPATH":"/devices/x/sda","DEVTYPE":"disk","ID_MODEL":"it's","MAJOR":"8","MINOR":"0","SUBSYSTEM":"block","TAGS":":old:systemd:","USEC_INITIALIZED":"7"}}
        "#]]
        .assert_eq(&json(&device, &record).unwrap());
    }

    #[test]
    fn rules_can_be_written_by_what_is_shown() {
        let device = Device::open(Path::new("/sys"), "/devices/virtual/mem/null").unwrap();
        let text = walk(&device);
        assert!(text.contains("  device '/devices/virtual/mem/null':\n    KERNEL==\"null\"\n    SUBSYSTEM==\"mem\"\n"), "{text}");
    }
}
