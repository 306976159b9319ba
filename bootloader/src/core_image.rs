//! GRUB's core image: the file that firmware starts, with the modules that reach `/boot` in it.
//!
//! It is made by `grub-mkimage` alone. `grub-install` is not used: it wants root and a mounted
//! disk, and it writes to the firmware's variables.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What starts GRUB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// A BIOS, from a BIOS boot partition.
    Bios,
    /// 64-bit UEFI on x86, from `EFI/BOOT/BOOTX64.EFI`.
    Uefi,
}

impl Platform {
    /// GRUB's name of it, as in `/usr/lib/grub/i386-pc`.
    #[must_use]
    pub fn grub_name(self) -> &'static str {
        match self {
            Self::Bios => "i386-pc",
            Self::Uefi => "x86_64-efi",
        }
    }

    /// Modules in the core image: all that the stub, the menu and a rescue by hand need, so that
    /// `/boot/grub` holds no modules.
    #[must_use]
    pub fn modules(self) -> Vec<&'static str> {
        const COMMON: [&str; 35] = [
            "boot",
            "cat",
            "configfile",
            "date",
            "echo",
            "ext2",
            "fat",
            "font",
            "gcry_sha256",
            "gfxterm",
            "gzio",
            "halt",
            "hashsum",
            "help",
            "keystatus",
            "linux",
            "loadenv",
            "ls",
            "minicmd",
            "normal",
            "part_gpt",
            "part_msdos",
            "probe",
            "reboot",
            "regexp",
            "search",
            "search_fs_file",
            "search_fs_uuid",
            "search_label",
            "serial",
            "sleep",
            "terminal",
            "test",
            "true",
            "all_video",
        ];
        let own: &[_] = match self {
            Self::Bios => &["biosdisk"],
            Self::Uefi => &["efi_gop", "efifwsetup", "lsefi"],
        };
        COMMON.iter().chain(own).copied().collect()
    }
}

/// A core image to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreImage {
    /// What starts it.
    pub platform: Platform,
    /// The configuration inside it, from [`crate::early_config`].
    pub early_config: String,
}

impl CoreImage {
    /// Arguments of `grub-mkimage`, with the paths of the folder of GRUB's modules for
    /// [`Platform::grub_name`], of a file that holds [`CoreImage::early_config`], and of the
    /// output.
    #[must_use]
    pub fn args(&self, modules: &str, early_config: &str, output: &str) -> Vec<String> {
        ["-O", self.platform.grub_name(), "-d", modules]
            .into_iter()
            .chain([
                "-c",
                early_config,
                "-p",
                crate::GRUB_DIRECTORY,
                "-o",
                output,
            ])
            .chain(self.platform.modules())
            .map(str::to_owned)
            .collect()
    }
}

/// Runs `grub-mkimage`, wherever it comes from.
pub trait MakeImage {
    /// Why it fails.
    type Error;

    /// The bytes of `image`, which depend on it and on GRUB's version alone.
    ///
    /// # Errors
    /// `grub-mkimage` cannot be run or fails.
    fn make(&self, image: &CoreImage) -> Result<Vec<u8>, Self::Error>;
}

/// A `grub-mkimage` that this machine can execute as it is.
#[derive(Debug, Clone)]
pub struct HostMakeImage {
    /// The program.
    pub program: PathBuf,
    /// The folder that has a folder of modules per platform: `/usr/lib/grub`.
    pub modules: PathBuf,
    /// An existing folder for two files of the moment.
    pub scratch: PathBuf,
}

/// Why the host's `grub-mkimage` made nothing.
#[derive(Debug, thiserror::Error)]
pub enum HostMakeImageError {
    /// A scratch file cannot be written or read.
    #[error("cannot use '{path}' for GRUB's core image: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program cannot be executed.
    #[error(
        "cannot run '{program}': {source}; apt-get install grub-common grub-pc-bin grub-efi-amd64-bin"
    )]
    Run {
        /// The program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The program failed.
    #[error("cannot make GRUB's core image for {platform}: {message}")]
    Failed {
        /// GRUB's name of the platform.
        platform: &'static str,
        /// What it said.
        message: String,
    },
}

impl MakeImage for HostMakeImage {
    type Error = HostMakeImageError;

    fn make(&self, image: &CoreImage) -> Result<Vec<u8>, Self::Error> {
        let platform = image.platform.grub_name();
        let config = self.scratch.join(format!("{platform}.cfg"));
        let output = self.scratch.join(format!("{platform}.img"));
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| HostMakeImageError::File { path, source }
        };
        fs::write(&config, &image.early_config).map_err(file(&config))?;
        let modules = self.modules.join(platform);
        let [modules, config, output_text] =
            [&modules, &config, &output].map(|path| path.to_string_lossy());
        let result = Command::new(&self.program)
            .args(image.args(&modules, &config, &output_text))
            .output()
            .map_err(|source| HostMakeImageError::Run {
                program: self.program.clone(),
                source,
            })?;
        if !result.status.success() {
            return Err(HostMakeImageError::Failed {
                platform,
                message: String::from_utf8_lossy(&result.stderr).trim().to_owned(),
            });
        }
        fs::read(&output).map_err(file(&output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn arguments() {
        let image = CoreImage {
            platform: Platform::Bios,
            early_config: String::new(),
        };
        expect!["-O i386-pc -d /lib/grub/i386-pc -c /early.cfg -p /boot/grub -o /core.img boot cat configfile date echo ext2 fat font gcry_sha256 gfxterm gzio halt hashsum help keystatus linux loadenv ls minicmd normal part_gpt part_msdos probe reboot regexp search search_fs_file search_fs_uuid search_label serial sleep terminal test true all_video biosdisk"].assert_eq(
            &image
                .args("/lib/grub/i386-pc", "/early.cfg", "/core.img")
                .join(" "),
        );
        let modules = Platform::Uefi.modules();
        assert!(!modules.contains(&"biosdisk"));
    }

    #[test]
    fn a_missing_program_says_what_installs_it() {
        let scratch = tempfile::tempdir().unwrap();
        let make = HostMakeImage {
            program: "/nonexistent/grub-mkimage".into(),
            modules: "/usr/lib/grub".into(),
            scratch: scratch.path().to_owned(),
        };
        let image = CoreImage {
            platform: Platform::Uefi,
            early_config: String::new(),
        };
        let message = make.make(&image).unwrap_err().to_string();
        expect!["cannot run '/nonexistent/grub-mkimage': No such file or directory (os error 2); apt-get install grub-common grub-pc-bin grub-efi-amd64-bin"].assert_eq(&message);
    }
}
