//! A factory reset: what asks stage 1 for one, and what outlives it.

use serde::{Deserialize, Serialize};

use crate::file_system::MountPoint;

/// The kernel parameter that asks for one, at this boot.
pub const PARAMETER: &str = "cairn.factory-reset";

/// The file that asks for one, at the next boot, absolute. It is also there while one is under way, so that
/// the boot after a power cut finishes it.
pub const REQUEST: &str = "/nix/var/cairn/factory-reset";

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
