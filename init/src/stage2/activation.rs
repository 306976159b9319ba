//! Activation, as a program of its own so that a failure of it is no failure of PID 1.

use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use cairn_activate::{EXIT_FAILED, Mode, RunningKernel};
use cairn_sys::kmsg;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::role::ActivationMode;

use super::problem;

/// How long activation may take at boot, in milliseconds.
const DEADLINE_MS: u16 = 60_000;

/// Activates `toplevel` on the running system, or prints what that would do.
pub fn run(toplevel: &Path, mode: ActivationMode) -> ExitCode {
    kmsg::install("activate", log::LevelFilter::Info);
    let mode = match mode {
        ActivationMode::Apply => Mode::Apply,
        ActivationMode::DryRun => Mode::DryRun,
    };
    // Called as /run/current-system/activate, that link must not come to name itself.
    let toplevel = match toplevel.canonicalize() {
        Ok(toplevel) => toplevel,
        Err(error) => {
            let text = format!("cannot resolve {}: {error}", toplevel.display());
            log::error!("{text}");
            eprintln!("{text}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    match cairn_activate::run(Path::new("/"), &toplevel, mode, &RunningKernel) {
        Ok(outcome) => {
            if mode == Mode::DryRun {
                print!("{}", outcome.plan);
            }
            for failure in &outcome.failures {
                eprintln!("{failure}");
            }
            if outcome.failures.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_FAILED)
            }
        }
        Err(error) => {
            log::error!("{error}");
            eprintln!("{error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Runs the activation of `toplevel` in a child and waits for it, at most a minute. The boot goes
/// on whatever comes of it: an old /etc is better than no login.
pub fn run_as_child(toplevel: &Path) {
    let loud = |text: String| problem::note(&text);
    let child = Command::new("/proc/self/exe")
        .arg0(toplevel.join("activate"))
        .env_clear()
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return loud(format!("cannot start activation: {error}; going on")),
    };
    match ended_in_time(child.id()) {
        Ok(true) => {}
        Ok(false) => {
            loud("activation takes more than a minute: it is killed; going on".to_owned());
            if let Err(error) = child.kill() {
                return loud(format!("cannot kill activation: {error}"));
            }
        }
        Err(error) => loud(format!("cannot watch activation: {error}")),
    }
    match child.wait() {
        Ok(status) if status.success() => {}
        Ok(status) => loud(format!("activation failed, {status}; going on")),
        Err(error) => loud(format!("cannot wait for activation: {error}")),
    }
}

fn ended_in_time(pid: u32) -> std::io::Result<bool> {
    let pidfd = cairn_sys::pidfd::open(pid)?;
    loop {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(DEADLINE_MS)) {
            Ok(count) => return Ok(count > 0),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
