//! The files that boot entries need, named by their content, and what remembers the names.
//!
//! A store path's file is read once; then `names.json` beside the files knows what it is called.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::{BootFileKind, boot_file_name};
use serde::{Deserialize, Serialize};

/// The file that remembers names.
const NAMES: &str = "names.json";

/// A file that boot entries need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootFile {
    /// Its name, without a folder.
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
    /// What is remembered in `folder`; nothing if that is missing or damaged: it can be computed again.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let path = folder.join(NAMES);
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

    /// The name and the content of the file that remembers those of `wanted` sources alone.
    ///
    /// # Errors
    /// None: it is text.
    pub fn file(&mut self, wanted: &BTreeSet<String>) -> Result<(&'static str, Vec<u8>)> {
        self.by_source.retain(|source, _| wanted.contains(source));
        Ok((NAMES, serde_json::to_vec_pretty(self)?))
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

/// Whether the file at `place` has this length and, if its content is not to be trusted, the content
/// that its name is the hash of.
///
/// # Errors
/// It is there and cannot be read.
pub fn is_whole(place: &Path, size: u64, suspect: bool) -> Result<bool> {
    match fs::metadata(place) {
        Ok(metadata) if metadata.len() != size => Ok(false),
        Ok(_) if suspect => {
            let name = place.file_name().unwrap_or_default().to_string_lossy();
            Ok(name.contains(digest(place)?.0.to_hex().as_str()))
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read '{}'", place.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_without_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("bzImage");
        fs::write(&source, "a kernel").unwrap();
        let of =
            |names: &mut Names| names.of("/nix/store/x/bzImage", &source, BootFileKind::Kernel);
        let mut names = Names::read(folder.path());
        let kernel = of(&mut names).unwrap();
        assert_eq!(kernel.size, 8);
        let place = folder.path().join(NAMES);
        let wanted = BTreeSet::from(["/nix/store/x/bzImage".to_owned()]);
        fs::write(&place, names.file(&wanted).unwrap().1).unwrap();
        fs::remove_file(&source).unwrap();
        assert_eq!(of(&mut Names::read(folder.path())).unwrap(), kernel);
        // What is damaged, or nobody wants, is not remembered.
        fs::write(&place, names.file(&BTreeSet::new()).unwrap().1).unwrap();
        assert!(of(&mut Names::read(folder.path())).is_err());
        fs::write(&place, "{").unwrap();
        assert!(of(&mut Names::read(folder.path())).is_err());
    }

    #[test]
    fn length_and_content_tell_what_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let hash = blake3::hash(b"a kernel");
        let place = folder
            .path()
            .join(boot_file_name(&hash, BootFileKind::Kernel));
        let whole = |suspect| is_whole(&place, 8, suspect).unwrap();
        assert!(!whole(false));
        for (content, is_trusted, is_right) in [
            ("a kernel", true, true),
            ("a Kernel", true, false),
            ("a colonel", false, false),
        ] {
            fs::write(&place, content).unwrap();
            assert_eq!(
                (whole(false), whole(true)),
                (is_trusted, is_right),
                "{content}"
            );
        }
    }
}
