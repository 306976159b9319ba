//! GRUB as the imported packages have it, run without being installed.

mod memory;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::{
    CoreImage, Platform, Root, SIGNED_CONFIG, Serial, early_config, signed_config,
};
use cairn_store::{Access, Sandbox, SandboxError, Store};
use cairn_store_path::{ParseStorePathError, StorePath};
use serde::{Deserialize, Serialize};

use memory::Memory;

/// What a configuration says of GRUB: `config.system.build.grub`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrubFacts {
    /// Whether the first serial port shows the menu too.
    pub serial: bool,
    /// The object with `bin/grub-mkimage`.
    pub tools: String,
    /// The object with `lib/grub/i386-pc`.
    pub bios: String,
    /// The object with `lib/grub/x86_64-efi`.
    pub uefi: String,
    /// Debian's signed programs, where Secure Boot is to start the machine.
    #[serde(default)]
    pub secure_boot: Option<SecureBootFacts>,
}

/// Packages with programs that Debian or Microsoft has signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecureBootFacts {
    /// The object with `lib/shim/shimx64.efi.signed`, which firmware trusts.
    pub shim: String,
    /// The object with `lib/shim/mmx64.efi.signed`, which manages keys of the machine's owner.
    pub helpers: String,
    /// The object with `lib/grub/x86_64-efi-signed/grubx64.efi.signed`, which the former trusts.
    pub grub: String,
}

/// GRUB's store objects: tools of the build, not part of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grub {
    tools: StorePath,
    bios: StorePath,
    uefi: StorePath,
    signed: Option<Signed>,
    serial: Option<Serial>,
    memory: Option<Memory>,
}

/// Objects with signed programs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signed {
    shim: StorePath,
    helpers: StorePath,
    grub: StorePath,
}

/// A file of an EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UefiFile {
    /// Its path there.
    pub path: &'static str,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The program that firmware looks for on any disk.
pub const UEFI_PROGRAM: &str = "EFI/BOOT/BOOTX64.EFI";

/// The name of what firmware starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UefiName {
    /// [`UEFI_PROGRAM`], which every firmware finds on any disk.
    Removable,
    /// A name in a folder of its own, which firmware finds by an entry in its menu: the other name is left
    /// to another system on the same partition.
    Own,
}

/// The paths of the programs of an EFI system partition.
struct UefiPaths {
    /// What firmware starts, where nobody has signed anything.
    grub: &'static str,
    /// What firmware starts, where Microsoft has.
    shim: &'static str,
    /// What the former starts: it looks for these names beside itself.
    signed_grub: &'static str,
    helper: &'static str,
}

impl UefiName {
    fn paths(self) -> UefiPaths {
        match self {
            Self::Removable => UefiPaths {
                grub: UEFI_PROGRAM,
                shim: UEFI_PROGRAM,
                signed_grub: "EFI/BOOT/grubx64.efi",
                helper: "EFI/BOOT/mmx64.efi",
            },
            Self::Own => UefiPaths {
                grub: "EFI/cairn/grubx64.efi",
                shim: "EFI/cairn/shimx64.efi",
                signed_grub: "EFI/cairn/grubx64.efi",
                helper: "EFI/cairn/mmx64.efi",
            },
        }
    }
}

/// A boot sector of GRUB's, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootSector {
    /// A disk of its own.
    Disk,
    /// A stick that has a disc's image.
    Stick,
}

impl Grub {
    /// GRUB as the configuration has it.
    ///
    /// # Errors
    /// One of its objects is not a store path.
    pub fn of(facts: &GrubFacts) -> Result<Self, ParseStorePathError> {
        Ok(Self {
            tools: facts.tools.parse()?,
            bios: facts.bios.parse()?,
            uefi: facts.uefi.parse()?,
            signed: match &facts.secure_boot {
                Some(facts) => Some(Signed {
                    shim: facts.shim.parse()?,
                    helpers: facts.helpers.parse()?,
                    grub: facts.grub.parse()?,
                }),
                None => None,
            },
            serial: facts.serial.then_some(Serial::COM1),
            memory: None,
        })
    }

    /// The same, which has core images for a BIOS in `folder` and does not make them again.
    #[must_use]
    pub fn remembering(self, folder: PathBuf) -> Self {
        Self {
            memory: Some(Memory::new(folder)),
            ..self
        }
    }

    /// All objects that what it makes follows from.
    pub fn objects(&self) -> impl Iterator<Item = &StorePath> {
        let signed = self.signed.iter();
        [&self.tools, &self.bios, &self.uefi]
            .into_iter()
            .chain(signed.flat_map(|signed| [&signed.shim, &signed.helpers, &signed.grub]))
    }

    /// The port that it writes to before it has read its menu.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        self.serial
    }

    /// A boot sector, as GRUB has it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn boot_sector(&self, store: &Store, kind: BootSector) -> Result<Vec<u8>> {
        let name = match kind {
            BootSector::Disk => "boot.img",
            BootSector::Stick => "boot_hybrid.img",
        };
        let folder = store.real_path(&self.bios).join("lib/grub/i386-pc");
        let path = folder.join(name);
        fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))
    }

    /// The files of an EFI system partition that start the menu at `root`; the one that firmware starts is
    /// the last, and needs those before it.
    ///
    /// # Errors
    /// As [`Grub::core_image`]; or a signed program cannot be read.
    pub fn uefi_files(
        &self,
        store: &Store,
        platform: Platform,
        name: UefiName,
        root: Root<'_>,
    ) -> Result<Vec<UefiFile>> {
        let paths = name.paths();
        let Some(signed) = &self.signed else {
            return Ok(vec![UefiFile {
                path: paths.grub,
                content: self.core_image(store, platform, root)?,
            }]);
        };
        let read = |path, object: &StorePath, program: &str| {
            let file = store.real_path(object).join(program);
            let content = fs::read(&file);
            let content = content.with_context(|| format!("cannot read '{}'", file.display()))?;
            anyhow::Ok(UefiFile { path, content })
        };
        let grub = "lib/grub/x86_64-efi-signed/grubx64.efi.signed";
        Ok(vec![
            UefiFile {
                path: SIGNED_CONFIG,
                content: signed_config(root, self.serial).into_bytes(),
            },
            read(paths.signed_grub, &signed.grub, grub)?,
            read(paths.helper, &signed.helpers, "lib/shim/mmx64.efi.signed")?,
            read(paths.shim, &signed.shim, "lib/shim/shimx64.efi.signed")?,
        ])
    }

    /// What the file system of a disc has so that the signed GRUB finds the menu at `root`: started from
    /// the image of a file system on a disc, it looks onto the disc itself.
    #[must_use]
    pub fn disc_file(&self, root: Root<'_>) -> Option<UefiFile> {
        self.signed.as_ref().map(|_| UefiFile {
            path: SIGNED_CONFIG,
            content: signed_config(root, self.serial).into_bytes(),
        })
    }

    /// The core image for `platform`, which finds its menu at `root`. It is made by the packages' own
    /// tool, in a sandbox where the store is at its place.
    ///
    /// # Errors
    /// See [`MakeImageError`].
    pub fn core_image(
        &self,
        store: &Store,
        platform: Platform,
        root: Root<'_>,
    ) -> Result<Vec<u8>, MakeImageError> {
        let image = CoreImage {
            platform,
            early_config: early_config(root, self.serial),
        };
        let object = match platform {
            Platform::Bios | Platform::BiosDisc => &self.bios,
            Platform::Uefi | Platform::UefiDisc => &self.uefi,
        };
        let modules = format!("{object}/lib/grub/{}", platform.grub_name());
        // Those for UEFI are not compressed, and most have an id in them that no other one has.
        let memory = match platform {
            Platform::Bios | Platform::BiosDisc => self.memory.as_ref(),
            Platform::Uefi | Platform::UefiDisc => None,
        };
        let Some(memory) = memory else {
            return self.make_image(store, &image, &modules);
        };
        let key = self.key(&image, &modules);
        if let Some(known) = memory.recall(&key) {
            return Ok(known);
        }
        let made = self.make_image(store, &image, &modules)?;
        memory.keep(&key, &made);
        Ok(made)
    }

    /// What an image follows from: the tool, GRUB's modules, its arguments and its configuration.
    fn key(&self, image: &CoreImage, modules: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 GRUB core image");
        let tools = self.tools.base_name().to_owned();
        let arguments = image.args(modules, "", "");
        for text in [tools, image.early_config.clone()].iter().chain(&arguments) {
            hasher
                .update(&(text.len() as u64).to_le_bytes())
                .update(text.as_bytes());
        }
        hasher.finalize()
    }

    fn make_image(
        &self,
        store: &Store,
        image: &CoreImage,
        modules: &str,
    ) -> Result<Vec<u8>, MakeImageError> {
        let scratch = tempfile::tempdir().map_err(MakeImageError::at(&std::env::temp_dir()))?;
        let [early, core] = ["early.cfg", "core.img"].map(|name| scratch.path().join(name));
        fs::write(&early, &image.early_config).map_err(MakeImageError::at(&early))?;
        let output = Sandbox::new(store, format!("{}/bin/grub-mkimage", self.tools))
            .args(image.args(modules, "/work/early.cfg", "/work/core.img"))
            .bind(scratch.path(), "/work", Access::ReadWrite)
            .run()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(MakeImageError::Failed(message));
        }
        fs::read(&core).map_err(MakeImageError::at(&core))
    }
}

/// Why there is no core image.
#[derive(Debug, thiserror::Error)]
pub enum MakeImageError {
    /// The sandbox could not be made, or the tool not be started in it.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A file of the moment.
    #[error("cannot use '{path}' for GRUB's image: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The tool ran and failed.
    #[error("grub-mkimage failed: {0}")]
    Failed(String),
}

impl MakeImageError {
    fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
