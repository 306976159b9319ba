//! Leaving the initrd: find the new init, end what runs, move the kernel's file systems, make the
//! new root the root, delete the initrd's files, execute.
//!
//! The initrd lies in memory (`rootfs`), which cannot be unmounted: its files are deleted to give
//! the memory back. That is done last, through a descriptor of the old root, and only if the old
//! root is a file system in memory; other file systems below it are never entered.
//!
//! Source: the kernel's `filesystems/ramfs-rootfs-initramfs.rst`, `switch_root(8)`.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cairn_sys::mount;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, fstatfs};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, UnlinkatFlags, chdir, chroot, execve, unlinkat};

use super::api_mounts;
use super::failure::Stage1Error;
use super::resolve::resolve;

/// The new system's programs, until its own init knows better.
const PATH: &str = "/run/current-system/sw/bin";

/// Looks at `init=` in the new root: it must exist, be a file, be executable and have a form that
/// the kernel executes.
///
/// # Errors
/// Which of that is not so.
pub fn check_init(root: &Path, init: &str) -> Result<(), Stage1Error> {
    init_problem(root, init).map_or(Ok(()), |problem| {
        Err(Stage1Error::BadInit {
            init: init.to_owned(),
            problem,
        })
    })
}

fn init_problem(root: &Path, init: &str) -> Option<String> {
    const EXECUTABLE: u32 = 0o111;
    if !init.starts_with('/') {
        return Some("it is not an absolute path".to_owned());
    }
    let path = match resolve(root, Path::new(init)) {
        Ok(path) => path,
        Err(error) => return Some(error.to_string()),
    };
    let shown = path.strip_prefix(root).unwrap_or(&path).display();
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("/{shown} in the new root: {error}")),
    };
    if !metadata.is_file() {
        return Some(format!("/{shown} in the new root is no file"));
    }
    if metadata.permissions().mode() & EXECUTABLE == 0 {
        return Some(format!("/{shown} in the new root is not executable"));
    }
    let mut start = [0; 4];
    match fs::File::open(&path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) if start.starts_with(b"#!") || start == *b"\x7fELF" => None,
        Ok(()) => Some(format!(
            "/{shown} in the new root is neither ELF nor a script"
        )),
        Err(error) => Some(format!("/{shown} in the new root: {error}")),
    }
}

/// Ends all processes but this one, the kernel's threads, and those whose name starts with `@`
/// (which serve the root file system), and collects them.
pub fn end_processes() {
    let processes = match fs::read_dir("/proc") {
        Ok(listing) => listing,
        Err(error) => {
            log::warn!("processes of the initrd are not ended: cannot list /proc: {error}");
            return;
        }
    };
    let mine = std::process::id();
    let ended = processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| *process != 1 && *process != mine)
        .filter(|process| {
            // Kernel threads and zombies have no command line.
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            line.first().is_some_and(|first| *first != b'@')
        })
        .filter_map(|process| i32::try_from(process).ok())
        .filter(
            |process| match kill(Pid::from_raw(*process), Signal::SIGKILL) {
                Ok(()) => true,
                Err(errno) => {
                    log::debug!("process {process} is not ended: {errno}");
                    false
                }
            },
        )
        .count();
    if ended > 0 {
        log::info!("{ended} processes of the initrd were ended");
    }
    collect_children();
}

/// Collects children that have ended, without waiting.
pub fn collect_children() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

/// Makes `root` the root and deletes the initrd's files. After an error half-way the new root may
/// be the root already.
///
/// # Errors
/// The step that failed.
pub fn switch_root(root: &Path) -> Result<(), Stage1Error> {
    let old = open("/", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| failed("open the initrd", errno))?;
    for place in api_mounts::places() {
        move_into(root, place)?;
    }
    chdir(root).map_err(|errno| failed("enter the new root", errno))?;
    mount::move_mount(root, Path::new("/")).map_err(|error| Stage1Error::Switch {
        what: "move the new root".to_owned(),
        source: error.into(),
    })?;
    chroot(".").map_err(|errno| failed("make it the root", errno))?;
    chdir("/").map_err(|errno| failed("enter the root", errno))?;
    if let Err(error) = delete_initrd(old) {
        log::warn!("files of the initrd stay in memory: {error}");
    }
    Ok(())
}

fn failed(what: &str, errno: Errno) -> Stage1Error {
    Stage1Error::Switch {
        what: what.to_owned(),
        source: errno.into(),
    }
}

fn move_into(root: &Path, place: &str) -> Result<(), Stage1Error> {
    let name = place.trim_start_matches('/');
    let what = || format!("move {place}");
    let target = resolve(root, Path::new(place))
        .and_then(|target| fs::create_dir_all(&target).map(|()| target))
        .map_err(|source| Stage1Error::Switch {
            what: format!("make the folder {name}"),
            source,
        })?;
    mount::move_mount(Path::new(place), &target).map_err(|error| Stage1Error::Switch {
        what: what(),
        source: error.into(),
    })
}

/// Deletes all that lies in the old root's own file system, if that is one in memory.
fn delete_initrd(old: OwnedFd) -> io::Result<()> {
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    let kind = fstatfs(&old)?.filesystem_type();
    if kind != TMPFS_MAGIC && kind != FsType(RAMFS_MAGIC) {
        log::info!("the old root is not in memory: its files are left alone");
        return Ok(());
    }
    let device = fstat(&old)?.st_dev;
    if fs::metadata("/")?.dev() == device {
        return Err(io::Error::other("the old root is still the root"));
    }
    delete_below(old, device)
}

fn delete_below(folder: OwnedFd, device: u64) -> io::Result<()> {
    let mut folder = Dir::from_fd(folder)?;
    let names: Vec<_> = folder
        .iter()
        .flatten()
        .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
        .filter(|(name, _)| !matches!(name.to_bytes(), b"." | b".."))
        .collect();
    for (name, kind) in names {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        if fstatat(&folder, name.as_c_str(), flags)?.st_dev != device {
            continue; // another file system is mounted there
        }
        if kind == Some(Type::Directory) {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let below = nix::fcntl::openat(&folder, name.as_c_str(), flags, Mode::empty())?;
            delete_below(below, device)?;
            match unlinkat(&folder, name.as_c_str(), UnlinkatFlags::RemoveDir) {
                // It holds a mount point, or is one.
                Ok(()) | Err(Errno::EBUSY | Errno::ENOTEMPTY) => {}
                Err(errno) => return Err(errno.into()),
            }
        } else {
            unlinkat(&folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
        }
    }
    Ok(())
}

/// Executes the new init with the name that the command line gave it, the kernel's arguments, and
/// the environment that the kernel gave, with a `PATH` of the new system. Returns only if that
/// fails.
#[must_use]
pub fn execute(init: &str) -> Stage1Error {
    let bad = |problem: String| Stage1Error::BadInit {
        init: init.to_owned(),
        problem,
    };
    let Ok(program) = CString::new(init) else {
        return bad("it holds a NUL".to_owned());
    };
    let kernel_arguments = std::env::args_os().skip(1).map(OsString::into_vec);
    let arguments: Vec<_> = std::iter::once(init.as_bytes().to_vec())
        .chain(kernel_arguments)
        .filter_map(|argument| CString::new(argument).ok())
        .collect();
    let environment: Vec<_> = std::env::vars_os()
        .filter(|(key, _)| key != "PATH")
        .chain([(OsString::from("PATH"), OsString::from(PATH))])
        .filter_map(|(key, value)| {
            CString::new([&*key, OsStr::new("="), &*value].join_bytes()).ok()
        })
        .collect();
    match execve(&program, &arguments, &environment) {
        Ok(never) => match never {},
        Err(errno) => bad(format!("{errno}")),
    }
}

/// Concatenation of pieces of a string of the system.
trait JoinBytes {
    fn join_bytes(&self) -> Vec<u8>;
}

impl JoinBytes for [&OsStr; 3] {
    fn join_bytes(&self) -> Vec<u8> {
        self.map(OsStr::as_bytes).concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::os::unix::fs::symlink;

    #[test]
    fn problems_of_an_init_are_named() {
        let root = tempfile::TempDir::new().unwrap();
        let root = root.path();
        let write = |name: &str, content: &str, mode: u32| {
            fs::write(root.join(name), content).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("good", "#!/bin/sh\n", 0o555);
        write("plain", "#!/bin/sh\n", 0o444);
        write("text", "hello", 0o555);
        write("empty", "", 0o555);
        fs::create_dir(root.join("folder")).unwrap();
        symlink("/good", root.join("link")).unwrap();
        symlink("/gone", root.join("dangling")).unwrap();
        let names = [
            "/good",
            "/link",
            "/dangling",
            "/plain",
            "/text",
            "/empty",
            "/folder",
            "rel",
        ];
        let text: Vec<_> = names
            .iter()
            .map(|name| check_init(root, name).map_or_else(|e| e.to_string(), |()| "ok".to_owned()))
            .collect();
        expect![[r#"
            ok
            ok
            cannot start init=/dangling: /gone in the new root: No such file or directory (os error 2)
            cannot start init=/plain: /plain in the new root is not executable
            cannot start init=/text: /text in the new root is neither ELF nor a script
            cannot start init=/empty: /empty in the new root: failed to fill whole buffer
            cannot start init=/folder: /folder in the new root is no file
            cannot start init=rel: it is not an absolute path
        "#]].assert_eq(&(text.join("\n") + "\n"));
    }

    #[test]
    fn deletion_stays_in_its_file_system() {
        let root = tempfile::TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        fs::write(root.path().join("a/file"), "x").unwrap();
        symlink("/etc", root.path().join("a/link")).unwrap();
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = open(root.path(), flags, Mode::empty()).unwrap();
        let device = fstat(&folder).unwrap().st_dev;
        delete_below(folder.try_clone().unwrap(), device + 1).unwrap();
        assert!(root.path().join("a/b/c").exists());
        delete_below(folder, device).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(Path::new("/etc").exists());
    }
}
