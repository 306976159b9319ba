//! Where something is in a configuration: `config.services."a.b".enable`.

use std::fmt;
use std::str::FromStr;

/// Names, from the outside to the inside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct AttributePath(Vec<String>);

/// A text that is no attribute path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no attribute path: {why}")]
pub struct ParseAttributePathError {
    text: String,
    why: &'static str,
}

impl AttributePath {
    /// The whole system.
    #[must_use]
    pub fn system() -> Self {
        Self(vec!["system".to_owned()])
    }

    /// Whether it is the whole system.
    #[must_use]
    pub fn is_system(&self) -> bool {
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        matches!(
            names.as_slice(),
            ["system"] | ["config", "system", "build", "toplevel"]
        )
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for AttributePath {
    type Err = ParseAttributePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |why| ParseAttributePathError {
            text: text.to_owned(),
            why,
        };
        let mut names = vec![String::new()];
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                '.' if !quoted => names.push(String::new()),
                c => {
                    if let Some(name) = names.last_mut() {
                        name.push(c);
                    }
                }
            }
        }
        if quoted {
            return Err(error("a quote is not closed"));
        }
        if names.iter().any(String::is_empty) {
            return Err(error("a name is empty"));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            if name.contains(['.', ' ']) {
                write!(f, "{dot}\"{name}\"")?;
            } else {
                write!(f, "{dot}{name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_quotes() {
        let round = |text: &str| text.parse::<AttributePath>().map(|path| path.to_string());
        assert_eq!(round("a.b").unwrap(), "a.b");
        assert_eq!(round("a.\"b.c\".d").unwrap(), "a.\"b.c\".d");
        for text in ["", "a.", ".a", "a..b", "a.\"b"] {
            assert!(round(text).is_err(), "{text}");
        }
        assert!(
            "config.system.build.toplevel"
                .parse::<AttributePath>()
                .unwrap()
                .is_system()
        );
    }
}
