//! A change that goes on when whoever asked for it is gone.
//!
//! `cairn switch` may run in a session that the change itself ends: of an SSH server that is
//! restarted, of a network that goes away. What changes the machine is therefore a child in a session
//! and a control group of its own; it has the lock, and a log.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use cairn_sys::cgroup::{self, Cgroup};

use super::lock::SwitchLock;

/// The hidden verb of the child.
pub const VERB: &str = "apply-switch";

/// The child's control group.
const CGROUP: &str = "cairn-switch";

/// Runs this program as the child with `arguments`, and waits for it.
///
/// # Errors
/// It cannot be started.
pub fn run(lock: &SwitchLock, arguments: &[String]) -> Result<ExitStatus> {
    let program = env::current_exe().context("cannot find this program's own file")?;
    let shared = lock.share().context("cannot share the lock")?;
    Command::new(&program)
        .arg(VERB)
        .args(arguments)
        .stdin(shared)
        .status()
        .with_context(|| format!("cannot run '{}'", program.display()))
}

/// Makes this process, the child, independent of its parent's session and service.
pub fn detach() {
    // It fails for the leader of a group alone, which nobody but a parent's shell can make of us.
    if let Err(error) = nix::unistd::setsid() {
        log::debug!("this is a session's leader already: {error}");
    }
    let path = Path::new(cgroup::MOUNT_POINT).join(CGROUP);
    let joined = Cgroup::create(&path)
        .and_then(|_| fs::write(path.join("cgroup.procs"), std::process::id().to_string()));
    if let Err(error) = joined {
        log::warn!("the change ends if the service ends that it was asked from: {error}");
    }
}
