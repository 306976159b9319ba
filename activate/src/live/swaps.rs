//! Which swap spaces are taken into use, and which not any more.

use cairn_system::{Device, SwapDevice, SystemDescription};

use super::{LiveChanges, LiveStep, Running};

pub(super) fn plan(
    before: &[SystemDescription],
    after: &SystemDescription,
    running: &Running,
    changes: &mut LiveChanges,
) {
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for new in &after.swap_devices {
        let was_described = |before: &SystemDescription| before.swap_devices.contains(new);
        if !before.is_empty() && before.iter().all(was_described) {
            continue;
        }
        let others = old_devices(before).filter(|old| old.device == new.device && *old != new);
        match others.into_iter().next() {
            // Its options are read when swapping begins: off first.
            Some(old) => {
                changes.first.push(LiveStep::SwapOff(old.clone()));
                changes.first.push(LiveStep::SwapOn(new.clone()));
            }
            None if is_surely_used(new, running) => {}
            None => on.push(LiveStep::SwapOn(new.clone())),
        }
    }
    for old in old_devices(before) {
        let is_gone = after
            .swap_devices
            .iter()
            .all(|new| new.device != old.device);
        let step = LiveStep::SwapOff(old.clone());
        if is_gone && !is_surely_unused(old, running) && !off.contains(&step) {
            off.push(step);
        }
    }
    changes.first.extend(on);
    changes.first.extend(off);
}

fn old_devices(before: &[SystemDescription]) -> impl Iterator<Item = &SwapDevice> {
    before.iter().flat_map(|before| &before.swap_devices)
}

/// The kernel knows swap spaces by their path: of a label it is not sure before it is looked for.
fn is_surely_used(swap: &SwapDevice, running: &Running) -> bool {
    matches!(&swap.device, Device::Path(path) if running.is_swap(path))
}

fn is_surely_unused(swap: &SwapDevice, running: &Running) -> bool {
    matches!(&swap.device, Device::Path(path)
        if !path.starts_with("/dev/") && !running.is_swap(path))
}
