//! `usb_id`: what a USB device says that it is, or, of a disk behind USB, what its SCSI half says.
//!
//! ```text
//! descriptors  one after another: 0 length  1 type
//! interface    type 4, 9 bytes: 5 class  6 subclass  7 protocol
//! ```
//!
//! Each property is given twice, as `ID_…` and as `ID_USB_…`; the former not if another bus has named the device
//! already, as that of an ATA disk in a case with USB.
//!
//! Source: Universal Serial Bus Specification 2.0, section 9.6; USB Mass Storage Class 1.4.

use super::{put, words};
use crate::device::{Device, Properties};
use crate::event::Event;

const INTERFACE: u8 = 4;
const MASS_STORAGE: u8 = 8;

/// What is known by the device and the interface that the device of `event` is, or is below.
pub(super) fn find(event: &Event) -> Option<Properties> {
    let device = &event.device;
    let usb = device.nearest("usb", Some("usb_device"))?;
    let mut facts = Facts::default();
    if device.devpath() != usb.devpath() {
        let interface = device.nearest("usb", Some("usb_interface"))?;
        facts.add_interface(device, &interface);
    }
    facts.add_device(&usb);
    let is_ours = event.property("ID_BUS").is_none_or(|bus| bus == "usb");
    Some(facts.properties(is_ours))
}

/// A text of a device, as it stands and as a name.
#[derive(Debug, Default)]
struct Text {
    name: String,
    encoded: String,
}

impl Text {
    fn new(text: &str) -> Self {
        Self {
            name: words::name(text),
            encoded: words::encoded(text),
        }
    }

    fn or(self, text: Option<String>) -> Self {
        match text {
            Some(text) if self.name.is_empty() => Self::new(&text),
            _ => self,
        }
    }
}

#[derive(Debug, Default)]
struct Facts {
    vendor: Text,
    vendor_id: String,
    model: Text,
    model_id: String,
    revision: String,
    serial: String,
    kind: &'static str,
    /// Which of a device's disks.
    instance: String,
    interfaces: String,
    interface: String,
    driver: String,
}

impl Facts {
    fn add_interface(&mut self, device: &Device, interface: &Device) {
        let byte = |name| {
            let text = interface.attribute(name)?;
            u8::from_str_radix(text.trim(), 16).ok()
        };
        self.interface = interface.attribute("bInterfaceNumber").unwrap_or_default();
        self.driver = interface.driver().unwrap_or_default();
        let class = byte("bInterfaceClass").unwrap_or_default();
        if class != MASS_STORAGE {
            self.kind = kind_of(class);
            return;
        }
        let subclass = byte("bInterfaceSubClass").unwrap_or_default();
        self.kind = kind_of_storage(subclass);
        if matches!(subclass, 2 | 6) {
            self.add_scsi(device);
        }
    }

    fn add_scsi(&mut self, device: &Device) {
        let Some(scsi) = device.nearest("scsi", Some("scsi_device")) else {
            return;
        };
        let (Some(vendor), Some(model)) = (scsi.attribute("vendor"), scsi.attribute("model"))
        else {
            return;
        };
        // With the blanks that the fields of SCSI end with.
        self.vendor = Text::new(&format!("{vendor:<8}"));
        self.model = Text::new(&format!("{model:<16}"));
        self.kind = kind_of_scsi(&scsi.attribute("type").unwrap_or_default());
        self.revision = words::name(&scsi.attribute("rev").unwrap_or_default());
        // Some devices say the same of each of their disks.
        let name = scsi.name();
        if let Some((_, place)) = name
            .split_once(':')
            .and_then(|(_, rest)| rest.split_once(':'))
        {
            place.clone_into(&mut self.instance);
        }
    }

    fn add_device(&mut self, usb: &Device) {
        let attribute = |name| usb.attribute(name).filter(|text| !text.is_empty());
        self.interfaces = interfaces(&usb.attribute_bytes("descriptors").unwrap_or_default());
        self.vendor_id = attribute("idVendor").unwrap_or_default();
        self.model_id = attribute("idProduct").unwrap_or_default();
        let vendor = std::mem::take(&mut self.vendor);
        self.vendor = vendor
            .or(attribute("manufacturer"))
            .or(attribute("idVendor"));
        let model = std::mem::take(&mut self.model);
        self.model = model.or(attribute("product")).or(attribute("idProduct"));
        if self.revision.is_empty() {
            self.revision = words::name(&attribute("bcdDevice").unwrap_or_default());
        }
        // What is no serial number by the specification of mass storage is taken for none: such ones are the same on
        // many devices.
        let is_one = |text: &String| text.bytes().all(|b| (0x20..0x80).contains(&b) && b != b',');
        self.serial = words::name(&attribute("serial").filter(is_one).unwrap_or_default());
    }

    fn properties(self, is_ours: bool) -> Properties {
        let mut serial = format!("{}_{}", self.vendor.name, self.model.name);
        if !self.serial.is_empty() {
            serial = format!("{serial}_{}", self.serial);
        }
        if !self.instance.is_empty() {
            serial = format!("{serial}-{}", self.instance);
        }
        let facts = [
            ("VENDOR", self.vendor.name),
            ("VENDOR_ENC", self.vendor.encoded),
            ("VENDOR_ID", self.vendor_id),
            ("MODEL", self.model.name),
            ("MODEL_ENC", self.model.encoded),
            ("MODEL_ID", self.model_id),
            ("REVISION", self.revision),
            ("SERIAL", serial),
            ("SERIAL_SHORT", self.serial),
            ("TYPE", self.kind.to_owned()),
            ("INSTANCE", self.instance),
        ];
        let mut found = Properties::new();
        for (name, value) in facts {
            if is_ours {
                put(&mut found, &format!("ID_{name}"), value.as_str());
            }
            put(&mut found, &format!("ID_USB_{name}"), value);
        }
        if is_ours {
            put(&mut found, "ID_BUS", "usb");
        }
        put(&mut found, "ID_USB_INTERFACES", self.interfaces);
        put(&mut found, "ID_USB_INTERFACE_NUM", self.interface);
        put(&mut found, "ID_USB_DRIVER", self.driver);
        found
    }
}

/// Class, subclass and protocol of every interface, each once: `:080650:030101:`.
fn interfaces(descriptors: &[u8]) -> String {
    let mut found: Vec<String> = Vec::new();
    let mut rest = descriptors;
    while let [length, kind, ..] = rest {
        let Some((descriptor, next)) = rest.split_at_checked(usize::from((*length).max(2))) else {
            break;
        };
        if let (&INTERFACE, [_, _, _, _, _, class, subclass, protocol, ..]) = (kind, descriptor) {
            let text = format!("{class:02x}{subclass:02x}{protocol:02x}");
            if !found.contains(&text) {
                found.push(text);
            }
        }
        rest = next;
    }
    if found.is_empty() {
        return String::new();
    }
    format!(":{}:", found.join(":"))
}

fn kind_of(class: u8) -> &'static str {
    match class {
        1 => "audio",
        3 => "hid",
        6 => "media",
        7 => "printer",
        MASS_STORAGE => "storage",
        9 => "hub",
        0x0E => "video",
        _ => "generic",
    }
}

fn kind_of_storage(subclass: u8) -> &'static str {
    match subclass {
        1 => "rbc",
        2 => "atapi",
        3 => "tape",
        4 => "floppy",
        6 => "scsi",
        _ => "generic",
    }
}

/// By the number of SCSI's peripheral device type.
pub(super) fn kind_of_scsi(kind: &str) -> &'static str {
    match kind.trim() {
        "0" | "14" => "disk",
        "1" => "tape",
        "4" | "7" | "15" => "optical",
        "5" => "cd",
        _ => "generic",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::super::tree::{Tree, text};
    use super::*;

    const USB: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2";
    const DISK: &str =
        "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sdb";

    fn stick() -> Tree {
        let tree = Tree::new();
        let interface = format!("{USB}/1-2:1.0");
        let scsi = format!("{interface}/host6/target6:0:0/6:0:0:0");
        tree.device(USB, Some("usb"), "DEVTYPE=usb_device");
        tree.attributes(
            USB,
            &[
                ("idVendor", "46f4"),
                ("idProduct", "0001"),
                ("bcdDevice", "0000"),
                ("manufacturer", "QEMU"),
                ("product", "QEMU USB HARDDRIVE"),
                ("serial", "1-0000:00:14.0-2"),
            ],
        );
        let mut descriptors = vec![18, 1];
        descriptors.resize(18, 0);
        descriptors.extend([9, 2, 32, 0, 1, 1, 0, 0x80, 250]);
        descriptors.extend([9, 4, 0, 0, 2, 8, 6, 0x50, 0]);
        descriptors.extend([9, 4, 0, 1, 2, 8, 6, 0x50, 0]);
        descriptors.extend([9, 4, 1, 0, 2, 3, 1, 1, 0, 7]);
        tree.bytes(USB, "descriptors", &descriptors);
        tree.device(&interface, Some("usb"), "DEVTYPE=usb_interface");
        tree.link(&interface, "driver", "/bus/usb/drivers/usb-storage");
        tree.attributes(
            &interface,
            &[
                ("bInterfaceNumber", "00"),
                ("bInterfaceClass", "08"),
                ("bInterfaceSubClass", "06"),
            ],
        );
        tree.device(&scsi, Some("scsi"), "DEVTYPE=scsi_device");
        tree.attributes(
            &scsi,
            &[
                ("vendor", "QEMU    "),
                ("model", "QEMU HARDDISK   "),
                ("rev", "2.5+"),
                ("type", "0"),
            ],
        );
        tree.device(DISK, Some("block"), "DEVTYPE=disk");
        tree
    }

    #[test]
    fn a_disk() {
        expect![[r"
            ID_BUS=usb
            ID_INSTANCE=0:0
            ID_MODEL=QEMU_HARDDISK
            ID_MODEL_ENC=QEMU\x20HARDDISK\x20\x20\x20
            ID_MODEL_ID=0001
            ID_REVISION=2.5+
            ID_SERIAL=QEMU_QEMU_HARDDISK_1-0000:00:14.0-2-0:0
            ID_SERIAL_SHORT=1-0000:00:14.0-2
            ID_TYPE=disk
            ID_USB_DRIVER=usb-storage
            ID_USB_INSTANCE=0:0
            ID_USB_INTERFACES=:080650:030101:
            ID_USB_INTERFACE_NUM=00
            ID_USB_MODEL=QEMU_HARDDISK
            ID_USB_MODEL_ENC=QEMU\x20HARDDISK\x20\x20\x20
            ID_USB_MODEL_ID=0001
            ID_USB_REVISION=2.5+
            ID_USB_SERIAL=QEMU_QEMU_HARDDISK_1-0000:00:14.0-2-0:0
            ID_USB_SERIAL_SHORT=1-0000:00:14.0-2
            ID_USB_TYPE=disk
            ID_USB_VENDOR=QEMU
            ID_USB_VENDOR_ENC=QEMU\x20\x20\x20\x20
            ID_USB_VENDOR_ID=46f4
            ID_VENDOR=QEMU
            ID_VENDOR_ENC=QEMU\x20\x20\x20\x20
            ID_VENDOR_ID=46f4
        "]]
        .assert_eq(&text(find(&stick().event(DISK))));
    }

    #[test]
    fn a_disk_that_another_bus_has_named() {
        let mut event = stick().event(DISK);
        put(&mut event.properties, "ID_BUS", "ata");
        let tree = stick();
        event.device = tree.open(DISK);
        let found = find(&event).unwrap();
        assert!(!found.contains_key("ID_SERIAL") && !found.contains_key("ID_BUS"));
        assert_eq!(found.get("ID_USB_MODEL").unwrap(), "QEMU_HARDDISK");
    }

    #[test]
    fn the_device_itself() {
        let tree = stick();
        tree.attributes(USB, &[("serial", "a,b"), ("manufacturer", "")]);
        expect![[r"
            ID_BUS=usb
            ID_MODEL=QEMU_USB_HARDDRIVE
            ID_MODEL_ENC=QEMU\x20USB\x20HARDDRIVE
            ID_MODEL_ID=0001
            ID_REVISION=0000
            ID_SERIAL=46f4_QEMU_USB_HARDDRIVE
            ID_USB_INTERFACES=:080650:030101:
            ID_USB_MODEL=QEMU_USB_HARDDRIVE
            ID_USB_MODEL_ENC=QEMU\x20USB\x20HARDDRIVE
            ID_USB_MODEL_ID=0001
            ID_USB_REVISION=0000
            ID_USB_SERIAL=46f4_QEMU_USB_HARDDRIVE
            ID_USB_VENDOR=46f4
            ID_USB_VENDOR_ENC=46f4
            ID_USB_VENDOR_ID=46f4
            ID_VENDOR=46f4
            ID_VENDOR_ENC=46f4
            ID_VENDOR_ID=46f4
        "]]
        .assert_eq(&text(find(&tree.event(USB))));
    }

    proptest! {
        #[test]
        fn any_descriptors(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let text = interfaces(&bytes);
            prop_assert!(text.is_empty() || text.starts_with(':') && text.ends_with(':'));
        }
    }
}
