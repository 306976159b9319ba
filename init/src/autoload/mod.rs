//! Loading of kernel modules as devices ask for them: what `udevd` and `modprobe` do elsewhere.
//!
//! Devices name themselves in `modalias` files and in the `MODALIAS` field of the kernel's events;
//! `modules.alias` says which module drives them. [`Autoload::coldplug`] asks for all devices that
//! exist, [`Autoload::handle`] for one that has just come. To miss none, open the socket of events
//! before the coldplug:
//!
//! ```text
//! let mut socket = UeventSocket::open()?;          // before
//! let mut autoload = Autoload::open(directory, policy)?;
//! autoload.coldplug(Path::new("/sys"));
//! poll(socket) -> while let Received::Event(event) = socket.receive()? { autoload.handle(&event) }
//! ```
//!
//! A load returns when the module's init function has, which for most drivers takes milliseconds
//! but has no bound; nothing else here waits. The index of a whole kernel takes some three
//! megabytes: a long-lived process opens it for a burst of events and drops it afterwards.

mod alias;
mod catalogue;
mod policy;
pub mod wildcard;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cairn_sys::module::{self, Loaded, ModuleError};
use cairn_sys::uevent::Uevent;

pub use catalogue::{Catalogue, Plan, Step, Texts};
pub use policy::Policy;

/// Why a request was not met.
#[derive(Debug, thiserror::Error)]
pub enum AutoloadError {
    /// A file of the folder cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No module, built-in or alias has that name.
    #[error("no module is called '{request}', and none drives it, in {directory}", directory = directory.display())]
    Unknown {
        /// What was asked for.
        request: String,
        /// Where.
        directory: PathBuf,
    },
    /// No module has that name, whatever it is an alias of.
    #[error("no module is called '{name}' in {directory}; parameters can only be given to a module by its own name", directory = directory.display())]
    NoModule {
        /// What was asked for.
        name: String,
        /// Where.
        directory: PathBuf,
    },
    /// A module, or one that it depends on, was refused.
    #[error(transparent)]
    Module(#[from] ModuleError),
}

/// The modules of one folder, and which of them this process has loaded.
#[derive(Debug)]
pub struct Autoload {
    directory: PathBuf,
    policy: Policy,
    catalogue: Catalogue,
    loaded: HashSet<String>,
}

impl Autoload {
    /// Reads the index of `directory` (`/lib/modules/<release>`). A folder that does not exist has
    /// no modules: that is no error, since a kernel may have everything built in.
    ///
    /// # Errors
    /// A file of the index exists but cannot be read.
    pub fn open(directory: &Path, policy: Policy) -> Result<Self, AutoloadError> {
        let texts = Texts {
            dependencies: read(&directory.join("modules.dep"))?,
            soft_dependencies: read(&directory.join("modules.softdep"))?,
            builtin: read(&directory.join("modules.builtin"))?,
            aliases: read(&directory.join("modules.alias"))?,
        };
        Ok(Self {
            directory: directory.to_owned(),
            policy,
            catalogue: Catalogue::parse(texts),
            loaded: running_modules(),
        })
    }

    /// Loads `request`, a module's name or an alias, and all that it needs. The number of modules
    /// that run since this call: 0 if all were there before.
    ///
    /// # Errors
    /// Nothing has that name, or the kernel refuses a module.
    pub fn load(&mut self, request: &str) -> Result<usize, AutoloadError> {
        match self.catalogue.plan(request, &self.policy.blacklist) {
            Plan::Unknown => Err(AutoloadError::Unknown {
                request: request.to_owned(),
                directory: self.directory.clone(),
            }),
            Plan::Load(steps) => self.apply(&steps).map_err(Into::into),
        }
    }

    /// Loads the module of this name, not of an alias, and all that it needs.
    ///
    /// # Errors
    /// No module has that name, or the kernel refuses one.
    pub fn load_module(&mut self, name: &str) -> Result<usize, AutoloadError> {
        if self.catalogue.has_module(name) {
            self.load(name)
        } else {
            Err(AutoloadError::NoModule {
                name: name.to_owned(),
                directory: self.directory.clone(),
            })
        }
    }

    /// A module that finds none of its devices is passed over, unless it is the last one: of several
    /// that do the same (a checksum, in special instructions of a processor or without them) one is
    /// enough, and the kernel itself refuses what lacks a module that it cannot do without.
    fn apply(&mut self, steps: &[Step]) -> Result<usize, ModuleError> {
        let mut fresh = 0;
        for (place, step) in steps.iter().enumerate() {
            if self.loaded.contains(&step.name) {
                continue;
            }
            let start = Instant::now();
            let path = self.directory.join(&step.path);
            match module::load(&path, self.policy.parameters(&step.name)) {
                Ok(Loaded::Now) => {
                    log::debug!("module {} loaded in {:?}", step.name, start.elapsed());
                    fresh += 1;
                }
                Ok(_) => {}
                Err(error) if error.has_no_device() && place + 1 < steps.len() => {
                    log::debug!("passed over: {error}");
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.loaded.insert(step.name.clone());
        }
        Ok(fresh)
    }

    /// Loads what drives the device that an event announces. A failure is logged: one device does
    /// not stop the others.
    pub fn handle(&mut self, event: &Uevent) -> usize {
        match event.field("MODALIAS") {
            Some(alias) if event.action == "add" => self.load_for_device(alias),
            _ => 0,
        }
    }

    /// Asks for every device that exists below `sys`; the number of modules loaded.
    pub fn coldplug(&mut self, sys: &Path) -> usize {
        let aliases = modaliases(sys);
        let count = aliases.len();
        let fresh = aliases
            .iter()
            .map(|alias| self.load_for_device(alias))
            .sum();
        log::debug!("{count} kinds of devices found, {fresh} modules loaded for them");
        fresh
    }

    fn load_for_device(&mut self, alias: &str) -> usize {
        match self.load(alias) {
            Ok(fresh) => fresh,
            // Most devices need no module, or one that was left out on purpose.
            Err(AutoloadError::Unknown { .. }) => 0,
            // The driver knows the kind of device, has looked at this one, and has no use for it:
            // a processor without frequencies to choose from, say.
            Err(AutoloadError::Module(error)) if error.has_no_device() => {
                log::debug!("for the device {alias}: {error}");
                0
            }
            Err(error) => {
                log::warn!("for the device {alias}: {error}");
                0
            }
        }
    }
}

/// Names of the modules that run: to offer one again costs the kernel its reading and checking.
fn running_modules() -> HashSet<String> {
    match fs::read_to_string("/proc/modules") {
        Ok(text) => live_modules(&text).map(str::to_owned).collect(),
        Err(error) => {
            // A kernel without modules, or no /proc yet; the kernel itself refuses a second one.
            log::debug!("which modules run is not known: cannot read /proc/modules: {error}");
            HashSet::new()
        }
    }
}

/// Reads `/proc/modules`: name, size, users, who they are, state, address. A module that is still
/// being loaded does not count: whoever needs it has to wait in the kernel.
fn live_modules(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let name = fields.next()?;
        (fields.nth(3) == Some("Live")).then_some(name)
    })
}

/// `<modules>/<release>` of the running kernel, below `modules` (`/lib/modules`).
///
/// # Errors
/// The kernel does not tell its release: `/proc` is not mounted.
pub fn directory_of_running_kernel(modules: &Path) -> Result<PathBuf, AutoloadError> {
    const RELEASE: &str = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(RELEASE).map_err(|source| AutoloadError::Read {
        path: RELEASE.into(),
        source,
    })?;
    Ok(modules.join(release.trim()))
}

/// The text of a file; empty if it does not exist.
fn read(path: &Path) -> Result<String, AutoloadError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            log::debug!("{} does not exist", path.display());
            Ok(String::new())
        }
        Err(source) => Err(AutoloadError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What all devices call themselves, each once: the `modalias` files of every bus and class.
///
/// Links below `/sys/bus` and `/sys/class` reach every device without walking `/sys/devices`.
fn modaliases(sys: &Path) -> Vec<String> {
    let buses = entries(&sys.join("bus"))
        .into_iter()
        .map(|bus| bus.join("devices"));
    let classes = entries(&sys.join("class"));
    let mut seen = HashSet::new();
    buses
        .chain(classes)
        .flat_map(|folder| entries(&folder))
        .filter_map(|device| fs::read_to_string(device.join("modalias")).ok())
        .map(|alias| alias.trim_end().to_owned())
        .filter(|alias| !alias.is_empty() && seen.insert(alias.clone()))
        .collect()
}

/// The paths in a folder, sorted, so that modules load in the same order at each boot.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else {
        return Vec::new(); // a device that has just gone, or a kernel without this class
    };
    let mut paths: Vec<_> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    #[test]
    fn modaliases_are_read_once_each() {
        let sys = tempfile::TempDir::new().unwrap();
        let sys = sys.path();
        for (device, alias) in [
            ("0000:00:01.0", "pci:a\n"),
            ("0000:00:02.0", "pci:b\n"),
            ("x", "pci:a"),
        ] {
            let folder = sys.join("devices").join(device);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("modalias"), alias).unwrap();
            let bus = sys.join("bus/pci/devices");
            fs::create_dir_all(&bus).unwrap();
            symlink(&folder, bus.join(device)).unwrap();
        }
        fs::create_dir_all(sys.join("class/dmi/id")).unwrap();
        fs::write(sys.join("class/dmi/id/modalias"), "dmi:x").unwrap();
        fs::create_dir_all(sys.join("class/tty/tty1")).unwrap();
        assert_eq!(modaliases(sys), ["pci:a", "pci:b", "dmi:x"]);
    }

    #[test]
    fn modules_that_run() {
        let text = "\
ext4 1032192 1 - Live 0xffffffffc0a00000
jbd2 188416 1 ext4, Live 0x0000000000000000
virtio_net 86016 0 - Loading 0x0000000000000000
old 16384 -1 - Unloading 0x0000000000000000 (OE)
broken
";
        let names: Vec<_> = live_modules(text).collect();
        assert_eq!(names, ["ext4", "jbd2"]);
    }

    #[test]
    fn a_folder_without_modules_knows_none() {
        let mut autoload = Autoload::open(Path::new("/nonexistent"), Policy::default()).unwrap();
        assert_eq!(
            autoload.load("ext4").unwrap_err().to_string(),
            "no module is called 'ext4', and none drives it, in /nonexistent"
        );
        let event = Uevent {
            action: "add".to_owned(),
            devpath: "/devices/x".to_owned(),
            fields: BTreeMap::from([("MODALIAS".to_owned(), "pci:x".to_owned())]),
        };
        assert_eq!(autoload.handle(&event), 0);
    }

    #[test]
    fn an_unreadable_module_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("modules.dep"), "kernel/gone.ko:\n").unwrap();
        let mut autoload = Autoload::open(folder.path(), Policy::default()).unwrap();
        let message = autoload.load("gone").unwrap_err().to_string();
        assert!(
            message.contains("kernel/gone.ko: No such file"),
            "{message}"
        );
    }
}
