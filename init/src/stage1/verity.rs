//! A store that the kernel verifies as it reads it: every block that is read must lead to the root hash
//! on the command line. A block that was changed cannot be read, now or later, and the kernel says which.
//!
//! Nothing of the disk is believed before: where the tree lies, its salt and the number of blocks are on the
//! command line too.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cairn_sys::mapper::{self, Mapping};
use cairn_sys::mount::{MountError, mount};
use cairn_system::Device;
use cairn_system::verity::{VERITY_PARAMETER, VERITY_STORE, Verity};

use super::failure::Stage1Error;
use super::hardware::Hardware;
use super::mounts::{Mount, load_file_system};

const DEV: &str = "/dev";
/// The name of the device.
const NAME: &str = "nix-store";
/// The kernel's module, and its target.
const MODULE: &str = "dm_verity";
const TARGET: &str = "verity";

/// Why there is no verified store.
#[derive(Debug, thiserror::Error)]
pub enum VerityError {
    /// The command line does not say what it is verified by.
    #[error("cannot mount {VERITY_STORE}: the kernel's command line has no {VERITY_PARAMETER}=")]
    NoOrder,
    /// The kernel cannot verify.
    #[error("cannot verify the store: {0}")]
    Module(String),
    /// The kernel refuses to make the device.
    #[error("cannot verify the store on {partition}: {source}", partition = partition.display())]
    Device {
        /// The partition with store and hash tree.
        partition: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is there is not what was signed, or cannot be read.
    #[error("cannot mount the store on {partition}, which is verified: {source}", partition = partition.display())]
    Mount {
        /// The partition with store and hash tree.
        partition: PathBuf,
        /// Why.
        source: Box<MountError>,
    },
}

impl VerityError {
    /// What to look at.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoOrder => vec![
                "the boot entry: only the program that the image was made with names its store"
                    .to_owned(),
            ],
            Self::Module(_) => vec![format!(
                "boot.initrd.availableKernelModules: {MODULE} must be among them"
            )],
            Self::Device { .. } | Self::Mount { .. } => vec![
                "whether the kernel says above that a block is corrupted: then the disk fails, or \
                 somebody has changed it"
                    .to_owned(),
                "the image: write it to the disk again".to_owned(),
            ],
        }
    }
}

/// Mounts the store on `target`, as `plan` says.
///
/// # Errors
/// Its partition does not come in time, or what [`VerityError`] says.
pub fn mount_store(
    verity: Option<&Verity>,
    plan: &Mount,
    target: &Path,
    hardware: &mut Hardware,
    timeout: Duration,
) -> Result<(), Stage1Error> {
    let start = Instant::now();
    let verity = verity.ok_or(VerityError::NoOrder)?;
    let device = Device::PartUuid(verity.partition());
    let partition = hardware.wait_for(&device, &plan.target, timeout)?.node;
    hardware
        .autoload
        .load(MODULE)
        .map_err(|error| VerityError::Module(error.to_string()))?;
    let node = open(verity, &partition).map_err(|source| VerityError::Device {
        partition: partition.clone(),
        source,
    })?;
    load_file_system(hardware, &plan.fs_type);
    let source = node.to_string_lossy();
    mount(&source, target, &plan.fs_type, &plan.options).map_err(|source| {
        // The next attempt makes it anew.
        if let Err(error) = mapper::remove(Path::new(DEV), NAME) {
            log::warn!("the device {NAME} stays: {error}");
        }
        VerityError::Mount {
            partition: partition.clone(),
            source: Box::new(source),
        }
    })?;
    log::info!(
        "{} mounted on {} as {}, verified by {}, after {:?}",
        partition.display(),
        plan.target,
        plan.fs_type,
        verity.root_hash(),
        start.elapsed()
    );
    Ok(())
}

/// Makes the device that verifies what it reads of `partition`.
fn open(verity: &Verity, partition: &Path) -> io::Result<PathBuf> {
    let number = std::fs::metadata(partition)?.rdev();
    let number = format!(
        "{}:{}",
        nix::sys::stat::major(number),
        nix::sys::stat::minor(number)
    );
    // As veritysetup names them, which then knows the device.
    let uuid = format!(
        "CRYPT-VERITY-{}-{NAME}",
        verity.partition().replace('-', "")
    );
    mapper::create(
        Path::new(DEV),
        &Mapping {
            name: NAME,
            uuid: &uuid,
            sectors: verity.sectors(),
            target: TARGET,
            parameters: &verity.parameters(&number),
        },
    )
}
