//! Which program this is: a pure function of the arguments.

use std::ffi::{CStr, OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::core::{Beginning, HANDOVER};
use crate::realm::Owner;
use crate::user::Task;

/// Where toplevels live; anything else named `init` is not stage 2.
const STORE: &str = "/nix/store";

/// What container managers start, and the generation that it means there.
const CONTAINER_INIT: &str = "/sbin/init";
const PROFILE: &str = "/nix/var/nix/profiles/system";

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

/// One of the programs in this binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The initrd's `/init`.
    Stage1,
    /// The toplevel's `init`, or `/sbin/init`, which is the profile's.
    Stage2 {
        /// The generation that boots, or a link to it.
        toplevel: PathBuf,
        /// What there is already: user space may have started again.
        beginning: Beginning,
    },
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
    /// The parent of a user's services.
    UserSupervisor {
        /// The generation whose `system.json` says what to run.
        toplevel: PathBuf,
    },
    /// What is done as root for users' services.
    UserServices {
        /// The generation that they are of.
        toplevel: PathBuf,
        /// What is to be done.
        task: Task,
    },
    /// The services' parent.
    Supervisor {
        /// The generation whose `system.json` says what to run.
        toplevel: PathBuf,
    },
    /// What restarts a machine whose boot is on trial and hangs.
    Guard,
    /// What loads modules.
    Modprobe {
        /// Options, names and aliases.
        arguments: Vec<OsString>,
    },
    /// Activation.
    Activate {
        /// The generation to activate.
        toplevel: PathBuf,
        /// Whether to do it.
        mode: ActivationMode,
    },
}

impl Role {
    /// What lists of processes show (`/proc/<pid>/comm`): at most 15 bytes.
    #[must_use]
    pub fn process_name(&self) -> &'static CStr {
        match self {
            Self::Stage1 | Self::Stage2 { .. } | Self::Core { .. } | Self::GoesOn { .. } => c"init",
            Self::UserCore { .. } | Self::UserServices { .. } => c"user-services",
            Self::Supervisor { .. } | Self::UserSupervisor { .. } => c"supervisor",
            Self::Guard => c"@guard",
            Self::Modprobe { .. } => c"modprobe",
            Self::Activate { .. } => c"activate",
        }
    }
}

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
    /// `argv[0]` is not in the table.
    #[error(
        "cannot run as '{0}': the names are /init, <toplevel>/init, <toplevel>/activate, <toplevel>/user-services, modprobe, cairn-core, cairn-supervisor, cairn-user-core and cairn-user-supervisor"
    )]
    UnknownName(String),
    /// Core and supervisor take a toplevel.
    #[error("usage: {0} TOPLEVEL")]
    NoToplevel(&'static str),
    /// Activation takes `--dry-run`, stage 2's `--boot`, or nothing.
    #[error("usage: <toplevel>/user-services [--linger] NAME | --clean NAME | --session")]
    UserServices,
    /// Activation takes one option.
    #[error("usage: <toplevel>/activate [--dry-run]")]
    Activate,
}

/// Tells the role from the arguments; touches no file.
///
/// # Errors
/// The name or the arguments are not in the table of the crate's documentation.
pub fn of(arguments: &[OsString]) -> Result<Role, UsageError> {
    let (name, rest) = arguments.split_first().ok_or(UsageError::NoName)?;
    let path = Path::new(name);
    match path.file_name().and_then(OsStr::to_str) {
        _ if path == Path::new("/init") => Ok(Role::Stage1),
        _ if path == Path::new(CONTAINER_INIT) => Ok(Role::Stage2 {
            toplevel: PROFILE.into(),
            beginning: Beginning::Boot,
        }),
        Some("init") if path.starts_with(STORE) => parent(path)
            .map(|toplevel| Role::Stage2 {
                toplevel,
                beginning: match rest {
                    [word] if word == HANDOVER => Beginning::Handover,
                    _ => Beginning::Boot,
                },
            })
            .ok_or_else(|| unknown(name)),
        Some(GUARD) => Ok(Role::Guard),
        Some("modprobe") => Ok(Role::Modprobe {
            arguments: rest.to_vec(),
        }),
        Some(CORE) if rest.first().is_some_and(|word| word == GOES_ON) => rest
            .get(1)
            .and_then(|version| version.to_str()?.parse().ok())
            .map(|handover| Role::GoesOn { handover })
            .ok_or(UsageError::NoToplevel(CORE)),
        Some(CORE) => core_arguments(CORE, rest).map(|(toplevel, beginning)| Role::Core {
            toplevel,
            beginning,
        }),
        Some(USER_CORE) => {
            core_arguments(USER_CORE, rest).map(|(toplevel, beginning)| Role::UserCore {
                toplevel,
                beginning,
            })
        }
        Some(SUPERVISOR) => {
            toplevel_argument(SUPERVISOR, rest).map(|toplevel| Role::Supervisor { toplevel })
        }
        Some(USER_SUPERVISOR) => toplevel_argument(USER_SUPERVISOR, rest)
            .map(|toplevel| Role::UserSupervisor { toplevel }),
        Some("user-services") => {
            let toplevel = parent(path).ok_or_else(|| unknown(name))?;
            let task = Task::of(rest).ok_or(UsageError::UserServices)?;
            Ok(Role::UserServices { toplevel, task })
        }
        Some("activate") => {
            let toplevel = parent(path).ok_or_else(|| unknown(name))?;
            let mode = match rest {
                [] => ActivationMode::Apply,
                [option] if option == "--dry-run" => ActivationMode::DryRun,
                [option] if option == BOOT_OPTION => ActivationMode::Boot,
                _ => return Err(UsageError::Activate),
            };
            Ok(Role::Activate { toplevel, mode })
        }
        _ => Err(unknown(name)),
    }
}

fn parent(path: &Path) -> Option<PathBuf> {
    path.parent()
        .filter(|parent| parent.is_absolute())
        .map(Path::to_owned)
}

fn unknown(name: &OsStr) -> UsageError {
    UsageError::UnknownName(name.to_string_lossy().into_owned())
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
    use super::*;

    fn check(arguments: &[&str], expected: &expect_test::Expect) {
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        let text = match of(&arguments) {
            Ok(role) => format!("{role:?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn processes_have_names_that_fit() {
        for (arguments, name) in [
            (&["/init"][..], c"init"),
            (&["/nix/store/abc-x/init"], c"init"),
            (&["cairn-core", "/x"], c"init"),
            (&["cairn-supervisor", "/x"], c"supervisor"),
            (&["cairn-user-core", "/x"], c"user-services"),
            (&["@cairn-guard"], c"@guard"),
            (&["/sbin/modprobe", "-q"], c"modprobe"),
            (&["/x/activate"], c"activate"),
        ] {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            let role = of(&arguments).unwrap();
            assert_eq!(role.process_name(), name);
            assert!(name.count_bytes() < 16, "{name:?} would be cut");
        }
    }

    #[test]
    fn names_and_roles() {
        use expect_test::expect;
        check(&["/init"], &expect!["Stage1"]);
        check(&["/init", "splash"], &expect!["Stage1"]);
        check(
            &["/nix/store/abc-x/init", "single"],
            &expect![[r#"Stage2 { toplevel: "/nix/store/abc-x", beginning: Boot }"#]],
        );
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
            &["/nix/store/abc-x/init", "handover"],
            &expect![[r#"Stage2 { toplevel: "/nix/store/abc-x", beginning: Handover }"#]],
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
            &["/run/current-system/user-services", "alice"],
            &expect![[
                r#"UserServices { toplevel: "/run/current-system", task: Serve { name: "alice", lingers: false } }"#
            ]],
        );
        check(
            &["/run/current-system/user-services"],
            &expect!["usage: <toplevel>/user-services [--linger] NAME | --clean NAME | --session"],
        );
        check(
            &["cairn-supervisor", "relative"],
            &expect!["usage: cairn-supervisor TOPLEVEL"],
        );
        check(
            &["/nix/store/abc-x/activate", "--dry-run"],
            &expect![[r#"Activate { toplevel: "/nix/store/abc-x", mode: DryRun }"#]],
        );
        check(
            &["/nix/store/abc-x/activate", "--boot"],
            &expect![[r#"Activate { toplevel: "/nix/store/abc-x", mode: Boot }"#]],
        );
        check(
            &["/nix/store/abc-x/activate", "--force"],
            &expect!["usage: <toplevel>/activate [--dry-run]"],
        );
        check(
            &["activate"],
            &expect![
                "cannot run as 'activate': the names are /init, <toplevel>/init, <toplevel>/activate, <toplevel>/user-services, modprobe, cairn-core, cairn-supervisor, cairn-user-core and cairn-user-supervisor"
            ],
        );
        check(
            &["/sbin/init"],
            &expect![[r#"Stage2 { toplevel: "/nix/var/nix/profiles/system", beginning: Boot }"#]],
        );
        check(
            &[],
            &expect!["cannot tell which program to be: there is no argv[0]"],
        );
    }
}
