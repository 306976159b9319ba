//! Names and rights of devices, and services that come and go with them.

use anyhow::ensure;

use crate::look;

#[test]
fn services_come_and_go_with_devices() -> anyhow::Result<()> {
    look("devices", |machine| {
        let script = "is() { for i in $(seq 200); do \
             if cairn status --json $1 | grep -q \"\\\"state\\\":\\\"$2\\\"\"; then echo $1 $2; return; fi; \
             sleep 0.1; done; cairn status; cairn why $1; exit 1; }; \
             is for-loop stopped; modprobe loop; is for-loop up; modprobe -r loop; is for-loop stopped; \
             cairn why for-loop; modprobe veth; is for-wire stopped; \
             ip link add wire0 type veth peer name wire1; is for-wire up; \
             ip link set wire0 name wire2; is for-wire stopped; cairn why sys-class-net-wire0.device; \
             ip link del wire2";
        let told = machine.agent().succeed(script)?;
        let expected = "for-loop stopped\nfor-loop up\nfor-loop stopped\n\
            for-loop is stopped: it is bound to 'dev-loop0.device', which has gone down\n\
            for-wire stopped\nfor-wire up\nfor-wire stopped\n\
            sys-class-net-wire0.device is stopped: /sys/class/net/wire0 is not there";
        ensure!(told.trim() == expected, "{told}");
        Ok(())
    })
}

/// By default rules, by one of the configuration's, and by what somebody writes to a device.
#[test]
fn devices_have_names_and_rights() -> anyhow::Result<()> {
    look("names of devices", |machine| {
        let script = "set -e; udevadm settle
            root=$(findmnt -no SOURCE /); readlink -f /dev/disk/by-label/* /dev/disk/by-path/*-part* | grep -c ^$root$
            stat -c '%n %G %a' /dev/vda /dev/null /dev/tty1 /dev/fuse /dev/net/tun; readlink /dev/fd /dev/stdout
            truncate -s 8M /run/disk; losetup /dev/loop1 /run/disk; mkfs.ext4 -q -L data /dev/loop1
            udevadm settle; readlink /dev/backup /dev/disk/by-label/data; stat -c '%n %G %a' /dev/loop1; ls /run/ran-loop1
            udevadm info -q property -n loop1 | grep -E 'ID_FS_(TYPE|LABEL)=|CURRENT_TAGS'
            for i in $(seq 100); do cairn status for-data > /run/status && break; sleep 0.1; done; head -n 1 /run/status
            kill -9 $(pgrep -f 'devices [s]erve')
            for i in $(seq 100); do udevadm settle 2> /dev/null && break; sleep 0.1; done; readlink /dev/backup
            losetup -d /dev/loop1; udevadm settle; test ! -e /dev/backup; test ! -e /dev/disk/by-label/data; modprobe -r loop
            ip link add wire7 address 02:00:00:00:07:07 type veth peer name wire8; udevadm settle
            ip -br link show lan7 | cut -c 1-4; ip link del lan7; cairn stop for-data; rm /run/disk";
        let told = machine.agent().succeed(script)?;
        let expected = "2\n/dev/vda disk 660\n/dev/null root 666\n/dev/tty1 tty 620\n\
            /dev/fuse root 666\n/dev/net/tun root 666\n/proc/self/fd\n/proc/self/fd/1\n\
            loop1\n../../loop1\n/dev/loop1 audio 640\n/run/ran-loop1\n\
            CURRENT_TAGS=:systemd:\nID_FS_LABEL=data\nID_FS_TYPE=ext4\n● for-data\nloop1\nlan7";
        ensure!(told.trim() == expected, "{told}");
        Ok(())
    })
}

/// Debian's own client of udev reads what is known of devices, and hears what happens to them.
#[test]
fn programs_for_udev_read_what_is_known() -> anyhow::Result<()> {
    look("libudev", |machine| {
        let script = "set -e; u=$(cat /etc/debians-udevadm); udevadm settle
            known() { $1 info -q property -n vda | grep -v ^DEVLINKS= | sort > /run/$2; }
            known $u theirs; known udevadm ours; diff /run/theirs /run/ours; grep -c . /run/ours
            $u monitor --udev --subsystem-match=block/disk > /run/heard & m=$!
            for i in $(seq 100); do grep -q UDEV /run/heard && break; sleep 0.1; done
            udevadm trigger -w /dev/vda /dev/null
            for i in $(seq 100); do grep -q vda /run/heard && break; sleep 0.1; done; kill $m
            grep -o 'change  *.*vda .*' /run/heard; $u settle --timeout=20 && echo settled";
        let told = machine.agent().succeed(script)?;
        let expected =
            "12\nchange   /devices/pci0000:00/0000:00:02.0/virtio0/block/vda (block)\nsettled";
        ensure!(told.trim() == expected, "{told}");
        Ok(())
    })
}

/// libdevmapper waits for whoever handles its devices, and expects their names of him.
#[test]
fn devices_of_the_mapper_are_made_and_removed() -> anyhow::Result<()> {
    look("libdevmapper", |machine| {
        let script = "set -e; truncate -s 4M /run/below; losetup /dev/loop2 /run/below
            timeout 60 dmsetup create linear --table '0 2048 linear /dev/loop2 0'; readlink /dev/mapper/linear
            mkfs.ext4 -q -L mapped /dev/mapper/linear; udevadm settle; readlink /dev/disk/by-label/mapped
            udevadm info -q property -n mapper/linear | grep -E '^DM_(NAME|UDEV_PRIMARY_SOURCE_FLAG)='
            timeout 60 dmsetup rename linear other; readlink /dev/mapper/other; test ! -e /dev/mapper/linear
            timeout 60 dmsetup remove other; test ! -e /dev/mapper/other; dmsetup udevcookies | grep -c 0x || true
            losetup -d /dev/loop2; udevadm settle; modprobe -r loop";
        let told = machine.agent().succeed(script)?;
        let expected =
            "../dm-0\n../../dm-0\nDM_NAME=linear\nDM_UDEV_PRIMARY_SOURCE_FLAG=1\n../dm-0\n0";
        ensure!(told.trim() == expected, "{told}");
        Ok(())
    })
}
