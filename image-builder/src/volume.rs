//! One file system that fills a file: a disk without a partition table.

use std::path::Path;

use crate::disk::DiskError;
use crate::file_system::{FileSystemError, FileSystemWriter};
use crate::manifest::Manifest;
use crate::output::Output;
use crate::region::Region;

/// Writes `tree` as a file system that leaves `free` bytes over to the file `output`, sparsely. The
/// file appears when it is whole and durable; one that was there before stays until then.
///
/// # Errors
/// See [`DiskError`]. Nothing is left behind.
pub fn write_volume(
    tree: &Manifest,
    file_system: &dyn FileSystemWriter,
    free: u64,
    output: &Path,
) -> Result<(), DiskError> {
    let size = file_system.size(tree, free)?;
    let content = tree.content_size();
    let output = Output::create(output, size, content)?;
    file_system
        .write(tree, &Region::new(output.file(), 0, size), &mut |_| {})
        .map_err(|error| match error {
            FileSystemError::Write { source, .. } => {
                DiskError::Output(output.failure(source, content))
            }
            error => error.into(),
        })?;
    output.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use uuid::Uuid;

    use super::*;
    use crate::{Content, Ext4, Node};

    #[test]
    fn it_is_clean_and_has_the_room_that_was_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("volume");
        let mut tree = Manifest::new();
        tree.insert(
            "greeting",
            Node::new(0o644, Content::Bytes(b"hello".to_vec())),
        )
        .unwrap();
        let ext4 = Ext4 {
            label: "volume".to_owned(),
            uuid: Uuid::from_u128(7),
            epoch: 1,
        };
        write_volume(&tree, &ext4, 1 << 30, &file).unwrap();
        assert!(file.metadata().unwrap().len() > 1 << 30);
        let check = Command::new("e2fsck").arg("-fn").arg(&file).output();
        let check = check.expect("e2fsck is missing; apt-get install e2fsprogs");
        assert!(check.status.success(), "{check:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = write_volume(
            &Manifest::new(),
            &Ext4 {
                label: "volume".to_owned(),
                uuid: Uuid::from_u128(7),
                epoch: 1,
            },
            0,
            Path::new("/nowhere/volume"),
        );
        assert!(error.unwrap_err().to_string().contains("/nowhere/volume"));
    }
}
