//! The export format: several objects, with what the database says of them, in one stream.
//!
//! For each object `1` (8 bytes, little-endian), its archive, the magic number, and as archive
//! strings its path, the number and paths of its references, its deriver or nothing; then `0`.
//! `0` again ends the stream. Source: the Nix manual, "Nix Export Format".

use std::io::{self, Write};

use cairn_store_path::StorePath;

use crate::error::StoreError;
use crate::nar::{self, NarError};
use crate::store::Store;

const MAGIC: u64 = 0x4558_494e;

impl Store {
    /// Writes `paths`, in the order given, as `nix-store --export` does.
    ///
    /// # Errors
    /// A path is not valid or cannot be read, or `out` fails.
    pub fn export(&self, paths: &[StorePath], out: &mut dyn Write) -> Result<(), StoreError> {
        for path in paths {
            let info = self.info(path)?;
            let failed = |source: io::Error| NarError::Stream {
                verb: "write",
                path: self.real_path(path),
                source,
            };
            number(out, 1).map_err(failed)?;
            nar::write(&self.real_path(path), out)?;
            number(out, MAGIC).map_err(failed)?;
            string(out, &path.to_string()).map_err(failed)?;
            number(out, info.references.len() as u64).map_err(failed)?;
            for reference in &info.references {
                string(out, &reference.to_string()).map_err(failed)?;
            }
            let deriver = info.deriver.map(|path| path.to_string());
            string(out, deriver.as_deref().unwrap_or("")).map_err(failed)?;
            number(out, 0).map_err(failed)?;
        }
        number(out, 0).map_err(|source| {
            NarError::Stream {
                verb: "write",
                path: self.store_dir(),
                source,
            }
            .into()
        })
    }
}

fn number(out: &mut dyn Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn string(out: &mut dyn Write, text: &str) -> io::Result<()> {
    number(out, text.len() as u64)?;
    out.write_all(text.as_bytes())?;
    let padding = usize::try_from((text.len() as u64).wrapping_neg() % 8).unwrap_or(0);
    out.write_all([0; 8].get(..padding).unwrap_or_default())
}
