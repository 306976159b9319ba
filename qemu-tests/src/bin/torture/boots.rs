//! A sample of the cuts, really booted.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::power_cut::cut::{Cut, Medium};
use cairn_qemu_tests::power_cut::disk::Disk;
use cairn_qemu_tests::power_cut::judge::State;
use cairn_qemu_tests::power_cut::recording::Recording;
use cairn_qemu_tests::power_cut::working_copy::WorkingCopy;
use cairn_qemu_tests::{Blueprint, Boot, Machine, guest};

use crate::arguments::Arguments;
use crate::ordeal::Outcome;

/// A boot under emulation, on a busy machine.
const DEADLINE: Duration = Duration::from_mins(4);

/// Boots some of the cuts; gives how many do not come up as they should.
pub fn boot(
    recording: &Recording,
    outcome: &Outcome,
    arguments: &Arguments,
    folder: &Path,
) -> anyhow::Result<usize> {
    let sample = sample(&outcome.bootable, arguments.boots);
    if sample.is_empty() {
        return Ok(0);
    }
    let all = 0..recording.length()?;
    let mut copy = WorkingCopy::create(&recording.image, all, folder.join("disk.img"))?;
    let mut medium = Medium::new(&recording.log, arguments.physical());
    let mut failed = 0;
    for (index, (cut, state)) in sample.into_iter().enumerate() {
        let (sure, rest) = medium.cut(cut);
        let disk = Disk::new(&recording.image, &recording.content, vec![sure, &rest]);
        copy.set(&disk)?;
        let firmware = if index % 2 == 0 {
            Boot::Bios
        } else {
            Boot::Uefi
        };
        match comes_up(copy.path(), index, firmware, state) {
            Ok(()) => println!("boot {index}: {cut}: {} is up", state.boots.toplevel),
            Err(error) => {
                println!("boot {index}: {cut}: FAILED: {error:#}");
                failed += 1;
            }
        }
    }
    Ok(failed)
}

/// So many, evenly from first to last: recordings are in their order.
fn sample(bootable: &[(Cut, State)], count: usize) -> Vec<&(Cut, State)> {
    let last = bootable.len().saturating_sub(1);
    let steps = count.saturating_sub(1).max(1);
    let mut places: Vec<usize> = (0..count).map(|index| index * last / steps).collect();
    places.dedup();
    places
        .into_iter()
        .filter_map(|place| bootable.get(place))
        .collect()
}

/// Boots a disk; nobody presses a key.
fn comes_up(disk: &Path, index: usize, firmware: Boot, state: &State) -> anyhow::Result<()> {
    let machine = Blueprint::new(&format!("torture-boot-{index}"), firmware)
        .disk(disk)
        .memory_mib(1024)
        .deadline(DEADLINE)
        .start()?;
    machine.check("boot after the cut", |machine| is_up(machine, state))
}

/// All services are up, and the system is the one that was to boot; its closure is readable, the
/// database open, root's shell works.
fn is_up(machine: &Machine, state: &State) -> anyhow::Result<()> {
    guest::up(machine)?;
    let agent = machine.agent();
    for link in ["/run/booted-system", "/run/current-system"] {
        let target = agent.succeed(&format!("readlink -f {link}"))?;
        ensure!(target == state.boots.toplevel, "{link} is {target}");
    }
    let failed = agent.succeed("cairn status --json || true")?;
    ensure!(
        !failed.contains("\"failed\""),
        "a service has failed: {failed}"
    );
    agent.succeed("cairn generations")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cairn_qemu_tests::power_cut::cut::Survivors;
    use cairn_qemu_tests::power_cut::judge::menu::MenuEntry;

    use super::*;

    #[test]
    fn samples_have_both_ends() {
        let state = State {
            boots: MenuEntry {
                id: "1".parse().unwrap(),
                on_trial: false,
                kernel: String::new(),
                initrd: None,
                toplevel: String::new(),
            },
            good: String::new(),
            profile: (String::new(), String::new()),
            etc: String::new(),
            accounts: BTreeMap::new(),
        };
        let cut = |after| Cut {
            after,
            survivors: Survivors::All,
        };
        let all: Vec<_> = (0..10).map(|after| (cut(after), state.clone())).collect();
        let places = |count| -> Vec<usize> {
            let sample = sample(&all, count);
            sample.iter().map(|(cut, _)| cut.after).collect()
        };
        assert_eq!(places(4), [0, 3, 6, 9]);
        assert_eq!(places(20), (0..10).collect::<Vec<_>>());
        assert_eq!(places(1), [0]);
        assert!(sample(&[], 4).is_empty());
    }
}
