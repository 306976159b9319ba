//! Roles of the program that comes and goes.

use std::ffi::{CStr, OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::core::{Beginning, HANDOVER};
use crate::user::Task;

use super::{ActivationMode, BOOT_OPTION, GUARD, UsageError, parent, unknown};

/// Where toplevels live; anything else named `init` is not stage 2.
const STORE: &str = "/nix/store";

/// What container managers start, and the generation that it means there.
const CONTAINER_INIT: &str = "/sbin/init";
const PROFILE: &str = "/nix/var/nix/profiles/system";

const NAMES: &str = "/init, <toplevel>/init, <toplevel>/activate, <toplevel>/user-services, <toplevel>/watchdog, <toplevel>/syslogd and modprobe";

/// One of the programs in `cairn-init`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitRole {
    /// The initrd's `/init`.
    Stage1,
    /// The toplevel's `init`, or `/sbin/init`, which is the profile's.
    Stage2 {
        /// The generation that boots, or a link to it.
        toplevel: PathBuf,
        /// What there is already: user space may have started again.
        beginning: Beginning,
    },
    /// What is done as root for users' services.
    UserServices {
        /// The generation that they are of.
        toplevel: PathBuf,
        /// What is to be done.
        task: Task,
    },
    /// What restarts a machine whose boot is on trial and hangs.
    Guard,
    /// The service that keeps a watchdog from resetting the machine.
    Watchdog {
        /// Seconds without a sign of life after which that does it.
        seconds: u32,
        /// Seconds that the machine's end may take, or 0: then it is stopped before.
        ending: u32,
        /// Where `sys` and `dev` are.
        root: PathBuf,
    },
    /// The service that hears what programs write to `/dev/log`.
    Syslog,
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

impl InitRole {
    /// What lists of processes show (`/proc/<pid>/comm`): at most 15 bytes.
    #[must_use]
    pub fn process_name(&self) -> &'static CStr {
        match self {
            Self::Stage1 | Self::Stage2 { .. } => c"init",
            Self::UserServices { .. } => c"user-services",
            Self::Guard => c"@guard",
            Self::Watchdog { .. } => c"watchdog",
            Self::Syslog => c"syslogd",
            Self::Modprobe { .. } => c"modprobe",
            Self::Activate { .. } => c"activate",
        }
    }

    /// Tells the role from the arguments; touches no file.
    ///
    /// # Errors
    /// The name or the arguments are not in the table of the crate's documentation.
    pub fn of(arguments: &[OsString]) -> Result<Self, UsageError> {
        let (name, rest) = arguments.split_first().ok_or(UsageError::NoName)?;
        let path = Path::new(name);
        let toplevel = || parent(path).ok_or_else(|| unknown(name, NAMES));
        match path.file_name().and_then(OsStr::to_str) {
            _ if path == Path::new("/init") => Ok(Self::Stage1),
            _ if path == Path::new(CONTAINER_INIT) => Ok(Self::Stage2 {
                toplevel: PROFILE.into(),
                beginning: Beginning::Boot,
            }),
            Some("init") if path.starts_with(STORE) => Ok(Self::Stage2 {
                toplevel: toplevel()?,
                beginning: match rest {
                    [word] if word == HANDOVER => Beginning::Handover,
                    _ => Beginning::Boot,
                },
            }),
            Some(GUARD) => Ok(Self::Guard),
            Some("modprobe") => Ok(Self::Modprobe {
                arguments: rest.to_vec(),
            }),
            Some("user-services") => Ok(Self::UserServices {
                toplevel: toplevel()?,
                task: Task::of(rest).ok_or(UsageError::UserServices)?,
            }),
            Some("syslogd") => Ok(Self::Syslog),
            Some("watchdog") => {
                let (seconds, ending, root) = match rest {
                    [seconds, ending] => (seconds, ending, Path::new("/")),
                    [seconds, ending, root] => (seconds, ending, Path::new(root)),
                    _ => return Err(UsageError::Watchdog),
                };
                let number = |text: &OsString| text.to_str()?.parse().ok();
                Ok(Self::Watchdog {
                    seconds: number(seconds)
                        .filter(|seconds| *seconds > 0)
                        .ok_or(UsageError::Watchdog)?,
                    ending: number(ending).ok_or(UsageError::Watchdog)?,
                    root: root.to_owned(),
                })
            }
            Some("activate") => Ok(Self::Activate {
                toplevel: toplevel()?,
                mode: match rest {
                    [] => ActivationMode::Apply,
                    [option] if option == "--dry-run" => ActivationMode::DryRun,
                    [option] if option == BOOT_OPTION => ActivationMode::Boot,
                    _ => return Err(UsageError::Activate),
                },
            }),
            _ => Err(unknown(name, NAMES)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::arguments;
    use super::*;
    use expect_test::expect;

    fn of(words: &[&str]) -> Result<InitRole, UsageError> {
        InitRole::of(&arguments(words))
    }

    fn check(words: &[&str], expected: &expect_test::Expect) {
        super::super::tests::check(of(words), expected);
    }

    #[test]
    fn processes_have_names_that_fit() {
        for (words, name) in [
            (&["/init"][..], c"init"),
            (&["/nix/store/abc-x/init"], c"init"),
            (&["@cairn-guard"], c"@guard"),
            (&["/sbin/modprobe", "-q"], c"modprobe"),
            (&["/x/activate"], c"activate"),
            (&["/x/user-services", "a"], c"user-services"),
            (&["/x/watchdog", "30", "600"], c"watchdog"),
            (&["/x/syslogd"], c"syslogd"),
        ] {
            assert_eq!(of(words).unwrap().process_name(), name);
            assert!(name.count_bytes() < 16, "{name:?} would be cut");
        }
    }

    #[test]
    fn names_and_roles() {
        check(&["/init"], &expect!["Stage1"]);
        check(&["/init", "splash"], &expect!["Stage1"]);
        check(
            &["/nix/store/abc-x/init", "single"],
            &expect![[r#"Stage2 { toplevel: "/nix/store/abc-x", beginning: Boot }"#]],
        );
        check(
            &["/nix/store/abc-x/init", "handover"],
            &expect![[r#"Stage2 { toplevel: "/nix/store/abc-x", beginning: Handover }"#]],
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
                "cannot run as 'activate': the names are /init, <toplevel>/init, <toplevel>/activate, <toplevel>/user-services, <toplevel>/watchdog, <toplevel>/syslogd and modprobe"
            ],
        );
        check(
            &["/run/cairn/generation/watchdog", "30", "600"],
            &expect![[r#"Watchdog { seconds: 30, ending: 600, root: "/" }"#]],
        );
        for words in [
            &["/x/watchdog"][..],
            &["/x/watchdog", "30"],
            &["/x/watchdog", "0", "0"],
            &["/x/watchdog", "soon", "0"],
            &["/x/watchdog", "30", "later"],
        ] {
            check(
                words,
                &expect!["usage: <toplevel>/watchdog SECONDS SECONDS-OF-THE-END [ROOT]"],
            );
        }
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
