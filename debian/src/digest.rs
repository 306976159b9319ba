//! SHA-256 as the Debian archive writes it: 64 hexadecimal digits, nothing before them.

use std::io::{self, Read};

use cairn_store_path::hash::base16_decode;
use cairn_store_path::{Sha256, Sha256Writer};

/// Reads the digest that `text` writes in 64 hexadecimal digits. Other forms of a digest, which
/// Nix knows, are no part of Debian's formats.
pub fn parse(text: &str) -> Option<Sha256> {
    base16_decode(text).map(Sha256::from_bytes)
}

/// Reads `reader` to its end; gives the digest and the number of bytes.
pub fn of_reader(mut reader: impl Read) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256Writer::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// For serde's `with`: the digest as 64 hexadecimal digits.
pub mod hex {
    use cairn_store_path::Sha256;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(digest: &Sha256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.to_base16())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            serde::de::Error::custom(format!(
                "cannot read {shown:?} as a SHA-256 digest: 64 hexadecimal digits are expected"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!((parse(hex).unwrap(), 0), of_reader(&b""[..]).unwrap());
        assert_eq!(parse(&hex.to_uppercase()), parse(hex));
    }

    #[test]
    fn refuses_other_texts() {
        let digest = Sha256::of(b"");
        for text in [
            String::new(),
            "e3".to_owned(),
            "zz".to_owned(),
            "g".repeat(64),
            "é".repeat(32),
            "a".repeat(65),
            digest.to_string(),
            digest.to_nix32(),
            digest.to_sri(),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }
}
