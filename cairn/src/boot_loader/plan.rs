//! All that is to be written, from what the machine has.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cairn_bootloader::firmware::{LoadOption, Program, Write};
use cairn_bootloader::{Platform, Root};
use cairn_store::Store;

use super::block::{Disk, Partition};
use super::embedding::{Embedding, EmbeddingError, SECTOR, embedding};
use super::facts::{BootLoaderFacts, PlaceFacts};
use super::firmware::{self, FIRMWARE};
use super::folder::{Folder, is_mount_point};
use super::table::Table;
use crate::grub::{BootSector, Grub, UefiFile, UefiName};

/// What `boot.loader.grub.device` says where there is to be no boot sector.
const NO_DEVICE: &str = "nodev";

/// The steps that bring GRUB to where it is to be, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Each is done by [`super::apply::apply`]; none is in vain but those for EFI system partitions that
    /// are not mounted: these are looked into then.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A link `boot` to `.` in this folder.
    Link(PathBuf),
    /// GRUB for a BIOS.
    Bios {
        /// The disk's node.
        disk: PathBuf,
        /// What it gets.
        embedding: Box<Embedding>,
    },
    /// GRUB for UEFI.
    Uefi {
        /// Where it goes.
        esp: Esp,
        /// Its files; what firmware starts is the last.
        files: Vec<UefiFile>,
    },
    /// The entry in the firmware's menu.
    Firmware {
        /// What it is called there.
        label: String,
        /// The variables, in their order.
        writes: Vec<Write>,
        /// Whether firmware finds GRUB without it.
        name: UefiName,
    },
}

/// An EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Esp {
    /// It is mounted there.
    Mounted(PathBuf),
    /// It is this device.
    Partition(PathBuf),
}

impl Esp {
    /// Its disk, and its number there.
    fn partition(&self) -> Result<(Disk, u32)> {
        let partition = match self {
            Self::Mounted(folder) => Partition::below(folder)?,
            Self::Partition(node) => Partition::of_node(node)?,
        };
        Ok((partition.disk, partition.number))
    }

    /// Whether it is known to have these files: where it is not mounted, nobody has looked.
    fn has(&self, files: &[UefiFile]) -> bool {
        match self {
            Self::Mounted(folder) => files.iter().all(|file| {
                fs::read(folder.join(file.path)).is_ok_and(|there| there == file.content)
            }),
            Self::Partition(_) => false,
        }
    }
}

impl Plan {
    /// What brings GRUB to all places of `facts`, in the system whose file systems are at `root`.
    ///
    /// # Errors
    /// A place has no room for GRUB, or cannot be read by it; GRUB's tools fail.
    pub fn new(root: &Path, store: &Store, facts: &BootLoaderFacts) -> Result<Self> {
        let grub = Grub::of(&facts.grub)?;
        let mut planner = Planner {
            root,
            store,
            grub: &grub,
            uefi: facts.uefi.then_some(facts.uefi_name),
            programs: Vec::new(),
            steps: Vec::new(),
        };
        for (index, place) in facts.places.iter().enumerate() {
            // The machine boots without a mirror, whose disk may be away; without `/boot` it does not.
            let folder = planner.below_root(&place.folder);
            if index > 0 && !folder.parent().is_some_and(is_mount_point) {
                log::warn!(
                    "the mirror '{}' gets no GRUB: nothing is mounted there",
                    place.folder
                );
                continue;
            }
            planner
                .place(place)
                .with_context(|| format!("cannot write GRUB for '{}'", place.folder))?;
        }
        if let Some(label) = &facts.firmware_entry {
            planner.firmware_entry(label, facts.uefi_name)?;
        }
        Ok(Self {
            steps: planner.steps,
        })
    }
}

struct Planner<'a> {
    root: &'a Path,
    store: &'a Store,
    grub: &'a Grub,
    uefi: Option<UefiName>,
    /// What firmware starts, on each EFI system partition.
    programs: Vec<(Esp, &'static str)>,
    steps: Vec<Step>,
}

impl Planner<'_> {
    fn place(&mut self, place: &PlaceFacts) -> Result<()> {
        let folder = Folder::at(&self.below_root(&place.folder))?;
        if folder.wants_link {
            self.steps.push(Step::Link(folder.path.clone()));
        }
        let own_disk = &folder.partition.disk;
        let own_table = Table::of(own_disk)?;
        let mut reached = false;
        if place.devices.is_empty() {
            reached |= self.boot_sector(&folder, own_disk, &own_table)?;
        }
        for device in place.devices.iter().filter(|device| *device != NO_DEVICE) {
            let disk = Disk::of_node(Path::new(device))?;
            let table = Table::of(&disk)?;
            let has_room = self.boot_sector(&folder, &disk, &table)?;
            ensure!(
                has_room,
                "{device} has no room for it; make a BIOS boot partition of 1 MiB there, or set \
                 boot.loader.grub.device to \"nodev\" on a machine that starts by UEFI"
            );
            reached = true;
        }
        if let Some(name) = self.uefi
            && let Some(esp) = self.esp(place, own_disk, &own_table)
        {
            let uuid = folder.uuid.to_string();
            let on_boot = Root::WithUuid(&uuid);
            let files = (self.grub).uefi_files(self.store, Platform::Uefi, name, on_boot)?;
            if let Some(program) = files.last() {
                self.programs.push((esp.clone(), program.path));
            }
            if !esp.has(&files) {
                self.steps.push(Step::Uefi { esp, files });
            }
            reached = true;
        }
        ensure!(
            reached,
            "{} has neither a BIOS boot partition nor an EFI system partition; make one of them",
            own_disk.node.display()
        );
        Ok(())
    }

    fn below_root(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Whether `disk` has room for GRUB, which then finds its menu in `folder`.
    fn boot_sector(&mut self, folder: &Folder, disk: &Disk, table: &Table) -> Result<bool> {
        let Some(room) = table.room else {
            return Ok(false);
        };
        let uuid = folder.uuid.to_string();
        // Beside a copy of the disk only this is right.
        let menu = if folder.partition.disk == *disk {
            Root::OnBootDisk {
                table: table.kind,
                partition: folder.partition.number,
            }
        } else {
            Root::WithUuid(&uuid)
        };
        let boot_img = self.grub.boot_sector(self.store, BootSector::Disk)?;
        let core_img = self.grub.core_image(self.store, Platform::Bios, menu)?;
        let reading = || format!("cannot read {}", disk.node.display());
        let file = File::open(&disk.node).with_context(reading)?;
        let read = |sector: u64, length: usize| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, sector * SECTOR)
                .with_context(reading)?;
            Ok(bytes)
        };
        let first = read(0, 512)?;
        let wanted = embedding(room, &first, &boot_img, &core_img, |sector, length| {
            read(sector, length).map_err(Failure::Reading)
        });
        let wanted = wanted.map_err(|failure| failure.told(disk))?;
        let there = read(wanted.core_sector, wanted.core.len())?;
        if there != wanted.core || !first.starts_with(&wanted.boot_code) {
            self.steps.push(Step::Bios {
                disk: disk.node.clone(),
                embedding: Box::new(wanted),
            });
        }
        Ok(true)
    }

    /// The entry in the firmware's menu for what is on each EFI system partition.
    fn firmware_entry(&mut self, label: &str, name: UefiName) -> Result<()> {
        match entry_writes(label, &self.programs) {
            Ok(Some(writes)) if writes.is_empty() => {}
            Ok(Some(writes)) => self.steps.push(Step::Firmware {
                label: label.to_owned(),
                writes,
                name,
            }),
            Ok(None) if name == UefiName::Removable => {}
            Ok(None) => bail!(
                "cannot write the firmware's menu, since this machine was started by a BIOS; start it by UEFI, or \
                 leave boot.loader.grub.efiInstallAsRemovable at true"
            ),
            Err(error) => name.without_entry(error)?,
        }
        Ok(())
    }

    fn esp(&self, place: &PlaceFacts, disk: &Disk, table: &Table) -> Option<Esp> {
        let mounted = place.efi_system_partition.as_ref();
        let mounted = mounted
            .map(|path| self.below_root(path))
            .filter(|path| is_mount_point(path));
        match (mounted, table.esp) {
            (Some(path), _) => Some(Esp::Mounted(path)),
            (None, Some(number)) => Some(Esp::Partition(disk.partition_node(number))),
            (None, None) => None,
        }
    }
}

/// What gives each program an entry called `label`; none on a machine that has no such menu.
fn entry_writes(label: &str, programs: &[(Esp, &str)]) -> Result<Option<Vec<Write>>> {
    let Some(variables) = firmware::read(Path::new(FIRMWARE))? else {
        return Ok(None);
    };
    let wanted = programs.iter().map(|(esp, path)| {
        let (disk, number) = esp.partition()?;
        let place = Table::place(&disk, number)?;
        let program = Program {
            number,
            start: place.start,
            blocks: place.blocks,
            guid: place.guid,
            path: format!("\\{}", path.replace('/', "\\")),
        };
        Ok(LoadOption::new(label, program)?)
    });
    let wanted: Vec<LoadOption> = wanted.collect::<Result<_>>()?;
    Ok(Some(variables.plan(&wanted)))
}

impl UefiName {
    /// What follows if the firmware's menu cannot have an entry.
    ///
    /// # Errors
    /// GRUB has a name that firmware does not look for.
    pub(super) fn without_entry(self, error: anyhow::Error) -> Result<()> {
        if self == Self::Own {
            return Err(error.context(
                "cannot give GRUB an entry in the firmware's menu, without which nobody finds it",
            ));
        }
        log::warn!(
            "the firmware's menu has no entry for this machine, which starts all the same where nothing comes before it: {error:#}"
        );
        Ok(())
    }
}

/// Why a disk gets no boot sector.
enum Failure {
    /// It has no room, or the images are wrong.
    Embedding(EmbeddingError),
    /// It cannot be read.
    Reading(anyhow::Error),
}

impl Failure {
    fn told(self, disk: &Disk) -> anyhow::Error {
        match self {
            Self::Embedding(error) => {
                anyhow::Error::new(error).context(format!("cannot use {}", disk.node.display()))
            }
            Self::Reading(error) => error,
        }
    }
}

impl From<EmbeddingError> for Failure {
    fn from(error: EmbeddingError) -> Self {
        Self::Embedding(error)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(folder) => write!(f, "{}: a link for GRUB", folder.join("boot").display()),
            Self::Bios { disk, .. } => write!(f, "{}: GRUB for BIOS", disk.display()),
            Self::Uefi { esp, .. } => {
                let (Esp::Mounted(place) | Esp::Partition(place)) = esp;
                write!(f, "{}: GRUB for UEFI", place.display())
            }
            Self::Firmware { label, .. } => write!(f, "the firmware's menu: an entry '{label}'"),
        }
    }
}
