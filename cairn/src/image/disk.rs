//! A disk image: the tree of its root file system, and its boot menu.

use std::path::Path;

use anyhow::Result;
use cairn_bootloader::{
    BootState, GRUB_DIRECTORY, GRUBENV, KernelFolders, Options, PartitionTable, Platform, Root,
    STUB, Sequence, Slot, SlotFiles, entries,
};
use cairn_image_builder::{
    BOOT_PARTITION, BiosBoot, Content, Disk, Ext4Part, Identifiers, Manifest, Node, ROOT_PARTITION,
    Swap, plan, write,
};
use cairn_store::Store;
use cairn_store_path::StorePath;

use super::boot::{BootFolder, bootspec, esp, menu};
use super::placement::Placement;
use super::root::{add_store, empty_root};
use super::shape::{Sizes, Starts};
use crate::grub::{BootSector, Grub, UefiName};

/// Raised with each change that gives other bytes for the same toplevel.
const FORMAT_VERSION: u32 = 13;

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
    /// MiB left free in the file systems, and of swap space.
    pub sizes: Sizes,
    /// What starts it.
    pub starts: Starts,
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
            .update(format!("{:?}\n{:?}\n", self.sizes, self.starts).as_bytes())
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
        let mut root = machine_root(self.store, self.toplevel, self.epoch)?;
        let boot_tree = match self.placement.boot {
            Some(_) => Some(take_boot(&mut root)?),
            None => None,
        };
        let Starts { bios, uefi } = self.starts;
        let boot = bios.then(|| self.bios_boot()).transpose()?;
        let boot_uuid = match self.placement.boot {
            Some(_) => identifiers.boot_file_system,
            None => identifiers.root_file_system,
        };
        let boot_uuid = boot_uuid.to_string();
        let on_boot = Root::WithUuid(&boot_uuid);
        let esp_tree = || {
            let name = UefiName::Removable;
            let files = (self.grub).uefi_files(self.store, Platform::Uefi, name, on_boot)?;
            esp(files)
        };
        let esp = uefi.then(esp_tree).transpose()?;
        let boot_files = self.placement.boot.as_ref().zip(boot_tree.as_ref());
        let swap = self.placement.swap.as_ref().zip(self.sizes.swap);
        let disk = Disk {
            root: &root,
            esp: esp.as_ref(),
            boot_files: boot_files.map(|(named, tree)| Ext4Part {
                tree,
                label: &named.label,
                free_space: self.sizes.boot << 20,
            }),
            swap: swap.map(|(named, size)| Swap {
                label: &named.label,
                size: size << 20,
            }),
            sector_size: self.sizes.sector,
            boot: boot.as_ref(),
            root_label: &self.placement.root.label,
            identifiers,
            free_space: self.sizes.root << 20,
            size: self.sizes.disk.map(|size| size << 20),
            epoch: self.epoch,
        };
        let layout = plan(&disk).map_err(|error| self.sizes.explain(error))?;
        log::debug!("{layout}");
        write(&disk, &layout, output, &mut |_| {})?;
        Ok(())
    }

    /// GRUB for a BIOS; its core is the same for every disk of that layout.
    fn bios_boot(&self) -> Result<BiosBoot> {
        let root = Root::OnBootDisk {
            table: PartitionTable::Gpt,
            partition: match self.placement.boot {
                Some(_) => BOOT_PARTITION,
                None => ROOT_PARTITION,
            },
        };
        Ok(BiosBoot {
            boot_img: self.grub.boot_sector(self.store, BootSector::Disk)?,
            core_img: self.grub.core_image(self.store, Platform::Bios, root)?,
        })
    }
}

/// The tree of the root file system of a machine that has the system `toplevel`, which is generation 1,
/// with its boot menu.
///
/// # Errors
/// The closure cannot be read, or the system has no boot menu.
pub(super) fn machine_root(store: &Store, toplevel: &StorePath, epoch: u32) -> Result<Manifest> {
    let mut root = empty_root()?;
    add_store(&mut root, store, toplevel)?;
    add_boot(&mut root, store, toplevel, epoch)?;
    Ok(root)
}

/// Kernels, initrds and menu.
fn add_boot(root: &mut Manifest, store: &Store, toplevel: &StorePath, epoch: u32) -> Result<()> {
    let bootspec = bootspec(store, toplevel)?;
    let mut folder = BootFolder {
        store,
        root,
        path: Path::new("boot").join(KernelFolders::OfEachSlot.of(SLOT)),
    };
    let generation = folder.generation(&bootspec, epoch)?;
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

/// Takes what is in `/boot` out of `root`, as the tree of a file system of its own. GRUB finds everything
/// under the same names in both, through a link.
fn take_boot(root: &mut Manifest) -> Result<Manifest> {
    let boot = Path::new("boot");
    let mut tree = Manifest::new();
    for (path, node) in root.take_below(boot) {
        tree.insert(path, node)?;
    }
    tree.insert(boot, Node::symlink("."))?;
    Ok(tree)
}
