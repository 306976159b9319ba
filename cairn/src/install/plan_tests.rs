//! Plans, shown whole.

use std::path::PathBuf;

use expect_test::{Expect, expect, expect_file};

use super::answers::Answers;
use super::commands::{Input, Invocation, format, partition, rename};
use super::disks::{Content, Disk, Partition};
use super::identifiers::Identifiers;
use super::layout::ROOT_NAME;
use super::plan::{Circumstances, Plan, PlannedFile};
use crate::hardware::{Firmware, Hardware};

fn disk(mib: u64, content: Content) -> Disk {
    Disk {
        path: "/dev/nvme0n1".into(),
        bytes: mib << 20,
        sector: 512,
        model: Some("Disk of a test".to_owned()),
        serial: Some("S1".to_owned()),
        transport: Some("nvme".to_owned()),
        content,
        uses: Vec::new(),
    }
}

fn partitions(names: &[(&str, &str)]) -> Content {
    let parts = names.iter().enumerate();
    Content::Partitions {
        table: "gpt".to_owned(),
        partitions: parts
            .map(|(at, (name, file_system))| Partition {
                path: PathBuf::from(format!("/dev/nvme0n1p{}", at + 1)),
                bytes: 1 << 30,
                name: Some((*name).to_owned()),
                kind: Some("Linux filesystem".to_owned()),
                file_system: Some((*file_system).to_owned()),
                label: None,
                last_mount: None,
            })
            .collect(),
    }
}

/// An installation that was not finished, whose file system was mounted at `place` last.
fn used_since(place: &str) -> Content {
    let mut content = partitions(&[("bios", ""), ("cairn-unfinished", "ext4")]);
    if let Content::Partitions { partitions, .. } = &mut content {
        partitions[1].last_mount = Some(place.to_owned());
    }
    content
}

fn circumstances(disk: Disk) -> Circumstances {
    Circumstances {
        disk,
        hardware: Hardware::default(),
        identifiers: Identifiers::from_seed([7; 32]),
        ready: Vec::new(),
        lock: Some(b"{}".to_vec()),
    }
}

fn plan(answers: &str, disk: Disk) -> Result<Plan, super::PlanError> {
    let answers = format!("disk = '/dev/nvme0n1'\n{answers}");
    Plan::new(&Answers::parse(&answers).unwrap(), circumstances(disk))
}

fn shown(invocations: &[Invocation]) -> String {
    let lines = invocations.iter().map(|one| {
        let input = match &one.input {
            Input::Nothing => String::new(),
            Input::Text(text) => format!(" <<\n{text}"),
            Input::Passphrase => " < passphrase".to_owned(),
        };
        format!("{}{input}\n", one.words.join(" "))
    });
    lines.collect()
}

fn check(answers: &str, disk: Disk, expected: &Expect) {
    expected.assert_eq(&whole(answers, disk));
}

/// As [`check`], against a file.
fn check_file(answers: &str, disk: Disk, name: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/install/expected");
    let file = format!("{folder}/{name}.txt");
    expect_file![file].assert_eq(&whole(answers, disk));
}

/// The plan in words, and each command, mount and file of it.
fn whole(answers: &str, disk: Disk) -> String {
    match plan(answers, disk) {
        Err(error) => error.to_string(),
        Ok(plan) => {
            let mut commands = vec![partition(&plan.disk.path, plan.guid, &plan.partitions)];
            for part in &plan.partitions {
                commands.extend(format(&part.holds, &part.path));
            }
            commands.push(rename(
                &plan.disk.path,
                plan.root().unwrap().number,
                ROOT_NAME,
            ));
            let mounts = plan.mounts().into_iter().map(|mount| {
                format!(
                    "{} on {} type {} ({})\n",
                    mount.device.display(),
                    mount.point,
                    mount.fs_type,
                    mount.options.join(",")
                )
            });
            let files = plan.files.iter().map(|file| {
                format!(
                    "--- {}\n{}",
                    file.name.display(),
                    String::from_utf8_lossy(&file.content)
                )
            });
            format!(
                "{plan}---\n{}---\n{}{}",
                shown(&commands),
                mounts.collect::<String>(),
                files.collect::<String>()
            )
        }
    }
}

#[test]
fn ext4_on_an_empty_disk() {
    check_file(
        r#"
host-name = "box"
time-zone = "Europe/Berlin"
locale = "de_DE.UTF-8"
keyboard = "de"
extra = """
services.cron.enable = true;

environment.etc.note.text = "a";
"""
layout.swap-mib = 1024
root.ssh-keys = ["ssh-ed25519 AAAA root"]
users = [
  { name = "anna", full-name = "Anna ${x} \"A\"", administrator = true, hashed-password = "$6$0123456789", ssh-keys = ["ssh-ed25519 AAAA1", "ssh-ed25519 AAAA2"] },
  { name = "bob" },
]
"#,
        disk(8192, Content::Nothing),
        "ext4",
    );
}

#[test]
fn btrfs_in_an_encrypted_container() {
    check_file(
        "wipe = true\nlayout.file-system = 'btrfs'\nlayout.encryption.passphrase = 'open sesame'",
        disk(8192, partitions(&[("data", "ext4"), ("more", "ntfs")])),
        "btrfs-encrypted",
    );
}

#[test]
fn xfs_in_an_encrypted_container_and_encrypted_swap_space() {
    check_file(
        "layout.file-system = 'xfs'\nlayout.swap-mib = 512\nlayout.encryption.passphrase-file = '/x'",
        disk(8192, used_since("/run/cairn-install/root")),
        "xfs-encrypted",
    );
}

#[test]
fn a_machine_with_uefi_has_an_entry_in_its_menu_and_what_it_starts() {
    let answers = Answers::parse("disk = '/dev/nvme0n1'").unwrap();
    let wanted = |firmware, transport: &str| {
        let mut around = circumstances(disk(8192, Content::Nothing));
        around.hardware.firmware = firmware;
        around.disk.transport = Some(transport.to_owned());
        let plan = Plan::new(&answers, around).unwrap();
        let has = |what: &str| {
            let files = plan.files.iter();
            let mut texts = files.map(|file| String::from_utf8_lossy(&file.content));
            texts.any(|text| text.contains(what))
        };
        (
            has("efi.canTouchEfiVariables = true;"),
            has("grub.secureBoot.enable = true;"),
        )
    };
    assert_eq!(wanted(Firmware::Uefi, "nvme"), (true, false));
    assert_eq!(wanted(Firmware::Uefi, "usb"), (false, false));
    assert_eq!(wanted(Firmware::Bios, "nvme"), (false, false));
    assert_eq!(wanted(Firmware::SecureUefi, "nvme"), (true, true));
    assert_eq!(wanted(Firmware::SecureUefi, "usb"), (false, true));
}

#[test]
fn what_is_refused() {
    let mut used = disk(8192, Content::Nothing);
    used.uses = vec!["/dev/nvme0n1p1 is mounted on /".to_owned(), "x".to_owned()];
    for (answers, disk, expected) in [
        (
            "wipe = true",
            used,
            expect![
                "cannot install on /dev/nvme0n1: /dev/nvme0n1p1 is mounted on /; x; nothing was written"
            ],
        ),
        (
            "",
            disk(8192, Content::Unknown),
            expect![
                "cannot install on /dev/nvme0n1: data of an unknown kind would be lost; if it may be, say so with 'wipe = true' in the answers; nothing was written"
            ],
        ),
        (
            "",
            disk(8192, used_since("/boot")),
            expect![
                "cannot install on /dev/nvme0n1: /dev/nvme0n1p1 (1.00 GiB, bios, , Linux filesystem), /dev/nvme0n1p2 (1.00 GiB, cairn-unfinished, ext4, Linux filesystem, last mounted on /boot) would be lost; if it may be, say so with 'wipe = true' in the answers; nothing was written"
            ],
        ),
        (
            "",
            disk(
                8192,
                partitions(&[("cairn-unfinished", "ext4"), ("photos", "xfs")]),
            ),
            expect![
                "cannot install on /dev/nvme0n1: /dev/nvme0n1p1 (1.00 GiB, cairn-unfinished, ext4, Linux filesystem), /dev/nvme0n1p2 (1.00 GiB, photos, xfs, Linux filesystem) would be lost; if it may be, say so with 'wipe = true' in the answers; nothing was written"
            ],
        ),
        (
            "",
            disk(8192, Content::Whole("LVM2_member".to_owned())),
            expect![
                "cannot install on /dev/nvme0n1: what is on it (LVM2_member) would be lost; if it may be, say so with 'wipe = true' in the answers; nothing was written"
            ],
        ),
        (
            "",
            disk(8192, partitions(&[("cairn-root", "ext4")])),
            expect![
                "cannot install on /dev/nvme0n1: /dev/nvme0n1p1 (1.00 GiB, cairn-root, ext4, Linux filesystem) would be lost; if it may be, say so with 'wipe = true' in the answers; nothing was written"
            ],
        ),
        (
            "",
            disk(700, Content::Nothing),
            expect![
                "/dev/nvme0n1 is too small: it has 700 MiB, and the partitions need at least 775 MiB"
            ],
        ),
    ] {
        check(answers, disk, &expected);
    }
}

#[test]
fn a_ready_configuration_gets_the_hardware_of_this_machine() {
    let mut around = circumstances(disk(8192, Content::Nothing));
    let file = |name: &str, text: &str| PlannedFile {
        name: name.into(),
        content: text.as_bytes().to_vec(),
    };
    around.ready = vec![
        file("configuration.nix", "{ }"),
        file("hardware-configuration.nix", "of another machine"),
        file("parts/web.nix", "{ }"),
        file("cairn.lock", "its own"),
    ];
    let answers = "disk = '/dev/nvme0n1'\nconfiguration = '/x'";
    let plan = Plan::new(&Answers::parse(answers).unwrap(), around).unwrap();
    let files = plan.files.iter();
    let files: Vec<_> = files
        .map(|file| {
            let text = String::from_utf8_lossy(&file.content);
            let begin = text.lines().next().unwrap_or_default();
            format!("{}: {begin}", file.name.display())
        })
        .collect();
    expect![[r#"
        cairn.lock: its own
        configuration.nix: { }
        hardware-configuration.nix: # Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
        parts/web.nix: { }"#]].assert_eq(&files.join("\n"));
}

#[test]
fn a_disk_has_what_a_configuration_names() {
    let plan = plan("layout.file-system = 'xfs'", disk(8192, Content::Nothing)).unwrap();
    for (mount_point, device, found) in [
        ("/", "LABEL=cairn-root", true),
        ("/", "PARTLABEL=cairn-root", true),
        ("/", "/dev/nvme0n1p4", true),
        ("/", "/dev/nvme0n1p3", false),
        ("/", "/dev/sda1", false),
        ("/", "UUID=00000000-0000-8000-8000-000000000000", false),
        ("/boot", "LABEL=cairn-boot", true),
        ("/boot", "LABEL=cairn-root", false),
        ("/boot/efi", "PARTLABEL=esp", true),
        ("/home", "LABEL=cairn-root", false),
    ] {
        let named = cairn_system::Device::try_from(device.to_owned()).unwrap();
        assert_eq!(
            plan.provides(mount_point, &named),
            found,
            "{mount_point} {device}"
        );
    }
}

#[test]
fn a_bios_is_given_no_disk_that_it_does_not_start() {
    let large = Disk {
        sector: 4096,
        ..disk(4096, Content::Nothing)
    };
    let error = plan("", large.clone()).unwrap_err().to_string();
    expect!["cannot install on /dev/nvme0n1: it has sectors of 4096 bytes, and this machine was started by BIOS, which starts no such disk; start it by UEFI, if it can; nothing was written"].assert_eq(&error);
    let mut around = circumstances(large);
    around.hardware.firmware = Firmware::Uefi;
    let answers = Answers::parse("disk = '/dev/nvme0n1'").unwrap();
    let plan = Plan::new(&answers, around).unwrap().to_string();
    assert!(plan.contains("partitions (GPT, for UEFI):"), "{plan}");
}
