//! What this program brings along as store objects: the modules, and its own programs. They are
//! copied once; afterwards, what they were made of is known by a key.
//!
//! ```text
//! <cache>/sources/<key>   the store path, as text
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_store::Store;
use cairn_store_path::StorePath;

use crate::lock_file::write_atomically;

/// The files of `modules/` by their names below it, in order.
const MODULES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// Other names under which our programs do other things.
const LINKS: [(&str, &[&str]); 2] = [
    (
        "cairn",
        &[
            "halt",
            "nix-collect-garbage",
            "nixos-generate-config",
            "nixos-install",
            "nixos-rebuild",
            "nixos-version",
            "poweroff",
            "reboot",
            "udevadm",
        ],
    ),
    ("cairn-init", &["modprobe"]),
];

/// Writes the modules that this program was built with into `folder`.
///
/// # Errors
/// It cannot be written.
pub fn write_modules(folder: &Path) -> io::Result<()> {
    for (name, bytes) in MODULES {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, bytes)?;
    }
    Ok(())
}

/// Adds such objects to a store.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    store: &'a Store,
    cache: &'a Path,
}

impl<'a> Sources<'a> {
    /// For `store`; `cache` is the folder of what can be made again.
    #[must_use]
    pub fn new(store: &'a Store, cache: &'a Path) -> Self {
        Self { store, cache }
    }

    /// The modules that this program was built with.
    ///
    /// # Errors
    /// The store or the cache cannot be written.
    pub fn modules(&self) -> Result<StorePath> {
        let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 modules");
        for (name, bytes) in MODULES {
            hasher.update(name.as_bytes()).update(b"\0");
            hasher
                .update(&(bytes.len() as u64).to_le_bytes())
                .update(bytes);
        }
        self.object(&hasher.finalize(), "cairn-modules", write_modules)
    }

    /// The program `name`, which is `file`, at `bin/NAME`, with its other names. One that lies in an
    /// object of the store is that object.
    ///
    /// # Errors
    /// It is not there, or the store or the cache cannot be written.
    pub fn program(&self, file: &Path, name: &str) -> Result<StorePath> {
        if let Some(object) = self.object_of(file)? {
            return Ok(object);
        }
        let taking = || {
            format!(
                "cannot take '{}' into the store; build it with `cargo xtask build`",
                file.display()
            )
        };
        let key = identity(file).with_context(taking)?;
        let object_name = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        self.object(&key, &object_name, |folder| {
            let bin = folder.join("bin");
            fs::create_dir(&bin)?;
            fs::copy(file, bin.join(name))?;
            let others = LINKS.iter().filter(|(program, _)| *program == name);
            others
                .flat_map(|(_, links)| *links)
                .try_for_each(|link| std::os::unix::fs::symlink(name, bin.join(link)))
        })
        .with_context(taking)
    }

    /// The object of this very store that has `file`, if one has.
    fn object_of(&self, file: &Path) -> Result<Option<StorePath>> {
        let Ok(real) = fs::canonicalize(file) else {
            return Ok(None);
        };
        let inside = real.strip_prefix(self.store.store_dir()).ok();
        let name = inside.and_then(|inside| inside.iter().next()?.to_str());
        let object = name.and_then(|name| StorePath::from_base_name(name).ok());
        self.store.keep(&object)?;
        match object {
            Some(object) if self.store.is_valid(&object)? => Ok(Some(object)),
            _ => Ok(None),
        }
    }

    /// The object that has the key, made by `fill` if it is not known or not there.
    fn object(
        &self,
        key: &blake3::Hash,
        name: &str,
        fill: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<StorePath> {
        let note = self.note(key);
        let noted = known(&note);
        self.store.keep(&noted)?;
        if let Some(path) = noted
            && self.store.is_valid(&path)?
        {
            return Ok(path);
        }
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        fill(folder.path())?;
        let path = self.store.add_tree(name, folder.path())?;
        write_atomically(&note, path.to_string().as_bytes())?;
        Ok(path)
    }

    fn note(&self, key: &blake3::Hash) -> PathBuf {
        self.cache.join("sources").join(key.to_hex().as_str())
    }
}

/// Tells the program `file` from any other, and from what it was before: as long as nobody has written to
/// it, it has not changed.
///
/// # Errors
/// It is not there.
pub fn identity(file: &Path) -> io::Result<blake3::Hash> {
    let metadata = fs::metadata(file)?;
    let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 program");
    hasher
        .update(file.as_os_str().as_encoded_bytes())
        .update(b"\0");
    for number in [metadata.dev(), metadata.ino(), metadata.len()] {
        hasher.update(&number.to_le_bytes());
    }
    for number in [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ] {
        hasher.update(&number.to_le_bytes());
    }
    Ok(hasher.finalize())
}

/// The path in a note; a damaged note is as good as none.
fn known(note: &Path) -> Option<StorePath> {
    match fs::read_to_string(note) {
        Ok(text) => text.trim().parse().ok(),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                log::info!(
                    "cannot read '{}': {error}; it is made again",
                    note.display()
                );
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_are_one_object_that_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let sources = Sources::new(&store, folder.path());
        let path = sources.modules().unwrap();
        assert!(store.real_path(&path).join("packages/default.nix").exists());
        assert!(!store.real_path(&path).join("lib/tests").exists());
        assert_eq!(sources.modules().unwrap(), path);
        assert_eq!(
            fs::read_dir(folder.path().join("sources")).unwrap().count(),
            1
        );
    }

    #[test]
    fn a_program_is_known_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let sources = Sources::new(&store, folder.path());
        let file = folder.path().join("cairn");
        fs::write(&file, "one").unwrap();
        let one = sources.program(&file, "cairn").unwrap();
        assert!(store.real_path(&one).join("bin/reboot").is_symlink());
        assert_eq!(sources.program(&file, "cairn").unwrap(), one);
        fs::write(&file, "other").unwrap();
        assert_ne!(sources.program(&file, "cairn").unwrap(), one);
        // What lies in an object of the store is that object.
        let inside = store.real_path(&one).join("bin/cairn");
        assert_eq!(sources.program(&inside, "cairn").unwrap(), one);
        let message = sources
            .program(&folder.path().join("none"), "none")
            .unwrap_err()
            .to_string();
        assert!(message.contains("cargo xtask build"), "{message}");
    }
}
