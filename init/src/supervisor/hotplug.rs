//! Modules for devices that come while the system runs, loaded by a helper process: a driver's
//! start has no bound, and the supervisor waits for nothing.
//!
//! Invariant: one helper at a time: the booted generation's `modprobe`. What comes meanwhile is gathered for
//! the next one. If it is too much, or the kernel has lost events, the next one looks at all
//! devices that exist.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use cairn_sys::process::{
    self, Credentials, Exit, OpenFiles, Placement, Prepared, Report, Started, Streams, Tray,
};

use crate::modprobe::BOOTED;

/// So many aliases are given to one helper, and kept for the next: devices come in dozens.
const MOST: usize = 256;

/// What devices have asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    aliases: BTreeSet<String>,
    everything: bool,
}

impl Wishes {
    /// A device that calls itself `alias` has come.
    pub fn add(&mut self, alias: &str) {
        if self.everything {
            return;
        }
        self.aliases.insert(alias.to_owned());
        if self.aliases.len() > MOST {
            self.look_at_everything();
        }
    }

    /// Nobody knows which devices have come.
    pub fn look_at_everything(&mut self) {
        self.everything = true;
        self.aliases.clear();
    }

    /// The helper's arguments, unless nothing is wished for.
    fn take(&mut self) -> Option<Vec<String>> {
        let wishes = std::mem::take(self);
        if wishes.everything {
            return Some(vec!["--coldplug".to_owned()]);
        }
        let options = ["-q", "-a", "--"].map(str::to_owned);
        (!wishes.aliases.is_empty()).then(|| options.into_iter().chain(wishes.aliases).collect())
    }
}

/// The helper, running or not, and what is wished for.
#[derive(Debug)]
pub struct Hotplug {
    wishes: Wishes,
    helper: Option<Started>,
    nothing: File,
    open_files: OpenFiles,
}

impl Hotplug {
    /// Starts nothing yet.
    ///
    /// # Errors
    /// `/dev/null` cannot be opened.
    pub fn new(open_files: OpenFiles) -> io::Result<Self> {
        let nothing = OpenOptions::new().write(true).open("/dev/null");
        let nothing = nothing.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot open /dev/null: {error}"))
        })?;
        Ok(Self {
            wishes: Wishes::default(),
            helper: None,
            nothing,
            open_files,
        })
    }

    /// What is wished for, to add to it.
    pub fn wishes(&mut self) -> &mut Wishes {
        &mut self.wishes
    }

    /// Starts a helper if there is something to do and none runs; its pidfd is then to be watched.
    ///
    /// # Errors
    /// It cannot be started: its wishes are lost.
    pub fn start(&mut self, tray: &Arc<Tray>) -> io::Result<Option<BorrowedFd<'_>>> {
        if self.helper.is_some() {
            return Ok(None);
        }
        let Some(arguments) = self.wishes.take() else {
            return Ok(None);
        };
        let argv = std::iter::once(OsStr::new(BOOTED)).chain(arguments.iter().map(OsStr::new));
        let prepared = Prepared::new(argv, [], Credentials::default(), self.open_files)?;
        let streams = Streams {
            input: None,
            output: self.nothing.as_fd(),
            error: None,
            passed: &[],
            numbered: None,
        };
        let helper = prepared.start(Placement::Parents, streams, Some(tray))?;
        Ok(Some(self.helper.insert(helper).pidfd.as_fd()))
    }

    /// The helper's pidfd is readable: if it has ended, its descriptor is to be watched no more,
    /// and is closed with what this returns.
    pub fn ended(&mut self) -> Option<Started> {
        let helper = self.helper.as_ref()?;
        match process::reap_pidfd(helper.pidfd.as_fd()) {
            Ok(None) => return None,
            Ok(Some(exit)) => say_how_it_went(helper, exit),
            Err(error) => {
                log::warn!("cannot learn how modprobe ended: {error}");
            }
        }
        self.helper.take()
    }
}

fn say_how_it_went(helper: &Started, exit: Exit) {
    match helper.report.last() {
        Ok(Report::Failed(failure)) => {
            let error = io::Error::from_raw_os_error(failure.errno);
            log::warn!(
                "no module is loaded for new devices: cannot {}: {error} ({BOOTED})",
                failure.step
            );
        }
        // Most aliases have no module: that is status 1, and what is wrong it says itself.
        Ok(_) => log::debug!("modprobe for new devices ended with {exit}"),
        Err(error) => log::warn!("cannot learn whether modprobe was executed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_gathered() {
        let mut wishes = Wishes::default();
        assert_eq!(wishes.take(), None);
        for alias in ["usb:v2", "pci:v1", "usb:v2"] {
            wishes.add(alias);
        }
        let arguments = ["-q", "-a", "--", "pci:v1", "usb:v2"].map(str::to_owned);
        assert_eq!(wishes.take().unwrap(), arguments);
        assert_eq!(wishes.take(), None);
    }

    #[test]
    fn too_many_wishes_become_one() {
        let mut wishes = Wishes::default();
        for number in 0..=MOST {
            wishes.add(&format!("usb:{number}"));
        }
        wishes.add("usb:more");
        assert_eq!(wishes.take().unwrap(), ["--coldplug"]);
        assert_eq!(wishes, Wishes::default());
    }
}
