//! Firmware that drivers load into devices, and that this system does not have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cairn_image_builder::{drivers, firmware_of};

use super::kernel::Kernel;
use super::read::{self, HardwareError};

/// Buses whose devices take firmware.
const BUSES: [&str; 3] = ["pci", "usb", "sdio"];

/// Where firmware is: of a Cairn machine, and of others.
const FOLDERS: [&str; 2] = ["run/booted-system/firmware", "lib/firmware"];

/// Drivers that can ask for firmware none of which is here. A driver names the files of all devices
/// that it knows, so that one of them is enough.
pub(super) fn missing(machine: &Path) -> Result<BTreeSet<String>, HardwareError> {
    let kernel = Kernel::of(machine)?;
    let mut modules = BTreeSet::new();
    for bus in BUSES {
        let folder = machine.join("sys/bus").join(bus).join("devices");
        for name in read::names(&folder)? {
            let device = folder.join(name);
            if let Some(module) = read::link_name(&device.join("driver/module"))? {
                modules.insert(module);
            } else if let Some(alias) = read::text(&device.join("modalias"))? {
                modules.extend(drivers(&kernel.aliases, &alias));
            }
        }
    }
    let mut missing = BTreeSet::new();
    for module in modules {
        let Some(file) = kernel.file(&module) else {
            continue;
        };
        let wanted = match firmware_of(&file) {
            Ok(wanted) => wanted,
            Err(error) => {
                // What is told is a hint; the machine is described without it.
                log::warn!("it is not known which firmware {module} needs: {error}");
                continue;
            }
        };
        if !wanted.is_empty() && !wanted.iter().any(|name| is_there(machine, name)) {
            missing.insert(module);
        }
    }
    Ok(missing)
}

fn is_there(machine: &Path, name: &str) -> bool {
    FOLDERS.iter().any(|folder| {
        ["", ".xz", ".zst"].iter().any(|suffix| {
            let file: PathBuf = machine.join(folder).join(format!("{name}{suffix}"));
            file.exists()
        })
    })
}
