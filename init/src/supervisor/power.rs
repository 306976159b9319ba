//! Power buttons: event devices with a power key, those there at the start and those plugged in.

use std::fs;
use std::io;
use std::path::Path;

use cairn_sys::input::PowerButton;
use cairn_sys::uevent::{Received, UeventSocket};

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

/// What the kernel's device events brought.
#[derive(Debug, Default)]
pub struct News {
    /// Buttons that have appeared.
    pub buttons: Vec<PowerButton>,
}

/// Reads all device events that have come.
///
/// # Errors
/// The socket is broken.
pub fn news(socket: &mut UeventSocket) -> io::Result<News> {
    let mut news = News::default();
    loop {
        match socket.receive()? {
            Received::Empty => return Ok(news),
            Received::Overrun => news.buttons = present(),
            Received::Event(event) => {
                let device = event
                    .field("DEVNAME")
                    .map(|name| Path::new("/dev").join(name));
                if event.action == "add"
                    && let Some(device) = device.filter(|device| is_event_device(device))
                {
                    news.buttons.extend(open(&device));
                }
            }
        }
    }
}

fn is_event_device(path: &Path) -> bool {
    path.starts_with(DEVICES)
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("event"))
}

fn open(path: &Path) -> Option<PowerButton> {
    match PowerButton::open(path) {
        Ok(button) => button,
        Err(error) => {
            // It may have gone again already.
            log::info!("cannot look for a power key on {}: {error}", path.display());
            None
        }
    }
}
