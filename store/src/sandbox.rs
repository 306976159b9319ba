//! Running an imported program where the store is at `/nix/store` and nothing else of the host is.
//!
//! No `/usr`, no `/lib`, no network, no privilege: a program that works here finds everything it
//! needs through store paths. It runs as root of its own user namespace, which is the calling user
//! outside.
//!
//! ```text
//! /nix/store   the store, read-only      /dev   null zero full random urandom tty ptmx pts shm
//! /proc        its own processes         /tmp   empty; plus what was asked for
//! ```

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output};

use cairn_sys::namespace::{Guest, Identity, Seclusion, Stage, Step};

use crate::error::{IoError, StoreError, io_error};
use crate::store::Store;

/// Whether a program may change what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may only read.
    ReadOnly,
    /// It may write, as the calling user.
    ReadWrite,
}

/// Which network a program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A loopback interface of its own.
    None,
    /// The host's.
    Host,
}

/// Where a program's input and output go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdio {
    /// It reads these bytes; its output is collected.
    Capture(Vec<u8>),
    /// Those of the calling process.
    Inherit,
}

/// A program of the store, and what it sees of the host.
///
/// ```no_run
/// # use cairn_store::{Access, Sandbox, Store};
/// # let store = Store::open("/tmp/example".as_ref())?;
/// let output = Sandbox::new(&store, "/nix/store/00000000000000000000000000000000-grub/bin/grub-mkimage")
///     .args(["-O", "i386-pc", "-o", "/out/core.img"])
///     .bind("/tmp/out", "/out", Access::ReadWrite)
///     .run()?;
/// assert!(output.status.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sandbox<'a> {
    store: &'a Store,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    binds: Vec<(PathBuf, PathBuf, Access)>,
    links: Vec<(PathBuf, PathBuf)>,
    working_directory: PathBuf,
    network: Network,
    stdio: Stdio,
}

/// Why a program could not be run. That it ran and failed is not an error here.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel does not let this user make namespaces.
    #[error(
        "cannot run {program}: the kernel refuses user namespaces: {source}; {}",
        namespace_hint()
    )]
    Refused {
        /// The program.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A part of the program's root cannot be made.
    #[error("cannot run {program}: cannot make {what} of its root: {source}")]
    Root {
        /// The program.
        program: String,
        /// Which part.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The program cannot be started.
    #[error(
        "cannot run {program}: {source}; is it, and its ELF interpreter or shell, in the store?"
    )]
    Exec {
        /// The program.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A place in the guest is not an absolute path without `..`.
    #[error("cannot run {program}: '{}' is not an absolute path without '..'", path.display())]
    Place {
        /// The program.
        program: String,
        /// The place.
        path: PathBuf,
    },
    /// A file operation on the host failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the system's administrator can do, as far as its files tell.
fn namespace_hint() -> String {
    let switches = [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "sysctl user.max_user_namespaces=10000",
        ),
    ];
    let off = |(file, bad, command): (&str, &str, &'static str)| {
        let value = fs::read_to_string(file).ok()?;
        (value.trim() == bad).then(|| format!("enable them with '{command}'"))
    };
    switches.into_iter().find_map(off).unwrap_or_else(|| {
        "in a container, allow them in its seccomp and AppArmor profile; elsewhere see the sysctls \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns and \
         user.max_user_namespaces"
            .to_owned()
    })
}

impl<'a> Sandbox<'a> {
    /// Runs `program`, a path in the guest: usually `/nix/store/…/bin/…`.
    #[must_use]
    pub fn new(store: &'a Store, program: impl AsRef<OsStr>) -> Self {
        Self {
            store,
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            binds: Vec::new(),
            links: Vec::new(),
            working_directory: PathBuf::from("/tmp"),
            network: Network::None,
            stdio: Stdio::Capture(Vec::new()),
        }
    }

    /// Appends an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.args.extend(args);
        self
    }

    /// Sets a variable of the environment, which is otherwise empty.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.env.push(pair);
        self
    }

    /// Shows the host's file or folder `host` at `guest`. Also below `/nix/store`, over an object.
    #[must_use]
    pub fn bind(mut self, host: impl AsRef<Path>, guest: impl AsRef<Path>, access: Access) -> Self {
        let (host, guest) = (host.as_ref().to_owned(), guest.as_ref().to_owned());
        self.binds.push((host, guest, access));
        self
    }

    /// Makes a symbolic link at `guest`: `/bin/sh` to a shell of the store.
    #[must_use]
    pub fn link(mut self, target: impl AsRef<Path>, guest: impl AsRef<Path>) -> Self {
        let (target, guest) = (target.as_ref().to_owned(), guest.as_ref().to_owned());
        self.links.push((target, guest));
        self
    }

    /// Starts the program in this folder of the guest; `/tmp` if nothing is said.
    #[must_use]
    pub fn working_directory(mut self, guest: impl AsRef<Path>) -> Self {
        guest.as_ref().clone_into(&mut self.working_directory);
        self
    }

    /// Which network it has; none if nothing is said.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Where its input and output go; if nothing is said, the input is empty and the output is
    /// collected.
    #[must_use]
    pub fn stdio(mut self, stdio: Stdio) -> Self {
        self.stdio = stdio;
        self
    }

    /// Runs the program and waits for its end. A program that was killed by a signal has that
    /// signal in its status. Nothing that it started outlives it.
    ///
    /// # Errors
    /// The root cannot be made, or the program cannot be started.
    pub fn run(&self) -> Result<Output, SandboxError> {
        let guest = self.guest()?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let input = match &self.stdio {
            Stdio::Inherit => None,
            Stdio::Capture(input) => {
                command
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped());
                Some(input.as_slice())
            }
        };
        let program = self.program.to_string_lossy().into_owned();
        let report = guest
            .attach(&mut command)
            .map_err(|source| SandboxError::Exec {
                program: program.clone(),
                source,
            })?;
        let spawned = command.spawn();
        drop(command);
        let mut child = match spawned {
            Ok(child) => child,
            Err(source) => return Err(explain(program, report.stage(), source)),
        };
        let stdin = child.stdin.take();
        // The program may write much before it reads: both have to go on at the same time.
        std::thread::scope(|scope| {
            let feeder = scope.spawn(move || match (stdin, input) {
                (Some(mut pipe), Some(input)) => pipe.write_all(input),
                _ => Ok(()),
            });
            let output = child.wait_with_output();
            match feeder.join() {
                // A program need not read all of its input.
                Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
                _ => output,
            }
        })
        .map_err(|source| SandboxError::Exec { program, source })
    }

    fn guest(&self) -> Result<Guest, SandboxError> {
        let mount_point = self.store.state_dir().join("sandbox");
        fs::create_dir_all(&mount_point).map_err(io_error("create folder", &mount_point))?;
        let mut plan = RootPlan::default();
        plan.bind(&self.store.store_dir(), Path::new("/nix/store"), true);
        plan.devices();
        plan.folder(Path::new("/tmp"));
        plan.folder(Path::new("/proc"));
        plan.steps.push(Step::Proc("/proc".into()));
        for (host, guest, access) in &self.binds {
            self.check_place(guest)?;
            let metadata = fs::metadata(host).map_err(io_error("bind", host))?;
            let host = std::path::absolute(host).map_err(io_error("bind", host))?;
            // Below the store, the place must be there: the store itself is not changed.
            if !guest.starts_with("/nix/store") {
                if metadata.is_dir() {
                    plan.folder(guest);
                } else {
                    plan.file(guest);
                }
            }
            plan.steps.push(Step::Bind {
                from: host,
                at: guest.clone(),
                read_only: *access == Access::ReadOnly,
            });
        }
        for (target, guest) in &self.links {
            self.check_place(guest)?;
            plan.link(target, guest);
        }
        self.check_place(&self.working_directory)?;
        Ok(Guest {
            mount_point,
            steps: plan.steps,
            working_directory: self.working_directory.clone(),
            host_network: self.network == Network::Host,
            identity: Identity::ROOT,
            seclusion: Seclusion::Full,
        })
    }

    fn check_place(&self, path: &Path) -> Result<(), SandboxError> {
        let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        if path.is_absolute() && path.components().all(plain) {
            Ok(())
        } else {
            Err(SandboxError::Place {
                program: self.program.to_string_lossy().into_owned(),
                path: path.to_owned(),
            })
        }
    }
}

pub(crate) fn explain(
    program: String,
    stage: io::Result<Stage>,
    source: io::Error,
) -> SandboxError {
    let what = match stage {
        Ok(Stage::Namespaces | Stage::Map) => return SandboxError::Refused { program, source },
        Ok(Stage::Exec) => return SandboxError::Exec { program, source },
        Ok(Stage::Root) | Err(_) => "the mount point".to_owned(),
        Ok(Stage::Step(step)) => match step {
            Step::Folder(at) | Step::File(at) | Step::Proc(at) | Step::Terminals(at) => {
                at.display().to_string()
            }
            Step::Link { at, .. } => format!("the link {}", at.display()),
            Step::Bind { from, at, .. } => format!("{} as {}", from.display(), at.display()),
        },
    };
    SandboxError::Root {
        program,
        what,
        source,
    }
}

/// Collects steps; each folder is made once.
#[derive(Default)]
pub(crate) struct RootPlan {
    pub(crate) steps: Vec<Step>,
    made: BTreeSet<PathBuf>,
}

impl RootPlan {
    pub(crate) fn folder(&mut self, path: &Path) {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.pop();
        for folder in above.into_iter().rev() {
            if self.made.insert(folder.to_owned()) {
                self.steps.push(Step::Folder(folder.to_owned()));
            }
        }
    }

    pub(crate) fn file(&mut self, path: &Path) {
        self.folder_above(path);
        if self.made.insert(path.to_owned()) {
            self.steps.push(Step::File(path.to_owned()));
        }
    }

    fn folder_above(&mut self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.folder(folder);
        }
    }

    pub(crate) fn link(&mut self, target: &Path, at: &Path) {
        self.folder_above(at);
        self.steps.push(Step::Link {
            target: target.to_owned(),
            at: at.to_owned(),
        });
    }

    pub(crate) fn bind(&mut self, from: &Path, at: &Path, read_only: bool) {
        self.folder(at);
        self.steps.push(Step::Bind {
            from: from.to_owned(),
            at: at.to_owned(),
            read_only,
        });
    }

    /// As `bind`, where the file is in its place, or the folder is still to be made.
    pub(crate) fn bind_existing(&mut self, from: &Path, at: &Path, folder: bool) {
        if folder {
            self.folder(at);
        }
        self.steps.push(Step::Bind {
            from: from.to_owned(),
            at: at.to_owned(),
            read_only: true,
        });
    }

    pub(crate) fn devices(&mut self) {
        for folder in ["/dev/pts", "/dev/shm"] {
            self.folder(Path::new(folder));
        }
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let device = Path::new("/dev").join(name);
            // Minimal hosts have no controlling terminal's device.
            if !device.exists() {
                continue;
            }
            self.file(&device);
            // Devices can be written to all the same; that the mount is read-only keeps their modes,
            // which a linker's `-o /dev/null` would change if the caller is the host's root.
            self.steps.push(Step::Bind {
                from: device.clone(),
                at: device,
                read_only: true,
            });
        }
        self.steps.push(Step::Terminals("/dev/pts".into()));
        for (target, at) in [
            ("pts/ptmx", "/dev/ptmx"),
            ("/proc/self/fd", "/dev/fd"),
            ("/proc/self/fd/0", "/dev/stdin"),
            ("/proc/self/fd/1", "/dev/stdout"),
            ("/proc/self/fd/2", "/dev/stderr"),
        ] {
            self.link(Path::new(target), Path::new(at));
        }
    }
}
