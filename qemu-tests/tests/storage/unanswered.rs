//! A disk that answers nobody any more, when the machine goes down.

use std::time::Duration;

use cairn_qemu_tests::images;
use cairn_qemu_tests::{Blueprint, Boot, HUNG_DISK};
use cairn_system::boot_mark;

use crate::{FURTHER, built, up};

/// A watchdog of hardware resets a machine whose end takes too long. The kernels for clouds have no driver of one.
#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_watchdog_resets_a_machine_that_does_not_go_down() -> anyhow::Result<()> {
    let system = built(FURTHER)?;
    let kernel = images::direct_kernel(&images::options()?, &system, "")?;
    let machine = Blueprint::new("storage-unanswered", Boot::Direct(kernel))
        .disk(&system.image)
        .memory_mib(768)
        .watchdog()
        .deadline(Duration::from_mins(6))
        .start()?;
    machine.check("a reset in place of a power off", |machine| {
        up(machine)?;
        let agent = machine.agent();
        // As the service `watchdog` is.
        agent.start("exec /run/cairn/generation/watchdog 60 20")?;
        agent.succeed(
            "until grep -qx active $(grep -lx 'i6300ESB timer' /sys/class/watchdog/*/identity | \
             sed 's/identity$/state/'); do sleep 0.2; done",
        )?;
        agent.succeed(HUNG_DISK)?;
        agent.start("cairn poweroff")?;
        machine
            .console()
            .wait_for("cairn: unmounting /run/hung takes long")?;
        machine
            .qmp()
            .wait_event("WATCHDOG", Duration::from_mins(1))?;
        machine.console().wait_for(boot_mark::STAGE_1_STARTED)
    })
}
