//! Disks of a machine, and what is on them now.
//!
//! `lsblk` tells which there are and who uses them, and the devices themselves tell what they hold. Nothing is
//! written, and no device is opened for writing.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::HumanBytes;
use nix::fcntl::OFlag;
use serde::Serialize;

use super::listing::{lsblk, parse};
use super::medium::carriers;
use super::signature;
use super::unread;

/// Bytes at the beginning of a disk that are looked at where nothing is known of it.
const HEAD: usize = 1 << 20;

/// What a GPT begins with, and its copy.
const GPT: &[u8; 8] = b"EFI PART";

/// Bytes of a sector, by which the copy is found.
const SECTORS: [u64; 2] = [512, 4096];

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
    /// Where it was mounted last; known only where it is asked for, see [`Self::UNFINISHED`].
    pub last_mount: Option<String>,
}

impl Partition {
    /// The name in the table of a root whose installation has not come to its end.
    pub const UNFINISHED: &str = "cairn-unfinished";

    /// Whether it has that name.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.name.as_deref() == Some(Self::UNFINISHED)
    }
}

impl Disk {
    /// All disks of this machine that could have a system.
    ///
    /// # Errors
    /// `lsblk` is missing or fails.
    pub fn all() -> Result<Vec<Self>> {
        let mut disks = parse(&lsblk(None)?, &signature::read)?;
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
        let finding = || format!("cannot find the disk '{}'", path.display());
        let node = fs::canonicalize(path).with_context(finding)?;
        let no_disk = || {
            format!(
                "'{}' is no disk; lsblk --nodeps shows those that there are",
                path.display()
            )
        };
        let is_device = fs::metadata(&node)
            .with_context(finding)?
            .file_type()
            .is_block_device();
        let listed = match lsblk(Some(&node)) {
            Err(_) if !is_device => bail!(no_disk()),
            listed => listed?,
        };
        let disks = parse(&listed, &signature::read)?;
        let found = disks.into_iter().find(|disk| disk.path == node);
        let mut disk = found.with_context(no_disk)?;
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
        if let Err(error) = open_alone(&self.path)
            && self.uses.is_empty()
        {
            self.uses.push(match error.kind() {
                io::ErrorKind::ResourceBusy => "something on it is in use".to_owned(),
                _ => format!("it cannot be read: {error}"),
            });
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
        self.find_last_mounts();
        self.name_kinds()?;
        if self.content == Content::Nothing {
            match at_first_sight(&self.path) {
                Ok(content) => self.content = content,
                Err(_) if !self.uses.is_empty() => {}
                Err(error) => self.uses.push(format!("it cannot be read: {error}")),
            }
        }
        Ok(())
    }

    /// Whether an unfinished installation was used after all is what its file systems tell.
    fn find_last_mounts(&mut self) {
        let Content::Partitions { partitions, .. } = &mut self.content else {
            return;
        };
        if !partitions.iter().any(Partition::is_unfinished) {
            return;
        }
        for part in partitions {
            let kind = part.file_system.as_deref().unwrap_or_default();
            if kind.starts_with("ext") {
                part.last_mount = signature::last_mount(&part.path);
            }
        }
    }

    /// Puts names in the place of the numbers of the table.
    fn name_kinds(&mut self) -> Result<()> {
        let Content::Partitions { table, partitions } = &mut self.content else {
            return Ok(());
        };
        let list = signature::names_of_kinds(table)?;
        for kind in partitions.iter_mut().filter_map(|part| part.kind.as_mut()) {
            if let Some(name) = signature::name_of_kind(&list, kind) {
                name.clone_into(kind);
            }
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

/// What a disk has on which nothing is known.
fn at_first_sight(path: &Path) -> io::Result<Content> {
    let mut disk = File::open(path)?;
    let mut head = Vec::new();
    disk.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    if head.iter().any(|byte| *byte != 0) {
        return Ok(Content::Unknown);
    }
    // Partitions may be whole behind a beginning that was lost: a GPT has a copy in the last sector.
    let size = disk.seek(SeekFrom::End(0))?;
    for sector in SECTORS {
        let mut start = [0; GPT.len()];
        if let Some(last) = size.checked_sub(sector) {
            disk.seek(SeekFrom::Start(last))?;
            disk.read_exact(&mut start)?;
        }
        if &start == GPT {
            return Ok(Content::Whole("a GPT whose beginning is lost".to_owned()));
        }
    }
    Ok(Content::Nothing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn what_has_lost_its_beginning_is_not_empty() {
        const SIZE: u64 = 3 << 20;
        let lost = Content::Whole("a GPT whose beginning is lost".to_owned());
        for (written, expected) in [
            (None, Content::Nothing),
            (Some(0), Content::Unknown),
            (Some(SIZE - 512), lost.clone()),
            (Some(SIZE - 4096), lost),
            (Some(SIZE - 8192), Content::Nothing),
        ] {
            let disk = tempfile::tempfile().unwrap();
            disk.set_len(SIZE).unwrap();
            if let Some(at) = written {
                disk.write_all_at(GPT, at).unwrap();
            }
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&disk));
            let found = at_first_sight(Path::new(&path)).unwrap();
            assert_eq!(found, expected, "{written:?}");
        }
        let small = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(at_first_sight(small.path()).unwrap(), Content::Nothing);
    }
}
