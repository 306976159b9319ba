//! A disk in the guest that answers nobody any more.

/// Mounts a file system at `/run/hung` that has something to write, and suspends the device below it. A script for the
/// guest, which has `dmsetup`.
pub const HUNG_DISK: &str = "set -eu
    truncate -s 64M /run/hung.img
    loop=$(losetup --find --show /run/hung.img)
    timeout 60 dmsetup create hung --table \"0 131072 linear $loop 0\"
    mkfs.ext4 -q /dev/mapper/hung
    mkdir -p /run/hung && mount /dev/mapper/hung /run/hung
    echo kept > /run/hung/file && sync /run/hung/file
    timeout 60 dmsetup suspend --nolockfs hung
    echo lost >> /run/hung/file";
