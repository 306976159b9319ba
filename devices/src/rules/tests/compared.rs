//! Comparisons, one by one.

use super::{decision, disk, network, tty};

/// Whether a rule with these comparisons applies.
fn applies(devpath: &str, comparisons: &str) -> bool {
    let rules = format!("{comparisons}, ENV{{APPLIES}}=\"1\"");
    let text = decision(devpath, "add", &rules);
    assert!(!text.contains(".rules:"), "{text}");
    text.contains("APPLIES=1")
}

#[test]
fn of_the_device() {
    for (comparisons, expected) in [
        (r#"ACTION=="add""#, true),
        (r#"ACTION!="add""#, false),
        (r#"DEVPATH=="/devices/*/sda""#, true),
        (r#"KERNEL=="sd?", KERNEL!="sdb|sdc""#, true),
        (r#"KERNEL==i"SDA""#, true),
        (r#"KERNEL==i"SD[A-C]""#, true),
        (r#"KERNEL=="SDA""#, false),
        (r#"SUBSYSTEM=="block|net""#, true),
        (r#"DRIVER=="""#, true),
        (r#"DRIVER!="""#, false),
        // A property that is not there is empty.
        (r#"ENV{NONE}=="""#, true),
        (r#"ENV{NONE}!="""#, false),
        (r#"ENV{NONE}!="x""#, true),
        (r#"ENV{NONE}=="x|""#, true),
        (r#"ENV{NONE}=="*""#, true),
        (r#"ENV{NONE}=="?*""#, false),
        (r#"ENV{DEVNAME}=="/dev/sda""#, true),
        // An attribute that is not there is neither like nor unlike anything.
        (r#"ATTR{none}=="""#, false),
        (r#"ATTR{none}!="x""#, false),
        (r#"ATTR{removable}=="0""#, true),
        (r#"ATTR{removable}!="1""#, true),
        (r#"ATTR{queue/scheduler}=="[[]mq-deadline] *""#, true),
        (r#"ATTR{[usb/1-2]idVendor}=="0403""#, true),
        (
            r#"ATTR{[module/kvm]parameters/halt_poll_ns}=="200000""#,
            true,
        ),
        (r#"ATTR{[usb/9-9]idVendor}=="*""#, false),
        (r#"ATTR{../../model}=="WDC *""#, true),
        (r#"ATTR{../../x/../model}=="*""#, false),
        (r#"ATTR{../../../../../../../../../etc/passwd}=="*""#, false),
        (r#"SYSCTL{kernel/ostype}=="Linux""#, true),
        (r#"SYSCTL{kernel/none}=="""#, true),
        (r#"CONST{arch}=="x86*""#, true),
        (r#"TAG=="x""#, false),
        (r#"TAG!="x""#, true),
        (r#"SYMLINK!="x""#, true),
        (r#"NAME=="""#, true),
    ] {
        assert_eq!(applies(&disk(), comparisons), expected, "{comparisons}");
    }
}

#[test]
fn of_those_above() {
    for (comparisons, expected) in [
        (r#"KERNELS=="1-2", ATTRS{idVendor}=="0403""#, true),
        // All at the same one.
        (r#"KERNELS=="0000:00:14.0", ATTRS{idVendor}=="0403""#, false),
        (r#"SUBSYSTEMS=="usb", DRIVERS=="ftdi_sio""#, true),
        (r#"SUBSYSTEMS=="pci", DRIVERS=="ftdi_sio""#, false),
        (r#"KERNELS=="ttyUSB0", SUBSYSTEMS=="tty""#, true),
        (r#"ATTRS{idVendor}!="0403""#, false),
        (r#"ATTRS{none}!="x""#, false),
        (r#"TAGS=="uaccess""#, true),
        (r#"TAGS=="none""#, false),
        (r#"SUBSYSTEMS=="pci", ATTRS{vendor}=="0x8086""#, true),
    ] {
        assert_eq!(applies(&tty(), comparisons), expected, "{comparisons}");
    }
}

#[test]
fn spaces_at_an_attributes_end() {
    for (comparisons, expected) in [
        (r#"ATTRS{vendor}=="ATA""#, true),
        (r#"ATTRS{vendor}=="ATA     ""#, true),
        (r#"ATTRS{vendor}=="ATA ""#, false),
        (r#"ATTRS{vendor}=="ATA*""#, true),
    ] {
        assert_eq!(applies(&disk(), comparisons), expected, "{comparisons}");
    }
}

#[test]
fn files() {
    for (comparisons, expected) in [
        (r#"TEST=="address""#, true),
        (r#"TEST=="none""#, false),
        (r#"TEST!="none""#, true),
        (r#"TEST=="/bin/sh""#, true),
        (r#"TEST{0111}=="/bin/sh""#, true),
        (r#"TEST{0111}=="/etc/facts""#, false),
        (r#"TEST{0111}!="/etc/facts""#, true),
        (r#"TEST=="[usb/1-2]serial""#, true),
        (r#"TEST=="[usb/1-9]serial""#, false),
        (r#"TEST=="$sys/module/kvm""#, true),
    ] {
        assert_eq!(applies(&network(), comparisons), expected, "{comparisons}");
    }
    assert!(applies(&disk(), r#"TEST=="../*/queue/rotational""#));
}
