//! Objects that are not built: texts, derivations, copies of trees.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cairn_store_path::{Derivation, FixedOutput, Method, Sha256, Sha256Writer, StorePath, nix32};

use crate::database::Registration;
use crate::error::{StoreError, io_error};
use crate::lock::PathLock;
use crate::publish::{Finished, new_info};
use crate::store::Store;
use crate::{canonical, nar, tree};

impl Store {
    /// Adds a text file that refers to `references`, which must be valid.
    ///
    /// # Errors
    /// The name is invalid, or the store cannot be written.
    pub fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, StoreError> {
        let text = Text::new(name, text.to_vec(), references.clone())?;
        let path = text.path.clone();
        self.add_texts(vec![text])?;
        Ok(path)
    }

    /// Adds a derivation, whose inputs must be valid (derivations that are inputs: their files).
    ///
    /// # Errors
    /// The name is invalid, or the store cannot be written.
    pub fn write_derivation(&self, derivation: &Derivation) -> Result<StorePath, StoreError> {
        let text = Text::derivation(derivation)?;
        let path = text.path.clone();
        self.add_texts(vec![text])?;
        Ok(path)
    }

    /// Adds derivations, which may be inputs of each other, in one go: one wait for the disk.
    /// Returns their paths in the same order.
    ///
    /// # Errors
    /// As [`write_derivation`](Self::write_derivation); then none is added.
    pub fn write_derivations<'a>(
        &self,
        derivations: impl IntoIterator<Item = &'a Derivation>,
    ) -> Result<Vec<StorePath>, StoreError> {
        let texts = derivations
            .into_iter()
            .map(Text::derivation)
            .collect::<Result<Vec<_>, _>>()?;
        let paths = texts.iter().map(|text| text.path.clone()).collect();
        self.add_texts(texts)?;
        Ok(paths)
    }

    /// Adds a copy of the file or tree at `from`, named by its content. Of the modes, only the
    /// executable bit counts; references are not looked for.
    ///
    /// # Errors
    /// The name is invalid, `from` cannot be read, or the store cannot be written.
    pub fn add_tree(&self, name: &str, from: &Path) -> Result<StorePath, StoreError> {
        self.add_source(name, from, Method::Recursive, &|_| true)
    }

    /// Adds a copy of the file or tree at `from`, without the entries below it that `keep` says
    /// no to; named by its archive, or, a plain file, by its bytes alone ([`Method::Flat`]).
    ///
    /// # Errors
    /// As [`add_tree`](Self::add_tree); what is named by its bytes must be a plain file.
    pub fn add_source(
        &self,
        name: &str,
        from: &Path,
        method: Method,
        keep: &nar::Keep<'_>,
    ) -> Result<StorePath, StoreError> {
        let fixed = hash_source(from, method, keep)?;
        let path = fixed.store_path(name)?;
        self.keep([&path])?;
        let _lock = PathLock::acquire(&self.writable_path(&path))?;
        if self.is_present(&path)? {
            return Ok(path);
        }
        let copy = self.workspace()?.fresh();
        let prepared = (|| {
            tree::copy(from, &copy, keep, 0)?;
            if method == Method::Flat {
                tree::set_mode(&copy, 0o444)?;
            }
            canonical::canonicalise(&copy)?;
            if hash_source(&copy, method, &|_| true)? == fixed {
                Ok(nar::hash(&copy)?)
            } else {
                Err(StoreError::Changed(from.to_owned()))
            }
        })();
        let published = prepared.and_then(|hashed| {
            let mut info = new_info(path.clone(), hashed);
            info.content_address = Some(fixed.content_address());
            self.publish(&[Finished {
                tree: copy.clone(),
                registration: Registration {
                    info,
                    outputs: Vec::new(),
                },
            }])
        });
        // After a success there is nothing left to remove.
        tree::remove(&copy)?;
        published.map(|()| path)
    }

    /// Whether `path` is registered and its files are there.
    pub(crate) fn is_present(&self, path: &StorePath) -> Result<bool, StoreError> {
        Ok(self.is_valid(path)? && fs::symlink_metadata(self.real_path(path)).is_ok())
    }

    /// Adds texts and derivations, which may refer to each other, in one go: one wait for the disk.
    /// A file stays open for each; thousands belong into several batches, what is referred to first.
    ///
    /// # Errors
    /// A reference is not valid, or the store cannot be written; then none is added.
    pub fn add_texts(&self, mut texts: Vec<Text>) -> Result<(), StoreError> {
        // Sorted, so that two processes take the locks in the same order.
        texts.sort_by(|one, other| one.path.cmp(&other.path));
        texts.dedup_by(|one, other| one.path == other.path);
        self.keep(texts.iter().map(|text| &text.path))?;
        let mut locks = Vec::new();
        let mut batch = Vec::new();
        let mut written = Ok(());
        for text in texts {
            if self.is_present(&text.path)? {
                continue;
            }
            locks.push(PathLock::acquire(&self.writable_path(&text.path))?);
            if self.is_present(&text.path)? {
                continue;
            }
            let tree = self.workspace()?.fresh();
            written = fs::write(&tree, &text.bytes)
                .map_err(io_error("write", &tree))
                .map_err(StoreError::from)
                .and_then(|()| Ok(canonical::canonicalise(&tree)?));
            let nar = nar::hash(&tree);
            batch.push((tree, text, nar));
            if written.is_err() {
                break;
            }
        }
        let mut finished = Vec::new();
        let trees: Vec<_> = batch.iter().map(|(tree, ..)| tree.clone()).collect();
        for (tree, text, nar) in batch {
            match nar {
                Ok(nar) => finished.push(Finished {
                    tree,
                    registration: text.registration(nar),
                }),
                Err(error) => written = written.and(Err(error.into())),
            }
        }
        let published = written.and_then(|()| self.publish(&finished));
        for tree in trees {
            tree::remove(&tree)?;
        }
        published
    }
}

/// What a source object is named by, computed without a store.
///
/// # Errors
/// As [`Store::add_source`].
pub fn hash_source(
    from: &Path,
    method: Method,
    keep: &nar::Keep<'_>,
) -> Result<FixedOutput, StoreError> {
    let hash = match method {
        Method::Recursive => nar::hash_kept(from, keep)?.0,
        Method::Flat => hash_file(from)?,
    };
    Ok(FixedOutput::sha256(method, hash))
}

fn hash_file(from: &Path) -> Result<Sha256, StoreError> {
    let metadata = fs::symlink_metadata(from).map_err(io_error("read", from))?;
    if !metadata.is_file() {
        let error = std::io::Error::other("only a plain file has a flat hash");
        return Err(io_error("hash", from)(error).into());
    }
    let mut hasher = Sha256Writer::new();
    let mut file = fs::File::open(from).map_err(io_error("open", from))?;
    std::io::copy(&mut file, &mut hasher).map_err(io_error("read", from))?;
    Ok(hasher.finish().0)
}

/// A text file on its way into the store.
#[derive(Debug, Clone)]
pub struct Text {
    path: StorePath,
    bytes: Vec<u8>,
    references: BTreeSet<StorePath>,
    outputs: Vec<(String, StorePath)>,
}

impl Text {
    /// A text that refers to `references`.
    ///
    /// # Errors
    /// The name cannot be one of a store object.
    pub fn new(
        name: &str,
        bytes: Vec<u8>,
        references: BTreeSet<StorePath>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            path: StorePath::text(name, Sha256::of(&bytes), &references)?,
            bytes,
            references,
            outputs: Vec::new(),
        })
    }

    /// The file of a derivation.
    ///
    /// # Errors
    /// The name cannot be one of a store object.
    pub fn derivation(derivation: &Derivation) -> Result<Self, StoreError> {
        let name = format!("{}.drv", derivation.name);
        let mut text = Self::new(&name, derivation.to_aterm(), derivation.references())?;
        text.outputs = derivation
            .outputs
            .iter()
            .map(|(name, output)| (name.clone(), output.path.clone()))
            .collect();
        Ok(text)
    }

    /// Where it will be.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// What it refers to.
    #[must_use]
    pub fn references(&self) -> &BTreeSet<StorePath> {
        &self.references
    }

    /// What it says.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn registration(self, nar: (Sha256, u64)) -> Registration {
        let hash = Sha256::of(&self.bytes);
        let mut info = new_info(self.path, nar);
        info.references = self.references;
        info.content_address = Some(format!("text:sha256:{}", nix32::encode(hash.as_bytes())));
        Registration {
            info,
            outputs: self.outputs,
        }
    }
}
