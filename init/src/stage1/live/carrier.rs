//! The medium as a file: each file system of the machine is mounted read-only, until one has it.
//!
//! Nothing is written to a file system that is only looked at, not even what its journal still has
//! to say: a system that sleeps on it would not wake up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cairn_sys::mount::{mount, unmount};
use cairn_sys::mount_options::MountOptions;

use nix::mount::MntFlags;

use super::medium::{Medium, read, relative};
use crate::autoload::Autoload;
use crate::stage1::block::Block;
use crate::stage1::command_line::LiveOrders;
use crate::stage1::mounts::load_type;
use crate::stage1::resolve::resolve;

/// Types that are looked into, and how each is mounted without a write.
const TYPES: [(&str, &str, &[&str]); 9] = [
    ("ext2", "ext4", &["ro", "noload"]),
    ("ext3", "ext4", &["ro", "noload"]),
    ("ext4", "ext4", &["ro", "noload"]),
    ("vfat", "vfat", &["ro"]),
    ("exfat", "exfat", &["ro"]),
    ("xfs", "xfs", &["ro", "norecovery"]),
    ("btrfs", "btrfs", &["ro", "nologreplay"]),
    ("f2fs", "f2fs", &["ro", "norecovery"]),
    ("iso9660", "iso9660", &["ro"]),
];

/// Looks for a file.
pub(super) struct Carrier {
    path: PathBuf,
    place: PathBuf,
    /// Devices that do not have it, by name and what they hold.
    tried: BTreeSet<String>,
}

impl Carrier {
    pub(super) fn new(path: &str, place: PathBuf) -> Self {
        Self {
            path: relative(path).to_owned(),
            place,
            tried: BTreeSet::new(),
        }
    }

    /// The medium, if a file system that was not looked into yet has it; that one stays mounted.
    pub(super) fn look(
        &mut self,
        blocks: &[&Block],
        autoload: &mut Autoload,
        orders: &LiveOrders,
        others: &mut BTreeSet<String>,
    ) -> Option<Medium> {
        for block in blocks {
            let kind = block.contents.as_ref().map(|contents| contents.kind);
            let known = TYPES.iter().find(|(name, ..)| Some(*name) == kind);
            let Some((_, fs_type, options)) = known else {
                continue;
            };
            if !self.tried.insert(block.to_string()) {
                continue;
            }
            load_type(autoload, fs_type);
            let node = Path::new("/dev").join(&block.name);
            let source = node.display().to_string();
            if let Err(error) = mount(&source, &self.place, fs_type, &MountOptions::parse(options))
            {
                log::info!("not looked into: {error}");
                continue;
            }
            if let Some(medium) = self.inside(&source, orders, others) {
                return Some(medium);
            }
            if let Err(error) = unmount(&self.place, MntFlags::empty()) {
                log::warn!("{error}");
            }
        }
        None
    }

    fn inside(
        &self,
        source: &str,
        orders: &LiveOrders,
        others: &mut BTreeSet<String>,
    ) -> Option<Medium> {
        let file = match resolve(&self.place, &self.path) {
            Ok(file) if file.is_file() => file,
            Ok(_) => {
                log::info!("{source} has no {}", self.path.display());
                return None;
            }
            Err(error) => {
                log::info!(
                    "cannot look for {} on {source}: {error}",
                    self.path.display()
                );
                return None;
            }
        };
        let name = format!("{} on {source}", self.path.display());
        let medium = read(&file, name, orders, others)?;
        Some(Medium {
            carrier: Some(self.place.clone()),
            ..medium
        })
    }
}
