//! A system into a root that is mounted: store, generation, boot menu, boot loader.
//!
//! Everything is made where the machine will have it, by what makes it there later: `cairn switch` writes
//! the same menu, and replaces the same boot loader. What is there already is taken as it is, so that
//! the same again finishes what was cut off.

use std::fs::{self, DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cairn_bootloader::STUB;
use cairn_store::{Need, Offer, Space, Store};
use cairn_store_path::{Derivation, StorePath};
use indicatif::HumanBytes;

use super::step::Step;
use crate::boot_loader::BootLoaderFacts;
use crate::boot_loader::block::Partition;
use crate::boot_loader::folder::is_mount_point;
use crate::boot_loader::table::Table;
use crate::configuration::{AttributePath, Configuration, Evaluated, Wanted};
use crate::hardware::Firmware;
use crate::image::facts::Facts;
use crate::image::root::{BOOT_DIRECTORIES, DIRECTORIES};
use crate::lock_file::write_atomically;
use crate::place::Place;
use crate::progress::{Meter, Unit};
use crate::realise::realise;
use crate::supply::Supply;
use crate::switch::{Action, BootFolder, Target, apply, lock::SwitchLock};

/// Where the configuration says which file systems it has.
const FACTS: &str = "config.system.build.imageFacts";

/// Bytes that are left for what is built, logs, and the first changes.
const RESERVE: u64 = 256 << 20;

/// Bytes that a file takes beside its content: half a block, an inode, its name.
const BYTES_PER_OBJECT: u64 = 16 << 10;

/// A configuration that was evaluated into the store of the machine that installs.
#[derive(Debug)]
pub struct System {
    configuration: Configuration,
    /// The store that has the derivations, and what of their outputs is there already.
    source: Store,
    evaluated: Evaluated,
    /// Its file systems.
    pub facts: Facts,
    /// Where GRUB is to be; nowhere if there is none.
    boot_loader: Option<BootLoaderFacts>,
}

/// Whether GRUB is written to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootLoader {
    /// It is, where the configuration says.
    Written,
    /// Somebody else sees to it.
    LeftOut,
}

/// What was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The system.
    pub toplevel: StorePath,
    /// Its number.
    pub generation: u64,
}

impl System {
    /// Evaluates `configuration`; the lock file beside it follows.
    ///
    /// # Errors
    /// It cannot be evaluated.
    pub fn evaluate(configuration: Configuration) -> Result<Self> {
        let source = Store::open(&configuration.place.store)?;
        let wanted = Wanted {
            derivations: vec![AttributePath::system()],
            facts: vec![FACTS.parse()?, crate::boot_loader::FACTS.parse()?],
        };
        let evaluated = configuration.evaluate(&source, &wanted)?;
        let [facts, boot_loader] = evaluated.facts.as_slice() else {
            anyhow::bail!("the configuration says nothing of its file systems");
        };
        Ok(Self {
            facts: serde_json::from_value(facts.clone())
                .with_context(|| format!("cannot use {FACTS} of these modules"))?,
            boot_loader: serde_json::from_value(boot_loader.clone()).with_context(|| {
                format!("cannot use {} of these modules", crate::boot_loader::FACTS)
            })?,
            configuration,
            source,
            evaluated,
        })
    }

    /// The system's path.
    ///
    /// # Errors
    /// The configuration gives none.
    pub fn toplevel(&self) -> Result<&StorePath> {
        self.evaluated.toplevel()
    }

    /// Whether this machine's firmware could start the system from the disk that has the `/boot` of `root`;
    /// where the configuration names disks of its own, that is its own affair.
    ///
    /// # Errors
    /// It could not, or the disk cannot be read.
    pub fn check_firmware(&self, root: &Path, firmware: Firmware) -> Result<()> {
        let Some(facts) = &self.boot_loader else {
            return Ok(());
        };
        let Some(place) = facts
            .places
            .first()
            .filter(|place| place.devices.is_empty())
        else {
            return Ok(());
        };
        let boot = root.join("boot");
        let folder = if boot.exists() { boot.as_path() } else { root };
        let disk = Partition::below(folder)?.disk;
        let table = Table::of(&disk)?;
        let disk = disk.node.display();
        let esp = place.efi_system_partition.as_ref();
        let has_esp = table.esp.is_some()
            || esp.is_some_and(|point| is_mount_point(&root.join(point.trim_start_matches('/'))));
        match firmware {
            Firmware::Bios => ensure!(
                table.room.is_some(),
                "this machine starts by BIOS, and {disk} has no BIOS boot partition for GRUB; make one of \
                 1 MiB, or leave GRUB out with --no-boot-loader"
            ),
            Firmware::Uefi | Firmware::SecureUefi => ensure!(
                has_esp && facts.uefi,
                "this machine starts by UEFI, and {disk} has no EFI system partition for GRUB; make one of \
                 260 MiB, or leave GRUB out with --no-boot-loader"
            ),
        }
        Ok(())
    }

    /// Whether what starts the system is signed, where the firmware starts nothing else.
    ///
    /// # Errors
    /// It is not.
    pub fn check_signed(&self, firmware: Firmware) -> Result<()> {
        check_signed(self.boot_loader.as_ref(), firmware)
    }

    /// Whether GRUB is written to `disk`, and to no other: a configuration may name disks of its own.
    ///
    /// # Errors
    /// It has no GRUB, or names another disk.
    pub fn check_disk(&self, disk: &Path) -> Result<()> {
        let facts = self.boot_loader.as_ref().context(
            "the configuration has no boot loader, so that the disk would not start; set \
             boot.loader.grub.enable = true",
        )?;
        let devices = facts.places.iter().flat_map(|place| &place.devices);
        for device in devices.filter(|device| *device != "nodev") {
            let found = fs::canonicalize(device).with_context(|| {
                format!("boot.loader.grub.devices names '{device}', which is not there")
            })?;
            ensure!(
                found == disk,
                "boot.loader.grub.devices names '{device}', and only {} is written to; leave it out: GRUB \
                 is written to the disk that has /boot",
                disk.display()
            );
        }
        Ok(())
    }

    /// What is wanted in the new store, and here: derivations, and outputs that are built.
    fn offer(&self, target: Option<&Store>) -> Result<Offer> {
        let mut paths = self.evaluated.needed();
        paths.extend(self.source.usable_outputs(&paths)?);
        Ok(self.source.offer(&paths, target)?)
    }

    /// The least that the new root must have room for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn need(&self, target: Option<&Store>) -> Result<Need> {
        let offer = self.offer(target)?;
        let missing = self.source.missing(&self.evaluated.needed())?;
        let fetched = missing.iter().map(|(_, derivation)| self.size(derivation));
        let mut need = Need::of(fetched);
        need.bytes = need
            .bytes
            .saturating_add(offer.bytes())
            .saturating_add(BYTES_PER_OBJECT.saturating_mul(offer.objects() as u64))
            .saturating_add(RESERVE);
        Ok(need)
    }

    /// What a package that is fetched takes at least: its file, its object, and the file in the cache.
    fn size(&self, derivation: &Derivation) -> Option<u64> {
        let name = std::str::from_utf8(derivation.env("package")?).ok()?;
        let package = self.evaluated.lock.package(name)?;
        Some(package.size.saturating_mul(3))
    }

    /// Installs the system into `root`, whose file systems are mounted.
    ///
    /// # Errors
    /// Whatever step fails; the same again goes on there.
    pub fn install(&self, root: &Path, boot_loader: BootLoader) -> Result<Installed> {
        let lock = SwitchLock::take(root, "cairn install")?;
        make_directories(root)?;
        let target = Store::open(root)?;
        own_store(root)?;
        Step::Copy.tell();
        self.copy(&target)?;
        Step::Build.tell();
        self.build(root, &target)?;
        Step::Generation.tell();
        let installed = self.boot(root, &target, boot_loader)?;
        drop(lock);
        Ok(installed)
    }

    fn copy(&self, target: &Store) -> Result<()> {
        let offer = self.offer(Some(target))?;
        let need = self.need(Some(target))?;
        ensure_room(&need, target.space()?)
            .with_context(|| format!("cannot install into '{}'", target.root().display()))?;
        let rest = "[{bar:30}] {bytes}/{total_bytes} {eta} left";
        let meter = Meter::new("copying", rest, Unit::Bytes);
        meter.set_length(offer.bytes());
        let copied = target.take(&self.source, &offer, &mut |bytes| meter.advance(bytes));
        drop(meter);
        Ok(copied?)
    }

    fn build(&self, root: &Path, target: &Store) -> Result<()> {
        // What is fetched goes to the disk, not to the memory of a live system.
        let place = Place {
            store: root.to_owned(),
            cache: root.join("var/cache/cairn"),
        };
        let supply = Supply::new(&place, self.configuration.mirror.clone());
        let needed = self.evaluated.needed();
        let limits = self.configuration.limits;
        realise(target, &supply, &self.evaluated.lock, &needed, limits)
    }

    /// Makes the system a generation, and what boots: menu first, then what starts it, then that it does.
    fn boot(&self, root: &Path, target: &Store, boot_loader: BootLoader) -> Result<Installed> {
        let toplevel = self.toplevel()?.clone();
        let folder = BootFolder::of(root);
        let stub = folder.grub.join("grub.cfg");
        if fs::read(&stub).ok().as_deref() != Some(STUB.as_bytes()) {
            write_atomically(&stub, STUB.as_bytes())?;
        }
        let system = Target {
            toplevel: toplevel.clone(),
            number: None,
            specialisation: None,
            boot_loader: match boot_loader {
                BootLoader::Written => self.boot_loader.clone(),
                BootLoader::LeftOut => None,
            },
        };
        // It says itself why it fails, and a change that is not live has no other status.
        apply::apply(root, Action::Boot, &system)?;
        let generations = target.generations(crate::switch::menu::PROFILE)?;
        let current = generations.into_iter().find(|one| one.current);
        let current = current.context("the profile has no current generation")?;
        ensure!(
            current.path == toplevel,
            "the generation that boots is not the one that was installed"
        );
        Ok(Installed {
            toplevel,
            generation: current.number,
        })
    }
}

/// It is better to end before anything is written than in the middle.
///
/// # Errors
/// There is not enough room.
pub fn ensure_room(need: &Need, space: Space) -> Result<()> {
    ensure!(
        need.bytes <= space.bytes,
        "the system needs at least {}, and {} are free there",
        HumanBytes(need.bytes),
        HumanBytes(space.bytes)
    );
    Ok(())
}

fn check_signed(boot_loader: Option<&BootLoaderFacts>, firmware: Firmware) -> Result<()> {
    ensure!(
        firmware != Firmware::SecureUefi
            || boot_loader.is_none_or(|facts| facts.grub.secure_boot.is_some()),
        "Secure Boot is on, and this machine would not start the system; set \
         boot.loader.grub.secureBoot.enable = true, or switch Secure Boot off in the firmware's setup and \
         begin again"
    );
    Ok(())
}

/// The folders that a machine has before its first activation.
fn make_directories(root: &Path) -> Result<()> {
    let folders = DIRECTORIES
        .iter()
        .chain(&BOOT_DIRECTORIES)
        .copied()
        .chain([("tmp", 0o1777), ("etc/nixos", 0o755)]);
    for (name, mode) in folders {
        let folder = root.join(name);
        let failed = || format!("cannot make '{}'", folder.display());
        if folder.is_dir() {
            continue;
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&folder)
            .with_context(failed)?;
        fs::set_permissions(&folder, Permissions::from_mode(mode)).with_context(failed)?;
    }
    Ok(())
}

/// Mode and owner of the store's folder, and what keeps generations from being collected.
fn own_store(root: &Path) -> Result<()> {
    let folder = root.join("nix/store");
    let failed = || format!("cannot set mode and owner of '{}'", folder.display());
    if nix::unistd::geteuid().is_root() {
        chown(&folder, Some(0), Some(30_000)).with_context(failed)?;
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o1775)).with_context(failed)?;
    let link = root.join("nix/var/nix/gcroots/profiles");
    match symlink("/nix/var/nix/profiles", &link) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make '{}'", link.display()))
        }
        _ => Ok(()),
    }
}

/// Writes everything in the file systems of `folders` to their disks.
///
/// # Errors
/// One cannot be written.
pub fn sync(folders: &[PathBuf]) -> Result<()> {
    for folder in folders {
        let failed = || format!("cannot write '{}' to the disk", folder.display());
        let opened = File::open(folder).with_context(failed)?;
        nix::unistd::syncfs(&opened).with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_signed_is_not_installed_where_nothing_else_starts() {
        let facts = |signed: bool| {
            let programs = serde_json::json!({"shim": "s", "helpers": "h", "grub": "g"});
            let facts = serde_json::json!({
                "grub": {
                    "serial": false, "tools": "t", "bios": "b", "uefi": "u",
                    "secureBoot": signed.then_some(programs),
                },
                "uefi": true, "uefiName": "removable", "firmwareEntry": null,
                "places": [{"folder": "/boot", "devices": ["nodev"], "efiSystemPartition": null}],
            });
            serde_json::from_value::<BootLoaderFacts>(facts).unwrap()
        };
        let good =
            |facts: Option<&BootLoaderFacts>, firmware| check_signed(facts, firmware).is_ok();
        assert!(good(Some(&facts(true)), Firmware::SecureUefi));
        assert!(!good(Some(&facts(false)), Firmware::SecureUefi));
        assert!(good(Some(&facts(false)), Firmware::Uefi));
        assert!(good(Some(&facts(false)), Firmware::Bios));
        assert!(good(None, Firmware::SecureUefi));
    }
}
