//! A machine that boots nothing but what its owner has signed, and reads nothing else from its store. The
//! owner's keys are those that Debian's OVMF has for tests, enrolled in variables of its own. All of it takes
//! long, and is run by `cargo xtask torture media`.

mod keys;
mod program;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::disk::copy_sparsely;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts, live};

use keys::Keys;

/// What is looked for in an image.
const CHUNK: usize = 4096;

/// The image of a machine with its root in memory.
fn built() -> anyhow::Result<Built> {
    let options = images::options()?;
    images::build_image("disk", "strict", &configuration("strict")?, &options)
}

/// The configuration, by a name of its own for each root.
fn configuration(name: &str) -> anyhow::Result<PathBuf> {
    let keys = Keys::of_owner()?;
    let ballast = ballast()?;
    images::with_agent_and(
        name,
        &[
            ("privateKey", &keys.private),
            ("certificate", &keys.certificate),
            ("ballast", &ballast),
        ],
    )
}

/// A file that no compression makes smaller: it is in the image as it is.
fn ballast() -> anyhow::Result<PathBuf> {
    let mut bytes = vec![0; 256 << 10];
    blake3::Hasher::new()
        .update(b"ballast")
        .finalize_xof()
        .fill(&mut bytes);
    let file = artefacts::root()?.join("strict-ballast");
    if fs::read(&file).ok().as_ref() != Some(&bytes) {
        fs::write(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(file)
}

fn machine(name: &str, boot: Boot, image: &Path, writes: Writes) -> Blueprint {
    Blueprint::new(name, boot)
        .any_disk(Disk {
            image: image.to_owned(),
            writes,
            bus: Bus::VirtioBlk,
        })
        .memory_mib(1024)
        .deadline(Duration::from_mins(12))
}

/// An image with other bytes somewhere; gone when it is dropped.
struct Changed(PathBuf);

impl Changed {
    /// The image with the byte at this place inverted.
    fn at(name: &str, image: &Path, place: u64) -> anyhow::Result<Self> {
        let copy = Self(artefacts::root()?.join(format!("{name}.img")));
        copy_sparsely(image, &copy.0)?;
        let file = File::options().read(true).write(true).open(&copy.0)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, place)?;
        file.write_all_at(&[!byte[0]], place)?;
        Ok(copy)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Where in the image the bytes of `chunk` are, which begin at a multiple of `step`.
fn find(image: &Path, chunk: &[u8], step: u64) -> anyhow::Result<u64> {
    let file = File::open(image)?;
    let size = file.metadata()?.len();
    let mut place = 0;
    let mut window = vec![0; 1 << 20];
    while place < size {
        let read = file.read_at(&mut window, place)?;
        let found = position(window.get(..read).unwrap_or_default(), chunk);
        if let Some(at) = found.map(|at| place + at as u64) {
            ensure!(at.is_multiple_of(step), "found at {at}");
            return Ok(at);
        }
        place += (read.saturating_sub(chunk.len()) as u64).max(1);
    }
    anyhow::bail!("{} has no such bytes", image.display())
}

fn position(window: &[u8], chunk: &[u8]) -> Option<usize> {
    let first = *chunk.first()?;
    let mut at = 0;
    loop {
        at += window.get(at..)?.iter().position(|byte| *byte == first)?;
        if window.get(at..at + chunk.len())? == chunk {
            return Some(at);
        }
        at += 1;
    }
}

/// It is verified from the firmware to the last block of the store.
fn is_strict(machine: &Machine, built: &Built) -> anyhow::Result<()> {
    let agent = machine.agent();
    live::runs(agent, &built.toplevel)?;
    let log = agent.succeed("dmesg")?;
    ensure!(log.contains("Secure boot enabled"), "{log}");
    let mounts = agent.succeed("cat /proc/mounts")?;
    let store = mounts
        .lines()
        .find(|line| line.contains(" /nix/store squashfs ro"));
    let store = store.context("the store is not mounted")?;
    ensure!(store.starts_with("/dev/dm-"), "{store}");
    let target = agent.succeed("cat /sys/block/dm-0/dm/name /sys/block/dm-0/ro")?;
    ensure!(target == "nix-store\n1", "{target}");
    let written = agent.run("touch /nix/store/x")?;
    ensure!(!written.success(), "the store is writable");
    // Every block, its hash with it.
    let read = agent.run_within("cat /dev/dm-0 > /dev/null", Duration::from_mins(8))?;
    ensure!(read.success(), "a block cannot be read: {read:?}");
    Ok(())
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn the_owners_machine_starts() -> anyhow::Result<()> {
    let built = built()?;
    let machine = machine("strict", Boot::OwnedUefi, &built.image, Writes::Discarded).start()?;
    machine.check("strict", |machine| {
        is_strict(machine, &built)?;
        let root = machine.agent().succeed("grep ' / ' /proc/mounts")?;
        ensure!(root.contains(" / tmpfs "), "{root}");
        Ok(())
    })
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn what_it_writes_is_kept_where_the_root_is_on_the_disk() -> anyhow::Result<()> {
    let file = configuration("strict-state")?;
    let built = images::build_image("disk", "strict-state", &file, &images::options()?)?;
    let machine = machine(
        "strict-state",
        Boot::OwnedUefi,
        &built.image,
        Writes::Copied,
    );
    let machine = machine.start()?;
    machine.check("first boot", |machine| {
        is_strict(machine, &built)?;
        machine
            .agent()
            .succeed("echo kept > /var/lib/note && sync")?;
        Ok(())
    })?;
    let boot = machine.agent().ready()?;
    machine.press_reset_button()?;
    machine.check("second boot", |machine| {
        machine.ready_after(&boot)?;
        is_strict(machine, &built)?;
        let note = machine.agent().succeed("cat /var/lib/note")?;
        ensure!(note == "kept", "{note}");
        Ok(())
    })
}

/// Firmware that trusts somebody else alone.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn other_firmware_refuses_it() -> anyhow::Result<()> {
    let built = built()?;
    is_refused("strict-other", Boot::SecureUefi, &built.image)
}

/// A byte of the initrd is another: the signature is no longer right.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_changed_program_is_refused() -> anyhow::Result<()> {
    let built = built()?;
    let place = program::place_in_initrd(&built)?;
    let changed = Changed::at("strict-changed", &built.image, place)?;
    is_refused("strict-changed", Boot::OwnedUefi, &changed.0)
}

/// Somebody has signed the same program with a key that the firmware does not know.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_strangers_signature_is_refused() -> anyhow::Result<()> {
    let built = built()?;
    let changed = program::signed_by_a_stranger(&built)?;
    is_refused("strict-stranger", Boot::OwnedUefi, &changed.0)
}

fn is_refused(name: &str, boot: Boot, image: &Path) -> anyhow::Result<()> {
    let machine = machine(name, boot, image, Writes::Discarded).start()?;
    machine.check("refused", |machine| {
        machine.console().wait_for("Access Denied").map(drop)
    })
}

/// A byte of a file of the store is another: the file cannot be read, and the kernel says why.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn a_changed_block_is_detected() -> anyhow::Result<()> {
    let built = built()?;
    let bytes = fs::read(ballast()?)?;
    let place = find(&built.image, &bytes[..CHUNK], 1)?;
    let changed = Changed::at("strict-block", &built.image, place + 100_000)?;
    let machine = machine(
        "strict-block",
        Boot::OwnedUefi,
        &changed.0,
        Writes::Discarded,
    );
    let machine = machine.start()?;
    machine.check("detected", |machine| {
        let agent = machine.agent();
        live::runs(agent, &built.toplevel)?;
        let read = agent.run("cat /etc/ballast > /dev/null")?;
        ensure!(!read.success(), "the changed file could be read");
        machine.console().wait_for(" is corrupted")?;
        let log = agent.succeed("dmesg | grep 'device-mapper: verity: '")?;
        ensure!(log.contains("data block"), "{log}");
        Ok(())
    })
}

/// The first block of the store is another: it is not mounted, and stage 1 says why.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn another_store_is_not_mounted() -> anyhow::Result<()> {
    let built = built()?;
    let place = find(&built.image, b"hsqs", CHUNK as u64)?;
    let changed = Changed::at("strict-store", &built.image, place + 8)?;
    let machine = machine(
        "strict-store",
        Boot::OwnedUefi,
        &changed.0,
        Writes::Discarded,
    );
    let machine = machine.start()?;
    machine.check("report", |machine| {
        let console = machine.console();
        console.wait_for("data block 0 is corrupted")?;
        console.wait_for("cannot mount the store on /dev/vda1, which is verified: ")?;
        console.wait_for("the image: write it to the disk again")
    })
}

/// The same image comes of the same keys, wherever it is made; the private key is not in it.
#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_is_reproducible() -> anyhow::Result<()> {
    let built = built()?;
    let folder = artefacts::folder("strict-elsewhere")?;
    let mut options = images::options()?;
    options.place.cache = folder.join("cache");
    let again = images::build_image("disk", "strict", &configuration("strict")?, &options)?;
    let [one, other] = [&built, &again].map(|built| -> anyhow::Result<_> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(&built.image)?)?;
        Ok(hasher.finalize())
    });
    ensure!(one? == other?, "{} differs", again.image.display());
    let key = fs::read_to_string(Keys::of_owner()?.private)?;
    let line = key.lines().nth(1).context("no key")?;
    ensure!(
        find(&again.image, line.as_bytes(), 1).is_err(),
        "the image has the key"
    );
    fs::remove_dir_all(&folder)?;
    Ok(())
}
