//! The watchdog of the guard: the first one that can be stopped again.
//!
//! One that cannot (`nowayout`) is left alone: once started, it would reset the machine when the
//! guard is gone. So is one of which that is not known.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cairn_sys::watchdog::Watchdog;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::folder;

/// Where the kernel lists them, in `/sys`.
const CLASS: &str = "class/watchdog";

/// Seconds without a sign of life until the machine is reset.
const TIMEOUT_SECONDS: u32 = 60;

/// The same while the machine goes down, file systems are synced, and nobody gives signs of life.
const ENDING_SECONDS: u32 = 180;

/// Takes the first watchdog that appears and fits, and keeps it quiet.
#[derive(Debug)]
pub struct Keeper {
    sys: OwnedFd,
    dev: OwnedFd,
    refused: Vec<String>,
    armed: Option<(String, Watchdog)>,
}

impl Keeper {
    /// One that looks below `sys` and `dev`, which are `/sys` and `/dev`.
    ///
    /// # Errors
    /// Those are not there.
    pub fn new(sys: &Path, dev: &Path) -> io::Result<Self> {
        Ok(Self {
            sys: folder(sys)?,
            dev: folder(dev)?,
            refused: Vec::new(),
            armed: None,
        })
    }

    /// A sign of life; or, if none is armed yet, a look whether there is one by now.
    pub fn tend(&mut self) {
        match &mut self.armed {
            Some((name, watchdog)) => {
                if let Err(error) = watchdog.pet() {
                    log::error!("cannot write to {name}: {error}");
                }
            }
            None => self.look(),
        }
    }

    /// The trial is over.
    pub fn stop(self) {
        let Some((name, watchdog)) = self.armed else {
            return;
        };
        match watchdog.disarm() {
            Ok(()) => log::info!("{name} is stopped"),
            Err(error) => log::error!("cannot stop {name}: {error}; the machine will be reset"),
        }
    }

    /// The machine goes down: if that hangs, the watchdog resets it.
    pub fn leave_running(self) {
        let Some((name, mut watchdog)) = self.armed else {
            return;
        };
        if let Err(error) = watchdog.set_timeout(ENDING_SECONDS) {
            log::debug!("the time of {name} stays: {error}");
        }
        if let Err(error) = watchdog.pet() {
            log::error!("cannot write to {name}: {error}");
        }
    }

    fn look(&mut self) {
        for name in self.names() {
            if self.refused.contains(&name) {
                continue;
            }
            match self.arm(&name) {
                Ok(watchdog) => {
                    log::info!("{name} resets the machine if it hangs");
                    self.armed = Some((name, watchdog));
                    return;
                }
                Err(Refused::NotYet) => {}
                Err(Refused::For(reason)) => {
                    log::info!("{name} is not armed: {reason}");
                    self.refused.push(name);
                }
            }
        }
    }

    /// The kernel's watchdogs: `watchdog0`, `watchdog1`, …
    fn names(&self) -> Vec<String> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        // There is no such folder before the first driver is loaded.
        let Ok(mut class) = Dir::openat(&self.sys, CLASS, flags, Mode::empty()) else {
            return Vec::new();
        };
        let mut names: Vec<_> = class
            .iter()
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str().ok()?.to_owned()))
            .filter(|name| name.starts_with("watchdog"))
            .collect();
        names.sort();
        names
    }

    fn arm(&self, name: &str) -> Result<Watchdog, Refused> {
        let attribute = format!("{CLASS}/{name}/nowayout");
        match read(&self.sys, &attribute).as_deref().map(str::trim) {
            Ok("0") => {}
            Ok(_) => return Err(Refused::For("it could not be stopped again".to_owned())),
            Err(error) => {
                let text = format!("whether it can be stopped is not known: {attribute}: {error}");
                return Err(Refused::For(text));
            }
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        match openat(&self.dev, name, flags, Mode::empty()) {
            Ok(device) => {
                let watchdog = Watchdog::new(File::from(device));
                if let Err(error) = watchdog.set_timeout(TIMEOUT_SECONDS) {
                    log::info!("{name} has its own time: {error}");
                }
                Ok(watchdog)
            }
            Err(Errno::ENOENT) => Err(Refused::NotYet),
            Err(Errno::EBUSY) => Err(Refused::For("somebody else has it".to_owned())),
            Err(errno) => Err(Refused::For(errno.to_string())),
        }
    }
}

enum Refused {
    /// Its node is not there yet.
    NotYet,
    For(String),
}

fn read(folder: impl AsFd, path: &str) -> io::Result<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let mut text = String::new();
    File::from(openat(folder, path, flags, Mode::empty())?).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Machine(tempfile::TempDir);

    impl Machine {
        /// With these watchdogs: number, and what `nowayout` says.
        fn new(watchdogs: &[(u32, Option<&str>)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir_all(root.path().join("sys")).unwrap();
            fs::create_dir_all(root.path().join("dev")).unwrap();
            let machine = Self(root);
            for (number, nowayout) in watchdogs {
                machine.add(*number, *nowayout);
            }
            machine
        }

        fn add(&self, number: u32, nowayout: Option<&str>) {
            let folder = self.0.path().join(format!("sys/{CLASS}/watchdog{number}"));
            fs::create_dir_all(&folder).unwrap();
            if let Some(text) = nowayout {
                fs::write(folder.join("nowayout"), text).unwrap();
            }
            let node = self.0.path().join(format!("dev/watchdog{number}"));
            fs::write(node, "").unwrap();
        }

        fn keeper(&self) -> Keeper {
            Keeper::new(&self.0.path().join("sys"), &self.0.path().join("dev")).unwrap()
        }

        /// What was written to one, signs of life as dots.
        fn written(&self, number: u32) -> String {
            let node = self.0.path().join(format!("dev/watchdog{number}"));
            fs::read_to_string(node).unwrap().replace('\0', ".")
        }
    }

    #[test]
    fn the_first_that_can_be_stopped_is_kept_quiet_and_stopped() {
        let machine = Machine::new(&[(0, Some("1\n")), (1, None), (2, Some("0\n"))]);
        let mut keeper = machine.keeper();
        for _ in 0..3 {
            keeper.tend();
        }
        keeper.stop();
        let written = [0, 1, 2].map(|number| machine.written(number));
        assert_eq!(written, ["", "", "..V"]);
    }

    #[test]
    fn one_that_comes_late_is_taken_and_left_running_at_the_end() {
        let machine = Machine::new(&[]);
        let mut keeper = machine.keeper();
        keeper.tend();
        machine.add(0, Some("0\n"));
        keeper.tend();
        keeper.tend();
        keeper.leave_running();
        assert_eq!(machine.written(0), "..");
    }
}
