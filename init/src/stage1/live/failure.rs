//! Why there is no live system, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cairn_sys::mount::MountError;
use cairn_system::live::{LIVE_PARAMETER, MediumId};

/// Why there is no live system.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The command line names no medium.
    #[error("cannot find the live medium: the kernel's command line has no {LIVE_PARAMETER}=")]
    NoOrder,
    /// No device is the medium.
    #[error("cannot find the live medium {medium}{file} after {} s{others}", waited.as_secs())]
    NoMedium {
        /// The medium.
        medium: MediumId,
        /// The file that it was to be, with ` in the file ` before it.
        file: String,
        /// Other media that are there, as a part of the sentence.
        others: String,
        /// How long.
        waited: Duration,
    },
    /// The kernel gives no events of devices.
    #[error("cannot listen to the kernel's device events: {0}")]
    Events(io::Error),
    /// There is no driver of loop devices.
    #[error("cannot show the system on the live medium: {0}")]
    Module(String),
    /// A loop device cannot be had.
    #[error("cannot show the system on {what} as a device: {source}")]
    Loop {
        /// What has the system.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel refuses a mount.
    #[error("{0}")]
    Mount(Box<MountError>),
    /// A file or folder of stage 1's own.
    #[error("cannot use {path} for the live system: {source}", path = path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The medium cannot be read.
    #[error("cannot read {what} on the live medium {name}: {source}")]
    Read {
        /// The medium.
        name: String,
        /// What was read.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The medium is not what was written.
    #[error("the live medium {name} is damaged: {damage}")]
    Damaged {
        /// The medium.
        name: String,
        /// Where.
        damage: String,
    },
    /// There is too little memory.
    #[error("cannot copy the system to memory: it has {needed} MiB, and {free} MiB are free")]
    Memory {
        /// MiB of the system.
        needed: u64,
        /// MiB that are free.
        free: u64,
    },
}

impl LiveError {
    pub(super) fn mount(error: MountError) -> Self {
        Self::Mount(Box::new(error))
    }

    /// What to look at.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hints: &[&str] = match self {
            Self::NoOrder => &[
                "the boot entry: it needs cairn.live= with the medium's id, as the medium's own menu has it",
            ],
            Self::NoMedium { file, .. } if file.is_empty() => &[
                "whether the medium is still there, and in a drive or port that works",
                "boot.initrd.availableKernelModules: the driver of the drive or its controller",
            ],
            Self::NoMedium { .. } => &[
                "findiso= on the kernel's command line: the path in its file system",
                "boot.initrd.supportedFilesystems: the type of the file system that has the file",
            ],
            Self::Damaged { .. } | Self::Read { .. } => {
                &["write the medium again, and compare the image with its checksum before"]
            }
            Self::Memory { .. } => &["boot the entry that does not copy the system to memory"],
            Self::Module(_) | Self::Loop { .. } | Self::Mount(_) => {
                &["the initrd needs the modules loop, squashfs and overlay"]
            }
            Self::Events(_) | Self::File { .. } => &[],
        };
        hints.iter().map(|&hint| hint.to_owned()).collect()
    }
}
