//! What `lsblk` tells of a machine's disks: which there are, their partitions, and who uses them. What they
//! hold it does not know, since there is no udev.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::disks::{Content, Disk, Partition};
use super::signature::Signature;
use crate::program;

/// What `lsblk` is asked for.
const COLUMNS: &str = "PATH,TYPE,SIZE,LOG-SEC,RO,MODEL,SERIAL,TRAN,MOUNTPOINTS";

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
    /// What it holds.
    #[serde(skip)]
    signature: Signature,
    /// Why that is not known: a drive without a medium, or a broken one, is no reason not to list the others.
    #[serde(skip)]
    unreadable: Option<String>,
    #[serde(default)]
    mountpoints: Vec<Option<String>>,
    #[serde(default)]
    children: Vec<Device>,
}

/// Asks `lsblk` for all devices, or for one.
///
/// # Errors
/// It is missing or fails.
pub fn lsblk(device: Option<&Path>) -> Result<String> {
    let mut command = program::command("lsblk");
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
    // Names of mount points are as they are. A device's node has none but plain letters.
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The disks in `lsblk`'s answer; `look` tells what a device holds. One that cannot be looked at is not to be
/// written to.
///
/// # Errors
/// It is of another form.
pub fn parse(text: &str, look: &dyn Fn(&Path) -> Result<Signature>) -> Result<Vec<Disk>> {
    let answer: Answer = serde_json::from_str(text).context("cannot read what lsblk wrote")?;
    let disks = answer.blockdevices.into_iter();
    disks
        .filter(|device| matches!(device.kind.as_str(), "disk" | "loop"))
        .map(|mut device| {
            device.look(look);
            Ok(device.disk())
        })
        .collect()
}

impl Device {
    /// Looks at it and its partitions.
    fn look(&mut self, look: &dyn Fn(&Path) -> Result<Signature>) {
        // A drive without a medium cannot be read.
        if self.size > 0 {
            match look(&self.path) {
                Ok(signature) => self.signature = signature,
                Err(error) => self.unreadable = Some(format!("{error:#}")),
            }
        }
        let parts = self.children.iter_mut();
        for part in parts.filter(|child| child.kind == "part") {
            part.look(look);
        }
    }

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
        let Signature {
            table, file_system, ..
        } = &self.signature;
        let children = self.children.iter();
        let parts = children.filter(|child| child.kind == "part");
        let partitions: Vec<Partition> = parts.map(Device::partition).collect();
        match (table, file_system) {
            // A boot sector of a file system may look like a table without partitions.
            (_, Some(file_system)) if partitions.is_empty() => Content::Whole(file_system.clone()),
            (None, _) if partitions.is_empty() => Content::Nothing,
            (table, _) => Content::Partitions {
                table: table.clone().unwrap_or_else(|| "unknown".to_owned()),
                partitions,
            },
        }
    }

    fn partition(&self) -> Partition {
        Partition {
            path: self.path.clone(),
            bytes: self.size,
            name: self.signature.name.clone(),
            kind: self.signature.kind.clone(),
            file_system: self.signature.file_system.clone(),
            label: self.signature.label.clone(),
            last_mount: None,
        }
    }

    /// What somebody has of it.
    fn uses(&self, uses: &mut Vec<String>) {
        let path = self.path.display();
        uses.extend(self.unreadable.clone());
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
pub fn plain(text: Option<&String>) -> Option<String> {
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

    const LISTED: &str = r#"{"blockdevices": [
          {"path":"/dev/sda","type":"disk","size":4294967296,"log-sec":512,"ro":false,
           "model":"Disk \u001b[2J","serial":"  ","tran":"sata","mountpoints":[null],
           "children":[
             {"path":"/dev/sda1","type":"part","size":1048576,"log-sec":512,"ro":false,"model":null,
              "serial":null,"tran":null,"mountpoints":[null]},
             {"path":"/dev/sda2","type":"part","size":1048576,"log-sec":512,"ro":false,"model":null,
              "serial":null,"tran":null,"mountpoints":[null],
              "children":[
                {"path":"/dev/mapper/data","type":"crypt","size":1048576,"log-sec":512,"ro":false,
                 "model":null,"serial":null,"tran":null,"mountpoints":["/srv", "/mnt"]}
              ]}
           ]},
          {"path":"/dev/sdb","type":"disk","size":0,"log-sec":512,"ro":false,"model":"Card reader",
           "serial":null,"tran":"usb","mountpoints":[null]},
          {"path":"/dev/sr0","type":"rom","size":1048576,"log-sec":2048,"ro":true,"model":null,
           "serial":null,"tran":"sata","mountpoints":[null]},
          {"path":"/dev/vda","type":"disk","size":1048576,"log-sec":4096,"ro":true,"model":null,
           "serial":null,"tran":"virtio","mountpoints":["[SWAP]"]}
        ]}"#;

    #[test]
    fn what_lsblk_tells() {
        let look = |device: &Path| match device.to_str().unwrap() {
            "/dev/sda" => Ok(signature("gpt", "", "", "")),
            "/dev/sda1" => Ok(signature("", "", "bios", "BIOS boot")),
            "/dev/sda2" => Ok(signature("", "crypto_LUKS", "", "Linux filesystem")),
            "/dev/vda" => Ok(signature("", "swap", "", "")),
            other => anyhow::bail!("{other} is not to be looked at"),
        };
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
                                last_mount: None,
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
                                last_mount: None,
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
                    path: "/dev/sdb",
                    bytes: 0,
                    sector: 512,
                    model: Some(
                        "Card reader",
                    ),
                    serial: None,
                    transport: Some(
                        "usb",
                    ),
                    content: Nothing,
                    uses: [],
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
        .assert_debug_eq(&parse(LISTED, &look).unwrap());
    }

    /// A floppy drive without a floppy, or a disk that breaks, is not in the way of the others.
    #[test]
    fn what_cannot_be_read_is_not_to_be_written_to() {
        let look = |device: &Path| match device.to_str().unwrap() {
            "/dev/sda2" => anyhow::bail!("cannot read '/dev/sda2': Input/output error"),
            "/dev/vda" => anyhow::bail!("cannot read '/dev/vda': No such device"),
            _ => Ok(Signature::default()),
        };
        let disks = parse(LISTED, &look).unwrap();
        let uses: Vec<_> = disks.into_iter().map(|disk| disk.uses).collect();
        expect![[r#"
            [
                [
                    "cannot read '/dev/sda2': Input/output error",
                    "/dev/sda2 is a part of /dev/mapper/data (crypt)",
                    "/dev/mapper/data is mounted on /srv",
                    "/dev/mapper/data is mounted on /mnt",
                ],
                [],
                [
                    "it can only be read",
                    "cannot read '/dev/vda': No such device",
                    "/dev/vda is swap space in use",
                ],
            ]
        "#]]
        .assert_debug_eq(&uses);
    }

    #[test]
    fn tables_without_partitions() {
        let text = r#"{"blockdevices": [
          {"path":"/dev/sda","type":"disk","size":1048576,"log-sec":512,"ro":false,"model":null,
           "serial":null,"tran":null,"mountpoints":[null]}]}"#;
        let content = |found: Signature| {
            let disks = parse(text, &|_| Ok(found.clone())).unwrap();
            disks.into_iter().next().unwrap().content
        };
        // A file system that looks like a table.
        let whole = Content::Whole("vfat".to_owned());
        assert_eq!(content(signature("dos", "vfat", "", "")), whole);
        let empty = Content::Partitions {
            table: "gpt".to_owned(),
            partitions: Vec::new(),
        };
        assert_eq!(content(signature("gpt", "", "", "")), empty);
        assert_eq!(content(Signature::default()), Content::Nothing);
    }

    fn signature(table: &str, file_system: &str, name: &str, kind: &str) -> Signature {
        let field = |text: &str| plain(Some(&text.to_owned()));
        Signature {
            table: field(table),
            file_system: field(file_system),
            label: None,
            name: field(name),
            kind: field(kind),
        }
    }

    #[test]
    fn another_form_is_refused() {
        let look = |_: &Path| Ok(Signature::default());
        parse("{}", &look).unwrap_err();
        assert_eq!(parse(r#"{"blockdevices": []}"#, &look).unwrap(), []);
    }
}
