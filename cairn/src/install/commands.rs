//! The commands that make partitions and file systems, as data.

use std::path::Path;

use super::answers::FileSystemKind;
use super::layout::{Holds, NewPartition};

/// What a command reads from its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Nothing,
    /// This text.
    Text(String),
    /// The passphrase.
    Passphrase,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Program and arguments.
    pub words: Vec<String>,
    /// What it reads.
    pub input: Input,
}

impl Invocation {
    fn new(words: &[&str], device: &Path) -> Self {
        let words = words.iter().map(|word| (*word).to_owned());
        Self {
            words: words.chain([device.display().to_string()]).collect(),
            input: Input::Nothing,
        }
    }

    fn reading(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    fn and(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }
}

/// The table of partitions.
#[must_use]
pub fn partition(disk: &Path, guid: uuid::Uuid, partitions: &[NewPartition]) -> Invocation {
    let lines = partitions.iter().enumerate().map(|(at, one)| {
        let NewPartition {
            kind,
            guid,
            name,
            mib,
            ..
        } = one;
        let size = if at + 1 == partitions.len() {
            String::new()
        } else {
            format!("size={mib}MiB, ")
        };
        format!("{size}type={kind}, uuid={guid}, name=\"{name}\"")
    });
    let head = ["label: gpt".to_owned(), format!("label-id: {guid}")];
    let mut script = head.into_iter().chain(lines).collect::<Vec<_>>().join("\n");
    script.push('\n');
    // The lock keeps udev away until the table is read again.
    let words = [
        "sfdisk",
        "--lock=yes",
        "--quiet",
        "--wipe=always",
        "--wipe-partitions=always",
    ];
    Invocation::new(&words, disk).reading(Input::Text(script))
}

/// Gives a partition another name.
#[must_use]
pub fn rename(disk: &Path, number: u32, name: &str) -> Invocation {
    let words = ["sfdisk", "--lock=yes", "--quiet", "--part-label"];
    Invocation::new(&words, disk)
        .and(&number.to_string())
        .and(name)
}

/// What makes `holds` on `device`, in order.
#[must_use]
pub fn format(holds: &Holds, device: &Path) -> Vec<Invocation> {
    match holds {
        // The boot that takes such swap space into use makes it.
        Holds::Grub | Holds::VolatileSwap => Vec::new(),
        Holds::Fat { serial, .. } => {
            let serial = format!("{serial:08x}");
            vec![Invocation::new(
                &["mkfs.vfat", "-F", "32", "-n", "ESP", "-i", &serial],
                device,
            )]
        }
        Holds::Swap { uuid } => {
            vec![Invocation::new(
                &["mkswap", "--uuid", &uuid.to_string(), "--label", "swap"],
                device,
            )]
        }
        Holds::FileSystem {
            kind, uuid, label, ..
        } => vec![make(*kind, &uuid.to_string(), label, device)],
        Holds::Luks { uuid, name, inside } => {
            let uuid = uuid.to_string();
            let words = [
                "cryptsetup",
                "luksFormat",
                "--batch-mode",
                "--type=luks2",
                "--key-file=-",
                "--uuid",
                &uuid,
            ];
            let make = Invocation::new(&words, device).reading(Input::Passphrase);
            let mut steps = vec![make, open(device, name)];
            steps.extend(format(inside, &mapped(name)));
            steps
        }
    }
}

/// Opens a container.
#[must_use]
pub fn open(device: &Path, name: &str) -> Invocation {
    let words = ["cryptsetup", "open", "--type=luks2", "--key-file=-"];
    Invocation::new(&words, device)
        .and(name)
        .reading(Input::Passphrase)
}

/// Closes it.
#[must_use]
pub fn close(name: &str) -> Invocation {
    Invocation::new(&["cryptsetup", "close"], Path::new(name))
}

/// Makes a subvolume.
#[must_use]
pub fn subvolume(place: &Path) -> Invocation {
    Invocation::new(&["btrfs", "--quiet", "subvolume", "create"], place)
}

/// Where an open container is.
#[must_use]
pub fn mapped(name: &str) -> std::path::PathBuf {
    Path::new("/dev/mapper").join(name)
}

fn make(kind: FileSystemKind, uuid: &str, label: &str, device: &Path) -> Invocation {
    match kind {
        // GRUB 2.06 refuses a file system with a feature that it does not know, even to read it.
        FileSystemKind::Ext4 => Invocation::new(
            &[
                "mkfs.ext4",
                "-F",
                "-q",
                "-O",
                "^metadata_csum_seed,^orphan_file",
                "-L",
                label,
                "-U",
                uuid,
            ],
            device,
        ),
        FileSystemKind::Btrfs => Invocation::new(
            &[
                "mkfs.btrfs",
                "--force",
                "--quiet",
                "--label",
                label,
                "--uuid",
                uuid,
            ],
            device,
        ),
        FileSystemKind::Xfs => Invocation::new(
            &[
                "mkfs.xfs",
                "-f",
                "-q",
                "-L",
                label,
                "-m",
                &format!("uuid={uuid}"),
            ],
            device,
        ),
    }
}
