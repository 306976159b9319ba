//! A machine on which rules decide: devices in a folder, groups as Cairn has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cairn_devices::builtins;
use cairn_devices::device::{Device, Properties};
use cairn_devices::event::{Event, Surroundings};
use cairn_devices::rules::Rules;
use expect_test::Expect;
use tempfile::TempDir;

/// The groups that rules may name: `wellKnownGroups` of `modules/users/users.nix`.
const GROUPS: [(&str, u32); 14] = [
    ("root", 0),
    ("kmem", 2),
    ("tty", 3),
    ("disk", 6),
    ("audio", 17),
    ("lp", 20),
    ("cdrom", 24),
    ("tape", 25),
    ("video", 26),
    ("dialout", 27),
    ("users", 100),
    ("input", 174),
    ("kvm", 302),
    ("render", 303),
];

/// A device: name, subsystem, what the kernel says of it, attributes.
pub(crate) type Entry<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]);

/// The root of PCI.
pub(crate) const PCI: Entry<'_> = ("pci0000:00", "", "", &[]);

/// A machine with a sysfs and a `/dev` in one folder.
pub(crate) struct Machine {
    folder: TempDir,
    pub(crate) recorded: Properties,
    pub(crate) written: Vec<String>,
    missing: BTreeSet<String>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            recorded: Properties::new(),
            written: Vec::new(),
            missing: BTreeSet::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name.trim_start_matches('/'))
    }

    /// Devices, each below the one before, and the path of the last one.
    pub(crate) fn add(&self, devices: &[Entry<'_>]) -> String {
        let mut devpath = "/devices".to_owned();
        for (name, subsystem, uevent, attributes) in devices {
            devpath = format!("{devpath}/{name}");
            let folder = self.path(&devpath);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("uevent"), uevent).unwrap();
            let said = |name: &str| uevent.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(major), Some(minor)) = (said("MAJOR="), said("MINOR=")) {
                fs::write(folder.join("dev"), format!("{major}:{minor}\n")).unwrap();
            }
            if let Some(number) = said("IFINDEX=") {
                fs::write(folder.join("ifindex"), format!("{number}\n")).unwrap();
            }
            let link = folder.join("subsystem");
            if !subsystem.is_empty() && !link.is_symlink() {
                symlink(format!("/sys/class/{subsystem}"), link).unwrap();
            }
            for (name, text) in *attributes {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{text}\n")).unwrap();
            }
        }
        devpath
    }

    pub(crate) fn check(&mut self, action: &str, devpath: &str, expected: &Expect) {
        let (rules, problems) = default_rules();
        assert_eq!(problems, "");
        let device = Device::open(self.folder.path(), devpath).unwrap();
        let mut event = Event::new(action, device);
        rules.apply(&mut event, self);
        assert_eq!(self.missing, BTreeSet::new(), "groups that no system has");
        expected.assert_eq(&self.text(&event));
    }

    fn text(&self, event: &Event) -> String {
        let group = |number| {
            let found = GROUPS.iter().find(|(_, other)| *other == number);
            found.unwrap().0.to_owned()
        };
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            if !value.is_empty() {
                text.extend([name, " ", &value, "\n"]);
            }
        };
        line("group", event.group.map_or_else(String::new, group));
        line(
            "mode",
            event
                .mode
                .map(|mode| format!("{mode:04o}"))
                .unwrap_or_default(),
        );
        line(
            "watched",
            event
                .is_watched
                .map(|is| is.to_string())
                .unwrap_or_default(),
        );
        if event.link_priority != 0 {
            line("priority", event.link_priority.to_string());
        }
        line("tags", Vec::from_iter(event.tags.clone()).join(" "));
        for link in &event.links {
            line("link", link.clone());
        }
        for (name, value) in &event.properties {
            if !event.device.uevent().contains_key(name)
                && !["ACTION", "DEVPATH", "SUBSYSTEM", "DEVNAME"].contains(&name.as_str())
            {
                line("property", format!("{name}={value}"));
            }
        }
        for written in &self.written {
            line("written", written.clone());
        }
        text
    }
}

impl Surroundings for Machine {
    fn output(&mut self, argv: &[String], _: &Properties) -> io::Result<Option<String>> {
        panic!("no rule is to run {argv:?}");
    }

    fn builtin(&mut self, argv: &[String], event: &Event) -> io::Result<Option<Properties>> {
        builtins::run(argv, event, &self.path("dev"))
    }

    fn recorded(&mut self, _: &str) -> Properties {
        self.recorded.clone()
    }

    fn recorded_tags(&mut self, _: &str) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn command_line(&mut self, _: &str) -> Option<String> {
        None
    }

    fn file(&mut self, path: &str) -> io::Result<String> {
        panic!("no rule is to read {path}");
    }

    fn mode(&mut self, path: &str) -> Option<u32> {
        use std::os::unix::fs::PermissionsExt;
        Some(fs::metadata(path).ok()?.permissions().mode())
    }

    fn user(&mut self, name: &str) -> Option<u32> {
        panic!("no rule is to name the user {name}");
    }

    fn group(&mut self, name: &str) -> Option<u32> {
        let number = BTreeMap::from(GROUPS).get(name).copied();
        if number.is_none() {
            self.missing.insert(name.to_owned());
        }
        number
    }

    fn sysctl(&mut self, _: &str) -> Option<String> {
        None
    }

    fn set_sysctl(&mut self, key: &str, _: &str) -> io::Result<()> {
        panic!("no rule is to set {key}");
    }

    fn set_attribute(&mut self, device: &Device, name: &str, value: &str) -> io::Result<()> {
        self.written
            .push(format!("{}/{name} = {value}", device.devpath()));
        Ok(())
    }

    fn constant(&mut self, _: &str) -> Option<String> {
        None
    }
}

/// The rules, and what is wrong with them.
pub(crate) fn default_rules() -> (Rules, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/services/udev/rules");
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    let (rules, problems) = Rules::parse(&files);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    (rules, problems.join("\n"))
}
