//! A closure and its boot entries to a bootable image, without root, loop devices or a VM.

#![forbid(unsafe_code)]

mod cpio;
mod disk;
mod ext4;
mod ext4_size;
mod fat;
mod fat_repair;
mod file_system;
mod fill;
mod folder;
mod formats;
mod identifiers;
mod in_order;
mod initrd;
pub mod iso;
mod kernel_modules;
mod layout;
mod manifest;
mod media;
mod microcode;
mod netboot;
mod object_tree;
mod output;
mod pages;
mod partition_table;
mod region;
pub mod squashfs;
mod swap;
mod tarball;
mod verified;
mod volume;

pub use cpio::{CpioError, write_cpio};
pub use disk::{BiosBoot, Disk, DiskError, Ext4Part, Progress, Swap, plan, write};
pub use ext4::Ext4;
pub use fat::{Fat, Medium};
pub use file_system::{FileSystemError, FileSystemWriter};
pub use fill::data_of;
pub use folder::{FolderError, Omitted, remove_tree, write_folder};
pub use formats::{Conversion, DiskFormat, FormatError, convert};
pub use identifiers::Identifiers;
pub use initrd::{Initrd, InitrdError, Link, StoreObject};
pub use kernel_modules::{
    ANY_HARDWARE, Closure, Module, ModuleError, ModuleTree, VIRTUAL_MACHINE, Wanted, drivers,
    file_system_modules, firmware_of,
};
pub use layout::{
    BOOT_PARTITION, Layout, Partition, PartitionKind, ROOT_PARTITION, SECTOR, SWAP_PARTITION,
    SectorSize,
};
pub use manifest::{Content, ContentHash, Manifest, ManifestError, Node};
pub use microcode::{Microcode, MicrocodeError, Vendor};
pub use netboot::{LiveInitrd, LiveInitrdError};
pub use object_tree::ObjectTree;
pub use output::OutputError;
pub use region::Region;
pub use tarball::{TarCompression, TarballError, write_tarball};
pub use verified::{VerifiedDisk, VerifiedLayout};
pub use volume::write_volume;
