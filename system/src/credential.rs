//! Secrets that services are given as files.

use serde::{Deserialize, Serialize};

use crate::name::CredentialName;

/// One credential: a file in the directory that `CREDENTIALS_DIRECTORY` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// The file's name.
    pub name: CredentialName,
    /// What is in it.
    pub source: CredentialSource,
}

/// Where the content of a credential comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialSource {
    /// A file, read by root at each start; of a directory, every file, by both names with `_` between
    /// them.
    File(String),
    /// This.
    Text(String),
}
