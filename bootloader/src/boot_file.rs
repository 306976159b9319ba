//! Kernels and initrds in `/boot`, named by their content.
//!
//! Generations that share a kernel share one file, and a file is never written over: another
//! content has another name. Beside each file lies one with its SHA-256 sum, since GRUB knows no
//! BLAKE3: before it boots an entry on trial, it reads the files and compares.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::slot::Slot;

/// Where below `/boot` the files of a menu lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelFolders {
    /// Each slot has a folder, and a file in both is one with two names: whatever happens to the
    /// folder that is written, the menu that boots does not look there.
    OfEachSlot,
    /// One for both, on a file system without hard links. A name there has a place of its own, and
    /// does not depend on names before it.
    Shared,
}

impl KernelFolders {
    /// The folder of what the menu in `slot` loads.
    #[must_use]
    pub fn of(self, slot: Slot) -> &'static str {
        match (self, slot) {
            (Self::OfEachSlot, Slot::A) => "kernels/a",
            (Self::OfEachSlot, Slot::B) => "kernels/b",
            (Self::Shared, _) => "kernels",
        }
    }
}

/// What a file in `/boot` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootFileKind {
    /// A kernel image.
    Kernel,
    /// An initrd.
    Initrd,
    /// A program that the boot loader starts, such as a memory test.
    Program,
}

/// The name of the file with the BLAKE3 hash `hash`: `<64 hexadecimal digits>-vmlinuz`.
#[must_use]
pub fn boot_file_name(hash: &blake3::Hash, kind: BootFileKind) -> String {
    let suffix = match kind {
        BootFileKind::Kernel => "vmlinuz",
        BootFileKind::Initrd => "initrd",
        BootFileKind::Program => "program",
    };
    format!("{}-{suffix}", hash.to_hex())
}

/// Name and content of the file with the SHA-256 sum of the file `name`, which has this content, as
/// `sha256sum` writes it. With a folder in front of `name`, the sum is beside it.
///
/// # Errors
/// The content cannot be read.
pub fn checksum_file(name: &str, content: &mut impl Read) -> io::Result<(String, String)> {
    let mut content = Summed::new(content);
    io::copy(&mut content, &mut io::sink())?;
    Ok(content.checksum_file(name))
}

/// A content that is summed while it is read: what is copied need not be read again.
#[derive(Debug)]
pub struct Summed<R> {
    content: R,
    hasher: Sha256,
}

impl<R: Read> Summed<R> {
    /// Of `content`, from here on.
    pub fn new(content: R) -> Self {
        let hasher = Sha256::new();
        Self { content, hasher }
    }

    /// As [`checksum_file`], of what was read.
    #[must_use]
    pub fn checksum_file(self, name: &str) -> (String, String) {
        let base = name.rsplit('/').next().unwrap_or(name);
        let sum = sha256_line(&self.hasher.finalize(), base);
        (checksum_name(name), sum)
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.hasher.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

/// What the name of a file's checksum is, of a path too.
#[must_use]
pub fn checksum_name(name: &str) -> String {
    format!("{name}.sha256")
}

/// A line as `sha256sum` writes it, and GRUB's `hashsum` reads it.
pub(crate) fn sha256_line(digest: &[u8], name: &str) -> String {
    let hex: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}  {name}\n", hex.concat())
}

/// Whether `name` is one that [`boot_file_name`] makes, or that of such a file's checksum: nothing
/// else is ever removed.
#[must_use]
pub fn is_boot_file(name: &str) -> bool {
    let name = name.strip_suffix(".sha256").unwrap_or(name);
    ["-vmlinuz", "-initrd", "-program"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .is_some_and(|hash| {
            hash.len() == 64
                && hash
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn names() {
        let name = boot_file_name(&blake3::hash(b"a kernel"), BootFileKind::Kernel);
        expect!["a59a0e944dc51966c9455bae5482d706c1f2d12b4d99f687bd8447dc43ee8f2c-vmlinuz"]
            .assert_eq(&name);
        assert!(is_boot_file(&name) && is_boot_file(&checksum_name(&name)));
        for other in [
            "memtest.bin",
            "memtest.bin.sha256",
            "names.json",
            &name[1..],
        ] {
            assert!(!is_boot_file(other), "{other}");
        }
    }

    #[test]
    fn checksums() {
        let (name, text) = checksum_file("x-vmlinuz", &mut &b"abc"[..]).unwrap();
        assert_eq!(name, "x-vmlinuz.sha256");
        expect![[r"
            ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  x-vmlinuz
        "]]
        .assert_eq(&text);
    }
}
