//! GRUB's core image: the file that firmware starts, with the modules that reach `/boot` in it.
//!
//! It is made by `grub-mkimage` alone. `grub-install` is not used: it wants root and a mounted
//! disk, and it writes to the firmware's variables. Running it is the caller's business; the bytes
//! that it writes depend on its arguments, the configuration and GRUB's version alone.

/// What starts GRUB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// A BIOS, from a BIOS boot partition.
    Bios,
    /// 64-bit UEFI on x86, from `EFI/BOOT/BOOTX64.EFI`.
    Uefi,
    /// A BIOS, from a disc, or from a stick that has a disc's image.
    BiosDisc,
    /// 64-bit UEFI, from a disc or from such a stick.
    UefiDisc,
}

impl Platform {
    /// GRUB's name of it, as in `/usr/lib/grub/i386-pc`.
    #[must_use]
    pub fn grub_name(self) -> &'static str {
        match self {
            Self::Bios | Self::BiosDisc => "i386-pc",
            Self::Uefi | Self::UefiDisc => "x86_64-efi",
        }
    }

    /// The format of the image, as `grub-mkimage` names it.
    #[must_use]
    pub fn format(self) -> &'static str {
        match self {
            Self::BiosDisc => "i386-pc-eltorito",
            other => other.grub_name(),
        }
    }

    /// Modules in the core image: all that the stub, the menu and a rescue by hand need, so that
    /// `/boot/grub` holds no modules.
    #[must_use]
    pub fn modules(self) -> Vec<&'static str> {
        const COMMON: [&str; 39] = [
            "boot",
            "cat",
            "chain",
            "configfile",
            "date",
            "echo",
            "ext2",
            "fat",
            "font",
            "gcry_sha256",
            "gcry_sha512",
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
            "password",
            "password_pbkdf2",
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
            Self::Bios => &["biosdisk", "linux16"],
            Self::Uefi => &["efi_gop", "efifwsetup", "lsefi"],
            Self::BiosDisc => &["biosdisk", "linux16", "iso9660", "drivemap"],
            Self::UefiDisc => &["efi_gop", "efifwsetup", "lsefi", "iso9660"],
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
        ["-O", self.platform.format(), "-d", modules]
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
        expect!["-O i386-pc -d /lib/grub/i386-pc -c /early.cfg -p /boot/grub -o /core.img boot cat chain configfile date echo ext2 fat font gcry_sha256 gcry_sha512 gfxterm gzio halt hashsum help keystatus linux loadenv ls minicmd normal part_gpt part_msdos password password_pbkdf2 probe reboot regexp search search_fs_file search_fs_uuid search_label serial sleep terminal test true all_video biosdisk linux16"].assert_eq(
            &image
                .args("/lib/grub/i386-pc", "/early.cfg", "/core.img")
                .join(" "),
        );
        assert_eq!(Platform::BiosDisc.format(), "i386-pc-eltorito");
        assert_eq!(Platform::BiosDisc.grub_name(), "i386-pc");
        let modules = Platform::Uefi.modules();
        assert!(!modules.contains(&"biosdisk"));
    }
}
