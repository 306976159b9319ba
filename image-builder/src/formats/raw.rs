//! A raw image and where its data is.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::fill::data_of;
use crate::region::{Region, is_zero};

use super::Failure;

/// Most bytes that are copied at once.
const STEP: u64 = 1 << 20;

/// A raw image, open for reading.
#[derive(Debug)]
pub(super) struct Raw {
    file: File,
    /// Its length in bytes.
    pub size: u64,
    /// What is not a hole, in ascending order.
    data: Vec<Range<u64>>,
}

impl Raw {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let size = metadata.len();
        let data = data_of(&file, size)?;
        Ok(Self { file, size, data })
    }

    /// Bytes that are not holes.
    pub fn data_size(&self) -> u64 {
        self.data
            .iter()
            .map(|extent| extent.end - extent.start)
            .sum()
    }

    /// Numbers of the units of `unit` bytes that have data, in ascending order.
    pub fn units(&self, unit: u64) -> Vec<u64> {
        let mut units = Vec::new();
        for extent in &self.data {
            let first = extent.start / unit;
            let next = units.last().map_or(first, |last| first.max(last + 1));
            units.extend(next..extent.end.div_ceil(unit));
        }
        units
    }

    /// Fills `buffer` from `offset` on, with zeros beyond the image's end.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let left = self.size.saturating_sub(offset);
        let inside = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (inside, beyond) = buffer.split_at_mut(inside);
        beyond.fill(0);
        self.file.read_exact_at(inside, offset)
    }

    /// Copies the units of `unit` bytes that are not all zero to `region`, one after the other from
    /// `start` on, and gives back their numbers. Where the image has holes, and where only zeros,
    /// makes no difference: file systems differ in it.
    pub fn copy_units(
        &self,
        region: &Region<'_>,
        unit: u64,
        start: u64,
    ) -> Result<Vec<u64>, Failure> {
        let mut buffer = vec![0; super::length_of(unit)?];
        let mut copied = Vec::new();
        for number in self.units(unit) {
            self.read(&mut buffer, number * unit)
                .map_err(Failure::Read)?;
            if is_zero(&buffer) {
                continue;
            }
            region
                .write_at(&buffer, start + copied.len() as u64 * unit)
                .map_err(Failure::Write)?;
            copied.push(number);
        }
        Ok(copied)
    }

    /// Copies all to `region`, at the same places.
    pub fn copy(&self, region: &Region<'_>) -> Result<(), Failure> {
        let mut buffer = Vec::new();
        for extent in &self.data {
            let mut at = extent.start;
            while at < extent.end {
                let length = (extent.end - at).min(STEP);
                buffer.resize(super::length_of(length)?, 0);
                self.read(&mut buffer, at).map_err(Failure::Read)?;
                region.write_at(&buffer, at).map_err(Failure::Write)?;
                at += length;
            }
        }
        Ok(())
    }
}
