//! The part of an interface's name that PCI adds.

use std::fs;

use super::number;
use crate::device::Device;

/// The largest number of a device on the board that is believed.
const LARGEST_INDEX: u32 = 16383;
/// So many slots are looked at.
const SLOTS: usize = 4096;

/// Without what the kind of interface and USB add.
pub(super) struct Names {
    pub(super) path: String,
    /// None if no slot is known.
    pub(super) slot: Option<String>,
}

/// The number that the firmware gives a device on the board.
pub(super) fn onboard(pci: &Device) -> Option<u32> {
    let index = number(pci, "acpi_index").or_else(|| number(pci, "index"))?;
    (index <= LARGEST_INDEX).then_some(index)
}

/// By the place of `pci`; `port` is which of its interfaces this is.
pub(super) fn names(pci: &Device, port: &str) -> Option<Names> {
    if let Some((physical, number)) = physical(pci) {
        let names = names(&physical, port)?;
        return Some(Names {
            path: format!("{}v{number}", names.path),
            slot: names.slot.map(|slot| format!("{slot}v{number}")),
        });
    }
    let place = Place::parse(&pci.name())?;
    let mut function = place.function;
    if number(pci, "ari_enabled").is_some_and(|enabled| enabled != 0) {
        // With alternative routing the five bits of the slot belong to the function too.
        function += place.slot * 8;
    }
    let mut end = String::new();
    if function > 0 || has_functions(pci) {
        end = format!("f{function}");
    }
    end += port;
    let domain = match place.domain {
        0 => String::new(),
        domain => format!("P{domain}"),
    };
    Some(Names {
        path: format!("{domain}p{}s{}{end}", place.bus, place.slot),
        slot: slot(pci).map(|slot| format!("{domain}s{slot}{end}")),
    })
}

/// `0000:00:1f.2`.
struct Place {
    domain: u32,
    bus: u32,
    slot: u32,
    function: u32,
}

impl Place {
    fn parse(name: &str) -> Option<Self> {
        let hexadecimal = |text| u32::from_str_radix(text, 16).ok();
        let mut parts = name.split([':', '.']);
        let place = Self {
            domain: hexadecimal(parts.next()?)?,
            bus: hexadecimal(parts.next()?)?,
            slot: hexadecimal(parts.next()?)?,
            function: hexadecimal(parts.next()?)?,
        };
        (place.slot < 32 && place.function < 8 && parts.next().is_none()).then_some(place)
    }
}

/// Whether there are several functions, by the device's header.
fn has_functions(pci: &Device) -> bool {
    const HEADER_TYPE: usize = 14;
    const SEVERAL: u8 = 0x80;
    let header = pci.attribute_bytes("config").unwrap_or_default();
    header
        .get(HEADER_TYPE)
        .is_some_and(|kind| kind & SEVERAL != 0)
}

/// The device that `pci` is a virtual function of, and which.
fn physical(pci: &Device) -> Option<(Device, u32)> {
    let link = fs::read_link(pci.path().join("physfn")).ok()?;
    let name = link.file_name()?.to_str()?;
    let (above, own) = pci.devpath().rsplit_once('/')?;
    let physical = Device::open(pci.sys(), &format!("{above}/{name}")).ok()?;
    let number = fs::read_dir(physical.path()).ok()?.find_map(|entry| {
        let entry = entry.ok()?;
        let number = entry.file_name().to_str()?.strip_prefix("virtfn")?.parse();
        let target = fs::read_link(entry.path()).ok()?;
        number.ok().filter(|_| target.ends_with(own))
    })?;
    // Itself a virtual function of another it is not, whatever a link says.
    (!physical.path().join("physfn").exists()).then_some((physical, number))
}

/// The number of the slot that it, or a bridge to it alone, is plugged in to.
fn slot(pci: &Device) -> Option<u32> {
    const BRIDGE: &str = "0x0604";
    let slots = slots(pci);
    for device in pci.lineage() {
        if device.subsystem() != Some("pci") {
            return None;
        }
        let name = device.name();
        let place = name.rsplit_once('.').map(|(place, _)| place);
        let found = slots
            .iter()
            .find(|(_, address)| Some(address.as_str()) == place);
        let Some((number, _)) = found else {
            continue;
        };
        // Behind a bridge there may be others, and all would be named after its slot.
        let class = device.attribute("class").unwrap_or_default();
        let is_shared = class.starts_with(BRIDGE) && !has_functions(&device);
        return (!is_shared).then_some(*number);
    }
    None
}

/// Numbers and addresses, `0000:03:00`.
fn slots(pci: &Device) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir(pci.sys().join("bus/pci/slots")) else {
        return Vec::new();
    };
    let slots = entries.take(SLOTS).filter_map(|entry| {
        let entry = entry.ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let address = fs::read_to_string(entry.path().join("address")).ok()?;
        (number > 0).then(|| (number, address.trim_end().to_owned()))
    });
    slots.collect()
}
