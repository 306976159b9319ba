//! A disk as it would be: an image that nobody writes to, and layers of sectors above it.
//!
//! A layer names where a sector's content is, most often in the log of writes, so a cut costs as
//! much as it changes. Taking a change back is dropping a layer.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::write_log::SECTOR;

/// [`SECTOR`] as a length in memory.
const SECTOR_LENGTH: usize = 512;

/// Bytes of a disk, or of a part of it.
pub trait ReadAt {
    /// Fills `buffer` from the byte `offset`.
    ///
    /// # Errors
    /// It cannot be read, or ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl<T: ReadAt> ReadAt for &T {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

/// Where the content of a sector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the log of writes, from this byte.
    Log(u64),
    /// On the image itself, at this sector: the journal's copy of another one.
    Image(u64),
    /// Nowhere: zeros.
    Zeros,
}

/// Sectors with another content than below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    sectors: BTreeMap<u64, Content>,
}

/// A sector's content: as a source has it, but for its first bytes if the journal had to hide them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    source: Source,
    head: Option<[u8; 4]>,
}

impl Layer {
    /// Gives a sector the content of a source.
    pub fn insert(&mut self, sector: u64, source: Source) {
        let head = None;
        self.sectors.insert(sector, Content { source, head });
    }

    /// Its sectors, in order.
    pub fn sectors(&self) -> impl Iterator<Item = u64> {
        self.sectors.keys().copied()
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sectors.is_empty()
    }
}

/// A disk: an image, and layers of which the later covers the earlier.
#[derive(Debug, Clone)]
pub struct Disk<'a> {
    image: &'a File,
    log: &'a File,
    layers: Vec<&'a Layer>,
}

impl<'a> Disk<'a> {
    /// The image, with contents of `layers` from `log` above it.
    #[must_use]
    pub fn new(image: &'a File, log: &'a File, layers: Vec<&'a Layer>) -> Self {
        Self { image, log, layers }
    }

    /// This disk with one more layer.
    #[must_use]
    pub fn with(&self, layer: &'a Layer) -> Self {
        let mut layers = self.layers.clone();
        layers.push(layer);
        Self { layers, ..*self }
    }

    fn content(&self, sector: u64) -> Option<Content> {
        let mut layers = self.layers.iter().rev();
        layers.find_map(|layer| layer.sectors.get(&sector).copied())
    }

    fn covers(&self, sectors: &Range<u64>) -> bool {
        let mut layers = self.layers.iter();
        layers.any(|layer| layer.sectors.range(sectors.clone()).next().is_some())
    }

    /// Makes `layer` have, at sector `to`, what this disk has at sector `from`; with `head`, the
    /// first bytes are those.
    pub fn copy_sector(&self, from: u64, head: Option<[u8; 4]>, layer: &mut Layer, to: u64) {
        let mut content = self.content(from).unwrap_or(Content {
            source: Source::Image(from),
            head: None,
        });
        content.head = head.or(content.head);
        layer.sectors.insert(to, content);
    }

    fn read_sector(&self, sector: u64, buffer: &mut [u8; SECTOR_LENGTH]) -> io::Result<()> {
        let Some(Content { source, head }) = self.content(sector) else {
            return self.image.read_exact_at(buffer, sector * SECTOR);
        };
        match source {
            Source::Log(offset) => self.log.read_exact_at(buffer, offset)?,
            Source::Image(sector) => self.image.read_exact_at(buffer, sector * SECTOR)?,
            Source::Zeros => buffer.fill(0),
        }
        if let (Some(head), Some(first)) = (head, buffer.first_chunk_mut()) {
            *first = head;
        }
        Ok(())
    }

    /// What is above the image, by sector.
    pub(crate) fn contents(&self) -> BTreeMap<u64, Content> {
        let layers = self.layers.iter();
        layers.flat_map(|layer| layer.sectors.clone()).collect()
    }

    /// What tells the content of these sectors from another: 0 if it is the image's.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn fingerprint(&self, sectors: &Range<u64>) -> io::Result<u64> {
        if !self.covers(sectors) {
            return Ok(0);
        }
        let mut hasher = DefaultHasher::new();
        let mut differs = false;
        for sector in sectors.clone() {
            let (mut now, mut before) = ([0; SECTOR_LENGTH], [0; SECTOR_LENGTH]);
            self.read_sector(sector, &mut now)?;
            self.image.read_exact_at(&mut before, sector * SECTOR)?;
            differs |= now != before;
            hasher.write(&now);
        }
        Ok(if differs { hasher.finish().max(1) } else { 0 })
    }
}

impl ReadAt for Disk<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(buffer.len() as u64);
        let sectors = offset / SECTOR..end.div_ceil(SECTOR);
        if !self.covers(&sectors) {
            return self.image.read_exact_at(buffer, offset);
        }
        let mut rest = buffer;
        let mut skip = usize::try_from(offset % SECTOR).unwrap_or_default();
        for sector in sectors {
            let mut content = [0; SECTOR_LENGTH];
            self.read_sector(sector, &mut content)?;
            let wanted = content.get(skip..).unwrap_or_default();
            let (now, later) = rest.split_at_mut(wanted.len().min(rest.len()));
            now.copy_from_slice(wanted.get(..now.len()).unwrap_or_default());
            (rest, skip) = (later, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn read(disk: &Disk<'_>, offset: u64, length: usize) -> Vec<u8> {
        let mut buffer = vec![0xee; length];
        disk.read_at(offset, &mut buffer).unwrap();
        buffer
    }

    #[test]
    fn later_layers_cover_earlier_ones() {
        let image = file(&[b'i'; 4 * 512]);
        let log = file(&[[b'a'; 512], [b'b'; 512]].concat());
        let (mut below, mut above) = (Layer::default(), Layer::default());
        below.insert(1, Source::Log(0));
        below.insert(2, Source::Log(0));
        above.insert(2, Source::Log(512));
        let disk = Disk::new(&image, &log, vec![&below]);
        assert_eq!(
            read(&disk, 0, 4 * 512),
            [[b'i'; 512], [b'a'; 512], [b'a'; 512], [b'i'; 512]].concat()
        );
        let disk = disk.with(&above);
        assert_eq!(read(&disk, 1022, 4), b"aabb");
        assert_eq!(read(&disk, 1534, 4), b"bbii");
        assert_eq!(read(&disk, 3, 2), b"ii");
        assert_eq!(disk.contents().into_keys().collect::<Vec<_>>(), [1, 2]);
        assert!(disk.read_at(4 * 512 - 1, &mut [0; 2]).is_err());
    }

    #[test]
    fn fingerprints_tell_contents_apart() {
        let image = file(&[b'i'; 4 * 512]);
        let log = file(&[[b'a'; 512], [b'i'; 512]].concat());
        let (mut other, mut same) = (Layer::default(), Layer::default());
        other.insert(1, Source::Log(0));
        same.insert(1, Source::Log(512));
        let plain = Disk::new(&image, &log, Vec::new());
        let print = |layer: &Layer, sectors| plain.with(layer).fingerprint(&sectors).unwrap();
        assert_eq!(print(&other, 2..4), 0);
        assert_ne!(print(&other, 0..2), 0);
        assert_eq!(
            print(&same, 0..2),
            0,
            "the image's own content, written again"
        );
    }

    #[test]
    fn a_copied_sector_has_its_first_bytes_back() {
        let image = file(&[b'i'; 2 * 512]);
        let log = file(b"");
        let disk = Disk::new(&image, &log, Vec::new());
        let mut layer = Layer::default();
        disk.copy_sector(0, Some(*b"head"), &mut layer, 1);
        assert_eq!(read(&disk.with(&layer), 512, 6), b"headii");
    }
}
