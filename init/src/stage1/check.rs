//! `fsck` before a mount, for the types that want it.
//!
//! Types that repair themselves at mount (xfs, btrfs) or are never written (squashfs, erofs,
//! iso9660) have no check. The program is `/bin/fsck.<type>` in the initrd; a type whose program
//! was left out is mounted unchecked, with a line in the log.
//!
//! Source of the exit status: `fsck(8)`. 1 = errors were corrected, 2 = the system should be
//! restarted, 4 = errors are left, 8 = operational error, 16 = usage error, 32 = cancelled.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::tool::Tool;
use cairn_probe::superblock_copy;

/// Types with a check, and the arguments that let it repair what needs no decision.
const CHECKS: [(&str, &[&str]); 6] = [
    ("ext2", &["-p"]),
    ("ext3", &["-p"]),
    ("ext4", &["-p"]),
    ("vfat", &["-a"]),
    ("exfat", &["-p"]),
    ("f2fs", &["-p"]),
];

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
    let mut status = run(&program, arguments, device)?;
    if status >= 8
        && fs_type.starts_with("ext")
        && let Some(again) = run_from_copy(&program, arguments, device)?
    {
        status = again;
    }
    log::info!(
        "fsck.{fs_type} of {} took {:?}, status {status}",
        device.display(),
        start.elapsed()
    );
    Ok(verdict(status))
}

/// Checks an ext file system whose superblock cannot be used, from the copy of it on; nothing if there is none.
fn run_from_copy(program: &Path, arguments: &[&str], device: &Path) -> io::Result<Option<i32>> {
    let Some(copy) = superblock_copy::find(&mut File::open(device)?)? else {
        return Ok(None);
    };
    log::warn!(
        "the superblock of {} cannot be used; its copy in block {} is",
        device.display(),
        copy.block
    );
    let of_copy = copy.arguments();
    let of_copy = of_copy.iter().map(String::as_str);
    let all: Vec<&str> = arguments.iter().copied().chain(of_copy).collect();
    run(program, &all, device).map(Some)
}

fn run(program: &Path, arguments: &[&str], device: &Path) -> io::Result<i32> {
    let shown = device.display().to_string();
    let mut all = arguments.to_vec();
    all.push(&shown);
    let tool = Tool {
        program,
        arguments: &all,
        environment: &[],
        work: &format!("the check of {shown}"),
    };
    Ok(tool.run(b"")?.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

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

    /// An ext4 of two groups, made and damaged.
    fn damaged(folder: &Path, damage: impl FnOnce(&mut [u8])) -> PathBuf {
        let image = folder.join("image");
        let file = File::create(&image).unwrap();
        file.set_len(16 << 20).unwrap();
        let make = Command::new("/sbin/mke2fs")
            .args(["-q", "-F", "-t", "ext4", "-b", "1024"])
            .arg(&image)
            .status()
            .unwrap_or_else(|error| panic!("mke2fs: {error}; run: apt-get install e2fsprogs"));
        assert!(make.success());
        let mut bytes = std::fs::read(&image).unwrap();
        damage(&mut bytes);
        std::fs::write(&image, bytes).unwrap();
        image
    }

    /// A damaged ext4 is repaired by the real program.
    #[test]
    fn e2fsck_repairs() {
        let folder = tempfile::TempDir::new().unwrap();
        let image = damaged(folder.path(), |_| {});
        assert_eq!(check(&image, "ext4").unwrap(), Verdict::Mount);
        // No superblock: nothing to decide on its own.
        let image = damaged(folder.path(), |bytes| bytes[1024..2048].fill(0));
        let refused = check(&image, "ext4").unwrap();
        assert!(matches!(refused, Verdict::Refuse { .. }), "{refused:?}");
    }

    /// Power was lost between the two sectors of the superblock.
    #[test]
    fn a_torn_superblock_is_repaired() {
        let folder = tempfile::TempDir::new().unwrap();
        let image = damaged(folder.path(), |bytes| bytes[1024 + 512..2048].fill(0));
        assert_eq!(check(&image, "ext4").unwrap(), Verdict::Mount);
        let again = run(Path::new("/sbin/fsck.ext4"), &["-f", "-n"], &image);
        assert_eq!(again.unwrap(), 0);
    }
}
