//! A live medium: the system as a squashfs, what GRUB loads, and its menu.

use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result};
use cairn_bootloader::{GRUB_DIRECTORY, LiveMenu, Options, Platform, Root};
use cairn_image_builder::iso::{DiscBoot, Iso, IsoIdentifiers, MANIFEST};
use cairn_image_builder::squashfs::{self, Cache, Level};
use cairn_image_builder::{Content, Manifest, Node};
use cairn_store::Store;
use cairn_store_path::StorePath;
use cairn_system::live::MediumId;
use serde::Deserialize;

use super::boot::{BootFolder, add_files, bootspec, esp, menu};
use super::placed::Placed;
use super::root::{add_store_with, empty_root};
use crate::configuration::LOCK_FILE;
use crate::grub::{BootSector, Grub, GrubFacts, UefiName};

/// Raised with each change that gives other bytes for the same toplevel.
const FORMAT_VERSION: u32 = 6;

/// What a configuration says of its live medium: `config.system.build.images.iso.facts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IsoFacts {
    /// `networking.hostName`: names the image's file.
    pub host_name: String,
    /// `isoImage.volumeID`.
    pub label: String,
    /// What the menu calls the system.
    pub title: String,
    /// The level in `isoImage.squashfsCompression`.
    pub compression_level: i32,
    /// `isoImage.makeEfiBootable`.
    pub uefi: bool,
    /// `isoImage.storeContents`: store paths.
    pub contents: Vec<String>,
    /// `isoImage.contents`.
    pub files: Vec<Placed>,
    /// GRUB.
    pub grub: GrubFacts,
}

/// What a live medium is made of.
#[derive(Debug, Clone, Copy)]
pub struct IsoImage<'a> {
    /// The store that has the toplevel's closure.
    pub store: &'a Store,
    /// The system that it boots.
    pub toplevel: &'a StorePath,
    /// Further objects of its store.
    pub contents: &'a [StorePath],
    /// The lock file of the configuration: what the medium installs is of the same packages.
    pub lock: &'a [u8],
    /// What the configuration says.
    pub facts: &'a IsoFacts,
    /// The level of compression.
    pub level: Level,
    /// What remembers how store objects were compressed.
    pub cache: Option<&'a Cache>,
    /// GRUB.
    pub grub: &'a Grub,
    /// The time that everything on it bears, in seconds since 1970.
    pub epoch: u32,
}

impl IsoImage<'_> {
    /// What the image's bytes follow from.
    #[must_use]
    pub fn key(toplevel: &StorePath, facts: &IsoFacts, lock: &[u8], epoch: u32) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 live medium");
        hasher
            .update(toplevel.base_name().as_bytes())
            .update(format!("\n{facts:?}\n").as_bytes())
            .update(blake3::hash(lock).as_bytes())
            .update(&epoch.to_le_bytes())
            .update(&FORMAT_VERSION.to_le_bytes());
        hasher.finalize()
    }

    /// Writes the image with this key to `output`.
    ///
    /// # Errors
    /// The closure cannot be read, GRUB's tools fail, or the image cannot be written.
    pub fn write(&self, key: &blake3::Hash, output: &Path) -> Result<()> {
        let identifiers = IsoIdentifiers::from_seed(key.as_bytes());
        let medium = identifiers.medium_id();
        let marker = format!("/{}", medium.marker());
        let on_medium = Root::WithFile(&marker);
        let manifest = format!("/{MANIFEST}");
        let started = Root::Started(&manifest);
        let grub = self.grub;
        // None of them needs another, and each keeps one processor busy.
        thread::scope(|scope| {
            let disc_img = scope.spawn(|| grub.core_image(self.store, Platform::BiosDisc, started));
            let esp = scope.spawn(|| self.esp(on_medium));
            let files = scope.spawn(|| self.files(&medium, identifiers.esp_serial));
            let system = self.system()?;
            let (mut files, esp) = (joined(files)??, joined(esp)??);
            if esp.is_some() {
                add_files(&mut files, grub.disc_file(on_medium))?;
            }
            let compression = squashfs::Options {
                level: self.level,
                ..squashfs::Options::new(self.epoch)
            };
            let iso = Iso {
                system: &system,
                compression,
                cache: self.cache,
                files: &files,
                esp: esp.as_ref(),
                label: &self.facts.label,
                identifiers: identifiers.clone(),
                epoch: self.epoch,
            };
            iso.write(output, || {
                Ok(DiscBoot {
                    hybrid_img: grub.boot_sector(self.store, BootSector::Stick)?,
                    disc_img: joined(disc_img)??,
                })
            })
        })
    }

    /// The root of the live system.
    fn system(&self) -> Result<Manifest> {
        let mut system = empty_root()?;
        add_store_with(&mut system, self.store, self.toplevel, self.contents)?;
        system.insert("etc/nixos", Node::directory(0o755))?;
        let lock = Node::new(0o644, Content::Bytes(self.lock.to_vec()));
        system.insert(Path::new("etc/nixos").join(LOCK_FILE), lock)?;
        Ok(system)
    }

    /// The EFI system partition, if there is to be one.
    fn esp(&self, root: Root<'_>) -> Result<Option<Manifest>> {
        if !self.facts.uefi {
            return Ok(None);
        }
        let programs =
            (self.grub).uefi_files(self.store, Platform::UefiDisc, UefiName::Removable, root)?;
        esp(programs).map(Some)
    }

    /// What GRUB reads: kernels, initrds, and the menus; and what the configuration has beside them.
    fn files(&self, medium: &MediumId, esp_serial: u32) -> Result<Manifest> {
        let bootspec = bootspec(self.store, self.toplevel)?;
        let mut files = Manifest::new();
        files.insert_directories(Path::new("boot/grub"))?;
        let mut folder = BootFolder {
            store: self.store,
            root: &mut files,
            path: "boot".into(),
        };
        let generation = folder.generation(&bootspec, self.epoch)?;
        let menu = menu(&bootspec)?;
        let options = Options {
            memtest: folder.memtest(menu)?,
            ..Options::of(menu)
        };
        let menu = LiveMenu {
            generation: &generation,
            options: &options,
            medium,
            title: &self.facts.title,
            esp: &format!("{:04X}-{:04X}", esp_serial >> 16, esp_serial & 0xffff),
        };
        let grub = Path::new(GRUB_DIRECTORY.trim_start_matches('/'));
        for (name, text) in menu.files() {
            let text = text.into_bytes();
            files.insert(grub.join(name), Node::new(0o444, Content::Bytes(text)))?;
        }
        for placed in &self.facts.files {
            placed.add(self.store, &mut files)?;
        }
        Ok(files)
    }
}

/// What a thread has made.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T> {
    thread
        .join()
        .ok()
        .context("a thread that makes the medium has panicked")
}
