//! The keys that a source trusts: keyring files, embedded keys, fingerprints (`Signed-By`).
//!
//! `gpgv` only reads binary keyrings; keys in ASCII armour (RFC 4880, section 6) are decoded here.

use std::path::{Path, PathBuf};

use cairn_store_path::base64::from_base64;

/// Whose signatures count for a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Keyring files, binary or in ASCII armour.
    pub keyrings: Vec<PathBuf>,
    /// Keys in ASCII armour that stand in the source entry itself.
    pub embedded: Vec<String>,
    /// If there are any, only these keys of the keyrings count: 40 hexadecimal digits each, then
    /// `!` if subkeys of it do not.
    pub fingerprints: Vec<String>,
}

impl Keys {
    /// The keys of one keyring file.
    #[must_use]
    pub fn keyring(path: impl Into<PathBuf>) -> Self {
        Self {
            keyrings: vec![path.into()],
            ..Self::default()
        }
    }

    /// Whether these are Debian's own keys, by the names of the keyring files.
    #[must_use]
    pub fn are_debian(&self) -> bool {
        let name = |path: &Path| Some(path.file_name()?.to_str()?.starts_with("debian-archive-"));
        self.keyrings.iter().any(|path| name(path).unwrap_or(false))
    }

    /// Whether a signature by `key`, which belongs to `primary`, counts.
    #[must_use]
    pub fn admit(&self, key: &str, primary: &str) -> bool {
        let admits = |fingerprint: &String| match fingerprint.strip_suffix('!') {
            Some(exact) => exact.eq_ignore_ascii_case(key),
            None => {
                fingerprint.eq_ignore_ascii_case(key) || fingerprint.eq_ignore_ascii_case(primary)
            }
        };
        self.fingerprints.is_empty() || self.fingerprints.iter().any(admits)
    }
}

/// The bytes of all key blocks in `text`; `None` if there are none or one is damaged.
#[must_use]
pub fn decode_armour(text: &str) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
    let mut bytes = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while lines.by_ref().any(|line| line == BEGIN) {
        // Headers such as "Version: x", then a blank line, which some writers leave out.
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != END).collect();
        let data = body
            .into_iter()
            .filter(|line| !line.contains(':') && *line != ".");
        // A line that begins with '=' is a checksum; the signature check does not need it.
        let data: String = data.filter(|line| !line.starts_with('=')).collect();
        bytes.extend(from_base64(&data)?);
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fingerprints_restrict() {
        let keys = |fingerprint: &str| Keys {
            fingerprints: vec![fingerprint.to_owned()],
            ..Keys::default()
        };
        assert!(Keys::default().admit("AA", "BB"));
        assert!(keys("aa").admit("AA", "BB") && keys("bb").admit("AA", "BB"));
        assert!(!keys("bb!").admit("AA", "BB") && !keys("cc").admit("AA", "BB"));
    }

    proptest! {
        #[test]
        fn hostile_armour_never_panics(body in "(?s)[A-Z=\n:é.]{0,40}") {
            let text = format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n{body}");
            if let Some(bytes) = decode_armour(&text) {
                prop_assert!(bytes.len() <= body.len());
            }
        }
    }
}
