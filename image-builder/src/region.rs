//! The part of the output file that one file system or table is written to.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_sys::reflink;

use crate::pages::{PAGE, Pages};

/// Bytes that are copied at once.
const COPY: usize = 1 << 20;
/// Blocks are shared at multiples of this.
pub(crate) const SHARED: u64 = PAGE as u64;

/// A part of a file that is all hole.
#[derive(Debug)]
pub struct Region<'a> {
    file: &'a File,
    start: u64,
    length: u64,
    /// Whether blocks could not be shared with another file: no second one is tried.
    shares_nothing: AtomicBool,
}

impl<'a> Region<'a> {
    /// `length` bytes of `file` from `start` on. They must read as zeros now.
    #[must_use]
    pub fn new(file: &'a File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
            shares_nothing: AtomicBool::new(false),
        }
    }

    /// `length` bytes of it from `start` on.
    pub(crate) fn part(&self, start: u64, length: u64) -> Self {
        Self {
            file: self.file,
            start: self.start + start,
            length,
            shares_nothing: AtomicBool::new(!self.may_share()),
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes `bytes` at `offset`; pages of zeros are left as holes.
    ///
    /// # Errors
    /// The bytes are not inside of the region, or the file cannot be written.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(bytes.len() as u64, offset)?;
        let mut start = 0;
        let mut at = 0;
        for page in bytes.chunks(PAGE) {
            let next = at + page.len();
            if is_zero(page) {
                self.write_run(bytes.get(start..at), offset + start as u64)?;
                start = next;
            }
            at = next;
        }
        self.write_run(bytes.get(start..), offset + start as u64)
    }

    /// Writes all of `bytes` at `offset`, where something else may have been written before.
    ///
    /// # Errors
    /// As [`Region::write_at`].
    pub(crate) fn overwrite_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(bytes.len() as u64, offset)?;
        self.write_run(Some(bytes), offset)
    }

    /// Whether blocks can be shared with other files, as far as is known.
    pub(crate) fn may_share(&self) -> bool {
        let shares_nothing = self.shares_nothing.load(Ordering::Relaxed);
        !shares_nothing && self.start.is_multiple_of(SHARED)
    }

    /// Has the whole blocks of `source` in `range` at `offset`, where the file system can share them; how many
    /// bytes that are, from the range's start on. Both places are multiples of [`SHARED`].
    ///
    /// # Errors
    /// As [`Region::write_at`], or the source cannot be read.
    pub(crate) fn share(&self, source: &File, range: Range<u64>, offset: u64) -> io::Result<u64> {
        let length = range.end.saturating_sub(range.start) / SHARED * SHARED;
        let aligned = range.start.is_multiple_of(SHARED) && offset.is_multiple_of(SHARED);
        if !aligned || length == 0 || !self.may_share() {
            return Ok(0);
        }
        self.check(length, offset)?;
        let range = range.start..range.start + length;
        if reflink::share(source, range, self.file, self.start + offset)? {
            return Ok(length);
        }
        self.shares_nothing.store(true, Ordering::Relaxed);
        Ok(0)
    }

    /// Has all bytes of `source` in `range` at `offset`, shared where that can be and copied elsewhere; something
    /// else may have been written there before.
    ///
    /// # Errors
    /// As [`Region::share`].
    pub(crate) fn take_over(
        &self,
        source: &File,
        range: Range<u64>,
        offset: u64,
    ) -> io::Result<()> {
        let mut done = self.share(source, range.clone(), offset)?;
        let length = range.end.saturating_sub(range.start);
        let mut buffer = Vec::new();
        while done < length {
            let left = usize::try_from(length - done).unwrap_or(usize::MAX);
            buffer.resize(left.min(COPY), 0);
            source.read_exact_at(&mut buffer, range.start + done)?;
            self.overwrite_at(&buffer, offset + done)?;
            done += buffer.len() as u64;
        }
        Ok(())
    }

    /// Has the kernel begin to write `range` to the disk, so that the sync at the end is short.
    pub(crate) fn begin_write_back(&self, range: Range<u64>) {
        let inside = |at: u64| self.start + at.min(self.length);
        cairn_sys::write_back::begin(self.file, inside(range.start)..inside(range.end));
    }

    fn check(&self, length: u64, offset: u64) -> io::Result<()> {
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > self.length) {
            return Err(io::Error::other("the data goes beyond its partition"));
        }
        Ok(())
    }

    fn write_run(&self, bytes: Option<&[u8]>, offset: u64) -> io::Result<()> {
        match bytes {
            Some(bytes) if !bytes.is_empty() => self.file.write_all_at(bytes, self.start + offset),
            _ => Ok(()),
        }
    }

    /// Writes all that is in `pages`, from the region's start on.
    ///
    /// # Errors
    /// As [`Region::write_at`].
    pub(crate) fn write_pages(&self, pages: &Pages) -> io::Result<()> {
        pages.written().try_for_each(|(offset, page)| {
            let left = self.length.saturating_sub(offset);
            let length = usize::try_from(left).map_or(PAGE, |left| left.min(PAGE));
            self.write_at(page.get(..length).unwrap_or(page), offset)
        })
    }
}

/// Whether all of `bytes` is zero, found without a look at each byte.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; PAGE] = [0; PAGE];
    let zero = |page: &[u8]| ZEROS.get(..page.len()).is_some_and(|zeros| zeros == page);
    bytes.chunks(PAGE).all(zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn holes_stay_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let region = Region::new(&file, 4096, 1 << 19);
        let mut bytes = vec![0; 10 * PAGE + 5];
        bytes[3 * PAGE] = 1;
        bytes[10 * PAGE + 4] = 2;
        region.write_at(&bytes, 8192).unwrap();
        let mut read = vec![9; bytes.len()];
        file.read_exact_at(&mut read, 4096 + 8192).unwrap();
        assert_eq!(read, bytes);
        assert!(file.metadata().unwrap().blocks() <= 2 * 8);
    }

    #[test]
    fn nothing_is_written_beyond_the_end() {
        let file = tempfile::tempfile().unwrap();
        let region = Region::new(&file, 0, 4096);
        assert!(region.write_at(&[1; 10], 4090).is_err());
        assert!(region.write_at(&[1; 10], u64::MAX).is_err());
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}
