//! Modules that lead to disks and keyboards: what an initrd must have.

use std::collections::BTreeSet;
use std::path::Path;

use cairn_image_builder::drivers;

use super::kernel::Kernel;
use super::read::{self, HardwareError};

/// Beginnings of PCI classes: disks and their controllers, IEEE 1394, USB.
const PCI_CLASSES: [&str; 3] = ["0x01", "0x0c00", "0x0c03"];

/// Class, subclass and protocol of USB interfaces: disks, and keyboards that a BIOS knows.
const USB_INTERFACES: [&str; 2] = ["08", "03:01:01"];

pub(super) fn read(machine: &Path) -> Result<BTreeSet<String>, HardwareError> {
    let mut found = of_disks(machine)?;
    found.extend(of_controllers(machine)?);
    found.extend(of_usb(machine)?);
    Ok(found)
}

/// The drivers of all that a disk hangs on: of the disk itself, its bus, its controller.
fn of_disks(machine: &Path) -> Result<BTreeSet<String>, HardwareError> {
    let mut found = BTreeSet::new();
    let folder = machine.join("sys/class/block");
    let end = read::place(&machine.join("sys/devices"))?;
    for name in read::names(&folder)? {
        // What is made of other devices, or of memory, hangs on none.
        let Some(device) = read::place(&folder.join(name).join("device"))? else {
            continue;
        };
        for place in device.ancestors() {
            if Some(place) == end.as_deref() {
                break;
            }
            found.extend(module_of(place)?);
        }
    }
    Ok(found)
}

/// Those that have no disk yet as well, and that nobody drives yet.
fn of_controllers(machine: &Path) -> Result<BTreeSet<String>, HardwareError> {
    let mut found = BTreeSet::new();
    let folder = machine.join("sys/bus/pci/devices");
    for name in read::names(&folder)? {
        let device = folder.join(name);
        let class = read::text(&device.join("class"))?.unwrap_or_default();
        if !PCI_CLASSES.iter().any(|prefix| class.starts_with(prefix)) {
            continue;
        }
        if device.join("driver").exists() {
            found.extend(module_of(&device)?);
        } else if let Some(alias) = read::text(&device.join("modalias"))? {
            found.extend(drivers(&Kernel::of(machine)?.aliases, &alias));
        }
    }
    Ok(found)
}

fn of_usb(machine: &Path) -> Result<BTreeSet<String>, HardwareError> {
    let mut found = BTreeSet::new();
    let folder = machine.join("sys/bus/usb/devices");
    for name in read::names(&folder)? {
        let interface = folder.join(name);
        let field = |name| Ok(read::text(&interface.join(name))?.unwrap_or_default());
        let kind = [
            field("bInterfaceClass")?,
            field("bInterfaceSubClass")?,
            field("bInterfaceProtocol")?,
        ]
        .join(":");
        if USB_INTERFACES.iter().any(|prefix| kind.starts_with(prefix)) {
            found.extend(module_of(&interface)?);
        }
    }
    Ok(found)
}

/// The module of a device's driver; none if the kernel has the driver built in.
fn module_of(device: &Path) -> Result<Option<String>, HardwareError> {
    read::link_name(&device.join("driver/module"))
}
