//! A machine of fresh namespaces in a control group of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup;

/// The namespaces, as long as their PID 1 runs; dropping them kills it, and all others with it.
#[derive(Debug)]
pub struct Namespaces {
    cgroup: PathBuf,
    outer: Child,
    /// PID 1, by its number on the host.
    pub first: Pid,
}

impl Namespaces {
    /// Has a shell run `setup` with these arguments as PID 1. It says `ready`, then waits for a line: its
    /// users are there by then.
    ///
    /// # Errors
    /// Namespaces or control group cannot be made.
    pub fn start(
        setup: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<Self> {
        let cgroup = cgroup::make()?;
        let started = unshared(setup, arguments, &cgroup);
        if started.is_err() {
            cgroup::remove(&cgroup);
        }
        let (outer, first) = started?;
        Ok(Self {
            cgroup,
            outer,
            first,
        })
    }

    /// Whether PID 1 still runs.
    ///
    /// # Errors
    /// The kernel's.
    pub fn run(&mut self) -> std::io::Result<bool> {
        Ok(self.outer.try_wait()?.is_none())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // All others end with PID 1, and so does the one that waits for it.
        if self.run().is_ok_and(|run| run)
            && let Err(error) = kill(self.first, Signal::SIGKILL)
                .map_err(Into::into)
                .and_then(|()| self.outer.wait())
        {
            eprintln!("bench: cannot end process {}: {error}", self.first);
        }
        cgroup::remove(&self.cgroup);
    }
}

fn unshared(
    setup: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    cgroup: &Path,
) -> anyhow::Result<(Child, Pid)> {
    let enter = "echo $$ > \"$1/cgroup.procs\" && shift && ulimit -n \"$(ulimit -Hn)\" && exec unshare --user \
                 --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh -c \"$0\" setup \"$@\"";
    let mut outer = Command::new("sh")
        .args(["-c", enter, setup])
        .arg(cgroup)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run sh")?;
    let (input, output) = (outer.stdin.take(), outer.stdout.take());
    let mut line = String::new();
    BufReader::new(output.context("it has no output")?).read_line(&mut line)?;
    ensure!(
        line == "ready\n",
        "cannot make namespaces; this section is for the superuser"
    );
    let id = outer.id();
    for file in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{id}/{file}"), "0 0 65536")
            .with_context(|| format!("cannot write /proc/{id}/{file}"))?;
    }
    input.context("it has no input")?.write_all(b"go\n")?;
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let first = children.trim().parse().context("unshare has no child")?;
    Ok((outer, Pid::from_raw(first)))
}
