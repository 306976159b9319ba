//! Writing GRUB to where the plan has it; each step is on the disk before the next one begins.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::firmware::Write;

use super::embedding::{Embedding, SECTOR};
use super::firmware::{self, FIRMWARE};
use super::plan::{Esp, Plan, Step};
use crate::grub::{UefiFile, UefiName};
use crate::lock_file::write_atomically;

/// Does all steps, and gives those that have changed something.
///
/// # Errors
/// A disk cannot be written; the steps before are done.
pub fn apply(plan: &Plan) -> Result<Vec<&Step>> {
    let mut done = Vec::new();
    for step in &plan.steps {
        let changed = match step {
            Step::Link(folder) => link(folder).map(|()| true),
            Step::Bios { disk, embedding } => embed(disk, embedding).map(|()| true),
            Step::Uefi { esp, files } => write_files(esp, files),
            Step::Firmware { writes, name, .. } => write_variables(writes, *name),
        };
        if changed.with_context(|| format!("cannot write '{step}'"))? {
            done.push(step);
        }
    }
    Ok(done)
}

fn link(folder: &Path) -> Result<()> {
    symlink(".", folder.join("boot"))?;
    Ok(File::open(folder)?.sync_all()?)
}

/// The core first; the sector that starts it when that is on the disk.
fn embed(disk: &Path, embedding: &Embedding) -> Result<()> {
    let disk = OpenOptions::new().read(true).write(true).open(disk)?;
    disk.write_all_at(&embedding.core, embedding.core_sector * SECTOR)?;
    disk.sync_all()?;
    disk.write_all_at(&embedding.boot_code, 0)?;
    Ok(disk.sync_all()?)
}

/// Whether one of the files was not there.
fn write_files(esp: &Esp, files: &[UefiFile]) -> Result<bool> {
    match esp {
        Esp::Mounted(folder) => write_into(folder, files),
        Esp::Partition(device) => {
            let mounted = cairn_sys::mount::private_mount(device, "vfat")
                .with_context(|| format!("cannot mount {}", device.display()))?;
            let folder = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_raw_fd()));
            write_into(&folder, files)
        }
    }
}

/// Whether all of them were written: an entry before the order that names it.
fn write_variables(writes: &[Write], name: UefiName) -> Result<bool> {
    let firmware = Path::new(FIRMWARE);
    match writes
        .iter()
        .try_for_each(|write| firmware::write(firmware, write))
    {
        Ok(()) => Ok(true),
        Err(error) => name.without_entry(error).map(|()| false),
    }
}

fn write_into(folder: &Path, files: &[UefiFile]) -> Result<bool> {
    let mut written = false;
    for file in files {
        written |= write_if_other(&folder.join(file.path), &file.content)?;
    }
    Ok(written)
}

fn write_if_other(file: &Path, content: &[u8]) -> Result<bool> {
    match fs::read(file) {
        Ok(there) if there == content => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    write_atomically(file, content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grub::UEFI_PROGRAM;
    use cairn_bootloader::SIGNED_CONFIG;

    #[test]
    fn a_boot_sector_keeps_its_table() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        fs::write(&disk, vec![0x77; 8192]).unwrap();
        let embedding = Embedding {
            core_sector: 4,
            core: vec![2; 1024],
            boot_code: [1; 440],
        };
        embed(&disk, &embedding).unwrap();
        let mut expected = vec![0x77; 8192];
        expected[..440].fill(1);
        expected[2048..3072].fill(2);
        assert!(fs::read(&disk).unwrap() == expected);
    }

    #[test]
    fn what_is_there_is_not_written() {
        let esp = tempfile::tempdir().unwrap();
        let plan = Plan {
            steps: vec![Step::Uefi {
                esp: Esp::Mounted(esp.path().to_owned()),
                files: vec![
                    UefiFile {
                        path: SIGNED_CONFIG,
                        content: b"menu".to_vec(),
                    },
                    UefiFile {
                        path: UEFI_PROGRAM,
                        content: b"program".to_vec(),
                    },
                ],
            }],
        };
        assert_eq!(apply(&plan).unwrap().len(), 1);
        assert_eq!(fs::read(esp.path().join(UEFI_PROGRAM)).unwrap(), b"program");
        assert_eq!(fs::read(esp.path().join(SIGNED_CONFIG)).unwrap(), b"menu");
        assert_eq!(apply(&plan).unwrap().len(), 0);
    }
}
