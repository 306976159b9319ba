//! What the machine does while its disk is recorded.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::guest;
use cairn_qemu_tests::power_cut::recording::{Recorder, Recording};
use cairn_qemu_tests::{Boot, Bus, Disk, Machine, Writes};

use crate::arguments::Length;

/// An emulated machine that evaluates and builds several times.
const DEADLINE: Duration = Duration::from_mins(30);

/// For the machine to sync and power off.
const POWER_OFF: Duration = Duration::from_mins(1);

/// A command of the operator, with the configuration that is there before.
struct Act {
    name: &'static str,
    change: Option<&'static str>,
    deed: Deed,
}

/// What is done.
enum Deed {
    /// A command of the operator.
    Command(&'static str),
    /// A restart: GRUB counts the try, and the generation is found to be good.
    Reboot,
}

/// Waits for the assessment, which removes the trial from the boot state.
const GOOD: &str = "until grep -q '^cairn_good=3$' /boot/grub/grubenv; do sleep 1; done";

/// The new generation has another initrd, so `/boot` gets a file; a user, so the database changes;
/// a service and a file in `/etc`.
const SWITCH: Act = Act {
    name: "cairn switch",
    change: Some(
        r#"{
          system.nixos.label = "second";
          environment.etc."news".text = "second";
          boot.initrd.kernelModules = [ "loop" ];
          users.users.alice = { isNormalUser = true; uid = 1000; };
          system.services.greeter = {
            process.argv = [ "${pkgs.coreutils}/bin/sleep" "infinity" ];
          };
        }"#,
    ),
    deed: Deed::Command("cairn switch"),
};

const MORE: [Act; 4] = [
    Act {
        name: "cairn rollback",
        change: None,
        deed: Deed::Command("cairn rollback"),
    },
    Act {
        name: "cairn boot",
        change: Some(
            r#"{
              system.nixos.label = "third";
              environment.etc."news".text = "third";
              users.users.bob = { isNormalUser = true; uid = 1001; };
            }"#,
        ),
        deed: Deed::Command("cairn boot"),
    },
    Act {
        name: "reboot, and be good",
        change: None,
        deed: Deed::Reboot,
    },
    Act {
        name: "delete and collect",
        change: None,
        deed: Deed::Command("cairn delete-generations 2 && cairn gc"),
    },
];

/// Boots the machine of generations, has it do everything, and powers it off.
pub fn record(length: Length, folder: &Path) -> anyhow::Result<Recording> {
    let image = folder.join("image.img");
    keep(&guest::built()?.image, &image)?;
    let machine = guest::blueprint("torture-machine", Boot::Bios)?
        .deadline(DEADLINE)
        .without_disks()
        .any_disk(Disk {
            image: image.clone(),
            writes: Writes::Recorded,
            bus: Bus::VirtioBlk,
        })
        .start()?;
    machine.check("boot", guest::up)?;
    machine.check("its configuration", guest::give_configuration)?;
    let mut recorder = Recorder::new(&machine)?;
    let more: &[Act] = match length {
        Length::Short => &[],
        Length::Long => &MORE,
    };
    for act in [&SWITCH].into_iter().chain(more) {
        if let Some(change) = act.change {
            guest::configure(&machine, change)?;
        }
        recorder.step(act.name, |machine| match act.deed {
            Deed::Command(script) => run(machine, script),
            Deed::Reboot => reboot(machine),
        })?;
    }
    machine.press_power_button()?;
    machine.wait_for_power_off(POWER_OFF)?;
    recorder.finish(&image, folder)
}

/// Another name for the image: the cache may drop it while it is still needed.
fn keep(built: &Path, image: &Path) -> anyhow::Result<()> {
    if fs::hard_link(built, image).is_ok() {
        return Ok(());
    }
    // The cache is on another file system, or one without hard links.
    copy_sparsely(built, image)
}

/// Until the generation that was on trial is found to be good.
fn reboot(machine: &Machine) -> anyhow::Result<()> {
    let agent = machine.agent();
    let boot = agent.ready()?;
    // It may be gone before it could say that it goes.
    drop(agent.run("cairn reboot"));
    agent.ready_after(&boot)?;
    guest::run(machine, GOOD).map(drop)
}

fn run(machine: &Machine, script: &str) -> anyhow::Result<()> {
    let said = guest::run(machine, script)?;
    eprint!("{said}");
    Ok(())
}
