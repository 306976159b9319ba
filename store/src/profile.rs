//! Profiles: `ROOT/nix/var/nix/profiles/<name>` points to the current of its generations
//! `<name>-<N>-link`, each of which points to a store object.
//!
//! Everything below `profiles` is a garbage collection root. Numbers grow and are never used
//! again as long as a higher one exists, or the profile points to that number. Who changes a profile
//! holds its lock, as Nix does: `<name>.lock`. Each change is one `rename` or `unlink`, on the disk
//! before the function returns: a power cut leaves the profile as it was before or after.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cairn_store_path::{ParseStorePathError, StorePath};

use crate::error::{IoError, StoreError, io_error};
use crate::lock::PathLock;
use crate::reserve::reserve;
use crate::roots::replace_link;
use crate::store::Store;
use crate::tree;

/// One generation of a profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// What it is.
    pub path: StorePath,
    /// Whether the profile points to it.
    pub current: bool,
}

/// Why a profile cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The profile's name cannot be one.
    #[error("'{0}' cannot be the name of a profile: use letters, digits, '.', '_' and '-'")]
    Name(String),
    /// A generation's link does not lead to a store object.
    #[error("generation link {} is damaged: {source}", path.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// What is wrong.
        source: ParseStorePathError,
    },
    /// There is no such generation.
    #[error("there is no generation {number} of '{name}'; there are {known}")]
    Missing {
        /// The profile.
        name: String,
        /// What was asked for.
        number: u64,
        /// Which ones there are.
        known: String,
    },
    /// The current generation was to be removed.
    #[error("cannot remove generation {number} of '{name}': the profile points to it")]
    Current {
        /// The profile.
        name: String,
        /// Its current generation.
        number: u64,
    },
}

impl From<IoError> for ProfileError {
    fn from(error: IoError) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Makes `path` the current generation of the profile `name`, as a new one unless the current
    /// one has it already. On the disk when it returns.
    ///
    /// # Errors
    /// `path` is not valid, or the links cannot be written.
    pub fn set_profile(&self, name: &str, path: &StorePath) -> Result<Generation, ProfileError> {
        let profile = self.lock_profile(name)?;
        self.keep([path])?;
        self.info(path)?;
        let generations = self.generations(name)?;
        let current = generations.iter().find(|generation| generation.current);
        if let Some(same) = current.filter(|generation| generation.path == *path) {
            return Ok(same.clone());
        }
        let number = profile.add(&generations, path)?;
        profile.point_to(number)?;
        Ok(Generation {
            number,
            path: path.clone(),
            current: true,
        })
    }

    /// Makes `path` the newest generation of the profile `name`, unless it is that already. Which
    /// one is current stays as it is. On the disk when it returns.
    ///
    /// # Errors
    /// `path` is not valid, or the link cannot be written.
    pub fn add_generation(&self, name: &str, path: &StorePath) -> Result<Generation, ProfileError> {
        let profile = self.lock_profile(name)?;
        self.keep([path])?;
        self.info(path)?;
        let generations = self.generations(name)?;
        let newest = generations.last();
        if let Some(same) = newest.filter(|generation| generation.path == *path) {
            // Whoever made it may have been killed before the disk had it.
            tree::sync_file(&profile.folder)?;
            return Ok(same.clone());
        }
        Ok(Generation {
            number: profile.add(&generations, path)?,
            path: path.clone(),
            current: false,
        })
    }

    /// Makes generation `number` the current one of the profile `name`. On the disk when it returns.
    ///
    /// # Errors
    /// There is no such generation, its object is not valid, or the link cannot be written.
    pub fn set_current(&self, name: &str, number: u64) -> Result<(), ProfileError> {
        let profile = self.lock_profile(name)?;
        let generations = self.generations(name)?;
        let Some(generation) = generations.iter().find(|entry| entry.number == number) else {
            return Err(missing(name, number, &generations));
        };
        self.info(&generation.path)?;
        reserve(self.root());
        if generation.current {
            tree::sync_file(&profile.folder)?;
            return Ok(());
        }
        profile.point_to(number)
    }

    /// Removes generations of the profile `name`, all or, if one of them must stay, none; one that
    /// is not there is no error. Returns those that were there. What they point to goes with the
    /// next garbage collection, unless it is needed otherwise. On the disk when it returns.
    ///
    /// # Errors
    /// One of them is the current one, or a link cannot be removed.
    pub fn remove_generations(
        &self,
        name: &str,
        numbers: &[u64],
    ) -> Result<Vec<Generation>, ProfileError> {
        let profile = self.lock_profile(name)?;
        let generations = self.generations(name)?;
        if let Some(number) = profile.current()?.filter(|number| numbers.contains(number)) {
            return Err(ProfileError::Current {
                name: name.to_owned(),
                number,
            });
        }
        let mut removed = generations;
        removed.retain(|generation| numbers.contains(&generation.number));
        for generation in &removed {
            tree::remove(&profile.link(generation.number))?;
        }
        profile.remove_unfinished()?;
        tree::sync_file(&profile.folder)?;
        Ok(removed)
    }

    /// When generation `number` of the profile `name` was made, in seconds since 1970.
    ///
    /// # Errors
    /// There is no such link.
    pub fn generation_time(&self, name: &str, number: u64) -> Result<i64, ProfileError> {
        generation_time(self.root(), name, number)
    }

    fn lock_profile(&self, name: &str) -> Result<Profile, ProfileError> {
        let folder = profile_folder(self.root(), name)?;
        let lock = PathLock::acquire(&folder.join(name))?;
        Ok(Profile {
            name: name.to_owned(),
            folder,
            _lock: lock,
        })
    }

    /// The generations of the profile `name`, lowest first; none if there is no such profile.
    ///
    /// # Errors
    /// The links cannot be read, or lead elsewhere than to store objects.
    pub fn generations(&self, name: &str) -> Result<Vec<Generation>, ProfileError> {
        generations(self.root(), name)
    }
}

/// Where the links of the profile `name` are in the store at `root`.
fn profile_folder(root: &Path, name: &str) -> Result<PathBuf, ProfileError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.bytes().all(plain) && !name.starts_with('.') && !name.is_empty() {
        Ok(root.join("nix/var/nix/profiles"))
    } else {
        Err(ProfileError::Name(name.to_owned()))
    }
}

/// The link of generation `number` of the profile `name` in the store at `root`, there or not.
///
/// # Errors
/// No profile can have this name.
pub fn generation_link(root: &Path, name: &str, number: u64) -> Result<PathBuf, ProfileError> {
    Ok(profile_folder(root, name)?.join(format!("{name}-{number}-link")))
}

/// When that link was made, in seconds since 1970.
///
/// # Errors
/// There is no such link.
pub fn generation_time(root: &Path, name: &str, number: u64) -> Result<i64, ProfileError> {
    let link = generation_link(root, name, number)?;
    let metadata = fs::symlink_metadata(&link).map_err(io_error("read", &link))?;
    Ok(metadata.mtime())
}

/// A profile that nobody else changes.
struct Profile {
    name: String,
    folder: PathBuf,
    _lock: PathLock,
}

impl Profile {
    fn link(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}-{number}-link", self.name))
    }

    /// The number that the profile points to, whether there is such a generation or not.
    fn current(&self) -> Result<Option<u64>, IoError> {
        let target = read_link(&self.folder.join(&self.name))?;
        Ok(target.and_then(|target| number(&self.name, target.file_name()?.to_str()?)))
    }

    /// Makes the link of a new generation, and tells its number.
    fn add(&self, generations: &[Generation], path: &StorePath) -> Result<u64, ProfileError> {
        self.remove_unfinished()?;
        let highest = generations.last().map(|last| last.number);
        let taken = highest.max(self.current()?).unwrap_or(0);
        let number = taken.saturating_add(1);
        replace_link(&path.to_path_buf(), &self.link(number))?;
        Ok(number)
    }

    fn point_to(&self, number: u64) -> Result<(), ProfileError> {
        let target = format!("{}-{number}-link", self.name);
        Ok(replace_link(
            target.as_ref(),
            &self.folder.join(&self.name),
        )?)
    }

    /// Removes links that were never given their names, because their makers were killed: each
    /// would keep an object for ever. Nobody else makes such now, as this process has the lock.
    fn remove_unfinished(&self) -> Result<(), IoError> {
        for entry in fs::read_dir(&self.folder).map_err(io_error("list", &self.folder))? {
            let entry = entry.map_err(io_error("list", &self.folder))?;
            let file_name = entry.file_name();
            let unfinished = file_name
                .to_str()
                .and_then(|text| text.split_once(".tmp-"))
                .is_some_and(|(link, _)| link == self.name || number(&self.name, link).is_some());
            if unfinished {
                tree::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// The generations of the profile `name` in the store at `root`, lowest first; none if there is no
/// such profile. Who may not open the store can still read them.
///
/// # Errors
/// The links cannot be read, or lead elsewhere than to store objects.
pub fn generations(root: &Path, name: &str) -> Result<Vec<Generation>, ProfileError> {
    let folder = profile_folder(root, name)?;
    let current = read_link(&folder.join(name))?;
    let mut generations = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
        let file_name = entry.map_err(io_error("list", &folder))?.file_name();
        let Some(number) = file_name.to_str().and_then(|text| number(name, text)) else {
            continue;
        };
        let link = folder.join(&file_name);
        // Another process may have removed it since.
        let Some(target) = read_link(&link)? else {
            continue;
        };
        let path = target.to_string_lossy().parse();
        let path = path.map_err(|source| ProfileError::Link { path: link, source })?;
        let current = current
            .as_ref()
            .is_some_and(|current| current.file_name() == Some(&file_name));
        generations.push(Generation {
            number,
            path,
            current,
        });
    }
    generations.sort();
    Ok(generations)
}

/// Where `link` leads; `None` if there is none.
fn read_link(link: &Path) -> Result<Option<PathBuf>, IoError> {
    match fs::read_link(link) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(io_error("read link", link)),
    }
}

fn missing(name: &str, number: u64, generations: &[Generation]) -> ProfileError {
    let known: Vec<_> = generations
        .iter()
        .map(|generation| generation.number.to_string())
        .collect();
    ProfileError::Missing {
        name: name.to_owned(),
        number,
        known: if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        },
    }
}

/// The number of a link called `<profile>-<N>-link`.
fn number(profile: &str, link: &str) -> Option<u64> {
    link.strip_prefix(profile)?
        .strip_prefix('-')?
        .strip_suffix("-link")?
        .parse()
        .ok()
}
