//! A live medium: one image that boots as a disc and, copied to one, as a stick, by BIOS and UEFI.
//!
//! `layout` draws the places. The system is a squashfs that is written to its place at once;
//! everything else is small, and written when the squashfs's length is known. What stage 1 has to
//! know of the medium is in its primary volume descriptor: see [`cairn_system::live`].
//!
//! Files are those of a manifest, with Rock Ridge's names; owners are root, times the medium's own.

mod check;
mod date;
mod descriptors;
mod layout;
mod record;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cairn_bootloader::{BootSectorError, patch_disc_image, patch_hybrid_boot_sector};
use cairn_system::live::{Extent, LiveMedium, MediumId};
use uuid::Uuid;

use crate::fat::{Fat, Medium};
use crate::file_system::{FileSystemError, FileSystemWriter};
use crate::fill::{Filler, Span};
use crate::identifiers::derive;
use crate::layout::{Partition, PartitionKind, SECTOR, SectorSize};
use crate::manifest::{Content, Manifest, ManifestError, Node};
use crate::media;
use crate::output::{Output, OutputError};
use crate::partition_table::{Sectors, Table, partition_table};
use crate::region::Region;
use crate::squashfs;

use descriptors::{Order, Volume, boot_catalog, boot_record, path_table, primary, terminator};
pub use layout::MANIFEST;
use layout::{
    BIOS_IMAGE, BIOS_ROOM, BLOCK, BOOT_RECORD, ESP_IMAGE, Layout, PRIMARY, SYSTEM, TERMINATOR,
    size_with_table,
};
use record::records;
use tree::{KIND, Kind, Tree};

/// The longest label of a volume, in bytes.
pub const VOLUME_LABEL: usize = 32;

/// What goes into a live medium.
#[derive(Debug, Clone)]
pub struct Iso<'a> {
    /// The root file system of the live system.
    pub system: &'a Manifest,
    /// How it is compressed.
    pub compression: squashfs::Options,
    /// What remembers how store objects were compressed.
    pub cache: Option<&'a squashfs::Cache>,
    /// The files that GRUB reads, at the paths at which it does.
    pub files: &'a Manifest,
    /// The EFI system partition; none for a medium that boots by BIOS alone.
    pub esp: Option<&'a Manifest>,
    /// The label.
    pub label: &'a str,
    /// What tells the medium from every other.
    pub identifiers: IsoIdentifiers,
    /// The time that everything on it bears, in seconds since 1970.
    pub epoch: u32,
}

/// GRUB's images for a BIOS, as they come from GRUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscBoot {
    /// `boot_hybrid.img`: the boot sector of a stick.
    pub hybrid_img: Vec<u8>,
    /// The image for El Torito, made for [`cairn_bootloader::Platform::BiosDisc`].
    pub disc_img: Vec<u8>,
}

/// The numbers that tell a medium and its parts from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsoIdentifiers {
    /// What GRUB and stage 1 know the medium by.
    pub medium: Uuid,
    /// GUID of the disk that a stick is.
    pub disk: Uuid,
    /// GUIDs of its partitions: the files, the EFI system partition, the system.
    pub partitions: [Uuid; 3],
    /// Serial number of the FAT.
    pub esp_serial: u32,
}

impl IsoIdentifiers {
    /// Those of the medium with `seed`, which should be a hash of what goes onto it.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let derive = |purpose: &str| derive("live medium", purpose, seed);
        let uuid = |purpose| Uuid::new_v8(derive(purpose));
        let [a, b, c, d, ..] = derive("EFI system partition serial");
        Self {
            medium: uuid("medium"),
            disk: uuid("disk"),
            partitions: ["files", "EFI system partition", "system"].map(uuid),
            esp_serial: u32::from_le_bytes([a, b, c, d]),
        }
    }

    /// What GRUB and stage 1 know the medium by.
    #[must_use]
    pub fn medium_id(&self) -> MediumId {
        MediumId::from_bytes(self.medium.into_bytes())
    }
}

/// Why a live medium cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// A file system cannot be written.
    #[error(transparent)]
    FileSystem(#[from] FileSystemError),
    /// A file of ours is in the way of another.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// GRUB's images are of the wrong kind.
    #[error(transparent)]
    Boot(#[from] BootSectorError),
    /// The label does not fit.
    #[error(
        "cannot label the medium '{0}': a label has 1 to {VOLUME_LABEL} printable ASCII characters"
    )]
    Label(String),
}

impl Iso<'_> {
    /// Writes the medium to `output`, which appears when it is whole and durable; an image that was
    /// there before stays until then. GRUB for BIOS is asked for when the system has been written: it may be made
    /// meanwhile.
    ///
    /// # Errors
    /// See [`IsoError`]; or `boot` fails. Nothing is left behind.
    pub fn write<E: From<IsoError>>(
        &self,
        output: &Path,
        boot: impl FnOnce() -> Result<DiscBoot, E>,
    ) -> Result<(), E> {
        self.check_label()?;
        let system = squashfs::plan(self.system, &self.compression);
        let mut system = system.map_err(IsoError::from)?;
        if let Some(cache) = self.cache {
            system = system.with_cache(cache);
        }
        let limit = system.size_limit();
        let (manifest, sizes) = self.files(limit)?;
        let tree = Tree::new(&manifest, &sizes).map_err(IsoError::from)?;
        let mut layout = Layout::new(&tree, limit);
        let room = size_with_table(layout.system + limit)
            + check::room(&tree, system.block_limit(), limit);
        let output = Output::create(output, room, layout.system).map_err(IsoError::from)?;
        let needed = manifest.content_size() + system.content_size();
        let failed = |error| match error {
            FileSystemError::Write { source, .. } => {
                IsoError::Output(output.failure(source, needed))
            }
            error => error.into(),
        };
        let io = |error| IsoError::Output(output.failure(error, needed));

        let whole = Region::new(output.file(), 0, room);
        let region = Region::new(output.file(), layout.system, limit);
        // What is not compressed is on its way to the disk while the rest is.
        self.write_files(&layout, &whole).map_err(failed)?;
        whole.begin_write_back(0..layout.system);
        let written = squashfs::write(&system, &region, &mut |_| {}).map_err(failed)?;
        let boot = boot()?;
        (layout.place_bios_image(boot.disc_img.len() as u64)).map_err(IsoError::from)?;
        let written_boot = boot.write(&layout, &whole).map_err(IsoError::from)?;
        written_boot.map_err(io)?;

        let parts = check::parts(&layout, &written);
        let system = Extent {
            offset: layout.system,
            length: written.size,
        };
        // The manifest has the hash of the directories, which have its place: its length must be
        // known before its hashes are.
        let manifest_place = Extent {
            offset: system.offset + system.length.next_multiple_of(BLOCK),
            length: media::length(&parts),
        };
        let mut places = layout.files.clone();
        places.insert(SYSTEM.into(), system);
        places.insert(MANIFEST.into(), manifest_place);
        write_directories(&tree, &layout, &places, self.epoch, &whole).map_err(io)?;
        let text = media::manifest(output.file(), &parts)
            .map_err(io)?
            .to_string();
        whole
            .write_at(text.as_bytes(), manifest_place.offset)
            .map_err(io)?;

        let end = (manifest_place.offset + manifest_place.length).next_multiple_of(BLOCK);
        let medium = LiveMedium {
            id: self.identifiers.medium_id(),
            system,
            manifest: manifest_place,
            manifest_hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
        };
        let volume = Volume {
            label: self.label,
            id: medium.id.as_str(),
            application: &medium.to_string(),
            size: end,
            epoch: self.epoch,
        };
        whole
            .write_at(&primary(&volume, &tree, &layout), PRIMARY * BLOCK)
            .map_err(io)?;
        let size = size_with_table(end);
        output.file().set_len(size).map_err(io)?;
        let table = self.write_table(&boot, &layout, system, size, &whole);
        table.map_err(IsoError::from)?.map_err(io)?;
        Ok(output.finish().map_err(IsoError::from)?)
    }

    fn check_label(&self) -> Result<(), IsoError> {
        let printable = self.label.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if printable && (1..=VOLUME_LABEL).contains(&self.label.len()) {
            Ok(())
        } else {
            Err(IsoError::Label(self.label.to_owned()))
        }
    }

    fn esp_writer(&self) -> Fat {
        Fat {
            medium: Medium::Removable,
            sector_size: SectorSize::Bytes512,
            serial: self.identifiers.esp_serial,
            label: *b"ESP        ",
        }
    }

    /// All files, and the sizes of those that are not contents of the manifest.
    fn files(&self, limit: u64) -> Result<(Manifest, BTreeMap<PathBuf, u64>), IsoError> {
        let mut manifest = self.files.clone();
        let mut sizes = BTreeMap::new();
        let marker = self.identifiers.medium_id().marker();
        let mut own = vec![
            (marker.as_str(), 0),
            (SYSTEM, limit),
            (MANIFEST, 0),
            (BIOS_IMAGE, BIOS_ROOM),
        ];
        if let Some(esp) = self.esp {
            own.push((ESP_IMAGE, self.esp_writer().size(esp, 0)?));
        }
        for (path, size) in own {
            let path = Path::new(path);
            manifest.insert_directories(path.parent().unwrap_or(Path::new("")))?;
            manifest.insert(path, Node::new(0o444, Content::Bytes(Vec::new())))?;
            sizes.insert(path.to_owned(), size);
        }
        Ok((manifest, sizes))
    }

    /// The contents of the manifest, and the EFI system partition.
    fn write_files(&self, layout: &Layout, whole: &Region<'_>) -> Result<(), FileSystemError> {
        let mut ignored = |_| {};
        let mut filler = Filler::new(KIND, whole, &mut ignored);
        for (path, extent) in &layout.files {
            if let Some(node) = self.files.get(path) {
                let Extent { offset, length } = *extent;
                filler.fill(&node.content, std::iter::once(Span { offset, length }))?;
            }
        }
        filler.finish()?;
        if let (Some(esp), Some(place)) = (self.esp, layout.file(ESP_IMAGE)) {
            let region = whole.part(place.offset, place.length);
            self.esp_writer().write(esp, &region, &mut |_| {})?;
        }
        Ok(())
    }

    /// The partition table of a stick.
    fn write_table(
        &self,
        boot: &DiscBoot,
        layout: &Layout,
        system: Extent,
        size: u64,
        whole: &Region<'_>,
    ) -> Result<std::io::Result<()>, BootSectorError> {
        let bios = layout.file(BIOS_IMAGE).map_or(0, |bios| bios.offset);
        let boot_code = patch_hybrid_boot_sector(&boot.hybrid_img, bios / SECTOR)?;
        let [files, esp, of_system] = self.identifiers.partitions;
        let first = PRIMARY * BLOCK;
        let esp_place = layout.file(ESP_IMAGE);
        let files_end = esp_place.map_or(system.offset, |esp| esp.offset);
        let partition = |number, kind, name: &str, guid, start, size| Partition {
            number,
            kind,
            name: name.to_owned(),
            guid,
            file_system: None,
            start,
            size,
        };
        let data = PartitionKind::Data;
        let mut partitions = vec![
            partition(1, data, "files", files, first, files_end - first),
            partition(3, data, "system", of_system, system.offset, system.length),
        ];
        if let Some(Extent { offset, length }) = esp_place {
            partitions.push(partition(2, PartitionKind::Esp, "esp", esp, offset, length));
        }
        let table = Table {
            size,
            sectors: Sectors::Any,
            disk_guid: self.identifiers.disk,
            partitions: &partitions,
            // Some BIOSes start nothing from a stick without a partition that is active.
            active_dummy: true,
        };
        let write = || whole.write_pages(&partition_table(&table, &boot_code)?);
        Ok(write())
    }
}

impl DiscBoot {
    /// GRUB for a BIOS, and what names it.
    fn write(
        &self,
        layout: &Layout,
        whole: &Region<'_>,
    ) -> Result<std::io::Result<()>, BootSectorError> {
        let bios = layout.file(BIOS_IMAGE).unwrap_or(Extent {
            offset: 0,
            length: 0,
        });
        let image = patch_disc_image(&self.disc_img, bios.offset / BLOCK)?;
        let catalog = boot_catalog(bios, layout.file(ESP_IMAGE));
        let write = || {
            whole.write_at(&image, bios.offset)?;
            whole.write_at(&catalog, layout.catalog * BLOCK)?;
            whole.write_at(&boot_record(layout.catalog), BOOT_RECORD * BLOCK)?;
            whole.write_at(&terminator(), TERMINATOR * BLOCK)
        };
        Ok(write())
    }
}

/// Path tables and directories.
fn write_directories(
    tree: &Tree,
    layout: &Layout,
    places: &BTreeMap<PathBuf, Extent>,
    epoch: u32,
    whole: &Region<'_>,
) -> std::io::Result<()> {
    for (block, order) in [
        (layout.little_path_table, Order::Little),
        (layout.big_path_table, Order::Big),
    ] {
        whole.write_at(&path_table(tree, layout, order), block * BLOCK)?;
    }
    let directory_place = |number: usize| layout.directories.get(number).copied();
    let links = |number: usize| {
        let entries = tree
            .directories
            .get(number)
            .map(|directory| &directory.entries);
        let below = |kind: Kind| matches!(kind, Kind::Directory(_));
        let count = entries.map_or(0, |all| {
            all.iter().filter(|entry| below(entry.kind)).count()
        });
        u32::try_from(2 + count).unwrap_or(u32::MAX)
    };
    for (directory, place) in tree.directories.iter().zip(&layout.directories) {
        let mut bytes: Vec<u8> = Vec::new();
        for entry in &directory.entries {
            let (extent, links) = match entry.kind {
                Kind::Itself(number) | Kind::Parent(number) | Kind::Directory(number) => {
                    (directory_place(number), links(number))
                }
                Kind::File => (places.get(&entry.path).copied(), 1),
            };
            let extent = extent.unwrap_or(Extent {
                offset: 0,
                length: 0,
            });
            for record in records(entry, extent, links, epoch) {
                let block = bytes.len() as u64 / BLOCK;
                if (bytes.len() + record.len()) as u64 > (block + 1) * BLOCK {
                    bytes.resize(bytes.len().next_multiple_of(2048), 0);
                }
                bytes.extend(record);
            }
        }
        whole.write_at(&bytes, place.offset)?;
    }
    Ok(())
}
