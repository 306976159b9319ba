//! The root of a live system: a squashfs on a disc, a stick, in a file or in the initrd, below a layer
//! that takes what is written.
//!
//! ```text
//! /run/cairn/live/carrier   the file system that has the medium as a file, with `findiso=`
//! /run/cairn/live/memory    the system in memory, with `copytoram`
//! /run/cairn/live/system    the squashfs
//! /run/cairn/live/changes   memory, or the file system that keeps them
//! /sysroot                  the overlay of the last two
//! ```
//!
//! The medium itself is not mounted: a loop device shows the part of it that is the squashfs. So a
//! partition on the same stick can keep the changes.

mod carrier;
mod check;
mod copy;
mod failure;
mod medium;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cairn_sys::kmsg::{self, Priority};
use cairn_sys::loop_device::LoopDevice;
use cairn_sys::mount::{mount, unmount};
use cairn_sys::mount_options::MountOptions;
use cairn_system::Device;
use cairn_system::live::Extent;
use nix::mount::MntFlags;

use super::command_line::LiveOrders;
use super::hardware::Hardware;
use super::mounts::load_file_system;

pub use failure::LiveError;
use medium::Medium;

/// What `fileSystems."/".device` says on a live medium.
pub const DEVICE: &str = "live-medium";

/// Folder of the mounts; it moves to the new root with `/run`.
const FOLDER: &str = "/run/cairn/live";
/// Types that can keep changes: the layer's folder needs extended attributes.
const KEEPERS: [&str; 4] = ["ext4", "xfs", "btrfs", "f2fs"];

/// Mounts the live system on `target`.
///
/// # Errors
/// See [`LiveError`].
pub fn mount_root(
    orders: Option<&LiveOrders>,
    target: &Path,
    hardware: &mut Hardware,
    timeout: Duration,
) -> Result<(), LiveError> {
    let orders = orders.ok_or(LiveError::NoOrder)?;
    load(hardware, "loop")?;
    let medium = medium::find(orders, hardware, timeout)?;
    say(&format!(
        "the live medium {} is {}",
        orders.medium, medium.name
    ));
    if orders.check {
        check::check(&medium)?;
    }
    let system = if orders.copy && !medium.in_memory {
        let copy = copy::to_memory(&medium, &folder("memory")?)?;
        leave(medium)?;
        show(&copy.0, copy.1, "the copy in memory")?
    } else {
        show(&medium.file, medium.live.system, &medium.name)?
    };
    let lower = folder("system")?;
    mount_at(
        hardware,
        &system.node().to_string_lossy(),
        &lower,
        "squashfs",
        &["ro"],
    )?;
    let changes = changes(orders, hardware)?;
    let [upper, work] = ["upper", "work"].map(|name| changes.join(name));
    for path in [&upper, &work] {
        make(path)?;
    }
    let options = [
        format!("lowerdir={}", lower.display()),
        format!("upperdir={}", upper.display()),
        format!("workdir={}", work.display()),
    ];
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    mount_at(hardware, DEVICE, target, "overlay", &options)
}

/// Where the changes go: to the file system that keeps them, if there is one; else to memory.
fn changes(orders: &LiveOrders, hardware: &mut Hardware) -> Result<PathBuf, LiveError> {
    let place = folder("changes")?;
    if let Some(label) = &orders.persistence {
        // What is there now: nothing waits for what most machines do not have.
        let found = hardware
            .find(&Device::Label(label.clone()))
            .unwrap_or_else(|ambiguous| {
                log::error!("{ambiguous}; what is written is forgotten");
                None
            });
        if let Some((node, kind)) = found
            .and_then(|found| Some((found.node, found.contents?.kind)))
            .filter(|(_, kind)| KEEPERS.contains(kind))
        {
            let source = node.to_string_lossy().into_owned();
            match mount_at(hardware, &source, &place, kind, &["rw"]) {
                Ok(()) => {
                    say(&format!("{source}, LABEL={label}, keeps what is written"));
                    // A layer fits only what it was made upon.
                    return Ok(place.join("cairn").join(orders.medium.as_str()));
                }
                Err(error) => log::error!("{error}; what is written is forgotten"),
            }
        }
    }
    mount_at(hardware, "tmpfs", &place, "tmpfs", &["mode=0755"])?;
    Ok(place)
}

/// A loop device of a part of a file or device.
fn show(file: &File, part: Extent, name: &str) -> Result<LoopDevice, LiveError> {
    LoopDevice::attach(Path::new("/dev"), file, part.offset, part.length).map_err(|source| {
        LiveError::Loop {
            what: name.to_owned(),
            source,
        }
    })
}

/// Lets go of the medium, so that it can be taken away.
fn leave(medium: Medium) -> Result<(), LiveError> {
    let Medium {
        file,
        carrier,
        name,
        ..
    } = medium;
    drop(file);
    if let Some(carrier) = carrier {
        unmount(&carrier, MntFlags::empty()).map_err(LiveError::mount)?;
    }
    say(&format!("the system is in memory: {name} can be removed"));
    Ok(())
}

fn load(hardware: &mut Hardware, module: &str) -> Result<(), LiveError> {
    match hardware.autoload.load(module) {
        Ok(_) => Ok(()),
        // Built in, perhaps.
        Err(_) if Path::new("/dev/loop-control").exists() => Ok(()),
        Err(error) => Err(LiveError::Module(error.to_string())),
    }
}

fn mount_at(
    hardware: &mut Hardware,
    source: &str,
    target: &Path,
    fs_type: &str,
    options: &[&str],
) -> Result<(), LiveError> {
    let start = Instant::now();
    load_file_system(hardware, fs_type);
    mount(source, target, fs_type, &MountOptions::parse(options)).map_err(LiveError::mount)?;
    log::info!(
        "{source} mounted on {} as {fs_type} after {:?}",
        target.display(),
        start.elapsed()
    );
    Ok(())
}

/// For whoever sits before it: information is not shown on consoles.
fn say(text: &str) {
    kmsg::write(Priority::Notice, text);
}

/// The folder `name` of the mounts.
fn folder(name: &str) -> Result<PathBuf, LiveError> {
    let path = Path::new(FOLDER).join(name);
    make(&path)?;
    Ok(path)
}

fn make(path: &Path) -> Result<(), LiveError> {
    fs::create_dir_all(path).map_err(|source| LiveError::File {
        path: path.to_owned(),
        source,
    })
}
