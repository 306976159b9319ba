//! A store at a root folder: opening, names of files, questions to the database.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cairn_store_path::{Derivation, StorePath};

use crate::database::{Database, SCHEMA_VERSION};
use crate::error::{StoreError, io_error};
use crate::info::PathInfo;
use crate::temp_roots::{self, TempRoots};
use crate::workspace::{Workspace, remove_abandoned};
use crate::writable::Writable;
use crate::{closure, tree};

/// A store. It can be shared between threads, and between processes that each open it.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    pub(crate) database: Database,
    workspace: Mutex<Option<Arc<Workspace>>>,
    writable: Writable,
    temp_roots: TempRoots,
    /// Held shared as long as the store is open; Nix changes the schema only when nobody has it.
    _big_lock: File,
}

/// No garbage collection begins as long as this is there.
#[derive(Debug)]
#[must_use]
pub struct Held {
    _lock: File,
}

/// What `ROOT/nix/var/nix` has, and `ROOT/nix/store` itself.
const FOLDERS: [&str; 6] = [
    "nix/store",
    "nix/var/nix/builds",
    "nix/var/nix/db",
    "nix/var/nix/gcroots",
    "nix/var/nix/profiles",
    "nix/var/nix/temproots",
];

impl Store {
    /// Opens the store at `root`, and makes it if there is none. Removes what killed builds left.
    ///
    /// Root can write the store of the running system, too, which all others see read-only: see
    /// the module `writable`.
    ///
    /// # Errors
    /// A folder or the database cannot be made or has another format.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(io_error("find", root))?;
        for folder in FOLDERS {
            let folder = root.join(folder);
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&folder)
                .map_err(io_error("create folder", &folder))?;
        }
        // One name for the root: what builders get must not run through links.
        let root = fs::canonicalize(&root).map_err(io_error("find", &root))?;
        let state = root.join("nix/var/nix");
        let big_lock = open_lock(&state.join("db/big-lock"))?;
        let database = open_database(&state.join("db"))?;
        remove_abandoned(&state.join("builds"))?;
        let writable = Writable::open(&root.join("nix"))?;
        Ok(Self {
            root,
            database,
            workspace: Mutex::new(None),
            writable,
            temp_roots: TempRoots::new(state),
            _big_lock: big_lock,
        })
    }

    /// The root folder, absolute and without links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that has the objects, `ROOT/nix/store`.
    #[must_use]
    pub fn store_dir(&self) -> PathBuf {
        self.root.join("nix/store")
    }

    /// The folder that has database, roots and profiles, `ROOT/nix/var/nix`.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.root.join("nix/var/nix")
    }

    /// Where the files of `path` are.
    #[must_use]
    pub fn real_path(&self, path: &StorePath) -> PathBuf {
        self.store_dir().join(path.base_name())
    }

    /// Keeps `paths` from garbage collections as long as this store is open, and all that they refer
    /// to. A path that is found valid after that stays so.
    ///
    /// # Errors
    /// They cannot be written down.
    pub fn keep<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a StorePath>,
    ) -> Result<(), StoreError> {
        Ok(self.temp_roots.keep(paths)?)
    }

    /// Lets no garbage collection begin until the result is dropped, and waits for the end of one
    /// that is running: for what other processes add and this one is to [`keep`](Self::keep).
    ///
    /// # Errors
    /// The lock cannot be taken.
    pub fn hold_collections(&self) -> Result<Held, StoreError> {
        let lock = temp_roots::open_gc_lock(&self.state_dir())?;
        let path = self.state_dir().join(temp_roots::GC_LOCK);
        lock.lock_shared().map_err(io_error("lock", path))?;
        Ok(Held { _lock: lock })
    }

    /// The folder of objects as this process may write it: names below it are for changes alone,
    /// and no other process knows them.
    pub(crate) fn writable_dir(&self) -> &Path {
        self.writable.store()
    }

    /// Where the files of `path` can be changed.
    pub(crate) fn writable_path(&self, path: &StorePath) -> PathBuf {
        self.writable_dir().join(path.base_name())
    }

    /// A name of something in the workspace that can be renamed into the store.
    pub(crate) fn movable(&self, path: &Path) -> PathBuf {
        self.writable.name_of(path)
    }

    /// Where `/nix/store/<object>/<rest>` is. Links on the way are not followed.
    ///
    /// # Errors
    /// `logical` does not lie in a well-named store object, or has a `..`.
    pub fn real_path_of(&self, logical: &str) -> Result<PathBuf, StoreError> {
        let (path, rest) = StorePath::containing(logical)?;
        if rest.split('/').any(|part| part == "..") {
            return Err(
                cairn_store_path::ParseStorePathError::NotInStore(logical.to_owned()).into(),
            );
        }
        let object = self.real_path(&path);
        Ok(match rest {
            "" => object,
            rest => object.join(rest.trim_start_matches('/')),
        })
    }

    /// What the database knows of `path`; `None` if it is not valid.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn query(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        self.database.query(path)
    }

    /// What the database knows of `path`.
    ///
    /// # Errors
    /// The path is not valid, or the database cannot be read.
    pub fn info(&self, path: &StorePath) -> Result<PathInfo, StoreError> {
        self.query(path)?.ok_or_else(|| StoreError::Invalid {
            path: path.clone(),
            root: self.root.clone(),
        })
    }

    /// Whether `path` is registered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        self.database.is_valid(path)
    }

    /// What `path` refers to, in order; itself, too, if it does.
    ///
    /// # Errors
    /// The path is not valid, or the database cannot be read.
    pub fn references(&self, path: &StorePath) -> Result<Vec<StorePath>, StoreError> {
        Ok(self.info(path)?.references.into_iter().collect())
    }

    /// What refers to `path`, in order; itself, too, if it does.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn referrers(&self, path: &StorePath) -> Result<Vec<StorePath>, StoreError> {
        Ok(self.database.referrers(path)?.into_iter().collect())
    }

    /// `paths` and everything that they refer to, directly or not, in order.
    ///
    /// # Errors
    /// A path is not valid, or the database cannot be read.
    pub fn closure(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        closure::closure(self, paths)
    }

    /// What the database knows of each path in the closure of `paths`, in order.
    ///
    /// # Errors
    /// A path is not valid, or the database cannot be read.
    pub fn closure_infos(&self, paths: &[StorePath]) -> Result<Vec<PathInfo>, StoreError> {
        self.closure(paths)?
            .iter()
            .map(|path| self.info(path))
            .collect()
    }

    /// Reads a derivation. It need not be registered, but its file must be in the store.
    ///
    /// # Errors
    /// There is no such file, or it is not a derivation.
    pub fn read_derivation(&self, path: &StorePath) -> Result<Derivation, StoreError> {
        let name = path
            .name()
            .strip_suffix(".drv")
            .ok_or_else(|| StoreError::NotDerivation(path.clone()))?;
        let file = self.real_path(path);
        let text = fs::read(&file).map_err(io_error("read", &file))?;
        Derivation::parse(name, &text).map_err(|source| StoreError::Derivation {
            path: path.clone(),
            source,
        })
    }

    /// This process's folder for unfinished things; made when it is first needed.
    pub(crate) fn workspace(&self) -> Result<Arc<Workspace>, StoreError> {
        let mut slot = self
            .workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(workspace) = &*slot {
            return Ok(Arc::clone(workspace));
        }
        let workspace = Arc::new(Workspace::create(&self.state_dir().join("builds"))?);
        *slot = Some(Arc::clone(&workspace));
        Ok(workspace)
    }
}

/// Opens the database below `folder` and takes care that the schema's version is written before
/// anybody relies on it.
fn open_database(folder: &Path) -> Result<Database, StoreError> {
    let schema = folder.join("schema");
    let read = match fs::read_to_string(&schema) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(io_error("read", &schema))?,
    };
    match read.trim() {
        SCHEMA_VERSION => Database::open(&folder.join("db.sqlite")),
        // A power failure may have left the file empty; the tables say what is missing.
        "" => {
            let database = Database::open(&folder.join("db.sqlite"))?;
            let temporary = folder.join(format!("schema.{}", std::process::id()));
            fs::write(&temporary, SCHEMA_VERSION).map_err(io_error("write", &temporary))?;
            tree::sync_file(&temporary)?;
            fs::rename(&temporary, &schema).map_err(io_error("create", &schema))?;
            tree::sync_file(folder)?;
            Ok(database)
        }
        found => Err(StoreError::Schema {
            path: schema,
            found: found.to_owned(),
        }),
    }
}

fn open_lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io_error("create lock", path))?;
    file.lock_shared().map_err(io_error("lock", path))?;
    Ok(file)
}
