//! The download cache: files by their SHA-256.
//!
//! ```text
//! <cache>/sha256/<hex>     whole files, verified before they got this name
//! <cache>/partial/<hex>    downloads under way; locked by the process that writes them
//! <cache>/lists/<name>     the release file last accepted from each source; earlier ones stay
//!                          below sha256, so that what a lock pins can be resolved again
//! ```
//!
//! Any file may be removed at any time while no download runs.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cairn_store_path::Sha256;

use crate::digest::of_reader;

/// A cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// A file of the cache could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {path}: {cause}")]
pub struct CacheError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl CacheError {
    pub(crate) fn new(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self { verb, path, cause }
    }
}

/// A partial download, for this process alone.
pub struct Part {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

impl Cache {
    /// Opens the cache in `root`; makes its folders.
    ///
    /// # Errors
    /// The folder that cannot be made.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        for folder in ["sha256", "partial", "lists"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(CacheError::new("make folder", &path))?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Where the file with this digest is, or will be.
    #[must_use]
    pub fn path(&self, sha256: &Sha256) -> PathBuf {
        self.root.join("sha256").join(sha256.to_base16())
    }

    /// Where the release file of a source is kept.
    #[must_use]
    pub fn list_path(&self, uri: &str, suite: &str) -> PathBuf {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-.".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = format!("{uri}_{suite}").chars().map(plain).collect();
        // The digest keeps apart what becomes the same name.
        let digest = Sha256::of(format!("{uri} {suite}").as_bytes()).to_base16();
        let short: String = name.chars().take(120).collect();
        let digest = digest.get(..12).unwrap_or_default();
        self.root
            .join("lists")
            .join(format!("{short}_{digest}_InRelease"))
    }

    /// The file with this digest, if it is there. It is read and compared: a damaged one is
    /// removed.
    ///
    /// # Errors
    /// The file cannot be read or removed.
    pub fn find(&self, sha256: &Sha256, size: u64) -> Result<Option<PathBuf>, CacheError> {
        let path = self.path(sha256);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(CacheError::new("open", &path)(cause)),
        };
        let found = of_reader(file).map_err(CacheError::new("read", &path))?;
        if found == (*sha256, size) {
            return Ok(Some(path));
        }
        log::warn!(
            "{} is damaged; it is removed and fetched again",
            path.display()
        );
        fs::remove_file(&path).map_err(CacheError::new("remove", &path))?;
        Ok(None)
    }

    /// The partial download of a file; waits for another process that works on it.
    ///
    /// # Errors
    /// The file cannot be opened or locked.
    pub fn part(&self, sha256: &Sha256) -> Result<Part, CacheError> {
        let path = self.root.join("partial").join(sha256.to_base16());
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = options
                .open(&path)
                .map_err(CacheError::new("open", &path))?;
            file.lock().map_err(CacheError::new("lock", &path))?;
            let own = file.metadata().map_err(CacheError::new("read", &path))?;
            // Meanwhile another process may have finished, and moved this file away.
            match fs::metadata(&path) {
                Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => {
                    return Ok(Part { path, file });
                }
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(CacheError::new("read", &path)(cause)),
            }
        }
    }

    /// Gives a verified download its name; it is on disk before it counts.
    ///
    /// # Errors
    /// Writing it through to the disk, or renaming it, failed.
    pub fn finish(&self, part: &Part, sha256: &Sha256) -> Result<PathBuf, CacheError> {
        let path = self.path(sha256);
        part.file
            .sync_all()
            .map_err(CacheError::new("write", &part.path))?;
        fs::rename(&part.path, &path).map_err(CacheError::new("rename", &part.path))?;
        sync_folder(&path)?;
        Ok(path)
    }

    /// Keeps bytes under their digest; gives the digest.
    ///
    /// # Errors
    /// Writing or renaming failed.
    pub fn keep(&self, bytes: &[u8]) -> Result<Sha256, CacheError> {
        let sha256 = Sha256::of(bytes);
        let path = self.path(&sha256);
        if self.find(&sha256, bytes.len() as u64)?.is_none() {
            self.write(&path, bytes)?;
        }
        Ok(sha256)
    }

    /// Bytes that [`Cache::keep`] has kept, if they are still there and undamaged.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn kept(&self, sha256: &Sha256) -> Result<Option<Vec<u8>>, CacheError> {
        let path = self.path(sha256);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| Sha256::of(bytes) == *sha256)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(CacheError::new("read", &path)(cause)),
        }
    }

    /// Replaces a release file, all or nothing.
    ///
    /// # Errors
    /// Writing or renaming it failed.
    pub fn write_list(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        self.write(path, bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let mut file = tempfile::NamedTempFile::new_in(self.root.join("lists"))
            .map_err(CacheError::new("write", path))?;
        io::Write::write_all(&mut file, bytes).map_err(CacheError::new("write", path))?;
        file.as_file()
            .sync_all()
            .map_err(CacheError::new("write", path))?;
        file.persist(path)
            .map_err(|error| CacheError::new("write", path)(error.error))?;
        sync_folder(path)
    }
}

fn sync_folder(path: &Path) -> Result<(), CacheError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let sync = File::open(folder).and_then(|folder| folder.sync_all());
    sync.map_err(CacheError::new("write", folder))
}
