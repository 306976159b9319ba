//! `boot.json`: what a boot loader needs to know of one generation.
//!
//! Source: NixOS RFC 125, bootspec v1. Unknown keys are ignored, as it demands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::parse::{ParseError, parse};

/// A whole `boot.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootspec {
    /// The generation itself.
    #[serde(rename = "org.nixos.bootspec.v1")]
    pub v1: BootspecV1,
    /// Name of each specialisation, and its own document.
    #[serde(rename = "org.nixos.specialisation.v1", default)]
    pub specialisations: BTreeMap<String, Bootspec>,
}

/// The part `org.nixos.bootspec.v1`. All paths are absolute and in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootspecV1 {
    /// What the kernel parameter `init=` names: `<toplevel>/init`.
    pub init: String,
    /// The initrd, if the system boots with one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub initrd: Option<String>,
    /// A program that appends secrets to a copy of the initrd.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub initrd_secrets: Option<String>,
    /// The kernel image.
    pub kernel: String,
    /// Kernel parameters, without `init=`.
    pub kernel_params: Vec<String>,
    /// What the boot menu shows.
    pub label: String,
    /// The platform, `x86_64-linux`.
    pub system: String,
    /// The generation's store path.
    pub toplevel: String,
}

impl Bootspec {
    /// Reads the text of a `boot.json`.
    ///
    /// # Errors
    /// It is no JSON, or a field is missing or of the wrong type; the message names the field.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse("boot.json", text)
    }
}
