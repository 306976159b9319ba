//! The console: standard streams for PID 1, and an interactive program with its own terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::unistd;

/// The console that the kernel's last `console=` names.
pub const CONSOLE: &str = "/dev/console";

/// Makes `console` the standard input, output and error of this process, without making it the
/// controlling terminal: PID 1 must not get the terminal's signals.
///
/// # Errors
/// It cannot be opened.
pub fn take_standard_streams(console: &Path) -> io::Result<()> {
    let file = open(console)?;
    unistd::dup2_stdin(&file)?;
    unistd::dup2_stdout(&file)?;
    unistd::dup2_stderr(&file)?;
    Ok(())
}

/// Starts `command` in a session of its own with `console` as controlling terminal and standard
/// streams, so that job control and ^C work.
///
/// # Errors
/// The terminal cannot be opened, or the program cannot be executed. (That the terminal cannot be
/// made the controlling one is no error: the program then runs without job control.)
pub fn spawn_on(console: &Path, mut command: Command) -> io::Result<Child> {
    let file = open(console)?;
    command
        .stdin(file.try_clone()?)
        .stdout(file.try_clone()?)
        .stderr(file);
    // SAFETY: between fork and exec only setsid(2) and ioctl(2) are called, which are
    // async-signal-safe; nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 1);
            Ok(())
        });
    }
    command.spawn()
}

fn open(console: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(console)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_runs_on_a_device_that_is_no_terminal() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read line; test -z \"$line\""]);
        let status = spawn_on(Path::new("/dev/null"), command)
            .unwrap()
            .wait()
            .unwrap();
        assert!(status.success());
    }
}
