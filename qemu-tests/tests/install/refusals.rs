//! What an installation does not begin with, on a machine where it could do harm.

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine, guest};

use crate::medium::{ANSWERS, TARGET, attempt, disks, give_answers, live, same};

/// Makes the disk as if nothing had ever been on it: what `wipefs` leaves is data of an unknown kind.
const BLANK: &str =
    "wipefs -q -a /dev/vda && dd if=/dev/zero of=/dev/vda bs=1M count=2 conv=fsync status=none";

/// What is there, how it is made, what the answers say then, what is said of it, and how it is undone.
const CASES: [[&str; 5]; 13] = [
    [
        "a mounted disk",
        "mkfs.ext4 -q -F /dev/vda && mkdir -p /mnt && mount /dev/vda /mnt",
        "s/^extra/wipe = true\\nextra/",
        "/dev/vda is mounted on /mnt",
        "umount /mnt",
    ],
    [
        "a disk that swaps",
        "mkswap -q /dev/vda && swapon /dev/vda",
        "s/^extra/wipe = true\\nextra/",
        "/dev/vda is swap space in use",
        "swapoff /dev/vda",
    ],
    [
        "the medium itself",
        "true",
        "s|^disk.*|disk = \"/dev/sr0\"|",
        "is no disk",
        "true",
    ],
    [
        "data that nobody knows",
        "true",
        "s|^disk.*|disk = \"/dev/vdb\"|",
        "data of an unknown kind would be lost",
        "true",
    ],
    [
        "a file system",
        "mkfs.xfs -q -f /dev/vda",
        "s/x/x/",
        "what is on it (xfs) would be lost",
        "true",
    ],
    [
        "partitions that the kernel does not show",
        "echo 'label: gpt\nname=photos' | sfdisk -q --no-tell-kernel --no-reread /dev/vda",
        "s/x/x/",
        "photos",
        "true",
    ],
    [
        "sleep to swap space that nobody can read again",
        "true",
        "s/^extra/layout.swap-mib = 64\\nlayout.encryption.passphrase = \"x\"\\nextra/; \
         s/^boot.consoleLogLevel.*/boot.resumeDevice = (builtins.head config.swapDevices).device;/",
        "nothing can be resumed from",
        "true",
    ],
    [
        "a container of the same name",
        "cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 --key-file /dev/zero \
         /dev/vdb cairn-root",
        "s/^extra/layout.encryption.passphrase = \"x\"\\nextra/",
        "there is an open /dev/mapper/cairn-root already",
        "cryptsetup close cairn-root",
    ],
    [
        "GRUB on another disk",
        "true",
        "s|^boot.consoleLogLevel.*|boot.loader.grub.device = \"/dev/vdb\";|",
        "only /dev/vda is written to",
        "true",
    ],
    [
        "a small disk",
        "true",
        "s|^disk.*|disk = \"/dev/vdb\"\\nwipe = true|",
        "/dev/vdb is too small",
        "true",
    ],
    [
        "a partition",
        "echo 'label: gpt\nsize=1GiB' | sfdisk -q /dev/vda",
        "s|^disk.*|disk = \"/dev/vda1\"|",
        "is no disk",
        "true",
    ],
    [
        "a configuration that is wrong",
        "true",
        "s/^services.*//; s/^networking.useDHCP/networking.useDHPC/",
        "`networking.useDHPC' does not exist",
        "true",
    ],
    [
        "a field that is unknown",
        "true",
        "s/^extra/layout.swop = 1\\nextra/",
        "at 'layout.swop'",
        "true",
    ],
];

#[test]
#[ignore = "long: cargo xtask torture install"]
fn nothing_is_written_where_it_would_do_harm() -> anyhow::Result<()> {
    let [target, other] = disks("refusals")?;
    let machine = live("install-refusals", Boot::Bios, &[&target, &other])?.start()?;
    machine.agent().ready()?;
    give_answers(&machine, "")?;
    for [what, before, change, said, after] in CASES {
        machine.check(what, |machine| {
            guest::run(machine, before)?;
            guest::run(
                machine,
                &format!("sed '{change}' {ANSWERS} > /root/changed.toml"),
            )?;
            refused(machine, "--answers /root/changed.toml --yes", said)?;
            guest::run(machine, after)?;
            guest::run(machine, BLANK).map(drop)
        })?;
    }
    machine.check("nobody says yes", |machine| {
        refused(
            machine,
            &format!("--answers {ANSWERS} < /dev/null"),
            "say --yes",
        )?;
        let plan = attempt(machine, &format!("--answers {ANSWERS} --dry-run"))?;
        ensure!(
            plan.success() && plan.stdout.contains("partitions (GPT"),
            "{plan:?}"
        );
        let blank = guest::run(machine, &format!("wipefs {TARGET}"))?;
        ensure!(blank.is_empty(), "{blank}");
        Ok(())
    })?;
    crate::medium::power_off(&machine)?;
    let untouched = machine.disk(2).map(|disk| same(disk, &other)).transpose()?;
    ensure!(untouched == Some(true), "the other disk was written to");
    Ok(())
}

fn refused(machine: &Machine, arguments: &str, said: &str) -> anyhow::Result<()> {
    let output = attempt(machine, arguments)?;
    ensure!(
        !output.success() && (output.stderr.clone() + &output.stdout).contains(said),
        "not '{said}', but {output:?}"
    );
    Ok(())
}
