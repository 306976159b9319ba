//! An installation is done by a process of its own, and another one waits for it: whatever ends the
//! first, nothing stays mounted or open.
//!
//! The first has its own view of the mounts, which the kernel takes down when it ends, and all that it has
//! started with it: what a tool goes on to write, or to open, nobody would know of. What is opened for
//! the whole machine, an encrypted container, is written down before, and closed by the second, or by the
//! next installation.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::commands;
use super::disks::open_alone;
use super::run::run;

/// Where an installation keeps what is of the moment.
pub(super) const FOLDER: &str = "/run/cairn-install";

/// How long the kernel may take to unmount: what is not on the disk yet is written then.
const PATIENCE: Duration = Duration::from_mins(2);

/// The hidden option of the process that does it.
pub const WORKER: &str = "--worker";

/// A folder of this moment.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn containers() -> PathBuf {
    folder("containers")
}

/// Does what this process was asked for in another one, `arguments` being its own, and cleans up behind
/// it. The exit status is that of the other.
///
/// # Errors
/// It cannot be started, or something stays open.
pub fn guarded(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode> {
    let mut waited = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
    ] {
        waited.add(signal);
    }
    // What the terminal sends, the worker gets too, and ends by it.
    waited.thread_block().context("cannot block signals")?;
    set_child_subreaper(true).context("cannot wait for what an installation starts")?;
    let mut worker = Command::new("/proc/self/exe")
        .arg0("cairn")
        .args(arguments)
        .arg(WORKER)
        .spawn()
        .context("cannot start a process for the installation")?;
    let status = wait(&mut worker, &waited)?;
    end_the_rest()?;
    close_containers()?;
    wait_for_the_disk()?;
    if status.code().is_none() {
        eprintln!(
            "cairn: the installation was cut off ({status}); nothing is mounted any more, and the same \
             command begins it anew"
        );
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Waits for the end of the worker; who asks this process to end asks the worker.
fn wait(worker: &mut Child, waited: &SigSet) -> Result<ExitStatus> {
    loop {
        if let Some(status) = worker.try_wait().context("cannot wait for the worker")? {
            return Ok(status);
        }
        match waited.wait().context("cannot wait for signals")? {
            Signal::SIGCHLD => {}
            signal => {
                let pid = i32::try_from(worker.id()).context("a process has a number")?;
                match kill(Pid::from_raw(pid), signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(error) => return Err(error).context("cannot end the worker"),
                }
            }
        }
    }
}

/// Ends what the worker has left: a tool in the middle of its work, or a build. Their own children come here
/// as they end.
fn end_the_rest() -> Result<()> {
    loop {
        for child in children()? {
            match kill(child, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot end {child}")),
            }
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error).context("cannot wait for what was started"),
        }
    }
}

/// Processes whose parent is this one's only thread.
fn children() -> Result<Vec<Pid>> {
    let path = "/proc/thread-self/children";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read '{path}'"))?;
    let numbers = text.split_whitespace();
    Ok(numbers
        .filter_map(|number| number.parse().ok())
        .map(Pid::from_raw)
        .collect())
}

/// What a worker has for itself, as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct Worker {
    _lock: File,
}

impl Worker {
    /// Makes this process one: it ends with the one that waits for it, and its mounts are its own.
    ///
    /// # Errors
    /// Another installation is under way, or this is not the superuser.
    pub fn begin() -> Result<Self> {
        set_pdeathsig(Signal::SIGKILL).context("cannot follow the first process")?;
        // The first process waits for signals, and a child begins with the mask of its parent: nobody could end
        // this process, nor a tool that it starts.
        SigSet::all()
            .thread_unblock()
            .context("cannot let signals through")?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(FOLDER)
            .with_context(|| format!("cannot make '{FOLDER}'"))?;
        let lock = lock()?;
        close_containers()?;
        unshare(CloneFlags::CLONE_NEWNS).context("cannot have mounts of its own")?;
        let none: Option<&Path> = None;
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .context("cannot have mounts of its own")?;
        Ok(Self { _lock: lock })
    }
}

fn lock() -> Result<File> {
    let path = folder("lock");
    let failed = || format!("cannot lock '{}'", path.display());
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another installation is under way; wait until it has ended")
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

/// Writes down which disk is about to be written to.
///
/// # Errors
/// It cannot be written.
pub fn note_disk(disk: &Path) -> Result<()> {
    let path = folder("disk");
    fs::write(&path, disk.as_os_str().as_encoded_bytes())
        .with_context(|| format!("cannot write '{}'", path.display()))
}

/// Waits until nobody has the disk any more: the kernel unmounts a moment after the worker has ended.
fn wait_for_the_disk() -> Result<()> {
    let path = folder("disk");
    let disk = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("cannot read '{}'", path.display()))?,
    };
    let disk = Path::new(OsStr::from_bytes(&disk));
    ensure!(
        becomes_free(disk),
        "{} is still in use, as by a program that has not ended; restart this machine before you begin \
         again",
        disk.display()
    );
    fs::remove_file(&path).with_context(|| format!("cannot remove '{}'", path.display()))
}

/// Waits until nobody uses a device, nor a part of it; false if somebody goes on to.
fn becomes_free(device: &Path) -> bool {
    let begin = Instant::now();
    while let Err(error) = open_alone(device) {
        if error.kind() != io::ErrorKind::ResourceBusy {
            break;
        }
        if begin.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Writes down that a container is about to be open.
///
/// # Errors
/// It cannot be written; then it must not be opened.
pub fn note_container(name: &str) -> Result<()> {
    let path = containers();
    fs::write(&path, name).with_context(|| format!("cannot write '{}'", path.display()))
}

/// Closes what was written down.
///
/// # Errors
/// It is in use.
pub fn close_containers() -> Result<()> {
    let path = containers();
    let name = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("cannot read '{}'", path.display()))?,
    };
    let device = commands::mapped(&name);
    if device.exists() {
        // It says itself that it is in use; and cryptsetup waits for a shorter time than a slow disk takes.
        becomes_free(&device);
        run(&commands::close(&name), None).with_context(|| {
            format!("the encrypted disk stays open as {name}; close it: cryptsetup close {name}")
        })?;
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove '{}'", path.display()))
}
