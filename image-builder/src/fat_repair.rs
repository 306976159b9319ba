//! Puts right what `fatfs` 0.3 writes into directories of FAT16 and FAT32.
//!
//! It puts a long name in front of `.` and `..`, which must be the first and second slot of a
//! directory and have none; and it gives `..` the cluster of the root directory, where the
//! specification wants 0.
//!
//! ```text
//! written   long(.)  .   long(..)  ..   children…
//! repaired  .        ..  deleted   deleted   children…
//! ```
//!
//! The root directory of a FAT16 is no chain of clusters, but lies before them.
//!
//! Source: Microsoft FAT specification 1.03, "FAT Directory Structure".

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::pages::Pages;

const SLOT: usize = 32;
const ATTRIBUTES: usize = 11;
const DIRECTORY: u8 = 0x10;
const LONG_NAME: u8 = 0x0f;
const DELETED: u8 = 0xe5;

/// Repairs every directory of the FAT in `pages`.
pub(crate) fn repair_dot_entries(pages: Pages) -> io::Result<Pages> {
    let mut volume = Volume::open(pages)?;
    let root = volume.root;
    let mut pending = volume.subdirectories(root)?;
    while let Some(directory) = pending.pop() {
        volume.repair(directory)?;
        pending.extend(volume.subdirectories(directory)?);
    }
    Ok(volume.pages)
}

/// The places of a volume.
struct Volume {
    pages: Pages,
    width: Width,
    table: u64,
    data: u64,
    cluster: usize,
    root: u32,
}

/// What a FAT's table and root directory are like.
#[derive(Clone, Copy)]
enum Width {
    /// Entries of two bytes; a root directory of so many bytes before the clusters.
    Fat16 { root: u64 },
    /// Entries of four bytes.
    Fat32,
}

impl Volume {
    fn open(mut pages: Pages) -> io::Result<Self> {
        let mut boot = [0; 512];
        pages.seek(SeekFrom::Start(0))?;
        pages.read_exact(&mut boot)?;
        let sector = u64::from(u16_at(&boot, 11)?);
        let table = u64::from(u16_at(&boot, 14)?) * sector;
        let tables = u64::from(u8_at(&boot, 16)?);
        let cluster = u64::from(u8_at(&boot, 13)?) * sector;
        let root_slots = u64::from(u16_at(&boot, 17)?);
        let (width, table_size, root) = match u16_at(&boot, 22)? {
            0 => (Width::Fat32, u32_at(&boot, 36)?, u32_at(&boot, 44)?),
            size => {
                let root = root_slots * SLOT as u64;
                (Width::Fat16 { root }, size.into(), 0)
            }
        };
        let before_data = match width {
            Width::Fat16 { root } => root,
            Width::Fat32 => 0,
        };
        Ok(Self {
            pages,
            width,
            table,
            data: table + tables * u64::from(table_size) * sector + before_data,
            cluster: usize::try_from(cluster).map_err(io::Error::other)?,
            root,
        })
    }

    fn seek_cluster(&mut self, cluster: u32) -> io::Result<()> {
        let index = u64::from(cluster).checked_sub(2).ok_or_else(corrupt)?;
        let at = self.data + index * self.cluster as u64;
        self.pages.seek(SeekFrom::Start(at)).map(drop)
    }

    /// The bytes of one cluster of a directory; cluster 0 is the whole root directory of a FAT16.
    fn read_cluster(&mut self, cluster: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.cluster];
        match self.width {
            Width::Fat16 { root } if cluster == 0 => {
                bytes.resize(usize::try_from(root).map_err(io::Error::other)?, 0);
                self.pages.seek(SeekFrom::Start(self.data - root))?;
            }
            _ => self.seek_cluster(cluster)?,
        }
        self.pages.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn next_cluster(&mut self, cluster: u32) -> io::Result<Option<u32>> {
        // What is from there on ends a chain.
        let (width, end) = match self.width {
            Width::Fat16 { .. } if cluster == 0 => return Ok(None),
            Width::Fat16 { .. } => (2, 0xfff8),
            Width::Fat32 => (4, 0x0fff_fff8),
        };
        let mut entry = [0; 4];
        let at = self.table + u64::from(cluster) * width as u64;
        self.pages.seek(SeekFrom::Start(at))?;
        self.pages
            .read_exact(entry.get_mut(..width).ok_or_else(corrupt)?)?;
        let next = u32::from_le_bytes(entry) & 0x0fff_ffff;
        Ok((next < end).then_some(next))
    }

    /// First clusters of the directories in the one that starts at `directory`.
    fn subdirectories(&mut self, directory: u32) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        let mut cluster = Some(directory);
        while let Some(current) = cluster {
            for slot in self.read_cluster(current)?.chunks_exact(SLOT) {
                match u8_at(slot, 0)? {
                    0 => return Ok(found),
                    DELETED | b'.' => continue,
                    _ => {}
                }
                let attributes = u8_at(slot, ATTRIBUTES)?;
                if attributes & LONG_NAME != LONG_NAME && attributes & DIRECTORY != 0 {
                    found.push(first_cluster(slot)?);
                }
            }
            cluster = self.next_cluster(current)?;
        }
        Ok(found)
    }

    /// Moves `.` and `..` of the directory that starts at `cluster` to its first two slots.
    fn repair(&mut self, cluster: u32) -> io::Result<()> {
        let bytes = self.read_cluster(cluster)?;
        let mut slots = bytes.chunks_exact(SLOT);
        let (Some(_), Some(dot), Some(_), Some(dot_dot)) =
            (slots.next(), slots.next(), slots.next(), slots.next())
        else {
            return Err(corrupt());
        };
        if !dot.starts_with(b".  ") || !dot_dot.starts_with(b".. ") {
            return Err(corrupt());
        }
        let mut dot_dot = dot_dot.to_vec();
        if first_cluster(&dot_dot)? == self.root {
            for at in [20, 21, 26, 27] {
                if let Some(byte) = dot_dot.get_mut(at) {
                    *byte = 0;
                }
            }
        }
        let mut deleted = [0; SLOT];
        deleted[0] = DELETED;
        let head = [dot, &dot_dot, &deleted, &deleted].concat();
        self.seek_cluster(cluster)?;
        self.pages.write_all(&head)
    }
}

fn first_cluster(slot: &[u8]) -> io::Result<u32> {
    Ok(u32::from(u16_at(slot, 20)?) << 16 | u32::from(u16_at(slot, 26)?))
}

fn u8_at(bytes: &[u8], at: usize) -> io::Result<u8> {
    bytes.get(at).copied().ok_or_else(corrupt)
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    Ok(u16::from_le_bytes([
        u8_at(bytes, at)?,
        u8_at(bytes, at + 1)?,
    ]))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    Ok(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at + 2)?) << 16)
}

fn corrupt() -> io::Error {
    io::Error::other("fatfs wrote a directory in a way that is not known")
}
