//! A disk region in memory that keeps only what is not zero.
//!
//! Partition tables and the EFI system partition are made here and then copied to their place, so
//! that they can be put right (and tested) without a file, and so that holes stay holes.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes of one page.
pub(crate) const PAGE: usize = 4096;

/// A region of fixed length, all zero at first.
#[derive(Debug)]
pub(crate) struct Pages {
    length: u64,
    position: u64,
    written: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Pages {
    /// `length` bytes of zero.
    pub fn new(length: u64) -> Self {
        Self {
            length,
            position: 0,
            written: BTreeMap::new(),
        }
    }

    /// Offset and content of each page that was ever written with something but zeros.
    pub fn written(&self) -> impl Iterator<Item = (u64, &[u8; PAGE])> {
        self.written
            .iter()
            .map(|(index, page)| (index * PAGE as u64, page.as_ref()))
    }

    /// Number of the page at the position, the offset in it, and how many of `wanted` bytes are
    /// inside of both the page and the region.
    fn span(&self, wanted: usize) -> (u64, usize, usize) {
        let offset = usize::try_from(self.position % PAGE as u64).unwrap_or(0);
        let left = usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let length = wanted.min(PAGE - offset).min(left);
        (self.position / PAGE as u64, offset, length)
    }
}

impl Read for Pages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (index, offset, length) = self.span(buffer.len());
        let to = buffer.iter_mut().take(length);
        match self.written.get(&index) {
            Some(page) => to
                .zip(page.iter().skip(offset))
                .for_each(|(to, from)| *to = *from),
            None => to.for_each(|to| *to = 0),
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (index, offset, length) = self.span(bytes.len());
        if length == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let bytes = bytes.get(..length).unwrap_or(bytes);
        if self.written.contains_key(&index) || bytes.iter().any(|byte| *byte != 0) {
            let page = self
                .written
                .entry(index)
                .or_insert_with(|| Box::new([0; PAGE]));
            page.iter_mut()
                .skip(offset)
                .zip(bytes)
                .for_each(|(to, from)| *to = *from);
        }
        self.position += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Pages {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zeros_take_no_page_and_the_end_is_firm() {
        let mut pages = Pages::new(10_000);
        pages.write_all(&[0; 8192]).unwrap();
        assert_eq!(pages.written().count(), 0);
        pages.seek(SeekFrom::End(-1)).unwrap();
        pages.write_all(&[1]).unwrap();
        assert!(pages.write_all(&[0]).is_err());
        assert_eq!(pages.written().count(), 1);
        assert!(pages.seek(SeekFrom::Current(-20_000)).is_err());
    }

    proptest! {
        #[test]
        fn it_is_a_file(writes in prop::collection::vec((0u64..20_000, prop::collection::vec(0u8..3, 0..9000)), 0..8)) {
            let mut pages = Pages::new(30_000);
            let mut model = vec![0; 30_000];
            for (at, bytes) in writes {
                pages.seek(SeekFrom::Start(at)).unwrap();
                pages.write_all(&bytes).unwrap();
                let at = usize::try_from(at).unwrap();
                model[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            let mut read = Vec::new();
            pages.seek(SeekFrom::Start(0)).unwrap();
            pages.read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, model);
        }
    }
}
