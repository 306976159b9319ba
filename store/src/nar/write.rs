//! Writing the archive of a tree, each file read once.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use cairn_store_path::{Sha256, Sha256Writer};

use super::{MAGIC, MAX_DEPTH, NarError};
use crate::error::io_error;

/// Writes the archive of the tree at `path` to `out`. Reads each file once, in blocks.
///
/// # Errors
/// A file cannot be read, is of another kind, or changes; or `out` fails.
pub fn write(path: &Path, out: &mut dyn Write) -> Result<(), NarError> {
    write_kept(path, &|_| true, out)
}

/// As [`write()`], with only those entries below `path` that `keep` says yes to.
fn write_kept(path: &Path, keep: &Keep<'_>, out: &mut dyn Write) -> Result<(), NarError> {
    let mut writer = Writer {
        out,
        root: path,
        keep,
        block: vec![0; 128 * 1024],
    };
    writer.string(MAGIC)?;
    writer.node(path, 0)
}

/// Whether an entry of a tree, named by its whole path, is part of it.
pub type Keep<'a> = dyn Fn(&Path) -> bool + 'a;

/// The SHA-256 of the archive of the tree at `path`, and the archive's length in bytes.
///
/// # Errors
/// As [`write()`].
pub fn hash(path: &Path) -> Result<(Sha256, u64), NarError> {
    hash_kept(path, &|_| true)
}

/// As [`hash`], of only those entries below `path` that `keep` says yes to.
///
/// # Errors
/// As [`write()`].
pub fn hash_kept(path: &Path, keep: &Keep<'_>) -> Result<(Sha256, u64), NarError> {
    let mut hasher = Sha256Writer::new();
    write_kept(path, keep, &mut hasher)?;
    Ok(hasher.finish())
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    root: &'a Path,
    keep: &'a Keep<'a>,
    block: Vec<u8>,
}

impl Writer<'_> {
    fn node(&mut self, path: &Path, depth: usize) -> Result<(), NarError> {
        if depth > MAX_DEPTH {
            return Err(NarError::Deep(path.to_owned()));
        }
        let metadata = fs::symlink_metadata(path).map_err(io_error("read", path))?;
        let kind = metadata.file_type();
        self.string(b"(")?;
        self.string(b"type")?;
        if kind.is_file() {
            self.string(b"regular")?;
            if metadata.permissions().mode() & 0o100 != 0 {
                self.string(b"executable")?;
                self.string(b"")?;
            }
            self.string(b"contents")?;
            self.contents(path, &metadata)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(io_error("read link", path))?;
            self.string(b"symlink")?;
            self.string(b"target")?;
            self.string(target.as_os_str().as_bytes())?;
        } else if kind.is_dir() {
            self.string(b"directory")?;
            for name in sorted_names(path)? {
                let entry = path.join(&name);
                if !(self.keep)(&entry) {
                    continue;
                }
                self.string(b"entry")?;
                self.string(b"(")?;
                self.string(b"name")?;
                self.string(name.as_bytes())?;
                self.string(b"node")?;
                self.node(&entry, depth + 1)?;
                self.string(b")")?;
            }
        } else {
            return Err(NarError::Special {
                path: path.to_owned(),
                kind: special_kind(&metadata),
            });
        }
        self.string(b")")
    }

    fn contents(&mut self, path: &Path, metadata: &Metadata) -> Result<(), NarError> {
        let length = metadata.len();
        self.bytes(&length.to_le_bytes())?;
        let mut file = File::open(path).map_err(io_error("open", path))?;
        let mut left = length;
        loop {
            let read = match file.read(&mut self.block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(io_error("read", path)(error).into()),
            };
            left = left
                .checked_sub(read as u64)
                .ok_or_else(|| NarError::Changed(path.to_owned()))?;
            let block = self.block.get(..read).unwrap_or_default();
            self.out
                .write_all(block)
                .map_err(|source| stream(self.root, source))?;
        }
        if left != 0 {
            return Err(NarError::Changed(path.to_owned()));
        }
        self.padding(length)
    }

    fn string(&mut self, string: &[u8]) -> Result<(), NarError> {
        let length = string.len() as u64;
        self.bytes(&length.to_le_bytes())?;
        self.bytes(string)?;
        self.padding(length)
    }

    fn padding(&mut self, length: u64) -> Result<(), NarError> {
        let zeros = usize::try_from(length.wrapping_neg() % 8).unwrap_or(0);
        self.bytes([0; 8].get(..zeros).unwrap_or_default())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), NarError> {
        self.out
            .write_all(bytes)
            .map_err(|source| stream(self.root, source))
    }
}

fn stream(path: &Path, source: io::Error) -> NarError {
    NarError::Stream {
        verb: "write",
        path: path.to_owned(),
        source,
    }
}

pub(crate) fn sorted_names(folder: &Path) -> Result<Vec<OsString>, NarError> {
    let mut names = fs::read_dir(folder)
        .map_err(io_error("list", folder))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(io_error("list", folder))?;
    names.sort();
    Ok(names)
}

pub(crate) fn special_kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_socket() {
        "socket"
    } else if kind.is_fifo() {
        "named pipe"
    } else if kind.is_block_device() {
        "block device"
    } else if kind.is_char_device() {
        "character device"
    } else {
        "file of unknown kind"
    }
}
