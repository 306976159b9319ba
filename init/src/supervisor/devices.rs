//! What the kernel's device events mean for the supervisor.

use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::input::PowerButton;
use cairn_sys::uevent::{Received, Uevent, UeventSocket};

use super::hotplug::Wishes;
use super::power;

/// Reads all device events that have come: modules that are wished for go to `wishes`, buttons
/// that have appeared are returned.
///
/// # Errors
/// The socket is broken.
pub fn news(socket: &mut UeventSocket, wishes: &mut Wishes) -> io::Result<Vec<PowerButton>> {
    let mut buttons = Vec::new();
    loop {
        match socket.receive()? {
            Received::Empty => return Ok(buttons),
            Received::Overrun => {
                wishes.look_at_everything();
                buttons = power::present();
            }
            Received::Event(event) => {
                if let Some(alias) = alias(&event) {
                    wishes.add(alias);
                }
                buttons.extend(event_device(&event).and_then(|path| power::open(&path)));
            }
        }
    }
}

/// What a device that has come calls itself.
fn alias(event: &Uevent) -> Option<&str> {
    (event.action == "add").then(|| event.field("MODALIAS"))?
}

/// The node of an input device that has come.
fn event_device(event: &Uevent) -> Option<PathBuf> {
    let name = event.field("DEVNAME").filter(|_| event.action == "add")?;
    let path = Path::new("/dev").join(name);
    power::is_event_device(&path).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, field: &str, value: &str) -> Uevent {
        Uevent {
            action: action.to_owned(),
            devpath: "/devices/x".to_owned(),
            fields: [(field.to_owned(), value.to_owned())].into(),
        }
    }

    #[test]
    fn only_what_comes_counts() {
        let usb = "usb:v46F4p0001d0000dc00";
        assert_eq!(alias(&event("add", "MODALIAS", usb)), Some(usb));
        assert_eq!(alias(&event("remove", "MODALIAS", usb)), None);
        assert_eq!(alias(&event("add", "DEVNAME", "sda")), None);
        assert_eq!(
            event_device(&event("add", "DEVNAME", "input/event3")),
            Some("/dev/input/event3".into())
        );
        assert_eq!(event_device(&event("add", "DEVNAME", "input/mouse0")), None);
        assert_eq!(
            event_device(&event("remove", "DEVNAME", "input/event3")),
            None
        );
    }
}
