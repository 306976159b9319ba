//! Rules against devices in a folder that stands for `/sys`.

mod bounds;
mod compared;
mod decided;
mod everyday;
mod parsed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use expect_test::Expect;
use tempfile::TempDir;

use super::Rules;
use crate::device::{Device, Properties};
use crate::event::{Event, Surroundings};

const USB: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2";

/// A serial adapter, a security key, a disk, a network card and a keyboard, with what is above them.
pub(super) fn machine() -> TempDir {
    let sys = tempfile::tempdir().unwrap();
    let add = |devpath: &str, subsystem: &str, uevent: &str, attributes: &[(&str, &str)]| {
        device(sys.path(), devpath, subsystem, uevent, attributes);
    };
    let pci = "/devices/pci0000:00/0000:00:14.0";
    add(pci, "pci", "DRIVER=xhci_hcd\n", &[("vendor", "0x8086\n")]);
    let ids = |vendor, product| [("idVendor", vendor), ("idProduct", product)];
    let serial = [
        ("serial", "A9 07/x;$(id)\n"),
        ("product", "FT232R USB UART\n"),
    ];
    let attributes = [ids("0403\n", "6001\n"), serial].concat();
    add(
        USB,
        "usb",
        "DEVTYPE=usb_device\nMAJOR=189\nMINOR=1\nDEVNAME=bus/usb/001/002\nPRODUCT=403/6001/600\n",
        &attributes,
    );
    add(
        &format!("{USB}/1-2:1.0"),
        "usb",
        "DEVTYPE=usb_interface\nDRIVER=ftdi_sio\n",
        &[("bInterfaceNumber", "00\n")],
    );
    add(&tty(), "tty", "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n", &[]);
    let key = "/devices/pci0000:00/0000:00:14.0/usb1/1-3";
    add(key, "usb", "DEVTYPE=usb_device\n", &ids("1050\n", "0407\n"));
    add(
        &hidraw(),
        "hidraw",
        "MAJOR=240\nMINOR=3\nDEVNAME=hidraw3\n",
        &[],
    );
    let scsi = "/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0";
    add(
        scsi,
        "scsi",
        "DRIVER=sd\n",
        &[("vendor", "ATA     \n"), ("model", "WDC WD40EFRX-68N\n")],
    );
    let queue = [
        ("queue/rotational", "1\n"),
        ("queue/scheduler", "[mq-deadline] none\n"),
        ("removable", "0\n"),
        ("size", "7814037168\n"),
    ];
    add(
        &disk(),
        "block",
        "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n",
        &queue,
    );
    add(
        &format!("{}/sda1", disk()),
        "block",
        "MAJOR=8\nMINOR=1\nDEVNAME=sda1\nDEVTYPE=partition\nPARTN=1\n",
        &[("partition", "1\n")],
    );
    let net = [("address", "52:54:00:12:34:56\n"), ("type", "1\n")];
    add(&network(), "net", "INTERFACE=eth0\nIFINDEX=2\n", &net);
    fs::create_dir_all(sys.path().join("bus/usb/devices")).unwrap();
    symlink(
        format!("../../../{USB}"),
        sys.path().join("bus/usb/devices/1-2"),
    )
    .unwrap();
    fs::create_dir_all(sys.path().join("module/kvm/parameters")).unwrap();
    fs::write(
        sys.path().join("module/kvm/parameters/halt_poll_ns"),
        "200000\n",
    )
    .unwrap();
    sys
}

pub(super) fn tty() -> String {
    format!("{USB}/1-2:1.0/ttyUSB0/tty/ttyUSB0")
}

pub(super) fn hidraw() -> String {
    "/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/0003:1050:0407.0004/hidraw/hidraw3"
        .to_owned()
}

pub(super) fn disk() -> String {
    "/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda".to_owned()
}

pub(super) fn network() -> String {
    "/devices/pci0000:00/0000:00:03.0/net/eth0".to_owned()
}

fn device(sys: &Path, devpath: &str, subsystem: &str, uevent: &str, attributes: &[(&str, &str)]) {
    let folder = sys.join(devpath.trim_start_matches('/'));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("uevent"), uevent).unwrap();
    let said = |name: &str| uevent.lines().find_map(|line| line.strip_prefix(name));
    if let (Some(major), Some(minor)) = (said("MAJOR="), said("MINOR=")) {
        fs::write(folder.join("dev"), format!("{major}:{minor}\n")).unwrap();
    }
    if let Some(number) = said("IFINDEX=") {
        fs::write(folder.join("ifindex"), format!("{number}\n")).unwrap();
    }
    symlink(format!("/sys/class/{subsystem}"), folder.join("subsystem")).unwrap();
    if let Some(driver) = uevent.lines().find_map(|line| line.strip_prefix("DRIVER=")) {
        symlink(format!("/sys/drivers/{driver}"), folder.join("driver")).unwrap();
    }
    for (name, value) in attributes {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }
}

/// What stands for the machine: knows some programs, users and records, and keeps what is written.
#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) log: String,
}

impl Surroundings for Fake {
    fn output(&mut self, argv: &[String], properties: &Properties) -> io::Result<Option<String>> {
        writeln!(self.log, "output {argv:?}").unwrap();
        let words: Vec<_> = argv.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            ["/bin/echo", rest @ ..] => Some(format!("{}\n", rest.join(" "))),
            ["/bin/export"] => {
                Some("A_KEY=\"a value\"\n# none\nB_KEY='b'\nDEVNAME=/dev/mem\nbad\n".to_owned())
            }
            ["/bin/false"] => None,
            ["/bin/action"] => properties.get("ACTION").cloned(),
            _ => return Err(io::Error::from(io::ErrorKind::NotFound)),
        })
    }

    fn builtin(&mut self, argv: &[String], event: &Event) -> io::Result<Option<Properties>> {
        writeln!(self.log, "builtin {argv:?}").unwrap();
        let name = event.device.name();
        Ok((argv[0] == "path_id")
            .then(|| Properties::from([("ID_PATH".to_owned(), format!("path-of-{name}"))])))
    }

    fn recorded(&mut self, id: &str) -> Properties {
        let pairs: &[(&str, &str)] = match id {
            "b8:0" => &[
                ("ID_SERIAL", "WDC_1"),
                ("ID_MODEL", "WDC"),
                ("OLD", "1"),
                ("DEVPATH", "no"),
            ],
            _ => &[],
        };
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect()
    }

    fn recorded_tags(&mut self, id: &str) -> BTreeSet<String> {
        let tags: &[&str] = if id == "c189:1" {
            &["seat", "uaccess"]
        } else {
            &[]
        };
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn command_line(&mut self, key: &str) -> Option<String> {
        BTreeMap::from([("quiet", "1"), ("root", "/dev/vda")])
            .get(key)
            .map(|value| (*value).to_owned())
    }

    fn file(&mut self, path: &str) -> io::Result<String> {
        match path {
            "/etc/facts" => Ok("C_KEY=c d\nD_KEY=\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn mode(&mut self, path: &str) -> Option<u32> {
        match path {
            "/bin/sh" => Some(0o100_755),
            "/etc/facts" => Some(0o100_644),
            _ => Path::new(path).exists().then_some(0o100_644),
        }
    }

    fn user(&mut self, name: &str) -> Option<u32> {
        BTreeMap::from([("root", 0), ("alice", 1000), ("1000", 1000)])
            .get(name)
            .copied()
    }

    fn group(&mut self, name: &str) -> Option<u32> {
        BTreeMap::from([
            ("root", 0),
            ("dialout", 20),
            ("plugdev", 46),
            ("users", 100),
        ])
        .get(name)
        .copied()
    }

    fn sysctl(&mut self, key: &str) -> Option<String> {
        (key == "kernel/ostype").then(|| "Linux\n".to_owned())
    }

    fn set_sysctl(&mut self, key: &str, value: &str) -> io::Result<()> {
        writeln!(self.log, "sysctl {key} = {value}").unwrap();
        Ok(())
    }

    fn set_attribute(&mut self, device: &Device, name: &str, value: &str) -> io::Result<()> {
        let device = device.name();
        writeln!(self.log, "attribute {device} {name} = {value}").unwrap();
        Ok(())
    }

    fn constant(&mut self, key: &str) -> Option<String> {
        (key == "arch").then(|| "x86-64".to_owned())
    }
}

/// What rules make of a device's event: everything that they change or do.
pub(super) fn decision(devpath: &str, action: &str, rules: &str) -> String {
    let sys = machine();
    let device = Device::open(sys.path(), devpath).unwrap();
    let mut event = Event::new(action, device);
    let before = event.properties.clone();
    let (rules, problems) = Rules::parse(&[("10-test.rules", rules)]);
    let mut around = Fake::default();
    rules.apply(&mut event, &mut around);
    let mut text = around.log;
    for problem in problems {
        writeln!(text, "{problem}").unwrap();
    }
    for (name, value) in &event.properties {
        if before.get(name) != Some(value) {
            writeln!(text, "{name}={value}").unwrap();
        }
    }
    for name in before
        .keys()
        .filter(|name| !event.properties.contains_key(*name))
    {
        writeln!(text, "without {name}").unwrap();
    }
    describe(&mut text, &event);
    text.replace(sys.path().to_str().unwrap(), "/sys")
}

fn describe(text: &mut String, event: &Event) {
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "{name}: {value}").unwrap();
        }
    };
    for link in &event.links {
        say("link", Some(link.clone()));
    }
    say(
        "priority",
        (event.link_priority != 0).then(|| event.link_priority.to_string()),
    );
    for tag in &event.tags {
        say("tag", Some(tag.clone()));
    }
    say("owner", event.owner.map(|owner| owner.to_string()));
    say("group", event.group.map(|group| group.to_string()));
    say("mode", event.mode.map(|mode| format!("{mode:04o}")));
    say("interface", event.interface.clone());
    for command in &event.commands {
        say("command", Some(format!("{command:?}")));
    }
    say(
        "watched",
        event.is_watched.map(|is_watched| is_watched.to_string()),
    );
    say("kept", event.is_kept.then(|| "yes".to_owned()));
    say("result", event.result.clone());
}

pub(super) fn check(devpath: &str, rules: &str, expect: &Expect) {
    expect.assert_eq(&decision(devpath, "add", rules));
}
