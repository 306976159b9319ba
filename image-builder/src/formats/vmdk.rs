//! VMDK, stream-optimised: grains of 64 KiB, each with data compressed, all in one pass.
//!
//! ```text
//! header, 1 sector | descriptor, 20 sectors | zeros to sector 128
//! grains:   u64 first sector, u32 length, zlib stream, zeros to a sector's end
//! tables:   after the grains of 32 MiB: marker, then u32 sector of each of 512 grains
//! end:      marker, u32 sector of each table | marker, header with the sector of these | 0
//! marker:   u64 sectors after it, u32 0, u32 kind; one sector
//! ```
//! Grains are compressed by all cores and written in order. Numbers are little-endian; places are
//! in sectors of 512 bytes.
//!
//! Source: VMware Virtual Disk Format 5.0, section 4.

use std::io;
use std::num::NonZero;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::in_order::{Schedule, in_order};
use crate::region::{Region, is_zero};

use super::raw::Raw;
use super::{Conversion, Failure, length_of, u32_of};

const SECTOR: u64 = 512;
const GRAIN: u64 = 64 << 10;
/// Grains in a table.
const TABLE: u32 = 512;
const OVERHEAD: u64 = 128;
const DESCRIPTOR_SECTORS: u64 = 20;
/// Where the header says that the directory's place is in the footer.
const AT_END: u64 = u64::MAX;
/// Grains that a thread compresses at once.
const BATCH: usize = 16;
/// Effort of zlib: beyond it, twice the time makes some per cent less.
const LEVEL: u32 = 3;
/// Batches that are done and not yet written.
const AHEAD: usize = 16;

/// Kinds of markers.
#[derive(Debug, Clone, Copy)]
enum Marker {
    Table = 1,
    Directory = 2,
    Footer = 3,
}

/// Writes the image, and gives back its length.
pub(super) fn write(
    raw: &Raw,
    conversion: &Conversion<'_>,
    region: &Region<'_>,
) -> Result<u64, Failure> {
    let mut position = 0;
    stream(raw, conversion, &mut |bytes| {
        region.write_at(bytes, position)?;
        position += bytes.len() as u64;
        Ok(())
    })
}

/// Gives the image to `sink`, piece by piece, and gives back its length.
pub(super) fn stream(
    raw: &Raw,
    conversion: &Conversion<'_>,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, Failure> {
    let tables = raw.size.div_ceil(GRAIN * u64::from(TABLE));
    let mut stream = Stream {
        sink,
        sector: 0,
        directory: vec![0; length_of(tables)?],
        table: None,
    };
    let capacity = raw.size.div_ceil(GRAIN) * (GRAIN / SECTOR);
    stream.put(&header(capacity, AT_END))?;
    let mut descriptor = descriptor(capacity, conversion).into_bytes();
    descriptor.resize(length_of((OVERHEAD - 1) * SECTOR)?, 0);
    stream.put(&descriptor)?;

    let grains = raw.units(GRAIN);
    let batches: Vec<&[u64]> = grains.chunks(BATCH).collect();
    let schedule = Schedule {
        pieces: batches.len(),
        threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        ahead: AHEAD,
    };
    in_order(
        schedule,
        || Ok(Packer::new()),
        |packer, number| packer.pack(raw, batches.get(number).copied().unwrap_or_default()),
        |_| false,
        |_, batch| batch.iter().try_for_each(|grain| stream.put_grain(grain)),
    )?;
    stream.finish(capacity)
}

/// A compressed grain as it is stored; grains of zeros are not.
struct Grain {
    number: u64,
    bytes: Vec<u8>,
}

/// A thread's memory.
struct Packer {
    zlib: Compress,
    raw: Vec<u8>,
}

impl Packer {
    fn new() -> Self {
        Self {
            zlib: Compress::new(Compression::new(LEVEL), true),
            raw: Vec::new(),
        }
    }

    fn pack(&mut self, raw: &Raw, grains: &[u64]) -> Result<Vec<Grain>, Failure> {
        let mut packed = Vec::new();
        for number in grains {
            self.raw.resize(length_of(GRAIN)?, 0);
            raw.read(&mut self.raw, number * GRAIN)
                .map_err(Failure::Read)?;
            if !is_zero(&self.raw) {
                packed.push(Grain {
                    number: *number,
                    bytes: self.compress(*number)?,
                });
            }
        }
        Ok(packed)
    }

    fn compress(&mut self, number: u64) -> Result<Vec<u8>, Failure> {
        self.zlib.reset();
        // Stored blocks of what cannot be compressed add some bytes each.
        let mut stream = Vec::with_capacity(self.raw.len() + self.raw.len() / 8 + 64);
        let status = self
            .zlib
            .compress_vec(&self.raw, &mut stream, FlushCompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) {
            let error = io::Error::other("zlib does not compress");
            return Err(Failure::Write(error));
        }
        let mut bytes = Vec::with_capacity(stream.len() + 1024);
        bytes.extend_from_slice(&(number * GRAIN / SECTOR).to_le_bytes());
        bytes.extend_from_slice(&u32_of(stream.len() as u64)?.to_le_bytes());
        bytes.append(&mut stream);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        Ok(bytes)
    }
}

/// The output, and the tables of what is in it.
struct Stream<'a> {
    sink: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    /// Sectors written.
    sector: u64,
    directory: Vec<u32>,
    /// The table that is being filled, and its number.
    table: Option<(u64, Vec<u32>)>,
}

impl Stream<'_> {
    /// Writes whole sectors.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        (self.sink)(bytes).map_err(Failure::Write)?;
        self.sector += bytes.len() as u64 / SECTOR;
        Ok(())
    }

    fn put_grain(&mut self, grain: &Grain) -> Result<(), Failure> {
        let number = grain.number / u64::from(TABLE);
        if self.table.as_ref().is_some_and(|(open, _)| *open != number) {
            self.close_table()?;
        }
        let place = u32_of(self.sector)?;
        let empty = || (number, [0; 512].to_vec());
        let (_, table) = self.table.get_or_insert_with(empty);
        if let Some(entry) = table.get_mut(length_of(grain.number % u64::from(TABLE))?) {
            *entry = place;
        }
        self.put(&grain.bytes)
    }

    fn close_table(&mut self) -> Result<(), Failure> {
        let Some((number, table)) = self.table.take() else {
            return Ok(());
        };
        let place = self.put_marked(Marker::Table, &entries(&table))?;
        if let Some(entry) = self.directory.get_mut(length_of(number)?) {
            *entry = u32_of(place)?;
        }
        Ok(())
    }

    /// Writes a marker and what it marks, and gives back the sector of that.
    fn put_marked(&mut self, marker: Marker, bytes: &[u8]) -> Result<u64, Failure> {
        let mut sector = vec![0; 512];
        let words = [bytes.len() as u64 / SECTOR, (marker as u64) << 32];
        for (place, word) in sector.chunks_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.put(&sector)?;
        let place = self.sector;
        self.put(bytes)?;
        Ok(place)
    }

    fn finish(mut self, capacity: u64) -> Result<u64, Failure> {
        self.close_table()?;
        let directory = entries(&self.directory);
        let place = self.put_marked(Marker::Directory, &directory)?;
        self.put_marked(Marker::Footer, &header(capacity, place))?;
        self.put(&[0; 512])?;
        Ok(self.sector * SECTOR)
    }
}

/// Entries of a table, to a sector's end.
fn entries(values: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// The header; `directory` is the sector of the directory of tables.
fn header(capacity: u64, directory: u64) -> Vec<u8> {
    let mut bytes = b"KDMV".to_vec();
    // Version 3; newlines are checked, grains compressed, and there are markers.
    bytes.extend_from_slice(&3u32.to_le_bytes());
    bytes.extend_from_slice(&0x0003_0001u32.to_le_bytes());
    for value in [capacity, GRAIN / SECTOR, 1, DESCRIPTOR_SECTORS] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&TABLE.to_le_bytes());
    // No second directory.
    for value in [0, directory, OVERHEAD] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    // Shut down cleanly; the newlines; deflate.
    bytes.extend_from_slice(b"\0\n \r\n\x01\0");
    bytes.resize(512, 0);
    bytes
}

fn descriptor(capacity: u64, conversion: &Conversion<'_>) -> String {
    let id = conversion.uuid("vmdk").simple().to_string();
    let content = id.get(..8).unwrap_or_default();
    let cylinders = capacity / (255 * 63);
    format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         CID={content}\n\
         parentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\
         \n\
         # Extent description\n\
         RDONLY {capacity} SPARSE \"disk.vmdk\"\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.adapterType = \"lsilogic\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"255\"\n\
         ddb.geometry.sectors = \"63\"\n\
         ddb.longContentID = \"{id}\"\n\
         ddb.virtualHWVersion = \"7\"\n"
    )
}
