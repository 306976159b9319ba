//! What somebody at the machine has before them.

use expect_test::expect;

use crate::machine::{Machine, PCI};

fn keyboard(machine: &Machine) -> String {
    machine.add(&[
        PCI,
        ("0000:00:14.0", "pci", "", &[]),
        ("usb1", "usb", "DEVTYPE=usb_device", &[]),
        (
            "1-2",
            "usb",
            "DEVTYPE=usb_device\nMAJOR=189\nMINOR=1\nDEVNAME=bus/usb/001/002\n",
            &[
                ("idVendor", "046d"),
                ("idProduct", "c31c"),
                ("manufacturer", "Logitech"),
                ("product", "USB Keyboard"),
            ],
        ),
        (
            "1-2:1.0",
            "usb",
            "DEVTYPE=usb_interface",
            &[("bInterfaceNumber", "00"), ("bInterfaceClass", "03")],
        ),
        ("0003:046D:C31C.0001", "hid", "", &[]),
        (
            "input/input5",
            "input",
            "",
            &[
                ("capabilities/ev", "120013"),
                (
                    "capabilities/key",
                    "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe",
                ),
            ],
        ),
        (
            "event5",
            "input",
            "MAJOR=13\nMINOR=69\nDEVNAME=input/event5\n",
            &[],
        ),
    ])
}

#[test]
fn a_keyboard() {
    let mut machine = Machine::new();
    let keyboard = keyboard(&machine);
    machine.check(
        "add",
        &keyboard,
        &expect![[r#"
        group input
        mode 0660
        tags power-switch seat
        link input/by-id/usb-Logitech_USB_Keyboard-event-kbd
        link input/by-path/pci-0000:00:14.0-usb-0:2:1.0-event-kbd
        property .INPUT_CLASS=kbd
        property ID_BUS=usb
        property ID_FOR_SEAT=input-pci-0000_00_14_0-usb-0_2_1_0
        property ID_INPUT=1
        property ID_INPUT_KEY=1
        property ID_INPUT_KEYBOARD=1
        property ID_MODEL=USB_Keyboard
        property ID_MODEL_ENC=USB\x20Keyboard
        property ID_MODEL_ID=c31c
        property ID_PATH=pci-0000:00:14.0-usb-0:2:1.0
        property ID_PATH_TAG=pci-0000_00_14_0-usb-0_2_1_0
        property ID_SERIAL=Logitech_USB_Keyboard
        property ID_TYPE=hid
        property ID_USB_INTERFACE_NUM=00
        property ID_USB_MODEL=USB_Keyboard
        property ID_USB_MODEL_ENC=USB\x20Keyboard
        property ID_USB_MODEL_ID=c31c
        property ID_USB_SERIAL=Logitech_USB_Keyboard
        property ID_USB_TYPE=hid
        property ID_USB_VENDOR=Logitech
        property ID_USB_VENDOR_ENC=Logitech
        property ID_USB_VENDOR_ID=046d
        property ID_VENDOR=Logitech
        property ID_VENDOR_ENC=Logitech
        property ID_VENDOR_ID=046d
    "#]],
    );
    let (usb, _) = keyboard.split_once("/1-2:1.0").unwrap();
    machine.check(
        "add",
        usb,
        &expect![[r#"
        mode 0664
        property ID_BUS=usb
        property ID_MODEL=USB_Keyboard
        property ID_MODEL_ENC=USB\x20Keyboard
        property ID_MODEL_ID=c31c
        property ID_PATH=pci-0000:00:14.0-usb-0:2
        property ID_PATH_TAG=pci-0000_00_14_0-usb-0_2
        property ID_SERIAL=Logitech_USB_Keyboard
        property ID_USB_MODEL=USB_Keyboard
        property ID_USB_MODEL_ENC=USB\x20Keyboard
        property ID_USB_MODEL_ID=c31c
        property ID_USB_SERIAL=Logitech_USB_Keyboard
        property ID_USB_VENDOR=Logitech
        property ID_USB_VENDOR_ENC=Logitech
        property ID_USB_VENDOR_ID=046d
        property ID_VENDOR=Logitech
        property ID_VENDOR_ENC=Logitech
        property ID_VENDOR_ID=046d
    "#]],
    );
}

#[test]
fn a_sound_card() {
    let mut machine = Machine::new();
    let control = machine.add(&[
        PCI,
        ("0000:00:1b.0", "pci", "", &[("class", "0x040300")]),
        ("sound/card0", "sound", "", &[]),
        (
            "controlC0",
            "sound",
            "MAJOR=116\nMINOR=2\nDEVNAME=snd/controlC0\n",
            &[],
        ),
    ]);
    machine.check(
        "add",
        &control,
        &expect![[r#"
            group audio
            mode 0660
            tags uaccess
            link snd/by-path/pci-0000:00:1b.0
            property ID_BUS=pci
            property ID_PATH=pci-0000:00:1b.0
            property ID_PATH_TAG=pci-0000_00_1b_0
            written /devices/pci0000:00/0000:00:1b.0/sound/card0/uevent = change
        "#]],
    );
    let (card, _) = control.rsplit_once('/').unwrap();
    machine.written.clear();
    machine.check(
        "change",
        card,
        &expect![[r#"
        tags seat uaccess
        property ID_BUS=pci
        property ID_FOR_SEAT=sound-pci-0000_00_1b_0
        property ID_PATH=pci-0000:00:1b.0
        property ID_PATH_TAG=pci-0000_00_1b_0
        property SOUND_FORM_FACTOR=internal
        property SOUND_INITIALIZED=1
    "#]],
    );
}

#[test]
fn graphics() {
    let mut machine = Machine::new();
    let card = machine.add(&[
        PCI,
        ("0000:00:02.0", "pci", "", &[]),
        (
            "drm/card0",
            "drm",
            "MAJOR=226\nMINOR=0\nDEVNAME=dri/card0\nDEVTYPE=drm_minor\n",
            &[],
        ),
    ]);
    machine.check(
        "add",
        &card,
        &expect![[r#"
        group video
        mode 0660
        tags master-of-seat seat uaccess
        link dri/by-path/pci-0000:00:02.0-card
        property ID_FOR_SEAT=drm-pci-0000_00_02_0
        property ID_PATH=pci-0000:00:02.0
        property ID_PATH_TAG=pci-0000_00_02_0
    "#]],
    );
    let render = machine.add(&[
        PCI,
        ("0000:00:02.0", "pci", "", &[]),
        (
            "drm/renderD128",
            "drm",
            "MAJOR=226\nMINOR=128\nDEVNAME=dri/renderD128\nDEVTYPE=drm_minor\n",
            &[],
        ),
    ]);
    machine.check(
        "add",
        &render,
        &expect![[r#"
        group render
        mode 0660
        tags uaccess
        link dri/by-path/pci-0000:00:02.0-render
        property ID_PATH=pci-0000:00:02.0
        property ID_PATH_TAG=pci-0000_00_02_0
    "#]],
    );
}
