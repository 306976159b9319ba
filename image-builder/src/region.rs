//! The part of the output file that one file system or table is written to.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::pages::{PAGE, Pages};

/// A part of a file that is all hole, and the count of bytes written to it.
#[derive(Debug)]
pub struct Region<'a> {
    file: &'a File,
    start: u64,
    length: u64,
}

impl<'a> Region<'a> {
    /// `length` bytes of `file` from `start` on. They must read as zeros now.
    #[must_use]
    pub fn new(file: &'a File, start: u64, length: u64) -> Self {
        Self {
            file,
            start,
            length,
        }
    }

    /// `length` bytes of it from `start` on.
    pub(crate) fn part(&self, start: u64, length: u64) -> Self {
        Self {
            file: self.file,
            start: self.start + start,
            length,
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
        self.check(bytes, offset)?;
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
        self.check(bytes, offset)?;
        self.write_run(Some(bytes), offset)
    }

    /// Has the kernel begin to write `range` to the disk, so that the sync at the end is short.
    pub(crate) fn begin_write_back(&self, range: Range<u64>) {
        let inside = |at: u64| self.start + at.min(self.length);
        cairn_sys::write_back::begin(self.file, inside(range.start)..inside(range.end));
    }

    fn check(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
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
