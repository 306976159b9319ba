//! `stage-1.json`: what the initrd's `/init` must do before it hands over.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::factory_reset::FactoryReset;
use crate::file_system::FileSystem;
use crate::parse::{ParseError, V1, parse};
use crate::storage::Storage;

/// The initrd's own description, at `/etc/stage-1.json` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stage1 {
    /// Version of this document.
    pub version: V1,
    /// The early mounts, in the order in which they are mounted: a parent before its children.
    pub file_systems: Vec<FileSystem>,
    /// What is opened before the mounts.
    #[serde(default)]
    pub storage: Storage,
    /// A factory reset may be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factory_reset: Option<FactoryReset>,
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

fn refused(problem: &str) -> Result<Stage1, ParseError> {
    Err(ParseError::Contradiction {
        document: "stage-1.json",
        problem: problem.to_owned(),
    })
}

impl Stage1 {
    /// Reads the text of a `stage-1.json`.
    ///
    /// # Errors
    /// It is no JSON, a field is unknown, missing or of the wrong type, `/` is not among the
    /// mounts or not the first, or two devices are to be opened under one name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let stage1: Self = parse("stage-1.json", text)?;
        let first = stage1.file_systems.first();
        if first.is_none_or(|first| first.mount_point.as_str() != "/") {
            return refused("the first file system is not '/'; define fileSystems.\"/\"");
        }
        let mut names = BTreeSet::new();
        for device in &stage1.storage.encrypted {
            if !names.insert(&device.name) {
                return refused(&format!(
                    "two encrypted devices are called '{}'; check boot.initrd.luks.devices.<name>.name",
                    device.name
                ));
            }
        }
        Ok(stage1)
    }
}
