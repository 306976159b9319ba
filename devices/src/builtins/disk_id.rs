//! `disk_id`: model and serial number of a disk, by what the kernel has read of it. No command is sent to it.
//!
//! | device        | attributes                                              | properties |
//! |---------------|---------------------------------------------------------|------------|
//! | ATA           | `vpd_pg89`, which holds IDENTIFY DEVICE; else `vpd_pg83` | those of `ata_id` |
//! | SCSI          | `vpd_pg83`, `vpd_pg80`, `vendor`, `model`, `rev`, `type` | those of `scsi_id` |
//! | CD drive      | the same                                                | `ID_CDROM` too |
//! | NVMe          | `model`, `serial`, `firmware_rev`, `wwid`, `nsid`       | `ID_MODEL`, `ID_SERIAL`, `ID_WWN` … |
//! | virtio        | `serial`                                                | `ID_SERIAL` |
//! | MMC           | `name`, `serial`                                        | `ID_NAME`, `ID_SERIAL` |
//! | device mapper | `dm/name`, `dm/uuid`, `dm/suspended`                    | `DM_NAME`, `DM_UUID`, `DM_SUSPENDED` |
//! | software RAID | `md/level`, `md/raid_disks`, `md/metadata_version`, `md/uuid` | `MD_LEVEL`, `MD_DEVICES`, `MD_METADATA`, `MD_UUID` |
//!
//! A CD drive of ATA has no serial number here, since the kernel reads none, and what a drive can do is not asked: both
//! need commands to it.

mod ata;
mod scsi;
#[cfg(test)]
mod tests;

use super::{put, words};
use crate::device::{Device, Properties};

/// What is known of the disk `device`, or of the tape or generic SCSI device.
pub(super) fn find(device: &Device) -> Properties {
    let mut found = Properties::new();
    if let Some(scsi) = device.nearest("scsi", Some("scsi_device")) {
        add_scsi(&mut found, &scsi);
    } else if let Some(nvme) = device.nearest("nvme", None) {
        add_nvme(&mut found, device, &nvme);
    } else if let Some(card) = device.nearest("mmc", None) {
        put(&mut found, "ID_NAME", words::name(&text(&card, "name")));
        put(&mut found, "ID_SERIAL", words::name(&text(&card, "serial")));
    } else if device.nearest("virtio", None).is_some() {
        put(
            &mut found,
            "ID_SERIAL",
            words::name(&text(device, "serial")),
        );
    }
    add_mapper(&mut found, device);
    add_raid(&mut found, device);
    found
}

fn add_scsi(found: &mut Properties, scsi: &Device) {
    let identity = scsi::Identity::of(scsi);
    let pages = scsi::Pages {
        serial: scsi.attribute_bytes("vpd_pg80").unwrap_or_default(),
        names: scsi.attribute_bytes("vpd_pg83").unwrap_or_default(),
    };
    if identity.is_drive() {
        put(found, "ID_CDROM", "1");
    }
    let data = scsi.attribute_bytes("vpd_pg89").unwrap_or_default();
    if let Some(data) = ata::identify_data(&data) {
        data.add_to(found);
    } else if identity.is_ata() || scsi.devpath().contains("/ata") {
        ata::add_without_data(found, &identity, &pages);
    } else {
        scsi::add(found, &identity, &pages);
    }
}

fn add_nvme(found: &mut Properties, device: &Device, nvme: &Device) {
    let (model, serial) = (text(nvme, "model"), text(nvme, "serial"));
    if !model.is_empty() && !serial.is_empty() {
        put(
            found,
            "ID_SERIAL",
            words::name(&format!("{model}_{serial}")),
        );
    }
    put(found, "ID_MODEL", printable(&model));
    put(found, "ID_MODEL_ENC", words::encoded(&model));
    put(found, "ID_SERIAL_SHORT", printable(&serial));
    put(found, "ID_REVISION", printable(&text(nvme, "firmware_rev")));
    // Of the namespace, which partitions have not.
    put(found, "ID_WWN", words::name(&text(device, "wwid")));
    put(found, "ID_NSID", words::name(&text(device, "nsid")));
}

fn add_mapper(found: &mut Properties, device: &Device) {
    put(found, "DM_NAME", printable(&text(device, "dm/name")));
    put(found, "DM_UUID", printable(&text(device, "dm/uuid")));
    put(found, "DM_SUSPENDED", text(device, "dm/suspended"));
}

fn add_raid(found: &mut Properties, device: &Device) {
    put(found, "MD_LEVEL", words::name(&text(device, "md/level")));
    put(
        found,
        "MD_DEVICES",
        words::name(&text(device, "md/raid_disks")),
    );
    put(
        found,
        "MD_METADATA",
        words::name(&text(device, "md/metadata_version")),
    );
    put(
        found,
        "MD_UUID",
        raid_uuid(&text(device, "md/uuid")).unwrap_or_default(),
    );
}

/// As `mdadm` writes it: four groups of eight digits.
fn raid_uuid(uuid: &str) -> Option<String> {
    let digits = uuid.replace('-', "");
    let is_one = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let group = |start: usize| digits.get(start..start + 8);
    is_one.then(|| Some([group(0)?, group(8)?, group(16)?, group(24)?].join(":")))?
}

/// An attribute without blanks around it.
fn text(device: &Device, attribute: &str) -> String {
    let text = device.attribute(attribute).unwrap_or_default();
    text.trim().to_owned()
}

/// The text itself, of which no character ends a line.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "_")
}
