//! A plan onto the disk that it names.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cairn_sys::mount::{mount, unmount};
use cairn_sys::mount_options::MountOptions;
use nix::mount::MntFlags;

use super::answers::{Encryption, FileSystemKind, Layout, Secret};
use super::commands::{self, format, mapped, partition, rename};
use super::dialogue::LONGEST_PASSPHRASE;
use super::disks::Disk;
use super::guard;
use super::layout::{Holds, NewPartition, ROOT_NAME};
use super::plan::{FOLDER, Plan, PlannedMount};
use super::run::{ensure_there, run, wait_for};
use super::step::Step;
use super::system::sync;
use crate::lock_file::write_atomically;

/// What opens an encrypted disk, if it is to be encrypted.
///
/// # Errors
/// The file that has it cannot be read, or there is nothing in it.
pub fn passphrase(layout: &Layout) -> Result<Option<Secret>> {
    let secret = match &layout.encryption {
        None => return Ok(None),
        Some(Encryption::Passphrase(secret)) => secret.clone(),
        Some(Encryption::PassphraseFile(file)) => {
            let text = fs::read_to_string(file)
                .with_context(|| format!("cannot read the passphrase '{}'", file.display()))?;
            Secret::new(text.lines().next().unwrap_or_default().to_owned())
        }
    };
    ensure!(
        !secret.reveal().is_empty(),
        "cannot encrypt the disk: the passphrase is empty"
    );
    ensure!(
        !secret.reveal().chars().any(char::is_control),
        "cannot encrypt the disk: there is a control character in the passphrase, which nobody could type at a boot"
    );
    ensure!(
        secret.reveal().len() <= LONGEST_PASSPHRASE,
        "cannot encrypt the disk: the passphrase has more than {LONGEST_PASSPHRASE} bytes, and no more are read at a boot"
    );
    Ok(Some(secret))
}

/// Fails if a program that the plan needs is not there.
///
/// # Errors
/// It is not.
pub fn ensure_tools(plan: &Plan) -> Result<()> {
    let mut steps = vec![partition(&plan.disk.path, plan.guid, &plan.partitions)];
    for part in &plan.partitions {
        steps.extend(format(&part.holds, &part.path));
    }
    ensure_there(
        steps
            .iter()
            .filter_map(|step| step.words.first())
            .map(String::as_str),
    )
}

/// Fails if a container of the plan's name is open: that of another disk, as when a machine of the same kind is
/// looked at.
///
/// # Errors
/// It is.
pub fn ensure_closed(plan: &Plan) -> Result<()> {
    for part in &plan.partitions {
        if let Holds::Luks { name, .. } = &part.holds {
            ensure!(
                !mapped(name).exists(),
                "cannot encrypt {}: there is an open {} already; close it: cryptsetup close {name}; nothing \
                 was written",
                plan.disk.path.display(),
                mapped(name).display()
            );
        }
    }
    Ok(())
}

/// Makes the partitions and file systems of `plan`.
///
/// # Errors
/// The disk is not as it was when it was planned; or a tool fails.
pub fn divide(plan: &Plan, secret: Option<&Secret>) -> Result<()> {
    let now = Disk::at(&plan.disk.path)?;
    ensure!(
        now == plan.disk,
        "{} is not as it was a moment ago; look at it, and begin again; nothing was written",
        plan.disk.path.display()
    );
    guard::note_disk(&plan.disk.path)?;
    Step::Partitions.tell();
    run(
        &partition(&plan.disk.path, plan.guid, &plan.partitions),
        None,
    )?;
    Step::FileSystems.tell();
    for part in &plan.partitions {
        wait_for(&part.path)?;
        fill(part, secret)?;
    }
    Ok(())
}

fn fill(part: &NewPartition, secret: Option<&Secret>) -> Result<()> {
    if let Holds::Luks { name, .. } = &part.holds {
        guard::note_container(name)?;
    }
    for step in format(&part.holds, &part.path) {
        run(&step, secret)?;
    }
    Ok(())
}

/// Mounts what the plan has below `root`, which is made.
///
/// # Errors
/// Something cannot be mounted.
pub fn mount_all(plan: &Plan, root: &Path) -> Result<()> {
    Step::Mounts.tell();
    for part in &plan.partitions {
        make_subvolumes(&part.holds, &part.path, root)?;
    }
    for one in plan.mounts() {
        let place = root.join(one.point.trim_start_matches('/'));
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&place)
            .with_context(|| format!("cannot make '{}'", place.display()))?;
        mount_one(&one, &place)?;
    }
    Ok(())
}

fn mount_one(one: &PlannedMount, place: &Path) -> Result<()> {
    let device = one.device.display().to_string();
    let options = MountOptions::parse(&one.options);
    Ok(mount(&device, place, one.fs_type, &options)?)
}

/// Subvolumes are made in the file system's own root.
fn make_subvolumes(holds: &Holds, device: &Path, root: &Path) -> Result<()> {
    match holds {
        Holds::Luks { name, inside, .. } => make_subvolumes(inside, &mapped(name), root),
        Holds::FileSystem {
            kind: FileSystemKind::Btrfs,
            mounts,
            ..
        } => {
            fs::create_dir_all(root)
                .with_context(|| format!("cannot make '{}'", root.display()))?;
            let none: [&str; 0] = [];
            let options = MountOptions::parse(&none);
            mount(&device.display().to_string(), root, "btrfs", &options)?;
            for name in mounts.iter().filter_map(|mount| mount.subvolume) {
                run(&commands::subvolume(&root.join(name)), None)?;
            }
            Ok(unmount(root, MntFlags::empty())?)
        }
        _ => Ok(()),
    }
}

/// Writes the configuration below `root`.
///
/// # Errors
/// A file cannot be written.
pub fn write_configuration(plan: &Plan, root: &Path) -> Result<()> {
    let folder = root.join(FOLDER);
    for file in &plan.files {
        let place = folder.join(&file.name);
        write_atomically(&place, &file.content)?;
        fs::set_permissions(&place, Permissions::from_mode(0o644))
            .with_context(|| format!("cannot set the mode of '{}'", place.display()))?;
    }
    Ok(())
}

/// Writes everything to the disk, unmounts it, closes what is open, and says in the table of partitions
/// that the system is whole.
///
/// # Errors
/// Something cannot be written, or is in use.
pub fn finish(plan: &Plan, root: &Path) -> Result<()> {
    Step::Finish.tell();
    let mounts = plan.mounts();
    let places: Vec<PathBuf> = mounts
        .iter()
        .map(|one| root.join(one.point.trim_start_matches('/')))
        .collect();
    sync(&places)?;
    for place in places.iter().rev() {
        unmount(place, MntFlags::empty())?;
    }
    guard::close_containers()?;
    let number = plan.root().map(|part| part.number);
    let number = number.context("the plan has no root")?;
    run(&rename(&plan.disk.path, number, ROOT_NAME), None)
}
