//! A running virtual machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use crate::agent::{Agent, Boot};
use crate::blueprint::Attached;
use crate::console::Console;
use crate::process::Process;
use crate::qmp::Qmp;
use crate::timeline::Timeline;
use cairn::vm::Accelerator;

/// After a reset, something is on the console long before that, on the busiest host.
const FIRMWARE: Duration = Duration::from_mins(2);

/// A running machine; dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    pub(crate) name: String,
    pub(crate) console: Console,
    pub(crate) agent: Agent,
    pub(crate) qmp: Qmp,
    pub(crate) process: Process,
    /// After QEMU's process: it goes when that is gone.
    pub(crate) _tpm: Option<Process>,
    pub(crate) accelerator: Accelerator,
    pub(crate) ssh_port: Option<u16>,
    pub(crate) disks: Vec<Attached>,
    pub(crate) start: Instant,
    pub(crate) deadline: Instant,
    pub(crate) folder: PathBuf,
}

impl Machine {
    /// Its serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The agent in it.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// QEMU's monitor.
    #[must_use]
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// What runs its instructions.
    #[must_use]
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// The host's port that leads to its port 22, if it was asked for.
    #[must_use]
    pub fn ssh_port(&self) -> Option<u16> {
        self.ssh_port
    }

    /// The file behind a disk: its copy, or the image itself if writes are discarded.
    #[must_use]
    pub fn disk(&self, index: usize) -> Option<&Path> {
        self.disks.get(index).map(|disk| disk.file.as_path())
    }

    /// The log of a disk whose writes are recorded; what it has is read with
    /// [`crate::power_cut::write_log`] when the machine has ended.
    #[must_use]
    pub fn write_log(&self, index: usize) -> Option<&Path> {
        self.disks.get(index).and_then(|disk| disk.log.as_deref())
    }

    /// Where its logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// When the boot reached which stage, as far as the console tells.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        Timeline::of(&self.console.lines())
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn press_power_button(&self) -> anyhow::Result<()> {
        self.qmp.execute("system_powerdown", &json!({})).map(drop)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn press_reset_button(&self) -> anyhow::Result<()> {
        self.qmp.execute("system_reset", &json!({})).map(drop)
    }

    /// Waits until the agent runs in another boot than this one.
    ///
    /// Now and then QEMU's emulation does not start the firmware after a reset: nothing is ever on the
    /// console again, and the display is as the reset has left it. No guest has run by then, so the
    /// reset button is pressed, and this is told.
    ///
    /// # Errors
    /// It did not start by the machine's deadline, or the machine ended.
    pub fn ready_after(&self, boot: &Boot) -> anyhow::Result<Boot> {
        loop {
            if let Some(boot) = self.agent.ready_after(boot, Duration::from_secs(5))? {
                return Ok(boot);
            }
            if self.is_silent_since_reset() {
                eprintln!("{}: no firmware has started, reset again", self.name);
                self.press_reset_button()?;
            }
        }
    }

    /// Whether nothing has been on the console in the long time since the machine was reset.
    fn is_silent_since_reset(&self) -> bool {
        let events = self.qmp.events();
        let Some(reset) = events.iter().rfind(|event| event.name == "RESET") else {
            return false;
        };
        // The last words from before it may be heard a moment after it.
        let before = reset.at + Duration::from_secs(2);
        let silent = || self.console.lines().iter().all(|line| line.at < before);
        self.start.elapsed() > reset.at + FIRMWARE && silent()
    }

    /// Waits until the machine has powered itself off.
    ///
    /// # Errors
    /// It did not in `timeout`, or QEMU failed.
    pub fn wait_for_power_off(&self, timeout: Duration) -> anyhow::Result<()> {
        let until = (Instant::now() + timeout).min(self.deadline);
        let status: ExitStatus = self.process.wait(until)?;
        if !status.success() {
            bail!(
                "QEMU ended with {status}; see {}",
                self.folder.join("qemu.log").display()
            );
        }
        Ok(())
    }

    /// QEMU's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.status().is_none()
    }

    /// Runs one check of a test. If it fails, a screenshot is taken, and the message says where it
    /// and the serial log are.
    ///
    /// # Errors
    /// The check's.
    pub fn check<'machine, T>(
        &'machine self,
        what: &str,
        body: impl FnOnce(&'machine Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        let result = body(self);
        let took = begin.elapsed().as_secs_f64();
        match &result {
            Ok(_) => eprintln!("{}: {what}: ok ({took:.1} s)", self.name),
            Err(_) => eprintln!("{}: {what}: FAILED ({took:.1} s)", self.name),
        }
        result.with_context(|| format!("{}: {what}; {}", self.name, self.keep_evidence()))
    }

    /// Takes a screenshot and tells where it and the logs are.
    pub fn keep_evidence(&self) -> String {
        let logs = format!("serial log: {}", self.folder.join("serial.log").display());
        if !self.runs() {
            return format!("{logs}, no screenshot: the machine has ended");
        }
        match self.screenshot() {
            Ok(path) => format!("{logs}, screenshot: {}", path.display()),
            Err(error) => format!("{logs}, no screenshot: {error:#}"),
        }
    }

    /// Writes what its screen shows to `screen.png` in its folder.
    ///
    /// # Errors
    /// QEMU cannot, or the machine has ended.
    pub fn screenshot(&self) -> anyhow::Result<PathBuf> {
        let png = self.folder.join("screen.png");
        let arguments = json!({ "filename": png, "format": "png" });
        if self.qmp.execute("screendump", &arguments).is_ok() {
            return Ok(png);
        }
        // A QEMU before 7.1, or built without libpng.
        let ppm = self.folder.join("screen.ppm");
        self.qmp
            .execute("screendump", &json!({ "filename": ppm }))?;
        Ok(ppm)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.name, self.keep_evidence());
        }
        let files = self
            .disks
            .iter()
            .flat_map(|disk| [Some(&disk.file), disk.log.as_ref()]);
        for copy in files
            .flatten()
            .filter(|file| file.starts_with(&self.folder))
        {
            // Whoever wanted to keep one has moved it.
            if let Err(error) = fs::remove_file(copy)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                eprintln!("cannot remove {}: {error}", copy.display());
            }
        }
    }
}
