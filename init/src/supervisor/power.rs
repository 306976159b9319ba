//! Power buttons: event devices with a power key, those there at the start and those plugged in.

use std::fs;
use std::io;
use std::path::Path;

use cairn_sys::input::PowerButton;

/// Where event devices are.
const DEVICES: &str = "/dev/input";

/// Opens the buttons that are there now.
pub fn present() -> Vec<PowerButton> {
    let entries = match fs::read_dir(DEVICES) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            log::error!("cannot read {DEVICES}: {error}; power buttons do nothing");
            return Vec::new();
        }
    };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| is_event_device(path))
        .filter_map(|path| open(&path))
        .collect()
}

/// Whether it may be a button.
pub fn is_event_device(path: &Path) -> bool {
    path.starts_with(DEVICES)
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("event"))
}

/// Opens it if it has a power key.
pub fn open(path: &Path) -> Option<PowerButton> {
    match PowerButton::open(path) {
        Ok(button) => button,
        Err(error) => {
            // It may have gone again already.
            log::info!("cannot look for a power key on {}: {error}", path.display());
            None
        }
    }
}
