//! QEMU, and what a machine needs beside it, as child processes that cannot outlive this one.
//!
//! `setpriv --pdeathsig` has the kernel kill it when the *thread* that started it ends. Each
//! therefore has a thread of its own, which starts it and waits for it; otherwise a machine that
//! several tests share would die with the test that happened to start it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// The emulator.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// A running program; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    id: u32,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    child: Mutex<Child>,
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts a program with these arguments; what it complains of goes to `log`.
    pub(crate) fn start(
        program: &'static str,
        arguments: Vec<String>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let errors =
            File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name(program.to_owned())
            .spawn(move || keep(program, &arguments, errors, &sender))
            .with_context(|| format!("cannot start a thread for {program}"))?;
        let shared = receiver
            .recv()
            .with_context(|| format!("cannot start {program}: its thread ended"))??;
        let id = lock(&shared.child).id();
        Ok(Self { id, shared })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it has.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        *lock(&self.shared.status)
    }

    /// Waits until it ends.
    pub(crate) fn wait(&self, until: Instant) -> anyhow::Result<ExitStatus> {
        let begin = Instant::now();
        let mut status = lock(&self.shared.status);
        loop {
            if let Some(status) = *status {
                return Ok(status);
            }
            let now = Instant::now();
            if now >= until {
                let waited = now.duration_since(begin).as_secs_f64();
                bail!("cannot see the machine end: it still runs after {waited:.1} s");
            }
            let waited = self.shared.ended.wait_timeout(status, until - now);
            status = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Kills it, if it still runs, and waits until it is gone.
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        // Safe against a reused process id: the child is only reaped under this lock, and
        // `Child::kill` does nothing once it is.
        lock(&self.shared.child)
            .kill()
            .with_context(|| format!("cannot kill process {}", self.id))?;
        self.wait(Instant::now() + Duration::from_secs(10))
            .map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status().is_none()
            && let Err(error) = self.kill()
        {
            eprintln!("{error:#}");
        }
    }
}

fn keep(
    program: &str,
    arguments: &[String],
    errors: File,
    started: &mpsc::Sender<anyhow::Result<Arc<Shared>>>,
) {
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .context("cannot run setpriv; install it: apt-get install util-linux");
    let child = match child {
        Ok(child) => child,
        Err(error) => return drop(started.send(Err(error))),
    };
    let id = child.id();
    let shared = Arc::new(Shared {
        child: Mutex::new(child),
        status: Mutex::new(None),
        ended: Condvar::new(),
    });
    if started.send(Ok(Arc::clone(&shared))).is_err() {
        // Nobody waits for it any more; the end of this thread kills it.
        return;
    }
    match reap(id, &shared.child) {
        Ok(status) => *lock(&shared.status) = Some(status),
        Err(error) => eprintln!("cannot wait for {program}: {error:#}"),
    }
    shared.ended.notify_all();
}

/// Waits without reaping, and reaps under the lock.
fn reap(id: u32, child: &Mutex<Child>) -> anyhow::Result<ExitStatus> {
    let pid = Pid::from_raw(i32::try_from(id)?);
    loop {
        match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(anyhow!(error)),
            Ok(_) => return lock(child).wait().context("cannot reap it"),
        }
    }
}
