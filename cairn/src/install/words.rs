//! Words of the answers that end up in other files: none of them can be more than it is there.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a word is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("that is no {kind}; {rule}")]
pub struct WordError {
    kind: &'static str,
    rule: &'static str,
}

macro_rules! word_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The word as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = WordError;

            fn try_from(text: String) -> Result<Self, WordError> {
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(WordError { kind: $kind, rule: $rule })
                }
            }
        }

        impl TryFrom<&str> for $type {
            type Error = WordError;

            fn try_from(text: &str) -> Result<Self, WordError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$type> for String {
            fn from(word: $type) -> Self {
                word.0
            }
        }
    };
}

word_type!(
    /// The name of a machine, as `networking.hostName` takes it.
    HostName,
    "host name",
    "1 to 63 letters, digits and hyphens are allowed, a hyphen neither first nor last",
    |name| cairn_system::HostName::try_from(name).is_ok()
);

word_type!(
    /// Something that stands on one line: a time zone, a locale, a keyboard.
    Line,
    "line of text",
    "it must not be empty, nor have control characters",
    |text| !text.trim().is_empty() && !text.chars().any(char::is_control)
);

word_type!(
    /// What `/etc/passwd` says of a person.
    FullName,
    "name of a person",
    "it must not be empty, nor have colons or control characters",
    |name| {
        !name.trim().is_empty() && !name.chars().any(|letter| letter == ':' || letter.is_control())
    }
);

word_type!(
    /// A line of `authorized_keys`, as `sshd(8)` reads it: `ssh-ed25519 AAAA… comment`, with options in front or
    /// without. One that is none would let nobody in.
    SshKey,
    "SSH key",
    "one begins like ssh-ed25519 AAAA",
    |line| {
        let kinds = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let is_key = |text: &str| text.starts_with("AAAA") && text.bytes().all(is_digit);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut pairs = words.iter().zip(words.iter().skip(1));
        !line.chars().any(char::is_control)
            && pairs.any(|(kind, key)| kinds.iter().any(|begin| kind.starts_with(begin)) && is_key(key))
    }
);

word_type!(
    /// A password as `/etc/shadow` has it: a hash, `!` for none, or nothing: who is at the console
    /// comes in without one.
    PasswordHash,
    "hash of a password",
    "mkpasswd prints one; a password itself does not belong here",
    |hash| {
        let sane = hash.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        sane && (matches!(hash, "" | "!" | "*") || (hash.starts_with('$') && hash.len() > 12))
    }
);

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A hash is tried against word lists: it is in no log.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for name in ["box", "BOX-1", &"a".repeat(63)] {
            HostName::try_from(name).unwrap();
        }
        for name in ["", "-a", "a-", "a.b", "ä", "a b", &"a".repeat(64)] {
            HostName::try_from(name).unwrap_err();
        }
        for hash in ["", "!", "*", "$6$salt$0123456789abcdef"] {
            PasswordHash::try_from(hash).unwrap();
        }
        for hash in [
            "secret",
            "$6$",
            "$6$salt$0123:456789",
            "$6$salt$0123\n456789",
        ] {
            PasswordHash::try_from(hash).unwrap_err();
        }
        FullName::try_from("Anna Müller, Berlin").unwrap();
        for name in ["", " ", "a:b", "a\nb"] {
            FullName::try_from(name).unwrap_err();
        }
        for key in [
            "ssh-ed25519 AAAAC3Nz",
            "sk-ssh-ed25519@openssh.com AAAAGnNr anna@box",
            "restrict,command=\"echo a b\" ecdsa-sha2-nistp256 AAAAE2Vj+/= somebody",
        ] {
            SshKey::try_from(key).unwrap();
        }
        for key in [
            "",
            "ssh-ed25519",
            "AAAAC3Nz",
            "ssh-ed25519 secret",
            "ssh-dss\nAAAA",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            SshKey::try_from(key).unwrap_err();
        }
        Line::try_from("Europe/Berlin").unwrap();
        for text in ["", " ", "a\nb", "a\u{1b}[2J"] {
            Line::try_from(text).unwrap_err();
        }
    }
}
