//! Whose services this program runs: the machine's, or one user's.
//!
//! A user's core and supervisor are the machine's programs without its rights. Where they listen, log
//! and put control groups is all that differs; what only the machine has (devices, buttons, PID 1's own
//! work) they leave alone.
//!
//! ```text
//!                 the machine                    a user
//! sockets         /run/cairn                     $XDG_RUNTIME_DIR/cairn
//! logs            /var/log/cairn                 $XDG_STATE_HOME/cairn/log
//! timers' marks   /var/lib/cairn/timers          $XDG_STATE_HOME/cairn/timers
//! control groups  <hierarchy>/cairn/SERVICE      <the group of user@NAME>/services/SERVICE
//! ```
//!
//! It is known when the process starts, and never changes: the roles of users say so before anything
//! asks.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cairn_sys::cgroup;
use cairn_sys::process::Credentials;
use cairn_system::control::{LOG_DIRECTORY, RUNTIME_DIRECTORY};
use cairn_system::ordered;

use crate::generation::CORE;

/// The variable that says that a user's services outlive sessions.
pub const LINGER: &str = "CAIRN_LINGER";

/// Below the control group of a service that makes groups itself: where its own processes are, such as
/// a user's core and supervisor.
pub const MAIN_GROUP: &str = "main";

/// Where things of these services are.
#[derive(Debug)]
pub struct Realm {
    /// Whose services they are; none: the machine's.
    pub owner: Option<Owner>,
    /// The control socket.
    pub control: PathBuf,
    /// The socket for what services say of themselves.
    pub notifications: PathBuf,
    /// The link that names the generation whose services run.
    pub generation: PathBuf,
    /// That generation's program.
    pub program: CString,
    /// Logs.
    pub logs: PathBuf,
    /// Marks of persistent timers.
    pub marks: PathBuf,
    /// The parent of the services' control groups.
    pub groups: PathBuf,
    /// The same as `/proc/<pid>/cgroup` names it, with a slash at its end.
    pub group_prefix: String,
}

/// A user whose services these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name.
    pub name: String,
    /// Who that is.
    pub credentials: Credentials,
    /// The home.
    pub home: PathBuf,
    /// The shell.
    pub shell: String,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: PathBuf,
    /// Services go on when the last session has ended.
    pub lingers: bool,
}

static REALM: OnceLock<Realm> = OnceLock::new();

/// This process's.
pub fn realm() -> &'static Realm {
    REALM.get_or_init(Realm::machine)
}

/// From now on this process serves `owner`; without effect if somebody has asked before.
pub fn serve(owner: Owner) {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    REALM.get_or_init(|| Realm::of_user(owner, group_of_core(&own)));
}

impl Realm {
    fn machine() -> Self {
        let runtime = Path::new(RUNTIME_DIRECTORY);
        Self {
            owner: None,
            logs: LOG_DIRECTORY.into(),
            marks: "/var/lib/cairn/timers".into(),
            ..Self::at(runtime, "/cairn/".to_owned())
        }
    }

    /// The services of `owner` below the control group `group`, which is a path in the hierarchy.
    fn of_user(owner: Owner, group: &str) -> Self {
        let group = group.trim_end_matches('/');
        let state = owner.home.join(".local/state/cairn");
        Self {
            logs: state.join("log"),
            marks: state.join("timers"),
            ..Self::at(&owner.runtime.join("cairn"), format!("{group}/services/"))
        }
        .owned(owner)
    }

    fn owned(self, owner: Owner) -> Self {
        Self {
            owner: Some(owner),
            ..self
        }
    }

    fn at(runtime: &Path, group_prefix: String) -> Self {
        let generation = runtime.join("generation");
        let program = generation.join(CORE);
        Self {
            owner: None,
            control: runtime.join("control"),
            notifications: runtime.join("notify"),
            // A path from the environment has no NUL in it.
            program: CString::new(program.as_os_str().as_bytes()).unwrap_or_default(),
            generation,
            logs: PathBuf::new(),
            marks: PathBuf::new(),
            groups: Path::new(cgroup::MOUNT_POINT).join(group_prefix.trim_matches('/')),
            group_prefix,
        }
    }

    /// The name of the service in whose control group the process `pid` is.
    pub fn service_of(&self, pid: u32) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        service_in(&text, &self.group_prefix).map(str::to_owned)
    }

    /// Whether whoever has this number may do everything here.
    pub fn obeys(&self, uid: u32) -> bool {
        let owner = self.owner.as_ref();
        uid == 0 || owner.is_some_and(|owner| owner.credentials.uid == uid)
    }
}

impl Owner {
    /// What this user's processes are told, core and supervisor among them.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let text = |path: &Path| path.display().to_string();
        let all = [
            ("USER", self.name.clone()),
            ("LOGNAME", self.name.clone()),
            ("HOME", text(&self.home)),
            ("SHELL", self.shell.clone()),
            ("XDG_RUNTIME_DIR", text(&self.runtime)),
        ];
        let lingers = self.lingers.then(|| (LINGER, "1".to_owned()));
        ordered::map(
            all.into_iter()
                .chain(lingers)
                .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    /// Undoes that, for who is running this. None if something is missing.
    pub fn from_variables(variables: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        use nix::unistd::{getegid, geteuid, getgroups};
        let groups = getgroups().unwrap_or_default();
        Some(Self {
            name: variables("USER")?,
            credentials: Credentials {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
                groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
            },
            home: variables("HOME")?.into(),
            shell: variables("SHELL")?,
            runtime: variables("XDG_RUNTIME_DIR")?.into(),
            lingers: variables(LINGER).is_some(),
        })
    }
}

/// The group above the one that a user's core is in, from `/proc/self/cgroup`.
fn group_of_core(text: &str) -> &str {
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.unwrap_or("/");
    own.strip_suffix(MAIN_GROUP).unwrap_or(own)
}

/// The part behind `prefix` of the path in `/proc/<pid>/cgroup`.
fn service_in<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.strip_prefix(prefix)?.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(realm: &Realm, expected: &Expect) {
        let paths = [
            &realm.control,
            &realm.notifications,
            &realm.generation,
            &realm.logs,
            &realm.marks,
            &realm.groups,
        ];
        let paths: Vec<_> = paths.map(|path| path.display().to_string()).into();
        let program = realm.program.to_string_lossy();
        expected.assert_eq(&format!(
            "{}\n{program}\n{}",
            paths.join("\n"),
            realm.group_prefix
        ));
    }

    #[test]
    fn where_things_are() {
        check(
            &Realm::machine(),
            &expect![[r"
                /run/cairn/control
                /run/cairn/notify
                /run/cairn/generation
                /var/log/cairn
                /var/lib/cairn/timers
                /sys/fs/cgroup/cairn
                /run/cairn/generation/core
                /cairn/"]],
        );
        let owner = Owner {
            name: "alice".to_owned(),
            credentials: Credentials {
                uid: 1000,
                gid: 100,
                groups: Vec::new(),
            },
            home: "/home/alice".into(),
            shell: "/bin/sh".to_owned(),
            runtime: "/run/user/1000".into(),
            lingers: false,
        };
        let group = group_of_core("0::/cairn/user@alice/main\n");
        let realm = Realm::of_user(owner, group);
        check(
            &realm,
            &expect![[r"
                /run/user/1000/cairn/control
                /run/user/1000/cairn/notify
                /run/user/1000/cairn/generation
                /home/alice/.local/state/cairn/log
                /home/alice/.local/state/cairn/timers
                /sys/fs/cgroup/cairn/user@alice/services
                /run/user/1000/cairn/generation/core
                /cairn/user@alice/services/"]],
        );
        assert_eq!(
            [0, 1000, 1001].map(|uid| realm.obeys(uid)),
            [true, true, false]
        );
        assert_eq!(
            [0, 1000].map(|uid| Realm::machine().obeys(uid)),
            [true, false]
        );
    }

    #[test]
    fn an_owner_survives_the_environment() {
        use nix::unistd::{getegid, geteuid, getgroups};
        let owner = Owner {
            name: "alice".to_owned(),
            credentials: Credentials {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
                groups: getgroups().unwrap().into_iter().map(Into::into).collect(),
            },
            home: "/home/alice".into(),
            shell: "/bin/sh".to_owned(),
            runtime: "/run/user/1000".into(),
            lingers: true,
        };
        let variables = owner.variables();
        let again = Owner::from_variables(&|name| variables.get(name).cloned());
        assert_eq!(again, Some(owner));
        assert_eq!(Owner::from_variables(&|_| None), None);
    }

    #[test]
    fn control_groups_name_their_service() {
        let service = |text| service_in(text, "/cairn/");
        assert_eq!(service("0::/cairn/web@1/sub\n"), Some("web@1"));
        assert_eq!(service("1:cpu:/x\n0::/cairn/web\n"), Some("web"));
        assert_eq!(service("0::/\n"), None);
        assert_eq!(service(""), None);
    }
}
