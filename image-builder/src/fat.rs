//! The FAT of the EFI system partition, by the crate `fatfs`.
//!
//! FAT32 on fixed disks, as the UEFI specification (2.10, section 13.3) wants it; FAT16, which is
//! smaller, on removable media. FAT keeps no owners, modes or times of the manifest: every entry is dated 1980-01-01.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use fatfs::{
    Date, DateTime, Dir, FatType, FormatVolumeOptions, FsOptions, ReadWriteSeek, Time, TimeProvider,
};

use crate::fat_repair::repair_dot_entries;
use crate::file_system::{FileSystemError, FileSystemWriter};
use crate::layout::SectorSize;
use crate::manifest::{Content, Manifest, Node};
use crate::pages::Pages;
use crate::region::Region;

const KIND: &str = "FAT";

/// A FAT file system to be.
#[derive(Debug, Clone)]
pub struct Fat {
    /// What it is on.
    pub medium: Medium,
    /// The unit of that; a cluster is one of them.
    pub sector_size: SectorSize,
    /// Its serial number.
    pub serial: u32,
    /// Its label, padded with blanks.
    pub label: [u8; 11],
}

/// What a FAT is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A disk that stays: FAT32.
    Fixed,
    /// A disc or a stick: FAT16.
    Removable,
}

impl Medium {
    /// With clusters of one sector, above those that make it a FAT of that kind: 65525 make a FAT32,
    /// 4085 a FAT16.
    fn smallest(self, sector_size: SectorSize) -> u64 {
        match (self, sector_size) {
            (Self::Fixed, SectorSize::Bytes512) => 64 << 20,
            (Self::Fixed, SectorSize::Bytes4096) => 260 << 20,
            (Self::Removable, SectorSize::Bytes512) => 4 << 20,
            (Self::Removable, SectorSize::Bytes4096) => 20 << 20,
        }
    }

    /// A FAT16 has no more clusters; what is left to one is the tables' and the root directory's.
    fn largest(self) -> u64 {
        match self {
            Self::Fixed => u64::MAX,
            Self::Removable => 31 << 20,
        }
    }

    fn fat_type(self) -> FatType {
        match self {
            Self::Fixed => FatType::Fat32,
            Self::Removable => FatType::Fat16,
        }
    }
}

impl FileSystemWriter for Fat {
    fn size(&self, tree: &Manifest, free: u64) -> Result<u64, FileSystemError> {
        let cluster = self.sector_size.bytes();
        let smallest = self.medium.smallest(self.sector_size);
        let content: u64 = tree
            .entries()
            .map(|(path, node)| {
                let size = match &node.content {
                    Content::Bytes(bytes) => bytes.len() as u64,
                    Content::File { size, .. } => *size,
                    _ => 0,
                };
                // A directory, and long names in its parent.
                size.next_multiple_of(cluster) + cluster + 4 * path.as_os_str().len() as u64
            })
            .sum();
        // Two tables of four bytes per cluster, boot sectors, and some room.
        let needed = content + free + content / 32 + smallest / 16;
        let size = needed.max(smallest).next_multiple_of(1 << 20);
        if size > self.medium.largest() {
            return Err(FileSystemError::Whole {
                kind: KIND,
                label: self.label_text(),
                size,
                problem: "that is more than a FAT16 holds".to_owned(),
            });
        }
        Ok(size)
    }

    fn write(
        &self,
        tree: &Manifest,
        region: &Region<'_>,
        written: &mut dyn FnMut(u64),
    ) -> Result<(), FileSystemError> {
        check_names(tree)?;
        let mut pages = Pages::new(region.length());
        self.format(&mut pages)
            .map_err(|error| self.whole(region, &error))?;
        let pages = populate(tree, pages, written)?;
        let pages = repair_dot_entries(pages).map_err(|error| self.whole(region, &error))?;
        region
            .write_pages(&pages)
            .map_err(|source| FileSystemError::Write { kind: KIND, source })
    }
}

impl Fat {
    fn format(&self, pages: &mut Pages) -> io::Result<()> {
        let sector = self.sector_size.bytes();
        let options = FormatVolumeOptions::new()
            .fat_type(self.medium.fat_type())
            .bytes_per_sector(u16::try_from(sector).map_err(io::Error::other)?)
            .bytes_per_cluster(u32::try_from(sector).map_err(io::Error::other)?)
            .volume_id(self.serial)
            .volume_label(self.label);
        fatfs::format_volume(pages, options)
    }

    fn label_text(&self) -> String {
        String::from_utf8_lossy(&self.label).trim().to_owned()
    }

    fn whole(&self, region: &Region<'_>, error: &io::Error) -> FileSystemError {
        FileSystemError::Whole {
            kind: KIND,
            label: self.label_text(),
            size: region.length(),
            problem: error.to_string(),
        }
    }
}

/// Refuses names that are one and the same on FAT, which does not tell `a` from `A`: `fatfs` would
/// write one over the other.
fn check_names(tree: &Manifest) -> Result<(), FileSystemError> {
    let mut names = BTreeSet::new();
    tree.entries().try_for_each(|(path, _)| {
        let name = text(path)?.to_uppercase();
        if names.insert(name) {
            Ok(())
        } else {
            Err(refused(path, "another name differs from it only in case"))
        }
    })
}

fn populate(
    tree: &Manifest,
    pages: Pages,
    written: &mut dyn FnMut(u64),
) -> Result<Pages, FileSystemError> {
    let mut device = pages;
    let options = FsOptions::new()
        .time_provider(&BEGINNING)
        .update_accessed_date(false);
    let whole = |path: &Path, error: &io::Error| refused(path, &error.to_string());
    {
        let file_system = fatfs::FileSystem::new(&mut device, options)
            .map_err(|error| whole(Path::new(""), &error))?;
        let root = file_system.root_dir();
        for (path, node) in tree.entries().skip(1) {
            let name = text(path)?;
            if has_name(&root, name) {
                return Err(refused(path, "another name has this one as its short form"));
            }
            match &node.content {
                Content::Directory => {
                    root.create_dir(name).map_err(|error| whole(path, &error))?;
                }
                Content::Bytes(_) | Content::File { .. } => {
                    let bytes = content(node)?;
                    root.create_file(name)
                        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.flush()))
                        .map_err(|error| whole(path, &error))?;
                    written(bytes.len() as u64);
                }
                Content::Symlink(_)
                | Content::CharDevice { .. }
                | Content::BlockDevice { .. }
                | Content::HardLink(_) => {
                    return Err(refused(path, "FAT has files and directories only"));
                }
            }
        }
        drop(root);
        file_system
            .unmount()
            .map_err(|error| whole(Path::new(""), &error))?;
    }
    Ok(device)
}

/// Whether there is something at `path` already, which `fatfs` would take for the same file: a long name that
/// was written before may have it as its short form. Those alone have a tilde.
fn has_name<T: ReadWriteSeek>(root: &Dir<'_, T>, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains('~')
        && !root
            .open_file(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// All bytes of a file; files in an EFI system partition are small.
fn content(node: &Node) -> Result<Vec<u8>, FileSystemError> {
    match &node.content {
        Content::File { path, size } => {
            let mut bytes = Vec::new();
            File::open(path)
                .and_then(|file| file.take(size + 1).read_to_end(&mut bytes))
                .map_err(|source| FileSystemError::Read {
                    path: path.clone(),
                    source,
                })?;
            if bytes.len() as u64 != *size {
                return Err(FileSystemError::Changed {
                    path: path.clone(),
                    expected: *size,
                    found: bytes.len() as u64,
                });
            }
            Ok(bytes)
        }
        Content::Bytes(bytes) => Ok(bytes.clone()),
        _ => Ok(Vec::new()),
    }
}

fn text(path: &Path) -> Result<&str, FileSystemError> {
    path.to_str()
        .ok_or_else(|| refused(path, "its name is not UTF-8"))
}

fn refused(path: &Path, problem: &str) -> FileSystemError {
    FileSystemError::Entry {
        kind: KIND,
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

/// The first moment that FAT knows.
#[derive(Debug)]
struct Beginning;

static BEGINNING: Beginning = Beginning;

impl TimeProvider for Beginning {
    fn get_current_date(&self) -> Date {
        Date {
            year: 1980,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime {
            date: self.get_current_date(),
            time: Time {
                hour: 0,
                min: 0,
                sec: 0,
                millis: 0,
            },
        }
    }
}
