//! A raw disk image in the formats that hypervisors and clouds take.
//!
//! Only what is not a hole in the raw image is read. The bytes follow from the raw image and the
//! seed alone: identifiers are derived, and times are the image's epoch.

mod ova;
mod qcow2;
mod raw;
mod vdi;
mod vhd;
mod vmdk;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::output::{Output, OutputError};
use crate::region::Region;

use raw::Raw;

/// What every format has a whole number of.
const MIB: u64 = 1 << 20;

/// A format of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// QEMU's, version 3, without compression.
    Qcow2,
    /// VMware's, stream-optimised: compressed.
    Vmdk,
    /// VirtualBox's, dynamic.
    Vdi,
    /// Microsoft's, fixed: the kind that Azure takes.
    Vhd,
    /// A virtual machine with its disk, for VirtualBox and VMware.
    Ova,
}

impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "VMDK",
            Self::Vdi => "VDI",
            Self::Vhd => "VHD",
            Self::Ova => "OVA",
        })
    }
}

/// What is to be made of a raw image.
#[derive(Debug, Clone, Copy)]
pub struct Conversion<'a> {
    /// The raw image, whose size is a multiple of 1 MiB.
    pub raw: &'a Path,
    /// What it becomes.
    pub format: DiskFormat,
    /// Name of the virtual machine, where the format has one.
    pub name: &'a str,
    /// A hash of what goes into the image: identifiers come from it.
    pub seed: &'a [u8; 32],
    /// Time of making, in seconds since 1970.
    pub epoch: u32,
}

/// Why a disk cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The raw image cannot be read.
    #[error("cannot read the disk image '{path}': {source}")]
    Read {
        /// The raw image.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The format cannot hold it.
    #[error("cannot convert '{path}' to {format}: {problem}")]
    Unfit {
        /// The raw image.
        path: PathBuf,
        /// What it was to become.
        format: DiskFormat,
        /// Why not.
        problem: String,
    },
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// On which side of a conversion something failed.
#[derive(Debug)]
enum Failure {
    Read(io::Error),
    Write(io::Error),
    Unfit(String),
}

/// Makes `output`, which appears when it is whole and durable; what was there before stays until
/// then.
///
/// # Errors
/// See [`FormatError`]. Nothing is left behind.
pub fn convert(conversion: &Conversion<'_>, output: &Path) -> Result<(), FormatError> {
    let path = conversion.raw;
    let raw = Raw::open(path).map_err(|source| FormatError::Read {
        path: path.to_owned(),
        source,
    })?;
    if !raw.size.is_multiple_of(MIB) {
        return Err(FormatError::Unfit {
            path: path.to_owned(),
            format: conversion.format,
            problem: "its size is no multiple of 1 MiB".to_owned(),
        });
    }
    // A compressed one is smaller; by how much is not known.
    let needed = match conversion.format {
        DiskFormat::Vmdk | DiskFormat::Ova => 0,
        DiskFormat::Qcow2 | DiskFormat::Vdi | DiskFormat::Vhd => raw.data_size(),
    };
    let output = Output::create(output, 0, needed)?;
    let region = Region::new(output.file(), 0, u64::MAX);
    let written = match conversion.format {
        DiskFormat::Qcow2 => qcow2::write(&raw, &region),
        DiskFormat::Vmdk => vmdk::write(&raw, conversion, &region),
        DiskFormat::Vdi => vdi::write(&raw, conversion, &region),
        DiskFormat::Vhd => vhd::write(&raw, conversion, &region),
        DiskFormat::Ova => ova::write(&raw, conversion, &region),
    };
    let size = written.map_err(|failure| match failure {
        Failure::Read(source) => FormatError::Read {
            path: path.to_owned(),
            source,
        },
        Failure::Write(source) => output.failure(source, needed).into(),
        Failure::Unfit(problem) => FormatError::Unfit {
            path: path.to_owned(),
            format: conversion.format,
            problem,
        },
    })?;
    let sized = output.file().set_len(size);
    sized.map_err(|source| output.failure(source, needed))?;
    output.finish()?;
    Ok(())
}

impl Conversion<'_> {
    /// An identifier for `purpose`.
    fn uuid(&self, purpose: &str) -> Uuid {
        let context = format!("cairn 2026 disk format: {purpose}");
        let mut bytes = [0; 16];
        blake3::Hasher::new_derive_key(&context)
            .update(self.seed)
            .finalize_xof()
            .fill(&mut bytes);
        Uuid::new_v8(bytes)
    }
}

/// `value` as 32 bits, if it fits.
fn u32_of(value: u64) -> Result<u32, Failure> {
    u32::try_from(value).map_err(|_| Failure::Unfit("it is too large".to_owned()))
}

/// `value` as a length in memory.
fn length_of(value: u64) -> Result<usize, Failure> {
    usize::try_from(value).map_err(|_| Failure::Unfit("it is too large".to_owned()))
}
