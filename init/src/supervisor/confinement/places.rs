//! What a service is to see at which path, from the root downwards.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::process::Access as Bits;
use cairn_system::{
    Access, Confinement, Own, PathAccess, ProcessView, Service, ServiceMount, Visible,
};

use super::machine::Machine;
use super::{NO_RIGHTS, private};
use crate::realm::realm;
use crate::supervisor::{credentials, process};

/// What is to be seen at one path.
#[derive(Debug, Default)]
pub struct Place<'a> {
    /// What is mounted there, one on the other.
    pub mounts: Vec<&'a ServiceMount>,
    /// What is made anew there.
    pub own: Option<Made>,
    /// What else of the machine is shown there.
    pub shown: Option<Shown>,
    /// What may be done there, and whether there need be nothing.
    pub access: Option<(Access, bool)>,
}

impl Place<'_> {
    /// Whether what was there before is not seen.
    pub fn covers(&self) -> bool {
        !self.mounts.is_empty() || self.own.is_some() || self.shown.is_some()
    }
}

/// What of the kernel's is made for a service alone.
#[derive(Debug)]
pub enum Made {
    /// A `/dev` with what every program may expect.
    Devices,
    /// Processes, as these options show them.
    Processes(String),
    /// The message queues of its own IPC namespace.
    Queues,
}

/// A file or folder that the supervisor has made for a service.
#[derive(Debug)]
pub struct Shown {
    /// Where it is.
    pub from: PathBuf,
    /// What may not be done there.
    pub forbid: Bits,
    /// That there is no place for it is no obstacle.
    pub optional: bool,
}

/// All mounts of a service, what its lists of store objects stand for among them.
///
/// # Errors
/// A list cannot be read: the message names it.
pub fn mounts(confinement: &Confinement, machine: &dyn Machine) -> io::Result<Vec<ServiceMount>> {
    let mut mounts = Vec::new();
    for list in &confinement.closures {
        let lines = machine.lines(Path::new(list)).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot read what of the store it is to see, {list}: {error}"),
            )
        })?;
        mounts.extend(lines.into_iter().map(|path| ServiceMount {
            source: Some(path.clone()),
            target: path,
            read_only: true,
            flat: false,
            // An object may be a link that leads nowhere.
            optional: true,
            options: String::new(),
        }));
    }
    mounts.extend(confinement.mounts.iter().cloned());
    Ok(mounts)
}

/// What is to be seen where; in a root of its own, that is also what the supervisor has made for it.
pub fn places<'a>(
    service: &'a Service,
    mounts: &'a [ServiceMount],
    own_root: bool,
) -> BTreeMap<PathBuf, Place<'a>> {
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
    for mount in mounts.iter().filter(|mount| mount.target != "/") {
        let place = places.entry(mount.target.clone().into()).or_default();
        place.mounts.push(mount);
    }
    add_made(confinement, &mut places);
    if confinement.own.contains(&Own::TemporaryFiles) {
        let own = private(service);
        for (at, name) in [("/tmp", "tmp"), ("/var/tmp", "var-tmp")] {
            places.entry(at.into()).or_default().shown = Some(Shown {
                from: own.join(name),
                forbid: NO_RIGHTS,
                optional: own_root,
            });
        }
    }
    if own_root {
        show_in_root(service, &mut places);
    } else {
        free_directories(service, &mut places);
    }
    places
}

fn add_made(confinement: &Confinement, places: &mut BTreeMap<PathBuf, Place>) {
    let own_devices = confinement.own.contains(&Own::Devices);
    let mut made = |path: &str, what| places.entry(path.into()).or_default().own = Some(what);
    if own_devices {
        made("/dev", Made::Devices);
    } else if confinement.own.contains(&Own::Ipc) {
        made("/dev/mqueue", Made::Queues);
    }
    if let Some(options) = processes(confinement.processes) {
        made("/proc", Made::Processes(options));
    }
}

/// Options of a `/proc` that shows this; none if the machine's does.
fn processes(view: ProcessView) -> Option<String> {
    let hide = match view.visible {
        Visible::All => None,
        Visible::NoAccess => Some("hidepid=noaccess"),
        Visible::Own => Some("hidepid=invisible"),
        Visible::Traceable => Some("hidepid=ptraceable"),
    };
    let subset = view.only_processes.then_some("subset=pid");
    let options: Vec<&str> = hide.into_iter().chain(subset).collect();
    (!options.is_empty()).then(|| options.join(","))
}

/// Its own folders are its own, whatever lies above them; below /etc they are for reading.
fn free_directories(service: &Service, places: &mut BTreeMap<PathBuf, Place>) {
    for directory in &service.directories {
        let path = Path::new(&directory.path);
        let mut above = path.ancestors().skip(1);
        let restricted = above.any(|above| {
            places
                .get(above)
                .is_some_and(|place| place.access.is_some())
        });
        if restricted && !path.starts_with("/etc") {
            let place = places.entry(path.to_owned()).or_default();
            place.access.get_or_insert((Access::ReadWrite, false));
        }
    }
}

/// Its folders, its secrets and the socket that it speaks through.
fn show_in_root(service: &Service, places: &mut BTreeMap<PathBuf, Place>) {
    let mut show = |path: &Path, forbid| {
        let place = places.entry(path.to_owned()).or_default();
        place.shown.get_or_insert(Shown {
            from: path.to_owned(),
            forbid,
            optional: false,
        });
    };
    for directory in &service.directories {
        let path = Path::new(&directory.path);
        let for_reading = path.starts_with("/etc");
        show(
            path,
            if for_reading {
                Bits::READ_ONLY
            } else {
                Bits::FREE
            },
        );
    }
    if !service.credentials.is_empty() {
        show(
            &credentials::directory(service),
            Bits::READ_ONLY.and(NO_RIGHTS),
        );
    }
    if process::speaks(service) {
        show(&realm().notifications, Bits::FREE);
    }
}
