//! `<toplevel>/user-services`: what is done as root for a user's services.
//!
//! `user-services NAME` is the process of the service `user@NAME`. It makes `XDG_RUNTIME_DIR` and the
//! control groups, gives them to the user, becomes the user, and is from then on the user's core: see
//! `core`. `--session` is called by PAM when somebody logs in, `--clean NAME` when the service
//! has ended.
//!
//! ```text
//! /run/user/UID                 0700, the user's, in memory
//! /run/cairn/sessions/UID/PID   a session: the process that asked PAM, and when that was started
//! <hierarchy>/cairn/user@NAME   the user's
//!   main                        the user's core and supervisor
//!   services                    the user's services
//! ```
//!
//! Invariants: nothing is read that the user could have written, and after it has become the user this
//! program never is root again.

mod account;
pub mod session;

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use cairn_sys::cgroup::{self, Cgroup};
use cairn_sys::kmsg;
use cairn_sys::mount::unmount;
use cairn_sys::process::Credentials;
use nix::mount::{MntFlags, MsFlags};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::generation::CORE;
use crate::realm::{MAIN_GROUP, Owner};
use crate::role::core_name;

/// The parent of all directories of users' services.
const RUNTIME: &str = "/run/user";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Run this user's services.
    Serve {
        /// The user.
        name: String,
        /// Without sessions, too.
        lingers: bool,
    },
    /// Somebody has logged in, says PAM.
    Session,
    /// Take away what was there for this user.
    Clean {
        /// The user.
        name: String,
    },
}

impl Task {
    /// What the arguments ask for; none if they make no sense.
    pub fn of(arguments: &[OsString]) -> Option<Self> {
        let words: Vec<&str> = (arguments.iter())
            .map(|argument| argument.to_str())
            .collect::<Option<_>>()?;
        let name = |name: &str| (!name.starts_with('-')).then(|| name.to_owned());
        match words.as_slice() {
            ["--session"] => Some(Self::Session),
            ["--clean", user] => name(user).map(|name| Self::Clean { name }),
            [user] => name(user).map(|name| Self::Serve {
                name,
                lingers: false,
            }),
            ["--linger", user] => name(user).map(|name| Self::Serve {
                name,
                lingers: true,
            }),
            _ => None,
        }
    }
}

/// Does `task` for the generation at `toplevel`.
pub fn run(toplevel: &Path, task: &Task) -> ExitCode {
    let done = match task {
        Task::Session => session::begin(),
        Task::Clean { name } => clean(name),
        Task::Serve { name, lingers } => serve(toplevel, name, *lingers),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-init: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns only with the reason why it could not be done.
fn serve(toplevel: &Path, name: &str, lingers: bool) -> anyhow::Result<()> {
    // `/run/current-system` may be another one tomorrow.
    let toplevel = fs::canonicalize(toplevel)
        .with_context(|| format!("cannot find {}", toplevel.display()))?;
    let account = account::find(Path::new("/etc"), name)?;
    let owner = Owner {
        runtime: runtime(account.credentials.uid),
        lingers,
        name: account.name,
        credentials: account.credentials,
        home: account.home,
        shell: account.shell,
    };
    make_runtime_directory(&owner)?;
    let sessions = session::directory(Path::new(session::SESSIONS), owner.credentials.uid);
    fs::create_dir_all(&sessions).with_context(|| format!("cannot make {}", sessions.display()))?;
    if let Err(error) = give_groups(&owner.credentials) {
        // As with the machine's services: they run without.
        eprintln!("cairn: {error:#}; the user's services run without control groups of their own");
    }
    become_user(&owner.credentials).with_context(|| format!("cannot become '{name}'"))?;
    let mut core = Command::new(toplevel.join(CORE));
    core.arg0(core_name(Some(&owner)))
        .arg(&toplevel)
        .env_clear()
        .envs(owner.variables());
    // A home that is not there yet is no obstacle.
    core.current_dir(if owner.home.is_dir() {
        owner.home.as_path()
    } else {
        Path::new("/")
    });
    Err(core.exec()).context("cannot execute the user's core")
}

fn runtime(uid: u32) -> PathBuf {
    Path::new(RUNTIME).join(uid.to_string())
}

/// A file system in memory of the user's own, so that nobody can fill another one's.
fn make_runtime_directory(owner: &Owner) -> anyhow::Result<()> {
    let path = owner.runtime.as_path();
    let context = || format!("cannot make {}", path.display());
    DirBuilder::new()
        .mode(0o755)
        .recursive(true)
        .create(RUNTIME)
        .with_context(context)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(context);
        }
        _ => {}
    }
    if is_mount_point(path).with_context(context)? {
        return Ok(());
    }
    let Credentials { uid, gid, .. } = owner.credentials;
    let options = format!("mode=0700,uid={uid},gid={gid},size=10%,nr_inodes=100k");
    nix::mount::mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options.as_str()),
    )
    .with_context(|| format!("cannot mount a tmpfs on {}", path.display()))
}

/// Whether something is mounted at `path`, which is another file system then than its parent.
fn is_mount_point(path: &Path) -> std::io::Result<bool> {
    let device = |path: &Path| path.symlink_metadata().map(|metadata| metadata.dev());
    Ok(device(path)? != device(path.parent().unwrap_or(path))?)
}

/// Gives the service's group and the one that this process is in, which is below it, to the user.
fn give_groups(user: &Credentials) -> anyhow::Result<()> {
    let text = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"));
    let group = own
        .and_then(|own| own.strip_suffix(MAIN_GROUP))
        .context("this is no service to which a control group is delegated")?;
    let group = Path::new(cgroup::MOUNT_POINT).join(group);
    [&group, &group.join(MAIN_GROUP)]
        .into_iter()
        .try_for_each(|group| {
            Cgroup::create(group)
                .and_then(|group| group.give(user.uid, user.gid))
                .with_context(|| format!("cannot give {} to the user", group.display()))
        })
}

fn become_user(user: &Credentials) -> nix::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setgid(Gid::from_raw(user.gid))?;
    setuid(Uid::from_raw(user.uid))
}

/// Takes the user's runtime directory away, and what is known of sessions that have ended.
fn clean(name: &str) -> anyhow::Result<()> {
    let uid = account::find(Path::new("/etc"), name)?.credentials.uid;
    session::forget_ended(Path::new(session::SESSIONS), uid)?;
    let path = runtime(uid);
    if !path.exists() {
        return Ok(());
    }
    if is_mount_point(&path)? {
        // Whoever still has files open there keeps them.
        unmount(&path, MntFlags::MNT_DETACH)?;
    }
    fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))
}

/// This process serves a user from now on, as its environment says.
///
/// # Errors
/// It does not say so.
pub fn take_over() -> anyhow::Result<()> {
    let variables = |name: &str| std::env::var(OsStr::new(name)).ok();
    let owner = Owner::from_variables(&variables).context(
        "USER, HOME, SHELL or XDG_RUNTIME_DIR is not set; this program is started by the service of a user",
    )?;
    crate::realm::serve(owner);
    kmsg::to_standard_error();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_tasks() {
        use expect_test::expect;
        let check = |words: &[&str], expected: &expect_test::Expect| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            expected.assert_eq(&format!("{:?}", Task::of(&words)));
        };
        check(
            &["alice"],
            &expect![[r#"Some(Serve { name: "alice", lingers: false })"#]],
        );
        check(
            &["--linger", "alice"],
            &expect![[r#"Some(Serve { name: "alice", lingers: true })"#]],
        );
        check(&["--session"], &expect!["Some(Session)"]);
        check(
            &["--clean", "alice"],
            &expect![[r#"Some(Clean { name: "alice" })"#]],
        );
        for words in [&[][..], &["--force"], &["--clean"], &["--clean", "-x"]] {
            check(words, &expect!["None"]);
        }
    }

    #[test]
    fn mount_points_are_told_from_folders() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        assert!(!is_mount_point(&inner).unwrap());
    }
}
