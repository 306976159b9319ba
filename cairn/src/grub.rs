//! GRUB as the imported packages have it, run without being installed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cairn_bootloader::{CoreImage, Platform, Root, Serial, early_config};
use cairn_image_builder::BiosBoot;
use cairn_store::{Access, Sandbox, Store};
use cairn_store_path::StorePath;

use crate::image::facts::BootLoaderFacts;

/// Store objects that have GRUB: tools of the build, not part of the system.
#[derive(Debug, Clone)]
pub struct Grub {
    /// `boot.img` and `core.img` for BIOS, which are the same for every image.
    pub bios: StorePath,
    /// `bin/grub-mkimage`.
    pub tools: StorePath,
    /// `lib/grub/x86_64-efi`.
    pub uefi: StorePath,
}

impl Grub {
    /// GRUB as the configuration has it.
    ///
    /// # Errors
    /// One of its objects is not a store path.
    pub fn of(facts: &BootLoaderFacts) -> Result<Self> {
        Ok(Self {
            bios: facts.bios.parse()?,
            tools: facts.tools.parse()?,
            uefi: facts.uefi.parse()?,
        })
    }

    /// All objects that an image needs.
    #[must_use]
    pub fn objects(&self) -> [&StorePath; 3] {
        [&self.bios, &self.tools, &self.uefi]
    }

    /// GRUB's images for a BIOS.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn bios_boot(&self, store: &Store) -> Result<BiosBoot> {
        let folder = store.real_path(&self.bios);
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))
        };
        Ok(BiosBoot {
            boot_img: read("boot.img")?,
            core_img: read("core.img")?,
        })
    }

    /// GRUB for UEFI that looks for the root file system with `root_uuid`.
    ///
    /// # Errors
    /// The tool cannot be run, or fails.
    pub fn uefi_image(
        &self,
        store: &Store,
        root_uuid: &str,
        serial: Option<Serial>,
    ) -> Result<Vec<u8>> {
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let image = CoreImage {
            platform: Platform::Uefi,
            early_config: early_config(Root::WithUuid(root_uuid), serial),
        };
        let modules = format!("{}/lib/grub/{}", self.uefi, image.platform.grub_name());
        Ok(make_image(
            store,
            &self.tools.to_string(),
            &modules,
            &image,
            scratch.path(),
        )?)
    }
}

/// GRUB for a live medium.
#[derive(Debug, Clone)]
pub struct DiscGrub {
    /// Its objects; that for BIOS is the one with `lib/grub/i386-pc`.
    pub grub: Grub,
    /// The port that it writes to before it has read its menu.
    pub serial: Option<Serial>,
    /// Whether the medium boots by UEFI too.
    pub uefi: bool,
}

impl DiscGrub {
    /// The boot sector of a stick.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn hybrid_boot_sector(&self, store: &Store) -> Result<Vec<u8>> {
        let folder = store.real_path(&self.grub.bios);
        let path = folder.join("lib/grub/i386-pc/boot_hybrid.img");
        fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))
    }

    /// The image for a BIOS, which looks for the medium that has the file `marker`.
    ///
    /// # Errors
    /// The tool cannot be run, or fails.
    pub fn bios_image(&self, store: &Store, marker: &str) -> Result<Vec<u8>> {
        self.image(store, marker, Platform::BiosDisc, &self.grub.bios)
    }

    /// The program for UEFI, if the medium is to have one.
    ///
    /// # Errors
    /// As [`DiscGrub::bios_image`].
    pub fn uefi_image(&self, store: &Store, marker: &str) -> Result<Option<Vec<u8>>> {
        self.uefi
            .then(|| self.image(store, marker, Platform::UefiDisc, &self.grub.uefi))
            .transpose()
    }

    fn image(
        &self,
        store: &Store,
        marker: &str,
        platform: Platform,
        object: &StorePath,
    ) -> Result<Vec<u8>> {
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let image = CoreImage {
            platform,
            early_config: early_config(Root::WithFile(marker), self.serial),
        };
        let modules = format!("{object}/lib/grub/{}", platform.grub_name());
        let tools = self.grub.tools.to_string();
        Ok(make_image(store, &tools, &modules, &image, scratch.path())?)
    }
}

/// Why there is no core image.
#[derive(Debug, thiserror::Error)]
pub enum MakeImageError {
    /// The sandbox could not be made, or the tool not be started in it.
    #[error(transparent)]
    Sandbox(#[from] cairn_store::SandboxError),
    /// A file of the moment.
    #[error("cannot use '{path}' for GRUB's image: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The tool ran and failed.
    #[error("grub-mkimage failed: {0}")]
    Failed(String),
}

/// Makes a core image with the `grub-mkimage` of the object `tools`, in a sandbox where the store
/// is at its place; `scratch` is an empty folder.
///
/// # Errors
/// See [`MakeImageError`].
pub fn make_image(
    store: &Store,
    tools: &str,
    modules: &str,
    image: &CoreImage,
    scratch: &Path,
) -> Result<Vec<u8>, MakeImageError> {
    let [early, core] = ["early.cfg", "core.img"].map(|name| scratch.join(name));
    fs::write(&early, &image.early_config).map_err(|source| MakeImageError::File {
        path: early,
        source,
    })?;
    let output = Sandbox::new(store, format!("{tools}/bin/grub-mkimage"))
        .args(image.args(modules, "/work/early.cfg", "/work/core.img"))
        .bind(scratch, "/work", Access::ReadWrite)
        .run()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(MakeImageError::Failed(message));
    }
    fs::read(&core).map_err(|source| MakeImageError::File { path: core, source })
}
