//! The watchdog of the guard: the first one that can be stopped again, hardware rather than the
//! kernel's own. The kernel's cannot help where the kernel itself hangs with interrupts off, and is
//! let go when the driver of another one comes, which may be in stage 2.
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

/// What the kernel's own one (`softdog`) calls itself.
const SOFTWARE: &str = "Software Watchdog";

/// Where the kernel lists them, in `/sys`.
const CLASS: &str = "class/watchdog";

/// What ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hardware,
    Software,
}

#[derive(Debug)]
struct Armed {
    name: String,
    kind: Kind,
    watchdog: Watchdog,
}

/// Takes the first watchdog that appears and fits, and keeps it quiet.
#[derive(Debug)]
pub struct Keeper {
    sys: OwnedFd,
    dev: OwnedFd,
    /// Seconds without a sign of life until the machine is reset.
    seconds: u32,
    refused: Vec<String>,
    armed: Option<Armed>,
}

impl Keeper {
    /// One that looks below `sys` and `dev`, which are `/sys` and `/dev`, for what resets the machine after `seconds`.
    ///
    /// # Errors
    /// Those are not there.
    pub fn new(sys: &Path, dev: &Path, seconds: u32) -> io::Result<Self> {
        Ok(Self {
            sys: folder(sys)?,
            dev: folder(dev)?,
            seconds,
            refused: Vec::new(),
            armed: None,
        })
    }

    /// A sign of life; and, where there is none yet or a better one may come, a look whether it is
    /// there by now.
    pub fn tend(&mut self) {
        if let Some(armed) = &mut self.armed {
            armed.pet();
        }
        if !matches!(&self.armed, Some(armed) if armed.kind == Kind::Hardware) {
            self.look();
        }
    }

    /// The trial is over.
    pub fn stop(self) {
        if let Some(armed) = self.armed {
            armed.stop();
        }
    }

    /// A last sign of life before the machine goes down: unless that is done after so many seconds, the watchdog resets
    /// it. To be dropped then.
    ///
    /// # Errors
    /// The watchdog cannot count that far: what it counted to before is the time that is left.
    pub fn leave_running(&mut self, seconds: u32) -> io::Result<()> {
        let Some(armed) = &mut self.armed else {
            return Ok(());
        };
        armed.pet();
        let name = &armed.name;
        let refused =
            |reason| io::Error::other(format!("{name} cannot count to {seconds} s: {reason}"));
        match armed.watchdog.set_timeout(seconds) {
            // Some drivers take the most that they can in its place.
            Ok(chosen) if chosen < seconds - seconds / 8 => {
                Err(refused(format!("only to {chosen} s")))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    fn look(&mut self) {
        for name in self.names() {
            let kind = self.kind(&name);
            let has_one = self.armed.is_some();
            if self.refused.contains(&name) || (has_one && kind == Kind::Software) {
                continue;
            }
            match self.arm(&name) {
                Ok(watchdog) => {
                    log::info!("{name} resets the machine if it hangs");
                    let armed = Armed {
                        name,
                        kind,
                        watchdog,
                    };
                    if let Some(before) = self.armed.replace(armed) {
                        before.stop();
                    }
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

    /// One that does not say what it is may be anything.
    fn kind(&self, name: &str) -> Kind {
        let identity = read(&self.sys, &format!("{CLASS}/{name}/identity"));
        match identity {
            Ok(text) if text.trim_end() == SOFTWARE => Kind::Software,
            Ok(_) | Err(_) => Kind::Hardware,
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
                if let Err(error) = watchdog.set_timeout(self.seconds) {
                    log::info!("{name} has its own time: {error}");
                }
                Ok(watchdog)
            }
            // Who has it may let go of it, as the guard of a boot on trial does when that is judged.
            Err(Errno::ENOENT | Errno::EBUSY) => Err(Refused::NotYet),
            Err(errno) => Err(Refused::For(errno.to_string())),
        }
    }
}

impl Armed {
    fn pet(&mut self) {
        if let Err(error) = self.watchdog.pet() {
            log::error!("cannot write to {}: {error}", self.name);
        }
    }

    fn stop(self) {
        let name = self.name;
        match self.watchdog.disarm() {
            Ok(()) => log::info!("{name} is stopped"),
            Err(error) => log::error!("cannot stop {name}: {error}; the machine will be reset"),
        }
    }
}

enum Refused {
    /// Its node is not there yet, or somebody else has it.
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

        fn is_software(&self, number: u32) {
            let folder = self.0.path().join(format!("sys/{CLASS}/watchdog{number}"));
            fs::write(folder.join("identity"), "Software Watchdog\n").unwrap();
        }

        fn keeper(&self) -> Keeper {
            Keeper::new(&self.0.path().join("sys"), &self.0.path().join("dev"), 60).unwrap()
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
    fn hardware_takes_the_place_of_the_kernels_own() {
        let machine = Machine::new(&[(0, Some("0\n")), (1, Some("0\n"))]);
        machine.is_software(0);
        machine.is_software(1);
        let mut keeper = machine.keeper();
        keeper.tend();
        keeper.tend();
        machine.add(2, Some("0\n"));
        keeper.tend();
        keeper.tend();
        keeper.stop();
        let written = [0, 1, 2].map(|number| machine.written(number));
        assert_eq!(written, ["..V", "", ".V"]);
    }

    #[test]
    fn one_that_comes_late_is_taken_and_left_running_at_the_end() {
        let machine = Machine::new(&[]);
        let mut keeper = machine.keeper();
        keeper.tend();
        machine.add(0, Some("0\n"));
        keeper.tend();
        keeper.tend();
        // The file counts to nothing.
        assert!(keeper.leave_running(180).is_err());
        drop(keeper);
        assert_eq!(machine.written(0), "..");
    }
}
