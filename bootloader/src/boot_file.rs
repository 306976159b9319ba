//! Kernels and initrds in `/boot`, named by their content.
//!
//! Generations that share a kernel share one file, and a file is never written over: another
//! content has another name.

use std::collections::{BTreeMap, BTreeSet};

/// What a file in `/boot` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootFileKind {
    /// A kernel image.
    Kernel,
    /// An initrd.
    Initrd,
}

/// The name below `/boot` of the file with the BLAKE3 hash `hash`:
/// `kernels/<64 hexadecimal digits>-vmlinuz`.
#[must_use]
pub fn boot_file_name(hash: &blake3::Hash, kind: BootFileKind) -> String {
    let suffix = match kind {
        BootFileKind::Kernel => "vmlinuz",
        BootFileKind::Initrd => "initrd",
    };
    format!("kernels/{}-{suffix}", hash.to_hex())
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
/// names that [`boot_file_name`] makes are ever removed.
#[must_use]
pub fn plan_boot_files<S>(
    wanted: BTreeMap<String, S>,
    present: &BTreeSet<String>,
) -> BootFilePlan<S> {
    let remove = present
        .iter()
        .filter(|name| !wanted.contains_key(*name) && is_ours(name))
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
    fn files_are_reused_and_only_ours_removed() {
        let name = |content: &[u8]| boot_file_name(&blake3::hash(content), BootFileKind::Initrd);
        let plan = plan_boot_files(
            BTreeMap::from([(name(b"new"), 1), (name(b"kept"), 2)]),
            &BTreeSet::from([
                name(b"kept"),
                name(b"old"),
                "kernels/memtest.bin".to_owned(),
                "grub/grub.cfg".to_owned(),
            ]),
        );
        assert_eq!(plan.copy, BTreeMap::from([(name(b"new"), 1)]));
        assert_eq!(plan.keep, BTreeSet::from([name(b"kept")]));
        assert_eq!(plan.remove, BTreeSet::from([name(b"old")]));
    }
}
