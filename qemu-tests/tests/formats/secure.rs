//! Secure Boot: firmware with Microsoft's keys alone starts Debian's programs, and nothing else.

use anyhow::ensure;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Boot, Bus, Machine};

use super::{image, machine, runs};

fn signed(format: &str) -> anyhow::Result<Built> {
    let file = images::with_agent("secure")?;
    images::build_image(format, "secure", &file, &images::options()?)
}

fn boots(name: &str, built: &Built, bus: Bus) -> anyhow::Result<()> {
    let machine = machine(name, Boot::SecureUefi, bus, &built.image).memory_mib(1024);
    let machine = machine.start()?;
    runs(&machine, built)?;
    machine.check("Secure Boot", |machine: &Machine| {
        let agent = machine.agent();
        let log = agent.succeed("dmesg")?;
        ensure!(log.contains("Secure boot enabled"), "{log}");
        let lockdown = agent.succeed("cat /sys/kernel/security/lockdown || true")?;
        ensure!(
            lockdown.is_empty() || !lockdown.contains("[none]"),
            "{lockdown}"
        );
        Ok(())
    })
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn secure_boot_starts_a_disk() -> anyhow::Result<()> {
    boots("secure-disk", &signed("disk")?, Bus::VirtioBlk)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn secure_boot_starts_a_disc() -> anyhow::Result<()> {
    boots("secure-disc", &signed("iso")?, Bus::Disc)
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn secure_boot_starts_a_stick() -> anyhow::Result<()> {
    boots("secure-stick", &signed("iso")?, Bus::Usb)
}

/// What has our own GRUB is refused.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn secure_boot_does_not_start_what_is_not_signed() -> anyhow::Result<()> {
    let built = image("disk")?;
    let machine = machine("secure-not", Boot::SecureUefi, Bus::VirtioBlk, &built.image).start()?;
    machine.check("refused", |machine| {
        machine.console().wait_for("Access Denied").map(drop)
    })
}
