//! What a caller asks the archive for: package names, what the system replaces, the architecture.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::version::{ParseVersionError, Version};

/// A set of packages to resolve. Its order does not matter: it is kept sorted, without repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Debian's name of the architecture, such as `amd64`; packages for `all` are taken too.
    pub architecture: String,
    /// The packages wanted by name.
    pub wanted: BTreeSet<Wanted>,
    /// Packages that something else stands in for (`init`, `dpkg`, `debconf`): they are never
    /// chosen, and every dependency on them, or on what they provide, counts as satisfied.
    pub excluded: BTreeSet<String>,
    /// Whether all `Essential: yes` packages are wanted too. Other packages use them without
    /// saying so; without them, only what is named and its declared dependencies is chosen.
    pub essential: bool,
}

impl Request {
    /// A request for `wanted` on amd64, with the essential packages and no exclusions.
    #[must_use]
    pub fn new(wanted: impl IntoIterator<Item = Wanted>) -> Self {
        Self {
            architecture: "amd64".to_owned(),
            wanted: wanted.into_iter().collect(),
            excluded: BTreeSet::new(),
            essential: true,
        }
    }

    /// As [`Request::new`], from texts such as `bash` or `bash=5.2.15-2+b9`.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn parse<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Result<Self, ParseWantedError> {
        let wanted = wanted
            .into_iter()
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(wanted))
    }

    /// The same request with more exclusions.
    #[must_use]
    pub fn excluding<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.excluded.extend(names.into_iter().map(str::to_owned));
        self
    }
}

/// A package name, if need be with the one version that will do; written `name` or `name=version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    name: String,
    version: Option<Version>,
}

/// A text that names no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseWantedError {
    /// The name breaks Debian's rules for names.
    #[error(
        "cannot read {0:?} as a package: a name has at least two of the characters \
         a-z 0-9 + - . and begins with a letter or digit"
    )]
    Name(String),
    /// The part after `=` is no version.
    #[error("cannot read {text:?} as a package")]
    Version {
        /// The whole text.
        text: String,
        /// What is wrong with the version.
        #[source]
        source: ParseVersionError,
    },
}

impl Wanted {
    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The only version that will do, if one was named.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }
}

impl FromStr for Wanted {
    type Err = ParseWantedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !is_package_name(name) {
            return Err(ParseWantedError::Name(name.to_owned()));
        }
        let version =
            version
                .map(str::parse)
                .transpose()
                .map_err(|source| ParseWantedError::Version {
                    text: text.to_owned(),
                    source,
                })?;
        Ok(Self {
            name: name.to_owned(),
            version,
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, "={version}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Wanted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether `name` follows Debian Policy 5.6.7: lower-case letters, digits, `+`, `-`, `.`; at least
/// two characters; the first a letter or digit. Such a name is safe in a file name.
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    let rest =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    name.len() >= 2
        && name.bytes().all(rest)
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions() {
        let round = |text: &str| text.parse::<Wanted>().map(|wanted| wanted.to_string());
        assert_eq!(round("bash").unwrap(), "bash");
        assert_eq!(round("bash=5.2.15-2+b9").unwrap(), "bash=5.2.15-2+b9");
        for text in [
            "", "a", "Bash", "../x", "a b", "+a", "bash=", "bash=1 2", "bash=a:1",
        ] {
            assert!(round(text).is_err(), "{text}");
        }
    }
}
