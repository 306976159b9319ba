//! Names that end up in paths, database files and on the kernel's interfaces.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a {kind}; {rule}")]
pub struct NameError {
    name: String,
    kind: &'static str,
    rule: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(&name) {
                    Ok(Self(name))
                } else {
                    Err(NameError { name, kind: $kind, rule: $rule })
                }
            }
        }

        impl TryFrom<&str> for $type {
            type Error = NameError;

            fn try_from(name: &str) -> Result<Self, NameError> {
                Self::try_from(name.to_owned())
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// The name of a service: a cgroup's, a log's and a control command's.
    ServiceName,
    "service name",
    "1 to 64 of a-z A-Z 0-9 _ - . @ : are allowed, a letter or digit first",
    |name| within(name, 64, b"_-.@:") && starts_alphanumeric(name)
);

name_type!(
    /// The name of a device of the kernel's device mapper, in `/dev/mapper`.
    MapperName,
    "name of the device mapper",
    "1 to 127 of a-z A-Z 0-9 _ - . + are allowed, a letter or digit first",
    |name| within(name, 127, b"_-.+") && starts_alphanumeric(name)
);

name_type!(
    /// The name of a user or group, as shadow's tools take it.
    UserName,
    "user or group name",
    "1 to 32 of a-z A-Z 0-9 _ - . are allowed, a letter or _ first",
    |name| {
        within(name, 32, b"_-.")
            && name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
    }
);

name_type!(
    /// A host name of one label (RFC 1123).
    HostName,
    "host name",
    "1 to 63 of a-z A-Z 0-9 - are allowed, with no - first or last",
    |name| within(name, 63, b"-") && !name.starts_with('-') && !name.ends_with('-')
);

name_type!(
    /// The name of a credential: a file's.
    CredentialName,
    "credential's name",
    "1 to 255 of a-z A-Z 0-9 _ - . are allowed, a letter or digit first",
    |name| within(name, 255, b"_-.") && starts_alphanumeric(name)
);

name_type!(
    /// The path of a device: a node, or a link to one, below `/dev`, or what the kernel shows of it below `/sys`.
    DevicePath,
    "path of a device",
    "it is below /dev or /sys, and 1024 bytes at most without empty parts, . and ..",
    |path| {
        let parts = path.strip_prefix("/dev/").or_else(|| path.strip_prefix("/sys/"));
        path.len() <= 1024
            && !path.contains(char::is_control)
            && parts.is_some_and(|parts| parts.split('/').all(|part| !matches!(part, "" | "." | "..")))
    }
);

fn within(name: &str, longest: usize, extra: &[u8]) -> bool {
    (1..=longest).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
}

fn starts_alphanumeric(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric())
}
