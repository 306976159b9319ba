//! Activation, as a program of its own so that a failure of it is no failure of PID 1.

use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use cairn_activate::live::run_live;
use cairn_activate::{EXIT_FAILED, Failure, Mode, RunningKernel};
use cairn_sys::kmsg;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::role::{ActivationMode, BOOT_OPTION};

use super::live::{LiveMachine, enter_machine};
use super::problem;

/// How long activation may take at boot, in milliseconds.
const DEADLINE_MS: u16 = 60_000;

/// Activates `toplevel` on the machine, or prints what that would do. What waits for a reboot is
/// printed in the end.
pub fn run(toplevel: &Path, mode: ActivationMode) -> ExitCode {
    kmsg::install("activate", log::LevelFilter::Info);
    let done = match mode {
        ActivationMode::Boot => at_boot(toplevel),
        ActivationMode::Apply => live(toplevel, Mode::Apply),
        ActivationMode::DryRun => live(toplevel, Mode::DryRun),
    };
    match done {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            for failure in failures {
                eprintln!("{failure}");
            }
            ExitCode::from(EXIT_FAILED)
        }
        Err(error) => {
            log::error!("{error:#}");
            eprintln!("{error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Stage 2 has mounted and loaded everything, and sets sysctls afterwards.
fn at_boot(toplevel: &Path) -> anyhow::Result<Vec<Failure>> {
    let toplevel = canonical(toplevel)?;
    let root = Path::new("/");
    let outcome = cairn_activate::run(root, &toplevel, Mode::Apply, &RunningKernel)?;
    Ok(outcome.failures)
}

fn live(toplevel: &Path, mode: Mode) -> anyhow::Result<Vec<Failure>> {
    enter_machine().map_err(anyhow::Error::msg)?;
    let toplevel = canonical(toplevel)?;
    let mut machine = LiveMachine::default();
    let root = Path::new("/");
    let outcome = run_live(root, &toplevel, mode, &RunningKernel, &mut machine)?;
    if mode == Mode::DryRun {
        print!("{}", outcome.to_text());
    }
    for line in &outcome.reboot {
        println!("needs a reboot: {line}");
    }
    Ok(outcome.failures)
}

/// Called as `/run/current-system/activate`, that link must not come to name itself.
fn canonical(toplevel: &Path) -> anyhow::Result<PathBuf> {
    toplevel
        .canonicalize()
        .with_context(|| format!("cannot resolve {}", toplevel.display()))
}

/// Runs the activation of `toplevel` in a child and waits for it, at most a minute. The boot goes
/// on whatever comes of it: an old /etc is better than no login.
pub fn run_as_child(toplevel: &Path, mode: ActivationMode) {
    let loud = |text: String| problem::note(&text);
    let option = match mode {
        ActivationMode::Boot => Some(BOOT_OPTION),
        ActivationMode::Apply | ActivationMode::DryRun => None,
    };
    let child = Command::new("/proc/self/exe")
        .arg0(toplevel.join("activate"))
        .args(option)
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
