//! The file system that GRUB finds its menu on.
//!
//! GRUB looks for `/boot/grub` on it. A file system that is mounted at `/boot` itself gets a link
//! `boot` to its own root, so that all paths are the same in both cases.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use uuid::Uuid;

use super::block::Partition;

/// Where the superblock's magic number and UUID are, in bytes of the file system.
///
/// Source: `Documentation/filesystems/ext4/super.rst` of Linux: 0x38 and 0x68 past 1024.
const MAGIC: u64 = 1024 + 0x38;
const UUID: u64 = 1024 + 0x68;

/// A folder that GRUB boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its path, `/boot`.
    pub path: PathBuf,
    /// The partition that it is on.
    pub partition: Partition,
    /// The UUID of the file system there.
    pub uuid: Uuid,
    /// Whether a link `boot` has to be made in it.
    pub wants_link: bool,
}

impl Folder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// GRUB cannot read it there.
    pub fn at(path: &Path) -> Result<Self> {
        let partition = Partition::below(path)?;
        let uuid = ext4_uuid(&partition.node)
            .with_context(|| format!("cannot read '{}'", partition.node.display()))?;
        let uuid = uuid.with_context(|| {
            format!(
                "'{}' is on {}, which has no ext4, and GRUB reads nothing else; make it a file system of \
                 its own",
                path.display(),
                partition.node.display()
            )
        })?;
        Ok(Self {
            wants_link: wants_link(path)?,
            path: path.to_owned(),
            partition,
            uuid,
        })
    }
}

/// Whether something is mounted on `path`.
#[must_use]
pub fn is_mount_point(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let above = path.parent().unwrap_or(path);
    device(path).is_some() && device(path) != device(above)
}

/// The UUID of the ext2, ext3 or ext4 on `device`, if there is one.
fn ext4_uuid(device: &Path) -> io::Result<Option<Uuid>> {
    let file = File::open(device)?;
    let mut magic = [0; 2];
    file.read_exact_at(&mut magic, MAGIC)?;
    if u16::from_le_bytes(magic) != 0xef53 {
        return Ok(None);
    }
    let mut uuid = [0; 16];
    file.read_exact_at(&mut uuid, UUID)?;
    Ok(Some(Uuid::from_bytes(uuid)))
}

fn wants_link(path: &Path) -> Result<bool> {
    let above = path.parent().unwrap_or(path);
    let device = |path: &Path| {
        let metadata = fs::metadata(path);
        metadata
            .map(|metadata| metadata.dev())
            .with_context(|| format!("cannot read '{}'", path.display()))
    };
    let is_root_of_its_own = device(path)? != device(above)?;
    if !is_root_of_its_own {
        let further = above.parent().unwrap_or(above);
        ensure!(
            path.file_name().is_some_and(|name| name == "boot")
                && (further == above || device(further)? != device(above)?),
            "GRUB looks for /boot in the root of a file system, and '{}' is not there",
            path.display()
        );
        return Ok(false);
    }
    let link = path.join("boot");
    match fs::symlink_metadata(&link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read '{}'", link.display())),
        Ok(_) if fs::read_link(&link).is_ok_and(|target| target == Path::new(".")) => Ok(false),
        Ok(_) => bail!(
            "'{}' is in the way: GRUB finds its menu through a link of that name to '.'; move it away",
            link.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ext4_has_a_uuid_here() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("device");
        let mut bytes = vec![0; 4096];
        fs::write(&device, &bytes).unwrap();
        assert_eq!(ext4_uuid(&device).unwrap(), None);
        bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[1024 + 0x68..1024 + 0x78].copy_from_slice(&[7; 16]);
        fs::write(&device, &bytes).unwrap();
        assert_eq!(ext4_uuid(&device).unwrap(), Some(Uuid::from_bytes([7; 16])));
        fs::write(&device, [0; 100]).unwrap();
        assert!(ext4_uuid(&device).is_err());
    }

    #[test]
    fn a_folder_deep_in_a_file_system_is_not_found_by_grub() {
        let folder = tempfile::tempdir().unwrap();
        let boot = folder.path().join("deep/boot");
        fs::create_dir_all(&boot).unwrap();
        let refused = wants_link(&boot).unwrap_err().to_string();
        assert!(
            refused.starts_with("GRUB looks for /boot in the root"),
            "{refused}"
        );
    }
}
