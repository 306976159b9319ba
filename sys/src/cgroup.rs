//! Control groups, version 2: one directory a service, whose processes can be killed at once.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Where the unified hierarchy is mounted.
pub const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// One control group.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

/// Names of files that are to be whose a group is.
const DELEGATE: &str = "/sys/kernel/cgroup/delegate";

impl Cgroup {
    /// The group at `path`, below a cgroup v2 mount; made if it does not exist.
    ///
    /// # Errors
    /// It cannot be made, or what is there is no cgroup v2.
    pub fn create(path: &Path) -> io::Result<Self> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // On another file system the directory would be an ordinary one.
        fs::metadata(path.join("cgroup.procs"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Opens its directory, for `CLONE_INTO_CGROUP` and for programs of the kernel's. It is not kept open:
    /// each child gets a copy of all that is.
    ///
    /// # Errors
    /// It cannot be opened, such as when somebody has removed it.
    pub fn directory(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// The processes in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        // This is asked at every stop of a service: nobody is asked for a size that the kernel does not know.
        let mut file = File::open(self.path.join("cgroup.procs"))?;
        let (mut text, mut buffer) = (Vec::new(), [0; 512]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                length => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            }
        }
        let text = String::from_utf8_lossy(&text);
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// The processes in it and below.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn all_processes(&self) -> io::Result<Vec<u32>> {
        let mut all = Vec::new();
        add_processes(&self.path, &mut all)?;
        Ok(all)
    }

    /// Whether there is a process in it or below.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_populated(&self) -> io::Result<bool> {
        // This is asked at every end of a service: one read has it all, into no memory of its own.
        let mut text = [0; 64];
        let length = File::open(self.path.join("cgroup.events"))?.read(&mut text)?;
        let text = text.get(..length).unwrap_or_default();
        Ok(text
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"populated 1"))
    }

    /// What has come of its bounds of memory.
    ///
    /// # Errors
    /// Nobody counts the group's memory.
    pub fn memory_events(&self) -> io::Result<MemoryEvents> {
        File::open(self.path.join("memory.events")).map(MemoryEvents)
    }

    /// Gives it to a user, who may make groups below it and move processes between those.
    ///
    /// # Errors
    /// The caller is not root.
    pub fn give(&self, uid: u32, gid: u32) -> io::Result<()> {
        for file in [
            "",
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.threads",
        ] {
            std::os::unix::fs::chown(self.path.join(file), Some(uid), Some(gid))?;
        }
        // Others that the kernel says are whose the group is; those of controllers are there if the controller is.
        let others = fs::read_to_string(DELEGATE).unwrap_or_default();
        for file in others.lines().filter(|file| !file.starts_with("cgroup.")) {
            give_if_there(&self.path.join(file), uid, gid)?;
        }
        Ok(())
    }

    /// Makes this user and group the owners of all of it, as if they had made it.
    ///
    /// # Errors
    /// A file's owner cannot be changed.
    pub fn give_all(&self, uid: u32, gid: u32) -> io::Result<()> {
        std::os::unix::fs::chown(&self.path, Some(uid), Some(gid))?;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                give_if_there(&entry.path(), uid, gid)?;
            }
        }
        Ok(())
    }

    /// Kills every process in it and below, with SIGKILL, in one step where the kernel can.
    ///
    /// # Errors
    /// Neither `cgroup.kill` can be written nor `cgroup.procs` be read.
    pub fn kill(&self) -> io::Result<()> {
        match fs::write(self.path.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Before Linux 5.14: one after the other.
                for process in self.processes()? {
                    crate::signal::send(process, libc::SIGKILL)?;
                }
                Ok(())
            }
            result => result,
        }
    }

    /// Lets all processes in it and below stand still, or go on. The kernel does so soon after.
    ///
    /// # Errors
    /// The kernel cannot (before Linux 5.2).
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        fs::write(
            self.path.join("cgroup.freeze"),
            if frozen { "1" } else { "0" },
        )
    }

    /// Removes it; it must be empty.
    ///
    /// # Errors
    /// Processes are left in it (`EBUSY`).
    pub fn remove(self) -> io::Result<()> {
        fs::remove_dir(&self.path)
    }

    /// Removes the groups below it that no process is in.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn clear(&self) -> io::Result<()> {
        clear(&self.path)
    }
}

/// `memory.events` of a group. An epoll tells by `EPOLLPRI` that it was not read yet, or has changed since it was.
#[derive(Debug)]
pub struct MemoryEvents(File);

impl MemoryEvents {
    /// How many processes of the group, and of those below, the kernel has killed by now since memory had run out.
    ///
    /// # Errors
    /// It cannot be read, such as when the group has been removed.
    pub fn killed(&self) -> io::Result<u64> {
        let mut text = [0; 512];
        let length = self.0.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }
}

impl AsFd for MemoryEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn clear(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            clear(&entry.path())?;
            match fs::remove_dir(entry.path()) {
                // Somebody is in it.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                done => done?,
            }
        }
    }
    Ok(())
}

fn add_processes(path: &Path, all: &mut Vec<u32>) -> io::Result<()> {
    let text = fs::read_to_string(path.join("cgroup.procs"))?;
    all.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            match add_processes(&entry.path(), all) {
                // It has been removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
    }
    Ok(())
}

fn give_if_there(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    match std::os::unix::fs::chown(path, Some(uid), Some(gid)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
