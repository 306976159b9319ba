//! `stage-1.json`: what the initrd's `/init` must do before it hands over.

use serde::{Deserialize, Serialize};

use crate::file_system::FileSystem;
use crate::parse::{ParseError, V1, parse};

/// The initrd's own description, at `/etc/stage-1.json` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage1 {
    /// Version of this document.
    pub version: V1,
    /// The early mounts, in the order in which they are mounted: a parent before its children.
    pub file_systems: Vec<FileSystem>,
    /// Modules loaded whatever hardware is found, beside those that modaliases ask for.
    #[serde(default)]
    pub kernel_modules: Vec<String>,
    /// A failure may open a root shell without a password, on top of `boot.shell_on_fail`.
    #[serde(default)]
    pub emergency_access: bool,
    /// Seconds to wait for a device before the report.
    pub device_timeout_seconds: u32,
    /// Seconds between a report that ends without a shell and the reboot.
    pub reboot_delay_seconds: u32,
}

impl Stage1 {
    /// Reads the text of a `stage-1.json`.
    ///
    /// # Errors
    /// It is no JSON, a field is unknown, missing or of the wrong type, or `/` is not among the
    /// mounts or not the first.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let stage1: Self = parse("stage-1.json", text)?;
        match stage1.file_systems.first() {
            Some(first) if first.mount_point.as_str() == "/" => Ok(stage1),
            _ => Err(ParseError::Contradiction {
                document: "stage-1.json",
                problem: "the first file system is not '/'; define fileSystems.\"/\"".to_owned(),
            }),
        }
    }
}
