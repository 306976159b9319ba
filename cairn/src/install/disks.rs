//! Disks of a machine, and what is on them now.
//!
//! `lsblk` tells it; here is what is read from its answer. Nothing is written, and no device is opened
//! for writing.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use indicatif::HumanBytes;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::medium::carriers;
use super::unread;

/// What `lsblk` is asked for.
const COLUMNS: &str = "PATH,TYPE,SIZE,LOG-SEC,RO,MODEL,SERIAL,TRAN,PTTYPE,PARTLABEL,PARTTYPENAME,\
                       FSTYPE,LABEL,MOUNTPOINTS";

/// Bytes at the beginning of a disk that are looked at where nothing is known of it.
const HEAD: usize = 1 << 20;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Its node, `/dev/sda`.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Bytes of a logical sector.
    pub sector: u64,
    /// What its maker calls it.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// How it is connected: `sata`, `nvme`, `usb`, `virtio`.
    pub transport: Option<String>,
    /// What is on it.
    pub content: Content,
    /// Why it cannot be written to now, one sentence each; empty if it can.
    pub uses: Vec<String>,
}

/// What is on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// Nothing that anybody knows, and zeros at its beginning.
    Nothing,
    /// Bytes that are nothing that is known.
    Unknown,
    /// A file system, or something else that takes the whole disk.
    Whole(String),
    /// Partitions, each in words.
    Partitions {
        /// What kind of table they are in.
        table: String,
        /// The partitions.
        partitions: Vec<Partition>,
    },
}

/// A partition, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Partition {
    /// Its node.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its name in the table.
    pub name: Option<String>,
    /// What the table says that it is for.
    pub kind: Option<String>,
    /// The type of the file system on it.
    pub file_system: Option<String>,
    /// The label of that.
    pub label: Option<String>,
}

/// The answer of `lsblk`.
#[derive(Debug, Deserialize)]
struct Answer {
    blockdevices: Vec<Device>,
}

#[derive(Debug, Deserialize)]
struct Device {
    path: PathBuf,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    #[serde(rename = "log-sec")]
    sector: u64,
    ro: bool,
    model: Option<String>,
    serial: Option<String>,
    tran: Option<String>,
    pttype: Option<String>,
    partlabel: Option<String>,
    parttypename: Option<String>,
    fstype: Option<String>,
    label: Option<String>,
    #[serde(default)]
    mountpoints: Vec<Option<String>>,
    #[serde(default)]
    children: Vec<Device>,
}

impl Disk {
    /// All disks of this machine that could have a system.
    ///
    /// # Errors
    /// `lsblk` is missing or fails.
    pub fn all() -> Result<Vec<Self>> {
        let mut disks = parse(&lsblk(None)?)?;
        for disk in &mut disks {
            disk.look_closer()?;
        }
        Ok(disks)
    }

    /// The disk that `path`, any of its names, is.
    ///
    /// # Errors
    /// It is none, or only a part of one.
    pub fn at(path: &Path) -> Result<Self> {
        let node = fs::canonicalize(path)
            .with_context(|| format!("cannot find the disk '{}'", path.display()))?;
        let Some(mut disk) = parse(&lsblk(Some(&node))?)?
            .into_iter()
            .find(|disk| disk.path == node)
        else {
            bail!(
                "'{}' is no disk; lsblk --nodeps shows those that there are",
                path.display()
            );
        };
        disk.look_closer()?;
        Ok(disk)
    }

    /// What `lsblk` does not know: whether the kernel has given the disk to somebody, and whether one
    /// that has nothing known on it is empty.
    fn look_closer(&mut self) -> Result<()> {
        if self.bytes == 0 {
            self.uses.push("it has no medium".to_owned());
            return Ok(());
        }
        if let Err(error) = open_alone(&self.path) {
            if error.kind() != io::ErrorKind::ResourceBusy {
                let path = self.path.display();
                return Err(error).with_context(|| format!("cannot read '{path}'"));
            }
            if self.uses.is_empty() {
                self.uses.push("something on it is in use".to_owned());
            }
        }
        if self.is_medium(&carriers(Path::new("/sys"))?) {
            self.uses
                .push("the system that runs was started from it".to_owned());
        }
        if let Content::Partitions { table, partitions } = &self.content
            && partitions.is_empty()
        {
            // The kernel may not have looked: it is the table that says what is there.
            let table = table.clone();
            self.content = match unread::partitions(&self.path)? {
                Some(partitions) => Content::Partitions { table, partitions },
                None => Content::Whole(format!("a table of partitions, {table}")),
            };
        }
        if self.content == Content::Nothing && !is_blank(&self.path)? {
            self.content = Content::Unknown;
        }
        Ok(())
    }

    /// Whether the disk, or a partition of it, is one of these devices.
    fn is_medium(&self, carriers: &BTreeSet<PathBuf>) -> bool {
        let partitions: &[Partition] = match &self.content {
            Content::Partitions { partitions, .. } => partitions,
            _ => &[],
        };
        let parts = partitions.iter().map(|partition| &partition.path);
        std::iter::once(&self.path)
            .chain(parts)
            .any(|path| carriers.contains(path))
    }

    /// Its maker's words and its size.
    #[must_use]
    pub fn describe(&self) -> String {
        let words = [&self.model, &self.serial, &self.transport];
        let size = HumanBytes(self.bytes).to_string();
        let words: Vec<&str> = std::iter::once(size.as_str())
            .chain(words.into_iter().flatten().map(String::as_str))
            .collect();
        format!("{} ({})", self.path.display(), words.join(", "))
    }
}

/// Opens a device as long as nobody else uses it, or a part of it.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] if somebody does.
pub fn open_alone(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_EXCL.bits())
        .open(path)
}

fn is_blank(path: &Path) -> Result<bool> {
    let reading = || format!("cannot read '{}'", path.display());
    let mut head = Vec::new();
    let file = File::open(path).with_context(reading)?;
    file.take(HEAD as u64)
        .read_to_end(&mut head)
        .with_context(reading)?;
    Ok(head.iter().all(|byte| *byte == 0))
}

fn lsblk(device: Option<&Path>) -> Result<String> {
    let mut command = Command::new("lsblk");
    command.args(["--json", "--bytes", "--output", COLUMNS]);
    command.args(device);
    let output = command
        .output()
        .context("cannot run lsblk; it is in util-linux")?;
    ensure!(
        output.status.success(),
        "cannot list the disks: lsblk: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).context("lsblk wrote what is no text")
}

/// The disks in `lsblk`'s answer.
///
/// # Errors
/// It is of another form.
pub fn parse(text: &str) -> Result<Vec<Disk>> {
    let answer: Answer = serde_json::from_str(text).context("cannot read what lsblk wrote")?;
    let disks = answer.blockdevices.iter();
    let disks = disks.filter(|device| matches!(device.kind.as_str(), "disk" | "loop"));
    Ok(disks.map(Device::disk).collect())
}

impl Device {
    fn disk(&self) -> Disk {
        let mut uses = Vec::new();
        if self.ro {
            uses.push("it can only be read".to_owned());
        }
        self.uses(&mut uses);
        uses.dedup();
        Disk {
            path: self.path.clone(),
            bytes: self.size,
            sector: self.sector,
            model: plain(self.model.as_ref()),
            serial: plain(self.serial.as_ref()),
            transport: plain(self.tran.as_ref()),
            content: self.content(),
            uses,
        }
    }

    fn content(&self) -> Content {
        if let Some(table) = &self.pttype {
            let children = self.children.iter();
            let parts = children.filter(|child| child.kind == "part");
            let partitions: Vec<Partition> = parts.map(Device::partition).collect();
            // A boot sector of a file system may look like a table without partitions.
            if let (true, Some(file_system)) = (partitions.is_empty(), &self.fstype) {
                return Content::Whole(file_system.clone());
            }
            return Content::Partitions {
                table: table.clone(),
                partitions,
            };
        }
        match &self.fstype {
            Some(file_system) => Content::Whole(file_system.clone()),
            None => Content::Nothing,
        }
    }

    fn partition(&self) -> Partition {
        Partition {
            path: self.path.clone(),
            bytes: self.size,
            name: plain(self.partlabel.as_ref()),
            kind: plain(self.parttypename.as_ref()),
            file_system: plain(self.fstype.as_ref()),
            label: plain(self.label.as_ref()),
        }
    }

    /// What somebody has of it.
    fn uses(&self, uses: &mut Vec<String>) {
        let path = self.path.display();
        for point in self.mountpoints.iter().flatten() {
            uses.push(match point.as_str() {
                "[SWAP]" => format!("{path} is swap space in use"),
                point => format!("{path} is mounted on {}", printable(point)),
            });
        }
        for child in &self.children {
            if child.kind != "part" {
                uses.push(format!(
                    "{path} is a part of {} ({})",
                    child.path.display(),
                    printable(&child.kind)
                ));
            }
            child.uses(uses);
        }
    }
}

/// What a device says of itself, without what a terminal would obey; nothing if that is nothing.
pub(super) fn plain(text: Option<&String>) -> Option<String> {
    let text = printable(text?.trim());
    (!text.is_empty()).then_some(text)
}

fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn what_lsblk_tells() {
        let text = r#"{"blockdevices": [
          {"path":"/dev/sda","type":"disk","size":4294967296,"log-sec":512,"ro":false,
           "model":"Disk \u001b[2J","serial":"  ","tran":"sata","pttype":"gpt","partlabel":null,
           "parttypename":null,"fstype":null,"label":null,"mountpoints":[null],
           "children":[
             {"path":"/dev/sda1","type":"part","size":1048576,"log-sec":512,"ro":false,"model":null,
              "serial":null,"tran":null,"pttype":"gpt","partlabel":"bios","parttypename":"BIOS boot",
              "fstype":null,"label":null,"mountpoints":[null]},
             {"path":"/dev/sda2","type":"part","size":1048576,"log-sec":512,"ro":false,"model":null,
              "serial":null,"tran":null,"pttype":"gpt","partlabel":null,"parttypename":"Linux filesystem",
              "fstype":"crypto_LUKS","label":null,"mountpoints":[null],
              "children":[
                {"path":"/dev/mapper/data","type":"crypt","size":1048576,"log-sec":512,"ro":false,
                 "model":null,"serial":null,"tran":null,"pttype":null,"partlabel":null,
                 "parttypename":null,"fstype":"ext4","label":"data","mountpoints":["/srv", "/mnt"]}
              ]}
           ]},
          {"path":"/dev/sr0","type":"rom","size":1048576,"log-sec":2048,"ro":true,"model":null,
           "serial":null,"tran":"sata","pttype":null,"partlabel":null,"parttypename":null,
           "fstype":"iso9660","label":null,"mountpoints":[null]},
          {"path":"/dev/vda","type":"disk","size":1048576,"log-sec":4096,"ro":true,"model":null,
           "serial":null,"tran":"virtio","pttype":null,"partlabel":null,"parttypename":null,
           "fstype":"swap","label":null,"mountpoints":["[SWAP]"]}
        ]}"#;
        expect![[r#"
            [
                Disk {
                    path: "/dev/sda",
                    bytes: 4294967296,
                    sector: 512,
                    model: Some(
                        "Disk ?[2J",
                    ),
                    serial: None,
                    transport: Some(
                        "sata",
                    ),
                    content: Partitions {
                        table: "gpt",
                        partitions: [
                            Partition {
                                path: "/dev/sda1",
                                bytes: 1048576,
                                name: Some(
                                    "bios",
                                ),
                                kind: Some(
                                    "BIOS boot",
                                ),
                                file_system: None,
                                label: None,
                            },
                            Partition {
                                path: "/dev/sda2",
                                bytes: 1048576,
                                name: None,
                                kind: Some(
                                    "Linux filesystem",
                                ),
                                file_system: Some(
                                    "crypto_LUKS",
                                ),
                                label: None,
                            },
                        ],
                    },
                    uses: [
                        "/dev/sda2 is a part of /dev/mapper/data (crypt)",
                        "/dev/mapper/data is mounted on /srv",
                        "/dev/mapper/data is mounted on /mnt",
                    ],
                },
                Disk {
                    path: "/dev/vda",
                    bytes: 1048576,
                    sector: 4096,
                    model: None,
                    serial: None,
                    transport: Some(
                        "virtio",
                    ),
                    content: Whole(
                        "swap",
                    ),
                    uses: [
                        "it can only be read",
                        "/dev/vda is swap space in use",
                    ],
                },
            ]
        "#]]
        .assert_debug_eq(&parse(text).unwrap());
    }

    #[test]
    fn a_file_system_that_looks_like_a_table() {
        let text = r#"{"blockdevices": [
          {"path":"/dev/sda","type":"disk","size":1048576,"log-sec":512,"ro":false,"model":null,
           "serial":null,"tran":null,"pttype":"dos","partlabel":null,"parttypename":null,
           "fstype":"vfat","label":null,"mountpoints":[null]}]}"#;
        let disks = parse(text).unwrap();
        assert_eq!(
            disks.first().unwrap().content,
            Content::Whole("vfat".to_owned())
        );
    }

    #[test]
    fn another_form_is_refused() {
        parse("{}").unwrap_err();
        assert_eq!(parse(r#"{"blockdevices": []}"#).unwrap(), []);
    }
}
