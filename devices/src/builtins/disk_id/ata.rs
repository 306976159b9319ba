//! Disks of ATA: the data of IDENTIFY DEVICE, which the SCSI layer has in its page 89.
//!
//! ```text
//! page 89   56 the command, EC or A1   60 the data, 256 words, little-endian
//! word      0 kind  10 serial number, 20 bytes  23 firmware, 8  27 model, 40   bytes of each word swapped
//!           76 speeds of SATA  82, 83 what it can do  85 what is on  87 bit 8: it has a name of its own
//!           108 that name, four words, the first is the highest  217 revolutions per minute; 1: none, as of an SSD
//! ```
//!
//! Source: ATA/ATAPI Command Set 3 (T13/2161-D), 7.12.7; SCSI/ATA Translation 3 (T10/2197-D), 12.4.2.

use super::super::{put, words};
use super::scsi::{Identity, Pages};
use crate::device::Properties;

/// The data of IDENTIFY DEVICE.
pub(super) struct IdentifyData<'p>(&'p [u8]);

/// The data in `page`; none if there are not all of it.
pub(super) fn identify_data(page: &[u8]) -> Option<IdentifyData<'_>> {
    const BYTES: usize = 512;
    const START: usize = 60;
    let data = page.get(START..START + BYTES)?;
    let data = IdentifyData(data);
    let is_page = page.get(1) == Some(&0x89);
    (is_page && !data.text(27, 40).trim().is_empty()).then_some(data)
}

impl IdentifyData<'_> {
    fn word(&self, number: usize) -> u16 {
        let pair = self.0.get(number * 2..number * 2 + 2);
        match pair {
            Some(&[low, high]) => u16::from_le_bytes([low, high]),
            _ => 0,
        }
    }

    fn has(&self, word: usize, bit: u32) -> bool {
        self.word(word) >> bit & 1 == 1
    }

    fn text(&self, word: usize, bytes: usize) -> String {
        let words = (word..word + bytes / 2).map(|number| self.word(number).to_be_bytes());
        let bytes: Vec<u8> = words.flatten().take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Adds the properties of `ata_id`.
    pub(super) fn add_to(&self, found: &mut Properties) {
        put(found, "ID_ATA", "1");
        put(found, "ID_BUS", "ata");
        put(found, "ID_TYPE", self.kind());
        add_names(
            found,
            &self.text(27, 40),
            &self.text(10, 20),
            &self.text(23, 8),
        );
        if self.has(87, 8) && self.word(87) & 0xC000 == 0x4000 {
            let name = (108..112).fold(0, |name, word| name << 16 | u64::from(self.word(word)));
            add_world_wide_name(found, name);
        }
        self.add_abilities(found);
    }

    fn kind(&self) -> &'static str {
        let word = self.word(0);
        if word & 0x8000 == 0 {
            return "disk";
        }
        match word >> 8 & 0x1F {
            0 => "disk",
            1 => "tape",
            5 => "cd",
            4 | 7 => "optical",
            _ => "generic",
        }
    }

    fn add_abilities(&self, found: &mut Properties) {
        // Name, bit of words 82 and 85: whether it can, whether it is on.
        const FEATURES: [(&str, u32); 4] = [
            ("WRITE_CACHE", 5),
            ("FEATURE_SET_SMART", 0),
            ("FEATURE_SET_SECURITY", 1),
            ("FEATURE_SET_PM", 3),
        ];
        if matches!(self.word(82), 0 | 0xFFFF) {
            return;
        }
        for (name, bit) in FEATURES {
            if self.has(82, bit) {
                put(found, &format!("ID_ATA_{name}"), "1");
                let is_on = if self.has(85, bit) { "1" } else { "0" };
                put(found, &format!("ID_ATA_{name}_ENABLED"), is_on);
            }
        }
        let speeds = self.word(76);
        if !matches!(speeds, 0 | 0xFFFF) {
            put(found, "ID_ATA_SATA", "1");
            for generation in [1, 2] {
                if speeds >> generation & 1 == 1 {
                    let name = format!("ID_ATA_SATA_SIGNAL_RATE_GEN{generation}");
                    put(found, &name, "1");
                }
            }
        }
        match self.word(217) {
            1 => put(found, "ID_ATA_ROTATION_RATE_RPM", "0"),
            rate @ 0x401..=0xFFFE => put(found, "ID_ATA_ROTATION_RATE_RPM", rate.to_string()),
            _ => {}
        }
    }
}

/// What is known of a disk, or CD drive, whose data the kernel does not show.
pub(super) fn add_without_data(found: &mut Properties, identity: &Identity, pages: &Pages) {
    put(found, "ID_ATA", "1");
    put(found, "ID_BUS", "ata");
    put(found, "ID_TYPE", identity.kind());
    let (model, serial) = pages.names_of_ata().unwrap_or_else(|| {
        let serial = pages.serial_number().unwrap_or_default();
        (identity.model.clone(), serial)
    });
    add_names(found, &model, &serial, &identity.revision);
    if let Some(name) = pages.world_wide_name() {
        add_world_wide_name(found, name);
    }
}

fn add_names(found: &mut Properties, model: &str, serial: &str, revision: &str) {
    let (name, short) = (words::name(model), words::name(serial));
    if short.is_empty() {
        put(found, "ID_SERIAL", name.as_str());
    } else {
        put(found, "ID_SERIAL", format!("{name}_{short}"));
    }
    put(found, "ID_SERIAL_SHORT", short);
    put(found, "ID_MODEL", name);
    put(found, "ID_MODEL_ENC", words::encoded(model));
    put(found, "ID_REVISION", words::name(revision));
}

fn add_world_wide_name(found: &mut Properties, name: u64) {
    // Five is that of a maker that is registered; anything else is a mistake of the disk's.
    if name >> 60 == 5 {
        put(found, "ID_WWN", format!("{name:#018x}"));
        put(found, "ID_WWN_WITH_EXTENSION", format!("{name:#018x}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_page(mut page in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(number) = page.get_mut(1) {
                *number = 0x89;
            }
            let mut found = Properties::new();
            if let Some(data) = identify_data(&page) {
                data.add_to(&mut found);
                prop_assert!(!found.values().any(|value| value.contains(['\n', '/', ' '])));
            }
        }
    }
}
