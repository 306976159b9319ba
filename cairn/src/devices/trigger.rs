//! Having devices handled anew, as if they had come or changed just now.

use std::time::Duration;

use anyhow::Result;
use cairn_devices::daemon;
use cairn_devices::device::Device;
use cairn_devices::enumerate;
use cairn_devices::places::Places;
use cairn_devices::record::Records;
use cairn_devices::rules::matches;

use super::{named, settle};

/// Which devices; all if nothing is said. Patterns have `*` and `?`.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Of one of these subsystems.
    pub subsystems: Vec<String>,
    /// Of none of these.
    pub not_subsystems: Vec<String>,
    /// With one of these names.
    pub names: Vec<String>,
    /// With all these attributes, `name` or `name=value`.
    pub attributes: Vec<String>,
    /// With one of these properties, `NAME=value`.
    pub properties: Vec<String>,
    /// With all these tags.
    pub tags: Vec<String>,
    /// These, however they are named.
    pub devices: Vec<String>,
}

impl Selection {
    /// The devices, those first that others hang on.
    ///
    /// # Errors
    /// There is none of a name.
    pub fn devices(&self, places: &Places) -> Result<Vec<Device>> {
        let mut devices = if self.devices.is_empty() {
            enumerate::devices(&places.sys)
        } else {
            let devices = self.devices.iter().map(|name| named::find(places, name));
            devices.collect::<Result<_>>()?
        };
        let records = Records::of(&places.state);
        devices.retain(|device| self.has(device, &records));
        Ok(devices)
    }

    fn has(&self, device: &Device, records: &Records) -> bool {
        let subsystem = device.subsystem().unwrap_or_default();
        let is_any =
            |patterns: &[String], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        let has_attribute = |wanted: &String| {
            let (name, pattern) = wanted.split_once('=').unwrap_or((wanted, "*"));
            device
                .attribute(name)
                .is_some_and(|value| matches(pattern, &value))
        };
        let record = records.known(device);
        let has_property = |wanted: &String| {
            let (name, pattern) = wanted.split_once('=').unwrap_or((wanted, "*"));
            let value = record
                .properties
                .get(name)
                .or_else(|| device.uevent().get(name));
            value.is_some_and(|value| matches(pattern, value))
        };
        (self.subsystems.is_empty() || is_any(&self.subsystems, subsystem))
            && !is_any(&self.not_subsystems, subsystem)
            && (self.names.is_empty() || is_any(&self.names, &device.name()))
            && self.attributes.iter().all(has_attribute)
            && (self.properties.is_empty() || self.properties.iter().any(has_property))
            && self.tags.iter().all(|tag| record.tags.contains(tag))
    }
}

/// Asks the kernel for an event of each; what is gone by then is passed over. Gives how many there were, and waits for
/// the device manager if `patience` says so.
///
/// # Errors
/// Not root asks, or the device manager is not done in time.
pub fn trigger(
    places: &Places,
    devices: &[Device],
    action: &str,
    patience: Option<Duration>,
) -> Result<usize> {
    let mut count = 0;
    for device in devices {
        match daemon::trigger(&device.path(), action) {
            Ok(()) => count += 1,
            // It is gone, or its driver cannot.
            Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => {
                log::debug!("{error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(patience) = patience {
        settle::settle(places, patience, None)?;
    }
    Ok(count)
}
