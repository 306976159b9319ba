//! `fsck` before a mount, for the types that want it.
//!
//! Types that repair themselves at mount (xfs, btrfs) or are never written (squashfs, erofs,
//! iso9660) have no check. The program is `/bin/fsck.<type>` in the initrd; a type whose program
//! was left out is mounted unchecked, with a line in the log.
//!
//! Source of the exit status: `fsck(8)`. 1 = errors were corrected, 2 = the system should be
//! restarted, 4 = errors are left, 8 = operational error, 16 = usage error, 32 = cancelled.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Types with a check, and the arguments that let it repair what needs no decision.
const CHECKS: [(&str, &[&str]); 6] = [
    ("ext2", &["-p"]),
    ("ext3", &["-p"]),
    ("ext4", &["-p"]),
    ("vfat", &["-a"]),
    ("exfat", &["-p"]),
    ("f2fs", &["-p"]),
];

/// How often the console hears that a long check goes on, in milliseconds.
const WORD_MILLISECONDS: u16 = 30_000;

/// What to do after a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Mount it.
    Mount,
    /// Restart the machine: the kernel's picture of the file system is outdated.
    Restart,
    /// Do not mount it.
    Refuse {
        /// The exit status.
        status: i32,
        /// What it means.
        meaning: &'static str,
    },
}

/// What the exit status of an fsck asks for.
#[must_use]
pub fn verdict(status: i32) -> Verdict {
    let refuse = |meaning| Verdict::Refuse { status, meaning };
    match status {
        0 | 1 => Verdict::Mount,
        status if status < 0 => refuse("a signal ended it"),
        status if status >= 8 => refuse("it could not check"),
        status if status & 2 != 0 => Verdict::Restart,
        _ => refuse("it left errors that need a decision"),
    }
}

/// The program and its arguments for a type; `None` if the type wants no check.
#[must_use]
pub fn program(
    fs_type: &str,
    folders: &[&Path],
) -> Option<(Option<PathBuf>, &'static [&'static str])> {
    let (_, arguments) = CHECKS.iter().find(|(name, _)| *name == fs_type)?;
    let program = folders
        .iter()
        .map(|folder| folder.join(format!("fsck.{fs_type}")))
        .find(|path| path.exists());
    Some((program, arguments))
}

/// Checks `device`, with what the program says in the log.
///
/// # Errors
/// The program is there but cannot be run.
pub fn check(device: &Path, fs_type: &str) -> io::Result<Verdict> {
    let folders = [Path::new("/bin"), Path::new("/sbin")];
    let Some((program, arguments)) = program(fs_type, &folders) else {
        return Ok(Verdict::Mount);
    };
    let Some(program) = program else {
        log::info!(
            "{} is not checked: there is no fsck.{fs_type} in /bin or /sbin",
            device.display()
        );
        return Ok(Verdict::Mount);
    };
    let start = Instant::now();
    let status = run(&program, arguments, device)?;
    log::info!(
        "fsck.{fs_type} of {} took {:?}, status {status}",
        device.display(),
        start.elapsed()
    );
    Ok(verdict(status))
}

fn run(program: &Path, arguments: &[&str], device: &Path) -> io::Result<i32> {
    let (mut reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(device)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn()?;
    drop(command); // with our ends of the pipe: its end is the program's end
    let mut line = Vec::new();
    let mut buffer = [0; 512];
    // No deadline: a check that is cut off can do more harm than a long boot.
    while wait_for_output(&reader, device)? {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        for byte in buffer.iter().take(count) {
            if matches!(byte, b'\n' | b'\r') {
                log_line(&mut line);
            } else {
                line.push(*byte);
            }
        }
    }
    log_line(&mut line);
    Ok(child.wait()?.code().unwrap_or(-1))
}

/// Waits until there is something to read, and says now and then that the check goes on.
fn wait_for_output(reader: &io::PipeReader, device: &Path) -> io::Result<bool> {
    loop {
        let mut sources = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, PollTimeout::from(WORD_MILLISECONDS)) {
            Ok(0) => log::warn!("the check of {} goes on", device.display()),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn log_line(line: &mut Vec<u8>) {
    if !line.is_empty() {
        log::info!("fsck: {}", String::from_utf8_lossy(line).trim_end());
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let refused = |status| matches!(verdict(status), Verdict::Refuse { .. });
        for status in [0, 1] {
            assert_eq!(verdict(status), Verdict::Mount, "{status}");
        }
        for status in [2, 3, 6] {
            assert_eq!(verdict(status), Verdict::Restart, "{status}");
        }
        for status in [4, 5, 8, 12, 16, 32, 127, -1] {
            assert!(refused(status), "{status}");
        }
    }

    #[test]
    fn only_some_types_want_a_check() {
        let nowhere = [Path::new("/nonexistent")];
        assert_eq!(program("squashfs", &nowhere), None);
        assert_eq!(program("ext4", &nowhere), Some((None, &["-p"][..])));
    }

    #[test]
    fn output_is_read_to_the_end() {
        let status = run(
            Path::new("/bin/sh"),
            &["-c", "echo one; echo two >&2; exit 3"],
            Path::new("x"),
        );
        assert_eq!(status.unwrap(), 3);
    }

    /// A damaged ext4 is repaired by the real program.
    #[test]
    fn e2fsck_repairs() {
        let folder = tempfile::TempDir::new().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(8 << 20)
            .unwrap();
        let make = Command::new("/sbin/mke2fs")
            .args(["-q", "-F", "-t", "ext4"])
            .arg(&image)
            .status()
            .unwrap_or_else(|error| panic!("mke2fs: {error}; run: apt-get install e2fsprogs"));
        assert!(make.success());
        let fsck = Path::new("/sbin/fsck.ext4");
        assert_eq!(verdict(run(fsck, &["-p"], &image).unwrap()), Verdict::Mount);
        let mut bytes = std::fs::read(&image).unwrap();
        bytes[1024..2048].fill(0); // no superblock: nothing to decide on its own
        std::fs::write(&image, bytes).unwrap();
        assert!(matches!(
            verdict(run(fsck, &["-p"], &image).unwrap()),
            Verdict::Refuse { .. }
        ));
    }
}
