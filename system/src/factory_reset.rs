//! A factory reset: what asks stage 1 for one, and what outlives it.

use serde::{Deserialize, Serialize};

use crate::file_system::MountPoint;

/// The kernel parameter that asks for one, at this boot.
pub const PARAMETER: &str = "cairn.factory-reset";

/// The file that asks for one, at the next boot, absolute. It is also there while one is under way, so that
/// the boot after a power cut finishes it.
pub const REQUEST: &str = "/nix/var/cairn/factory-reset";

/// What [`REQUEST`] says until stage 1 obeys it. It obeys one that says anything, or nothing.
pub const ASKED: &[u8] = b"asked\n";

/// What [`REQUEST`] says once something may have been removed.
pub const BEGUN: &[u8] = b"begun\n";

/// What outlives every one: the store with its generations, and what boots them.
pub const ALWAYS_KEPT: [&str; 2] = ["/nix", "/boot"];

/// That it may be done, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FactoryReset {
    /// Folders and files that outlive it, besides [`ALWAYS_KEPT`].
    #[serde(default)]
    pub keep: Vec<MountPoint>,
}

/// The part `org.cairn.factory-reset.v1` of `boot.json`: the system's stage 1 does one when it is asked for.
/// This is what people are told before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactoryResetV1 {
    /// Folders and files that outlive it, besides [`ALWAYS_KEPT`].
    pub keep: Vec<MountPoint>,
    /// The file systems whose content it removes, by where they are mounted.
    pub file_systems: Vec<MountPoint>,
}

impl FactoryResetV1 {
    /// All that outlives it.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        let keep = self.keep.iter().map(MountPoint::as_str);
        ALWAYS_KEPT.into_iter().chain(keep)
    }
}
