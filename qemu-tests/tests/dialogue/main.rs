//! The dialogue of `cairn install`, typed on the serial port of a machine that was started from the
//! installation medium and has no network; then the machine that it has made. Both are long, and
//! run by `cargo xtask torture media`.

#![forbid(unsafe_code)]
#![cfg(test)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::shell::Shell;
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts};

/// The disk that is installed to.
const DISK_BYTES: u64 = 6 << 30;

const PASSPHRASE: &str = "open sesame 42";
const ROOT_PASSWORD: &str = "root's word";

/// The medium, built once.
fn medium() -> anyhow::Result<&'static Built> {
    static BUILT: OnceLock<Built> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations/medium.nix");
    let built = images::build_image("iso", "medium", &file, &images::options()?)?;
    Ok(BUILT.get_or_init(|| built))
}

/// What is waited for, and what is typed then.
type Line<'a> = (&'a str, &'a str);

/// Installs with what is typed, and gives the disk.
fn install(name: &str, boot: Boot, lines: &[Line<'_>]) -> anyhow::Result<Machine> {
    let blank = artefacts::root()?.join(format!("{name}.img"));
    File::create(&blank)
        .and_then(|file| file.set_len(DISK_BYTES))
        .with_context(|| format!("cannot create {}", blank.display()))?;
    let disk = |image: PathBuf, writes, bus| Disk { image, writes, bus };
    let machine = Blueprint::new(name, boot)
        .any_disk(disk(medium()?.image.clone(), Writes::Discarded, Bus::Disc))
        .any_disk(disk(blank.clone(), Writes::Copied, Bus::VirtioBlk))
        .memory_mib(2048)
        .processors(2)
        .deadline(Duration::from_mins(30))
        .start()?;
    fs::remove_file(&blank).with_context(|| format!("cannot remove {}", blank.display()))?;
    machine.check("dialogue", |machine| {
        let console = machine.console();
        console.expect("cairn install")?;
        console.expect("# ")?;
        console.send_line("cairn install")?;
        for (question, answer) in lines {
            console.expect(question)?;
            console.send_line(answer)?;
        }
        let (which, text) = console.expect_any(
            &["boots as generation 1", "cairn: cannot", "! "],
            Duration::from_mins(25),
        )?;
        ensure!(which == 0, "it was refused:\n{text}");
        console.send_line("cairn poweroff")?;
        machine.wait_for_power_off(Duration::from_mins(2))
    })?;
    Ok(machine)
}

/// The machine that was installed.
fn installed(name: &str, boot: Boot, machine: &Machine) -> anyhow::Result<Machine> {
    let image = machine.disk(1).context("the machine has no second disk")?;
    Blueprint::new(name, boot)
        .any_disk(Disk {
            image: image.to_owned(),
            writes: Writes::Discarded,
            bus: Bus::VirtioBlk,
        })
        .memory_mib(1024)
        .deadline(Duration::from_mins(10))
        .start()
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_plain_machine_with_bios() -> anyhow::Result<()> {
    let made = install(
        "installer-plain",
        Boot::Bios,
        &[
            ("Keyboard [us]: ", "de-latin1"),
            ("Disk [1]: ", ""),
            ("File system [ext4]: ", ""),
            ("Encrypt [no]: ", ""),
            ("Swap space [", "0"),
            ("machine [cairn]: ", "plain"),
            ("Time zone [UTC]: ", "berlin"),
            ("Language [C.UTF-8]: ", ""),
            ("Login name [-]: ", "anna"),
            ("Password of anna: ", "anna's word"),
            ("The password again: ", "anna's word"),
            ("SSH key [-]: ", ""),
            ("Password of root [none]: ", ROOT_PASSWORD),
            ("The password again: ", ROOT_PASSWORD),
            ("SSH [no]: ", "yes"),
            ("type the disk's name, vda: ", "vda"),
        ],
    )?;
    let machine = installed("installer-plain-boot", Boot::Bios, &made)?;
    machine.check("installed machine", |machine| {
        let shell = Shell::login(machine.console(), ROOT_PASSWORD)?;
        ensure!(shell.succeed("hostname")? == "plain");
        let zone = shell.succeed("readlink -f /etc/localtime")?;
        ensure!(zone.ends_with("/Europe/Berlin"), "{zone}");
        shell.succeed("id anna && test -s /etc/nixos/hardware-configuration.nix")?;
        shell.succeed("cairn status sshd")?;
        // It is what its configuration says, and needs no network to find that out.
        shell.succeed(
            "cairn build -c /etc/nixos/configuration.nix --locked --no-link > /run/built",
        )?;
        shell.succeed("test \"$(cat /run/built)\" = \"$(readlink -f /run/current-system)\"")?;
        Ok(())
    })
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn an_encrypted_machine_with_uefi() -> anyhow::Result<()> {
    let made = install(
        "installer-encrypted",
        Boot::Uefi,
        &[
            ("Keyboard [us]: ", ""),
            ("Disk [1]: ", "vda"),
            ("File system [ext4]: ", "btrfs"),
            ("Encrypt [no]: ", "yes"),
            ("Passphrase: ", PASSPHRASE),
            ("again: ", PASSPHRASE),
            ("Swap space [", "512M"),
            ("machine [cairn]: ", "vault"),
            ("Time zone [UTC]: ", ""),
            ("Language [C.UTF-8]: ", "de_DE"),
            ("Login name [-]: ", ""),
            ("Password of root: ", ROOT_PASSWORD),
            ("The password again: ", ROOT_PASSWORD),
            ("SSH [no]: ", ""),
            ("type the disk's name, vda: ", "vda"),
        ],
    )?;
    let machine = installed("installer-encrypted-boot", Boot::Uefi, &made)?;
    machine.check("installed machine", |machine| {
        machine.console().expect("assphrase")?;
        machine.console().send_line(PASSPHRASE)?;
        let shell = Shell::login(machine.console(), ROOT_PASSWORD)?;
        ensure!(shell.succeed("hostname")? == "vault");
        ensure!(shell.succeed("stat -f -c %T /")? == "btrfs");
        ensure!(shell.succeed("wc -l < /proc/swaps")? == "2");
        ensure!(shell.succeed("echo $LANG")? == "de_DE.UTF-8");
        Ok(())
    })
}
