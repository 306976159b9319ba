//! Timers: what starts services at given times.

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::name::ServiceName;

/// One timer. Whichever of its times comes first starts the service; if that is up or on its way,
/// nothing happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timer {
    /// Its name.
    pub name: ServiceName,
    /// What it starts.
    pub service: ServiceName,
    /// At these times of the wall clock.
    #[serde(default)]
    pub calendar: Vec<Calendar>,
    /// So many milliseconds after the machine has started.
    #[serde(default)]
    pub after_boot_ms: Vec<u64>,
    /// So many milliseconds after the service was last started.
    #[serde(default)]
    pub after_start_ms: Vec<u64>,
    /// So many milliseconds after the service was last down.
    #[serde(default)]
    pub after_stop_ms: Vec<u64>,
    /// A time of `calendar` that passed while the machine was off is made up for at the next boot.
    #[serde(default)]
    pub persistent: bool,
    /// Each time of `calendar` is put off by up to so many milliseconds, by chance.
    #[serde(default)]
    pub random_delay_ms: u64,
    /// When somebody sets the wall clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_change: bool,
    /// When the time zone becomes another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zone_change: bool,
}
