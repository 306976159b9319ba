//! The machine while it comes up: events of devices, modules for them, and what they hold.
//!
//! Nothing here sleeps: [`Hardware::wait_for`] waits on the socket of events and wakes when a
//! device comes, or when there is something to say about the waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cairn_sys::uevent::{Received, UeventSocket};
use cairn_system::Device;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use crate::autoload::Autoload;
use crate::probe::Contents;

use super::block::{Block, Blocks};
use super::failure::Stage1Error;

/// When the console is first told what is waited for.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// How often it is told afterwards.
const NEXT_WORD: Duration = Duration::from_secs(10);

/// Events, modules and block devices.
#[derive(Debug)]
pub struct Hardware {
    socket: UeventSocket,
    /// Modules, by name and alias.
    pub autoload: Autoload,
    blocks: Blocks,
    waited: Duration,
}

/// A device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its node.
    pub node: PathBuf,
    /// What it holds, as far as known.
    pub contents: Option<Contents>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// For people.
    pub what: &'a str,
    /// The mount point that it is for.
    pub purpose: &'a str,
    /// For how long.
    pub timeout: Duration,
}

impl Hardware {
    /// Starts to listen, loads what the devices that exist ask for, and reads the block devices.
    ///
    /// # Errors
    /// The kernel gives no socket for its events.
    pub fn start(autoload: Autoload, modules: &[String]) -> Result<Self, Stage1Error> {
        let mut hardware = Self {
            socket: UeventSocket::open().map_err(Stage1Error::Events)?,
            autoload,
            blocks: Blocks::new(Path::new("/sys"), Path::new("/dev")),
            waited: Duration::ZERO,
        };
        for module in modules {
            if let Err(error) = hardware.autoload.load(module) {
                log::warn!("{error}; check boot.initrd.kernelModules");
            }
        }
        hardware.look_at_everything();
        Ok(hardware)
    }

    /// All block devices, for a report.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.all()
    }

    /// The time spent waiting for devices so far.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The device that is meant, once it is there.
    ///
    /// # Errors
    /// It is not there after `timeout`.
    pub fn wait_for(
        &mut self,
        device: &Device,
        mount_point: &str,
        timeout: Duration,
    ) -> Result<Found, Stage1Error> {
        let waiting = Waiting {
            what: &device.to_string(),
            purpose: mount_point,
            timeout,
        };
        self.wait_until(&waiting, |blocks, _| blocks.find(device))
            .map_err(Stage1Error::Events)?
            .map(|(node, contents)| Found { node, contents })
            .map_err(|waited| Stage1Error::NoDevice {
                mount_point: mount_point.to_owned(),
                device: device.clone(),
                waited,
            })
    }

    /// The device that is meant, if it is there.
    pub fn find(&self, device: &Device) -> Option<Found> {
        let (node, contents) = self.blocks.find(device)?;
        Some(Found { node, contents })
    }

    /// What `find` finds among the block devices, as soon as it does: it is asked again when one
    /// has come. If it finds nothing in time, the time that was waited.
    ///
    /// # Errors
    /// The kernel's events cannot be read.
    pub fn wait_until<T>(
        &mut self,
        waiting: &Waiting<'_>,
        mut find: impl FnMut(&Blocks, &mut Autoload) -> Option<T>,
    ) -> io::Result<Result<T, Duration>> {
        let start = Instant::now();
        let mut next_word = FIRST_WORD;
        loop {
            self.drain()?;
            if let Some(found) = find(&self.blocks, &mut self.autoload) {
                self.waited += start.elapsed();
                return Ok(Ok(found));
            }
            let waited = start.elapsed();
            if waited >= waiting.timeout {
                self.waited += waited;
                return Ok(Err(waited));
            }
            if waited >= next_word {
                self.say_what_is_waited_for(waiting);
                next_word = waited + NEXT_WORD;
            }
            self.sleep(next_word.min(waiting.timeout).saturating_sub(waited))?;
        }
    }

    fn say_what_is_waited_for(&self, waiting: &Waiting<'_>) {
        log::warn!(
            "waiting up to {} s for {}, to mount {}; seen so far:",
            waiting.timeout.as_secs(),
            waiting.what,
            waiting.purpose
        );
        if self.blocks.all().next().is_none() {
            log::warn!("  no block device");
        }
        for block in self.blocks.all() {
            log::warn!("  {block}");
        }
    }

    /// Follows all events that are there. A module that is loaded brings further ones.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            match self.socket.receive()? {
                Received::Empty => return Ok(()),
                Received::Event(event) => {
                    log::trace!("event {} {}", event.action, event.devpath);
                    self.autoload.handle(&event);
                    self.blocks.handle(&event);
                }
                Received::Overrun => {
                    log::info!("events of devices were lost: looking at all devices again");
                    self.look_at_everything();
                }
            }
        }
    }

    fn look_at_everything(&mut self) {
        self.autoload.coldplug(Path::new("/sys"));
        self.blocks.scan();
    }

    /// Until an event comes, at most `time`.
    fn sleep(&self, time: Duration) -> io::Result<()> {
        // Rounded up: a rest of less than a millisecond must not become a busy loop.
        let time = time + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut sources = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
