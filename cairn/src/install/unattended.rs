//! From answers to a disk that boots.
//!
//! The system is evaluated, and what it needs is counted, before anything is written: the identifiers of
//! the new disk, which the configuration names, are chosen beforehand.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cairn_store::Space;
use cairn_system::Device;

use super::answers::{Answers, Secret};
use super::apply::{
    divide, ensure_closed, ensure_tools, finish, mount_all, passphrase, write_configuration,
};
use super::dialogue::Offers;
use super::disks::Disk;
use super::identifiers::Identifiers;
use super::plan::{Circumstances, Plan, PlannedFile};
use super::step::Step;
use super::system::{BootLoader, Installed, System, ensure_room};
use super::{guard, password};
use crate::configuration::{Configuration, DEFAULT_FILE, LOCK_FILE};
use crate::hardware::{Blkid, scan_machine};
use crate::image::facts::{Facts, FileSystemFacts};

/// The lock file of the machine that installs: a live medium has the packages that it names.
pub(super) const OWN_LOCK: &str = "/etc/nixos/cairn.lock";

/// Files of a folder with a configuration are read as deep as this.
const DEPTH: usize = 8;

/// Options of file systems that a machine starts without.
const DISPENSABLE: [&str; 4] = ["bind", "rbind", "nofail", "noauto"];

/// An installation that can be begun.
#[derive(Debug)]
pub struct Prepared {
    /// What will happen.
    pub plan: Plan,
    system: System,
    secret: Option<Secret>,
}

/// Finds out what `answers` mean on this machine; `configuration` makes what is evaluated of a file.
/// Nothing is written to a disk.
///
/// # Errors
/// The answers cannot be followed on this machine; or the configuration is wrong.
pub fn prepare(
    answers: &Answers,
    configuration: &dyn Fn(&Path) -> Result<Configuration>,
) -> Result<Prepared> {
    Offers::ensure_there(Path::new("/"), answers)?;
    let hardware = scan_machine(Path::new("/"), None, &Blkid)?;
    let firmware = hardware.firmware;
    let circumstances = Circumstances {
        disk: Disk::at(&answers.disk).context("cannot use the answers: at 'disk'")?,
        hardware,
        identifiers: Identifiers::random().context("cannot have random numbers")?,
        ready: match &answers.configuration {
            Some(path) => ready(path)?,
            None => Vec::new(),
        },
        lock: fs::read(OWN_LOCK).ok(),
    };
    let secret = passphrase(&answers.layout)?;
    let mut plan = Plan::new(answers, circumstances)?;
    ensure_tools(&plan)?;
    ensure_closed(&plan)?;
    let folder = guard::folder("configuration");
    write_files(&plan.files, &folder)?;
    let system = System::evaluate(configuration(&folder.join(DEFAULT_FILE))?)?;
    // What was newly locked goes along.
    take_lock(&mut plan.files, &folder)?;
    check_file_systems(&plan, &system.facts)?;
    let disk = plan.disk.path.display();
    system
        .check_disk(&plan.disk.path)
        .and_then(|()| system.check_signed(firmware))
        .with_context(|| format!("cannot install on {disk}; nothing was written"))?;
    let space = capacity(&plan);
    ensure_room(&system.need(None)?, space)
        .with_context(|| format!("{disk} is too small; nothing was written"))?;
    Ok(Prepared {
        plan,
        system,
        secret,
    })
}

impl Prepared {
    /// Does it.
    ///
    /// # Errors
    /// Whatever step fails; the same again begins anew.
    pub fn apply(&self) -> Result<Installed> {
        let Self {
            plan,
            system,
            secret,
        } = self;
        divide(plan, secret.as_ref())?;
        let root = guard::folder("root");
        mount_all(plan, &root)?;
        Step::Configuration.tell();
        write_configuration(plan, &root)?;
        let installed = system.install(&root, BootLoader::Written)?;
        Step::Passwords.tell();
        password::set(&root, &plan.passwords)?;
        finish(plan, &root)?;
        Ok(installed)
    }
}

/// The files of a configuration: `path` is one, or a folder of them.
fn ready(path: &Path) -> Result<Vec<PlannedFile>> {
    let reading = || format!("cannot read the configuration '{}'", path.display());
    if path.is_file() {
        let content = fs::read(path).with_context(reading)?;
        let mut files = vec![PlannedFile {
            name: DEFAULT_FILE.into(),
            content,
        }];
        let lock = path.with_file_name(LOCK_FILE);
        if lock.is_file() {
            files.push(PlannedFile {
                name: LOCK_FILE.into(),
                content: fs::read(&lock).with_context(reading)?,
            });
        }
        return Ok(files);
    }
    let mut files = Vec::new();
    gather(path, Path::new(""), DEPTH, &mut files).with_context(reading)?;
    ensure!(
        files
            .iter()
            .any(|file| file.name.as_os_str() == DEFAULT_FILE),
        "there is no {DEFAULT_FILE} in '{}'",
        path.display()
    );
    Ok(files)
}

/// Hidden entries, such as a repository's, stay behind; links are followed.
fn gather(folder: &Path, name: &Path, depth: usize, files: &mut Vec<PlannedFile>) -> Result<()> {
    ensure!(depth > 0, "its folders are nested too deeply");
    let reading = || format!("cannot read '{}'", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let (path, own) = (entry.path(), entry.file_name());
        if own.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            gather(&path, &name.join(own), depth - 1, files)?;
        } else if path.is_file() {
            files.push(PlannedFile {
                name: name.join(own),
                content: fs::read(&path)
                    .with_context(|| format!("cannot read '{}'", path.display()))?,
            });
        }
    }
    Ok(())
}

/// Writes `files` into a folder that has nothing else.
fn write_files(files: &[PlannedFile], folder: &Path) -> Result<()> {
    let failed = || format!("cannot write '{}'", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(failed)?;
    }
    for file in files {
        let place = folder.join(&file.name);
        let parent = place.parent().unwrap_or(folder);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .with_context(failed)?;
        fs::write(&place, &file.content).with_context(failed)?;
    }
    Ok(())
}

/// The lock file as the evaluation has left it.
fn take_lock(files: &mut Vec<PlannedFile>, folder: &Path) -> Result<()> {
    let path = folder.join(LOCK_FILE);
    if !path.exists() {
        return Ok(());
    }
    let content = fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
    files.retain(|file| file.name.as_os_str() != LOCK_FILE);
    files.push(PlannedFile {
        name: LOCK_FILE.into(),
        content,
    });
    Ok(())
}

/// A machine does not start with a file system that its disk does not have.
fn check_file_systems(plan: &Plan, facts: &Facts) -> Result<()> {
    if !facts.file_systems.contains_key("/") {
        bail!(
            "the configuration has no fileSystems.\"/\"; import ./hardware-configuration.nix, which is \
             written beside it; nothing was written"
        );
    }
    for (mount_point, file_system) in &facts.file_systems {
        if is_dispensable(file_system) || plan.provides(mount_point, &file_system.device) {
            continue;
        }
        bail!(
            "fileSystems.\"{mount_point}\".device is {}, and the new disk has no such file system for it; \
             import ./hardware-configuration.nix, which is written beside the configuration, and leave \
             it out, or give it the option nofail; nothing was written",
            file_system.device
        );
    }
    Ok(())
}

/// Whether a machine starts without a file system.
pub(super) fn is_dispensable(file_system: &FileSystemFacts) -> bool {
    let options = file_system.options.iter();
    matches!(file_system.device, Device::None(_))
        || options
            .map(String::as_str)
            .any(|option| DISPENSABLE.contains(&option))
}

/// What the root's file system can take: a twentieth and a journal are its own.
fn capacity(plan: &Plan) -> Space {
    const JOURNAL: u64 = 128 << 20;
    let bytes = plan.root().map_or(0, |part| part.mib << 20);
    let own = bytes / 20 + JOURNAL.min(bytes / 32);
    Space {
        bytes: bytes.saturating_sub(own),
        files: None,
    }
}
