//! The guard of a boot on trial: a process of its own that restarts the machine unless somebody
//! says in time that the trial is over.
//!
//! Stage 1 starts it first of all; it lives through the change of the root and the execution of
//! stage 2 and core, since nothing of it depends on them: it has its own program, waits for a clock
//! alone, and holds what it needs as descriptors. It also keeps a watchdog from resetting the
//! machine; so when the kernel hangs, or the guard is killed, the watchdog ends the trial.
//!
//! ```text
//! each second: judged? -> watchdog stopped, end
//!              too late? -> report to the disk, reboot by core; by the kernel; by SysRq
//!              SIGTERM (the machine goes down) -> a last sign of life to the watchdog, end
//! ```
//!
//! Invariant: it waits for nothing without a deadline, and a boot that is not on trial has no guard.

mod watchdog;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::Duration;

use cairn_sys::kmsg;
use cairn_sys::reboot::{self, Ending};
use cairn_sys::signal::{self, Signals};
use cairn_system::trial;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fstatat};

use crate::clock::{Ms, now};
use crate::emergency::{self, tell};
use crate::role::GUARD;
use crate::stage1::{self, command_line::Trial};
use crate::trial_report;

pub use watchdog::Keeper;

/// Seconds without a sign of life until the watchdog resets the machine.
const TIMEOUT_SECONDS: u32 = 60;

/// The same while the machine goes down, and file systems are synced.
const ENDING_SECONDS: u32 = 180;

/// How often it looks, in milliseconds.
const TICK_MS: Ms = 1_000;

/// What the report to the disk may take: the disk may be what hangs.
const REPORT: Duration = Duration::from_secs(10);

/// What core may take to end the machine, and then the kernel.
const BY_CORE: Duration = Duration::from_mins(1);
const BY_KERNEL: Duration = Duration::from_secs(20);

/// Starts the guard as a child of this process.
///
/// # Errors
/// There is no memory, or no `/proc`.
pub fn start() -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(GUARD).env_clear().spawn().map(drop)
}

/// The guard itself.
pub fn run() -> ExitCode {
    kmsg::install("guard", log::LevelFilter::Info);
    let Some(trial) = stage1::orders().trial else {
        log::error!("this boot is not on trial: nothing is guarded");
        return ExitCode::FAILURE;
    };
    match Guard::new(trial) {
        Ok(guard) => guard.watch(),
        Err(error) => {
            log::error!("nobody guards this trial: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Look again after so many milliseconds.
    Wait(Ms),
    /// The trial is over.
    End,
    /// It has taken too long.
    Restart,
}

fn next(now: Ms, deadline: Ms, judged: bool) -> Next {
    if judged {
        Next::End
    } else if now >= deadline {
        Next::Restart
    } else {
        Next::Wait((deadline - now).min(TICK_MS))
    }
}

struct Guard {
    trial: Trial,
    signals: Signals,
    /// `/run` and `/proc`, wherever they are moved to.
    run: OwnedFd,
    proc: OwnedFd,
    sysrq: File,
    watchdog: Option<Keeper>,
}

impl Guard {
    fn new(trial: Trial) -> io::Result<Self> {
        // The last to be killed when memory is short; without it, the watchdog is there.
        if let Err(error) = fs::write("/proc/self/oom_score_adj", "-1000") {
            log::debug!("cannot write /proc/self/oom_score_adj: {error}");
        }
        let watchdog = if trial.watchdog {
            Some(Keeper::new(
                Path::new("/sys"),
                Path::new("/dev"),
                TIMEOUT_SECONDS,
            )?)
        } else {
            None
        };
        Ok(Self {
            signals: Signals::take_all()?,
            run: folder(Path::new("/run"))?,
            proc: folder(Path::new("/proc"))?,
            sysrq: OpenOptions::new().write(true).open("/proc/sysrq-trigger")?,
            watchdog,
            trial,
        })
    }

    fn watch(mut self) -> ExitCode {
        let deadline = u64::try_from(self.trial.timeout.as_millis()).unwrap_or(Ms::MAX);
        log::info!(
            "{} is on trial: it has to be judged within {} s",
            self.trial.entry,
            self.trial.timeout.as_secs()
        );
        loop {
            let rest = match next(now(), deadline, self.is_judged()) {
                Next::Wait(rest) => rest,
                Next::End => {
                    if let Some(watchdog) = self.watchdog.take() {
                        watchdog.stop();
                    }
                    return ExitCode::SUCCESS;
                }
                Next::Restart => self.restart(),
            };
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.tend();
            }
            if self.is_told_to_end(rest) {
                let left = self
                    .watchdog
                    .as_mut()
                    .map(|one| one.leave_running(ENDING_SECONDS));
                if let Some(Err(error)) = left {
                    // A trial that hangs has to end, however little time that leaves.
                    log::info!("{error}");
                }
                return ExitCode::SUCCESS;
            }
        }
    }

    fn is_judged(&self) -> bool {
        let file = trial::JUDGED.trim_start_matches("/run/");
        fstatat(&self.run, file, AtFlags::empty()).is_ok()
    }

    /// Rests for `rest` milliseconds, or until a signal comes; whether it was SIGTERM, as everybody
    /// gets it when the machine goes down.
    fn is_told_to_end(&self, rest: Ms) -> bool {
        let timeout = PollTimeout::from(u16::try_from(rest).unwrap_or(u16::MAX));
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Err(error) = poll(&mut fds, timeout) {
            log::debug!("cannot wait for signals: {error}");
            std::thread::sleep(Duration::from_millis(rest));
        }
        let mut told = false;
        for signal in self.signals.take() {
            told |= signal == nix::libc::SIGTERM;
        }
        told
    }

    /// Ends the machine, whatever of it still works.
    fn restart(&self) -> ! {
        let init = first_argument(&self.proc);
        let place = whereabouts(init.as_deref().unwrap_or_default());
        let reason = format!(
            "not judged within {} s: {place}",
            self.trial.timeout.as_secs()
        );
        tell(&[format!(
            "{} is on trial, and was {reason}; restarting",
            self.trial.entry
        )]);
        trial_report::say(&reason);
        self.report(reason);
        if place == CORE && signal::send(1, nix::libc::SIGINT).is_ok() {
            // Core ends this process too, when the services have ended.
            let rest = u64::try_from(BY_CORE.as_millis()).unwrap_or(0);
            let deadline = now().saturating_add(rest);
            while now() < deadline {
                if self.is_told_to_end(TICK_MS) {
                    std::process::exit(0);
                }
            }
            tell(&["it does not go down: restarting at once".to_owned()]);
        }
        std::thread::spawn(|| reboot::reboot(Ending::Reboot));
        std::thread::sleep(BY_KERNEL);
        loop {
            if let Err(error) = (&self.sysrq).write_all(b"b") {
                log::error!("cannot restart the machine by /proc/sysrq-trigger: {error}");
            }
            std::thread::sleep(BY_KERNEL);
        }
    }

    /// Leaves the report on the disk and in the firmware's memory, if that can be done in time.
    fn report(&self, reason: String) {
        let root = openat(
            &self.proc,
            "1/root",
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        );
        let root = match root {
            Ok(root) => root,
            Err(error) => return log::error!("no report is kept: no root: {error}"),
        };
        let entry = self.trial.entry.clone();
        let (done, wait) = mpsc::channel();
        std::thread::spawn(move || {
            // The root and what is mounted in it, as PID 1 has it: this process's own may be the
            // initrd's, which is empty by now.
            let entered = nix::unistd::fchdir(&root).and_then(|()| nix::unistd::chroot("."));
            if let Err(error) = entered {
                return log::error!("no report is kept: cannot enter the root: {error}");
            }
            emergency::keep_log_in_firmware();
            trial_report::keep(Path::new("/"), &entry, &reason);
            nix::unistd::sync();
            if done.send(()).is_err() {
                log::debug!("the report took too long");
            }
        });
        if wait.recv_timeout(REPORT).is_err() {
            log::error!("the report is not on the disk after {} s", REPORT.as_secs());
        }
    }
}

fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
        .map_err(|errno| io::Error::other(format!("cannot open {}: {errno}", path.display())))
}

/// What PID 1 was executed as.
fn first_argument(proc: impl AsFd) -> Option<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = openat(proc, "1/cmdline", flags, Mode::empty()).ok()?;
    let mut text = Vec::new();
    File::from(file).read_to_end(&mut text).ok()?;
    let first = text.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(first).into_owned())
}

const CORE: &str = "its services were still coming up, or cannot be judged";

/// Which part of the boot was at work, by what PID 1 was executed as.
fn whereabouts(init: &str) -> String {
    match init {
        "/init" => "the initrd was still at work".to_owned(),
        "cairn-core" => CORE.to_owned(),
        init if init.ends_with("/init") => "stage 2 was still at work".to_owned(),
        other => format!("PID 1 is none of ours: '{other}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_counts_until_somebody_judges() {
        for (now, judged, expected) in [
            (0, false, Next::Wait(1_000)),
            (59_500, false, Next::Wait(500)),
            (60_000, false, Next::Restart),
            (u64::MAX, false, Next::Restart),
            (0, true, Next::End),
            (60_000, true, Next::End),
        ] {
            assert_eq!(next(now, 60_000, judged), expected, "{now} {judged}");
        }
    }

    #[test]
    fn the_guard_knows_who_is_pid_1() {
        let arguments = [
            "/init",
            "/nix/store/abc-cairn-system/init",
            "cairn-core",
            "/sbin/init x",
            "",
        ];
        let text = arguments.map(whereabouts);
        expect_test::expect![[r#"
            the initrd was still at work
            stage 2 was still at work
            its services were still coming up, or cannot be judged
            PID 1 is none of ours: '/sbin/init x'
            PID 1 is none of ours: ''"#]]
        .assert_eq(&text.join("\n"));
    }
}
