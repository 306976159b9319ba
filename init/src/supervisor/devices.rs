//! What the kernel's device events mean for the supervisor.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use cairn_sys::input::PowerButton;
use cairn_sys::reboot::Ending;
use cairn_sys::uevent::{Received, Uevent, UeventSocket};
use nix::sys::epoll::EpollFlags;

use super::hotplug::Wishes;
use super::services::Event;
use super::source::{Source, unwatch, watch};
use super::{Supervisor, power};
use crate::realm::realm;

/// Reads all device events that have come: modules that are wished for go to `wishes`, buttons
/// that have appeared are returned.
///
/// # Errors
/// The socket is broken.
fn news(socket: &mut UeventSocket, wishes: &mut Wishes) -> io::Result<Vec<PowerButton>> {
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

impl Supervisor {
    /// The kernel has something to say about devices.
    pub(super) fn device_news(&mut self) {
        let Some(socket) = &mut self.devices else {
            return;
        };
        let is_users = realm().owner.is_some();
        match news(socket, self.hotplug.wishes()) {
            // Drivers and buttons are the machine's.
            Ok(_) if is_users => *self.hotplug.wishes() = Wishes::default(),
            Ok(buttons) => self.add_buttons(buttons),
            Err(error) => {
                log::error!("cannot hear device events any more: {error}");
                unwatch(&self.epoll, socket.as_fd());
                self.devices = None;
            }
        }
        self.load_modules();
        self.look_at_devices();
    }

    /// Waits for names of devices that services are for.
    pub(super) fn watch_names_of_devices(&mut self) {
        let watched = self.presence.open().and_then(|queue| match queue {
            Some(queue) => watch(&self.epoll, queue, Source::Presence, EpollFlags::EPOLLIN),
            None => Ok(()),
        });
        if let Err(error) = watched.and_then(|()| self.presence.take()) {
            log::error!("cannot wait for devices: {error}");
        }
    }

    /// A name of a device may have come or gone.
    pub(super) fn names_of_devices(&mut self) {
        if let Err(error) = self.presence.take() {
            log::error!("cannot wait for devices: {error}");
        }
        self.look_at_devices();
    }

    /// Tells those services of which devices are there, or are not any more.
    pub(super) fn look_at_devices(&mut self) {
        for news in self.presence.look() {
            let id = news.id;
            if (news.is_another || !news.is_there) && self.services.is_news(id, false) {
                self.step(Event::Absent(id));
            }
            if news.is_there && self.services.is_news(id, true) {
                self.step(Event::Present(id));
            }
        }
    }

    /// Starts the helper if devices ask for modules, unless the system is about to end.
    pub(super) fn load_modules(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let watched = match self.hotplug.start(&self.tray) {
            Ok(None) => return,
            Ok(Some(pidfd)) => watch(&self.epoll, pidfd, Source::Modprobe, EpollFlags::EPOLLIN),
            Err(error) => Err(error),
        };
        if let Err(error) = watched {
            log::error!("cannot load modules for new devices: {error}");
        }
    }

    /// The helper has ended, or its pidfd woke us for nothing.
    pub(super) fn modprobe_ended(&mut self) {
        if let Some(helper) = self.hotplug.ended() {
            unwatch(&self.epoll, helper.pidfd.as_fd());
            self.load_modules();
        }
    }

    /// Watches power buttons.
    pub(super) fn add_buttons(&mut self, buttons: Vec<PowerButton>) {
        for button in buttons {
            let source = Source::Button(self.buttons.len());
            match watch(&self.epoll, button.as_fd(), source, EpollFlags::EPOLLIN) {
                Ok(()) => self.buttons.push(button),
                Err(error) => log::error!("cannot watch a power button: {error}"),
            }
        }
    }

    /// Something was pressed or unplugged.
    pub(super) fn button(&mut self, number: usize) {
        let Some(button) = self.buttons.get_mut(number) else {
            return;
        };
        match button.pressed() {
            Ok(true) => {
                log::info!("the power button was pressed");
                self.end(Ending::PowerOff);
            }
            Ok(false) => {}
            // Unplugged. Its number stays taken, so that the others keep theirs.
            Err(_) => unwatch(&self.epoll, button.as_fd()),
        }
    }
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
