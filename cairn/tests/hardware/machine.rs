//! Machines for the scan to look at: folders with a `/sys` and a `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cairn::hardware::{Hardware, HardwareError, Identifiers, Probe, scan_machine};

/// A machine.
pub struct Machine {
    folder: tempfile::TempDir,
    identifiers: BTreeMap<String, Identifiers>,
    mounts: String,
    swaps: String,
}

impl Probe for Machine {
    fn identifiers(&self, device: &str) -> Result<Identifiers, HardwareError> {
        Ok(self.identifiers.get(device).cloned().unwrap_or_default())
    }
}

/// A device below another one, and the module that drives it.
pub type Driven<'a> = (&'a str, &'a str);

impl Machine {
    /// One without anything but a processor.
    pub fn new(vendor: &str, flags: &str) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            identifiers: BTreeMap::new(),
            mounts: String::new(),
            swaps: "Filename Type Size Used Priority\n".to_owned(),
        };
        machine.file(
            "proc/cpuinfo",
            &format!(
                "processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n\nprocessor\t: 1\n"
            ),
        );
        fs::create_dir_all(machine.path("sys/devices")).unwrap();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A file with `text` and a line's end.
    pub fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn link(&self, path: &str, target: &Path) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// Devices, each below the one before. The place of the last one.
    pub fn devices(&self, chain: &[Driven<'_>]) -> String {
        let mut place = "sys/devices".to_owned();
        for (name, module) in chain {
            place = format!("{place}/{name}");
            fs::create_dir_all(self.path(&place)).unwrap();
            if !module.is_empty() && !self.path(&place).join("driver").exists() {
                let driver = format!("sys/bus/any/drivers/{module}");
                fs::create_dir_all(self.path(&driver)).unwrap();
                let module_link = format!("{driver}/module");
                if !self.path(&module_link).is_symlink() {
                    self.link(
                        &module_link,
                        Path::new(&format!("../../../../module/{module}")),
                    );
                }
                self.link(&format!("{place}/driver"), &self.path(&driver));
            }
        }
        place
    }

    /// A device of the PCI bus that hangs on nothing else.
    pub fn pci(&self, address: &str, class: &str, module: &str) {
        let place = self.devices(&[("pci0000:00", ""), (address, module)]);
        self.file(&format!("{place}/class"), class);
        self.link(
            &format!("sys/bus/pci/devices/{address}"),
            &self.path(&place),
        );
    }

    /// An interface of a USB device.
    pub fn usb(&self, name: &str, kind: [&str; 3], module: &str) {
        let place = self.devices(&[("usb1", "usb"), (name, module)]);
        let names = [
            "bInterfaceClass",
            "bInterfaceSubClass",
            "bInterfaceProtocol",
        ];
        for (name, value) in names.iter().zip(kind) {
            self.file(&format!("{place}/{name}"), value);
        }
        self.link(&format!("sys/bus/usb/devices/{name}"), &self.path(&place));
    }

    /// A disk with partitions: their numbers and the UUIDs of what they hold.
    pub fn disk(
        &mut self,
        chain: &[Driven<'_>],
        name: &str,
        major: u32,
        partitions: &[(&str, &str)],
    ) {
        let device = self.devices(chain);
        let place = format!("{device}/block/{name}");
        self.block(&place, name, &format!("{major}:0"));
        self.link(&format!("{place}/device"), &self.path(&device));
        for (minor, (partition, uuid)) in (1..).zip(partitions) {
            let place = format!("{place}/{partition}");
            self.file(&format!("{place}/partition"), &minor.to_string());
            self.block(&place, partition, &format!("{major}:{minor}"));
            self.holds(partition, uuid);
        }
    }

    fn block(&self, place: &str, name: &str, number: &str) {
        fs::create_dir_all(self.path(place)).unwrap();
        self.link(&format!("sys/class/block/{name}"), &self.path(place));
        self.link(&format!("sys/dev/block/{number}"), &self.path(place));
    }

    /// A device that is made of others.
    pub fn stacked(&self, name: &str, number: &str, below: &[&str]) {
        let place = format!("sys/devices/virtual/block/{name}");
        self.block(&place, name, number);
        for device in below {
            self.link(
                &format!("{place}/slaves/{device}"),
                &self.path(&format!("sys/class/block/{device}")),
            );
        }
    }

    /// A device of the device mapper.
    pub fn mapped(&self, name: &str, number: &str, mapping: &str, kind: &str, below: &[&str]) {
        self.stacked(name, number, below);
        self.file(&format!("sys/class/block/{name}/dm/name"), mapping);
        self.file(&format!("sys/class/block/{name}/dm/uuid"), kind);
    }

    /// What a device is found to hold.
    pub fn holds(&mut self, name: &str, uuid: &str) {
        let identifiers = Identifiers {
            uuid: (!uuid.is_empty()).then(|| uuid.to_owned()),
            partition_uuid: None,
        };
        self.identifiers.insert(format!("/dev/{name}"), identifiers);
    }

    /// A partition without anything known on it.
    pub fn is_blank(&mut self, name: &str, partition_uuid: &str) {
        let identifiers = Identifiers {
            uuid: None,
            partition_uuid: Some(partition_uuid.to_owned()),
        };
        self.identifiers.insert(format!("/dev/{name}"), identifiers);
    }

    /// A line of the table of mounts: from the device's number on.
    pub fn mount(&mut self, line: &str) {
        self.mounts += &["36 35 ", line, "\n"].concat();
    }

    /// A line of the table of swap spaces.
    pub fn swap(&mut self, path: &str, kind: &str) {
        self.swaps += &[path, " ", kind, " 1024 0 -2\n"].concat();
    }

    /// What is found, with what is mounted below `/mnt`.
    pub fn scan(&self) -> Hardware {
        self.file("proc/self/mountinfo", &self.mounts);
        self.file("proc/swaps", &self.swaps);
        scan_machine(self.folder.path(), Some(Path::new("/mnt")), self).unwrap()
    }
}
