//! Runs one command with a timeout and collects what it wrote.
//!
//! Outputs go to unlinked files rather than pipes: a daemon that a script leaves behind keeps a
//! pipe open for ever, and the reply would never come.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use cairn_test_agent::{CommandLine, End, OUTPUT_LIMIT, Reply, Request};

/// `PATH` of the commands.
pub const PATH: &str = "/run/wrappers/bin:/run/current-system/sw/bin";

/// Runs the request to its end; scratch files are made in `scratch` and unlinked at once.
pub fn run(request: &Request, scratch: &Path) -> Reply {
    collect(request, scratch).unwrap_or_else(|error| Reply {
        id: request.id,
        end: End::NotStarted(format!("{error:#}")),
        stdout: String::new(),
        stderr: String::new(),
        truncated: false,
    })
}

fn collect(request: &Request, scratch: &Path) -> anyhow::Result<Reply> {
    let mut stdin = unlinked_file(scratch)?;
    stdin
        .write_all(request.stdin.as_bytes())
        .and_then(|()| stdin.rewind())
        .context("cannot write the command's input")?;
    let mut stdout = unlinked_file(scratch)?;
    let mut stderr = unlinked_file(scratch)?;
    let mut command = command(&request.command)?;
    command
        .stdin(stdin)
        .stdout(
            stdout
                .try_clone()
                .context("cannot duplicate the output's descriptor")?,
        )
        .stderr(
            stderr
                .try_clone()
                .context("cannot duplicate the output's descriptor")?,
        );
    let end = run_to_end(command, Duration::from_millis(request.timeout_ms))?;
    let (stdout, long_stdout) = read_back(&mut stdout).context("cannot read the output back")?;
    let (stderr, long_stderr) = read_back(&mut stderr).context("cannot read the output back")?;
    Ok(Reply {
        id: request.id,
        end,
        stdout,
        stderr,
        truncated: long_stdout || long_stderr,
    })
}

fn command(line: &CommandLine) -> anyhow::Result<Command> {
    let mut command = match line {
        CommandLine::Script(text) => {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(text);
            shell
        }
        CommandLine::Argv(argv) => {
            let (program, arguments) = argv.split_first().context("the command is empty")?;
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    // A host that runs the agent's own tests has its programs elsewhere.
    let path = if Path::new("/run/current-system/sw/bin").is_dir() {
        PATH.to_owned()
    } else {
        std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned())
    };
    command
        .env_clear()
        .envs([
            ("HOME", "/root"),
            ("TERM", "dumb"),
            ("USER", "root"),
            ("LANG", "C.UTF-8"),
        ])
        .env("PATH", path)
        .current_dir("/")
        .process_group(0);
    Ok(command)
}

fn run_to_end(mut command: Command, timeout: Duration) -> anyhow::Result<End> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot execute {}", command.get_program().display()))?;
    let group = i32::try_from(child.id()).context("the process id is out of range")?;
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || {
        // The receiver waits for exactly one message; if it is gone, nobody needs it.
        sender.send(child.wait()).is_ok()
    });
    let status = match receiver.recv_timeout(timeout) {
        Ok(status) => status,
        Err(RecvTimeoutError::Timeout) => {
            killpg(Pid::from_raw(group), Signal::SIGKILL)
                .with_context(|| format!("cannot kill process group {group}"))?;
            receiver
                .recv()
                .context("the waiting thread is gone")?
                .context("cannot wait")?;
            return Ok(End::TimedOut);
        }
        Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the waiting thread is gone"),
    };
    drop(waiter);
    Ok(end_of(status.context("cannot wait for the command")?))
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::NotStarted(format!("unknown wait status {status}")),
    }
}

fn read_back(file: &mut File) -> io::Result<(String, bool)> {
    file.rewind()?;
    let mut bytes = Vec::new();
    Read::take(&mut *file, OUTPUT_LIMIT).read_to_end(&mut bytes)?;
    let long = file.metadata()?.len() > OUTPUT_LIMIT;
    Ok((String::from_utf8_lossy(&bytes).into_owned(), long))
}

fn unlinked_file(scratch: &Path) -> anyhow::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path: PathBuf = scratch.join(format!("agent-{}-{number}", std::process::id()));
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: CommandLine, stdin: &str, timeout_ms: u64) -> Reply {
        let request = Request {
            id: 7,
            command,
            stdin: stdin.to_owned(),
            timeout_ms,
        };
        let reply = run(&request, &std::env::temp_dir());
        assert_eq!(reply.id, 7);
        reply
    }

    fn script(text: &str) -> CommandLine {
        CommandLine::Script(text.to_owned())
    }

    #[test]
    fn outputs_and_status_are_told_apart() {
        let reply = check(script("cat; echo no >&2; exit 3"), "yes\n", 5000);
        assert_eq!(
            (reply.end, reply.stdout.as_str(), reply.stderr.as_str()),
            (End::Exited(3), "yes\n", "no\n")
        );
    }

    #[test]
    fn a_signal_is_reported() {
        assert_eq!(check(script("kill -9 $$"), "", 5000).end, End::Signalled(9));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let reply = check(script("echo early; sleep 1000 & sleep 1000"), "", 200);
        assert_eq!(
            (reply.end, reply.stdout.as_str()),
            (End::TimedOut, "early\n")
        );
    }

    #[test]
    fn a_daemon_left_behind_does_not_delay_the_reply() {
        let reply = check(script("sleep 3 & echo done"), "", 2000);
        assert_eq!(
            (reply.end, reply.stdout.as_str()),
            (End::Exited(0), "done\n")
        );
    }

    #[test]
    fn a_missing_program_is_no_exit_status() {
        let reply = check(CommandLine::Argv(vec!["/nonexistent".to_owned()]), "", 1000);
        assert!(matches!(reply.end, End::NotStarted(cause) if cause.contains("/nonexistent")));
        let reply = check(CommandLine::Argv(Vec::new()), "", 1000);
        assert_eq!(
            reply.end,
            End::NotStarted("the command is empty".to_owned())
        );
    }

    #[test]
    fn long_output_is_cut_and_marked() {
        let reply = check(script("head -c 1100000 /dev/zero | tr '\\0' x"), "", 10_000);
        assert!(reply.truncated);
        assert_eq!(reply.stdout.len(), 1 << 20);
    }
}
