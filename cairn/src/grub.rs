//! GRUB as the imported packages have it, run without being installed.

use std::fs;

use anyhow::{Context, Result, bail};
use cairn_bootloader::{CoreImage, Platform};
use cairn_store::{Access, Sandbox, Store};
use cairn_store_path::StorePath;

use crate::packages::PackageSet;

/// Store objects that have GRUB: tools of the build, not part of the system.
#[derive(Debug, Clone)]
pub struct Grub {
    /// `bin/grub-mkimage`.
    pub tools: StorePath,
    /// `lib/grub/i386-pc`.
    pub bios: StorePath,
    /// `lib/grub/x86_64-efi`.
    pub uefi: StorePath,
}

impl Grub {
    /// GRUB's packages of the set.
    ///
    /// # Errors
    /// One is missing.
    pub fn of(packages: &PackageSet<'_>) -> Result<Self> {
        Ok(Self {
            tools: packages.package("grub-common")?.clone(),
            bios: packages.package("grub-pc-bin")?.clone(),
            uefi: packages.package("grub-efi-amd64-bin")?.clone(),
        })
    }

    /// `boot.img`: the code of the first sector of a BIOS disk.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn boot_sector(&self, store: &Store) -> Result<Vec<u8>> {
        let path = store
            .real_path(&self.bios)
            .join("lib/grub/i386-pc/boot.img");
        fs::read(&path).with_context(|| format!("cannot read '{}'", path.display()))
    }

    /// Makes a core image with the imported `grub-mkimage`, in a sandbox where the store is at
    /// its place.
    ///
    /// # Errors
    /// The sandbox cannot be made, or the tool fails.
    pub fn make(&self, store: &Store, image: &CoreImage) -> Result<Vec<u8>> {
        let object = match image.platform {
            Platform::Bios => &self.bios,
            Platform::Uefi => &self.uefi,
        };
        let modules = format!("{object}/lib/grub/{}", image.platform.grub_name());
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let early = scratch.path().join("early.cfg");
        fs::write(&early, &image.early_config)
            .with_context(|| format!("cannot write '{}'", early.display()))?;
        let output = Sandbox::new(store, format!("{}/bin/grub-mkimage", self.tools))
            .args(image.args(&modules, "/work/early.cfg", "/work/core.img"))
            .bind(scratch.path(), "/work", Access::ReadWrite)
            .run()?;
        if !output.status.success() {
            bail!(
                "grub-mkimage failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let core = scratch.path().join("core.img");
        fs::read(&core).with_context(|| format!("cannot read '{}'", core.display()))
    }
}
