use super::*;
use expect_test::{Expect, expect};
use serde_json::json;

fn facts(file_systems: &serde_json::Value) -> Facts {
    serde_json::from_value(json!({
        "hostName": "box", "fileSystems": file_systems, "freeSpace": 1,
        "grub": null, "swapDevices": ["LABEL=swap"], "swapSize": null, "size": null, "bootFreeSpace": 1,
        "sectorSize": 512, "bios": true, "uefi": true,
    }))
    .unwrap()
}

fn check(file_systems: &serde_json::Value, expected: &Expect) {
    let text = match Placement::of(&facts(file_systems)) {
        Ok(placement) => format!("{placement:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&text);
}

fn root(device: &str) -> serde_json::Value {
    json!({"/": {"device": device, "fsType": "auto", "options": []}})
}

#[test]
fn beside_a_verified_store() {
    let check = |file_systems: &serde_json::Value, expected: &Expect| {
        let text = match Placement::of_state(&facts(file_systems)) {
            Ok(root) => format!("{root:?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    };
    let with_root = |device: &str, fs_type: &str| {
        json!({
            "/": {"device": device, "fsType": fs_type, "options": []},
            "/nix/store": {"device": "verity-store", "fsType": "squashfs", "options": ["ro"]},
        })
    };
    check(&with_root("tmpfs", "tmpfs"), &expect!["None"]);
    check(
        &with_root("LABEL=state", "ext4"),
        &expect![[r#"Some(Named { label: "state", uuid: None, partition: None })"#]],
    );
    check(
        &with_root("LABEL=state", "xfs"),
        &expect![[
            r#"cannot make a disk: fileSystems."/".fsType is xfs, and images have ext4; write ext4 or leave it out, or have `cairn install` make it"#
        ]],
    );
    let mut separate = with_root("tmpfs", "tmpfs");
    separate["/boot"] = json!({"device": "LABEL=boot", "fsType": "ext4", "options": []});
    check(
        &separate,
        &expect![[
            r#"cannot make a disk: fileSystems."/boot".device is LABEL=boot, but an image has no partition for it; it can be on the root (leave it out), or on another disk with the option nofail"#
        ]],
    );
    let mut swapping = facts(&with_root("tmpfs", "tmpfs"));
    swapping.swap_size = Some(64);
    let error = Placement::of_state(&swapping).unwrap_err();
    expect!["cannot make a disk: image.swapSize is set, and a disk with image.verityStore.enable has no partition for swap space; leave it out, or name a file in swapDevices"].assert_eq(&error.to_string());
}

#[test]
fn roots() {
    check(
        &root("/dev/sda1"),
        &expect![[
            r#"Placement { root: Named { label: "cairn-root", uuid: None, partition: None }, boot: None, swap: None }"#
        ]],
    );
    check(
        &root("/dev/nvme0n1p1"),
        &expect![[
            r#"Placement { root: Named { label: "cairn-root", uuid: None, partition: None }, boot: None, swap: None }"#
        ]],
    );
    check(
        &root("/dev/disk/by-label/nixos"),
        &expect![[
            r#"Placement { root: Named { label: "nixos", uuid: None, partition: None }, boot: None, swap: None }"#
        ]],
    );
    check(
        &root("UUID=01234567-89ab-8cde-8f01-23456789abcd"),
        &expect![[
            r#"Placement { root: Named { label: "cairn-root", uuid: Some(01234567-89ab-8cde-8f01-23456789abcd), partition: None }, boot: None, swap: None }"#
        ]],
    );
    check(
        &root("UUID=AB12-CD34"),
        &expect![[
            r#"cannot make a disk: fileSystems."/".device is UUID=AB12-CD34, but that is no UUID of an ext4 file system or of a GPT partition"#
        ]],
    );
    check(
        &root("/dev/sda2"),
        &expect![[
            r#"cannot make a disk: fileSystems."/".device is /dev/sda2, but the root of an image is its first partition, such as /dev/sda1; or name it by a label"#
        ]],
    );
    check(
        &root("/dev/mapper/root"),
        &expect![[
            r#"cannot make a disk: fileSystems."/".device is /dev/mapper/root, but an image has neither encrypted devices nor logical volumes: each of its copies would have the same key; `cairn install` makes them on a machine"#
        ]],
    );
    check(
        &root("tmpfs"),
        &expect![[
            r#"cannot make a disk: fileSystems."/".device is tmpfs, but an image keeps it on the disk; name it by a label, or as a partition of a disk"#
        ]],
    );
    check(
        &json!({}),
        &expect![[
            r#"cannot make a disk: the configuration has no root; define fileSystems."/".device"#
        ]],
    );
    check(
        &json!({"/": {"device": "/dev/sda1", "fsType": "btrfs", "options": []}}),
        &expect![[
            r#"cannot make a disk: fileSystems."/".fsType is btrfs, and images have ext4; write ext4 or leave it out, or have `cairn install` make it"#
        ]],
    );
}

#[test]
fn boot_and_swap() {
    let with = |boot: &str, swap: &[&str]| {
        let mut facts = facts(&json!({
            "/": {"device": "/dev/sda1", "fsType": "auto", "options": []},
            "/boot": {"device": boot, "fsType": "auto", "options": []},
        }));
        facts.swap_size = Some(512);
        facts.swap_devices = serde_json::from_value(json!(swap)).unwrap();
        facts
    };
    let uuid = "UUID=01234567-89ab-8cde-8f01-23456789abcd";
    for (facts, expected) in [
        (
            with("LABEL=boot", &["/var/swap", uuid]),
            expect![[r#"
            Placement {
                root: Named {
                    label: "cairn-root",
                    uuid: None,
                    partition: None,
                },
                boot: Some(
                    Named {
                        label: "boot",
                        uuid: None,
                        partition: None,
                    },
                ),
                swap: Some(
                    Named {
                        label: "cairn-swap",
                        uuid: Some(
                            01234567-89ab-8cde-8f01-23456789abcd,
                        ),
                        partition: None,
                    },
                ),
            }"#]],
        ),
        (
            with("/dev/vda4", &["/dev/vda5"]),
            expect![[r#"
            Placement {
                root: Named {
                    label: "cairn-root",
                    uuid: None,
                    partition: None,
                },
                boot: Some(
                    Named {
                        label: "cairn-boot",
                        uuid: None,
                        partition: None,
                    },
                ),
                swap: Some(
                    Named {
                        label: "cairn-swap",
                        uuid: None,
                        partition: None,
                    },
                ),
            }"#]],
        ),
        (
            with("/dev/sda2", &["/dev/vda5"]),
            expect![[
                r#"cannot make a disk: fileSystems."/boot".device is /dev/sda2, but /boot of an image is its fourth partition, such as /dev/sda4; or name it by a label, or leave it out to have it on the root"#
            ]],
        ),
        (
            with("/dev/sda4", &["/var/swap"]),
            expect![[
                r#"cannot make a disk: image.swapSize is set, and no partition is in swapDevices; add { device = "LABEL=cairn-swap"; }"#
            ]],
        ),
        (
            with("/dev/sda4", &["/dev/sda2"]),
            expect![
                "cannot make a disk: swapDevices has /dev/sda2, but swap space of an image is its fifth partition, such as /dev/sda5; or name it by a label"
            ],
        ),
    ] {
        let text = match Placement::of(&facts) {
            Ok(placement) => format!("{placement:#?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }
}

#[test]
fn others() {
    let with = |mount_point: &str, device: &str, options: &[&str]| {
        let mut all = root("/dev/sda1");
        all[mount_point] = json!({"device": device, "fsType": "auto", "options": options});
        all
    };
    for (mount_point, device, options) in [
        ("/tmp", "tmpfs", &[][..]),
        ("/boot/efi", "PARTLABEL=esp", &[]),
        ("/boot/efi", "/dev/sda3", &[]),
        ("/boot/efi", "LABEL=whatever", &["nofail"]),
        ("/srv", "/var/srv", &["bind"]),
        ("/data", "/dev/sdb1", &["nofail"]),
    ] {
        Placement::of(&facts(&with(mount_point, device, options))).unwrap();
    }
    check(
        &with("/home", "/dev/sda4", &[]),
        &expect![[
            r#"cannot make a disk: fileSystems."/home".device is /dev/sda4, but an image has no partition for it; it can be on the root (leave it out), or on another disk with the option nofail"#
        ]],
    );
    check(
        &with("/boot/efi", "/dev/sda2", &[]),
        &expect![[
            r#"cannot make a disk: fileSystems."/boot/efi".device is /dev/sda2, but the EFI system partition of an image is /dev/disk/by-partlabel/esp; or give it the option nofail"#
        ]],
    );
    let mut of_a_bios = facts(&with("/boot/efi", "PARTLABEL=esp", &[]));
    of_a_bios.uefi = false;
    expect![[r#"cannot make a disk: fileSystems."/boot/efi".device is PARTLABEL=esp, but an image has no EFI system partition where boot.loader.grub.efiSupport is false; leave it out, or give it the option nofail"#]].assert_eq(&Placement::of(&of_a_bios).unwrap_err().to_string());
}

/// A machine mounts neither of two devices with one name.
#[test]
fn no_two_parts_have_one_name() {
    let both = |root: &str, boot: &str| {
        json!({
            "/": {"device": root, "fsType": "ext4", "options": []},
            "/boot": {"device": boot, "fsType": "ext4", "options": []},
        })
    };
    let refused = |root: &str, boot: &str| {
        Placement::of(&facts(&both(root, boot)))
            .unwrap_err()
            .to_string()
    };
    let uuid = "01234567-89ab-8cde-8f01-23456789abcd";
    for (root, boot, told) in [
        ("LABEL=box", "LABEL=box", "the label box"),
        ("LABEL=cairn-boot", "/dev/sda4", "the label cairn-boot"),
        ("PARTLABEL=esp", "/dev/sda4", "the label esp"),
        (
            &format!("UUID={uuid}"),
            &format!("UUID={uuid}"),
            &format!("the UUID {uuid}"),
        ),
        (
            &format!("PARTUUID={uuid}"),
            &format!("PARTUUID={uuid}"),
            &format!("the UUID {uuid}"),
        ),
    ] {
        assert_eq!(
            refused(root, boot),
            format!(
                "cannot make a disk: two of its parts would have {told}, and a machine mounts neither; \
                 give each a name of its own in fileSystems and swapDevices"
            )
        );
    }
    let mut swapping = facts(&root("LABEL=swap"));
    swapping.swap_size = Some(64);
    let error = Placement::of(&swapping).unwrap_err().to_string();
    assert!(error.contains("the label swap"), "{error}");
    let one = format!("UUID={uuid}");
    let other = format!("PARTUUID={uuid}");
    assert!(Placement::of(&facts(&both(&one, &other))).is_ok());
}
