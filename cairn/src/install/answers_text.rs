//! The file of an unattended installation: TOML.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::answers::Answers;

/// Why there are no answers.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// There is no such file.
    #[error("cannot read the answers '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML.
    #[error("cannot read the answers: {}", .0.to_string().trim_end())]
    Syntax(Box<toml::de::Error>),
    /// A field is unknown, missing or of the wrong kind.
    #[error("cannot use the answers: at '{field}': {}", source.message())]
    Field {
        /// Its path, such as `users[1].name`.
        field: String,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// Each field is well-formed, but they contradict each other.
    #[error("cannot use the answers: {0}")]
    Contradiction(String),
}

impl Answers {
    /// The answers in a file.
    ///
    /// # Errors
    /// See [`AnswersError`].
    pub fn read(path: &Path) -> Result<Self, AnswersError> {
        let text = fs::read_to_string(path).map_err(|source| AnswersError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// The answers that `text` is.
    ///
    /// # Errors
    /// See [`AnswersError`].
    pub fn parse(text: &str) -> Result<Self, AnswersError> {
        let document = toml::Deserializer::parse(text)
            .map_err(|error| AnswersError::Syntax(Box::new(error)))?;
        let answers: Self =
            serde_path_to_error::deserialize(document).map_err(|error| AnswersError::Field {
                field: error.path().to_string(),
                source: Box::new(error.into_inner()),
            })?;
        answers.check().map_err(AnswersError::Contradiction)?;
        Ok(answers)
    }

    /// Whether the answers go together.
    fn check(&self) -> Result<(), String> {
        let mut names: Vec<&str> = self.users.iter().map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [one, other] = pair
                && one == other
            {
                return Err(format!("two users are called '{one}'"));
            }
        }
        if names.contains(&"root") {
            return Err("root is no user of that list; write [root]".to_owned());
        }
        if self.configuration.is_none() {
            return Ok(());
        }
        let generated = [
            ("host-name", self.host_name.is_some()),
            ("time-zone", self.time_zone.is_some()),
            ("locale", self.locale.is_some()),
            ("keyboard", self.keyboard.is_some()),
            ("extra", self.extra.is_some()),
            ("users", !self.users.is_empty()),
            ("root.ssh-keys", !self.root.ssh_keys.is_empty()),
        ];
        match generated.iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(format!(
                "'{field}' says what is in a configuration that is written, and 'configuration' names \
                 one that is ready; leave one of them out"
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let text = "disk = '/dev/sda'\nlayout.encryption.passphrase = 'open sesame'\n\
                    root.hashed-password = '$6$salt$0123456789abcdef'";
        let shown = format!("{:?}", Answers::parse(text).unwrap());
        assert!(
            !shown.contains("sesame") && !shown.contains("salt"),
            "{shown}"
        );
    }
}
