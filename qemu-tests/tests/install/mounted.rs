//! `cairn install --root`, as experts do it, and under the name that they know.

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine, guest};

use crate::installed;
use crate::medium::{answers, disks, keep, live, power_off};

/// An MS-DOS table would do as well; this is what the NixOS manual has people type.
const DIVIDE: &str = "\
printf 'label: gpt\\nsize=1MiB,type=21686148-6449-6E6F-744E-656564454649\\n\
size=260MiB,type=U\\nsize=+\\n' | sfdisk -q /dev/vda
mkfs.vfat -F 32 -n ESP /dev/vda2 > /dev/null
mkfs.ext4 -q -L nixos /dev/vda3
mkdir -p /mnt && mount /dev/vda3 /mnt";

#[test]
#[ignore = "long: cargo xtask torture install"]
fn what_is_mounted_is_installed_on() -> anyhow::Result<()> {
    let [target, other] = disks("mounted")?;
    let machine = live("install-mounted", Boot::Bios, &[&target, &other])?.start()?;
    machine.agent().ready()?;
    machine.check("nothing is mounted", |machine| {
        refused(machine, "nixos-install --no-root-passwd", "'/mnt'")
    })?;
    machine.check("disk by hand", |machine| {
        guest::run(machine, DIVIDE).map(drop)
    })?;
    machine.check("no configuration", |machine| {
        refused(
            machine,
            "nixos-install --no-root-passwd",
            "there is no configuration",
        )
    })?;
    machine.check("what the configuration names is not mounted", |machine| {
        configure(machine)?;
        refused(
            machine,
            "nixos-install --no-root-passwd",
            "nothing is mounted on '/mnt/boot/efi'",
        )
    })?;
    machine.check("the installation", |machine| {
        guest::run(
            machine,
            "mkdir -p /mnt/boot/efi && mount /dev/vda2 /mnt/boot/efi",
        )?;
        let said = guest::run(machine, "nixos-install --no-root-passwd")?;
        ensure!(said.contains("generation 1"), "{said}");
        // The same again changes nothing.
        let said = guest::run(
            machine,
            "cairn install --root /mnt --no-root-password --json",
        )?;
        ensure!(said.contains("\"generation\":1"), "{said}");
        guest::run(machine, "umount /mnt/boot/efi /mnt").map(drop)
    })?;
    machine.check("power off", power_off)?;
    let disk = keep(&machine, 1, "mounted-installed")?;
    drop(machine);
    for (name, boot) in [("bios", Boot::Bios), ("uefi", Boot::Uefi)] {
        let machine =
            installed::machine(&format!("install-mounted-{name}"), boot, &disk).start()?;
        machine.check("boot", |machine| {
            installed::runs(machine, "installed", 1)?;
            installed::is_whole(machine)
        })?;
    }
    Ok(())
}

fn refused(machine: &Machine, command: &str, said: &str) -> anyhow::Result<()> {
    let output = guest::attempt(machine, command)?;
    ensure!(
        !output.success() && output.stderr.contains(said),
        "not '{said}', but {output:?}"
    );
    Ok(())
}

/// A configuration that somebody has written, with the medium's packages.
fn configure(machine: &Machine) -> anyhow::Result<()> {
    let answers = answers(machine, "")?;
    let extra = answers.split("'''").nth(1).unwrap_or_default();
    let text = format!(
        "{{ lib, pkgs, ... }}:\n{{\n\
         fileSystems.\"/\" = {{ device = \"/dev/disk/by-label/nixos\"; fsType = \"ext4\"; }};\n\
         fileSystems.\"/boot/efi\" = {{ device = \"LABEL=ESP\"; fsType = \"vfat\"; }};\n\
         {extra}}}\n"
    );
    guest::write(machine, "/mnt/etc/nixos/configuration.nix", text.as_bytes())
}
