//! What a service of kind `path` waits for in the file system.
//!
//! Source: `systemd.path(5)`, whose options mean the same here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::ServiceName;
use crate::socket::FilePath;

/// Paths that are watched, and what is started for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watch {
    /// Started when one of them is as it is waited for.
    pub service: ServiceName,
    /// What is waited for.
    pub paths: Vec<WatchedPath>,
    /// Directories that are watched are made first.
    #[serde(default)]
    pub make_directories: bool,
    /// Permission bits of those, written in octal.
    #[serde(with = "crate::octal", default = "Watch::default_directory_mode")]
    pub directory_mode: u32,
}

impl Watch {
    /// Everybody may look.
    #[must_use]
    pub fn default_directory_mode() -> u32 {
        0o755
    }
}

/// One thing that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchedPath {
    /// It is there; the service is started again and again while it is.
    Exists(FilePath),
    /// The same for a pattern of `*`, `?` and `[…]` in the last part or parts.
    ExistsGlob(FilePath),
    /// It has been made or removed, or a file that was open for writing has been closed.
    Changed(FilePath),
    /// The same, and each write.
    Modified(FilePath),
    /// It has something in it; as with `exists`, again and again.
    NotEmpty(FilePath),
}

impl WatchedPath {
    /// The path, or pattern.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Exists(path)
            | Self::ExistsGlob(path)
            | Self::Changed(path)
            | Self::Modified(path)
            | Self::NotEmpty(path) => path.as_str(),
        }
    }
}

impl fmt::Display for WatchedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Exists(_) | Self::ExistsGlob(_) => "exists",
            Self::Changed(_) => "is changed",
            Self::Modified(_) => "is written to",
            Self::NotEmpty(_) => "has something in it",
        };
        write!(f, "{} {what}", self.path())
    }
}
