//! Lines to elsewhere.

use expect_test::expect;

use crate::machine::{Machine, PCI};

#[test]
fn a_serial_adapter_with_two_lines() {
    let mut machine = Machine::new();
    let line = machine.add(&[
        PCI,
        ("0000:00:14.0", "pci", "", &[]),
        ("usb1", "usb", "DEVTYPE=usb_device", &[]),
        (
            "1-3",
            "usb",
            "DEVTYPE=usb_device",
            &[
                ("idVendor", "0403"),
                ("idProduct", "6001"),
                ("manufacturer", "FTDI"),
                ("product", "FT232R USB UART"),
                ("serial", "A1"),
            ],
        ),
        (
            "1-3:1.0",
            "usb",
            "DEVTYPE=usb_interface",
            &[("bInterfaceNumber", "00"), ("bInterfaceClass", "ff")],
        ),
        ("ttyUSB0", "usb-serial", "", &[("port_number", "0")]),
        (
            "tty/ttyUSB0",
            "tty",
            "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n",
            &[],
        ),
    ]);
    machine.check(
        "add",
        &line,
        &expect![[r#"
        group dialout
        mode 0660
        link serial/by-id/usb-FTDI_FT232R_USB_UART_A1-if00-port0
        link serial/by-path/pci-0000:00:14.0-usb-0:3:1.0-port0
        property .ID_PORT=0
        property ID_BUS=usb
        property ID_MODEL=FT232R_USB_UART
        property ID_MODEL_ENC=FT232R\x20USB\x20UART
        property ID_MODEL_ID=6001
        property ID_PATH=pci-0000:00:14.0-usb-0:3:1.0
        property ID_PATH_TAG=pci-0000_00_14_0-usb-0_3_1_0
        property ID_SERIAL=FTDI_FT232R_USB_UART_A1
        property ID_SERIAL_SHORT=A1
        property ID_TYPE=generic
        property ID_USB_INTERFACE_NUM=00
        property ID_USB_MODEL=FT232R_USB_UART
        property ID_USB_MODEL_ENC=FT232R\x20USB\x20UART
        property ID_USB_MODEL_ID=6001
        property ID_USB_SERIAL=FTDI_FT232R_USB_UART_A1
        property ID_USB_SERIAL_SHORT=A1
        property ID_USB_TYPE=generic
        property ID_USB_VENDOR=FTDI
        property ID_USB_VENDOR_ENC=FTDI
        property ID_USB_VENDOR_ID=0403
        property ID_VENDOR=FTDI
        property ID_VENDOR_ENC=FTDI
        property ID_VENDOR_ID=0403
    "#]],
    );
}

#[test]
fn a_network_interface() {
    let mut machine = Machine::new();
    let interface = machine.add(&[
        PCI,
        ("0000:00:03.0", "pci", "", &[]),
        ("virtio2", "virtio", "", &[]),
        (
            "net/eth0",
            "net",
            "INTERFACE=eth0\nIFINDEX=2\n",
            &[
                ("type", "1"),
                ("ifindex", "2"),
                ("iflink", "2"),
                ("addr_assign_type", "0"),
                ("address", "52:54:00:12:34:56"),
            ],
        ),
    ]);
    machine.check(
        "add",
        &interface,
        &expect![[r#"
        property ID_BUS=pci
        property ID_NET_NAME_MAC=enx525400123456
        property ID_NET_NAME_PATH=enp0s3
        property ID_NET_NAMING_SCHEME=v252
        property ID_PATH=pci-0000:00:03.0
        property ID_PATH_TAG=pci-0000_00_03_0
    "#]],
    );
}
