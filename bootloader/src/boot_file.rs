//! Kernels and initrds in `/boot`, named by their content.
//!
//! Generations that share a kernel share one file, and a file is never written over: another
//! content has another name. Beside each file lies one with its SHA-256 sum, since GRUB knows no
//! BLAKE3: before it boots an entry on trial, it reads the files and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use sha2::{Digest, Sha256};

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

/// The name below `/boot` of the file with the BLAKE3 hash `hash`:
/// `kernels/<64 hexadecimal digits>-vmlinuz`.
#[must_use]
pub fn boot_file_name(hash: &blake3::Hash, kind: BootFileKind) -> String {
    let suffix = match kind {
        BootFileKind::Kernel => "vmlinuz",
        BootFileKind::Initrd => "initrd",
        BootFileKind::Program => "program",
    };
    format!("kernels/{}-{suffix}", hash.to_hex())
}

/// Name below `/boot` and content of the file with the SHA-256 sum of the file `name`, which has this
/// content, as `sha256sum` writes it.
///
/// # Errors
/// The content cannot be read.
pub fn checksum_file(name: &str, content: &mut impl Read) -> io::Result<(String, String)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = match content.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        hasher.update(buffer.get(..length).unwrap_or_default());
    }
    let base = name.rsplit('/').next().unwrap_or(name);
    Ok((checksum_name(name), sha256_line(&hasher.finalize(), base)))
}

/// What the name of a file's checksum is, of a path too.
pub(crate) fn checksum_name(name: &str) -> String {
    format!("{name}.sha256")
}

/// A line as `sha256sum` writes it, and GRUB's `hashsum` reads it.
pub(crate) fn sha256_line(digest: &[u8], name: &str) -> String {
    let hex: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}  {name}\n", hex.concat())
}

/// How the files in `/boot` become those that the generations need. The order is copies, then the
/// menu, then removals: nothing goes before its successor is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootFilePlan<S> {
    /// Files to write: name, and where the content comes from.
    pub copy: BTreeMap<String, S>,
    /// Files that are there already.
    pub keep: BTreeSet<String>,
    /// Files that no generation needs any more.
    pub remove: BTreeSet<String>,
}

/// The plan from the names `present` in `/boot` to those `wanted`, each with its source. Only
/// names that [`boot_file_name`] makes are ever removed, and checksums of such, which stay as long
/// as their file.
#[must_use]
pub fn plan_boot_files<S>(
    wanted: BTreeMap<String, S>,
    present: &BTreeSet<String>,
) -> BootFilePlan<S> {
    let remove = present
        .iter()
        .filter(|name| {
            let file = name.strip_suffix(".sha256").unwrap_or(name);
            !wanted.contains_key(file) && is_ours(file)
        })
        .cloned()
        .collect();
    let (there, copy): (BTreeMap<_, _>, _) = wanted
        .into_iter()
        .partition(|(name, _)| present.contains(name));
    BootFilePlan {
        copy,
        keep: there.into_keys().collect(),
        remove,
    }
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix("kernels/")
        .and_then(|name| {
            name.strip_suffix("-vmlinuz")
                .or_else(|| name.strip_suffix("-initrd"))
                .or_else(|| name.strip_suffix("-program"))
        })
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
        let hash = blake3::hash(b"a kernel");
        expect!["kernels/a59a0e944dc51966c9455bae5482d706c1f2d12b4d99f687bd8447dc43ee8f2c-vmlinuz"]
            .assert_eq(&boot_file_name(&hash, BootFileKind::Kernel));
    }

    #[test]
    fn checksums() {
        let (name, text) = checksum_file("kernels/x-vmlinuz", &mut &b"abc"[..]).unwrap();
        assert_eq!(name, "kernels/x-vmlinuz.sha256");
        expect![[r"
            ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  x-vmlinuz
        "]]
        .assert_eq(&text);
    }

    #[test]
    fn files_are_reused_and_only_ours_removed() {
        let name = |content: &[u8]| boot_file_name(&blake3::hash(content), BootFileKind::Initrd);
        let plan = plan_boot_files(
            BTreeMap::from([(name(b"new"), 1), (name(b"kept"), 2)]),
            &BTreeSet::from([
                name(b"kept"),
                name(b"kept") + ".sha256",
                name(b"old"),
                name(b"old") + ".sha256",
                "kernels/memtest.bin".to_owned(),
                "kernels/memtest.bin.sha256".to_owned(),
                "grub/grub.cfg".to_owned(),
            ]),
        );
        assert_eq!(plan.copy, BTreeMap::from([(name(b"new"), 1)]));
        assert_eq!(plan.keep, BTreeSet::from([name(b"kept")]));
        let removed = [name(b"old"), name(b"old") + ".sha256"];
        assert_eq!(plan.remove, BTreeSet::from(removed));
    }
}
