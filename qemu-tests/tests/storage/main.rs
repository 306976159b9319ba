//! Roots on what stage 1 has to open first. One machine makes the file systems, the next has its root
//! there. One test is for every test run; the others are ignored there, and run by
//! `cargo xtask torture storage`.

#![cfg(test)]

mod factory_reset;
mod measured;
mod passphrase;
mod unanswered;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::power_cut::ext4::Ext4;
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts};
use cairn_system::boot_mark;
use passphrase::{PASSPHRASE, unlock, unlock_at_the_keyboard};
use tempfile::TempDir;

/// The configuration with variants that take another kernel, or more time.
const FURTHER: &str = "storage-further";
/// Bytes of each further disk.
const DISK: u64 = 400 << 20;

/// The image of `configurations/NAME.nix`, built by the first that asks, unless it is in the cache.
fn built(name: &'static str) -> anyhow::Result<Built> {
    static BUILT: Mutex<BTreeMap<&str, Built>> = Mutex::new(BTreeMap::new());
    let mut all = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = all.get(name) {
        return Ok(built.clone());
    }
    let built = images::build(name, &images::with_agent(name)?, &images::options()?)?;
    all.insert(name, built.clone());
    Ok(built)
}

/// The system of a variant of it, in the store of this host.
fn variant_of(name: &'static str, variant: &str) -> anyhow::Result<Built> {
    let built = built(name)?;
    let store = images::options()?.place.store;
    let link = store
        .join(built.toplevel.trim_start_matches('/'))
        .join("specialisation")
        .join(variant);
    let toplevel =
        fs::read_link(&link).with_context(|| format!("cannot read {}", link.display()))?;
    Ok(Built {
        toplevel: toplevel.display().to_string(),
        ..built
    })
}

fn variant(name: &str) -> anyhow::Result<Built> {
    variant_of("storage", name)
}

/// A machine that boots `system` from the image, and has these disks besides.
fn machine(
    name: &str,
    system: &Built,
    disks: &[PathBuf],
    writes: Writes,
) -> anyhow::Result<Machine> {
    ordered(name, system, disks, writes, "")
}

/// The same, with more on the kernel's command line.
fn ordered(
    name: &str,
    system: &Built,
    disks: &[PathBuf],
    writes: Writes,
    orders: &str,
) -> anyhow::Result<Machine> {
    let kernel = images::direct_kernel(&images::options()?, system, orders)?;
    let first = Blueprint::new(name, Boot::Direct(kernel))
        .disk(&system.image)
        .memory_mib(768)
        .processors(2)
        .deadline(Duration::from_mins(6));
    disks
        .iter()
        .fold(first, |machine, image| {
            machine.any_disk(Disk {
                image: image.clone(),
                writes,
                bus: Bus::VirtioBlk,
            })
        })
        .start()
}

/// Disks that a machine has written; they go when this is dropped.
struct Disks {
    _folder: TempDir,
    images: Vec<PathBuf>,
}

/// Lets a machine make what is on `count` empty disks, which are `/dev/vdb` and so on for `script`.
fn prepare(name: &str, count: usize, script: &str) -> anyhow::Result<Disks> {
    prepare_by(&built("storage")?, name, count, script)
}

fn prepare_by(system: &Built, name: &str, count: usize, script: &str) -> anyhow::Result<Disks> {
    let folder = tempfile::tempdir_in(artefacts::root()?)?;
    let empty = folder.path().join("empty.img");
    File::create(&empty)
        .and_then(|file| file.set_len(DISK))
        .with_context(|| format!("cannot make {}", empty.display()))?;
    let empty = vec![empty; count];
    let name = format!("{name}-prepare");
    let machine = machine(&name, system, &empty, Writes::Copied)?;
    machine.check("prepare", |machine| {
        up(machine)?;
        machine.agent().succeed(script)?;
        power_off(machine)
    })?;
    let images = (1..=count)
        .map(|index| {
            let disk = machine.disk(index).context("a disk is missing")?;
            let image = folder.path().join(format!("disk-{index}.img"));
            // The machine's own copy goes with it.
            fs::rename(disk, &image).with_context(|| format!("cannot move {}", disk.display()))?;
            Ok(image)
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Disks {
        _folder: folder,
        images,
    })
}

fn up(machine: &Machine) -> anyhow::Result<()> {
    machine.console().wait_for(boot_mark::BOOT_DONE)?;
    machine.agent().ready().map(drop)
}

/// The line of `/proc/mounts` for a mount point.
fn mounted(machine: &Machine, point: &str) -> anyhow::Result<String> {
    let mounts = machine.agent().succeed("cat /proc/mounts")?;
    let line = mounts
        .lines()
        .find(|line| line.split(' ').nth(1) == Some(point))
        .with_context(|| format!("{point} is not mounted:\n{mounts}"))?;
    Ok(line.to_owned())
}

fn power_off(machine: &Machine) -> anyhow::Result<()> {
    machine.agent().start("cairn poweroff")?;
    machine.wait_for_power_off(Duration::from_mins(2))
}

/// Makes LUKS on a disk by the passphrase, with a derivation of the key that an emulated processor is
/// done with soon, in two threads, as machines have it.
fn format(label: &str, disk: &str) -> String {
    format!(
        "echo -n '{PASSPHRASE}' > /run/key
        cryptsetup luksFormat --batch-mode --label {label} --pbkdf argon2id --pbkdf-memory 64 \\
            --pbkdf-parallel 2 --pbkdf-force-iterations 4 --key-file /run/key {disk}
        cryptsetup luksDump {disk} | grep -q 'Threads: *2'
        cryptsetup open --key-file /run/key {disk} {label}
        "
    )
}

#[test]
fn a_root_on_btrfs_in_lvm_in_luks() -> anyhow::Result<()> {
    let name = "storage-encrypted";
    let script = format!(
        "set -eux
        {}
        vgcreate vg-a /dev/mapper/secret
        lvcreate --name root --extents 100%FREE vg-a
        mkfs.btrfs --quiet /dev/vg-a/root
        mkdir /run/made
        mount /dev/vg-a/root /run/made
        btrfs subvolume create /run/made/@root
        btrfs subvolume create /run/made/@home
        echo kept > /run/made/@home/note
        umount /run/made
        vgchange --activate n vg-a
        cryptsetup close secret",
        format("secret", "/dev/vdb")
    );
    let disks = prepare(name, 1, &script)?;
    let machine = machine(name, &variant("encrypted")?, &disks.images, Writes::Copied)?;
    machine.check("root", |machine| {
        unlock(machine, "passphrase of LABEL=secret (secret): ")?;
        let root = mounted(machine, "/")?;
        ensure!(
            root.starts_with("/dev/mapper/vg--a-root / btrfs rw,noatime"),
            "{root}"
        );
        ensure!(root.contains("subvol=/@root"), "{root}");
        mounted(machine, "/nix")?;
        machine.agent().succeed("grep -q kept /home/note")?;
        power_off(machine)
    })
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_root_on_a_mirror_that_is_whole_and_on_half_of_it() -> anyhow::Result<()> {
    const WITHOUT: &str = "starting without them";
    let name = "storage-mirrored";
    let disks = prepare(
        name,
        2,
        "set -eux
        mdadm --create /dev/md/mirrored --level=1 --raid-devices=2 --assume-clean --run \
            --metadata=1.2 /dev/vdb /dev/vdc
        mkfs.xfs -q -L mirrored /dev/md/mirrored
        mdadm --stop /dev/md/mirrored",
    )?;
    let system = variant("mirrored")?;
    let whole = machine(name, &system, &disks.images, Writes::Copied)?;
    whole.check("whole", |machine| {
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(root.contains(" / xfs rw"), "{root}");
        let state = machine.agent().succeed("cat /sys/block/md*/md/degraded")?;
        ensure!(state.trim() == "0", "{state} members are missing");
        let said = machine.console().tail(10_000);
        ensure!(!said.contains(WITHOUT), "{said}");
        power_off(machine)
    })?;
    let member = whole.disk(1).context("a disk is missing")?.to_owned();
    let half = machine(
        &format!("{name}-half"),
        &system,
        &[member],
        Writes::Discarded,
    )?;
    half.check("half", |machine| {
        let console = machine.console();
        console.wait_for("waiting up to 20 s for LABEL=mirrored, to mount /")?;
        console.wait_for(WITHOUT)?;
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(root.contains(" / xfs rw"), "{root}");
        // The machine has left array and file system as one leaves them.
        let said = machine.agent().succeed("dmesg")?;
        for unclean in ["not clean", "Starting recovery"] {
            ensure!(!said.contains(unclean), "{unclean}: {said}");
        }
        power_off(machine)
    })
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_btrfs_on_two_disks_and_on_one_of_them() -> anyhow::Result<()> {
    let name = "storage-pair";
    let disks = prepare(
        name,
        2,
        "set -eux
        mkfs.btrfs --quiet --label pair --data raid1 --metadata raid1 /dev/vdb /dev/vdc",
    )?;
    let system = variant("pair")?;
    let both = machine(name, &system, &disks.images, Writes::Discarded)?;
    both.check("both", |machine| {
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(root.contains(" / btrfs rw"), "{root}");
        power_off(machine)
    })?;
    // Half of it is refused, unless somebody says that it may be.
    let half = machine(
        &format!("{name}-half"),
        &system,
        &disks.images[1..],
        Writes::Discarded,
    )?;
    half.check("half", |machine| {
        let console = machine.console();
        console.wait_for("the system cannot be started")?;
        console.wait_for("what:  cannot mount /: devices of the btrfs UUID=")?;
        console.wait_for("rootflags=degraded on the kernel's command line")
    })?;
    drop(half);
    let name = format!("{name}-degraded");
    let orders = "rootflags=degraded";
    let degraded = ordered(
        &name,
        &system,
        &disks.images[1..],
        Writes::Discarded,
        orders,
    )?;
    degraded.check("degraded", |machine| {
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(
            root.contains(" / btrfs rw") && root.contains("degraded"),
            "{root}"
        );
        power_off(machine)
    })
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_key_on_another_disk_and_a_passphrase_without_it() -> anyhow::Result<()> {
    let name = "storage-keyed";
    let script = format!(
        "set -eux
        echo 'size=1MiB, name=key' | sfdisk --quiet --label gpt /dev/vdc
        key=/dev/$(lsblk --noheadings --list --output NAME /dev/vdc | tail -n 1)
        dd if=/dev/urandom of=$key bs=64 count=1 seek=8
        {}
        dd if=$key of=/run/other bs=64 count=1 skip=8
        cryptsetup luksAddKey --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
            --key-file /run/key /dev/vdb /run/other
        mkfs.ext4 -q /dev/mapper/keyed
        cryptsetup close keyed",
        format("keyed", "/dev/vdb")
    );
    let disks = prepare(name, 2, &script)?;
    let system = variant("keyed")?;
    let question = "passphrase of LABEL=keyed (keyed): ";
    let there = machine(name, &system, &disks.images, Writes::Discarded)?;
    there.check("key", |machine| {
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(root.starts_with("/dev/mapper/keyed / ext4 rw"), "{root}");
        let said = machine.console().tail(10_000);
        ensure!(!said.contains(question), "{said}");
        power_off(machine)
    })?;
    let name = format!("{name}-absent");
    let absent = machine(&name, &system, &disks.images[..1], Writes::Discarded)?;
    absent.check("no key", |machine| {
        unlock_at_the_keyboard(machine, question)?;
        power_off(machine)
    })
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_root_in_memory_and_encrypted_swap() -> anyhow::Result<()> {
    let name = "storage-volatile";
    let script = "set -eux
        mkfs.ext4 -q /dev/vdb
        mkswap /dev/vdc";
    let disks = prepare(name, 2, script)?;
    let system = variant("volatile")?;
    let machine = ordered(name, &system, &disks.images, Writes::Copied, "loglevel=7")?;
    machine.check("volatile", |machine| {
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(root.contains(" / tmpfs rw"), "{root}");
        let agent = machine.agent();
        agent.succeed("echo kept > /var/lib/note && grep -q kept /persist/lib/note")?;
        let swaps = agent.succeed("cat /proc/swaps")?;
        ensure!(swaps.contains("/dev/mapper/dev-vdc"), "{swaps}");
        let table = agent.succeed("dmsetup table dev-vdc")?;
        ensure!(table.contains(" crypt aes-xts-plain64 "), "{table}");
        let kind = agent.run("blkid /dev/vdc")?;
        ensure!(!kind.success(), "/dev/vdc is known: {kind:?}");
        agent.succeed(
            "set -eux
            modprobe loop
            truncate --size 16M /persist/inner
            mkfs.ext4 -q /persist/inner
            loop=$(losetup --find --show /persist/inner)
            echo 0 $(blockdev --getsz $loop) linear $loop 0 |
                DM_DISABLE_UDEV=1 dmsetup create stacked
            mkdir /run/inner
            mount /dev/mapper/stacked /run/inner
            echo kept > /run/inner/note",
        )?;
        power_off(machine)?;
        // The key of the swap is forgotten, and what was stacked is taken apart.
        let said = machine.console().tail(10_000);
        for left in ["devices of the device mapper stay", "remove_all left"] {
            ensure!(!said.contains(left), "{said}");
        }
        Ok(())
    })?;
    let disk = machine.disk(1).context("a disk is missing")?;
    let outer = Ext4::open(File::open(disk)?, 0)?;
    let mut inner = tempfile::tempfile()?;
    inner.write_all(&outer.read("/inner", 16 << 20)?)?;
    // No journal has to be replayed to see it.
    let note = Ext4::open(inner, 0)?.read("/note", 100)?;
    ensure!(note == b"kept\n", "{note:?}");
    Ok(())
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_root_on_f2fs() -> anyhow::Result<()> {
    let name = "storage-flash";
    let system = variant_of(FURTHER, "flash")?;
    let disks = prepare_by(&built(FURTHER)?, name, 1, "mkfs.f2fs -q -l flash /dev/vdb")?;
    let machine = ordered(
        name,
        &system,
        &disks.images,
        Writes::Discarded,
        "loglevel=7",
    )?;
    machine.check("f2fs", |machine| {
        machine.console().wait_for("fsck.f2fs of /dev/vdb took")?;
        up(machine)?;
        let root = mounted(machine, "/")?;
        ensure!(root.starts_with("/dev/vdb / f2fs rw"), "{root}");
        power_off(machine)
    })
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_header_on_another_disk() -> anyhow::Result<()> {
    let name = "storage-detached";
    let script = format!(
        "set -eux
        echo 'size=32MiB, name=header' | sfdisk --quiet --label gpt /dev/vdc
        echo -n '{PASSPHRASE}' > /run/key
        header=/dev/$(lsblk --noheadings --list --output NAME /dev/vdc | tail -n 1)
        cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
            --key-file /run/key --header $header /dev/vdb
        cryptsetup open --key-file /run/key --header $header /dev/vdb detached
        mkfs.xfs -q /dev/mapper/detached
        cryptsetup close detached
        test -z \"$(blkid --probe --match-tag TYPE /dev/vdb)\""
    );
    let disks = prepare_by(&built(FURTHER)?, name, 2, &script)?;
    let system = variant_of(FURTHER, "detached")?;
    let machine = machine(name, &system, &disks.images, Writes::Discarded)?;
    machine.check("detached header", |machine| {
        unlock(machine, "passphrase of /dev/vdb (detached): ")?;
        let root = mounted(machine, "/")?;
        ensure!(root.starts_with("/dev/mapper/detached / xfs rw"), "{root}");
        power_off(machine)
    })
}

/// Its memory is what it was: a file in memory, and the boot that it says it is in.
#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_machine_that_falls_asleep_goes_on() -> anyhow::Result<()> {
    let name = "storage-asleep";
    let script = "set -eux
        mkfs.ext4 -q /dev/vdb
        mkswap --label asleep /dev/vdc";
    let disks = prepare_by(&built(FURTHER)?, name, 2, script)?;
    let system = variant_of(FURTHER, "asleep")?;
    let kernel = images::direct_kernel(&images::options()?, &system, "loglevel=7")?;
    // The image goes on too: the kernel knows what it has written to it.
    let start = |name: &str, images: &[PathBuf]| {
        let machine = Blueprint::new(name, Boot::Direct(kernel.clone()))
            .memory_mib(768)
            .deadline(Duration::from_mins(6));
        let disk = |image: &PathBuf| Disk {
            image: image.clone(),
            writes: Writes::Copied,
            bus: Bus::VirtioBlk,
        };
        let disks = images.iter().map(disk);
        disks.fold(machine, Blueprint::any_disk).start()
    };
    let first = [std::slice::from_ref(&system.image), disks.images.as_slice()].concat();
    let machine = start(name, &first)?;
    let boot = machine.check("falls asleep", |machine| {
        up(machine)?;
        let agent = machine.agent();
        agent.succeed("echo kept > /run/note")?;
        let boot = agent.succeed("cat /proc/sys/kernel/random/boot_id")?;
        agent.start("echo shutdown > /sys/power/disk && echo disk > /sys/power/state")?;
        machine.wait_for_power_off(Duration::from_mins(3))?;
        Ok(boot)
    })?;
    let asleep: Vec<PathBuf> = (0..first.len())
        .map(|index| machine.disk(index).map(PathBuf::from))
        .collect::<Option<_>>()
        .context("a disk is missing")?;
    let again = start(&format!("{name}-again"), &asleep)?;
    again.check("goes on", |machine| {
        machine
            .console()
            .wait_for("going on with the memory on /dev/vdc")?;
        // The agent has said in its life before that it is ready: it is not waited for.
        let script = "note=$(cat /run/note) boot=$(cat /proc/sys/kernel/random/boot_id)
            echo \"<4>woken: $note, in $boot\" > /dev/kmsg
            cairn poweroff";
        machine.agent().start(script)?;
        let woken = format!("woken: kept, in {boot}");
        machine.console().wait_for(&woken)?;
        machine.wait_for_power_off(Duration::from_mins(2))
    })
}

/// A root that was made smaller than its disk has the whole of it after its first boot.
fn grows(kind: &str, make: &str) -> anyhow::Result<()> {
    let name = format!("storage-grown-{kind}");
    let script = format!(
        "set -eux
        echo 'size=320MiB, name=grown' | sfdisk --quiet --label gpt /dev/vdb
        {make} /dev/$(lsblk --noheadings --list --output NAME /dev/vdb | tail -n 1)"
    );
    let disks = prepare_by(&built(FURTHER)?, &name, 1, &script)?;
    let system = variant_of(FURTHER, &format!("grown-{kind}"))?;
    let first = machine(&name, &system, &disks.images, Writes::Copied)?;
    let least = (DISK - (8 << 20)) / 512;
    let has_grown = |machine: &Machine| {
        up(machine)?;
        let agent = machine.agent();
        agent.succeed(
            "until cairn status grow-file-systems | grep -q 'state: *up'; do sleep 0.2; done",
        )?;
        let sectors: u64 = agent.succeed("cat /sys/class/block/vdb1/size")?.parse()?;
        ensure!(sectors >= least, "the partition has {sectors} sectors");
        let bytes: u64 = agent
            .succeed("findmnt --noheadings --bytes --output SIZE /")?
            .trim()
            .parse()?;
        // More than all of the partition was; the rest of what it is now are journals, 64 MiB of xfs.
        ensure!(bytes > 320 << 20, "the file system has {bytes} bytes");
        agent.succeed("sfdisk --verify --quiet /dev/vdb")?;
        power_off(machine)
    };
    first.check("grows", has_grown)?;
    let grown = first.disk(1).context("a disk is missing")?.to_owned();
    let again = machine(
        &format!("{name}-again"),
        &system,
        &[grown],
        Writes::Discarded,
    )?;
    again.check("stays as it is", has_grown)
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn a_btrfs_grows_to_its_disk() -> anyhow::Result<()> {
    grows("btrfs", "mkfs.btrfs --quiet")
}

#[test]
#[ignore = "long: cargo xtask torture storage"]
fn an_xfs_grows_to_its_disk() -> anyhow::Result<()> {
    grows("xfs", "mkfs.xfs -q")
}
