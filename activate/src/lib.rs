//! Activation: system description to /etc, users and /run/current-system.
//!
//! [`plan()`] compares what the toplevel's `system.json` describes with what the root directory
//! holds, and gives the [`Plan`]: the list of [`Step`]s that lead there, one line each when
//! printed (links of a folder are one step, and a line each). [`Plan::apply`] takes them. Both work on any root directory: the running system's, an
//! image tree's, a test's. A second run plans nothing.
//!
//! What fails is reported and left out; the rest goes on. Nothing is half-written: each file is
//! finished and synced under a temporary name first. In doubt about a deletion, nothing is
//! deleted: what is not Cairn's and stands in the way of an entry of `/etc` stays and is reported;
//! what stands in the way of the few paths that every system has is kept as `<name>.before-cairn`.
//!
//! Invariant: nothing is evaluated here, and the store is only read.

#![forbid(unsafe_code)]

mod accounts;
mod base;
mod capability;
mod etc;
mod kernel;
pub mod live;
mod path_rule;
mod pattern;
mod plan;
mod root;
mod step;
mod wrappers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cairn_system::{ParseError, SystemDescription};

pub use accounts::{AccountsError, AccountsUpdate};
pub use capability::{Capabilities, UnknownCapability};
pub use etc::{Content, EtcSwitch, Placed, open_etc, protect_etc};
pub use kernel::{Kernel, NoKernel, RunningKernel, Setting};
pub use plan::{Failure, Plan, plan};
pub use root::{FileError, Rights, place_to_change};
pub use step::Step;
pub use wrappers::WrapperProgram;

/// The paths below `root` that match a pattern of `*`, `?` and `[…]` as the shell has them, sorted.
///
/// # Errors
/// A folder on the way cannot be read.
pub fn matching(
    root: &std::path::Path,
    pattern: &std::path::Path,
) -> Result<Vec<std::path::PathBuf>, FileError> {
    pattern::matches(&root::Root::new(root), pattern)
}

/// Whether a name matches a pattern of that kind.
#[must_use]
pub fn name_matches(pattern: &str, name: &str) -> bool {
    pattern::fits(pattern.as_bytes(), name.as_bytes())
}

/// The process's exit status after an activation in which something failed, as NixOS's.
pub const EXIT_FAILED: u8 = 2;

/// How long to wait for another program that changes the user database.
pub(crate) const LOCK_DEADLINE: Duration = Duration::from_secs(10);

/// Whether to take the steps or only to plan them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Take them.
    Apply,
    /// Touch nothing.
    DryRun,
}

/// What came of a [`run`].
#[derive(Debug)]
pub struct Outcome {
    /// What was planned, and taken unless it was a dry run.
    pub plan: Plan,
    /// What could not be planned or done; empty after a success.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// What a process that does nothing else ends with: success, or [`EXIT_FAILED`].
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Why a system's description cannot be used, and so nothing be activated.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The toplevel has no `system.json`.
    #[error("cannot use '{toplevel}': it has no system.json; is it a system's toplevel?")]
    NoDescription {
        /// The toplevel.
        toplevel: PathBuf,
    },
    /// It has one that is not UTF-8.
    #[error("cannot use '{toplevel}': its system.json is not UTF-8")]
    Encoding {
        /// The toplevel.
        toplevel: PathBuf,
    },
    /// It has one that is refused.
    #[error("cannot use '{toplevel}': {source}")]
    Description {
        /// The toplevel.
        toplevel: PathBuf,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The toplevel is not an absolute path.
    #[error("cannot use '{toplevel}': not an absolute path")]
    Toplevel {
        /// The toplevel.
        toplevel: PathBuf,
    },
    /// The root directory cannot be examined.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Activates `toplevel` (a path as the system itself sees it) in the tree at `root`; with
/// [`Mode::DryRun`] nothing is touched. Steps and failures are logged.
///
/// # Errors
/// Nothing could be activated at all. What fails later is in [`Outcome::failures`], and the
/// process should end with [`EXIT_FAILED`] then.
pub fn run(
    root: &Path,
    toplevel: &Path,
    mode: Mode,
    kernel: &dyn Kernel,
) -> Result<Outcome, ActivateError> {
    let description = read_description(root, toplevel)?;
    let plan = plan(root, toplevel, &description, kernel);
    let failures = match mode {
        Mode::DryRun => plan.problems().to_vec(),
        Mode::Apply => plan.apply(root, kernel),
    };
    for failure in &failures {
        log::error!("{failure}");
    }
    Ok(Outcome { plan, failures })
}

/// Reads `<toplevel>/system.json` inside of `root`.
///
/// # Errors
/// It is missing, unreadable or refused.
pub fn read_description(root: &Path, toplevel: &Path) -> Result<SystemDescription, ActivateError> {
    let toplevel = toplevel.to_owned();
    if !toplevel.is_absolute() {
        return Err(ActivateError::Toplevel { toplevel });
    }
    let path = toplevel.join("system.json");
    let Some(bytes) = root::Root::new(root).read_if_there(&path)? else {
        return Err(ActivateError::NoDescription { toplevel });
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(ActivateError::Encoding { toplevel });
    };
    SystemDescription::parse(&text)
        .map_err(|source| ActivateError::Description { toplevel, source })
}
