//! What happens to devices, as it happens.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Result;
use cairn_devices::broadcast::Broadcast;
use cairn_devices::device::Properties;
use cairn_sys::uevent::{Received, UeventSocket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What the kernel says.
    pub kernel: bool,
    /// What the rules have made of it.
    pub rules: bool,
    /// Properties too.
    pub properties: bool,
    /// Only these subsystems, if there are any.
    pub subsystems: Vec<String>,
}

/// Shows it until nobody reads it any more.
///
/// # Errors
/// The kernel's.
pub fn monitor(shown: &Shown, out: &mut impl Write) -> Result<()> {
    let mut kernel = UeventSocket::open()?;
    let rules = Broadcast::listener()?;
    loop {
        let sources = [kernel.as_fd(), rules.as_fd()];
        let mut sources = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let mut text = String::new();
        loop {
            match kernel.receive()? {
                Received::Event(event) if shown.kernel => {
                    text += &line(
                        "KERNEL",
                        &event.action,
                        &event.devpath,
                        &event.fields,
                        shown,
                    );
                }
                Received::Event(_) => {}
                Received::Overrun => log::warn!("events were lost"),
                Received::Empty => break,
            }
        }
        while let Some(properties) = rules.receive()? {
            if shown.rules {
                let field = |name: &str| properties.get(name).cloned().unwrap_or_default();
                text += &line(
                    "UDEV",
                    &field("ACTION"),
                    &field("DEVPATH"),
                    &properties,
                    shown,
                );
            }
        }
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}

fn line(source: &str, action: &str, devpath: &str, fields: &Properties, shown: &Shown) -> String {
    let subsystem = fields
        .get("SUBSYSTEM")
        .map(String::as_str)
        .unwrap_or_default();
    if !shown.subsystems.is_empty() && !shown.subsystems.iter().any(|wanted| wanted == subsystem) {
        return String::new();
    }
    let mut text = format!("{source:<6} {action:<8} {devpath} ({subsystem})\n");
    if shown.properties {
        let lines = fields
            .iter()
            .map(|(name, value)| super::shown(&format!("{name}={value}")) + "\n");
        text.extend(lines);
        text.push('\n');
    }
    text
}
