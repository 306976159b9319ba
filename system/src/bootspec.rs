//! `boot.json`: what a boot loader needs to know of one generation.
//!
//! Source: NixOS RFC 125, bootspec v1. Unknown keys are ignored, as it demands. The extension
//! `org.cairn.menu.v1` has what a boot menu needs beside, so that a machine writes its menu without
//! evaluating anything; `org.cairn.factory-reset.v1` what a factory reset would do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::factory_reset::FactoryResetV1;
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
    /// How the menu behaves that has this generation as its default.
    #[serde(
        rename = "org.cairn.menu.v1",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub menu: Option<MenuV1>,
    /// That and how its stage 1 does a factory reset, if it does.
    #[serde(
        rename = "org.cairn.factory-reset.v1",
        skip_serializing_if = "Option::is_none",
        default
    )]
    pub factory_reset: Option<FactoryResetV1>,
}

/// The part `org.cairn.menu.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct MenuV1 {
    /// What titles begin with.
    pub name: String,
    /// The version of the generation's kernel, `6.1.0-42-amd64`.
    pub kernel_release: String,
    /// `boot.loader.timeout`, in seconds; absent to wait for ever.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout: Option<u32>,
    /// Whether the first serial port shows the menu too.
    #[serde(default)]
    pub serial: bool,
    /// `boot.loader.grub.default`: `0` is the default generation, `saved` what was chosen last,
    /// anything else an entry's place in the menu, its id or title.
    pub default: String,
    /// `boot.loader.grub.extraConfig`.
    #[serde(default)]
    pub extra_config: String,
    /// `boot.loader.grub.extraEntries`.
    #[serde(default)]
    pub extra_entries: String,
    /// `boot.loader.grub.extraEntriesBeforeNixOS`.
    #[serde(default)]
    pub extra_entries_first: bool,
    /// `boot.loader.grub.configurationLimit`: at most so many generations are listed.
    pub configuration_limit: u32,
    /// `boot.loader.grub.debugEntry`: whether an entry says more and opens a shell on failure.
    #[serde(default)]
    pub debug_entry: bool,
    /// `boot.factoryReset.menuEntry`: whether an entry asks for a factory reset.
    #[serde(default)]
    pub factory_reset_entry: bool,
    /// `boot.loader.grub.users`: who may do more than boot the default, by name.
    #[serde(default)]
    pub users: BTreeMap<String, MenuUser>,
    /// `boot.loader.grub.memtest86`, if it is enabled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memtest: Option<Memtest>,
    /// `boot.loader.grub.mirroredBoots`: further folders that get what `/boot` gets.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// `boot.loader.trial`.
    pub trial: TrialV1,
}

/// Somebody who may edit entries, use GRUB's shell and boot any entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MenuUser {
    /// As `grub-mkpasswd-pbkdf2` writes it.
    HashedPassword(String),
    /// In clear.
    Password(String),
}

/// The memory test, for each firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memtest {
    /// Absolute path in the store of the program that a BIOS starts, as a kernel.
    pub bios: String,
    /// Absolute path in the store of the UEFI application.
    pub uefi: String,
    /// What it is told on its command line.
    #[serde(default)]
    pub params: Vec<String>,
}

/// How a new default entry is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialV1 {
    /// How often it is booted before the last known good entry is; 0 tries nothing.
    pub tries: u8,
    /// How many seconds it has to show that it is good.
    pub timeout: u32,
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
