//! Programs that rules name: run to their end, for a bounded time, with a bounded output.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cairn_sys::pidfd;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::device::Properties;

/// What a program may take.
const TIME: Duration = Duration::from_mins(3);

/// So much of what it writes is taken, in bytes.
const OUTPUT_BYTES: usize = 16 << 10;

/// Runs a program with these properties as its environment, and `PATH`, by which it is found if it is no path.
/// Gives what it has written; none if it has ended with anything but status 0.
///
/// # Errors
/// It cannot be run, or has not ended in three minutes: then it is killed with all that it has started in its group.
pub fn output(argv: &[String], properties: &Properties, path: &str) -> io::Result<Option<String>> {
    within(argv, properties, path, TIME)
}

fn within(
    argv: &[String],
    properties: &Properties,
    path: &str,
    time: Duration,
) -> io::Result<Option<String>> {
    let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let program = find(name, path).ok_or_else(|| {
        let text = format!("{name}: there is no such program; name it by its path, or add its package to services.udev.path");
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    let told = properties
        .iter()
        .filter(|(name, value)| is_told(name) && !value.contains('\0'));
    let mut child = Command::new(&program)
        .args(arguments)
        .env_clear()
        .envs(told)
        .env("PATH", path)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot run {}: {error}", program.display()),
            )
        })?;
    let written = read_to_end_of(&mut child, time);
    if written.is_err() {
        kill(&mut child, name);
    }
    let written =
        written.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    let is_good = child.wait()?.success();
    Ok(is_good.then(|| String::from_utf8_lossy(&written).into_owned()))
}

/// Whether a property is for programs: none that would have the loader take others' libraries.
fn is_told(name: &str) -> bool {
    !name.starts_with('.') && !name.starts_with("LD_") && !name.contains(['=', '\0'])
}

/// What the program writes until it ends. What it has started may go on, and write on.
fn read_to_end_of(child: &mut Child, time: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + time;
    let ended: OwnedFd = pidfd::open(child.id())?;
    let mut pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut written = Vec::new();
    let mut is_open = true;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = format!("has not ended in {} seconds, and is killed", time.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        let mut sources = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        if is_open {
            sources.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut sources, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| sources.get(at).and_then(PollFd::any).unwrap_or_default();
        let (has_ended, has_written) = (is_ready(0), is_ready(1));
        let is_enough = has_ended && written.len() >= OUTPUT_BYTES;
        if has_written && !is_enough {
            let mut buffer = [0; 4096];
            let length = pipe.read(&mut buffer)?;
            is_open = length > 0;
            let room = OUTPUT_BYTES.saturating_sub(written.len());
            let new = buffer.get(..length.min(room)).unwrap_or_default();
            written.extend_from_slice(new);
        } else if has_ended {
            return Ok(written);
        }
    }
}

fn kill(child: &mut Child, name: &str) {
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    let killed = group
        .map_err(io::Error::other)
        .and_then(|group| Ok(killpg(group, Signal::SIGKILL)?));
    if let Err(error) = killed.and_then(|()| child.wait().map(drop)) {
        log::warn!("{name} cannot be killed: {error}");
    }
}

/// The program of this name.
fn find(name: &str, path: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Some(PathBuf::from(name));
    }
    let folders = path.split(':').filter(|folder| folder.starts_with('/'));
    folders
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> io::Result<Option<String>> {
        let argv = ["sh", "-c", script].map(str::to_owned);
        let properties = [
            ("ID", "7"),
            (".PRIVATE", "x"),
            ("LD_PRELOAD", "/nowhere.so"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        within(
            &argv,
            &Properties::from(properties),
            "/usr/bin:/bin",
            Duration::from_secs(2),
        )
    }

    #[test]
    fn programs_end_or_are_ended() {
        assert_eq!(
            run("echo $ID$LD_PRELOAD; pwd").unwrap().as_deref(),
            Some("7\n/\n")
        );
        assert_eq!(run("echo x; exit 1").unwrap(), None);
        assert_eq!(run("sleep 60 & echo on").unwrap().as_deref(), Some("on\n"));
        assert_eq!(
            run("head -c 100000 /dev/zero | tr '\\0' x")
                .unwrap()
                .map(|text| text.len()),
            Some(OUTPUT_BYTES)
        );
        let error = run("sleep 60").unwrap_err().to_string();
        assert_eq!(error, "sh: has not ended in 2 seconds, and is killed");
        let argv = ["none".to_owned()];
        assert!(
            output(&argv, &Properties::new(), "/usr/bin")
                .unwrap_err()
                .to_string()
                .contains("services.udev.path")
        );
    }
}
