//! Timers: what starts services at given times.

use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::name::ServiceName;

/// One timer. Whichever of its times comes first starts the service; if that is up or on its way,
/// nothing happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options that do not depend on each other"
)]
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
    /// So many milliseconds after the timer has come: with the boot, or with the generation that has brought it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_active_ms: Vec<u64>,
    /// So many milliseconds after the service was last started.
    #[serde(default)]
    pub after_start_ms: Vec<u64>,
    /// So many milliseconds after the service was last down.
    #[serde(default)]
    pub after_stop_ms: Vec<u64>,
    /// A time of `calendar` that passed while the machine was off is made up for at the next boot.
    #[serde(default)]
    pub persistent: bool,
    /// Each time of a clock is put off by up to so many milliseconds, by chance.
    #[serde(default)]
    pub random_delay_ms: u64,
    /// That delay is always the same on this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fixed_delay: bool,
    /// When somebody sets the wall clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_change: bool,
    /// When the time zone becomes another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zone_change: bool,
}
