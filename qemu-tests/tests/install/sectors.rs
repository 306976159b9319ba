//! An NVMe disk with sectors of 4096 bytes: its partitions have other names, and its tables another unit.

use anyhow::ensure;
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, guest};

use crate::installed;
use crate::medium::{ANSWERS, disks, give_answers, install_only, keep, live, power_off};

const NODE: &str = "/dev/nvme0n1";

fn nvme(machine: Blueprint, image: &std::path::Path) -> Blueprint {
    machine.any_disk(Disk {
        image: image.to_owned(),
        writes: Writes::Copied,
        bus: Bus::NvmeLargeSectors,
    })
}

#[test]
#[ignore = "long: cargo xtask torture install"]
fn a_disk_with_large_sectors_is_installed_and_boots() -> anyhow::Result<()> {
    let [target, _] = disks("sectors")?;
    let machine = nvme(live("install-sectors", Boot::Uefi, &[])?, &target).start()?;
    machine.check("the installation", |machine| {
        machine.agent().ready()?;
        give_answers(machine, "layout.swap-mib = 64\n")?;
        guest::run(
            machine,
            &format!("sed -i \"s|^disk = .*|disk = '{NODE}'|\" {ANSWERS}"),
        )?;
        install_only(machine)?;
        power_off(machine)
    })?;
    let disk = keep(&machine, 1, "sectors-installed")?;
    drop(machine);
    let machine = Blueprint::new("install-sectors-boots", Boot::Uefi)
        .memory_mib(1024)
        .deadline(std::time::Duration::from_mins(15));
    let machine = nvme(machine, &disk).start()?;
    machine.check("boot", |machine: &Machine| {
        installed::runs(machine, "installed", 1)?;
        installed::is_whole(machine)?;
        let sector = machine
            .agent()
            .succeed("cat /sys/block/nvme0n1/queue/logical_block_size")?;
        ensure!(sector.trim() == "4096", "{sector}");
        let (root, _) = installed::mounted(machine, "/")?;
        ensure!(root.starts_with(NODE), "the root is on {root}");
        installed::mounted(machine, "/boot/efi").map(drop)
    })?;
    machine.check("switch", |machine| installed::switches(machine, "changed"))
}
