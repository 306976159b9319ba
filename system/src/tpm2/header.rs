//! What the header of a LUKS2 device says of its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cairn_store_path::base64::{from_base64, to_base64};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ordered, parse};

use super::REGISTERS;
use super::call::Condition;

const TYPE: &str = "systemd-tpm2";
/// The digest of a condition: SHA-256.
const DIGEST: usize = 32;

/// What the JSON of a LUKS2 header says of its key slots and their tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The slots in use.
    pub key_slots: BTreeSet<u32>,
    /// The tokens, by their numbers.
    pub tokens: BTreeMap<u32, Token>,
}

/// A token: something that knows how to open slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The slots.
    pub key_slots: BTreeSet<u32>,
    /// The key of a TPM, or what is wrong with it. Others than TPMs have tokens too.
    pub key: Option<Result<SealedKey, TokenError>>,
}

/// A header that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// It is no LUKS2, or damaged.
    #[error("its LUKS2 header is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// A slot or a token that is not numbered.
    #[error("its LUKS2 header is not understood: '{0}' is no number of a slot or token")]
    Number(String),
}

/// Why the key of a token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A field is missing, or says something else than it can.
    #[error("its token of a TPM is damaged: {0}")]
    Field(String),
    /// It is more than this version knows.
    #[error(
        "its token of a TPM has {0}, which is not supported; make one without: cairn tpm2 enrol"
    )]
    Unsupported(&'static str),
}

/// What a TPM has sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    private: Vec<u8>,
    public: Vec<u8>,
    pub(super) condition: Condition,
    pub(super) bank: Bank,
    pub(super) primary: Primary,
    policy: String,
}

/// The hash that registers are kept with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Bank {
    Sha1,
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

/// The kind of the TPM's own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Primary {
    #[default]
    Ecc,
    Rsa,
}

#[derive(Deserialize)]
struct RawHeader {
    keyslots: serde_json::Map<String, Value>,
    tokens: BTreeMap<String, RawToken>,
}

#[derive(Deserialize)]
struct RawToken {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    #[serde(flatten)]
    rest: Value,
}

/// A token as it is written; reading takes what it must not have as well.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawKey {
    tpm2_blob: Value,
    tpm2_pcrs: Vec<u8>,
    #[serde(default)]
    tpm2_pcr_bank: Bank,
    #[serde(default)]
    tpm2_primary_alg: Primary,
    tpm2_policy_hash: Value,
    #[serde(default)]
    tpm2_pin: bool,
    #[serde(default, rename = "tpm2_salt", skip_serializing)]
    salt: Option<Value>,
    #[serde(default, rename = "tpm2_pubkey_pcrs", skip_serializing)]
    signed: Vec<u8>,
    #[serde(default, rename = "tpm2_srk", skip_serializing)]
    stored_primary: Option<Value>,
    #[serde(default, rename = "tpm2_pcrlock", skip_serializing)]
    stored_policy: bool,
}

fn number(text: &str) -> Result<u32, HeaderError> {
    text.parse()
        .map_err(|_| HeaderError::Number(text.to_owned()))
}

impl Header {
    /// Reads what `cryptsetup luksDump --dump-json-metadata` has written.
    ///
    /// # Errors
    /// It is not the JSON of a LUKS2 header. A token that is not understood is none.
    pub fn parse(json: &[u8]) -> Result<Self, HeaderError> {
        let raw: RawHeader = parse::from_bytes(json)?;
        let mut header = Self::default();
        for slot in raw.keyslots.keys() {
            header.key_slots.insert(number(slot)?);
        }
        for (id, token) in raw.tokens {
            let mut key_slots = BTreeSet::new();
            for slot in &token.keyslots {
                key_slots.insert(number(slot)?);
            }
            let token = Token {
                key_slots,
                key: (token.kind == TYPE).then(|| SealedKey::read(token.rest)),
            };
            header.tokens.insert(number(&id)?, token);
        }
        Ok(header)
    }

    /// The keys of TPMs, or what is wrong with each.
    pub fn sealed_keys(&self) -> impl Iterator<Item = Result<&SealedKey, &TokenError>> {
        let keys = self.tokens.values().filter_map(|token| token.key.as_ref());
        keys.map(Result::as_ref)
    }
}

impl SealedKey {
    /// What the TPM has sealed under a condition, which is `policy` in its own terms.
    ///
    /// # Errors
    /// It is not what a TPM writes.
    pub fn new(
        private: &[u8],
        public: &[u8],
        policy: &[u8],
        condition: Condition,
    ) -> Result<Self, TokenError> {
        let mut blob = private.to_vec();
        blob.extend_from_slice(public);
        Self {
            condition,
            policy: hexadecimal(policy),
            ..Self::of_blob(&blob)?
        }
        .checked()
    }

    fn read(token: Value) -> Result<Self, TokenError> {
        let damaged = |problem: &dyn ToString| TokenError::Field(problem.to_string());
        let raw: RawKey = serde_json::from_value(token).map_err(|error| damaged(&error))?;
        for (is_so, what) in [
            (raw.salt.is_some(), "a PIN with a salt"),
            (!raw.signed.is_empty(), "a signed policy"),
            (
                raw.stored_primary.is_some(),
                "a primary key that the TPM stores",
            ),
            (raw.stored_policy, "a policy that the TPM stores"),
            (raw.tpm2_blob.is_array(), "several keys"),
        ] {
            if is_so {
                return Err(TokenError::Unsupported(what));
            }
        }
        let text = |value: &Value, name: &str| match value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(damaged(&format!("{name} is no text"))),
        };
        let blob = from_base64(&text(&raw.tpm2_blob, "tpm2-blob")?);
        Self {
            condition: Condition {
                registers: ordered::set(raw.tpm2_pcrs),
                pin: raw.tpm2_pin,
            },
            bank: raw.tpm2_pcr_bank,
            primary: raw.tpm2_primary_alg,
            policy: text(&raw.tpm2_policy_hash, "tpm2-policy-hash")?,
            ..Self::of_blob(&blob.ok_or_else(|| damaged(&"tpm2-blob is no base64"))?)?
        }
        .checked()
    }

    /// The two structures that a blob is made of.
    fn of_blob(blob: &[u8]) -> Result<Self, TokenError> {
        let halves = sized(blob).and_then(|(private, rest)| Some((private, sized(rest)?)));
        let Some((private, (public, []))) = halves else {
            let problem = "tpm2-blob is not the two parts of a key";
            return Err(TokenError::Field(problem.to_owned()));
        };
        Ok(Self {
            private: private.to_vec(),
            public: public.to_vec(),
            condition: Condition {
                registers: BTreeSet::new(),
                pin: false,
            },
            bank: Bank::default(),
            primary: Primary::default(),
            policy: String::new(),
        })
    }

    fn checked(self) -> Result<Self, TokenError> {
        let problem = if self
            .condition
            .registers
            .iter()
            .any(|index| *index >= REGISTERS)
        {
            "a TPM has no such register"
        } else if self.policy.len() != 2 * DIGEST
            || !self.policy.bytes().all(|digit| digit.is_ascii_hexdigit())
        {
            "tpm2-policy-hash is no SHA-256"
        } else {
            return Ok(self);
        };
        Err(TokenError::Field(problem.to_owned()))
    }

    /// The token for it: JSON, as `cryptsetup token import` takes it.
    ///
    /// # Errors
    /// There are none: all of it can be written as JSON.
    pub fn to_token(&self, key_slot: u32) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Written {
            #[serde(rename = "type")]
            kind: &'static str,
            keyslots: [String; 1],
            #[serde(flatten)]
            key: RawKey,
        }
        let blob = [self.private(), self.public()].concat();
        let blob = to_base64(&blob);
        serde_json::to_string(&Written {
            kind: TYPE,
            keyslots: [key_slot.to_string()],
            key: RawKey {
                tpm2_blob: Value::String(blob),
                tpm2_pcrs: self.condition.registers.iter().copied().collect(),
                tpm2_pcr_bank: self.bank,
                tpm2_primary_alg: self.primary,
                tpm2_policy_hash: Value::String(self.policy.clone()),
                tpm2_pin: self.condition.pin,
                salt: None,
                signed: Vec::new(),
                stored_primary: None,
                stored_policy: false,
            },
        })
    }

    /// The part that only the TPM can read, for the file [`PRIVATE`](super::PRIVATE).
    #[must_use]
    pub fn private(&self) -> &[u8] {
        &self.private
    }

    /// What the TPM checks before it does, for the file [`PUBLIC`](super::PUBLIC).
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Whether the TPM gives it out for a PIN alone.
    #[must_use]
    pub fn needs_pin(&self) -> bool {
        self.condition.pin
    }

    /// For people: "PCR 7", "PCR 4, 7".
    #[must_use]
    pub fn measured(&self) -> String {
        let all: Vec<_> = self.condition.registers.iter().map(u8::to_string).collect();
        format!("PCR {}", all.join(", "))
    }
}

/// A structure that begins with its size, and what follows it.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = bytes.first_chunk().map(|size| u16::from_be_bytes(*size))?;
    (size > 0).then_some(())?;
    bytes.split_at_checked(usize::from(size) + 2)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// As `systemd-cryptenroll` 252 has written it.
    fn token() -> Value {
        json!({
            "type": "systemd-tpm2",
            "keyslots": ["1"],
            "tpm2-blob": "AJ4AICedTXry5U3RYuE3TwLNotjY3Q5ld2V0sBg3nSSkpU2JABCdjympLzCNrhIcG5weK2FynZod7v94GAQ7sHsD\
                XCyBDjvcXIO5oncCnpscKspfCulw4cC2qxlmDAUEyYY2QbLaYgrE/JDhvDu+gB18SbAOnPQv8X3y4qOatKQ6vIiiZ4TYjs+d7J8o\
                0gyIcal9J+BCD5BfTnS75dl8/wBOAAgACwAAABIAIItWgtgbKUNdCNeSeBUGEdx+WSOy/vzOaEoJV3tAEwqLABAAIAYKCBs3P+k3\
                4eHcF5INaIXDss3tbOCA8XxSLwEWlm+L",
            "tpm2-pcrs": [7],
            "tpm2-pcr-bank": "sha256",
            "tpm2-primary-alg": "ecc",
            "tpm2-policy-hash": "8b5682d81b29435d08d7927815061\
                1dc7e5923b2fefcce684a09577b40130a8b",
            "tpm2-pin": false,
        })
    }

    fn header(tokens: &Value) -> Header {
        let json = json!({
            "keyslots": { "0": { "type": "luks2" }, "1": { "type": "luks2" } },
            "tokens": tokens,
            "config": { "json_size": "12288" },
        });
        Header::parse(&serde_json::to_vec(&json).unwrap()).unwrap()
    }

    fn with(field: &str, value: Value) -> Result<SealedKey, TokenError> {
        let mut token = token();
        token[field] = value;
        let mut header = header(&json!({ "0": token }));
        header.tokens.remove(&0).unwrap().key.unwrap()
    }

    #[test]
    fn a_key_of_systemd_is_read() {
        let other = json!({ "type": "luks2-keyring", "keyslots": [], "key_description": "x" });
        let header = header(&json!({ "3": token(), "10": other }));
        assert_eq!(header.key_slots, BTreeSet::from([0, 1]));
        assert_eq!(header.tokens[&10].key, None);
        assert_eq!(header.tokens[&3].key_slots, BTreeSet::from([1]));
        let key = header.sealed_keys().next().unwrap().unwrap();
        assert_eq!((key.private().len(), key.public().len()), (160, 80));
        assert_eq!(key.measured(), "PCR 7");
        let written: Value = serde_json::from_str(&key.to_token(1).unwrap()).unwrap();
        assert_eq!(written, token());
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        for (field, value, problem) in [
            ("tpm2_salt", json!("AA=="), "has a PIN with a salt"),
            ("tpm2_pubkey_pcrs", json!([11]), "has a signed policy"),
            (
                "tpm2_srk",
                json!("gQAAAQ=="),
                "has a primary key that the TPM stores",
            ),
            (
                "tpm2_pcrlock",
                json!(true),
                "has a policy that the TPM stores",
            ),
            ("tpm2-blob", json!(["AA=="]), "has several keys"),
            ("tpm2-blob", json!("AA="), "damaged: tpm2-blob is no base64"),
            (
                "tpm2-blob",
                json!("AAFhAAI="),
                "damaged: tpm2-blob is not the two parts of a key",
            ),
            (
                "tpm2-blob",
                json!("AAFhAAFhYQ=="),
                "damaged: tpm2-blob is not the two parts of a key",
            ),
            ("tpm2-blob", json!(7), "damaged: tpm2-blob is no text"),
            (
                "tpm2-pcrs",
                json!([24]),
                "damaged: a TPM has no such register",
            ),
            (
                "tpm2-pcrs",
                json!([-1]),
                "damaged: invalid value: integer `-1`, expected u8",
            ),
            (
                "tpm2-pcr-bank",
                json!("md5"),
                "damaged: unknown variant `md5`",
            ),
            (
                "tpm2-policy-hash",
                json!("--help"),
                "damaged: tpm2-policy-hash is no SHA-256",
            ),
        ] {
            let error = with(field, value).unwrap_err().to_string();
            assert!(error.contains(problem), "{field}: {error}");
        }
        assert!(with("tpm2_pubkey_pcrs", json!([])).is_ok());
        assert!(with("tpm2_srk", Value::Null).is_ok());
        assert!(with("tpm2-pin", json!(true)).unwrap().needs_pin());
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (json, problem) in [
            ("", "EOF while parsing"),
            ("{}", "missing field `keyslots`"),
            (
                r#"{"keyslots":{"a":{}},"tokens":{}}"#,
                "'a' is no number of a slot or token",
            ),
            (
                r#"{"keyslots":{},"tokens":{"0":{"type":"x","keyslots":["-1"]}}}"#,
                "'-1' is no number of a slot or token",
            ),
        ] {
            let error = Header::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            private in proptest::collection::vec(any::<u8>(), 1..300),
            public in proptest::collection::vec(any::<u8>(), 1..300),
            policy: [u8; DIGEST],
            registers in proptest::collection::btree_set(0..REGISTERS, 0..5),
            slot in 0..32_u32,
            pin: bool,
        ) {
            let sized = |bytes: &[u8]| {
                let mut all = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
                all.extend_from_slice(bytes);
                all
            };
            let key = SealedKey::new(&sized(&private), &sized(&public), &policy, Condition { registers, pin }).unwrap();
            let token: Value = serde_json::from_str(&key.to_token(slot).unwrap()).unwrap();
            let header = header(&json!({ "0": token }));
            prop_assert_eq!(&header.tokens[&0].key_slots, &BTreeSet::from([slot]));
            prop_assert_eq!(header.sealed_keys().next(), Some(Ok(&key)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in r#"[{}\[\]":,a-z0-9-]*"#) {
            for json in [bytes.as_slice(), text.as_bytes()] {
                drop(Header::parse(json));
            }
        }
    }
}
