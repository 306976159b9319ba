//! Kernels and initrds in `/boot`, by their content.
//!
//! ```text
//! /boot/kernels/<BLAKE3>-vmlinuz     never written over
//! /boot/kernels/<BLAKE3>-initrd
//! /boot/kernels/<name>.sha256        for GRUB, which compares before it tries an entry
//! /boot/kernels/names.json           store path -> name: nothing is read twice to know its name
//! ```
//!
//! A file is finished and synced under a temporary name, and renamed. One that is there is compared
//! with its name before the menu relies on it: a file that was damaged on the disk is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::{BootFileKind, boot_file_name, checksum_file};
use serde::{Deserialize, Serialize};

use crate::lock_file::write_atomically;

/// The folder of kernels and initrds below `/boot`.
const KERNELS: &str = "kernels";

/// The file that remembers names.
const NAMES: &str = "kernels/names.json";

/// What unfinished files are called.
const UNFINISHED: &str = ".new-";

/// A file that boot entries need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootFile {
    /// Its name below `/boot`.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// A file that `/boot` is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where its content is.
    pub source: PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

/// The names of files by where they come from.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names {
    by_source: BTreeMap<String, BootFile>,
}

impl Names {
    /// What is remembered in `boot`; nothing if that is missing or damaged: it can be computed again.
    #[must_use]
    pub fn read(boot: &Path) -> Self {
        let path = boot.join(NAMES);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                log::warn!("'{}' is damaged, and made again: {error}", path.display());
                Self::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                log::warn!("cannot read '{}': {error}", path.display());
                Self::default()
            }
        }
    }

    /// The file that `source`, a path in the store whose content is at `real`, is in `/boot`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(&mut self, source: &str, real: &Path, kind: BootFileKind) -> Result<BootFile> {
        if let Some(known) = self.by_source.get(source) {
            return Ok(known.clone());
        }
        let (hash, size) = digest(real)?;
        let file = BootFile {
            name: boot_file_name(&hash, kind),
            size,
        };
        self.by_source.insert(source.to_owned(), file.clone());
        Ok(file)
    }

    /// Remembers those of `wanted` sources alone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, boot: &Path, wanted: &BTreeSet<String>) -> Result<()> {
        self.by_source.retain(|source, _| wanted.contains(source));
        let text = serde_json::to_vec_pretty(self)?;
        let path = boot.join(NAMES);
        if fs::read(&path).is_ok_and(|present| present == text) {
            return Ok(());
        }
        write_atomically(&path, &text)
    }
}

/// BLAKE3 hash and length of a file.
fn digest(path: &Path) -> Result<(blake3::Hash, u64)> {
    let reading = || format!("cannot read '{}'", path.display());
    let mut hasher = blake3::Hasher::new();
    hasher
        .update_reader(File::open(path).with_context(reading)?)
        .with_context(reading)?;
    Ok((hasher.finalize(), hasher.count()))
}

/// Which of the files `wanted`, by name, are missing in `boot` or damaged there. Of those that are
/// there the length is compared, and of those in `suspects` the content.
///
/// # Errors
/// One that is there cannot be read.
pub fn missing(
    boot: &Path,
    wanted: &BTreeMap<String, Wanted>,
    suspects: &BTreeSet<String>,
) -> Result<BTreeMap<String, Wanted>> {
    let mut missing = BTreeMap::new();
    for (name, wanted) in wanted {
        let place = boot.join(name);
        let length = match fs::metadata(&place) {
            Ok(metadata) => Some(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read '{}'", place.display()));
            }
        };
        let whole = length == Some(wanted.size)
            && (!suspects.contains(name) || name.contains(digest(&place)?.0.to_hex().as_str()));
        if !whole {
            missing.insert(name.clone(), wanted.clone());
        }
    }
    Ok(missing)
}

/// Copies `files` into `boot`; they have their names when they are whole and on the disk.
///
/// # Errors
/// A file cannot be copied; what was copied before it stays, and is used by the next try.
pub fn copy(boot: &Path, files: &BTreeMap<String, Wanted>) -> Result<()> {
    let folder = boot.join(KERNELS);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make '{}'", folder.display()))?;
    remove_unfinished(&folder)?;
    for (name, Wanted { source, .. }) in files {
        let place = boot.join(name);
        copy_one(source, &place).with_context(|| {
            format!(
                "cannot copy '{}' to '{}'",
                source.display(),
                place.display()
            )
        })?;
        let (sum_name, sum) = File::open(source)
            .and_then(|mut source| checksum_file(name, &mut source))
            .with_context(|| format!("cannot read '{}'", source.display()))?;
        write_atomically(&boot.join(sum_name), sum.as_bytes())?;
    }
    Ok(())
}

fn copy_one(source: &Path, place: &Path) -> io::Result<()> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let new = place.with_file_name(format!("{UNFINISHED}{name}"));
    let copied = File::open(source).and_then(|mut from| {
        let mut to = File::create(&new)?;
        io::copy(&mut from, &mut to)?;
        to.sync_all()?;
        fs::rename(&new, place)
    });
    if copied.is_err() {
        // A full disk shall not stay full because of us.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove '{}': {error}", new.display());
        }
    }
    copied
}

/// What a copy that was cut off has left.
fn remove_unfinished(folder: &Path) -> Result<()> {
    for name in names_in(folder)? {
        if name.starts_with(UNFINISHED) {
            let path = folder.join(name);
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove '{}'", path.display()))?;
        }
    }
    Ok(())
}

/// The names below `boot` of all that is in its folder of kernels.
///
/// # Errors
/// It cannot be read.
pub fn present(boot: &Path) -> Result<BTreeSet<String>> {
    let names = names_in(&boot.join(KERNELS))?;
    Ok(names
        .into_iter()
        .map(|name| format!("{KERNELS}/{name}"))
        .collect())
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let reading = || format!("cannot read '{}'", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(reading)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.with_context(reading)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_get_there_once_and_damage_is_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let boot = folder.path().join("boot");
        let source = folder.path().join("bzImage");
        fs::write(&source, "a kernel").unwrap();
        let mut names = Names::read(&boot);
        let kernel = names
            .of("/nix/store/x/bzImage", &source, BootFileKind::Kernel)
            .unwrap();
        assert_eq!(kernel.size, 8);
        let wanted = Wanted {
            source: source.clone(),
            size: kernel.size,
        };
        let wanted = BTreeMap::from([(kernel.name.clone(), wanted)]);
        let (none, all) = (BTreeSet::new(), BTreeSet::from([kernel.name.clone()]));
        assert_eq!(missing(&boot, &wanted, &none).unwrap(), wanted);
        fs::create_dir_all(boot.join("kernels")).unwrap();
        fs::write(boot.join("kernels/.new-half"), "half").unwrap();
        copy(&boot, &wanted).unwrap();
        assert_eq!(missing(&boot, &wanted, &all).unwrap(), BTreeMap::new());
        assert_eq!(
            present(&boot).unwrap(),
            BTreeSet::from([kernel.name.clone(), format!("{}.sha256", kernel.name)])
        );

        fs::write(boot.join(&kernel.name), "a colonel").unwrap();
        assert_eq!(missing(&boot, &wanted, &none).unwrap(), wanted);
        fs::write(boot.join(&kernel.name), "a Kernel").unwrap();
        assert_eq!(missing(&boot, &wanted, &none).unwrap(), BTreeMap::new());
        assert_eq!(missing(&boot, &wanted, &all).unwrap(), wanted);
        copy(&boot, &wanted).unwrap();
        assert_eq!(fs::read(boot.join(&kernel.name)).unwrap(), b"a kernel");

        // Its name is known without the source.
        names
            .write(&boot, &BTreeSet::from(["/nix/store/x/bzImage".to_owned()]))
            .unwrap();
        fs::remove_file(&source).unwrap();
        let again = Names::read(&boot)
            .of("/nix/store/x/bzImage", &source, BootFileKind::Kernel)
            .unwrap();
        assert_eq!(again, kernel);
    }
}
