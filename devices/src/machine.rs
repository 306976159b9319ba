//! What rules ask of the machine beside the device.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::builtins;
use crate::device::{Device, Properties};
use crate::event::{Event, Surroundings};
use crate::path::{is_below, named};
use crate::places::Places;
use crate::program;
use crate::record::{Record, Records};

/// So much of a file is read, in bytes.
const FILE_BYTES: u64 = 64 << 10;

/// The machine.
#[derive(Debug)]
pub struct Machine<'m> {
    places: &'m Places,
    records: &'m Records,
    /// Where programs are found.
    path: &'m str,
}

impl<'m> Machine<'m> {
    /// The machine, whose programs are in the folders of `path`.
    #[must_use]
    pub fn new(places: &'m Places, records: &'m Records, path: &'m str) -> Self {
        Self {
            places,
            records,
            path,
        }
    }

    fn record(&self, id: &str) -> Record {
        self.records.get(id).unwrap_or_default()
    }

    fn sysctl_path(&self, key: &str) -> Option<PathBuf> {
        let key = if key.contains('/') {
            key.to_owned()
        } else {
            key.replace('.', "/")
        };
        is_below(&key).then(|| self.places.proc.join("sys").join(key))
    }

    /// The number of a name in `passwd` or `group`, whose form they have in common at the beginning.
    fn number(&self, file: &str, name: &str) -> Option<u32> {
        if let Ok(number) = name.parse() {
            return Some(number);
        }
        let text = read(&self.places.etc.join(file), u64::MAX).ok()?;
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
        })
    }
}

impl Surroundings for Machine<'_> {
    fn output(&mut self, argv: &[String], properties: &Properties) -> io::Result<Option<String>> {
        program::output(argv, properties, self.path)
    }

    fn builtin(&mut self, argv: &[String], event: &Event) -> io::Result<Option<Properties>> {
        builtins::run(argv, event, &self.places.dev)
    }

    fn recorded(&mut self, id: &str) -> Properties {
        self.record(id).properties
    }

    fn recorded_tags(&mut self, id: &str) -> BTreeSet<String> {
        self.record(id).tags
    }

    fn command_line(&mut self, key: &str) -> Option<String> {
        let text = read(&self.places.proc.join("cmdline"), FILE_BYTES).ok()?;
        text.split_ascii_whitespace()
            .find_map(|word| match word.split_once('=') {
                Some((name, value)) if name == key => Some(value.to_owned()),
                None if word == key => Some("1".to_owned()),
                _ => None,
            })
    }

    fn file(&mut self, path: &str) -> io::Result<String> {
        let path = Path::new(path);
        read(path, FILE_BYTES).map_err(|error| named(path, &error))
    }

    fn mode(&mut self, path: &str) -> Option<u32> {
        fs::metadata(path).ok().map(|metadata| metadata.mode())
    }

    fn user(&mut self, name: &str) -> Option<u32> {
        self.number("passwd", name)
    }

    fn group(&mut self, name: &str) -> Option<u32> {
        self.number("group", name)
    }

    fn sysctl(&mut self, key: &str) -> Option<String> {
        let text = read(&self.sysctl_path(key)?, FILE_BYTES).ok()?;
        Some(text.trim_end().to_owned())
    }

    fn set_sysctl(&mut self, key: &str, value: &str) -> io::Result<()> {
        let path = self.sysctl_path(key).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("'{key}' is no parameter below /proc/sys"),
            )
        })?;
        write(&path, value)
    }

    fn set_attribute(&mut self, device: &Device, name: &str, value: &str) -> io::Result<()> {
        let path = device.attribute_path(name).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("'{name}' is no attribute of {}", device.devpath()),
            )
        })?;
        write(&path, value)
    }

    fn constant(&mut self, key: &str) -> Option<String> {
        match key {
            "arch" => Some(std::env::consts::ARCH.replace('_', "-")),
            "virt" => Some(self.virtual_machine().to_owned()),
            _ => None,
        }
    }
}

impl Machine<'_> {
    /// What the machine runs in, by the words of systemd's `ConditionVirtualization=`.
    fn virtual_machine(&self) -> &'static str {
        let cpu = read(&self.places.proc.join("cpuinfo"), FILE_BYTES).unwrap_or_default();
        let mut flags = cpu.lines().filter(|line| line.starts_with("flags"));
        if !flags.any(|line| {
            line.split_ascii_whitespace()
                .any(|flag| flag == "hypervisor")
        }) {
            return "none";
        }
        let vendor = self.places.sys.join("class/dmi/id/sys_vendor");
        let vendor = read(&vendor, FILE_BYTES).unwrap_or_default();
        let known = [
            ("QEMU", "qemu"),
            ("VMware", "vmware"),
            ("innotek", "oracle"),
            ("Oracle", "oracle"),
            ("Microsoft", "microsoft"),
            ("Xen", "xen"),
            ("Amazon EC2", "amazon"),
            ("Parallels", "parallels"),
            ("BHYVE", "bhyve"),
        ];
        let mut known = known.into_iter();
        known
            .find(|(name, _)| vendor.starts_with(name))
            .map_or("vm-other", |(_, word)| word)
    }
}

fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes in one go, as the kernel's files want it; nothing is made where nothing is.
fn write(path: &Path, value: &str) -> io::Result<()> {
    let written = OpenOptions::new().write(true).truncate(true).open(path);
    written
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write '{value}' to {}: {error}", path.display()),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_answers() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path());
        for (path, text) in [
            ("etc/group", "root:x:0:\nvideo:x:26:alice\n"),
            ("etc/passwd", "root:x:0:0::/:\nalice:x:1000:100::/:\n"),
            ("proc/cmdline", "root=/dev/vda quiet a=b=c\n"),
            ("proc/cpuinfo", "flags\t: fpu hypervisor\n"),
            ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
            ("proc/sys/net/ipv4/ip_forward", "0\n"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let records = Records::of(&places.state);
        let mut machine = Machine::new(&places, &records, "/bin");
        assert_eq!(
            [
                machine.group("video"),
                machine.group("7"),
                machine.group("none")
            ],
            [Some(26), Some(7), None]
        );
        assert_eq!(machine.user("alice"), Some(1000));
        let word = |machine: &mut Machine, key: &str| machine.command_line(key);
        assert_eq!(word(&mut machine, "quiet").as_deref(), Some("1"));
        assert_eq!(word(&mut machine, "a").as_deref(), Some("b=c"));
        assert_eq!(word(&mut machine, "none"), None);
        assert_eq!(machine.constant("virt").as_deref(), Some("qemu"));
        assert_eq!(machine.sysctl("net.ipv4.ip_forward").as_deref(), Some("0"));
        machine.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
        assert_eq!(machine.sysctl("net/ipv4/ip_forward").as_deref(), Some("1"));
        assert!(machine.set_sysctl("net/ipv4/none", "1").is_err());
        assert_eq!(machine.sysctl("../cmdline"), None);
    }
}
