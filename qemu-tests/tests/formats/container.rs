//! The tarball as a container: unpacked in a virtual machine, whose root may make namespaces, and started
//! as container managers do it.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Bus, Disk, Writes};

use super::{image, machine, runs};

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
chroot=$(command -v chroot)
mount --move "$1" /
exec env -i container=test "$chroot" . /sbin/init
END
unshare --mount --uts --ipc --net --pid --cgroup --fork /bin/sh /run/start-container "$root" \
  < /dev/null > /run/container.log 2>&1 &
echo $!
"#;

/// What runs a command in the container, whose first process is the child of `unshare`.
fn inside(manager: &str, command: &str) -> String {
    format!(
        "nsenter --target $(cat /proc/{manager}/task/{manager}/children) --all --root --wd \
         /run/current-system/sw/bin/bash -c 'PATH=/run/current-system/sw/bin; {command}'"
    )
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn the_tarball_runs_in_a_container() -> anyhow::Result<()> {
    let (disk, tarball) = (image("disk")?, image("tarball")?);
    let size = fs::metadata(&tarball.image)?.len();
    let machine = machine("formats-container", Boot::Bios, Bus::Ahci, &disk.image)
        .any_disk(Disk {
            image: tarball.image.clone(),
            writes: Writes::Discarded,
            bus: Bus::VirtioBlk,
        })
        .start()?;
    runs(&machine, &disk)?;
    machine.check("unpacked", |machine| {
        // A disk has whole sectors.
        let unpack = format!(
            "mkdir /var/lib/container && head -c {size} /dev/vda | zstd -dc \
             | tar -x --numeric-owner --xattrs -C /var/lib/container"
        );
        let unpacked = machine
            .agent()
            .run_within(&unpack, Duration::from_mins(5))?;
        ensure!(unpacked.success(), "{unpacked:?}");
        Ok(())
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
        let agent = machine.agent();
        let is_up = inside(manager, "cairn status sshd | grep -q up");
        // Without its manager, nothing comes any more.
        let up = format!(
            "until {is_up}; do test -e /proc/{manager} || {{ cat /run/container.log; exit 1; }}; \
             sleep 0.5; done"
        );
        let up = agent.run_within(&up, Duration::from_mins(4))?;
        ensure!(up.success(), "{up:?}");
        let system = agent.succeed(&inside(
            manager,
            "readlink -f /run/current-system; hostname; id -un",
        ))?;
        ensure!(
            system.trim() == format!("{}\nformats\nroot", tarball.toplevel),
            "{system}"
        );
        let status = agent.succeed(&inside(manager, "cairn status"))?;
        ensure!(status.contains("all well"), "{status}");
        let mine = machine.agent().succeed("readlink -f /run/current-system")?;
        ensure!(mine.trim() == disk.toplevel, "{mine} runs outside");
        Ok(())
    })?;
    machine.check("ended", |machine| {
        machine
            .agent()
            .succeed(&inside(manager, "cairn poweroff"))?;
        let end = format!("while test -e /proc/{manager}; do sleep 0.2; done");
        machine.agent().succeed(&end).map(drop)
    })
}
