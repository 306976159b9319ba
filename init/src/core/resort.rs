//! When no supervisor stays alive: a shell on the console if the command line allows one, and at the very
//! worst another boot.
//!
//! Services go on meanwhile, and the supervisor is tried again and again all along: whoever mends what
//! keeps it from starting has lost nothing. Memory may be allocated here: nobody else is left to act.

use std::path::Path;
use std::process::Command;

use cairn_sys::console::{self, CONSOLE};
use cairn_sys::kmsg::{self, Priority};

use crate::stage1::command_line::Orders;
use crate::stage2;

/// After so many quick ends of the supervisor in a row, which take some six seconds, there is a shell;
/// after as many more the next one, unless that one is still used.
const SHELL_AFTER: u32 = 8;

/// After so many the machine is started again: the delays between them are ten seconds by then, and the
/// whole is five minutes.
const REBOOT_AFTER: u32 = 36;

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing but another try.
    Wait,
    /// A shell, if one is allowed.
    Shell,
    /// Another boot.
    Reboot,
}

/// What has been done about it.
#[derive(Debug)]
pub struct Resort {
    /// The command line allows a shell.
    allowed: bool,
    /// The shell that runs.
    shell: Option<u32>,
}

impl Resort {
    /// Nothing, on a machine that was started with these orders.
    pub fn new(orders: &Orders) -> Self {
        Self {
            allowed: orders.shell_on_fail,
            shell: None,
        }
    }

    /// What is to be done after so many quick ends in a row. Whoever is at work in a shell is not interrupted.
    pub fn step(&self, failures: u32) -> Step {
        let is_used = self.shell.is_some();
        match failures {
            REBOOT_AFTER.. if !is_used => Step::Reboot,
            1.. if !is_used && failures.is_multiple_of(SHELL_AFTER) => Step::Shell,
            _ => Step::Wait,
        }
    }

    /// Opens the shell, or says why there is none.
    pub fn open_shell(&mut self, toplevel: &Path) {
        let say = |text: &str| kmsg::write(Priority::Critical, &format!("cairn: {text}"));
        say("no supervisor stays alive; services go on, and nobody restarts or stops them");
        let shells = stage2::shells(toplevel);
        if !self.allowed {
            return say(&format!("no emergency shell: {}", shells.forbidden));
        }
        let Some(program) = shells.program() else {
            return say(&format!("no emergency shell: {}", shells.missing));
        };
        let mut command = Command::new(program);
        command.current_dir("/").env("PATH", &shells.path);
        match console::spawn_on(Path::new(CONSOLE), command) {
            Ok(child) => {
                self.shell = Some(child.id());
                say("emergency shell on the console; the supervisor is tried again meanwhile");
            }
            Err(error) => say(&format!(
                "cannot start {} on {CONSOLE}: {error}",
                program.display()
            )),
        }
    }

    /// A process has ended, which may have been the shell.
    pub fn ended(&mut self, pid: u32) {
        if self.shell == Some(pid) {
            self.shell = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done after each number of quick ends, where it is anything.
    fn steps(shell: Option<u32>) -> String {
        let resort = Resort {
            allowed: true,
            shell,
        };
        let steps = (0..40).filter_map(|failures| match resort.step(failures) {
            Step::Wait => None,
            step => Some(format!("{failures} {step:?}")),
        });
        steps.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_shell_comes_before_a_reboot() {
        expect_test::expect![
            "8 Shell, 16 Shell, 24 Shell, 32 Shell, 36 Reboot, 37 Reboot, 38 Reboot, 39 Reboot"
        ]
        .assert_eq(&steps(None));
    }

    #[test]
    fn whoever_is_at_work_is_not_interrupted() {
        assert_eq!(steps(Some(7)), "");
        let mut resort = Resort {
            allowed: true,
            shell: Some(7),
        };
        resort.ended(8);
        assert_eq!(resort.step(100), Step::Wait);
        resort.ended(7);
        assert_eq!(resort.step(100), Step::Reboot);
    }
}
