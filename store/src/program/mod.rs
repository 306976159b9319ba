//! Builders that are programs of the store: what an ordinary derivation names.
//!
//! A builder runs in a root of its own that has what it may depend on, and nothing else:
//!
//! ```text
//! /nix/store   the closure of its inputs, read-only; its outputs appear here
//! /build       its working folder, on the disk of the store
//! /tmp         empty, likewise
//! /bin/sh      the builder itself, if that is a shell
//! /etc         passwd group hosts; with the network: resolv.conf services and certificates
//! /dev /proc   null zero full random urandom tty ptmx pts shm; its own processes
//! ```
//!
//! It takes itself for user 1000. It has no network, unless its output is fixed: then what it
//! makes is known before, wherever it comes from. Variables are those of Nix ([`mod@environment`]).
//! What it writes goes to a log file ([`log_file`]), whose end is part of the error if it fails.
//!
//! Sources: the chapter on derivations of Nix's manual; `namespace` in `cairn-sys`.

mod environment;
mod structured;
mod supervise;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use bstr::ByteSlice as _;
use cairn_store_path::{STORE_DIR, StorePath};
use cairn_sys::namespace::{Guest, Identity, Seclusion, Step};

use crate::error::{IoError, StoreError, io_error};
use crate::job::Job;
use crate::sandbox::{RootPlan, SandboxError, explain};
use crate::store::Store;

pub(crate) use environment::{BUILD_FOLDER, Environment, environment};
use supervise::{End, supervise};

/// Whom builders take themselves for, as in Nix.
const BUILDER: Identity = Identity {
    uid: 1000,
    gid: 100,
};

/// Files of `/etc`.
const ETC: [(&str, &str); 3] = [
    (
        "passwd",
        "root:x:0:0:Nix build user:/build:/noshell\n\
         nixbld:x:1000:100:Nix build user:/build:/noshell\n\
         nobody:x:65534:65534:Nobody:/:/noshell\n",
    ),
    ("group", "root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];

/// What of the host's `/etc` a builder with the network sees, as far as it is there.
const NETWORK_ETC: [&str; 5] = [
    "resolv.conf",
    "services",
    "nsswitch.conf",
    "ssl/certs/ca-certificates.crt",
    "hosts",
];

/// Names of shells, any of which can be `/bin/sh`.
const SHELLS: [&str; 4] = ["sh", "bash", "dash", "busybox"];

/// How long builders that are programs may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// From its start to its end.
    pub time: Option<Duration>,
    /// Without a word to its log.
    pub silence: Option<Duration>,
}

/// Why a builder that is a program did not make its outputs.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is for another machine.
    #[error("it is for '{system}', but this machine is {}", crate::SYSTEM)]
    System {
        /// The derivation's system.
        system: String,
    },
    /// It ran and failed.
    #[error("{end}{tail}\nits whole log: {}", log.display())]
    Failed {
        /// How it ended.
        end: String,
        /// The log's last lines, each on a line of its own, with a heading.
        tail: String,
        /// The log.
        log: PathBuf,
    },
    /// The derivation's `__json` cannot be read.
    #[error("its attributes are no JSON object: {0}")]
    Structured(serde_json::Error),
    /// It could not be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the log of a derivation's build is, in a store at `store`: where Nix has it, too.
#[must_use]
pub fn log_file(store: &Store, derivation: &StorePath) -> PathBuf {
    let name = derivation.base_name();
    let (first, rest) = name.split_at_checked(2).unwrap_or(("", name));
    store
        .root()
        .join("nix/var/log/nix/drvs")
        .join(first)
        .join(rest)
}

/// Runs the builder of `job`, in whose folder scratch space and outputs are.
pub(crate) fn run(job: &Job<'_>, folder: &Path, limits: Limits) -> Result<(), ProgramError> {
    let derivation = job.derivation;
    if derivation.system != crate::SYSTEM {
        return Err(ProgramError::System {
            system: derivation.system.to_string(),
        });
    }
    let environment = environment(derivation).map_err(ProgramError::Structured)?;
    for (name, content) in &environment.files {
        let file = job.scratch.join(name);
        fs::write(&file, content).map_err(io_error("write", &file))?;
    }
    let guest = guest(job, folder, &environment)?;
    let program = environment.builder.to_string();
    let mut command = Command::new(environment.builder.to_os_str_lossy());
    command
        .args(environment.args.iter().map(|arg| arg.to_os_str_lossy()))
        .env_clear()
        .envs(
            environment
                .variables
                .iter()
                .map(|(name, value)| (name.to_os_str_lossy(), value.to_os_str_lossy())),
        )
        .stdin(Stdio::null());
    let log = log_file(job.store, job.derivation_path);
    let ended = run_logged(command, &guest, &program, &log, limits)?;
    match ended.end {
        End::Exited(status) if status.success() => Ok(()),
        end => Err(ProgramError::Failed {
            end: describe(&end),
            tail: ended.tail,
            log,
        }),
    }
}

fn run_logged(
    mut command: Command,
    guest: &Guest,
    program: &str,
    log: &Path,
    limits: Limits,
) -> Result<supervise::Ended, ProgramError> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).map_err(io_error("create folder", folder))?;
    }
    let log_file = fs::File::create(log).map_err(io_error("create", log))?;
    let exec = |source| SandboxError::Exec {
        program: program.to_owned(),
        source,
    };
    let (reader, writer) = io::pipe().map_err(exec)?;
    let second = writer.try_clone().map_err(exec)?;
    command.stdout(second).stderr(writer);
    let report = guest.attach(&mut command).map_err(exec)?;
    let spawned = command.spawn();
    drop(command);
    let child = match spawned {
        Ok(child) => child,
        Err(source) => return Err(explain(program.to_owned(), report.stage(), source).into()),
    };
    Ok(supervise(child, reader, log_file, limits).map_err(io_error("write", log))?)
}

fn describe(end: &End) -> String {
    match end {
        End::Exited(status) => describe_status(*status),
        End::TimedOut(limit) => format!("its builder was stopped after {} s", limit.as_secs()),
        End::Silent(limit) => {
            format!(
                "its builder was stopped after {} s without output",
                limit.as_secs()
            )
        }
        End::TooMuchOutput => "its builder was stopped: its log grew without end".to_owned(),
    }
}

fn describe_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("its builder failed with exit code {code}"),
        (None, Some(signal)) => format!("its builder was killed by signal {signal}"),
        (None, None) => "its builder failed".to_owned(),
    }
}

fn guest(job: &Job<'_>, folder: &Path, environment: &Environment) -> Result<Guest, ProgramError> {
    let mount_point = job.store.state_dir().join("sandbox");
    let temporary = folder.join("tmp");
    for made in [&mount_point, &temporary] {
        fs::create_dir_all(made).map_err(io_error("create folder", made))?;
    }
    let mode = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(&temporary, mode).map_err(io_error("change", &temporary))?;
    let mut plan = RootPlan::default();
    // Places for the inputs are made beside the outputs, and go with them.
    plan.bind(&folder.join("outputs"), Path::new(STORE_DIR), false);
    for path in job.closure_ref()? {
        bind_object(&mut plan, job.store, path)?;
    }
    plan.devices();
    plan.folder(Path::new("/proc"));
    plan.steps.push(Step::Proc("/proc".into()));
    plan.bind(&temporary, Path::new("/tmp"), false);
    plan.bind(&job.scratch, Path::new(BUILD_FOLDER), false);
    let fixed = job
        .derivation
        .outputs
        .values()
        .any(|out| out.fixed.is_some());
    etc(&mut plan, folder, fixed)?;
    let builder = PathBuf::from(environment.builder.to_os_str_lossy().into_owned());
    let is_shell = builder
        .file_name()
        .is_some_and(|name| SHELLS.iter().any(|shell| name == *shell));
    if is_shell {
        plan.link(&builder, Path::new("/bin/sh"));
    }
    Ok(Guest {
        mount_point,
        steps: plan.steps,
        working_directory: BUILD_FOLDER.into(),
        host_network: fixed,
        identity: BUILDER,
        seclusion: Seclusion::Full,
    })
}

fn bind_object(plan: &mut RootPlan, store: &Store, path: &StorePath) -> Result<(), ProgramError> {
    let real = store.real_path(path);
    let guest = path.to_path_buf();
    let metadata = fs::symlink_metadata(&real).map_err(io_error("read", &real))?;
    if metadata.is_symlink() {
        let target = fs::read_link(&real).map_err(io_error("read link", &real))?;
        plan.link(&target, &guest);
        return Ok(());
    }
    if metadata.is_file() {
        plan.file(&guest);
    }
    plan.bind_existing(&real, &guest, metadata.is_dir());
    Ok(())
}

fn etc(plan: &mut RootPlan, folder: &Path, network: bool) -> Result<(), ProgramError> {
    let own = folder.join("etc");
    fs::create_dir_all(&own).map_err(io_error("create folder", &own))?;
    for (name, content) in ETC {
        if network && name == "hosts" {
            continue;
        }
        let file = own.join(name);
        fs::write(&file, content).map_err(io_error("write", &file))?;
        let guest = Path::new("/etc").join(name);
        plan.file(&guest);
        plan.bind_existing(&file, &guest, false);
    }
    if !network {
        return Ok(());
    }
    for name in NETWORK_ETC {
        let guest = Path::new("/etc").join(name);
        // The real file: links of the host lead to places that the guest does not have.
        if let Ok(real) = fs::canonicalize(&guest) {
            plan.file(&guest);
            plan.bind_existing(&real, &guest, false);
        }
    }
    Ok(())
}
