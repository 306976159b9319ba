//! What a former evaluation gave: as good as a new one, as long as it was asked the same, and the machine
//! answers what it asks as it did then.
//!
//! ```text
//! <cache>/evaluations/<key of configuration and wanted parts>   BLAKE3 of what follows, in base 16
//!                                                               { key, record, outcome }
//! ```
//!
//! There is one memory for each configuration and what is wanted of it. A file that is damaged, of
//! another program, or cannot be written is no memory, and no error.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use blake3::{Hash, Hasher};
use cairn_store::Store;
use serde::{Deserialize, Serialize};

use super::evaluation::{Job, Outcome};
use crate::evaluate::request::StoreChoice;
use crate::evaluate::{Record, Request, VARIABLES, holds};
use crate::lock_file::write_atomically;
use crate::sources::identity;

/// Where one evaluation is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    key: String,
}

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// What was asked, and by which program.
    key: String,
    record: Record,
    outcome: Outcome,
}

impl Memory {
    /// The memory of `job`, which `request` evaluates.
    pub(super) fn of(cache: &Path, job: &Job, request: &Request) -> Result<Self> {
        let key = key(request)?;
        let StoreChoice::Root(store) = &request.store else {
            bail!("the request names no store");
        };
        let place = (
            store,
            &job.configuration,
            &job.modules,
            &job.derivations,
            &job.facts,
        );
        let mut hasher = Hasher::new_derive_key("cairn 2026-11 place of a memory");
        serde_json::to_writer(&mut hasher, &place).context("cannot name what is evaluated")?;
        let name = hasher.finalize().to_hex();
        Ok(Self {
            file: cache.join("evaluations").join(name.as_str()),
            key: key.to_hex().to_string(),
        })
    }

    /// What the evaluation of `request` would give, if that is known. What it names in `store` is kept
    /// from collections.
    pub(super) fn recall(&self, store: &Store, request: &Request) -> Result<Option<Outcome>> {
        let bytes = match fs::read(&self.file) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    log::info!(
                        "evaluating anew: cannot read '{}': {error}",
                        self.file.display()
                    );
                }
                return Ok(None);
            }
        };
        let remembered = Remembered::parse(&bytes).filter(|found| found.key == self.key);
        let Some(Remembered {
            record, outcome, ..
        }) = remembered
        else {
            return Ok(None);
        };
        let (Some(mut objects), Some(results)) = (record.objects(), outcome.derivations()) else {
            return Ok(None);
        };
        objects.extend(results);
        store.keep(&objects)?;
        for object in &objects {
            if !store.is_valid(object)? {
                log::info!("evaluating anew: {object} is not in the store any more");
                return Ok(None);
            }
        }
        if !holds(&record, request)? {
            return Ok(None);
        }
        log::info!("the evaluation is remembered");
        Ok(Some(outcome))
    }

    /// Remembers `outcome`, of an evaluation that has written its record to the file `record`.
    pub(super) fn keep(&self, record: &Path, outcome: &Outcome) {
        if let Err(error) = self.write(record, outcome) {
            log::info!("the evaluation will not be remembered: {error:#}");
        }
    }

    fn write(&self, record: &Path, outcome: &Outcome) -> Result<()> {
        let bytes = fs::read(record).context("cannot read the record")?;
        // An evaluation that failed, or cannot be asked again, has written none.
        if bytes.is_empty() || outcome.evaluated.is_none() {
            return Ok(());
        }
        let remembered = Remembered {
            key: self.key.clone(),
            record: serde_json::from_slice(&bytes).context("cannot read the record")?,
            outcome: outcome.clone(),
        };
        write_atomically(&self.file, &remembered.to_bytes()?)
    }
}

impl Remembered {
    /// The file's bytes.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_string(self)?;
        Ok(format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex()).into_bytes())
    }

    /// What any bytes say; `None` if they are not those of a memory.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (digest, text) = bytes.split_at_checked(2 * blake3::OUT_LEN)?;
        let text = text.strip_prefix(b"\n")?;
        if Hash::from_hex(digest).ok()? != blake3::hash(text) {
            return None;
        }
        Self::parse_text(text)
    }

    /// What the text behind the digest says.
    #[must_use]
    pub fn parse_text(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

/// Two evaluations with the same key, on a machine that answers the same, give the same.
fn key(request: &Request) -> Result<Hash> {
    let mut hasher = Hasher::new_derive_key("cairn 2026-11 remembered evaluation");
    let program = Path::new("/proc/self/exe");
    let program = identity(program).context("cannot find this program's own file")?;
    hasher.update(program.as_bytes());
    let arguments = request
        .to_arguments()
        .context("the request has no form as arguments")?;
    let variables = VARIABLES.map(std::env::var_os);
    let parts = arguments
        .iter()
        .map(Some)
        .chain(variables.iter().map(Option::as_ref));
    for part in parts {
        match part {
            None => hasher.update(b"-"),
            Some(part) => {
                let part = part.as_encoded_bytes();
                hasher
                    .update(b"=")
                    .update(&(part.len() as u64).to_le_bytes())
                    .update(part)
            }
        };
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"{"key":"k","record":{"answers":[[{"file":"/a"},"1f"],["time","2e"],[{"tree":{"path":"/t","name":"t","flat":false,"chosen":{"/t/x":["regular",true]}}},"3d"]],"objects":["/nix/store/00000000000000000000000000000000-x"]},"outcome":{"asked":["bash"],"evaluated":{"derivations":[],"facts":[]},"messages":[111]}}"#;

    #[test]
    fn a_memory_is_its_bytes() {
        let remembered = Remembered::parse_text(TEXT.as_bytes()).unwrap();
        let bytes = remembered.to_bytes().unwrap();
        let (digest, text) = bytes.split_at(65);
        assert_eq!(digest.last(), Some(&b'\n'));
        assert_eq!(str::from_utf8(text).unwrap(), TEXT);
        assert_eq!(Remembered::parse(&bytes), Some(remembered));
    }

    proptest! {
        #[test]
        fn no_bytes_but_its_own_are_a_memory(
            any in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u32,
        ) {
            prop_assert_eq!(Remembered::parse(&any), None);
            let whole = Remembered::parse_text(TEXT.as_bytes()).unwrap().to_bytes().unwrap();
            let at = at.index(whole.len());
            prop_assert_eq!(Remembered::parse(&whole[..at]), None);
            let mut changed = whole;
            changed[at] ^= 1 << bit;
            // The digest is the same in capital letters.
            prop_assert!(at < 64 || Remembered::parse(&changed).is_none());
        }

        #[test]
        fn a_hostile_text_is_read_without_harm(text in r#"[\[\]{}":,a-z0-9]{0,80}"#, at in 0..TEXT.len()) {
            let mixed = format!("{}{text}", &TEXT[..at]);
            if let Some(remembered) = Remembered::parse_text(mixed.as_bytes()) {
                prop_assert!(Remembered::parse(&remembered.to_bytes().unwrap()).is_some());
            }
        }
    }
}
