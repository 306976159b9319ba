//! The part of a path that the buses below the SCSI layer add.
//!
//! ```text
//! ata1/host0/target0:0:0/0:0:0:0                          ata-1.0    port and device; of a multiplier 1.2.0
//! host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0       sas-phy0-lun-0, sas-exp0x…-phy0-lun-0, sas-0x…-lun-0
//! host0/rport-0:0-1/target0:0:1/0:0:1:0                   fc-0x…-lun-0
//! host6/target6:0:0/6:0:0:0                               scsi-0:0:0:0, the host counted from the first of the adapter
//! ```

use std::fs;

use super::Path;
use crate::device::Device;

/// Adds what the SCSI device `device` adds to the path, and gives the device whose parent is next: its host.
pub(super) fn step(path: &mut Path, device: Device) -> Device {
    if device.kind() != Some("scsi_device") {
        return device;
    }
    let (Some(address), Some(host)) = (
        Address::parse(&device.name()),
        device.nearest("scsi", Some("scsi_host")),
    ) else {
        return device;
    };
    let devpath = device.devpath();
    let part = if devpath.contains("/rport-") {
        fabric(&device, &address)
    } else if devpath.contains("/end_device-") {
        sas(&device, &address)
    } else if devpath.contains("/ata") {
        ata(path, &host, &address)
    } else {
        let number = number_of(&host, address.host);
        let Address {
            bus, target, lun, ..
        } = address;
        Some(format!("scsi-{number}:{bus}:{target}:{lun}"))
    };
    let Some(part) = part else {
        return device;
    };
    path.add(part);
    path.has_transport = true;
    host
}

/// `<host>:<bus>:<target>:<lun>`.
struct Address {
    host: u32,
    bus: u32,
    target: u32,
    lun: u64,
}

impl Address {
    fn parse(name: &str) -> Option<Self> {
        let mut numbers = name.split(':');
        let mut next = || numbers.next()?.parse().ok();
        let (host, bus, target) = (next()?, next()?, next()?);
        let lun = numbers.next()?.parse().ok()?;
        Some(Self {
            host,
            bus,
            target,
            lun,
        })
    }

    /// Large numbers as the eight bytes that SAM gives them.
    fn lun(&self) -> String {
        match self.lun {
            small @ 0..256 => format!("lun-{small}"),
            large => format!(
                "lun-0x{:04x}{:04x}00000000",
                large & 0xFFFF,
                large >> 16 & 0xFFFF
            ),
        }
    }
}

/// Hosts are numbered in the order in which they are found: counted from the first of the same adapter, they stay.
fn number_of(host: &Device, number: u32) -> u32 {
    let path = host.path();
    let Some(Ok(entries)) = path.parent().map(fs::read_dir) else {
        return number;
    };
    let numbers = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.strip_prefix("host")?.parse().ok()
    });
    number.saturating_sub(numbers.min().unwrap_or(0))
}

fn ata(path: &mut Path, host: &Device, address: &Address) -> Option<String> {
    let port = host.parent()?;
    let number = port.attribute(&format!("ata_port/{}/port_no", port.name()))?;
    path.ata_compatible = Some(format!("ata-{number}"));
    Some(match address.bus {
        0 => format!("ata-{number}.{}", address.target),
        multiplied => format!("ata-{number}.{multiplied}.0"),
    })
}

fn fabric(device: &Device, address: &Address) -> Option<String> {
    let target = device.nearest("scsi", Some("scsi_target"))?;
    let port = target.attribute(&format!("fc_transport/{}/port_name", target.name()))?;
    Some(format!("fc-{port}-{}", address.lun()))
}

fn sas(device: &Device, address: &Address) -> Option<String> {
    let end = above(device, "end_device-")?;
    let own = |attribute| end.attribute(&format!("sas_device/{}/{attribute}", end.name()));
    let port = above(&end, "port-")?;
    let phys = port.attribute(&format!("sas_port/{}/num_phys", port.name()))?;
    let lun = address.lun();
    if phys != "1" {
        return Some(format!("sas-{}-{lun}", own("sas_address")?));
    }
    let phy = own("phy_identifier")?;
    let Some(expander) = above(&port, "expander-") else {
        return Some(format!("sas-phy{phy}-{lun}"));
    };
    let name = format!("sas_device/{}/sas_address", expander.name());
    let name = expander.attribute(&name)?;
    Some(format!("sas-exp{name}-phy{phy}-{lun}"))
}

/// The next device above with such a name.
fn above(device: &Device, prefix: &str) -> Option<Device> {
    let mut above = device.lineage().skip(1);
    above.find(|device| device.name().starts_with(prefix))
}
