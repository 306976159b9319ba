//! Identifiers of what devices hold, found by `blkid`: there is no udev that would have links for them.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use super::read::HardwareError;
use crate::program;

/// By what a file system is found again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// The UUID of a file system, a swap space or an encrypted device.
    pub uuid: Option<String>,
    /// The UUID of the partition.
    pub partition_uuid: Option<String>,
}

/// Looks at devices.
pub trait Probe {
    /// What the block device holds; nothing if nothing known.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn identifiers(&self, device: &str) -> Result<Identifiers, HardwareError>;
}

/// The program `blkid`, of util-linux.
#[derive(Debug, Clone, Copy)]
pub struct Blkid;

/// It has found nothing.
const NOTHING: i32 = 2;
/// It has found several things, as where a disk was one of ZFS before, which has its labels at both ends.
const SEVERAL: i32 = 8;

impl Probe for Blkid {
    fn identifiers(&self, device: &str) -> Result<Identifiers, HardwareError> {
        let output = program::command("blkid")
            .args(["--probe", "--output", "export", "--", device])
            .env("LC_ALL", "C")
            .output()
            .map_err(|source| HardwareError::NoProbe { source })?;
        if output.status.code() == Some(SEVERAL) {
            return first(Path::new(device));
        }
        if !output.status.success() && output.status.code() != Some(NOTHING) {
            return Err(HardwareError::Probe {
                device: device.to_owned(),
                status: output.status,
                message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        Ok(parse(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// By what stage 1 and the device manager find a device: of several things on it, they take it for the first.
///
/// # Errors
/// It cannot be read.
pub(crate) fn first(device: &Path) -> Result<Identifiers, HardwareError> {
    let contents = File::open(device).and_then(|mut file| {
        let size = file.seek(SeekFrom::End(0))?;
        cairn_probe::contents(&mut file, size)
    });
    let contents = contents.map_err(|source| HardwareError::Read {
        path: device.to_owned(),
        source,
    })?;
    let uuid = contents.and_then(|contents| contents.uuid);
    Ok(Identifiers {
        uuid: uuid.filter(|uuid| is_identifier(uuid)),
        partition_uuid: None,
    })
}

/// Lines `KEY=value`. Labels can forge no line, since line ends in them are escaped; they are not read
/// in any case.
fn parse(text: &str) -> Identifiers {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key == name).then_some(value)
        });
        value
            .filter(|value| is_identifier(value))
            .map(str::to_owned)
    };
    Identifiers {
        uuid: field("UUID"),
        partition_uuid: field("PART_ENTRY_UUID"),
    }
}

/// UUIDs, FAT's `1234-ABCD`, ISO 9660's dates, NTFS's 16 digits.
fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_blkid_prints() {
        let text = "DEVNAME=/dev/sda1\nUUID=0f0e2a5c-5a37-4f0f-bb45-9c31cf4f8d9e\nVERSION=1.0\n\
                    LABEL=UUID=x\nTYPE=ext4\nPART_ENTRY_UUID=c0ffee00-01\n";
        let expected = Identifiers {
            uuid: Some("0f0e2a5c-5a37-4f0f-bb45-9c31cf4f8d9e".to_owned()),
            partition_uuid: Some("c0ffee00-01".to_owned()),
        };
        assert_eq!(parse(text), expected);
        assert_eq!(parse("UUID=a\"b\n"), Identifiers::default());
        assert_eq!(parse(""), Identifiers::default());
    }

    /// A disk that was one of ZFS has its labels in places where an ext4 has nothing.
    #[test]
    fn what_was_there_before_is_in_nobodys_way() {
        use std::os::unix::fs::FileExt as _;

        const SIZE: u64 = 64 << 20;
        let uuid = "0f0e2a5c-5a37-4f0f-bb45-9c31cf4f8d9e";
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(SIZE).unwrap();
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-U", uuid])
            .arg(image.path())
            .output()
            .expect("mkfs.ext4 is missing: apt-get install e2fsprogs");
        assert!(made.status.success(), "{made:?}");
        for label in [SIZE - (512 << 10), SIZE - (256 << 10)] {
            for number in 0..128 {
                let block = [0x00ba_b10c_u64, 5000, number, 0, 0].map(u64::to_le_bytes);
                let place = label + (128 << 10) + number * 1024;
                image
                    .as_file()
                    .write_all_at(block.as_flattened(), place)
                    .unwrap();
            }
        }
        let found = Blkid.identifiers(image.path().to_str().unwrap()).unwrap();
        assert_eq!(found.uuid.as_deref(), Some(uuid));
    }
}
