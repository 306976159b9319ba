//! What happens when stage 1 or 2 cannot go on: a shell if that is allowed, else a restart.
//!
//! Nothing in here panics or returns to a caller that would exit: PID 1 that ends is a kernel
//! panic without an explanation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cairn_sys::console::{self, CONSOLE};
use cairn_sys::kmsg::{self, Priority};
use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::step::Steps;

/// A shell that ends sooner had nobody typing into it.
const SHORTEST_SHELL: Duration = Duration::from_secs(2);

/// So many of those in a row mean that the console has no input: without a limit, a machine
/// nobody looks at would open shells for ever.
const HASTY_SHELLS: u32 = 3;

/// Used until the description is read.
const DEFAULT_DELAY: Duration = Duration::from_secs(30);

/// The longest delay of a boot on trial: the report is kept where the disk can be written.
const TRIAL_DELAY: Duration = Duration::from_secs(5);

/// What is allowed and wanted after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A root shell may be opened.
    pub shell: bool,
    /// The kernel shall panic: for machines that are watched from outside.
    pub panic: bool,
    /// Time between the report and the restart.
    pub delay: Duration,
    /// The boot is on trial: the restart leads to the last good generation.
    pub trial: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            shell: false,
            panic: false,
            delay: DEFAULT_DELAY,
            trial: false,
        }
    }
}

impl Policy {
    /// The same for a boot on trial, where nobody needs to be there: a shell only if the command
    /// line asks for one, and no long delay.
    #[must_use]
    pub fn on_trial(self, shell_on_fail: bool) -> Self {
        Self {
            shell: shell_on_fail,
            delay: self.delay.min(TRIAL_DELAY),
            trial: true,
            ..self
        }
    }
}

/// The shell of a stage, and what is said if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shells {
    /// Programs, absolute; the first that exists is taken.
    pub programs: Vec<PathBuf>,
    /// Its `PATH`.
    pub path: String,
    /// Why no shell is permitted, if it is not.
    pub forbidden: &'static str,
    /// Why there is no program.
    pub missing: &'static str,
}

/// For the panic hook, which gets no arguments.
static POLICY: OnceLock<Policy> = OnceLock::new();

/// Says what a panic of this program leads to; the first call counts.
pub fn set_policy(policy: Policy) {
    if POLICY.set(policy).is_err() {
        log::debug!("the policy for panics is set already");
    }
}

/// A panic becomes a line in the kernel's log and a restart.
pub fn install_panic_hook(stage: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        kmsg::write(
            Priority::Critical,
            &format!("cairn: {stage} has a bug: {panic}"),
        );
        leave(POLICY.get().copied().unwrap_or_default());
    }));
}

/// Writes a report to all consoles: at a level that `quiet` shows, and with the console's own
/// level raised if it hides even that.
pub fn tell(lines: &[String]) {
    const CONSOLE_LEVEL: &str = "/proc/sys/kernel/printk";
    let level = fs::read_to_string(CONSOLE_LEVEL)
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse::<u32>().ok());
    if level.is_some_and(|level| level <= Priority::Error as u32)
        && let Err(error) = fs::write(CONSOLE_LEVEL, "4")
    {
        log::debug!("the console's log level stays: cannot write {CONSOLE_LEVEL}: {error}");
    }
    for line in lines {
        kmsg::write(Priority::Error, &format!("cairn: {line}"));
    }
}

/// After a report: returns when a shell was there and has ended, so that it is tried again;
/// restarts otherwise. `hasty` counts the shells that ended at once.
pub fn after_failure(policy: Policy, shells: &Shells, hasty: &mut u32) {
    if policy.panic || !policy.shell {
        tell(&[why_no_shell(policy, shells)]);
        leave(policy);
    }
    match shell(shells) {
        Shell::Used => *hasty = 0,
        Shell::Hasty if *hasty + 1 < HASTY_SHELLS => *hasty += 1,
        Shell::Hasty | Shell::None => {
            tell(&[why_no_shell(policy, shells)]);
            leave(policy);
        }
    }
}

/// How an emergency shell went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// Somebody was there.
    Used,
    /// It ended at once.
    Hasty,
    /// There is none, or it does not start.
    None,
}

impl Shells {
    /// The shell, if there is one.
    pub fn program(&self) -> Option<&Path> {
        self.programs
            .iter()
            .map(PathBuf::as_path)
            .find(|program| program.exists())
    }
}

fn why_no_shell(policy: Policy, shells: &Shells) -> String {
    if policy.panic {
        return "boot.panic_on_fail is set".to_owned();
    }
    let why = if !policy.shell && policy.trial {
        "the generation is on trial, and boot.shell_on_fail is not on the kernel's command line"
    } else if !policy.shell {
        shells.forbidden
    } else if shells.program().is_none() {
        shells.missing
    } else {
        "the console gives it no input"
    };
    format!("no emergency shell: {why}")
}

/// Opens a shell on the console and waits until it ends.
pub fn shell(shells: &Shells) -> Shell {
    let Some(program) = shells.program() else {
        return Shell::None;
    };
    tell(&["emergency shell on the console; leave it to try again".to_owned()]);
    let start = Instant::now();
    let mut command = Command::new(program);
    command.current_dir("/").env("PATH", &shells.path);
    match console::spawn_on(Path::new(CONSOLE), command) {
        Ok(child) => wait_for_process(child.id()),
        Err(error) => {
            let program = program.display();
            tell(&[format!("cannot start {program} on {CONSOLE}: {error}")]);
            return Shell::None;
        }
    }
    if start.elapsed() < SHORTEST_SHELL {
        Shell::Hasty
    } else {
        Shell::Used
    }
}

/// Collects all children until that one has ended. Without a deadline: a human is at work.
fn wait_for_process(process: u32) {
    let wanted = i32::try_from(process).ok().map(Pid::from_raw);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => {
                if Some(pid) == wanted {
                    return;
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return, // no child is left
        }
    }
}

/// Restarts the machine after the delay, or makes the kernel panic.
pub fn leave(policy: Policy) -> ! {
    if policy.panic {
        panic_kernel();
    }
    if policy.trial {
        keep_log_in_firmware();
        tell(&[
            "the last good generation is started after the restart, or this one tried again"
                .to_owned(),
        ]);
    }
    if !policy.delay.is_zero() {
        tell(&[format!("restart in {} s", policy.delay.as_secs())]);
        std::thread::sleep(policy.delay);
    }
    restart()
}

/// Asks the kernel to keep its log over the restart, in the memory that some firmware has for it
/// (`pstore`): it does so after a panic anyway.
pub fn keep_log_in_firmware() {
    const PARAMETER: &str = "/sys/module/printk/parameters/always_kmsg_dump";
    if let Err(error) = fs::write(PARAMETER, "Y") {
        log::debug!("the firmware does not keep the log: cannot write {PARAMETER}: {error}");
    }
}

fn panic_kernel() {
    for (path, text) in [
        ("/proc/sys/kernel/sysrq", "1"),
        ("/proc/sysrq-trigger", "c"),
    ] {
        if let Err(error) = fs::write(path, text) {
            tell(&[format!("cannot make the kernel panic: {path}: {error}")]);
        }
    }
}

/// Restarts the machine at once; but for what it waits for to be written.
pub fn restart() -> ! {
    Steps::new().sync();
    loop {
        let Err(errno) = reboot(RebootMode::RB_AUTOBOOT);
        tell(&[format!("cannot restart the machine: {errno}")]);
        // Nothing is left to do but to wait for the reset button.
        std::thread::sleep(Duration::from_mins(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_has_a_shell_only_by_order_and_no_long_delay() {
        let allowed = Policy {
            shell: true,
            ..Policy::default()
        };
        let on_trial = allowed.on_trial(false);
        assert!(on_trial.trial && !on_trial.shell);
        assert_eq!(on_trial.delay, Duration::from_secs(5));
        assert!(Policy::default().on_trial(true).shell);
    }

    #[test]
    fn the_reason_for_no_shell() {
        let shells = |program: &str| Shells {
            programs: vec!["/nonexistent/sh".into(), program.into()],
            path: String::new(),
            forbidden: "it is off",
            missing: "there is none",
        };
        let policy = |shell, panic| Policy {
            shell,
            panic,
            delay: Duration::ZERO,
            trial: false,
        };
        for (policy, program, why) in [
            (policy(true, true), "/", "boot.panic_on_fail is set"),
            (policy(false, false), "/", "no emergency shell: it is off"),
            (
                policy(true, false),
                "/nonexistent/bash",
                "no emergency shell: there is none",
            ),
            (
                policy(true, false),
                "/",
                "no emergency shell: the console gives it no input",
            ),
            (
                policy(true, false).on_trial(false),
                "/",
                "no emergency shell: the generation is on trial, and boot.shell_on_fail is not on \
                 the kernel's command line",
            ),
        ] {
            assert_eq!(why_no_shell(policy, &shells(program)), why);
        }
    }
}
