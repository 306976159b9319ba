//! A disk image: the tree of its root file system, and its boot menu.

use std::path::Path;

use anyhow::Result;
use cairn_bootloader::{
    BootState, GRUB_DIRECTORY, GRUBENV, KernelFolders, Options, PartitionTable, Platform, Root,
    STUB, Sequence, Slot, SlotFiles, entries,
};
use cairn_image_builder::{
    BiosBoot, Content, Disk, Identifiers, Manifest, Node, ROOT_PARTITION, plan, write,
};
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::boot::{BootFolder, bootspec, esp, menu};
use super::placement::Placement;
use super::root::{add_store, empty_root};
use crate::grub::{BootSector, Grub};

/// Raised with each change that gives other bytes for the same toplevel.
const FORMAT_VERSION: u32 = 8;

/// The slot of an image's only menu.
const SLOT: Slot = Slot::A;

/// What an image is made of.
#[derive(Debug, Clone, Copy)]
pub struct DiskImage<'a> {
    /// The store that has the toplevel's closure.
    pub store: &'a Store,
    /// The system that becomes generation 1.
    pub toplevel: &'a StorePath,
    /// GRUB.
    pub grub: &'a Grub,
    /// What the disk must bear.
    pub placement: &'a Placement,
    /// MiB left free in the root file system.
    pub free_space: u64,
    /// The time that the image and its generation bear, in seconds since 1970.
    pub epoch: u32,
}

impl DiskImage<'_> {
    /// What the image's bytes follow from.
    #[must_use]
    pub fn key(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 disk image");
        for path in [self.toplevel].into_iter().chain(self.grub.objects()) {
            hasher.update(path.base_name().as_bytes()).update(b"\n");
        }
        hasher
            .update(format!("{:?}\n{:?}\n", self.placement, self.grub.serial()).as_bytes())
            .update(&self.free_space.to_le_bytes())
            .update(&self.epoch.to_le_bytes())
            .update(&FORMAT_VERSION.to_le_bytes());
        hasher.finalize()
    }

    /// Writes the image to `output`.
    ///
    /// # Errors
    /// The closure cannot be read, GRUB's tools fail, or the image cannot be written.
    pub fn write(&self, output: &Path) -> Result<()> {
        let identifiers = Identifiers::from_seed(self.key().as_bytes());
        let identifiers = self.placement.identifiers(identifiers);
        let root = self.root()?;
        let boot = self.bios_boot()?;
        let root_uuid = identifiers.root_file_system.to_string();
        let on_root = Root::WithUuid(&root_uuid);
        let esp = esp(self.grub.core_image(self.store, Platform::Uefi, on_root)?)?;
        let disk = Disk {
            root: &root,
            esp: &esp,
            boot: &boot,
            root_label: &self.placement.root_label,
            identifiers,
            free_space: self.free_space << 20,
            epoch: self.epoch,
        };
        let layout = plan(&disk)?;
        log::debug!("{layout}");
        write(&disk, &layout, output, &mut |_| {})?;
        Ok(())
    }

    /// GRUB for a BIOS; its core is the same for every disk.
    fn bios_boot(&self) -> Result<BiosBoot> {
        let root = Root::OnBootDisk {
            table: PartitionTable::Gpt,
            partition: ROOT_PARTITION,
        };
        Ok(BiosBoot {
            boot_img: self.grub.boot_sector(self.store, BootSector::Disk)?,
            core_img: self.grub.core_image(self.store, Platform::Bios, root)?,
        })
    }

    /// The tree of the root file system.
    fn root(&self) -> Result<Manifest> {
        let mut root = empty_root()?;
        add_store(&mut root, self.store, self.toplevel)?;
        self.add_boot(&mut root)?;
        Ok(root)
    }

    /// Kernels, initrds and menu.
    fn add_boot(&self, root: &mut Manifest) -> Result<()> {
        let bootspec = bootspec(self.store, self.toplevel)?;
        let mut folder = BootFolder {
            store: self.store,
            root,
            path: Path::new("boot").join(KernelFolders::OfEachSlot.of(SLOT)),
        };
        let generation = folder.generation(&bootspec, self.epoch)?;
        let menu = menu(&bootspec)?;
        let good = generation.entry.id().clone();
        let options = Options {
            good: Some(good.clone()),
            memtest: folder.memtest(menu)?,
            ..Options::of(menu)
        };
        let slot = SlotFiles::new(SLOT, Sequence::FIRST, &entries(&[generation], &options));
        let grub = Path::new(GRUB_DIRECTORY.trim_start_matches('/'));
        let file = |bytes: &[u8]| Node::new(0o600, Content::Bytes(bytes.to_vec()));
        root.insert(grub.join("grub.cfg"), file(STUB.as_bytes()))?;
        for (name, content) in slot.files() {
            root.insert(grub.join(name), file(content.as_bytes()))?;
        }
        let state = BootState::of_good(good);
        root.insert(GRUBENV.trim_start_matches('/'), file(&state.to_bytes()?))?;
        Ok(())
    }
}
