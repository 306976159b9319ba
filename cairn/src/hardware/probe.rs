//! Identifiers of what devices hold, found by `blkid`: there is no udev that would have links for them.

use std::process::Command;

use super::read::HardwareError;

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

impl Probe for Blkid {
    fn identifiers(&self, device: &str) -> Result<Identifiers, HardwareError> {
        let output = Command::new("blkid")
            .args(["--probe", "--output", "export", "--", device])
            .env("LC_ALL", "C")
            .output()
            .map_err(|source| HardwareError::NoProbe { source })?;
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
}
