//! Which program this is: a pure function of the arguments.

use std::ffi::{CStr, OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::core::{Beginning, HANDOVER};

/// Where toplevels live; anything else named `init` is not stage 2.
const STORE: &str = "/nix/store";

/// What container managers start, and the generation that it means there.
const CONTAINER_INIT: &str = "/sbin/init";
const PROFILE: &str = "/nix/var/nix/profiles/system";

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
    },
    /// PID 1 of the running system.
    Core {
        /// The generation whose services the supervisor runs.
        toplevel: PathBuf,
        /// What there is already.
        beginning: Beginning,
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
            Self::Stage1 | Self::Stage2 { .. } | Self::Core { .. } => c"init",
            Self::Supervisor { .. } => c"supervisor",
            Self::Guard => c"@guard",
            Self::Modprobe { .. } => c"modprobe",
            Self::Activate { .. } => c"activate",
        }
    }
}

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
        "cannot run as '{0}': the names are /init, <toplevel>/init, <toplevel>/activate, modprobe, cairn-core and cairn-supervisor"
    )]
    UnknownName(String),
    /// Core and supervisor take a toplevel.
    #[error("usage: {0} TOPLEVEL")]
    NoToplevel(&'static str),
    /// Activation takes `--dry-run`, stage 2's `--boot`, or nothing.
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
        }),
        Some("init") if path.starts_with(STORE) => parent(path)
            .map(|toplevel| Role::Stage2 { toplevel })
            .ok_or_else(|| unknown(name)),
        Some(GUARD) => Ok(Role::Guard),
        Some("modprobe") => Ok(Role::Modprobe {
            arguments: rest.to_vec(),
        }),
        Some("cairn-core") => {
            let (rest, beginning) = match rest {
                [toplevel, word] if word == HANDOVER => {
                    (std::slice::from_ref(toplevel), Beginning::Handover)
                }
                _ => (rest, Beginning::Boot),
            };
            toplevel_argument("cairn-core", rest).map(|toplevel| Role::Core {
                toplevel,
                beginning,
            })
        }
        Some("cairn-supervisor") => toplevel_argument("cairn-supervisor", rest)
            .map(|toplevel| Role::Supervisor { toplevel }),
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
            &expect![[r#"Stage2 { toplevel: "/nix/store/abc-x" }"#]],
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
                "cannot run as 'activate': the names are /init, <toplevel>/init, <toplevel>/activate, modprobe, cairn-core and cairn-supervisor"
            ],
        );
        check(
            &["/sbin/init"],
            &expect![[r#"Stage2 { toplevel: "/nix/var/nix/profiles/system" }"#]],
        );
        check(
            &[],
            &expect!["cannot tell which program to be: there is no argv[0]"],
        );
    }
}
