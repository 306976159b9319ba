//! Contents of files to their places in the image: neighbours are written together, pages of
//! zeros are left as holes, holes of the source are not even read. Where the file system can, the blocks of
//! larger files are shared with the image, and not read either.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Whence, lseek};

use crate::file_system::FileSystemError;
use crate::manifest::Content;
use crate::region::Region;

/// Bytes gathered before they are written.
const BATCH: usize = 1 << 20;
/// Blocks of file systems; a content's last block is filled up with zeros.
pub(crate) const BLOCK: u64 = 4096;
/// Files from this size on are asked for their holes.
pub(crate) const LARGE: u64 = 1 << 20;

/// Spans from this length on are shared: asking for it takes as long as copying half as much.
const SHARED_FROM: u64 = 64 << 10;

/// A place in the region, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// From the region's start.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// Writes contents one after the other.
pub(crate) struct Filler<'a> {
    kind: &'static str,
    region: &'a Region<'a>,
    written: &'a mut dyn FnMut(u64),
    batch: Vec<u8>,
    batch_offset: u64,
}

impl<'a> Filler<'a> {
    /// `kind` is the file system's, for errors; `written` is told of bytes of content written.
    pub fn new(
        kind: &'static str,
        region: &'a Region<'a>,
        written: &'a mut dyn FnMut(u64),
    ) -> Self {
        Self {
            kind,
            region,
            written,
            batch: Vec::with_capacity(BATCH),
            batch_offset: 0,
        }
    }

    /// Writes `content` to `spans`, which have its length in total.
    pub fn fill(
        &mut self,
        content: &Content,
        spans: impl Iterator<Item = Span>,
    ) -> Result<(), FileSystemError> {
        match content {
            Content::Bytes(bytes) => {
                let mut bytes = bytes.as_slice();
                for span in spans {
                    self.copy(&mut bytes, span)
                        .map_err(|error| self.failure(Path::new(""), error))?;
                }
            }
            Content::File { path, size } => {
                let mut file = open(path, *size)?;
                let mut position = 0;
                for span in spans {
                    let shared = self
                        .share(&file, position, span)
                        .map_err(|error| self.failure(path, error))?;
                    let rest = Span {
                        offset: span.offset + shared,
                        length: span.length - shared,
                    };
                    self.copy_file(&mut file, position + shared, rest, *size >= LARGE)
                        .map_err(|error| self.failure(path, error))?;
                    position += span.length;
                }
            }
            Content::Directory
            | Content::Symlink(_)
            | Content::CharDevice { .. }
            | Content::BlockDevice { .. }
            | Content::HardLink(_) => {}
        }
        Ok(())
    }

    /// Writes what is still gathered.
    pub fn finish(mut self) -> Result<(), FileSystemError> {
        self.flush()
            .map_err(|error| self.failure(Path::new(""), error))
    }

    /// Shares what can be of `span`, whose content is in `file` from `position` on; how many bytes, from the
    /// span's start on.
    fn share(&mut self, file: &File, position: u64, span: Span) -> Result<u64, CopyError> {
        if span.length < SHARED_FROM {
            return Ok(0);
        }
        let range = position..position + span.length;
        let shared = self.region.share(file, range, span.offset);
        let shared = shared.map_err(CopyError::Write)?;
        (self.written)(shared);
        Ok(shared)
    }

    /// Copies the data of `file` from `position` on, and skips its holes.
    fn copy_file(
        &mut self,
        file: &mut File,
        position: u64,
        span: Span,
        has_holes: bool,
    ) -> Result<(), CopyError> {
        if !has_holes {
            if position > 0 {
                file.seek(SeekFrom::Start(position))
                    .map_err(CopyError::Read)?;
            }
            return self.copy(file, span);
        }
        let end = position + span.length;
        let mut at = position;
        while let Some(data) = seek_data(file, at).map_err(CopyError::Read)? {
            // A block is written whole, or not at all.
            let start = data / BLOCK * BLOCK;
            if start >= end {
                break;
            }
            let start = start.max(at);
            let hole = seek_hole(file, data).map_err(CopyError::Read)?;
            let stop = hole.next_multiple_of(BLOCK).min(end);
            file.seek(SeekFrom::Start(start)).map_err(CopyError::Read)?;
            let part = Span {
                offset: span.offset + (start - position),
                length: stop - start,
            };
            self.copy(file, part)?;
            at = stop;
            if at >= end {
                break;
            }
        }
        Ok(())
    }

    /// Copies the bytes of `span` from `source`.
    fn copy(&mut self, source: &mut impl Read, span: Span) -> Result<(), CopyError> {
        if self.batch_offset + self.batch.len() as u64 != span.offset {
            self.flush()?;
            self.batch_offset = span.offset;
        }
        let mut left = span.length;
        while left > 0 {
            if self.batch.len() >= BATCH {
                self.flush()?;
            }
            let room = (BATCH - self.batch.len()) as u64;
            let length = left.min(room);
            let read = source
                .take(length)
                .read_to_end(&mut self.batch)
                .map_err(CopyError::Read)?;
            if read as u64 != length {
                return Err(CopyError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            left -= length;
        }
        // The rest of the last block.
        let end = (self.batch_offset + self.batch.len() as u64).next_multiple_of(BLOCK);
        let length = usize::try_from(end - self.batch_offset).unwrap_or(self.batch.len());
        self.batch.resize(length, 0);
        (self.written)(span.length);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CopyError> {
        self.region
            .write_at(&self.batch, self.batch_offset)
            .map_err(CopyError::Write)?;
        self.batch_offset += self.batch.len() as u64;
        self.batch.clear();
        Ok(())
    }

    fn failure(&self, path: &Path, error: CopyError) -> FileSystemError {
        match error {
            CopyError::Read(source) => FileSystemError::Read {
                path: path.to_owned(),
                source,
            },
            CopyError::Write(source) => FileSystemError::Write {
                kind: self.kind,
                source,
            },
        }
    }
}

/// On which side copying failed.
enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Opens the regular file at `path`, which must have `size` bytes. A link or a pipe that has taken
/// its place is neither followed nor waited for.
pub(crate) fn open(path: &Path, size: u64) -> Result<File, FileSystemError> {
    let read = |source| FileSystemError::Read {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
        .map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(read(io::Error::other("it is no regular file any more")));
    }
    if metadata.len() != size {
        return Err(FileSystemError::Changed {
            path: path.to_owned(),
            expected: size,
            found: metadata.len(),
        });
    }
    Ok(file)
}

/// What is not a hole of a file of `length` bytes, in ascending order.
///
/// # Errors
/// The file system's.
pub fn data_of(file: &File, length: u64) -> io::Result<Vec<Range<u64>>> {
    let mut data = Vec::new();
    let mut at = 0;
    while at < length
        && let Some(start) = seek_data(file, at)?
        && start < length
    {
        at = seek_hole(file, start)?.min(length);
        data.push(start..at);
    }
    Ok(data)
}

/// Where the first data at or after `at` is; `None` if there is only hole.
pub(crate) fn seek_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match lseek(file, offset(at)?, Whence::SeekData) {
        Ok(data) => Ok(Some(data.cast_unsigned())),
        Err(Errno::ENXIO) => Ok(None),
        // File systems that know of no holes.
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(Some(at)),
        Err(errno) => Err(errno.into()),
    }
}

/// Where the data at `at` ends.
fn seek_hole(file: &File, at: u64) -> io::Result<u64> {
    match lseek(file, offset(at)?, Whence::SeekHole) {
        Ok(hole) => Ok(hole.cast_unsigned()),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(u64::MAX / 2),
        Err(errno) => Err(errno.into()),
    }
}

fn offset(at: u64) -> io::Result<i64> {
    i64::try_from(at).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn fill(contents: &[(Content, &[Span])], region: &Region<'_>) -> Result<u64, FileSystemError> {
        let mut total = 0;
        let mut count = |bytes| total += bytes;
        let mut filler = Filler::new("test", region, &mut count);
        for (content, spans) in contents {
            filler.fill(content, spans.iter().copied())?;
        }
        filler.finish()?;
        Ok(total)
    }

    fn span(offset: u64, length: u64) -> Span {
        Span { offset, length }
    }

    #[test]
    fn contents_in_several_spans() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("source");
        let bytes: Vec<u8> = (0..3 * LARGE)
            .map(|at| u8::try_from(at % 253).unwrap())
            .collect();
        fs::write(&path, &bytes).unwrap();
        let size = 3 * LARGE;
        let file = tempfile::tempfile().unwrap();
        let region = Region::new(&file, 4096, 1 << 30);
        let contents = [
            (Content::Bytes(b"small".to_vec()), &[span(0, 5)][..]),
            (
                Content::File { path, size },
                &[span(4096, LARGE), span(8 << 20, size - LARGE)],
            ),
        ];
        assert_eq!(fill(&contents, &region).unwrap(), 5 + size);
        let read = |offset: u64, length: usize| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, 4096 + offset).unwrap();
            bytes
        };
        let first = usize::try_from(LARGE).unwrap();
        assert_eq!(read(0, 5), b"small");
        assert!(read(4096, first) == bytes[..first]);
        assert!(read(8 << 20, 2 * first) == bytes[first..]);
    }

    #[test]
    fn data_beside_holes_arrives() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("sparse");
        let size = 4 * LARGE + 17;
        let mut source = File::create(&path).unwrap();
        source.set_len(size).unwrap();
        for at in [3, 4095, LARGE + 4096, 2 * LARGE - 1, size - 1] {
            source.seek(SeekFrom::Start(at)).unwrap();
            source.write_all(b"x").unwrap();
        }
        let wanted = fs::read(&path).unwrap();
        let file = tempfile::tempfile().unwrap();
        let region = Region::new(&file, 0, 1 << 30);
        // Spans that begin and end inside of data.
        let spans = [
            span(0, 8192),
            span(1 << 25, 2 * LARGE),
            span(1 << 26, size - 2 * LARGE - 8192),
        ];
        fill(&[(Content::File { path, size }, &spans)], &region).unwrap();
        file.set_len(1 << 27).unwrap();
        let found: Vec<u8> = spans
            .iter()
            .flat_map(|span| {
                let mut bytes = vec![0; usize::try_from(span.length).unwrap()];
                file.read_exact_at(&mut bytes, span.offset).unwrap();
                bytes
            })
            .collect();
        assert!(found == wanted);
    }

    #[test]
    fn a_full_disk_is_a_failure_to_write() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let region = Region::new(&full, 0, 1 << 20);
        let contents = [(Content::Bytes(b"x".to_vec()), &[span(0, 1)][..])];
        let error = fill(&contents, &region).unwrap_err();
        let FileSystemError::Write { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_pipe_in_a_files_place_is_not_waited_for() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let error = open(&path, 0).unwrap_err().to_string();
        assert!(error.ends_with("it is no regular file any more"), "{error}");
    }
}
