//! A disk image: the tree of its root file system, and its boot menu.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cairn_bootloader::{
    BootFileKind, BootFiles, BootState, GRUB_DIRECTORY, GRUBENV, Generation, KernelFolders,
    Options, STUB, Sequence, Serial, Slot, SlotFiles, boot_file_name, checksum_file, entries,
};
use cairn_image_builder::{Content, Disk, Identifiers, Manifest, Node, plan, write};
use cairn_store::{Store, write_database};
use cairn_store_path::StorePath;
use cairn_system::{Bootspec, Memtest, MenuV1};

use super::placement::Placement;
use crate::grub::Grub;

/// Raised with each change that gives other bytes for the same toplevel.
const FORMAT_VERSION: u32 = 7;

/// The slot of an image's only menu.
const SLOT: Slot = Slot::A;

/// Empty directories of the root, with their modes; activation makes everything else.
const DIRECTORIES: [(&str, u32); 16] = [
    ("boot", 0o755),
    ("boot/efi", 0o755),
    ("boot/grub", 0o700),
    ("boot/kernels", 0o755),
    ("boot/kernels/a", 0o755),
    ("boot/kernels/b", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("nix", 0o755),
    ("nix/var/nix/gcroots", 0o755),
    ("nix/var/nix/profiles", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("var/lib", 0o755),
];

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
    /// The port that GRUB writes to before it has read its menu.
    pub serial: Option<Serial>,
    /// MiB left free in the root file system.
    pub free_space: u64,
    /// The time that the image and its generation bear, in seconds since 1970.
    pub epoch: u32,
}

/// A root file system on which nothing was ever activated.
///
/// # Errors
/// The table of directories contradicts itself.
pub fn empty_root() -> Result<Manifest> {
    let mut root = Manifest::new();
    for (path, mode) in DIRECTORIES {
        let path = Path::new(path);
        root.insert_directories(path.parent().unwrap_or(path))?;
        root.insert(path, Node::directory(mode))?;
    }
    root.insert("tmp", Node::directory(0o1777))?;
    Ok(root)
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
            .update(format!("{:?}\n{:?}\n", self.placement, self.serial).as_bytes())
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
        let boot = self.grub.bios_boot(self.store)?;
        let root_uuid = identifiers.root_file_system.to_string();
        let esp = esp(self.grub.uefi_image(self.store, &root_uuid, self.serial)?)?;
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

    /// The tree of the root file system.
    fn root(&self) -> Result<Manifest> {
        let mut root = empty_root()?;
        self.add_store(&mut root)?;
        self.add_boot(&mut root)?;
        Ok(root)
    }

    /// The closure, its database, and the profile whose first generation it is.
    fn add_store(&self, root: &mut Manifest) -> Result<()> {
        let infos = self
            .store
            .closure_infos(std::slice::from_ref(self.toplevel))?;
        root.insert("nix/store", Node::directory(0o1775).owned(0, 30_000))?;
        for info in &infos {
            let target = Path::new("nix/store").join(info.path.base_name());
            root.insert_store_object(&target, &self.store.real_path(&info.path))?;
        }
        Self::add_database(root, &infos)?;
        let profiles = Path::new("nix/var/nix/profiles");
        root.insert(
            profiles.join("system-1-link"),
            Node::symlink(self.toplevel.to_path_buf()),
        )?;
        root.insert(profiles.join("system"), Node::symlink("system-1-link"))?;
        root.insert(
            "nix/var/nix/gcroots/profiles",
            Node::symlink("/nix/var/nix/profiles"),
        )?;
        Ok(())
    }

    fn add_database(root: &mut Manifest, infos: &[cairn_store::PathInfo]) -> Result<()> {
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        write_database(scratch.path(), infos)?;
        let folder = scratch.path().join("nix/var/nix/db");
        root.insert("nix/var/nix/db", Node::directory(0o755))?;
        let reading = || format!("cannot read '{}'", folder.display());
        for entry in fs::read_dir(&folder).with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            if path.is_file() {
                let bytes = fs::read(&path).with_context(reading)?;
                let name = path.file_name().context("a file without a name")?;
                let target = Path::new("nix/var/nix/db").join(name);
                root.insert(target, Node::new(0o644, Content::Bytes(bytes)))?;
            }
        }
        Ok(())
    }

    /// Kernels, initrds and menu.
    fn add_boot(&self, root: &mut Manifest) -> Result<()> {
        let bootspec = self.bootspec()?;
        let files = self.add_boot_files(root, &bootspec)?;
        let specialisations = bootspec
            .specialisations
            .iter()
            .map(|(name, other)| Ok((name.clone(), self.add_boot_files(root, other)?)))
            .collect::<Result<_>>()?;
        let menu = bootspec.menu.as_ref().with_context(|| {
            format!(
                "'{}' has no boot menu; set boot.loader.grub.enable",
                self.toplevel
            )
        })?;
        let date = i64::from(self.epoch);
        let release = &menu.kernel_release;
        let generation = Generation::new(1, date, release, &bootspec, files, &specialisations)?;
        let good = generation.entry.id().clone();
        let options = Options {
            good: Some(good.clone()),
            memtest: self.add_memtest(root, menu)?,
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

    /// The memory test, at the paths at which GRUB sees it.
    fn add_memtest(&self, root: &mut Manifest, menu: &MenuV1) -> Result<Option<Memtest>> {
        let Some(memtest) = &menu.memtest else {
            return Ok(None);
        };
        Ok(Some(Memtest {
            bios: self.add_boot_file(root, &memtest.bios, BootFileKind::Program)?,
            uefi: self.add_boot_file(root, &memtest.uefi, BootFileKind::Program)?,
            params: memtest.params.clone(),
        }))
    }

    fn add_boot_files(&self, root: &mut Manifest, bootspec: &Bootspec) -> Result<BootFiles> {
        let v1 = &bootspec.v1;
        let initrd = v1.initrd.as_ref();
        Ok(BootFiles {
            kernel: self.add_boot_file(root, &v1.kernel, BootFileKind::Kernel)?,
            initrd: initrd
                .map(|initrd| self.add_boot_file(root, initrd, BootFileKind::Initrd))
                .transpose()?,
        })
    }

    fn add_boot_file(
        &self,
        root: &mut Manifest,
        logical: &str,
        kind: BootFileKind,
    ) -> Result<String> {
        let path = self.store.real_path_of(logical)?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
        let name = boot_file_name(&blake3::hash(&bytes), kind);
        let content = Content::File {
            size: bytes.len() as u64,
            path,
        };
        let folder = Path::new("boot").join(KernelFolders::OfEachSlot.of(SLOT));
        let place = folder.join(&name);
        // Specialisations share most of them.
        if root.get(&place).is_none() {
            root.insert(&place, Node::new(0o444, content))?;
            let (sum_name, sum) = checksum_file(&name, &mut bytes.as_slice())?;
            let sum = Node::new(0o444, Content::Bytes(sum.into_bytes()));
            root.insert(folder.join(sum_name), sum)?;
        }
        Ok(format!("/{}", place.display()))
    }

    fn bootspec(&self) -> Result<Bootspec> {
        let path = self.store.real_path(self.toplevel).join("boot.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read '{}'", path.display()))?;
        Ok(Bootspec::parse(&text)?)
    }
}

/// The EFI system partition: GRUB under the name that firmware looks for on any disk.
fn esp(core: Vec<u8>) -> Result<Manifest> {
    let mut esp = Manifest::new();
    esp.insert_directories(Path::new("EFI/BOOT"))?;
    esp.insert(
        "EFI/BOOT/BOOTX64.EFI",
        Node::new(0o755, Content::Bytes(core)),
    )?;
    Ok(esp)
}
