//! What the kernel says of block devices, in sysfs.
//!
//! Source: `Documentation/ABI/stable/sysfs-block` of Linux.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::stat::{major, minor};

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its node, `/dev/sda`.
    pub node: PathBuf,
    /// Bytes of a logical sector.
    pub sector: u64,
}

/// A partition, and its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its node, `/dev/sda1`.
    pub node: PathBuf,
    /// Its number in the disk's table.
    pub number: u32,
    /// Its disk.
    pub disk: Disk,
}

impl Disk {
    /// The disk that `node`, which may be a link, is.
    ///
    /// # Errors
    /// It is no disk, or only a part of one.
    pub fn of_node(node: &Path) -> Result<Self> {
        let metadata =
            fs::metadata(node).with_context(|| format!("cannot find '{}'", node.display()))?;
        ensure!(
            metadata.file_type().is_block_device(),
            "'{}' is no disk",
            node.display()
        );
        let folder = sysfs_of(metadata.rdev())
            .with_context(|| format!("the kernel does not know '{}'", node.display()))?;
        ensure!(
            !folder.join("partition").exists(),
            "'{}' is a partition; name its disk",
            node.display()
        );
        Self::of_folder(&folder)
    }

    /// The node of its partition of this number.
    #[must_use]
    pub fn partition_node(&self, number: u32) -> PathBuf {
        let name = self.node.to_string_lossy();
        let between = if name.ends_with(|last: char| last.is_ascii_digit()) {
            "p"
        } else {
            ""
        };
        PathBuf::from(format!("{name}{between}{number}"))
    }

    fn of_folder(folder: &Path) -> Result<Self> {
        let sector = read(&folder.join("queue/logical_block_size"))?;
        Ok(Self {
            node: node_of(folder)?,
            sector: sector
                .parse()
                .with_context(|| format!("'{}' has no size of a sector", folder.display()))?,
        })
    }
}

impl Partition {
    /// The partition that the file or directory at `path` is on.
    ///
    /// # Errors
    /// It is on something else, which a boot loader does not read.
    pub fn below(path: &Path) -> Result<Self> {
        let metadata =
            fs::metadata(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        let Ok(folder) = sysfs_of(metadata.dev()) else {
            bail!(
                "'{}' is on no disk that GRUB reads; it must be on an ext4 that is a partition of its disk",
                path.display()
            );
        };
        let partition = Self::of_folder(&folder)?;
        partition.with_context(|| {
            let node = node_of(&folder).unwrap_or_default();
            format!(
                "'{}' is on {}, which is no partition, and GRUB does not read it; make /boot a file \
                 system of its own on a partition",
                path.display(),
                node.display()
            )
        })
    }

    /// The partition with this node.
    ///
    /// # Errors
    /// It is none.
    pub fn of_node(node: &Path) -> Result<Self> {
        let metadata =
            fs::metadata(node).with_context(|| format!("cannot find '{}'", node.display()))?;
        let folder = sysfs_of(metadata.rdev())
            .with_context(|| format!("the kernel does not know '{}'", node.display()))?;
        let partition = Self::of_folder(&folder)?;
        partition.with_context(|| format!("'{}' is no partition", node.display()))
    }

    /// The partition that has this folder in sysfs; none if it is something else.
    fn of_folder(folder: &Path) -> Result<Option<Self>> {
        let number = match fs::read_to_string(folder.join("partition")) {
            Ok(number) => number,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("cannot read sysfs"),
        };
        let parent = folder.parent().context("a partition has a disk")?;
        Ok(Some(Self {
            number: number.trim().parse().context("a partition has a number")?,
            disk: Disk::of_folder(parent)?,
            node: node_of(folder)?,
        }))
    }
}

/// The folder of the device with this number, without links on the way: a partition's is in its disk's.
fn sysfs_of(device: u64) -> io::Result<PathBuf> {
    fs::canonicalize(format!(
        "/sys/dev/block/{}:{}",
        major(device),
        minor(device)
    ))
}

fn node_of(folder: &Path) -> Result<PathBuf> {
    let uevent = read(&folder.join("uevent"))?;
    let name = uevent
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="));
    let name = name.with_context(|| format!("'{}' has no name", folder.display()))?;
    Ok(Path::new("/dev").join(name))
}

fn read(path: &Path) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_partitions() {
        for (disk, partition) in [
            ("/dev/sda", "/dev/sda3"),
            ("/dev/nvme0n1", "/dev/nvme0n1p3"),
            ("/dev/mmcblk0", "/dev/mmcblk0p3"),
        ] {
            let disk = Disk {
                node: disk.into(),
                sector: 512,
            };
            assert_eq!(disk.partition_node(3), Path::new(partition));
        }
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        let told = |path: &str| Disk::of_node(Path::new(path)).unwrap_err().to_string();
        assert_eq!(told("/dev/null"), "'/dev/null' is no disk");
        assert_eq!(told("/dev/no-such"), "cannot find '/dev/no-such'");
        let on_proc = Partition::below(Path::new("/proc/version")).unwrap_err();
        assert_eq!(
            on_proc.to_string(),
            "'/proc/version' is on no disk that GRUB reads; it must be on an ext4 that is a partition of \
             its disk"
        );
    }
}
