//! A tree as a tar archive, the same to the byte wherever it is made.
//!
//! Entries come in the manifest's order; a file's content is at its first name, and the others are links
//! to that. Owners are numbers without names: names are whatever the
//! machine that unpacks it makes of them. Long names are GNU's, extended attributes are records
//! `SCHILY.xattr.<name>`: GNU tar, bsdtar and the container tools read both.
//!
//! Source: `tar(5)` of libarchive; POSIX.1-2024, pax, "pax Interchange Format".

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::file_system::FileSystemError;
use crate::fill;
use crate::manifest::{Content, Manifest, Name, Node};
use crate::output::{Output, OutputError};

const KIND: &str = "tar";
const XATTR: &str = "SCHILY.xattr.";
/// What a file is called that has a link's target.
const LONG_LINK: &str = "././@LongLink";
/// Threads beyond these gain nothing.
const MAX_THREADS: usize = 16;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TarCompression {
    /// Not at all.
    None,
    /// gzip, at its level 6.
    Gzip,
    /// xz, at its level 6.
    Xz,
    /// zstd, at level 3, by all processors.
    Zstd,
}

impl TarCompression {
    /// What the names of such archives end with.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip => "tar.gz",
            Self::Xz => "tar.xz",
            Self::Zstd => "tar.zst",
        }
    }
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum TarballError {
    /// A content cannot be read, or the format has no place for an entry.
    #[error(transparent)]
    Content(#[from] FileSystemError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Writes `tree` to the file `output`, which appears when it is whole and durable.
///
/// # Errors
/// See [`TarballError`]. Nothing is left behind.
pub fn write_tarball(
    tree: &Manifest,
    compression: TarCompression,
    output: &Path,
) -> Result<(), TarballError> {
    let output = Output::create(output, 0, 0)?;
    let file = io::BufWriter::with_capacity(1 << 20, output.file());
    let written = match compression {
        TarCompression::None => archive(tree, file).and_then(flush),
        TarCompression::Gzip => {
            // The header has no time and no name.
            let encoder = flate2::write::GzEncoder::new(file, flate2::Compression::new(6));
            archive(tree, encoder)
                .and_then(|encoder| encoder.finish().map_err(Problem::Write))
                .and_then(flush)
        }
        TarCompression::Xz => {
            let encoder = liblzma::write::XzEncoder::new(file, 6);
            archive(tree, encoder)
                .and_then(|encoder| encoder.finish().map_err(Problem::Write))
                .and_then(flush)
        }
        TarCompression::Zstd => zstd(file)
            .map_err(Problem::Write)
            .and_then(|encoder| archive(tree, encoder))
            .and_then(|encoder| encoder.finish().map_err(Problem::Write))
            .and_then(flush),
    };
    written.map_err(|problem| match problem {
        Problem::Entry(error) => TarballError::Content(error),
        Problem::Write(error) => output.failure(error, 0).into(),
    })?;
    output.finish()?;
    Ok(())
}

enum Problem {
    Entry(FileSystemError),
    Write(io::Error),
}

fn flush(mut out: impl Write) -> Result<(), Problem> {
    out.flush().map_err(Problem::Write)
}

/// The bytes do not depend on how many threads there are, only on that they are not the writer's own.
fn zstd<W: Write>(out: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, 3)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    encoder.multithread(u32::try_from(threads.min(MAX_THREADS)).unwrap_or(1))?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

fn archive<W: Write>(tree: &Manifest, out: W) -> Result<W, Problem> {
    let mut builder = Builder::new(out);
    for (path, name) in tree.names() {
        match name {
            Name::First(node) => append(&mut builder, path, node)?,
            Name::Again(first) => {
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                header.set_mode(0);
                header.set_mtime(0);
                append_link(&mut builder, &mut header, path, first).map_err(Problem::Write)?;
            }
        }
    }
    builder.into_inner().map_err(Problem::Write)
}

fn append<W: Write>(builder: &mut Builder<W>, path: &Path, node: &Node) -> Result<(), Problem> {
    let unfit = |problem: &str| {
        Problem::Entry(FileSystemError::Entry {
            kind: KIND,
            path: path.to_owned(),
            problem: problem.to_owned(),
        })
    };
    let mut records = Vec::new();
    for (name, value) in &node.xattrs {
        let name = std::str::from_utf8(name)
            .ok()
            .filter(|name| !name.contains(['=', '\n']))
            .ok_or_else(|| unfit("the name of an extended attribute is no plain text"))?;
        records.push((format!("{XATTR}{name}"), value.as_slice()));
    }
    if !records.is_empty() {
        let records = records.iter().map(|(name, value)| (name.as_str(), *value));
        builder
            .append_pax_extensions(records)
            .map_err(Problem::Write)?;
    }
    // The root is `./`, as tar itself calls it.
    let name = if path.as_os_str().is_empty() {
        Path::new("./")
    } else {
        path
    };
    let mut header = Header::new_gnu();
    header.set_mode(node.mode);
    header.set_uid(node.uid.into());
    header.set_gid(node.gid.into());
    header.set_mtime(node.mtime.into());
    header.set_size(0);
    match &node.content {
        Content::Directory => {
            header.set_entry_type(EntryType::Directory);
            let name = PathBuf::from_iter([name, Path::new("")]);
            builder.append_data(&mut header, name, io::empty())
        }
        Content::Bytes(bytes) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice())
        }
        Content::File { path, size } => {
            let mut source = Exact::open(path, *size).map_err(Problem::Entry)?;
            header.set_entry_type(EntryType::Regular);
            header.set_size(*size);
            let appended = builder.append_data(&mut header, name, &mut source);
            if let Some(error) = source.failure() {
                return Err(Problem::Entry(error));
            }
            appended
        }
        Content::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            append_link(builder, &mut header, name, target)
        }
        // It has been told apart.
        Content::HardLink(_) => Ok(()),
        Content::CharDevice { major, minor } | Content::BlockDevice { major, minor } => {
            header.set_entry_type(match node.content {
                Content::CharDevice { .. } => EntryType::Char,
                _ => EntryType::Block,
            });
            header
                .set_device_major(*major)
                .and_then(|()| header.set_device_minor(*minor))
                .map_err(|_| unfit("its device number is too large"))?;
            builder.append_data(&mut header, name, io::empty())
        }
    }
    .map_err(Problem::Write)
}

/// A target is what it is, letter by letter, where the library would tidy it: one that is too long for the
/// header comes before it, as a file of its own.
fn append_link<W: Write>(
    builder: &mut Builder<W>,
    header: &mut Header,
    name: &Path,
    target: &Path,
) -> io::Result<()> {
    let bytes = target.as_os_str().as_bytes();
    let room = header.as_old().linkname.len();
    if bytes.len() > room {
        let mut long = Header::new_gnu();
        long.set_entry_type(EntryType::GNULongLink);
        long.set_mode(0o644);
        long.set_uid(0);
        long.set_gid(0);
        long.set_mtime(0);
        let content = [bytes, b"\0"].concat();
        long.set_size(content.len() as u64);
        builder.append_data(&mut long, LONG_LINK, content.as_slice())?;
    }
    header.set_link_name_literal(bytes.get(..room).unwrap_or(bytes))?;
    builder.append_data(header, name, io::empty())
}

/// A file that must have exactly the bytes that its header has promised.
struct Exact<'a> {
    file: std::fs::File,
    path: &'a Path,
    size: u64,
    read: u64,
    error: Option<io::Error>,
}

impl<'a> Exact<'a> {
    fn open(path: &'a Path, size: u64) -> Result<Self, FileSystemError> {
        Ok(Self {
            file: fill::open(path, size)?,
            path,
            size,
            read: 0,
            error: None,
        })
    }

    /// Why the entry is not what it should be.
    fn failure(self) -> Option<FileSystemError> {
        let path = self.path.to_owned();
        match self.error {
            Some(source) => Some(FileSystemError::Read { path, source }),
            None if self.read != self.size => Some(FileSystemError::Changed {
                path,
                expected: self.size,
                found: self.read,
            }),
            None => None,
        }
    }
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Ok(count) => {
                self.read += count as u64;
                Ok(count)
            }
            Err(error) => {
                let kind = error.kind();
                self.error = Some(error);
                Err(kind.into())
            }
        }
    }
}
