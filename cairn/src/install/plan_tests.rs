//! Plans, shown whole.

use std::path::PathBuf;

use expect_test::{Expect, expect};

use super::answers::Answers;
use super::commands::{Input, Invocation, format, partition, rename};
use super::disks::{Content, Disk, Partition};
use super::identifiers::Identifiers;
use super::layout::ROOT_NAME;
use super::plan::{Circumstances, Plan, PlannedFile};
use crate::hardware::Hardware;

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
            })
            .collect(),
    }
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

/// The plan in words, and each command, mount and file of it.
fn check(answers: &str, disk: Disk, expected: &Expect) {
    let text = match plan(answers, disk) {
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
    };
    expected.assert_eq(&text);
}

#[test]
fn ext4_on_an_empty_disk() {
    check(
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
  { name = "anna", full-name = "Anna ${x} \"A\"", administrator = true, hashed-password = "$6$0123456789", ssh-keys = ["k1", "k2"] },
  { name = "bob" },
]
"#,
        disk(8192, Content::Nothing),
        &expect![[r#"
            the disk: /dev/nvme0n1 (8.00 GiB, Disk of a test, S1, nvme)
            on it now: nothing
            partitions (GPT, for BIOS and UEFI):
              1 bios          1.00 MiB  GRUB for a BIOS
              2 esp         260.00 MiB  FAT, /boot/efi
              3 swap          1.00 GiB  swap space
              4 cairn-root    6.74 GiB  ext4, /
            files:
              /etc/nixos/cairn.lock (2 B)
              /etc/nixos/configuration.nix (1.28 KiB)
              /etc/nixos/hardware-configuration.nix (753 B)
            passwords: anna
            the boot loader: GRUB, on this disk
            ---
            sfdisk --lock=yes --quiet --wipe=always --wipe-partitions=always /dev/nvme0n1 <<
            label: gpt
            label-id: bcbd266a-f6ad-86f0-b0d5-903a5f3ae561
            size=1MiB, type=21686148-6449-6e6f-744e-656564454649, uuid=7ee48f79-ea60-8069-bb89-ea1c58b6cb9a, name="bios"
            size=260MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, uuid=a234f47d-c735-8179-9720-0581e6b0c2a3, name="esp"
            size=1024MiB, type=0657fd6d-a4ab-43c4-84e5-0933c84b4f4f, uuid=24843ee1-7a41-8c08-bd65-fe8dd7b4a55e, name="swap"
            type=0fc63daf-8483-4772-8e79-3d69d8477de4, uuid=f45058dc-cf31-8886-93f4-e26e8bf88e5b, name="cairn-unfinished"

            mkfs.vfat -F 32 -n ESP -i 49d871ef /dev/nvme0n1p2
            mkswap --uuid e78d2998-391d-8886-ba80-d356e7ed65a9 --label swap /dev/nvme0n1p3
            mkfs.ext4 -F -q -O ^metadata_csum_seed,^orphan_file -L cairn-root -U b4d7887f-2e1c-8255-9c0b-0706869fac86 /dev/nvme0n1p4
            sfdisk --lock=yes --quiet --part-label /dev/nvme0n1 4 cairn-root
            ---
            /dev/nvme0n1p4 on / type ext4 ()
            /dev/nvme0n1p2 on /boot/efi type vfat (umask=0077)
            --- cairn.lock
            {}--- configuration.nix
            # What this machine is, as `cairn install` was told. After a change, `cairn switch` builds the
            # system anew, runs it, and boots it from now on; `cairn rollback` goes back. `cairn options WORD`
            # finds what else can be said here.
            { config, lib, pkgs, ... }:
            {
              imports = [
                # What was found on this machine, and how its disk is divided.
                ./hardware-configuration.nix
              ];

              # GRUB is on the disk that has /boot, for BIOS and for UEFI firmware.
              boot.loader.grub.enable = true;

              networking.hostName = "box";

              time.timeZone = "Europe/Berlin";
              i18n.defaultLocale = "de_DE.UTF-8";
              console.keyMap = "de";

              users.users.root.openssh.authorizedKeys.keys = [
                "ssh-ed25519 AAAA root"
              ];
              # Passwords were set when the machine was installed, and are not here: `passwd` changes them.
              users.users."anna" = {
                isNormalUser = true;
                description = "Anna \${x} \"A\"";
                extraGroups = [ "wheel" ];
                openssh.authorizedKeys.keys = [
                  "k1"
                  "k2"
                ];
              };
              users.users."bob" = {
                isNormalUser = true;
              };
              services.openssh.enable = true;

              # As it was asked for.
              services.cron.enable = true;

              environment.etc.note.text = "a";

              # The release that the machine was set up with. It says what old data look like: leave it as it
              # is.
              system.stateVersion = "0.1.0";
            }
            --- hardware-configuration.nix
            # Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
            # belongs into configuration.nix.
            { config, lib, modulesPath, ... }:
            {
              boot.initrd.availableKernelModules = [ ];
              boot.initrd.kernelModules = [ ];
              boot.kernelModules = [ ];

              fileSystems."/" = {
                device = "/dev/disk/by-uuid/b4d7887f-2e1c-8255-9c0b-0706869fac86";
                fsType = "ext4";
              };

              fileSystems."/boot/efi" = {
                device = "/dev/disk/by-uuid/49D8-71EF";
                fsType = "vfat";
                options = [ "umask=0077" ];
              };

              swapDevices = [ { device = "/dev/disk/by-uuid/e78d2998-391d-8886-ba80-d356e7ed65a9"; } ];

              # No network interface was found.
              networking.useDHCP = lib.mkDefault true;

              nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
            }
        "#]],
    );
}

#[test]
fn btrfs_in_an_encrypted_container() {
    check(
        "wipe = true\nlayout.file-system = 'btrfs'\nlayout.encryption.passphrase = 'open sesame'",
        disk(8192, partitions(&[("data", "ext4"), ("more", "ntfs")])),
        &expect![[r#"
            the disk: /dev/nvme0n1 (8.00 GiB, Disk of a test, S1, nvme)
            on it now, and lost then: (gpt)
              /dev/nvme0n1p1 (1.00 GiB, data, ext4, Linux filesystem)
              /dev/nvme0n1p2 (1.00 GiB, more, ntfs, Linux filesystem)
            partitions (GPT, for BIOS and UEFI):
              1 bios          1.00 MiB  GRUB for a BIOS
              2 esp         260.00 MiB  FAT, /boot/efi
              3 boot          1.00 GiB  ext4, /boot
              4 cairn-root    6.74 GiB  encrypted (LUKS): btrfs, / /home /nix
            files:
              /etc/nixos/cairn.lock (2 B)
              /etc/nixos/configuration.nix (734 B)
              /etc/nixos/hardware-configuration.nix (1.23 KiB)
            the boot loader: GRUB, on this disk
            ---
            sfdisk --lock=yes --quiet --wipe=always --wipe-partitions=always /dev/nvme0n1 <<
            label: gpt
            label-id: bcbd266a-f6ad-86f0-b0d5-903a5f3ae561
            size=1MiB, type=21686148-6449-6e6f-744e-656564454649, uuid=7ee48f79-ea60-8069-bb89-ea1c58b6cb9a, name="bios"
            size=260MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, uuid=a234f47d-c735-8179-9720-0581e6b0c2a3, name="esp"
            size=1024MiB, type=0fc63daf-8483-4772-8e79-3d69d8477de4, uuid=24843ee1-7a41-8c08-bd65-fe8dd7b4a55e, name="boot"
            type=0fc63daf-8483-4772-8e79-3d69d8477de4, uuid=f45058dc-cf31-8886-93f4-e26e8bf88e5b, name="cairn-unfinished"

            mkfs.vfat -F 32 -n ESP -i 49d871ef /dev/nvme0n1p2
            mkfs.ext4 -F -q -O ^metadata_csum_seed,^orphan_file -L cairn-boot -U 5186faa1-327a-8541-b695-61db1e60383d /dev/nvme0n1p3
            cryptsetup luksFormat --batch-mode --type=luks2 --key-file=- --uuid 94083853-a982-82f6-96cd-0d0ae9eb9797 /dev/nvme0n1p4 < passphrase
            cryptsetup open --type=luks2 --key-file=- /dev/nvme0n1p4 cairn-root < passphrase
            mkfs.btrfs --force --quiet --label cairn-root --uuid b4d7887f-2e1c-8255-9c0b-0706869fac86 /dev/mapper/cairn-root
            sfdisk --lock=yes --quiet --part-label /dev/nvme0n1 4 cairn-root
            ---
            /dev/mapper/cairn-root on / type btrfs (subvol=root,compress=zstd)
            /dev/nvme0n1p3 on /boot type ext4 ()
            /dev/nvme0n1p2 on /boot/efi type vfat (umask=0077)
            /dev/mapper/cairn-root on /home type btrfs (subvol=home,compress=zstd)
            /dev/mapper/cairn-root on /nix type btrfs (subvol=nix,compress=zstd)
            --- cairn.lock
            {}--- configuration.nix
            # What this machine is, as `cairn install` was told. After a change, `cairn switch` builds the
            # system anew, runs it, and boots it from now on; `cairn rollback` goes back. `cairn options WORD`
            # finds what else can be said here.
            { config, lib, pkgs, ... }:
            {
              imports = [
                # What was found on this machine, and how its disk is divided.
                ./hardware-configuration.nix
              ];

              # GRUB is on the disk that has /boot, for BIOS and for UEFI firmware.
              # It does not read the root: kernels are on a partition of their own.
              boot.loader.grub.enable = true;

              networking.hostName = "cairn";

              # The release that the machine was set up with. It says what old data look like: leave it as it
              # is.
              system.stateVersion = "0.1.0";
            }
            --- hardware-configuration.nix
            # Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
            # belongs into configuration.nix.
            { config, lib, modulesPath, ... }:
            {
              boot.initrd.availableKernelModules = [ ];
              boot.initrd.kernelModules = [ ];
              boot.kernelModules = [ ];

              boot.initrd.luks.devices."cairn-root".device = "/dev/disk/by-uuid/94083853-a982-82f6-96cd-0d0ae9eb9797";

              fileSystems."/" = {
                device = "/dev/mapper/cairn-root";
                fsType = "btrfs";
                options = [
                  "subvol=root"
                  "compress=zstd"
                ];
              };

              fileSystems."/boot" = {
                device = "/dev/disk/by-uuid/5186faa1-327a-8541-b695-61db1e60383d";
                fsType = "ext4";
              };

              fileSystems."/boot/efi" = {
                device = "/dev/disk/by-uuid/49D8-71EF";
                fsType = "vfat";
                options = [ "umask=0077" ];
              };

              fileSystems."/home" = {
                device = "/dev/mapper/cairn-root";
                fsType = "btrfs";
                options = [
                  "subvol=home"
                  "compress=zstd"
                ];
              };

              fileSystems."/nix" = {
                device = "/dev/mapper/cairn-root";
                fsType = "btrfs";
                options = [
                  "subvol=nix"
                  "compress=zstd"
                ];
              };

              swapDevices = [ ];

              # No network interface was found.
              networking.useDHCP = lib.mkDefault true;

              nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
            }
        "#]],
    );
}

#[test]
fn xfs_and_a_swap_file_in_an_encrypted_container() {
    check(
        "layout.file-system = 'xfs'\nlayout.swap-mib = 512\nlayout.encryption.passphrase-file = '/x'",
        disk(
            8192,
            partitions(&[("bios", ""), ("cairn-unfinished", "ext4")]),
        ),
        &expect![[r#"
            the disk: /dev/nvme0n1 (8.00 GiB, Disk of a test, S1, nvme)
            on it now: an installation that was not finished, which is begun anew (gpt)
              /dev/nvme0n1p1 (1.00 GiB, bios, , Linux filesystem)
              /dev/nvme0n1p2 (1.00 GiB, cairn-unfinished, ext4, Linux filesystem)
            partitions (GPT, for BIOS and UEFI):
              1 bios          1.00 MiB  GRUB for a BIOS
              2 esp         260.00 MiB  FAT, /boot/efi
              3 boot          1.00 GiB  ext4, /boot
              4 cairn-root    6.74 GiB  encrypted (LUKS): xfs, /
            files:
              /etc/nixos/cairn.lock (2 B)
              /etc/nixos/configuration.nix (854 B)
              /etc/nixos/hardware-configuration.nix (881 B)
            the boot loader: GRUB, on this disk
            ---
            sfdisk --lock=yes --quiet --wipe=always --wipe-partitions=always /dev/nvme0n1 <<
            label: gpt
            label-id: bcbd266a-f6ad-86f0-b0d5-903a5f3ae561
            size=1MiB, type=21686148-6449-6e6f-744e-656564454649, uuid=7ee48f79-ea60-8069-bb89-ea1c58b6cb9a, name="bios"
            size=260MiB, type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b, uuid=a234f47d-c735-8179-9720-0581e6b0c2a3, name="esp"
            size=1024MiB, type=0fc63daf-8483-4772-8e79-3d69d8477de4, uuid=24843ee1-7a41-8c08-bd65-fe8dd7b4a55e, name="boot"
            type=0fc63daf-8483-4772-8e79-3d69d8477de4, uuid=f45058dc-cf31-8886-93f4-e26e8bf88e5b, name="cairn-unfinished"

            mkfs.vfat -F 32 -n ESP -i 49d871ef /dev/nvme0n1p2
            mkfs.ext4 -F -q -O ^metadata_csum_seed,^orphan_file -L cairn-boot -U 5186faa1-327a-8541-b695-61db1e60383d /dev/nvme0n1p3
            cryptsetup luksFormat --batch-mode --type=luks2 --key-file=- --uuid 94083853-a982-82f6-96cd-0d0ae9eb9797 /dev/nvme0n1p4 < passphrase
            cryptsetup open --type=luks2 --key-file=- /dev/nvme0n1p4 cairn-root < passphrase
            mkfs.xfs -f -q -L cairn-root -m uuid=b4d7887f-2e1c-8255-9c0b-0706869fac86 /dev/mapper/cairn-root
            sfdisk --lock=yes --quiet --part-label /dev/nvme0n1 4 cairn-root
            ---
            /dev/mapper/cairn-root on / type xfs ()
            /dev/nvme0n1p3 on /boot type ext4 ()
            /dev/nvme0n1p2 on /boot/efi type vfat (umask=0077)
            --- cairn.lock
            {}--- configuration.nix
            # What this machine is, as `cairn install` was told. After a change, `cairn switch` builds the
            # system anew, runs it, and boots it from now on; `cairn rollback` goes back. `cairn options WORD`
            # finds what else can be said here.
            { config, lib, pkgs, ... }:
            {
              imports = [
                # What was found on this machine, and how its disk is divided.
                ./hardware-configuration.nix
              ];

              # GRUB is on the disk that has /boot, for BIOS and for UEFI firmware.
              # It does not read the root: kernels are on a partition of their own.
              boot.loader.grub.enable = true;

              networking.hostName = "cairn";

              # A file, encrypted as the root is.
              swapDevices = [
                {
                  device = "/var/swap";
                  size = 512;
                }
              ];

              # The release that the machine was set up with. It says what old data look like: leave it as it
              # is.
              system.stateVersion = "0.1.0";
            }
            --- hardware-configuration.nix
            # Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
            # belongs into configuration.nix.
            { config, lib, modulesPath, ... }:
            {
              boot.initrd.availableKernelModules = [ ];
              boot.initrd.kernelModules = [ ];
              boot.kernelModules = [ ];

              boot.initrd.luks.devices."cairn-root".device = "/dev/disk/by-uuid/94083853-a982-82f6-96cd-0d0ae9eb9797";

              fileSystems."/" = {
                device = "/dev/mapper/cairn-root";
                fsType = "xfs";
              };

              fileSystems."/boot" = {
                device = "/dev/disk/by-uuid/5186faa1-327a-8541-b695-61db1e60383d";
                fsType = "ext4";
              };

              fileSystems."/boot/efi" = {
                device = "/dev/disk/by-uuid/49D8-71EF";
                fsType = "vfat";
                options = [ "umask=0077" ];
              };

              swapDevices = [ ];

              # No network interface was found.
              networking.useDHCP = lib.mkDefault true;

              nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
            }
        "#]],
    );
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
        (
            "layout.file-system = 'btrfs'\nlayout.swap-mib = 1\nlayout.encryption.passphrase = 'x'",
            disk(8192, Content::Nothing),
            expect![
                "cannot have encrypted swap space with btrfs, which refuses swap files that are made at boot; leave out layout.swap-mib, or take ext4 or xfs"
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
