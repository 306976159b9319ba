//! Block devices and what is on them: the answer to `LABEL=`, `UUID=`, `PARTLABEL=`, `PARTUUID=`.
//!
//! A device is read once when it appears and again when the kernel says that it changed. A device
//! that cannot be read (a drive without a disc) is kept with the reason, for the report.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::uevent::Uevent;
use cairn_system::Device;

use cairn_probe::Contents;
use cairn_probe::table::{self, PartitionName, Table};

/// Sizes in `/sys` count sectors of this many bytes, whatever the disk's own sectors are.
const SYS_SECTOR: u64 = 512;

/// Devices that hold nothing to boot from, and would be read in vain.
const IGNORED: [&str; 3] = ["ram", "zram", "fd"];

/// One block device, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The kernel's name: `vda2`.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it holds, as far as known.
    pub contents: Option<Contents>,
    /// Its name in `/dev/mapper`, if the device mapper made it.
    pub mapper: Option<String>,
    /// How its partition table names it, if it is a partition.
    pub partition: Option<PartitionName>,
    /// Its own partition table.
    pub table: Option<Table>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

impl Block {
    /// Whether a description means this device.
    #[must_use]
    pub fn is(&self, device: &Device) -> bool {
        let contents = self.contents.as_ref();
        let partition = self.partition.as_ref();
        match device {
            Device::Label(label) => contents.and_then(|found| found.label.as_ref()) == Some(label),
            Device::Uuid(uuid) => contents
                .and_then(|found| found.uuid.as_ref())
                .is_some_and(|found| found.eq_ignore_ascii_case(uuid)),
            Device::PartLabel(label) => {
                partition.and_then(|found| found.label.as_ref()) == Some(label)
            }
            Device::PartUuid(uuid) => {
                partition.is_some_and(|found| found.uuid.eq_ignore_ascii_case(uuid))
            }
            Device::Path(path) => path
                .strip_prefix("/dev/")
                .is_some_and(|name| name == self.name || self.is_mapped(name)),
            Device::None(_) => false,
        }
    }

    /// Whether the device mapper calls it so: `mapper/<name>`, or `<group>/<volume>` for a volume of
    /// LVM, in whose name a dash is doubled and one dash stands between the two.
    fn is_mapped(&self, name: &str) -> bool {
        let (Some(mapper), Some((folder, name))) = (&self.mapper, name.split_once('/')) else {
            return false;
        };
        if folder == "mapper" {
            return mapper == name;
        }
        let doubled = |text: &str| text.replace('-', "--");
        *mapper == format!("{}-{}", doubled(folder), doubled(name))
    }

    /// What it holds, by `blkid`'s name; empty if nothing known.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.contents.as_ref().map_or("", |contents| contents.kind)
    }

    /// Whether both are parts of one file system, which may be mounted by any of them.
    fn is_one_with(&self, other: &Self) -> bool {
        self.kind() == "btrfs" && self.contents == other.contents
    }
}

/// One line of the report.
impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.mapper {
            Some(mapper) => format!("/dev/mapper/{mapper}"),
            None => format!("/dev/{}", self.name),
        };
        write!(f, "{path:<14} {:>9}", size(self.size))?;
        match (&self.contents, &self.table, &self.problem) {
            (Some(contents), ..) => write!(f, "  {}", contents.kind)?,
            (None, Some(Table::Gpt(_)), _) => write!(f, "  GPT partition table")?,
            (None, Some(Table::Mbr(_)), _) => write!(f, "  MBR partition table")?,
            (None, None, Some(problem)) => write!(f, "  unreadable: {problem}")?,
            (None, None, None) => write!(f, "  nothing known on it")?,
        }
        let contents = self.contents.as_ref();
        let partition = self.partition.as_ref();
        let names = [
            ("LABEL", contents.and_then(|found| found.label.as_ref())),
            ("UUID", contents.and_then(|found| found.uuid.as_ref())),
            (
                "PARTLABEL",
                partition.and_then(|found| found.label.as_ref()),
            ),
            ("PARTUUID", partition.map(|found| &found.uuid)),
        ];
        for (key, value) in names {
            if let Some(value) = value {
                write!(f, "  {key}={}", value.escape_default())?;
            }
        }
        Ok(())
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.iter().find(|(_, shift)| bytes >> shift > 0);
    match unit {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// Several devices answer to one name, and are not parts of one file system.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{device} is on {}", list(nodes))]
pub struct Ambiguous {
    /// The name.
    pub device: Device,
    /// The devices' nodes: two at the least.
    pub nodes: Vec<PathBuf>,
}

fn list(nodes: &[PathBuf]) -> String {
    let nodes: Vec<_> = nodes
        .iter()
        .map(|node| node.display().to_string())
        .collect();
    nodes.join(" and on ")
}

/// All block devices.
#[derive(Debug)]
pub struct Blocks {
    sys: PathBuf,
    dev: PathBuf,
    found: BTreeMap<String, Block>,
}

impl Blocks {
    /// No devices yet; `sys` and `dev` are `/sys` and `/dev`.
    #[must_use]
    pub fn new(sys: &Path, dev: &Path) -> Self {
        Self {
            sys: sys.to_owned(),
            dev: dev.to_owned(),
            found: BTreeMap::new(),
        }
    }

    /// Reads every device that exists.
    pub fn scan(&mut self) {
        self.found.clear();
        let folder = self.sys.join("class/block");
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) => {
                // No driver of block devices is loaded yet: events will tell of the first.
                log::debug!("cannot list {}: {error}", folder.display());
                return;
            }
        };
        let mut names: Vec<_> = listing
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort(); // a disk before its partitions
        for name in names {
            self.read(&name);
        }
    }

    /// Follows an event of a block device; whether anything may have changed.
    pub fn handle(&mut self, event: &Uevent) -> bool {
        if event.field("SUBSYSTEM") != Some("block") {
            return false;
        }
        let Some(name) = event.devpath.rsplit('/').next() else {
            return false;
        };
        match event.action.as_str() {
            "remove" => self.found.remove(name).is_some(),
            "add" | "change" => {
                self.read(name);
                true
            }
            _ => false,
        }
    }

    /// All devices, by name.
    pub fn all(&self) -> impl Iterator<Item = &Block> {
        self.found.values()
    }

    /// The node of the device that is meant, and what is known of it; `None` if it is not there. A path
    /// that is no block device's own (`/dev/md/data`) is found if it exists.
    ///
    /// # Errors
    /// Several devices are meant: one of them is a copy, and nothing says which.
    pub fn find(&self, device: &Device) -> Result<Option<(PathBuf, Option<Contents>)>, Ambiguous> {
        let matching: Vec<_> = self.all().filter(|block| block.is(device)).collect();
        if let Some((first, others)) = matching.split_first() {
            if others.iter().any(|other| !other.is_one_with(first)) {
                return Err(Ambiguous {
                    device: device.clone(),
                    nodes: matching.iter().map(|block| self.node(block)).collect(),
                });
            }
            return Ok(Some((self.node(first), first.contents.clone())));
        }
        Ok(self.other_name(device))
    }

    /// The device, if it is meant by another name than its own.
    fn other_name(&self, device: &Device) -> Option<(PathBuf, Option<Contents>)> {
        let Device::Path(path) = device else {
            return None;
        };
        let node = self.dev.join(path.strip_prefix("/dev/")?);
        let real = fs::canonicalize(&node).ok()?;
        let name = real.strip_prefix(&self.dev).ok().and_then(Path::to_str);
        let block = name.and_then(|name| self.found.get(name));
        Some((node, block.and_then(|block| block.contents.clone())))
    }

    /// The node of a device: the name in `/dev/mapper` tells people more than a number does.
    #[must_use]
    pub fn node(&self, block: &Block) -> PathBuf {
        let mapped = block.mapper.as_ref();
        mapped
            .map(|name| self.dev.join("mapper").join(name))
            .filter(|node| node.exists())
            .unwrap_or_else(|| self.dev.join(&block.name))
    }

    fn read(&mut self, name: &str) {
        if IGNORED.iter().any(|prefix| is_numbered(name, prefix)) {
            return;
        }
        // Kernel names hold `!` where the node's path has a slash: `cciss!c0d0`.
        let node = name.replace('!', "/");
        let folder = self.sys.join("class/block").join(name);
        let size = number(&folder.join("size"))
            .unwrap_or(0)
            .saturating_mul(SYS_SECTOR);
        if size == 0 {
            self.found.remove(&node); // a loop device or drive with nothing in it
            return;
        }
        let mut block = Block {
            name: node.clone(),
            size,
            contents: None,
            mapper: text(&folder.join("dm/name")),
            partition: self.partition(&folder),
            table: None,
            problem: None,
        };
        if let Err(error) = self.look_into(&mut block, &folder) {
            log::debug!("cannot read /dev/{node}: {error}");
            block.problem = Some(error.to_string());
        }
        log::debug!("block device: {block}");
        self.found.insert(node, block);
    }

    fn look_into(&self, block: &mut Block, folder: &Path) -> io::Result<()> {
        let mut file = File::open(self.dev.join(&block.name))?;
        block.contents = cairn_probe::contents(&mut file, block.size)?;
        if block.partition.is_none() && !folder.join("partition").exists() {
            let sector = number(&folder.join("queue/logical_block_size")).unwrap_or(512);
            let sector = u32::try_from(sector).unwrap_or(512);
            block.table = table::read(&mut file, sector, block.size)?;
        }
        Ok(())
    }

    /// What the table of the disk around it says about a partition.
    fn partition(&self, folder: &Path) -> Option<PartitionName> {
        let number = u32::try_from(number(&folder.join("partition"))?).ok()?;
        let real = fs::canonicalize(folder).ok()?;
        let disk = real
            .parent()?
            .file_name()?
            .to_string_lossy()
            .replace('!', "/");
        self.found.get(&disk)?.table.as_ref()?.partition(number)
    }
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The line in a file of `/sys`; `None` if the file does not exist, as many do not.
fn text(path: &Path) -> Option<String> {
    let line = fs::read_to_string(path).ok()?;
    Some(line.trim_end().to_owned())
}

/// The number in a file of `/sys`.
fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    /// A `/sys` and a `/dev` with one GPT disk, whose third partition is FAT.
    fn machine() -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        let (sys, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        fs::create_dir(&dev).unwrap();
        let disk = sys.join("devices/virtio0/block/vda");
        for (path, files) in [
            (
                disk.clone(),
                [("size", "32768"), ("queue/logical_block_size", "512")],
            ),
            (disk.join("vda3"), [("size", "8192"), ("partition", "3")]),
            (sys.join("devices/sr0"), [("size", "100"), ("x", "")]),
            (sys.join("devices/loop0"), [("size", "0"), ("x", "")]),
            (sys.join("devices/ram0"), [("size", "100"), ("x", "")]),
        ] {
            for (name, text) in files {
                let file = path.join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            fs::create_dir_all(sys.join("class/block")).unwrap();
            let name = path.file_name().unwrap();
            symlink(&path, sys.join("class/block").join(name)).unwrap();
        }
        for (name, megabytes) in [("vda", 16), ("vda3", 4)] {
            File::create(dev.join(name))
                .unwrap()
                .set_len(megabytes << 20)
                .unwrap();
        }
        run(
            "gdisk",
            "sgdisk",
            &[
                "-n3:2048:10239",
                "-c3:wurzel",
                "-u3:00000000-0000-0000-0000-0000000000AB",
            ],
            &dev.join("vda"),
        );
        run(
            "dosfstools",
            "mkfs.vfat",
            &["-i", "12ab00cd", "-n", "ESP"],
            &dev.join("vda3"),
        );
        folder
    }

    fn run(package: &str, program: &str, arguments: &[&str], image: &Path) {
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        let output = Command::new(program)
            .args(arguments)
            .arg(image)
            .env("PATH", path)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; run: apt-get install {package}"));
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn devices_are_found_by_every_name() {
        let folder = machine();
        let mut blocks = Blocks::new(&folder.path().join("sys"), &folder.path().join("dev"));
        blocks.scan();
        let report: Vec<_> = blocks.all().map(Block::to_string).collect();
        expect![[r#"
            /dev/sr0        50.0 KiB  unreadable: No such file or directory (os error 2)
            /dev/vda        16.0 MiB  GPT partition table
            /dev/vda3        4.0 MiB  vfat  LABEL=ESP  UUID=12AB-00CD  PARTLABEL=wurzel  PARTUUID=00000000-0000-0000-0000-0000000000ab"#]]
        .assert_eq(&report.join("\n"));
        for text in [
            "LABEL=ESP",
            "UUID=12ab-00cd",
            "PARTLABEL=wurzel",
            "PARTUUID=00000000-0000-0000-0000-0000000000AB",
            "/dev/vda3",
        ] {
            let device = Device::try_from(text.to_owned()).unwrap();
            let (node, contents) = blocks.find(&device).unwrap().unwrap();
            assert_eq!(node, folder.path().join("dev/vda3"), "{text}");
            assert_eq!(contents.unwrap().kind, "vfat");
        }
        for text in ["LABEL=esp", "UUID=1", "/dev/vdb", "/dev/mapper/x", "tmpfs"] {
            let device = Device::try_from(text.to_owned()).unwrap();
            assert_eq!(blocks.find(&device), Ok(None), "{text}");
        }
    }

    /// A disk that was copied block by block has all names of the first.
    #[test]
    fn a_copy_is_not_taken_for_the_original() {
        let folder = machine();
        let (sys, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        let copy = sys.join("devices/virtio1/block/vdb");
        fs::create_dir_all(&copy).unwrap();
        fs::write(copy.join("size"), "8192").unwrap();
        symlink(&copy, sys.join("class/block/vdb")).unwrap();
        fs::copy(dev.join("vda3"), dev.join("vdb")).unwrap();
        let mut blocks = Blocks::new(&sys, &dev);
        blocks.scan();
        let found = |text: &str| {
            let device = Device::try_from(text.to_owned()).unwrap();
            match blocks.find(&device) {
                Ok(found) => format!("{:?}", found.map(|(node, _)| node)),
                Err(error) => error.to_string(),
            }
            .replace(dev.to_str().unwrap(), "/dev")
        };
        expect!["LABEL=ESP is on /dev/vda3 and on /dev/vdb"].assert_eq(&found("LABEL=ESP"));
        expect!["UUID=12AB-00CD is on /dev/vda3 and on /dev/vdb"]
            .assert_eq(&found("UUID=12AB-00CD"));
        expect![[r#"Some("/dev/vdb")"#]].assert_eq(&found("/dev/vdb"));
        expect![[r#"Some("/dev/vda3")"#]].assert_eq(&found("PARTLABEL=wurzel"));
    }

    #[test]
    fn events_are_followed() {
        let folder = machine();
        let mut blocks = Blocks::new(&folder.path().join("sys"), &folder.path().join("dev"));
        let event = |action: &str, subsystem: &str, path: &str| Uevent {
            action: action.to_owned(),
            devpath: path.to_owned(),
            fields: BTreeMap::from([("SUBSYSTEM".to_owned(), subsystem.to_owned())]),
        };
        let label = Device::Label("ESP".to_owned());
        assert!(blocks.handle(&event("add", "block", "/devices/virtio0/block/vda")));
        assert_eq!(blocks.find(&label), Ok(None));
        assert!(blocks.handle(&event("add", "block", "/devices/virtio0/block/vda/vda3")));
        assert!(blocks.find(&label).unwrap().is_some());
        assert!(!blocks.handle(&event("add", "net", "/devices/eth0")));
        assert!(blocks.handle(&event("remove", "block", "/devices/virtio0/block/vda/vda3")));
        assert_eq!(blocks.find(&label), Ok(None));
    }
}
