//! The numbers that tell the new disk and its parts from every other.

use std::fs::File;
use std::io::{self, Read as _};

use uuid::Uuid;

/// All identifiers of one installation. They are known before anything is written, so that the
/// configuration that names them can be built first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    seed: [u8; 32],
}

impl Identifiers {
    /// New ones.
    ///
    /// # Errors
    /// The kernel gives no random numbers.
    pub fn random() -> io::Result<Self> {
        let mut seed = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Self { seed })
    }

    /// Those that follow from `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed }
    }

    /// The one for `purpose`.
    #[must_use]
    pub fn uuid(&self, purpose: &str) -> Uuid {
        Uuid::new_v8(self.derive(purpose))
    }

    /// The serial number of a FAT.
    #[must_use]
    pub fn serial(&self, purpose: &str) -> u32 {
        let [a, b, c, d, ..] = self.derive(purpose);
        u32::from_le_bytes([a, b, c, d])
    }

    fn derive(&self, purpose: &str) -> [u8; 16] {
        let mut bytes = [0; 16];
        blake3::Hasher::new_derive_key(&format!("cairn 2026-11 installation: {purpose}"))
            .update(&self.seed)
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }
}
