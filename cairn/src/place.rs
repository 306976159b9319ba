//! Where things are kept on the machine that builds.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders of one user, or others named on the command line.
#[derive(Debug, Clone)]
pub struct Place {
    /// Root of the store: objects lie in `<root>/nix/store`.
    pub store: PathBuf,
    /// Downloads and finished images: all of it can be made again.
    pub cache: PathBuf,
}

impl Place {
    /// `store`, or `cairn` in the user's data directory; the cache is `cairn` in the user's cache
    /// directory (XDG Base Directory Specification). For the superuser of a running Cairn system they
    /// are the system's own: `/`, and `/var/cache/cairn`.
    ///
    /// # Errors
    /// Neither the folder nor `HOME` is given.
    pub fn new(store: Option<&Path>, cache: Option<&Path>) -> Result<Self> {
        let own = is_system() && nix::unistd::geteuid().is_root();
        let folder =
            |given: Option<&Path>, system: &str, variable: &str, fallback: &str| match given {
                Some(folder) => std::path::absolute(folder)
                    .with_context(|| format!("cannot find the folder '{}'", folder.display())),
                None if own => Ok(PathBuf::from(system)),
                None => Ok(user_folder(variable, fallback)?.join("cairn")),
            };
        Ok(Self {
            store: folder(store, "/", "XDG_DATA_HOME", ".local/share")?,
            cache: folder(cache, "/var/cache/cairn", "XDG_CACHE_HOME", ".cache")?,
        })
    }
}

/// Whether this machine runs a Cairn system.
#[must_use]
pub fn is_system() -> bool {
    Path::new("/run/current-system/system.json").exists()
}

fn user_folder(variable: &str, fallback: &str) -> Result<PathBuf> {
    let absolute =
        |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    if let Some(folder) = env::var_os(variable).and_then(absolute) {
        return Ok(folder);
    }
    let home = env::var_os("HOME")
        .and_then(absolute)
        .context("HOME is not set; name the folders with --store and --cache")?;
    Ok(home.join(fallback))
}
