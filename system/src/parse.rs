//! Reading the JSON documents, with errors that name the field.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version field of a document: the number 1, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct V1;

impl TryFrom<u32> for V1 {
    type Error = String;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 {
            Ok(Self)
        } else {
            Err(format!(
                "version {version} is not supported; this program reads version 1"
            ))
        }
    }
}

impl From<V1> for u32 {
    fn from(_: V1) -> Self {
        1
    }
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The text is no JSON, or a field is unknown, missing or of the wrong type.
    #[error("cannot read {document}: at '{field}': {source}")]
    Field {
        /// `system.json`, `boot.json` or `stage-1.json`.
        document: &'static str,
        /// Path of the field, such as `services[2].process.argv`.
        field: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Each field is well-formed, but they contradict each other.
    #[error("cannot use {document}: {problem}")]
    Contradiction {
        /// The document.
        document: &'static str,
        /// What contradicts what, and the way out.
        problem: String,
    },
}

/// Reads `text` as a `T`; `document` is its name in errors.
pub(crate) fn parse<T: DeserializeOwned>(
    document: &'static str,
    text: &str,
) -> Result<T, ParseError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| ParseError::Field {
        document,
        field: error.path().to_string(),
        source: error.into_inner(),
    })?;
    json.end().map_err(|source| ParseError::Field {
        document,
        field: ".".to_owned(),
        source,
    })?;
    Ok(value)
}
