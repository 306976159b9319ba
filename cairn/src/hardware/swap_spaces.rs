//! `/proc/swaps`, as a configuration says it.
//!
//! Source: `proc_swaps(5)`: a heading, then path, kind, size, use and priority.

use std::path::Path;

use super::block::Block;
use super::mount_table::unescaped;
use super::probe::Probe;
use super::read::{self, HardwareError};
use super::{Hardware, SwapSpace};

pub(super) fn add(
    machine: &Path,
    root: &Path,
    probe: &dyn Probe,
    hardware: &mut Hardware,
) -> Result<(), HardwareError> {
    let block = Block { machine, probe };
    let text = read::text(&machine.join("proc/swaps"))?.unwrap_or_default();
    for line in text.lines().skip(1) {
        let mut fields = line.split_whitespace();
        let (Some(path), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let path = unescaped(path);
        if kind == "file" {
            let below = Path::new(&path).strip_prefix(root).ok();
            let below = below.and_then(Path::to_str);
            hardware
                .swap_spaces
                .extend(below.map(|file| SwapSpace::Kept(format!("/{file}"))));
            continue;
        }
        // Memory that is compressed is set up at each boot.
        let name = match path.strip_prefix("/dev/") {
            Some(name) if name.starts_with("zram") => continue,
            Some(_) => block.name("", &path)?,
            None => None,
        };
        let Some(name) = name else {
            hardware.notes.push(format!(
                "The swap space '{path}' is left out: it is no device."
            ));
            continue;
        };
        if let Some(below) = block.below_plain(&name)? {
            block.descend(&below, hardware)?;
            let device = block.place(&below)?;
            hardware.swap_spaces.push(SwapSpace::Volatile(device));
            continue;
        }
        block.descend(&name, hardware)?;
        let path = block.path(&name)?;
        hardware.swap_spaces.push(SwapSpace::Kept(path));
    }
    hardware.swap_spaces.sort();
    Ok(())
}
