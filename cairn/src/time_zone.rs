//! The time, and the zone in which times are shown and read.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cairn_system::LocalZone;

/// Where the machine's is.
const MACHINES: &str = "/etc/localtime";

/// Where zones are by name, after what `TZDIR` says.
const ZONES: [&str; 2] = ["/etc/zoneinfo", "/usr/share/zoneinfo"];

/// Since 1970. A clock before that is wrong, and any time is after it.
#[must_use]
pub fn since_epoch() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// The zone that the environment names (`TZ`), or else the machine's. Of one that cannot be read, it is UTC.
#[must_use]
pub fn machines() -> LocalZone {
    let named = std::env::var("TZ");
    let zone = match &named {
        Ok(name) => of_name(name.strip_prefix(':').unwrap_or(name)),
        Err(_) => read(Path::new(MACHINES)),
    };
    zone.unwrap_or_default()
}

/// A file's, or that of a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
fn of_name(name: &str) -> Option<LocalZone> {
    let own = std::env::var("TZDIR").ok();
    let folders = own.as_deref().into_iter().chain(ZONES);
    let mut files = folders.map(|folder| Path::new(folder).join(name));
    files
        .find_map(|file| read(&file))
        .or_else(|| LocalZone::of_rule(name).ok())
}

fn read(file: &Path) -> Option<LocalZone> {
    let bytes = fs::read(file).ok()?;
    match LocalZone::parse(&bytes) {
        Ok(zone) => Some(zone),
        Err(error) => {
            log::warn!("cannot use '{}': {error}", file.display());
            None
        }
    }
}
