//! The reference as data: what `modules/reference.nix` evaluates to.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// All options that a user may set, in order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference {
    /// The options.
    pub entries: Vec<Entry>,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The name as one writes it: `users.users.<name>.uid`.
    pub name: String,
    /// The parts of the name, without quotes.
    pub loc: Vec<String>,
    /// What may be its value, in words.
    #[serde(rename = "type")]
    pub value_type: String,
    /// What it is for: Markdown, possibly empty.
    pub description: String,
    /// What counts if nobody sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Text>,
    /// A value that it could have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Text>,
    /// Where it is declared.
    pub declared_by: Vec<Declaration>,
    /// Whether it can be set once only, which its module has done.
    pub read_only: bool,
}

/// A default or an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Nix, or Markdown.
    pub text: String,
    /// Whether it is Markdown: words about a value instead of the value.
    pub markdown: bool,
}

/// Where an option is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// The file, relative to Cairn's modules if it is one of them.
    pub file: String,
    /// The line, unless the declaration was computed.
    pub line: Option<u32>,
}

impl Reference {
    /// Reads what `modules/reference.nix` gave, as JSON.
    ///
    /// # Errors
    /// If it is not of that form.
    pub fn parse(json: &str) -> Result<Self, ReferenceError> {
        serde_json::from_str(json).map_err(ReferenceError)
    }

    /// The option that `name` means in the description of `entry`: one of that name, or one beside
    /// the entry or above it.
    #[must_use]
    pub fn resolve(&self, entry: &Entry, name: &str) -> Option<&Entry> {
        let mut around = Some(entry.name.as_str());
        let mut candidate = name.to_owned();
        loop {
            let found = self.entries.iter().find(|entry| entry.name == candidate);
            if found.is_some() {
                return found;
            }
            around = around?.rsplit_once('.').map(|(parent, _)| parent);
            candidate = format!("{}.{name}", around?);
        }
    }

    /// The reference as JSON, as [`Reference::parse`] reads it.
    ///
    /// # Errors
    /// Never, for what was parsed.
    pub fn to_json(&self) -> Result<String, ReferenceError> {
        serde_json::to_string_pretty(self).map_err(ReferenceError)
    }
}

impl Entry {
    /// The options that the description names.
    #[must_use]
    pub fn mentioned(&self) -> Vec<String> {
        super::markdown::options(&self.description)
    }

    /// The first sentence of the description, as plain text.
    #[must_use]
    pub fn summary(&self) -> String {
        let plain = super::markdown::plain(self.description.split("\n\n").next().unwrap_or(""));
        match plain.find(". ") {
            Some(end) => plain.get(..=end).unwrap_or(&plain).to_owned(),
            None => plain,
        }
    }
}

impl Declaration {
    /// `FILE:LINE`, or `FILE`.
    #[must_use]
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }
}

/// The option reference is not of the form that is expected.
#[derive(Debug, Error)]
#[error("cannot read the option reference that the modules evaluate to: {0}")]
pub struct ReferenceError(#[source] serde_json::Error);

#[cfg(test)]
pub mod tests {
    use expect_test::expect;

    use super::*;

    /// A few options of every form.
    pub fn sample() -> Reference {
        Reference::parse(
            r#"[
              { "name": "services.openssh.enable", "loc": ["services", "openssh", "enable"], "type": "boolean",
                "description": "Whether to enable the SSH server.", "default": { "text": "false", "markdown": false },
                "example": { "text": "true", "markdown": false }, "readOnly": false,
                "declaredBy": [{ "file": "services/openssh.nix", "line": 8 }] },
              { "name": "services.openssh.ports", "loc": ["services", "openssh", "ports"],
                "type": "list of 16 bit unsigned integer",
                "description": "Ports on which the server listens. See {manpage}`sshd_config(5)`.\n\n- low ones need no more than high ones\n- the firewall opens them",
                "default": { "text": "[ 22 ]", "markdown": false },
                "example": { "text": "[\n  22\n  2222\n]", "markdown": false }, "readOnly": false,
                "declaredBy": [{ "file": "services/openssh.nix", "line": 12 }] },
              { "name": "users.users.<name>.uid", "loc": ["users", "users", "<name>", "uid"],
                "type": "null or signed integer",
                "description": "The number of the account; unprivileged ones begin at `1000`. If it is `null`, activation picks one & keeps it in {file}`/var/lib/nixos`; see {option}`services.openssh.enable`.\n\n::: {.note}\nNever <reused>.\n:::",
                "default": { "text": "the *next* free one", "markdown": true }, "readOnly": true,
                "declaredBy": [{ "file": "users/users.nix", "line": null }] }
            ]"#,
        )
        .unwrap()
    }

    #[test]
    fn what_is_read_is_written() {
        let reference = sample();
        let json = reference.to_json().unwrap();
        assert_eq!(Reference::parse(&json).unwrap(), reference);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let error = Reference::parse("[{}]").unwrap_err();
        expect!["cannot read the option reference that the modules evaluate to: missing field `name` at line 1 column 3"]
            .assert_eq(&error.to_string());
    }
}
