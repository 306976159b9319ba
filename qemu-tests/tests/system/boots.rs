//! How a machine comes up, or says why it does not.

use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::images::{ROOT_LABEL, ROOT_PASSWORD};
use cairn_qemu_tests::shell::Shell;
use cairn_qemu_tests::timeline::Milestone;
use cairn_qemu_tests::{Boot, images};
use cairn_system::boot_mark;

use crate::{blueprint, built, look};

#[test]
fn bios_boot_passes_all_milestones_in_order() -> anyhow::Result<()> {
    look("milestones", |machine| {
        machine.console().wait_for("login: ")?;
        let timeline = machine.timeline();
        let order = [
            Milestone::PowerOn,
            Milestone::Kernel,
            Milestone::Stage1,
            Milestone::Stage2,
            Milestone::Services,
            Milestone::BootDone,
        ];
        for pair in order.windows(2) {
            ensure!(
                timeline.between(pair[0], pair[1]).is_some(),
                "{:?} does not come before {:?}:\n{timeline}",
                pair[0],
                pair[1]
            );
        }
        let tail = machine.console().tail(400);
        ensure!(
            tail.contains(&format!("{}0", boot_mark::BOOT_DONE)),
            "a service failed:\n{tail}"
        );
        Ok(())
    })
}

#[test]
fn login_on_the_serial_console() -> anyhow::Result<()> {
    look("login", |machine| {
        let shell = Shell::login(machine.console(), ROOT_PASSWORD)?;
        ensure!(shell.succeed("tty")?.contains("/dev/ttyS0"));
        ensure!(shell.succeed("echo $HOME")?.contains("/root"));
        ensure!(shell.run("false")?.0 == 1);
        ensure!(
            shell
                .succeed("kill -0 $$ && jobs && echo job control")?
                .contains("job control")
        );
        Ok(())
    })
}

#[test]
fn login_on_the_screen() -> anyhow::Result<()> {
    look("screen", |machine| {
        // The text of tty1 as the kernel has it; the picture is for people.
        let wait =
            "for i in $(seq 100); do grep -q 'login:' /dev/vcs1 && exit 0; sleep 0.1; done; exit 1";
        machine.agent().succeed(wait)?;
        machine.screenshot().map(drop)
    })
}

#[test]
fn a_missing_root_device_ends_in_a_report() -> anyhow::Result<()> {
    let options = images::options()?;
    let kernel = images::direct_kernel(&options, built()?, "root=LABEL=nonexistent")?;
    let machine = blueprint("missing_root", Boot::Direct(kernel))?.start()?;
    machine.check("report", |machine| {
        machine.console().wait_for(boot_mark::STAGE_1_STARTED)?;
        machine.console().expect("nonexistent")?;
        // What was seen instead: the disk that does exist.
        machine.console().wait_for(ROOT_LABEL)?;
        // The report offers no shell here, so that the machine reboots in the end.
        machine
            .qmp()
            .wait_event("RESET", Duration::from_mins(2))
            .map(drop)
    })
}
