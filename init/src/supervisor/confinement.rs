//! A service's confinement as steps: what its processes do to their view of the files before they
//! execute anything.
//!
//! Rules are applied from the root downwards, so that a deeper one counts where two meet. A mount that
//! is shown elsewhere brings its own restrictions along; those that the service is to have are set
//! where it is shown.
//!
//! ```text
//! /run/cairn/confinement/   0700, in memory
//!   nothing/  file          what is seen in place of what is inaccessible
//!   dev/                    where a service's own /dev is put together
//! /var/lib/cairn/private/   0700
//!   <service>/tmp, var-tmp  its own /tmp and /var/tmp, while it runs
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::process::{Access as Bits, Change, Confinement as Confined, Own as Kept, Step};
use cairn_system::{
    Access, Confinement, Own, PathAccess, ProcessView, Service, ServiceDirectory, ServiceMount,
    Visible,
};

use super::directories;
use super::filters::{self, ProgramError};

const STAGE: &str = "/run/cairn/confinement";
const NOTHING: &str = "/run/cairn/confinement/nothing";
const FILE: &str = "/run/cairn/confinement/file";
const DEVICES: &str = "/run/cairn/confinement/dev";
const PRIVATE: &str = "/var/lib/cairn/private";
const STORE: &str = "/nix/store";

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A folder.
    Folder,
    /// A file, a device, a socket.
    File,
}

impl There {
    /// What is there on this machine, behind all links.
    pub fn now(path: &Path) -> Self {
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => Self::Folder,
            Ok(_) => Self::File,
            Err(_) => Self::Nothing,
        }
    }
}

/// What a process of `service` is kept from, where this is there now.
///
/// # Errors
/// Its filters cannot be made.
pub fn plan(service: &Service, there: &dyn Fn(&Path) -> There) -> Result<Confined, ProgramError> {
    let confinement = &service.process.confinement;
    let own = confinement.own.iter().filter_map(|own| match own {
        Own::Network => Some(Kept::Network),
        Own::Ipc => Some(Kept::Ipc),
        Own::HostName => Some(Kept::HostName),
        Own::Users => Some(Kept::Users),
        Own::TemporaryFiles | Own::Devices | Own::Mounts => None,
    });
    Ok(Confined {
        view: View::of(service, there).steps,
        own: own.collect(),
        filters: filters::programs(confinement)?,
    })
}

/// Makes what the steps show in place of other things.
///
/// # Errors
/// A file or folder cannot be made: the message names it.
pub fn make_stage() -> io::Result<()> {
    let folder = |path: &str, mode| ServiceDirectory {
        path: path.to_owned(),
        mode,
        root: true,
        removed_at_stop: false,
    };
    let folders = [
        folder(STAGE, 0o700),
        folder(NOTHING, 0),
        folder(DEVICES, 0o755),
    ];
    directories::make(&folders, &cairn_sys::process::Credentials::default())?;
    directories::make_file(Path::new(FILE), 0)
}

/// The folders behind a service's own `/tmp` and `/var/tmp`.
pub fn private_directories(service: &Service) -> Vec<ServiceDirectory> {
    if !service
        .process
        .confinement
        .own
        .contains(&Own::TemporaryFiles)
    {
        return Vec::new();
    }
    let folder = |path: PathBuf, mode, removed_at_stop| ServiceDirectory {
        path: path.display().to_string(),
        mode,
        root: true,
        removed_at_stop,
    };
    let own = private(service);
    vec![
        folder(PRIVATE.into(), 0o700, false),
        folder(own.clone(), 0o700, true),
        folder(own.join("tmp"), 0o1777, false),
        folder(own.join("var-tmp"), 0o1777, false),
    ]
}

fn private(service: &Service) -> PathBuf {
    Path::new(PRIVATE).join(service.name.as_str())
}

/// What is to be seen at one path.
#[derive(Debug, Default)]
struct Place<'a> {
    mounts: Vec<&'a ServiceMount>,
    access: Option<(Access, bool)>,
    /// A folder of the supervisor's that is shown here.
    shown: Option<PathBuf>,
}

/// The steps, as they come.
struct View<'a> {
    steps: Vec<Step>,
    there: &'a dyn Fn(&Path) -> There,
}

impl<'a> View<'a> {
    fn of(service: &Service, there: &'a dyn Fn(&Path) -> There) -> Self {
        let confinement = &service.process.confinement;
        let mut view = Self {
            steps: Vec::new(),
            there,
        };
        let own_devices = confinement.own.contains(&Own::Devices);
        if own_devices {
            view.devices();
        }
        view.processes(confinement.processes);
        if confinement.own.contains(&Own::Ipc) && !own_devices {
            view.queues(Path::new("/dev/mqueue"));
        }
        let places = places(service);
        for (path, place) in &places {
            // Nothing is to be seen below what is inaccessible.
            let hidden = path.ancestors().skip(1).any(|above| {
                let access = places.get(above).and_then(|place| place.access);
                access.is_some_and(|(access, _)| access == Access::Inaccessible)
            });
            if !(hidden || own_devices && path == Path::new("/dev") && place.mounts.is_empty()) {
                view.place(path, place);
            }
        }
        view.keep_store(&places);
        if view.steps.is_empty() && confinement.own.contains(&Own::Mounts) {
            // A view that is as the machine's.
            view.push(access(Path::new("/"), false, Bits::FREE, Bits::FREE), false);
        }
        view
    }

    fn push(&mut self, change: Change, optional: bool) {
        self.steps.push(Step { change, optional });
    }

    fn place(&mut self, path: &Path, place: &Place) {
        for mount in &place.mounts {
            self.mount(path, mount);
        }
        if let Some(from) = &place.shown {
            self.push(bind(from, path), false);
            self.push(access(path, true, NO_RIGHTS, Bits::READ_ONLY), false);
        }
        let Some((wanted, optional)) = place.access else {
            return;
        };
        if wanted == Access::Inaccessible {
            let nothing = match (self.there)(path) {
                There::File => FILE,
                There::Folder | There::Nothing => NOTHING,
            };
            self.push(bind(Path::new(nothing), path), optional);
            let forbid = Bits::READ_ONLY.and(NO_RIGHTS).and(Bits::NO_EXEC);
            self.push(access(path, false, forbid, Bits::FREE), optional);
            return;
        }
        // Only what is a mount can be given rights of its own.
        if path != Path::new("/") {
            self.push(bind(path, path), optional);
        }
        let (forbid, allow) = match wanted {
            Access::ReadOnly | Access::Inaccessible => (Bits::READ_ONLY, Bits::FREE),
            Access::ReadWrite => (Bits::FREE, Bits::READ_ONLY),
            Access::NotExecutable => (Bits::NO_EXEC, Bits::FREE),
            Access::Executable => (Bits::FREE, Bits::NO_EXEC),
        };
        self.push(access(path, true, forbid, allow), optional);
    }

    fn mount(&mut self, target: &Path, mount: &ServiceMount) {
        let source = mount.source.as_ref().map(Path::new);
        let there = source.map_or(There::Folder, |source| (self.there)(source));
        if mount.optional && there == There::Nothing {
            return;
        }
        let folders: Vec<&Path> = target.ancestors().skip(1).collect();
        for folder in folders.iter().rev().skip(1) {
            self.push(Change::Folder((*folder).to_owned(), 0o755), false);
        }
        let target = target.to_owned();
        self.push(
            match there {
                There::File => Change::File(target.clone()),
                There::Folder | There::Nothing => Change::Folder(target.clone(), 0o755),
            },
            false,
        );
        let Some(source) = source else {
            let read_only = if mount.read_only {
                Bits::READ_ONLY
            } else {
                Bits::FREE
            };
            let rights = NO_RIGHTS.and(read_only);
            self.push(file_system("tmpfs", &target, rights, &mount.options), false);
            return;
        };
        let (forbid, allow) = if mount.read_only || source.starts_with(STORE) {
            (Bits::READ_ONLY, Bits::FREE)
        } else {
            (Bits::FREE, Bits::READ_ONLY)
        };
        let rights = access(&target, !mount.flat, forbid, allow);
        let shown = Change::Bind {
            from: source.to_owned(),
            at: target,
            tree: !mount.flat,
        };
        self.push(shown, false);
        self.push(rights, false);
    }

    /// A `/dev` with what every program may expect.
    fn devices(&mut self) {
        let stage = Path::new(DEVICES);
        let rights = Bits::NO_SUID.and(Bits::NO_EXEC);
        let options = "mode=0755,size=4M,nr_inodes=1024";
        self.push(file_system("tmpfs", stage, rights, options), false);
        let shared = [
            "null", "zero", "full", "random", "urandom", "tty", "log", "pts", "shm",
        ];
        for name in shared {
            let (from, at) = (Path::new("/dev").join(name), stage.join(name));
            let place = match (self.there)(&from) {
                There::Nothing => continue,
                There::Folder => Change::Folder(at.clone(), 0o755),
                There::File => Change::File(at.clone()),
            };
            self.push(place, false);
            self.push(bind(&from, &at), false);
        }
        let queues = stage.join("mqueue");
        self.push(Change::Folder(queues.clone(), 0o755), false);
        self.queues(&queues);
        for (name, target) in [
            ("ptmx", "pts/ptmx"),
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            let (target, at) = (target.into(), stage.join(name));
            self.push(Change::Link { target, at }, false);
        }
        self.push(access(stage, false, Bits::READ_ONLY, Bits::FREE), false);
        let (from, at) = (stage.to_owned(), "/dev".into());
        self.push(Change::Move { from, at }, false);
    }

    /// The message queues of the process's own IPC namespace.
    fn queues(&mut self, at: &Path) {
        let rights = NO_RIGHTS.and(Bits::NO_EXEC);
        self.push(file_system("mqueue", at, rights, ""), true);
    }

    fn processes(&mut self, view: ProcessView) {
        let hide = match view.visible {
            Visible::All => None,
            Visible::NoAccess => Some("hidepid=noaccess"),
            Visible::Own => Some("hidepid=invisible"),
            Visible::Traceable => Some("hidepid=ptraceable"),
        };
        let subset = view.only_processes.then_some("subset=pid");
        let options: Vec<&str> = hide.into_iter().chain(subset).collect();
        if !options.is_empty() {
            let rights = NO_RIGHTS.and(Bits::NO_EXEC);
            let proc = file_system("proc", Path::new("/proc"), rights, &options.join(","));
            self.push(proc, false);
        }
    }

    /// That a folder above the store may be written to is no leave to write to the store.
    fn keep_store(&mut self, places: &BTreeMap<PathBuf, Place>) {
        let store = Path::new(STORE);
        let writable = |path: &Path| {
            let access = places.get(path).and_then(|place| place.access);
            access.is_some_and(|(access, _)| access == Access::ReadWrite)
        };
        if !writable(store) && store.ancestors().skip(1).any(writable) {
            self.push(bind(store, store), true);
            self.push(access(store, true, Bits::READ_ONLY, Bits::FREE), true);
        }
    }
}

/// What is to be seen where, from the root downwards.
fn places(service: &Service) -> BTreeMap<PathBuf, Place<'_>> {
    let confinement: &Confinement = &service.process.confinement;
    let mut places: BTreeMap<PathBuf, Place> = BTreeMap::new();
    for PathAccess {
        path,
        access,
        optional,
    } in &confinement.paths
    {
        places.entry(path.into()).or_default().access = Some((*access, *optional));
    }
    for mount in &confinement.mounts {
        let place = places.entry(mount.target.clone().into()).or_default();
        place.mounts.push(mount);
    }
    if confinement.own.contains(&Own::TemporaryFiles) {
        let own = private(service);
        for (at, name) in [("/tmp", "tmp"), ("/var/tmp", "var-tmp")] {
            places.entry(at.into()).or_default().shown = Some(own.join(name));
        }
    }
    // Its own folders are its own, whatever lies above them; below /etc they are for reading.
    let restricted = |path: &Path, places: &BTreeMap<PathBuf, Place>| {
        let mut above = path.ancestors().skip(1);
        above.any(|above| {
            places
                .get(above)
                .is_some_and(|place| place.access.is_some())
        })
    };
    for directory in &service.directories {
        let path = Path::new(&directory.path);
        if restricted(path, &places) && !path.starts_with("/etc") {
            let place = places.entry(path.to_owned()).or_default();
            place.access.get_or_insert((Access::ReadWrite, false));
        }
    }
    places
}

const NO_RIGHTS: Bits = Bits::NO_SUID.and(Bits::NO_DEVICES);

fn bind(from: &Path, at: &Path) -> Change {
    Change::Bind {
        from: from.to_owned(),
        at: at.to_owned(),
        tree: true,
    }
}

fn access(at: &Path, tree: bool, forbid: Bits, allow: Bits) -> Change {
    Change::Access {
        at: at.to_owned(),
        tree,
        forbid,
        allow,
    }
}

fn file_system(kind: &'static str, at: &Path, access: Bits, options: &str) -> Change {
    Change::FileSystem {
        kind,
        at: at.to_owned(),
        access,
        options: options.to_owned(),
    }
}

#[cfg(test)]
#[path = "confinement_tests.rs"]
mod tests;
