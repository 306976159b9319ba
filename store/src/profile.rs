//! Profiles: `ROOT/nix/var/nix/profiles/<name>` points to the current of its generations
//! `<name>-<N>-link`, each of which points to a store object.
//!
//! Everything below `profiles` is a garbage collection root. Numbers grow and are never used
//! again as long as a higher one exists.

use std::fs::{self, File};
use std::path::PathBuf;

use cairn_store_path::{ParseStorePathError, StorePath};

use crate::error::{StoreError, io_error};
use crate::roots::replace_link;
use crate::store::Store;

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
}

impl From<crate::error::IoError> for ProfileError {
    fn from(error: crate::error::IoError) -> Self {
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
        let folder = self.profile_folder(name)?;
        self.info(path)?;
        let lock = folder.join(format!("{name}.lock"));
        let file = File::create(&lock).map_err(io_error("create lock", &lock))?;
        file.lock().map_err(io_error("lock", &lock))?;
        let generations = self.generations(name)?;
        let current = generations.iter().find(|generation| generation.current);
        if let Some(same) = current.filter(|generation| generation.path == *path) {
            return Ok(same.clone());
        }
        let number = generations
            .last()
            .map_or(1, |last| last.number.saturating_add(1));
        let link = format!("{name}-{number}-link");
        replace_link(&path.to_path_buf(), &folder.join(&link))?;
        replace_link(link.as_ref(), &folder.join(name))?;
        Ok(Generation {
            number,
            path: path.clone(),
            current: true,
        })
    }

    /// The generations of the profile `name`, lowest first; none if there is no such profile.
    ///
    /// # Errors
    /// The links cannot be read, or lead elsewhere than to store objects.
    pub fn generations(&self, name: &str) -> Result<Vec<Generation>, ProfileError> {
        let folder = self.profile_folder(name)?;
        let profile = folder.join(name);
        let current = match fs::read_link(&profile) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            other => Some(other.map_err(io_error("read link", &profile))?),
        };
        let mut generations = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let file_name = entry.map_err(io_error("list", &folder))?.file_name();
            let Some(number) = file_name.to_str().and_then(|text| number(name, text)) else {
                continue;
            };
            let link = folder.join(&file_name);
            let target = fs::read_link(&link).map_err(io_error("read link", &link))?;
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

    fn profile_folder(&self, name: &str) -> Result<PathBuf, ProfileError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.bytes().all(plain) && !name.starts_with('.') && !name.is_empty() {
            Ok(self.state_dir().join("profiles"))
        } else {
            Err(ProfileError::Name(name.to_owned()))
        }
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
