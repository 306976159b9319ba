//! `net_id`: names for a network interface that do not depend on the order in which interfaces are found. Nobody is
//! renamed by it: a rule may.
//!
//! ```text
//! en                   Ethernet; wl WLAN, ww WWAN, ib InfiniBand, sl serial line
//!   x<address>         ID_NET_NAME_MAC, if the address is the device's own
//!   o<index>           ID_NET_NAME_ONBOARD, by the firmware's number
//!   [P<domain>]p<bus>s<slot>[f<function>][n<port>|d<port>]        ID_NET_NAME_PATH
//!   [P<domain>]s<slot>[f<function>][n<port>|d<port>]              ID_NET_NAME_SLOT
//!   …v<number>         of a virtual function
//!   …u<port>…[c<configuration>][i<interface>]                     behind USB
//! ```
//!
//! Covered are interfaces on PCI, on USB below PCI, and of virtio below PCI; not those of a device tree, of s390 and of
//! hypervisors other than these.
//!
//! Source: `systemd.net-naming-scheme(7)`, scheme v252.

mod pci;

use super::{put, words};
use crate::device::{Device, Properties};

const SCHEME: &str = "v252";

const ETHERNET: u32 = 1;
const INFINIBAND: u32 = 32;
const SLIP: u32 = 256;

/// The names of the interface `device`; none for what is made by software.
pub(super) fn find(device: &Device) -> Option<Properties> {
    if device.subsystem() != Some("net") || is_stacked(device) {
        return None;
    }
    let kind = number(device, "type")?;
    let prefix = prefix(device, kind)?;
    let mut found = Properties::new();
    put(&mut found, "ID_NET_NAMING_SCHEME", SCHEME);
    if let Some(address) = own_address(device) {
        put(&mut found, "ID_NET_NAME_MAC", format!("{prefix}x{address}"));
    }
    let Some((pci, usb)) = place(device) else {
        return Some(found);
    };
    let port = port(device, kind);
    if usb.is_empty()
        && let Some(index) = pci::onboard(&pci)
    {
        put(
            &mut found,
            "ID_NET_NAME_ONBOARD",
            format!("{prefix}o{index}{port}"),
        );
        let label = pci.attribute("label").unwrap_or_default();
        put(&mut found, "ID_NET_LABEL_ONBOARD", words::name(&label));
    }
    if let Some(names) = pci::names(&pci, if usb.is_empty() { &port } else { "" }) {
        put(
            &mut found,
            "ID_NET_NAME_PATH",
            format!("{prefix}{}{usb}", names.path),
        );
        if let Some(slot) = names.slot {
            put(
                &mut found,
                "ID_NET_NAME_SLOT",
                format!("{prefix}{slot}{usb}"),
            );
        }
    }
    Some(found)
}

/// Whether it is on top of another interface, as a VLAN is.
fn is_stacked(device: &Device) -> bool {
    device.attribute("iflink") != device.attribute("ifindex")
}

fn prefix(device: &Device, kind: u32) -> Option<&'static str> {
    Some(match (kind, device.kind()) {
        (ETHERNET, Some("wlan")) => "wl",
        (ETHERNET, Some("wwan")) => "ww",
        (ETHERNET, _) => "en",
        (INFINIBAND, _) => "ib",
        (SLIP, _) => "sl",
        _ => return None,
    })
}

/// Six bytes that are not by chance and not stolen from another.
fn own_address(device: &Device) -> Option<String> {
    const PERMANENT: u32 = 0;
    if number(device, "addr_assign_type")? != PERMANENT {
        return None;
    }
    let address = device.attribute("address")?.replace(':', "").to_lowercase();
    let is_one = address.len() == 12
        && address.bytes().all(|byte| byte.is_ascii_hexdigit())
        && address.bytes().any(|byte| byte != b'0');
    is_one.then_some(address)
}

/// Which of a device's ports it is.
fn port(device: &Device, kind: u32) -> String {
    let name = device.attribute("phys_port_name").unwrap_or_default();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !name.is_empty() && is_plain {
        return format!("n{name}");
    }
    let mut port = number(device, "dev_port").unwrap_or_default();
    if port == 0 && kind == INFINIBAND {
        port = number(device, "dev_id").unwrap_or_default();
    }
    match port {
        0 => String::new(),
        port => format!("d{port}"),
    }
}

/// The PCI device that it is plugged in by, and what USB adds.
fn place(device: &Device) -> Option<(Device, String)> {
    let mut parent = device.parent()?;
    if parent.subsystem() == Some("virtio") {
        parent = parent.parent()?;
    }
    match parent.subsystem()? {
        "pci" => Some((parent, String::new())),
        "usb" => {
            let interface = parent.nearest("usb", Some("usb_interface"))?;
            let usb = usb(&interface.name())?;
            Some((interface.nearest("pci", None)?, usb))
        }
        _ => None,
    }
}

/// `1-2.3:1.0` as `u2u3`.
fn usb(name: &str) -> Option<String> {
    let (_, name) = name.split_once('-')?;
    let (ports, rest) = name.split_once(':')?;
    let (configuration, interface) = rest.split_once('.')?;
    let numbers = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    if ![ports, configuration, interface].into_iter().all(numbers) {
        return None;
    }
    let mut text = vec![format!("u{}", ports.replace('.', "u"))];
    if configuration != "1" {
        text.push(format!("c{configuration}"));
    }
    if interface != "0" {
        text.push(format!("i{interface}"));
    }
    Some(text.concat())
}

/// A number, in hexadecimal if it begins so.
fn number(device: &Device, attribute: &str) -> Option<u32> {
    let text = device.attribute(attribute)?;
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::tree::{Tree, text};
    use super::*;

    const PCI: &str = "/devices/pci0000:00/0000:00:1c.0/0000:03:00.0";

    const USUAL: [(&str, &str); 6] = [
        ("type", "1"),
        ("iflink", "2"),
        ("ifindex", "2"),
        ("addr_assign_type", "0"),
        ("address", "52:54:00:12:34:5A"),
        ("dev_port", "0"),
    ];

    /// An interface below the device at `parent`, with these attributes beside the usual ones.
    fn interface(tree: &Tree, parent: &str, uevent: &str, attributes: &[(&str, &str)]) -> Device {
        let devpath = format!("{parent}/net/eth0");
        tree.device(&devpath, Some("net"), uevent);
        tree.attributes(&devpath, &USUAL);
        tree.attributes(&devpath, attributes);
        tree.open(&devpath)
    }

    fn machine() -> Tree {
        let tree = Tree::new();
        tree.device("/devices/pci0000:00", None, "");
        tree.device("/devices/pci0000:00/0000:00:1c.0", Some("pci"), "");
        tree.attributes("/devices/pci0000:00/0000:00:1c.0", &[("class", "0x060400")]);
        tree.device(PCI, Some("pci"), "");
        tree
    }

    fn check(device: &Device, expected: &Expect) {
        expected.assert_eq(&text(find(device)));
    }

    #[test]
    fn on_a_card() {
        let tree = machine();
        tree.attributes("/bus/pci/slots/4", &[("address", "0000:03:00")]);
        tree.attributes("/bus/pci/slots/left", &[("address", "0000:03:00")]);
        tree.bytes(PCI, "config", &[0x80; 64]);
        check(
            &interface(&tree, PCI, "", &[("phys_port_name", "p1")]),
            &expect![[r"
                ID_NET_NAME_MAC=enx52540012345a
                ID_NET_NAME_PATH=enp3s0f0np1
                ID_NET_NAME_SLOT=ens4f0np1
                ID_NET_NAMING_SCHEME=v252
            "]],
        );
    }

    #[test]
    fn a_slot_of_a_bridge_is_not_the_interfaces() {
        let tree = machine();
        tree.attributes("/bus/pci/slots/4", &[("address", "0000:00:1c")]);
        check(
            &interface(&tree, PCI, "DEVTYPE=wlan", &[("addr_assign_type", "3")]),
            &expect![[r"
                ID_NET_NAME_PATH=wlp3s0
                ID_NET_NAMING_SCHEME=v252
            "]],
        );
    }

    #[test]
    fn on_the_board() {
        let tree = machine();
        tree.attributes(PCI, &[("index", "1"), ("label", "Onboard LAN")]);
        check(
            &interface(&tree, PCI, "", &[("dev_port", "1")]),
            &expect![[r"
                ID_NET_LABEL_ONBOARD=Onboard_LAN
                ID_NET_NAME_MAC=enx52540012345a
                ID_NET_NAME_ONBOARD=eno1d1
                ID_NET_NAME_PATH=enp3s0d1
                ID_NET_NAMING_SCHEME=v252
            "]],
        );
    }

    #[test]
    fn of_virtio_and_in_another_domain() {
        let tree = Tree::new();
        let pci = "/devices/pci0001:00/0001:00:03.0";
        tree.device(pci, Some("pci"), "");
        tree.device(&format!("{pci}/virtio2"), Some("virtio"), "");
        check(
            &interface(&tree, &format!("{pci}/virtio2"), "", &[]),
            &expect![[r"
                ID_NET_NAME_MAC=enx52540012345a
                ID_NET_NAME_PATH=enP1p0s3
                ID_NET_NAMING_SCHEME=v252
            "]],
        );
    }

    #[test]
    fn behind_usb() {
        let tree = Tree::new();
        let pci = "/devices/pci0000:00/0000:00:14.0";
        tree.device(pci, Some("pci"), "");
        let device = format!("{pci}/usb1/1-2/1-2.3");
        tree.device(&device, Some("usb"), "DEVTYPE=usb_device");
        let usb = format!("{device}/1-2.3:2.1");
        tree.device(&usb, Some("usb"), "DEVTYPE=usb_interface");
        check(
            &interface(&tree, &usb, "DEVTYPE=wwan", &[]),
            &expect![[r"
                ID_NET_NAME_MAC=wwx52540012345a
                ID_NET_NAME_PATH=wwp0s20u2u3c2i1
                ID_NET_NAMING_SCHEME=v252
            "]],
        );
    }

    #[test]
    fn a_virtual_function() {
        let tree = machine();
        let own = "/devices/pci0000:00/0000:00:1c.0/0000:03:10.1";
        tree.device(own, Some("pci"), "");
        tree.link(own, "physfn", PCI);
        tree.link(PCI, "virtfn2", own);
        check(
            &interface(&tree, own, "", &[]),
            &expect![[r"
                ID_NET_NAME_MAC=enx52540012345a
                ID_NET_NAME_PATH=enp3s0v2
                ID_NET_NAMING_SCHEME=v252
            "]],
        );
    }

    #[test]
    fn what_has_no_names() {
        let tree = Tree::new();
        let vlan = interface(&tree, "/devices/virtual", "", &[("iflink", "7")]);
        check(&vlan, &expect!["none\n"]);
        let tree = Tree::new();
        let loopback = interface(&tree, "/devices/virtual", "", &[("type", "772")]);
        check(&loopback, &expect!["none\n"]);
        assert_eq!(usb("1-2"), None);
        assert_eq!(usb("1-2/x:1.0"), None);
    }
}
