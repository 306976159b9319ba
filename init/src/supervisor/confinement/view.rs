//! The steps towards a service's view of the files, as they come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::process::{Access as Bits, Change, Step};
use cairn_system::{Access, Own, Service, ServiceMount};

use super::machine::{Machine, There};
use super::places::{self, Made, Place, Shown};
use super::root::{MACHINE, Top};
use super::{DEVICES, FILE, NO_RIGHTS, NOTHING, STORE};

/// The steps, and what they depend on.
pub struct View<'a> {
    pub steps: Vec<Step>,
    pub machine: &'a dyn Machine,
    pub places: &'a BTreeMap<PathBuf, Place<'a>>,
    /// The top of its own root, if it has one.
    pub top: Option<Top>,
    /// Its message queues are its own.
    own_queues: bool,
    /// Folders and files that were made to mount on.
    made: BTreeSet<PathBuf>,
}

/// The steps for `service`, where this is there now.
///
/// # Errors
/// What it is to see cannot be found or read.
pub fn steps(service: &Service, machine: &dyn Machine) -> io::Result<Vec<Step>> {
    let confinement = &service.process.confinement;
    let mounts = places::mounts(confinement, machine)?;
    let root = mounts.iter().rfind(|mount| mount.target == "/");
    let places = places::places(service, &mounts, root.is_some());
    let mut view = View {
        steps: Vec::new(),
        machine,
        places: &places,
        top: None,
        own_queues: confinement.own.contains(&Own::Ipc),
        made: BTreeSet::new(),
    };
    if let Some(root) = root {
        view.enter_root(root)?;
    }
    for (path, place) in &places {
        // Nothing is to be seen below what is inaccessible.
        let hidden = path.ancestors().skip(1).any(|above| {
            let access = places.get(above).and_then(|place| place.access);
            access.is_some_and(|(access, _)| access == Access::Inaccessible)
        });
        if !hidden {
            view.place(path, place)?;
        }
    }
    view.keep_store();
    if let Some(root) = root {
        view.finish_root(root);
    }
    if view.steps.is_empty() && confinement.own.contains(&Own::Mounts) {
        // A view that is as the machine's.
        view.push(access(Path::new("/"), false, Bits::FREE, Bits::FREE), false);
    }
    Ok(view.steps)
}

impl View<'_> {
    pub fn push(&mut self, change: Change, optional: bool) {
        self.steps.push(Step { change, optional });
    }

    /// The machine's `path` as it can be reached now, to be shown at `at`.
    pub fn of_machine(&self, path: &Path, at: &Path) -> io::Result<PathBuf> {
        if self.top.is_none() {
            return Ok(path.to_owned());
        }
        // In its own root, links lead elsewhere.
        let real = self.machine.real(path).map_err(|error| {
            let (path, at) = (path.display(), at.display());
            io::Error::new(
                error.kind(),
                format!("cannot show {path} to it as {at}: {error}"),
            )
        })?;
        Ok(Path::new(MACHINE).join(real.strip_prefix("/").unwrap_or(&real)))
    }

    fn place(&mut self, path: &Path, place: &Place) -> io::Result<()> {
        // What it has for itself is not shown the machine's too.
        let mounts = match place.own {
            Some(Made::Devices | Made::Processes(_)) => &[],
            Some(Made::Queues) | None => place.mounts.as_slice(),
        };
        for mount in mounts {
            self.mount(path, mount)?;
        }
        if let Some(own) = &place.own {
            self.make(path, own)?;
        }
        if let Some(shown) = &place.shown {
            self.show(path, shown)?;
        }
        match place.access {
            // Of its own devices, nobody can write to the folder.
            Some(_) if matches!(place.own, Some(Made::Devices)) => {}
            Some((wanted, _)) if path == Path::new("/") && self.top.is_some() => {
                self.restrict_top(wanted);
            }
            Some((wanted, optional)) => self.restrict(path, wanted, optional)?,
            None => {}
        }
        Ok(())
    }

    fn show(&mut self, path: &Path, shown: &Shown) -> io::Result<()> {
        let from = self.of_machine(&shown.from, path)?;
        if self.top.is_some() {
            let there = self.machine.there(&shown.from);
            self.point(path, there);
        }
        self.push(bind(&from, path), shown.optional);
        self.push(
            access(path, true, shown.forbid, Bits::READ_ONLY),
            shown.optional,
        );
        Ok(())
    }

    fn restrict(&mut self, path: &Path, wanted: Access, optional: bool) -> io::Result<()> {
        let (forbid, allow) = bits(wanted);
        if wanted == Access::Inaccessible {
            let nothing = match self.machine.there(path) {
                There::File => FILE,
                There::Folder | There::Nothing => NOTHING,
            };
            let nothing = self.of_machine(Path::new(nothing), path)?;
            self.push(bind(&nothing, path), optional);
            self.push(access(path, false, forbid, allow), optional);
            return Ok(());
        }
        // Only what is a mount can be given rights of its own.
        if path != Path::new("/") {
            self.push(bind(path, path), optional);
        }
        self.push(access(path, true, forbid, allow), optional);
        Ok(())
    }

    fn mount(&mut self, target: &Path, mount: &ServiceMount) -> io::Result<()> {
        let source = mount.source.as_ref().map(Path::new);
        let there = source.map_or(There::Folder, |source| self.machine.there(source));
        if mount.optional && there == There::Nothing {
            return Ok(());
        }
        self.point(target, there);
        let Some(source) = source else {
            let read_only = if mount.read_only {
                Bits::READ_ONLY
            } else {
                Bits::FREE
            };
            let rights = NO_RIGHTS.and(read_only);
            self.push(file_system("tmpfs", target, rights, &mount.options), false);
            return Ok(());
        };
        let (forbid, allow) = if mount.read_only || source.starts_with(STORE) {
            (Bits::READ_ONLY, Bits::FREE)
        } else {
            (Bits::FREE, Bits::READ_ONLY)
        };
        let rights = access(target, !mount.flat, forbid, allow);
        let shown = Change::Bind {
            from: self.of_machine(source, target)?,
            at: target.to_owned(),
            tree: !mount.flat,
        };
        self.push(shown, false);
        self.push(rights, false);
        Ok(())
    }

    /// Makes `target` and the folders above it, so that something can be mounted there: in its own root, those
    /// that are in memory.
    fn point(&mut self, target: &Path, there: There) {
        let mut missing = vec![target];
        for path in target.ancestors().skip(1) {
            match self.ground(path) {
                Ground::Memory => break,
                Ground::Fixed => return,
                Ground::Open => missing.push(path),
            }
        }
        for path in missing.into_iter().rev() {
            if !self.made.insert(path.to_owned()) {
                continue;
            }
            let place = match there {
                There::File if path == target => Change::File(path.to_owned()),
                _ => Change::Folder(path.to_owned(), 0o755),
            };
            self.push(place, false);
        }
    }

    /// What is below `path`, a folder.
    fn ground(&self, path: &Path) -> Ground {
        if path == Path::new("/") {
            return Ground::Memory;
        }
        let Some(top) = &self.top else {
            return Ground::Open;
        };
        match self.places.get(path) {
            Some(place) if place.own.is_some() || place.shown.is_some() => Ground::Fixed,
            Some(place) => match place.mounts.last() {
                Some(mount) if mount.source.is_some() => Ground::Fixed,
                Some(_) => Ground::Memory,
                None if top.names.iter().any(|name| name == path) => Ground::Fixed,
                None => Ground::Open,
            },
            None if top.names.iter().any(|name| name == path) => Ground::Fixed,
            None => Ground::Open,
        }
    }

    fn make(&mut self, at: &Path, own: &Made) -> io::Result<()> {
        if self.top.is_some() {
            self.point(at, There::Folder);
        }
        match own {
            Made::Devices => self.devices(at)?,
            Made::Processes(options) => {
                let rights = NO_RIGHTS.and(Bits::NO_EXEC);
                self.push(file_system("proc", at, rights, options), false);
            }
            Made::Queues => self.queues(at),
        }
        Ok(())
    }

    /// A `/dev` with what every program may expect. What is to be covered by it is shown in it.
    fn devices(&mut self, at: &Path) -> io::Result<()> {
        let own_root = self.top.is_some();
        let stage = if own_root { at } else { Path::new(DEVICES) };
        let rights = Bits::NO_SUID.and(Bits::NO_EXEC);
        let options = "mode=0755,size=4M,nr_inodes=1024";
        self.push(file_system("tmpfs", stage, rights, options), false);
        let shared = [
            "null", "zero", "full", "random", "urandom", "tty", "log", "pts", "shm", "mqueue",
        ];
        for name in shared {
            let (from, place) = (Path::new("/dev").join(name), stage.join(name));
            if name == "mqueue" && self.own_queues {
                self.push(Change::Folder(place.clone(), 0o755), false);
                self.queues(&place);
                continue;
            }
            let is_folder = match self.machine.there(&from) {
                There::Nothing => continue,
                There::Folder => true,
                There::File => false,
            };
            self.push(
                if is_folder {
                    Change::Folder(place.clone(), 0o755)
                } else {
                    Change::File(place.clone())
                },
                false,
            );
            self.push(bind(&self.of_machine(&from, &place)?, &place), false);
            if is_folder {
                self.push(access(&place, true, Bits::FREE, Bits::READ_ONLY), false);
            }
        }
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
        if !own_root {
            let (from, at) = (stage.to_owned(), at.to_owned());
            self.push(Change::Move { from, at }, false);
        }
        Ok(())
    }

    /// The message queues of the process's own IPC namespace.
    fn queues(&mut self, at: &Path) {
        let rights = NO_RIGHTS.and(Bits::NO_EXEC);
        self.push(file_system("mqueue", at, rights, ""), true);
    }

    /// That a folder above the store may be written to is no leave to write to the store.
    fn keep_store(&mut self) {
        let store = Path::new(STORE);
        let writable = |path: &Path| {
            let access = self.places.get(path).and_then(|place| place.access);
            access.is_some_and(|(access, _)| access == Access::ReadWrite)
        };
        if !writable(store) && store.ancestors().skip(1).any(writable) {
            self.push(bind(store, store), true);
            self.push(access(store, true, Bits::READ_ONLY, Bits::FREE), true);
        }
    }
}

/// What is below a folder, as far as it matters to somebody who wants to make something there.
enum Ground {
    /// A file system in memory.
    Memory,
    /// What is somebody else's.
    Fixed,
    /// What is below the folder above.
    Open,
}

/// What an access forbids and allows.
pub fn bits(wanted: Access) -> (Bits, Bits) {
    match wanted {
        Access::ReadOnly => (Bits::READ_ONLY, Bits::FREE),
        Access::ReadWrite => (Bits::FREE, Bits::READ_ONLY),
        Access::NotExecutable => (Bits::NO_EXEC, Bits::FREE),
        Access::Executable => (Bits::FREE, Bits::NO_EXEC),
        Access::Inaccessible => (
            Bits::READ_ONLY.and(NO_RIGHTS).and(Bits::NO_EXEC),
            Bits::FREE,
        ),
    }
}

pub fn bind(from: &Path, at: &Path) -> Change {
    Change::Bind {
        from: from.to_owned(),
        at: at.to_owned(),
        tree: true,
    }
}

pub fn access(at: &Path, tree: bool, forbid: Bits, allow: Bits) -> Change {
    Change::Access {
        at: at.to_owned(),
        tree,
        forbid,
        allow,
    }
}

pub fn file_system(kind: &'static str, at: &Path, access: Bits, options: &str) -> Change {
    Change::FileSystem {
        kind,
        at: at.to_owned(),
        access,
        options: options.to_owned(),
    }
}
