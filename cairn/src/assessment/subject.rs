//! The machine that is assessed: [`Machine`], and what an assessment says, reads and leaves there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use cairn_bootloader::{BootState, EntryId};
use cairn_sys::kmsg::Priority;
use cairn_system::{SystemDescription, trial};

use crate::lock_file::write_atomically;
use crate::switch::lock::{LockError, SwitchLock};
use crate::switch::machine::{Machine, Showing};
use crate::switch::menu::{MenuPlan, read_bootspec};

use super::boot::Running;

/// How long somebody else may hold the lock; a trial has to be judged in time.
const LOCK_SECONDS: u32 = 15;

/// The entry whose trial failed last, below the root.
const LAST_FAILURE: &str = "var/lib/cairn/boots/last-failure";

/// A note for people about this boot and the last trial, below the root; until the next boot.
pub const NOTE: &str = "run/cairn/boot-note";

/// A machine under assessment.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// What reaches whoever looks at it.
    pub console: fn(Priority, &str),
}

impl Subject<'_> {
    /// Where its root is.
    pub fn root(&self) -> &Path {
        self.machine.root()
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.machine.path(relative.trim_start_matches('/'))
    }

    /// The kernel's command line.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn command_line(&self) -> Result<String> {
        let path = self.path("proc/cmdline");
        let line = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Says something that should be seen.
    pub fn tell(&self, text: &str) {
        (self.console)(Priority::Error, &format!("cairn: {text}"));
    }

    /// Changes what boots next.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn change_boot_state(&self, change: impl FnOnce(&mut BootState)) -> Result<()> {
        let _lock = self.lock();
        // Read again: services take their time, and an operator may have been at work.
        let mut state = self.machine.boot_state();
        change(&mut state);
        self.machine
            .write_state(&self.machine.boot_folders(), &state)
    }

    /// The lock of everything that changes generations. What has to be written is a few bytes, and
    /// has to be written in time: it is not waited for longer than that.
    fn lock(&self) -> Option<SwitchLock> {
        for _ in 0..LOCK_SECONDS {
            match SwitchLock::take(self.root(), "cairn assess") {
                Ok(lock) => return Some(lock),
                Err(LockError::Held { .. }) => std::thread::sleep(Duration::from_secs(1)),
                Err(error) => {
                    log::warn!("{error}");
                    return None;
                }
            }
        }
        log::warn!("going on although somebody changes the system");
        None
    }

    /// Writes the boot menu anew, which shows what is good.
    ///
    /// # Errors
    /// It cannot be written; the present one boots the same.
    pub fn rewrite_menu(&self, entry: &EntryId) -> Result<()> {
        let _lock = self.lock();
        let generation = self.machine.generation(entry.number())?;
        let bootspec = read_bootspec(self.machine.store()?, &generation.path)?;
        let menus = self.machine.menus(&bootspec, None, Showing::Newest)?;
        self.machine.write_menus(menus, MenuPlan::write)
    }

    /// Whether what runs is what `entry` is.
    ///
    /// # Errors
    /// The links of `/run` cannot be read.
    pub fn running(&self, entry: &EntryId) -> Result<Running> {
        let read = |name: &str| {
            let link = self.path(name);
            fs::read_link(&link).with_context(|| format!("cannot read {}", link.display()))
        };
        let booted = read("run/booted-system")?;
        if read("run/current-system")? != booted {
            return Ok(Running::Switched);
        }
        if self.path(trial::RESTARTED).exists() {
            return Ok(Running::Restarted);
        }
        Ok(match self.machine.toplevel(entry) {
            Ok(toplevel) if toplevel == booted => Running::Booted,
            Ok(_) => Running::Unknown,
            Err(error) => {
                log::warn!("{error:#}");
                Running::Unknown
            }
        })
    }

    /// What the running system has to be like.
    ///
    /// # Errors
    /// Its description cannot be read.
    pub fn description(&self) -> Result<SystemDescription> {
        let booted = fs::read_link(self.path("run/booted-system"))
            .context("cannot read /run/booted-system")?;
        Ok(cairn_activate::read_description(self.root(), &booted)?)
    }

    /// The entry whose trial was the last one to fail, unless another was found good since.
    #[must_use]
    pub fn last_failure(&self) -> Option<EntryId> {
        let text = fs::read_to_string(self.path(LAST_FAILURE)).ok()?;
        text.trim_end().parse().ok()
    }

    /// Sets, or removes, what [`Self::last_failure`] tells.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_last_failure(&self, entry: Option<&EntryId>) -> Result<()> {
        let path = self.path(LAST_FAILURE);
        match entry {
            Some(entry) => write_atomically(&path, format!("{entry}\n").as_bytes()),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("cannot remove {}", path.display()))
                }
                _ => Ok(()),
            },
        }
    }

    /// Tells the guard that its work is done.
    ///
    /// # Errors
    /// The file cannot be made; the guard will restart the machine.
    pub fn dismiss_guard(&self, why: &str) -> Result<()> {
        self.write(trial::JUDGED, why)
    }

    /// Leaves a note for people, until the next boot.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn note(&self, text: &str) -> Result<()> {
        self.write(NOTE, text)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.path(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&path, format!("{text}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
