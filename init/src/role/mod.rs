//! Which program this is: a pure function of the arguments.

mod core;
mod init;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::realm::Owner;

pub use core::CoreRole;
pub use init::InitRole;

const CORE: &str = "cairn-core";
const USER_CORE: &str = "cairn-user-core";
const SUPERVISOR: &str = "cairn-supervisor";
const USER_SUPERVISOR: &str = "cairn-user-supervisor";

/// The name under which the core of these services is executed.
#[must_use]
pub fn core_name(owner: Option<&Owner>) -> &'static str {
    owner.map_or(CORE, |_| USER_CORE)
}

/// The name under which the supervisor of these services is executed.
#[must_use]
pub fn supervisor_name(owner: Option<&Owner>) -> &'static str {
    owner.map_or(SUPERVISOR, |_| USER_SUPERVISOR)
}

/// The guard's name. The `@` spares it when the initrd's processes are ended.
pub const GUARD: &str = "@cairn-guard";

/// What core is asked by a supervisor: `cairn-core --goes-on VERSION`. An older program takes it for an error.
pub const GOES_ON: &str = "--goes-on";

/// What stage 2 says to activation, and whoever prepares a chroot.
pub const BOOT_OPTION: &str = "--boot";

/// When activation runs, and whether it only says what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationMode {
    /// The machine comes up: files and users alone.
    Boot,
    /// The machine is up: what else differs between the generations is changed as well.
    Apply,
    /// Print the plan and change nothing.
    DryRun,
}

/// Why the arguments name no program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The first argument is missing.
    #[error("cannot tell which program to be: there is no argv[0]")]
    NoName,
    /// `argv[0]` is not in the program's table.
    #[error("cannot run as '{name}': the names are {names}")]
    UnknownName {
        /// It.
        name: String,
        /// The table's.
        names: &'static str,
    },
    /// Core and supervisor take a toplevel.
    #[error("usage: {0} TOPLEVEL")]
    NoToplevel(&'static str),
    /// Activation takes `--dry-run`, stage 2's `--boot`, or nothing.
    #[error("usage: <toplevel>/user-services [--linger] NAME | --clean NAME | --session")]
    UserServices,
    /// The service takes a time, and tests a folder.
    #[error("usage: <toplevel>/watchdog SECONDS SECONDS-OF-THE-END [ROOT]")]
    Watchdog,
    /// Activation takes one option.
    #[error("usage: <toplevel>/activate [--dry-run]")]
    Activate,
}

fn parent(path: &Path) -> Option<PathBuf> {
    path.parent()
        .filter(|parent| parent.is_absolute())
        .map(Path::to_owned)
}

fn unknown(name: &OsStr, names: &'static str) -> UsageError {
    UsageError::UnknownName {
        name: name.to_string_lossy().into_owned(),
        names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    /// What the programs are given.
    pub(super) fn arguments(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    pub(super) fn check<R: std::fmt::Debug>(
        role: Result<R, UsageError>,
        expected: &expect_test::Expect,
    ) {
        expected.assert_eq(&match role {
            Ok(role) => format!("{role:?}"),
            Err(error) => error.to_string(),
        });
    }
}
