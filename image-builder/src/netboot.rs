//! The initrd of a live system that comes over the network: that of the system, and a second archive
//! with the system itself.
//!
//! ```text
//! initrd                 as the system has it, filled up to a multiple of 4
//! cpio                   not compressed: its large part already is
//!   cairn/medium         what stage 1 has to know, as the descriptor of a disc says it
//!   cairn/system         the squashfs, and behind it the manifest that it is checked by
//! ```
//! The kernel unpacks archive after archive into the same memory.
//!
//! Source: the kernel's `driver-api/early-userspace/buffer-format.rst`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cairn_system::live::{Extent, INITRD_MEDIUM, INITRD_SYSTEM, LiveMedium, MediumId};
use uuid::Uuid;

use crate::cpio::{CpioError, write_cpio};
use crate::file_system::FileSystemError;
use crate::identifiers::derive;
use crate::manifest::{Content, Manifest, ManifestError, Node};
use crate::media;
use crate::output::{Output, OutputError};
use crate::region::Region;
use crate::squashfs;

/// An archive begins at a multiple of it.
const ALIGNMENT: u64 = 4;

/// What goes into such an initrd.
#[derive(Debug, Clone)]
pub struct LiveInitrd<'a> {
    /// The root file system of the live system.
    pub system: &'a Manifest,
    /// How it is compressed.
    pub compression: squashfs::Options,
    /// What remembers how store objects were compressed.
    pub cache: Option<&'a squashfs::Cache>,
    /// The system's own initrd.
    pub initrd: &'a Path,
    /// What stage 1 knows the system by.
    pub medium: MediumId,
}

/// Why such an initrd cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum LiveInitrdError {
    /// The system cannot be compressed.
    #[error(transparent)]
    FileSystem(#[from] FileSystemError),
    /// The tree of the second archive contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The second archive cannot be made.
    #[error("cannot put the system into an initrd: {0}")]
    Archive(#[from] CpioError),
    /// The system's own initrd cannot be read.
    #[error("cannot read the initrd '{path}': {source}")]
    Read {
        /// The initrd.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl LiveInitrd<'_> {
    /// The id of the medium with `seed`, which should be a hash of what goes into it.
    #[must_use]
    pub fn medium_of(seed: &[u8; 32]) -> MediumId {
        let uuid = Uuid::new_v8(derive("live initrd", "medium", seed));
        MediumId::from_bytes(uuid.into_bytes())
    }

    /// Writes it to `output`, which appears when it is whole and durable.
    ///
    /// # Errors
    /// See [`LiveInitrdError`]. Nothing is left behind.
    pub fn write(&self, output: &Path) -> Result<(), LiveInitrdError> {
        let mut plan = squashfs::plan(self.system, &self.compression)?;
        if let Some(cache) = self.cache {
            plan = plan.with_cache(cache);
        }
        let needed = plan.content_size();
        let output = Output::create(output, 0, 0)?;
        let io = |error| LiveInitrdError::from(output.failure(error, needed));
        let system = tempfile::Builder::new()
            .prefix(".cairn-image-")
            .tempfile_in(output.directory())
            .map_err(io)?;
        let limit = plan.size_limit();
        let region = Region::new(system.as_file(), 0, limit);
        let written =
            squashfs::write(&plan, &region, &mut |_| {}).map_err(|error| match error {
                FileSystemError::Write { source, .. } => io(source),
                error => error.into(),
            })?;
        let medium = self.describe(system.as_file(), &written).map_err(io)?;
        let archive = archive(&medium, system.path())?;
        copy_initrd(self.initrd, output.file())?.map_err(io)?;
        append(&archive, output.file()).map_err(|error| match error {
            CpioError::Write(source) => io(source),
            error => error.into(),
        })?;
        output.finish()?;
        Ok(())
    }

    /// What stage 1 has to know of the squashfs in `file`, which gets its manifest.
    fn describe(&self, file: &File, written: &squashfs::Written) -> io::Result<LiveMedium> {
        let length = written.size;
        let system = Extent { offset: 0, length };
        let parts = media::parts_of_system(INITRD_SYSTEM, 0, written);
        let text = media::manifest(file, &parts)?.to_string();
        file.set_len(length + text.len() as u64)?;
        file.write_all_at(text.as_bytes(), length)?;
        Ok(LiveMedium {
            id: self.medium.clone(),
            system,
            manifest: Extent {
                offset: length,
                length: text.len() as u64,
            },
            manifest_hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
        })
    }
}

/// The tree of the second archive.
fn archive(medium: &LiveMedium, system: &Path) -> Result<Manifest, ManifestError> {
    let mut archive = Manifest::new();
    let text = medium.to_string().into_bytes();
    let contents = [
        (INITRD_MEDIUM, Content::Bytes(text)),
        (
            INITRD_SYSTEM,
            Content::File {
                path: system.to_owned(),
                size: medium.manifest.offset + medium.manifest.length,
            },
        ),
    ];
    for (path, content) in contents {
        let path = Path::new(path);
        archive.insert_directories(path.parent().unwrap_or(path))?;
        archive.insert(path, Node::new(0o444, content))?;
    }
    Ok(archive)
}

fn append(archive: &Manifest, out: &File) -> Result<(), CpioError> {
    let mut writer = BufWriter::with_capacity(1 << 20, out);
    write_cpio(archive, &mut writer)?;
    writer.flush().map_err(CpioError::Write)
}

/// Copies the initrd at `path` to the start of `out`, where the next archive can then begin.
fn copy_initrd(path: &Path, mut out: &File) -> Result<io::Result<()>, LiveInitrdError> {
    let read = |source| LiveInitrdError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(read)?;
    let length = (bytes.len() as u64).next_multiple_of(ALIGNMENT);
    let mut write = || {
        out.write_all(&bytes)?;
        out.set_len(length)?;
        out.seek(SeekFrom::Start(length)).map(drop)
    };
    Ok(write())
}
