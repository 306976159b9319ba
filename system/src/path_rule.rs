//! Paths that activation makes, changes or removes: `systemd.tmpfiles.rules` of NixOS, read.
//!
//! Source: tmpfiles.d(5) for what each kind means.

use serde::{Deserialize, Serialize};

use crate::name::UserName;

/// One rule. The rules of a description are followed in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathRule {
    /// What is done.
    pub kind: PathKind,
    /// Absolute. For kinds that work on what is there, a pattern of `*`, `?` and `[…]`.
    pub path: String,
    /// Permission bits, written in octal; the kind's own if absent.
    #[serde(default, with = "crate::octal::option")]
    pub mode: Option<u32>,
    /// Owner; root for what is made, as it is for what is there.
    #[serde(default)]
    pub user: Option<UserName>,
    /// Group; root for what is made, as it is for what is there.
    #[serde(default)]
    pub group: Option<UserName>,
    /// Content of a file, target of a link.
    #[serde(default)]
    pub argument: Option<String>,
    /// A file or link that is there with another content is replaced.
    #[serde(default)]
    pub replace: bool,
    /// Only the first activation after the kernel's start follows it.
    #[serde(default)]
    pub at_boot_only: bool,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// `d`: a directory with these rights, made with its parents.
    Directory,
    /// `D`: the same, and what is in it is removed at boot.
    EmptiedDirectory,
    /// `f`, `F`: a file.
    File,
    /// `w`: `argument` is written into files that are there.
    Write,
    /// `L`: a link to `argument`.
    Link,
    /// `r`: a file, link or empty directory is removed.
    Remove,
    /// `R`: a whole tree is removed.
    RemoveTree,
    /// `z`, `e`: the rights of what is there.
    Rights,
    /// `Z`: the rights of what is there and of all in it.
    RightsOfTree,
}
