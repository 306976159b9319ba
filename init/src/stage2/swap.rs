//! Swap space: taken into use once the file systems are there, and made if it is a file.
//!
//! ```text
//!    0  boot bits, not used
//! 1024  version (1), last page, number of bad pages (0): 32 bits each, in the machine's order
//! 1036  UUID
//! 4086  "SWAPSPACE2", the end of the first page
//! ```
//!
//! Invariant: a file gets its name when it is whole. What is there under the name and is no swap
//! space is not overwritten: it may be something else.
//!
//! Source: the kernel's `union swap_header`; mkswap(8).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_sys::{random, swap};
use cairn_system::{Device, Discard, SwapDevice};
use nix::fcntl::{FallocateFlags, fallocate};

use super::{DEVICE_TIMEOUT, encrypted_swap};
use crate::stage1::hardware::Hardware;

const PAGE: usize = 4096;
const MIB: u64 = 1 << 20;
const SIGNATURE: &[u8] = b"SWAPSPACE2";

/// Takes all of them into use; what fails is logged.
pub fn enable(devices: &[SwapDevice], mut hardware: Option<&mut Hardware>) {
    for device in devices {
        if let Err(error) = enable_one(device, hardware.as_deref_mut(), DEVICE_TIMEOUT) {
            log::error!("cannot swap to {}: {error:#}", device.device);
        }
    }
}

/// Takes one into use; its device is waited for.
///
/// # Errors
/// It is not there, or cannot be used.
pub fn enable_one(
    device: &SwapDevice,
    hardware: Option<&mut Hardware>,
    timeout: Duration,
) -> anyhow::Result<()> {
    let mut hardware = hardware;
    let no_hardware = || anyhow::anyhow!("no device was looked for");
    if let Some(wanted) = &device.random_encryption {
        let hardware = hardware.as_deref_mut().ok_or_else(no_hardware)?;
        let (node, is_new) = encrypted_swap::open(wanted, hardware, timeout)?;
        if is_new {
            write_header(&node)?;
        }
    }
    let node = match &device.device {
        Device::Path(path) if !path.starts_with("/dev/") => {
            let path = PathBuf::from(path);
            if let Some(size) = device.size_mib {
                make_if_needed(&path, u64::from(size) * MIB)?;
            }
            path
        }
        other => {
            let hardware = hardware.ok_or_else(no_hardware)?;
            hardware
                .wait_for(other, "swap", timeout)
                .map_err(|_| anyhow::anyhow!("there is no such device; check swapDevices"))?
                .node
        }
    };
    swap::on(&node, how(device))?;
    log::info!("swapping to {}", node.display());
    Ok(())
}

fn how(device: &SwapDevice) -> swap::Use {
    swap::Use {
        priority: device.priority,
        discard_once: matches!(device.discard, Some(Discard::Once | Discard::Both)),
        discard_pages: matches!(device.discard, Some(Discard::Pages | Discard::Both)),
    }
}

/// Makes a new device swap space.
fn write_header(node: &Path) -> io::Result<()> {
    let mut device = OpenOptions::new().read(true).write(true).open(node)?;
    let size = device.seek(SeekFrom::End(0))?;
    device.rewind()?;
    device.write_all(&header(size, uuid()))?;
    device.sync_all()
}

/// Makes the file with `size` bytes, unless it is there and has them.
fn make_if_needed(path: &Path, size: u64) -> anyhow::Result<()> {
    match found(path)? {
        Found::Swap { size: present } if present == size => return Ok(()),
        Found::Nothing | Found::Swap { .. } => {}
        Found::Other => anyhow::bail!("something that is no swap space is there; move it away"),
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".cairn-tmp");
    let temporary = path.with_file_name(name);
    let made = make(&temporary, size).and_then(|()| fs::rename(&temporary, path));
    if made.is_err() {
        remove_if_there(&temporary)?;
    }
    Ok(made?)
}

/// What lies at a path.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Swap { size: u64 },
    Other,
}

fn found(path: &Path) -> io::Result<Found> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Ok(Found::Other);
    }
    let mut head = Vec::new();
    File::open(path)?.take(PAGE as u64).read_to_end(&mut head)?;
    Ok(if head.len() == PAGE && head.ends_with(SIGNATURE) {
        Found::Swap {
            size: metadata.len(),
        }
    } else {
        Found::Other
    })
}

/// Without holes: the kernel writes to the file's blocks and never asks its file system for one.
fn make(path: &Path, size: u64) -> io::Result<()> {
    remove_if_there(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let length = i64::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    fallocate(&file, FallocateFlags::empty(), 0, length)?;
    file.write_all(&header(size, uuid()))?;
    file.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The first page of a swap space of `size` bytes.
fn header(size: u64, uuid: [u8; 16]) -> Vec<u8> {
    let last_page = (size / PAGE as u64).saturating_sub(1);
    let last_page = u32::try_from(last_page).unwrap_or(u32::MAX);
    let mut page = vec![0; 1024];
    for number in [1, last_page, 0] {
        page.extend(number.to_ne_bytes());
    }
    page.extend(uuid);
    page.resize(PAGE - SIGNATURE.len(), 0);
    page.extend(SIGNATURE);
    page
}

/// Random, of version 4; all zero if the kernel has no random bytes yet.
fn uuid() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = random::fill_at_once(&mut bytes) {
        log::info!("the swap file has no UUID: {error}");
        return bytes;
    }
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    bits.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/swap");
        make_if_needed(&path, 2 * MIB).unwrap();
        assert_eq!(found(&path).unwrap(), Found::Swap { size: 2 * MIB });
        let first = fs::read(&path).unwrap();
        make_if_needed(&path, 2 * MIB).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        make_if_needed(&path, 3 * MIB).unwrap();
        assert_eq!(found(&path).unwrap(), Found::Swap { size: 3 * MIB });

        fs::write(&path, "somebody's").unwrap();
        assert!(make_if_needed(&path, 2 * MIB).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
        assert_eq!(fs::read_dir(folder.path().join("var")).unwrap().count(), 1);
    }

    #[test]
    fn a_new_device_becomes_swap_space() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("device");
        fs::write(&node, vec![b'x'; 1 << 20]).unwrap();
        write_header(&node).unwrap();
        assert_eq!(found(&node).unwrap(), Found::Swap { size: MIB });
    }

    #[test]
    fn the_header_is_as_mkswap_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("swap");
        File::create(&file).unwrap().set_len(4 * MIB).unwrap();
        let uuid = "01020304-0506-4708-890a-0b0c0d0e0f10";
        let made = std::process::Command::new("mkswap")
            .args(["--uuid", uuid])
            .arg(&file)
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .output()
            .expect("mkswap is missing: apt-get install util-linux");
        assert!(made.status.success(), "{made:?}");
        let bytes = *b"\x01\x02\x03\x04\x05\x06\x47\x08\x89\x0a\x0b\x0c\x0d\x0e\x0f\x10";
        let expected = fs::read(&file).unwrap();
        assert!(header(4 * MIB, bytes) == expected[..PAGE]);
    }
}
