//! Roles of the program that stays.

use std::ffi::{CStr, OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::core::{Beginning, HANDOVER};

use super::{CORE, GOES_ON, SUPERVISOR, USER_CORE, USER_SUPERVISOR, UsageError, unknown};

const NAMES: &str = "cairn-core, cairn-supervisor, cairn-user-core and cairn-user-supervisor";

/// One of the programs in `cairn-core`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreRole {
    /// PID 1 of the running system.
    Core {
        /// The generation whose services the supervisor runs.
        toplevel: PathBuf,
        /// What there is already.
        beginning: Beginning,
    },
    /// Says whether this program goes on with what a core leaves when user space starts again.
    GoesOn {
        /// The version of that.
        handover: u32,
    },
    /// A user's core: that of the machine without its rights.
    UserCore {
        /// The generation whose services of users the supervisor runs.
        toplevel: PathBuf,
        /// What there is already.
        beginning: Beginning,
    },
    /// The services' parent.
    Supervisor {
        /// The generation whose `system.json` says what to run.
        toplevel: PathBuf,
    },
    /// The parent of a user's services.
    UserSupervisor {
        /// The generation whose `system.json` says what to run.
        toplevel: PathBuf,
    },
}

impl CoreRole {
    /// What lists of processes show (`/proc/<pid>/comm`): at most 15 bytes.
    #[must_use]
    pub fn process_name(&self) -> &'static CStr {
        match self {
            Self::Core { .. } | Self::GoesOn { .. } => c"init",
            Self::UserCore { .. } => c"user-services",
            Self::Supervisor { .. } | Self::UserSupervisor { .. } => c"supervisor",
        }
    }

    /// Whether it is for the services of a user.
    #[must_use]
    pub fn is_a_users(&self) -> bool {
        matches!(self, Self::UserCore { .. } | Self::UserSupervisor { .. })
    }

    /// Tells the role from the arguments; touches no file.
    ///
    /// # Errors
    /// The name or the arguments are not in the table of the crate's documentation.
    pub fn of(arguments: &[OsString]) -> Result<Self, UsageError> {
        let (name, rest) = arguments.split_first().ok_or(UsageError::NoName)?;
        match Path::new(name).file_name().and_then(OsStr::to_str) {
            Some(CORE) if rest.first().is_some_and(|word| word == GOES_ON) => rest
                .get(1)
                .and_then(|version| version.to_str()?.parse().ok())
                .map(|handover| Self::GoesOn { handover })
                .ok_or(UsageError::NoToplevel(CORE)),
            Some(CORE) => core_arguments(CORE, rest).map(|(toplevel, beginning)| Self::Core {
                toplevel,
                beginning,
            }),
            Some(USER_CORE) => {
                core_arguments(USER_CORE, rest).map(|(toplevel, beginning)| Self::UserCore {
                    toplevel,
                    beginning,
                })
            }
            Some(SUPERVISOR) => {
                toplevel_argument(SUPERVISOR, rest).map(|toplevel| Self::Supervisor { toplevel })
            }
            Some(USER_SUPERVISOR) => toplevel_argument(USER_SUPERVISOR, rest)
                .map(|toplevel| Self::UserSupervisor { toplevel }),
            _ => Err(unknown(name, NAMES)),
        }
    }
}

/// The toplevel, and what comes after it.
fn core_arguments(
    program: &'static str,
    rest: &[OsString],
) -> Result<(PathBuf, Beginning), UsageError> {
    let (rest, beginning) = match rest {
        [toplevel, word] if word == HANDOVER => {
            (std::slice::from_ref(toplevel), Beginning::Handover)
        }
        _ => (rest, Beginning::Boot),
    };
    Ok((toplevel_argument(program, rest)?, beginning))
}

fn toplevel_argument(program: &'static str, rest: &[OsString]) -> Result<PathBuf, UsageError> {
    match rest {
        [toplevel] if Path::new(toplevel).is_absolute() => Ok(PathBuf::from(toplevel)),
        _ => Err(UsageError::NoToplevel(program)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::arguments;
    use super::*;
    use expect_test::expect;

    fn of(words: &[&str]) -> Result<CoreRole, UsageError> {
        CoreRole::of(&arguments(words))
    }

    fn check(words: &[&str], expected: &expect_test::Expect) {
        super::super::tests::check(of(words), expected);
    }

    #[test]
    fn processes_have_names_that_fit() {
        for (words, name) in [
            (&["cairn-core", "/x"][..], c"init"),
            (&["cairn-supervisor", "/x"], c"supervisor"),
            (&["cairn-user-core", "/x"], c"user-services"),
        ] {
            assert_eq!(of(words).unwrap().process_name(), name);
            assert!(name.count_bytes() < 16, "{name:?} would be cut");
        }
    }

    #[test]
    fn names_and_roles() {
        check(
            &["cairn-core", "/nix/store/abc-x"],
            &expect![[r#"Core { toplevel: "/nix/store/abc-x", beginning: Boot }"#]],
        );
        check(
            &["cairn-core", "/nix/store/abc-x", "handover"],
            &expect![[r#"Core { toplevel: "/nix/store/abc-x", beginning: Handover }"#]],
        );
        check(
            &["cairn-core", "--goes-on", "2"],
            &expect!["GoesOn { handover: 2 }"],
        );
        check(
            &["cairn-core", "--goes-on"],
            &expect!["usage: cairn-core TOPLEVEL"],
        );
        check(
            &["cairn-user-core", "/nix/store/abc-x"],
            &expect![[r#"UserCore { toplevel: "/nix/store/abc-x", beginning: Boot }"#]],
        );
        check(
            &["cairn-user-supervisor", "/nix/store/abc-x"],
            &expect![[r#"UserSupervisor { toplevel: "/nix/store/abc-x" }"#]],
        );
        check(
            &["cairn-supervisor", "relative"],
            &expect!["usage: cairn-supervisor TOPLEVEL"],
        );
        check(
            &["/nix/store/abc-x/core"],
            &expect![
                "cannot run as '/nix/store/abc-x/core': the names are cairn-core, cairn-supervisor, cairn-user-core and cairn-user-supervisor"
            ],
        );
    }
}
