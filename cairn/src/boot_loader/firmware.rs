//! Variables of a UEFI firmware, as the kernel shows them: a file each, which begins with the variable's
//! attributes and is written by one call.
//!
//! Source: `Documentation/filesystems/efivarfs.rst` of Linux; UEFI specification 2.10, 3.3.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cairn_bootloader::firmware::{BootVariables, Write};

/// Where the kernel shows that it was started by UEFI firmware, and there the variables.
pub const FIRMWARE: &str = "/sys/firmware/efi";
const VARIABLES: &str = "efivars";
/// The namespace of what the specification defines, as it ends a file's name.
const NAMESPACE: &str = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Kept without power, and seen before and after the kernel has started.
const ATTRIBUTES: u32 = 7;

/// What the firmware boots, by the variables in `firmware`; none if the machine was not started by UEFI
/// firmware.
///
/// # Errors
/// The variables cannot be seen.
pub fn read(firmware: &Path) -> Result<Option<BootVariables>> {
    if !firmware.exists() {
        return Ok(None);
    }
    let folder = firmware.join(VARIABLES);
    let reading = || format!("cannot read '{}'", folder.display());
    let mut variables = BootVariables::default();
    let mut is_empty = true;
    for file in fs::read_dir(&folder).with_context(reading)? {
        let file = file.with_context(reading)?;
        is_empty = false;
        let name = file.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(NAMESPACE)) else {
            continue;
        };
        // What cannot be read is there all the same: its number is taken.
        let content = fs::read(file.path()).unwrap_or_else(|error| {
            log::warn!("cannot read the firmware's variable {name}: {error}");
            Vec::new()
        });
        variables.take(name, content.get(4..).unwrap_or_default());
    }
    ensure!(
        !is_empty,
        "'{}' is empty; mount it: mount -t efivarfs efivarfs {0}",
        folder.display()
    );
    Ok(Some(variables))
}

/// Writes a variable, and sees whether the firmware has kept it.
///
/// # Errors
/// It cannot be written, or is another afterwards; it is then as it was, or as firmware has made it.
pub fn write(firmware: &Path, write: &Write) -> Result<()> {
    let file = firmware
        .join(VARIABLES)
        .join(format!("{}{NAMESPACE}", write.name()));
    let content = [ATTRIBUTES.to_le_bytes().as_slice(), &write.to_bytes()].concat();
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file)
        .and_then(|mut file| file.write_all(&content));
    written
        .map_err(told)
        .with_context(|| format!("cannot write the firmware's variable {}", write.name()))?;
    let there = fs::read(&file).with_context(|| format!("cannot read '{}'", file.display()))?;
    ensure!(
        there == content,
        "the firmware has not kept its variable {}",
        write.name()
    );
    Ok(())
}

/// What people can do about it.
fn told(error: io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull => {
            "the firmware has no room left; remove entries with efibootmgr, or in its own menu"
        }
        io::ErrorKind::ReadOnlyFilesystem => "efivarfs is mounted read-only",
        io::ErrorKind::PermissionDenied => {
            "only root may, and firmware can be locked by a password"
        }
        _ => return error.into(),
    };
    anyhow::Error::new(error).context(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_bootloader::firmware::{LoadOption, Program};

    fn option() -> LoadOption {
        let program = Program {
            number: 2,
            start: 4096,
            blocks: 100,
            guid: [7; 16],
            path: r"\EFI\BOOT\BOOTX64.EFI".to_owned(),
        };
        LoadOption::new("Cairn", program).unwrap()
    }

    #[test]
    fn variables_are_written_and_read() {
        let firmware = tempfile::tempdir().unwrap();
        let folder = firmware.path().join(VARIABLES);
        assert_eq!(read(&firmware.path().join("none")).unwrap(), None);
        fs::create_dir(&folder).unwrap();
        let told = read(firmware.path()).unwrap_err().to_string();
        assert!(
            told.contains("is empty; mount it: mount -t efivarfs"),
            "{told}"
        );

        fs::write(
            folder.join(format!("Boot0000{NAMESPACE}")),
            b"\x07\0\0\0other",
        )
        .unwrap();
        fs::write(
            folder.join(format!("BootOrder{NAMESPACE}")),
            b"\x07\0\0\0\0\0",
        )
        .unwrap();
        fs::write(
            folder.join("Boot0001-00000000-0000-0000-0000-000000000000"),
            b"",
        )
        .unwrap();
        let before = read(firmware.path()).unwrap().unwrap();
        for change in before.plan(&[option()]) {
            write(firmware.path(), &change).unwrap();
        }
        let after = read(firmware.path()).unwrap().unwrap();
        assert_eq!(after.order, [1, 0]);
        assert_eq!(after.options.get(&0).unwrap(), b"other");
        assert_eq!(
            LoadOption::parse(after.options.get(&1).unwrap()),
            Some(option())
        );
        assert_eq!(after.plan(&[option()]), []);
    }

    #[test]
    fn what_was_not_kept_is_told() {
        let firmware = tempfile::tempdir().unwrap();
        let folder = firmware.path().join(VARIABLES);
        fs::create_dir(&folder).unwrap();
        let order = Write::Order(vec![1, 2]);
        // Longer than what is written: a file, unlike a variable, keeps its end.
        fs::write(folder.join(format!("BootOrder{NAMESPACE}")), [0; 20]).unwrap();
        let told = write(firmware.path(), &order).unwrap_err().to_string();
        assert_eq!(told, "the firmware has not kept its variable BootOrder");
        fs::remove_dir_all(&folder).unwrap();
        let told = write(firmware.path(), &order).unwrap_err().to_string();
        assert_eq!(told, "cannot write the firmware's variable BootOrder");
    }
}
