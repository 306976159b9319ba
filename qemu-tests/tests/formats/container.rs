//! The tarball as a container: unpacked in a virtual machine, whose root may make namespaces, and started
//! as container managers do it. The machine itself is there as a VMDK.

use std::fs;

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Bus, Disk, Machine, Writes};

use super::{disks, image, is_reproducible, machine, runs};

/// What a container manager prepares: namespaces, devices, a control group, a root.
const START: &str = r#"
set -eu
root=/var/lib/container
mkdir /sys/fs/cgroup/container
echo $$ > /sys/fs/cgroup/container/cgroup.procs
cat > /run/start-container <<'END'
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null zero full random urandom; do
  touch dev/$device
  mount --bind /dev/$device dev/$device
done
pivot_root . mnt
umount -l /mnt
exec env -i container=test /sbin/init
END
mkdir -p "$root/mnt"
unshare --mount --uts --ipc --net --pid --cgroup --fork sh /run/start-container "$root" \
  < /dev/null > /run/container.log 2>&1 &
echo $!
"#;

/// Runs a command in the container, whose first process is the child of `unshare`.
fn inside(machine: &Machine, manager: &str, command: &str) -> anyhow::Result<String> {
    let enter = format!(
        "nsenter --target $(cat /proc/{manager}/task/{manager}/children) --all --root --wd \
         /run/current-system/sw/bin/bash -c '{command}'"
    );
    machine.agent().succeed(&enter)
}

#[test]
fn a_vmdk_boots_and_runs_the_tarball_in_a_container() -> anyhow::Result<()> {
    let (disk, tarball) = (image("vmdk")?, image("tarball")?);
    let size = fs::metadata(&tarball.image)?.len();
    let machine = machine("formats-vmdk", Boot::Bios, Bus::Ahci, &disk.image)
        .any_disk(Disk {
            image: tarball.image.clone(),
            writes: Writes::Discarded,
            bus: Bus::VirtioBlk,
        })
        .start()?;
    runs(&machine, &disk)?;
    machine.check("partitions", disks::has_its_partitions)?;
    machine.check("unpacked", |machine| {
        // A disk has whole sectors.
        let unpack = format!(
            "mkdir /var/lib/container && head -c {size} /dev/vda | zstd -dc \
             | tar -x --numeric-owner --xattrs -C /var/lib/container"
        );
        machine.agent().succeed(&unpack).map(drop)
    })?;
    machine.check("chroot", |machine| {
        let chroot = "cd /var/lib/container \
                      && mount --bind /dev dev && mount -t proc proc proc \
                      && unshare --uts chroot . /nix/var/nix/profiles/system/activate --boot \
                      && chroot . /run/current-system/sw/bin/bash -lc 'id -un; hostname' \
                      && umount dev proc";
        let told = machine.agent().succeed(chroot)?;
        ensure!(told.trim() == "root\nformats", "{told}");
        Ok(())
    })?;
    let manager = machine.check("started", |machine| machine.agent().succeed(START))?;
    let manager = manager.trim();
    machine.check("container", |machine| {
        let up = "until test -S /run/cairn/control && cairn status sshd | grep -q up; do sleep 0.2; done";
        inside(machine, manager, up)?;
        let system = inside(machine, manager, "readlink -f /run/current-system; hostname; id -un")?;
        ensure!(
            system.trim() == format!("{}\nformats\nroot", tarball.toplevel),
            "{system}"
        );
        let failed = inside(machine, manager, "cairn status | grep -c failed || true")?;
        ensure!(failed.trim() == "0", "{}", inside(machine, manager, "cairn status")?);
        let mine = machine.agent().succeed("readlink -f /run/current-system")?;
        ensure!(mine.trim() == disk.toplevel, "{mine} runs outside");
        Ok(())
    })?;
    machine.check("ended", |machine| {
        inside(machine, manager, "cairn poweroff")?;
        let end = format!("while test -e /proc/{manager}; do sleep 0.2; done");
        machine.agent().succeed(&end).map(drop)
    })
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_is_the_same_wherever_it_is_built() -> anyhow::Result<()> {
    is_reproducible("tarball", &[""])
}
