//! Network interfaces that are devices: what programs make, such as bridges, is not hardware.

use std::path::Path;

use super::read::{self, HardwareError};

pub(super) fn read(machine: &Path) -> Result<Vec<String>, HardwareError> {
    let folder = machine.join("sys/class/net");
    let names = read::names(&folder)?.into_iter();
    Ok(names
        .filter(|name| folder.join(name).join("device").exists())
        .collect())
}
