//! What GRUB loads, in a folder of an image: kernels and initrds by their content, and the
//! memory test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::{BootFileKind, BootFiles, Generation, Summed, boot_file_name};
use cairn_image_builder::{Content, Manifest, Node};
use cairn_store::Store;
use cairn_store_path::StorePath;
use cairn_system::{Bootspec, Memtest, MenuV1};

use crate::grub::UefiFile;

/// A folder of files that GRUB loads.
#[derive(Debug)]
pub(super) struct BootFolder<'a> {
    /// Where the files come from.
    pub store: &'a Store,
    /// The tree that has the folder.
    pub root: &'a mut Manifest,
    /// Its path in the tree.
    pub path: PathBuf,
}

impl BootFolder<'_> {
    /// Generation 1, which is `bootspec`, with the files that it and its specialisations boot.
    pub fn generation(&mut self, bootspec: &Bootspec, epoch: u32) -> Result<Generation> {
        let files = self.add_boot_files(bootspec)?;
        let specialisations: BTreeMap<_, _> = bootspec
            .specialisations
            .iter()
            .map(|(name, other)| Ok((name.clone(), self.add_boot_files(other)?)))
            .collect::<Result<_>>()?;
        let release = &menu(bootspec)?.kernel_release;
        let date = i64::from(epoch);
        Ok(Generation::new(
            1,
            date,
            release,
            bootspec,
            files,
            &specialisations,
        )?)
    }

    /// The memory test, at the paths at which GRUB sees it.
    pub fn memtest(&mut self, menu: &MenuV1) -> Result<Option<Memtest>> {
        let Some(memtest) = &menu.memtest else {
            return Ok(None);
        };
        Ok(Some(Memtest {
            bios: self.add_boot_file(&memtest.bios, BootFileKind::Program)?,
            uefi: self.add_boot_file(&memtest.uefi, BootFileKind::Program)?,
            params: memtest.params.clone(),
        }))
    }

    fn add_boot_files(&mut self, bootspec: &Bootspec) -> Result<BootFiles> {
        let v1 = &bootspec.v1;
        let initrd = v1.initrd.as_ref();
        Ok(BootFiles {
            kernel: self.add_boot_file(&v1.kernel, BootFileKind::Kernel)?,
            initrd: initrd
                .map(|initrd| self.add_boot_file(initrd, BootFileKind::Initrd))
                .transpose()?,
        })
    }

    fn add_boot_file(&mut self, logical: &str, kind: BootFileKind) -> Result<String> {
        let path = self.store.real_path_of(logical)?;
        let reading = || format!("cannot read '{}'", path.display());
        let mut file = Summed::new(fs::File::open(&path).with_context(reading)?);
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut file).with_context(reading)?;
        let name = boot_file_name(&hasher.finalize(), kind);
        let content = Content::File {
            size: hasher.count(),
            path: path.clone(),
        };
        let place = self.path.join(&name);
        // Specialisations share most of them.
        if self.root.get(&place).is_none() {
            self.root.insert(&place, Node::new(0o444, content))?;
            let (sum_name, sum) = file.checksum_file(&name);
            let sum = Node::new(0o444, Content::Bytes(sum.into_bytes()));
            self.root.insert(self.path.join(sum_name), sum)?;
        }
        Ok(format!("/{}", place.display()))
    }
}

/// How `toplevel` boots.
pub(super) fn bootspec(store: &Store, toplevel: &StorePath) -> Result<Bootspec> {
    let path = store.real_path(toplevel).join("boot.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
    Ok(Bootspec::parse(&text)?)
}

/// How its menu behaves.
pub(super) fn menu(bootspec: &Bootspec) -> Result<&MenuV1> {
    bootspec.menu.as_ref().with_context(|| {
        format!(
            "'{}' has no boot menu; set boot.loader.grub.enable",
            bootspec.v1.toplevel
        )
    })
}

/// The EFI system partition with these files.
pub(super) fn esp(files: Vec<UefiFile>) -> Result<Manifest> {
    let mut esp = Manifest::new();
    add_files(&mut esp, files)?;
    Ok(esp)
}

/// Adds files and their directories to a tree.
pub(super) fn add_files(
    tree: &mut Manifest,
    files: impl IntoIterator<Item = UefiFile>,
) -> Result<()> {
    for UefiFile { path, content } in files {
        let path = Path::new(path);
        tree.insert_directories(path.parent().unwrap_or(path))?;
        tree.insert(path, Node::new(0o755, Content::Bytes(content)))?;
    }
    Ok(())
}
