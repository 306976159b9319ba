//! The Debian packages that the tasks need, and what each is for.

/// What needs a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Building the workspace and an image, and booting it: every task.
    Demo,
    /// The tests alone.
    Test,
    /// The benchmarks alone.
    Bench,
}

/// One package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// What needs it.
    pub need: Need,
    /// What for; completes "name: …".
    pub reason: &'static str,
}

const fn package(need: Need, name: &'static str, reason: &'static str) -> Package {
    Package { name, need, reason }
}

/// All of them.
pub const PACKAGES: &[Package] = &[
    package(
        Need::Demo,
        "gcc",
        "compiles SQLite, liblzma and zstd, and links",
    ),
    package(
        Need::Demo,
        "libc6-dev",
        "the C library's static part: our programs are static",
    ),
    package(
        Need::Demo,
        "gpgv",
        "verifies the signature of Debian's archive",
    ),
    package(
        Need::Demo,
        "debian-archive-keyring",
        "the keys that Debian's archive is signed with",
    ),
    package(Need::Demo, "qemu-system-x86", "boots the image"),
    package(Need::Demo, "ovmf", "the UEFI firmware for QEMU"),
    package(Need::Test, "binutils", "reads our ELF files back (readelf)"),
    package(
        Need::Test,
        "btrfs-progs",
        "makes file systems that must be recognised",
    ),
    package(Need::Test, "g++", "compiles libFuzzer (torture fuzz)"),
    package(Need::Test, "busybox-static", "the shell of small guests"),
    package(
        Need::Test,
        "groff-base",
        "formats the man page of the options",
    ),
    package(
        Need::Test,
        "chromium-headless-shell",
        "runs the page of the options",
    ),
    package(Need::Test, "cpio", "reads our initrds back"),
    package(
        Need::Test,
        "dosfstools",
        "checks our FAT file systems (fsck.vfat)",
    ),
    package(
        Need::Test,
        "e2fsprogs",
        "checks our ext4 file systems (e2fsck)",
    ),
    package(
        Need::Test,
        "erofs-utils",
        "makes file systems that must be recognised",
    ),
    package(
        Need::Test,
        "exfatprogs",
        "makes file systems that must be recognised",
    ),
    package(
        Need::Test,
        "f2fs-tools",
        "makes file systems that must be recognised",
    ),
    package(
        Need::Test,
        "fdisk",
        "makes partition tables that must be read (sfdisk)",
    ),
    package(Need::Test, "file", "recognises our live media"),
    package(Need::Test, "gdisk", "checks our partition tables (sgdisk)"),
    package(
        Need::Test,
        "genisoimage",
        "reads our live media back (isoinfo)",
    ),
    package(Need::Test, "gpg", "signs the archives that tests make"),
    package(
        Need::Test,
        "gpg-agent",
        "holds the keys that gpg signs with",
    ),
    package(Need::Test, "grub-common", "checks our menus"),
    package(Need::Test, "grub-efi-amd64-bin", "GRUB's modules for UEFI"),
    package(Need::Test, "grub-pc-bin", "GRUB's modules for BIOS"),
    package(
        Need::Test,
        "ipxe-qemu",
        "starts virtual machines from the network",
    ),
    package(Need::Test, "kmod", "checks our modules.dep (depmod)"),
    package(
        Need::Test,
        "libarchive-tools",
        "a second reader of our archives (bsdtar)",
    ),
    package(
        Need::Test,
        "libxml2-utils",
        "parses the descriptions of our appliances (xmllint)",
    ),
    package(Need::Test, "mtools", "reads our FAT file systems back"),
    package(
        Need::Test,
        "nix-bin",
        "checks that our store is one that Nix reads",
    ),
    package(
        Need::Test,
        "openssh-client",
        "logs in to a guest with a key",
    ),
    package(Need::Test, "openssl", "makes keys for Secure Boot"),
    package(Need::Test, "patchelf", "checks what we change in ELF files"),
    package(
        Need::Test,
        "python3",
        "speaks the protocols that services of tests speak",
    ),
    package(
        Need::Test,
        "qemu-utils",
        "reads our disk formats (qemu-img)",
    ),
    package(
        Need::Test,
        "sbsigntool",
        "signs and checks programs for Secure Boot",
    ),
    package(
        Need::Test,
        "squashfs-tools",
        "reads our squashfs back, and is what it is compared with",
    ),
    package(Need::Test, "swtpm", "the TPM of virtual machines"),
    package(
        Need::Test,
        "xfsprogs",
        "makes file systems that must be recognised",
    ),
    package(
        Need::Test,
        "xorriso",
        "checks our live media; makes file systems that must be recognised",
    ),
    package(
        Need::Bench,
        "genimage",
        "makes the images that ours are compared with",
    ),
    package(
        Need::Bench,
        "mmdebstrap",
        "makes the Debian system that boots are compared with",
    ),
    package(
        Need::Bench,
        "time",
        "tells how much memory a command needed",
    ),
];

/// The packages for `need`; tests and benchmarks build and boot images too.
pub fn needed_for(need: Need) -> impl Iterator<Item = &'static Package> {
    PACKAGES.iter().filter(move |package| {
        package.need == Need::Demo || package.need == need || {
            // Benchmarks use the checkers' packages as peers (mke2fs, mtools).
            need == Need::Bench && package.need == Need::Test
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_listed_once_with_a_reason() {
        for (index, package) in PACKAGES.iter().enumerate() {
            assert!(!package.reason.is_empty(), "{}", package.name);
            let others = PACKAGES.iter().skip(index + 1);
            assert!(
                others.clone().all(|other| other.name != package.name),
                "{}",
                package.name
            );
        }
    }

    #[test]
    fn the_demo_needs_less_than_the_tests() {
        let demo: Vec<_> = needed_for(Need::Demo).map(|package| package.name).collect();
        let test: Vec<_> = needed_for(Need::Test).map(|package| package.name).collect();
        assert!(demo.iter().all(|name| test.contains(name)));
        assert!(!demo.contains(&"nix-bin") && !test.contains(&"genimage"));
    }
}
