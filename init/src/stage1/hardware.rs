//! The machine while it comes up: events of devices, modules for them, and what they hold.
//!
//! Nothing here sleeps: [`Hardware::wait_for`] waits on the socket of events and wakes when a
//! device comes, or when there is something to say about the waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cairn_sys::uevent::{Received, UeventSocket};
use cairn_system::{Device, Storage};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd};

use crate::autoload::Autoload;
use cairn_probe::Contents;

use super::block::{Ambiguous, Block, Blocks};
use super::failure::Stage1Error;
use super::storage::{Advance, Opener};

/// When the console is first told what is waited for.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// How long devices may take to come from storage that was started without some of its parts.
const AFTER_LAST_RESORT: Duration = Duration::from_secs(5);
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
    opener: Option<Opener>,
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
            opener: None,
        };
        for module in modules {
            if let Err(error) = hardware.autoload.load(module) {
                log::warn!("{error}; check boot.initrd.kernelModules");
            }
        }
        hardware.look_at_everything();
        Ok(hardware)
    }

    /// From now on opens what `wishes` names, whenever something is waited for.
    pub fn open_storage(&mut self, wishes: &Storage, timeout: Duration) {
        if *wishes != Storage::default() {
            self.opener = Some(Opener::new(wishes, timeout, self));
        }
    }

    /// Opens nothing any more, and forgets passphrases.
    pub fn close_storage(&mut self) {
        self.opener = None;
    }

    /// What opens storage, if something does.
    #[must_use]
    pub fn opener(&self) -> Option<&Opener> {
        self.opener.as_ref()
    }

    /// Asks something of the block devices.
    pub fn with_blocks<T>(&self, look: impl FnOnce(&Blocks) -> T) -> T {
        look(&self.blocks)
    }

    /// Readable when there are events to [drain](Self::drain).
    #[must_use]
    pub fn events(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
    /// It is not there after `timeout`, or there are several.
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
        let found = self
            .wait_until(&waiting, |blocks, _| blocks.find(device).transpose())
            .map_err(Stage1Error::Events)?
            .map_err(|waited| Stage1Error::NoDevice {
                mount_point: mount_point.to_owned(),
                device: device.clone(),
                waited,
            })?;
        let (node, contents) = found.map_err(|source| Stage1Error::Ambiguous {
            mount_point: mount_point.to_owned(),
            source,
        })?;
        Ok(Found { node, contents })
    }

    /// The device that is meant, if it is there.
    ///
    /// # Errors
    /// There are several.
    pub fn find(&self, device: &Device) -> Result<Option<Found>, Ambiguous> {
        let found = self.blocks.find(device)?;
        Ok(found.map(|(node, contents)| Found { node, contents }))
    }

    /// What `find` finds among the block devices, as soon as it does: it is asked again when one
    /// has come. If it finds nothing in time, the time that was waited. Storage is opened meanwhile;
    /// when the time is over, that which lacks a part is tried without it.
    ///
    /// # Errors
    /// The kernel's events cannot be read.
    pub fn wait_until<T>(
        &mut self,
        waiting: &Waiting<'_>,
        mut find: impl FnMut(&Blocks, &mut Autoload) -> Option<T>,
    ) -> io::Result<Result<T, Duration>> {
        self.wait(waiting, |hardware| {
            find(&hardware.blocks, &mut hardware.autoload)
        })
    }

    /// As [`Self::wait_until`], for something about the storage that is opened.
    ///
    /// # Errors
    /// As there.
    pub fn wait_for_opener(
        &mut self,
        waiting: &Waiting<'_>,
        mut done: impl FnMut(&Opener, &Blocks) -> bool,
    ) -> io::Result<Result<(), Duration>> {
        self.wait(waiting, |hardware| {
            let opener = hardware.opener.as_ref();
            opener
                .is_none_or(|opener| done(opener, &hardware.blocks))
                .then_some(())
        })
    }

    fn wait<T>(
        &mut self,
        waiting: &Waiting<'_>,
        mut find: impl FnMut(&mut Self) -> Option<T>,
    ) -> io::Result<Result<T, Duration>> {
        let start = Instant::now();
        let mut timeout = waiting.timeout;
        let mut next_word = FIRST_WORD;
        // Work is no waiting, nor is the time that a human takes to type.
        let mut worked = Duration::ZERO;
        loop {
            self.drain()?;
            if let Some(found) = find(self) {
                self.waited += start.elapsed().saturating_sub(worked);
                return Ok(Ok(found));
            }
            let begin = Instant::now();
            let wake = match self.advance() {
                Advance::Done => {
                    worked += begin.elapsed();
                    continue;
                }
                Advance::Idle(wake) => wake.unwrap_or(Duration::MAX),
            };
            let waited = start.elapsed().saturating_sub(worked);
            if waited >= timeout {
                if self.start_incomplete() {
                    timeout = waited + AFTER_LAST_RESORT;
                    continue;
                }
                self.waited += waited;
                return Ok(Err(waited));
            }
            if waited >= next_word {
                self.say_what_is_waited_for(waiting);
                next_word = waited + NEXT_WORD;
            }
            let next = next_word.min(timeout).saturating_sub(waited);
            self.sleep(next.min(wake))?;
        }
    }

    fn advance(&mut self) -> Advance {
        let Some(mut opener) = self.opener.take() else {
            return Advance::Idle(None);
        };
        let advance = opener.advance(self);
        self.opener = Some(opener);
        advance
    }

    fn start_incomplete(&mut self) -> bool {
        let Some(mut opener) = self.opener.take() else {
            return false;
        };
        let started = opener.start_incomplete(self);
        self.opener = Some(opener);
        started
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
    ///
    /// # Errors
    /// The kernel's events cannot be read.
    pub fn drain(&mut self) -> io::Result<()> {
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
