//! The live medium's way from power to the prompt, against that of the same machine's disk.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use cairn_qemu_tests::images::{self, BuildOptions};
use cairn_qemu_tests::timeline::Milestone;
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Writes};

use crate::{ROUNDS, Times, header, report};

/// The disk may take so much less.
const GOAL: f64 = 1.3;

pub(crate) fn measure(options: &BuildOptions) -> anyhow::Result<()> {
    let file = images::with_agent("formats")?;
    let built = |format| images::build_image(format, "formats", &file, options);
    let (medium, raw) = (built("iso")?.image, built("disk")?.image);
    header("live medium's boot");
    for (firmware, boot) in [("BIOS", Boot::Bios), ("UEFI", Boot::Uefi)] {
        let [mut disc, mut stick, mut peer]: [Times; 3] = Default::default();
        for _ in 0..ROUNDS {
            for (times, image, bus) in [
                (&mut disc, &medium, Bus::Disc),
                (&mut stick, &medium, Bus::Usb),
                (&mut peer, &raw, Bus::Ahci),
            ] {
                times.0.push(power_to_prompt(image, boot.clone(), bus)?);
            }
        }
        for (what, times) in [("disc", &disc), ("stick", &stick)] {
            let what = format!("{what} to prompt, {firmware}");
            report(&what, times, ("the disk", &peer), GOAL);
        }
    }
    Ok(())
}

/// From power to the prompt of the serial console.
fn power_to_prompt(image: &Path, boot: Boot, bus: Bus) -> anyhow::Result<Duration> {
    let machine = Blueprint::new("bench-media", boot)
        .any_disk(Disk {
            image: image.to_owned(),
            writes: Writes::Discarded,
            bus,
        })
        .memory_mib(1024)
        .deadline(Duration::from_mins(12))
        .start()?;
    machine.check("boot to the prompt", |machine| {
        machine.console().wait_for("login: ")
    })?;
    machine
        .timeline()
        .at(Milestone::Login)
        .context("the prompt has no time")
}
