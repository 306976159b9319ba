//! The mounts of the description, below the folder that becomes the root.
//!
//! [`plan`] says what is mounted where; [`apply`] waits for the device, checks it, and mounts.
//! Sources of bind mounts and the folders of an overlay are paths of the new system, so they lie
//! below its root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cairn_sys::mount::{self, mount};
use cairn_sys::mount_options::{Bind, MountOptions};
use cairn_system::verity::{VERITY_STORE, Verity};
use cairn_system::{Device, FileSystem, Stage1};
use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::autoload::Autoload;
use crate::mount_table::{self, MOUNT_TABLE};

use super::btrfs;
use super::check::{self, Verdict};
use super::command_line::{Access, LiveOrders, Orders};
use super::failure::Stage1Error;
use super::hardware::Hardware;
use super::live;
use super::resolve::resolve;
use super::verity;

/// Options of an overlay whose values are paths.
const OVERLAY_PATHS: [&str; 3] = ["lowerdir=", "upperdir=", "workdir="];

/// One mount, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The mount point, in the new system.
    pub target: String,
    /// What.
    pub source: Source,
    /// The type; `auto` until the device is there.
    pub fs_type: String,
    /// How.
    pub options: MountOptions,
    /// Folders of the new system that are made before: an overlay's.
    pub folders: Vec<String>,
    /// Whether it is checked before.
    pub check: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A device that is waited for.
    Device(Device),
    /// A folder or file of the new system, for a bind mount.
    Path(String),
    /// Nothing: a name for the list of mounts.
    Name(String),
    /// The system of a live medium, if the command line names one.
    Live(Option<LiveOrders>),
    /// The store that is verified as it is read, if the command line names one.
    Verity(Option<Verity>),
}

/// What the description and the command line ask for, in order; `root` is where it will be.
#[must_use]
pub fn plan(stage1: &Stage1, orders: &Orders, root: &Path) -> Vec<Mount> {
    stage1
        .file_systems
        .iter()
        .map(|file_system| plan_one(file_system, orders, root))
        .collect()
}

fn plan_one(file_system: &FileSystem, orders: &Orders, root: &Path) -> Mount {
    let is_root = file_system.mount_point.as_str() == "/";
    let mut options = MountOptions::parse(&file_system.options);
    let mut device = file_system.device.clone();
    let mut fs_type = file_system.fs_type.clone();
    if is_root {
        if let Some(wanted) = &orders.root {
            device = wanted.clone();
        }
        if let Some(wanted) = &orders.root_type {
            fs_type.clone_from(wanted);
        }
        options = root_options(file_system, orders);
    }
    let mut folders = Vec::new();
    if fs_type == "overlay" {
        for option in &mut options.data {
            overlay_option(option, root, &mut folders);
        }
    }
    let source = match device {
        Device::Path(path) if options.bind != Bind::No => Source::Path(path),
        Device::None(name) if is_root && name == live::DEVICE => Source::Live(orders.live.clone()),
        Device::None(name) if name == VERITY_STORE => Source::Verity(orders.verity.clone()),
        Device::None(name) => Source::Name(name),
        device => Source::Device(device),
    };
    Mount {
        target: file_system.mount_point.as_str().to_owned(),
        source,
        fs_type,
        options,
        folders,
        check: !file_system.no_check,
    }
}

fn root_options(file_system: &FileSystem, orders: &Orders) -> MountOptions {
    let mut all = file_system.options.clone();
    all.extend(orders.root_flags.clone());
    match orders.access {
        Some(Access::ReadOnly) => all.push("ro".to_owned()),
        Some(Access::ReadWrite) => all.push("rw".to_owned()),
        None => {}
    }
    MountOptions::parse(&all)
}

/// Puts the paths of an overlay's option below `root`, and notes those that must exist.
fn overlay_option(option: &mut String, root: &Path, folders: &mut Vec<String>) {
    let Some(key) = OVERLAY_PATHS.iter().find(|key| option.starts_with(**key)) else {
        return;
    };
    let paths: Vec<_> = option
        .trim_start_matches(key)
        .split(':')
        .map(str::to_owned)
        .collect();
    let below = |path: &String| match path.strip_prefix('/') {
        Some(relative) => root.join(relative).to_string_lossy().into_owned(),
        None => path.clone(), // empty, between the colons before data-only layers
    };
    let placed: Vec<_> = paths.iter().map(below).collect();
    *option = format!("{key}{}", placed.join(":"));
    folders.extend(paths.into_iter().filter(|path| path.starts_with('/')));
}

/// What became of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Mounted,
    /// The check wants the machine to be restarted.
    Restart,
}

/// Mounts one file system below `root`; waits for its device at most `timeout`. A mount with
/// `nofail` that cannot be done is logged, and the next one is next.
///
/// # Errors
/// What [`Stage1Error`] says; it names the mount point.
pub fn apply(
    mount: &Mount,
    root: &Path,
    hardware: &mut Hardware,
    timeout: Duration,
) -> Result<Outcome, Stage1Error> {
    match attempt(mount, root, hardware, timeout) {
        Err(error) if mount.options.nofail => {
            log::warn!("{error}; it has the option nofail: going on without it");
            Ok(Outcome::Mounted)
        }
        result => result,
    }
}

fn attempt(
    plan: &Mount,
    root: &Path,
    hardware: &mut Hardware,
    timeout: Duration,
) -> Result<Outcome, Stage1Error> {
    let start = Instant::now();
    let target = make_folder(plan, root, &plan.target)?;
    if is_mounted(&target)? {
        log::info!("{} is mounted already", plan.target);
        return Ok(Outcome::Mounted);
    }
    for folder in &plan.folders {
        make_folder(plan, root, folder)?;
    }
    let mut fs_type = plan.fs_type.clone();
    let mut missing = None;
    let source = match &plan.source {
        Source::Live(orders) => {
            live::mount_root(orders.as_ref(), &target, hardware, timeout)?;
            return Ok(Outcome::Mounted);
        }
        Source::Verity(orders) => {
            verity::mount_store(orders.as_ref(), plan, &target, hardware, timeout)?;
            return Ok(Outcome::Mounted);
        }
        Source::Name(name) => name.clone(),
        Source::Path(path) => path_text(&make_folder(plan, root, path)?),
        Source::Device(device) => {
            let found = hardware.wait_for(device, &plan.target, timeout)?;
            if let Some(contents) = found.contents.as_ref().filter(|_| fs_type == "auto") {
                contents.kind.clone_into(&mut fs_type);
            }
            if plan.check && check_first(plan, &found.node, &fs_type)? == Verdict::Restart {
                return Ok(Outcome::Restart);
            }
            if fs_type == btrfs::TYPE {
                load_file_system(hardware, &fs_type);
                missing = btrfs::gather(hardware, &found, &plan.target, timeout)
                    .map_err(Stage1Error::Events)?;
            }
            path_text(&found.node)
        }
    };
    if plan.options.bind == Bind::No {
        load_file_system(hardware, &fs_type);
    }
    mount(&source, &target, &fs_type, &plan.options).map_err(|source| {
        let mount_point = plan.target.clone();
        match missing {
            Some(missing) => Stage1Error::Incomplete {
                mount_point,
                missing,
                errno: source.errno(),
            },
            None => Stage1Error::Mount {
                mount_point,
                source: Box::new(source),
            },
        }
    })?;
    log::info!(
        "{source} mounted on {} as {fs_type} after {:?}",
        plan.target,
        start.elapsed()
    );
    Ok(Outcome::Mounted)
}

/// Whether each mounted device is still the only one of its name: a copy may have come after it, and
/// then which one was mounted was decided by chance.
///
/// # Errors
/// There is a copy, or the kernel's events cannot be read.
pub fn look_for_copies(plans: &[Mount], hardware: &mut Hardware) -> Result<(), Stage1Error> {
    hardware.drain().map_err(Stage1Error::Events)?;
    for plan in plans {
        if let Source::Device(device) = &plan.source
            && let Err(source) = hardware.find(device)
        {
            return Err(Stage1Error::Ambiguous {
                mount_point: plan.target.clone(),
                source,
            });
        }
    }
    Ok(())
}

/// What the kernel asks for while it mounts a file system of that type, if the options don't name
/// others: each request starts a process, and the mount waits for it. Many kernels have them
/// built in, or have chosen others.
fn companions(fs_type: &str) -> &'static [&'static str] {
    match fs_type {
        "vfat" | "msdos" => &["nls_cp437", "nls_ascii"],
        _ => &[],
    }
}

/// The kernel would ask for the module itself; asked for here, a failure has a name.
pub fn load_file_system(hardware: &mut Hardware, fs_type: &str) {
    load_type(&mut hardware.autoload, fs_type);
}

/// As [`load_file_system`].
pub fn load_type(autoload: &mut Autoload, fs_type: &str) {
    if is_known_to_the_kernel(fs_type) {
        return;
    }
    if let Err(error) = autoload.load(&format!("fs-{fs_type}")) {
        log::info!("for the file system type {fs_type}: {error}");
    }
    for module in companions(fs_type) {
        if let Err(error) = autoload.load(module) {
            log::debug!("for the file system type {fs_type}: {error}");
        }
    }
}

fn is_known_to_the_kernel(fs_type: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known
        .lines()
        .any(|line| line.split_whitespace().last() == Some(fs_type))
}

fn check_first(plan: &Mount, device: &Path, fs_type: &str) -> Result<Verdict, Stage1Error> {
    if plan.options.flags.contains(MsFlags::MS_RDONLY) {
        log::info!(
            "{} is not checked: it is mounted read-only",
            device.display()
        );
        return Ok(Verdict::Mount);
    }
    match check::check(device, fs_type) {
        Ok(Verdict::Refuse { status, meaning }) => Err(Stage1Error::Check {
            mount_point: plan.target.clone(),
            device: device.to_owned(),
            fs_type: fs_type.to_owned(),
            status,
            meaning,
        }),
        Ok(verdict) => Ok(verdict),
        Err(error) => {
            // A mount of a damaged file system fails on its own; a journal is replayed by it.
            log::warn!("{} is not checked: {error}", device.display());
            Ok(Verdict::Mount)
        }
    }
}

/// The folder `path` of the new system, made if it does not exist; a file is left as it is.
fn make_folder(plan: &Mount, root: &Path, path: &str) -> Result<PathBuf, Stage1Error> {
    let failed = |path: PathBuf| {
        move |source| Stage1Error::MountPoint {
            mount_point: plan.target.clone(),
            path,
            source,
        }
    };
    let folder = resolve(root, Path::new(path)).map_err(failed(root.join(path)))?;
    if !folder.exists() {
        fs::create_dir_all(&folder).map_err(failed(folder.clone()))?;
    }
    Ok(folder)
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whether something is mounted on `target`: after a shell, stage 1 begins anew.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn is_mounted(target: &Path) -> Result<bool, Stage1Error> {
    let table = fs::read(MOUNT_TABLE).map_err(|source| Stage1Error::Read {
        path: MOUNT_TABLE.into(),
        source,
    })?;
    Ok(mount_table::parse(&table).any(|mounted| mounted.point == target))
}

/// Shows the store read-only on itself, if there is one: the file system below stays writable for
/// those who hold it.
///
/// # Errors
/// The kernel's.
pub fn protect_store(root: &Path) -> Result<(), Stage1Error> {
    let failed = |path: PathBuf| move |source: io::Error| Stage1Error::Read { path, source };
    let store = resolve(root, Path::new("/nix/store")).map_err(failed(root.join("nix/store")))?;
    if !store.is_dir() {
        log::info!("the new root has no /nix/store");
        return Ok(());
    }
    match mount::bind_on_itself(&store, &["ro", "nosuid", "nodev"]) {
        Ok(()) => Ok(()),
        Err(error) if error.errno() == Errno::EBUSY => Ok(()),
        Err(source) => Err(Stage1Error::Mount {
            mount_point: "/nix/store".to_owned(),
            source: Box::new(source),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage1::command_line::words;
    use expect_test::{Expect, expect};

    const DESCRIPTION: &str = r#"{
        "version": 1, "deviceTimeoutSeconds": 10, "rebootDelaySeconds": 5,
        "fileSystems": [
            {"mountPoint": "/", "device": "LABEL=root", "fsType": "auto", "options": ["noatime", "x-initrd.mount"]},
            {"mountPoint": "/nix/.rw", "device": "tmpfs", "fsType": "tmpfs", "options": ["mode=0755"]},
            {"mountPoint": "/nix/store", "device": "overlay", "fsType": "overlay",
             "options": ["lowerdir=/nix/.ro:/nix/.base", "upperdir=/nix/.rw/up", "workdir=/nix/.rw/work"]},
            {"mountPoint": "/var/log", "device": "/persist/log", "fsType": "none", "options": ["bind", "nofail"], "noCheck": true}
        ]}"#;

    fn check(command_line: &str, expected: &Expect) {
        let stage1 = Stage1::parse(DESCRIPTION).unwrap();
        let orders = Orders::from_words(&words(command_line));
        let lines: Vec<_> = plan(&stage1, &orders, Path::new("/sysroot"))
            .into_iter()
            .map(|mount| {
                format!(
                    "{} {:?} {} {:?} {} {:?} check {}",
                    mount.target,
                    mount.source,
                    mount.fs_type,
                    mount.options.flags,
                    mount.options.data_text(),
                    mount.folders,
                    mount.check
                )
            })
            .collect();
        expected.assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn the_description_is_followed() {
        check(
            "",
            &expect![[r#"
            / Device(Label("root")) auto MsFlags(MS_NOATIME)  [] check true
            /nix/.rw Name("tmpfs") tmpfs MsFlags(0x0) mode=0755 [] check true
            /nix/store Name("overlay") overlay MsFlags(0x0) lowerdir=/sysroot/nix/.ro:/sysroot/nix/.base,upperdir=/sysroot/nix/.rw/up,workdir=/sysroot/nix/.rw/work ["/nix/.ro", "/nix/.base", "/nix/.rw/up", "/nix/.rw/work"] check true
            /var/log Path("/persist/log") none MsFlags(0x0)  [] check false
        "#]],
        );
    }

    #[test]
    fn the_command_line_changes_the_root() {
        check(
            "root=/dev/vda2 rootfstype=ext4 rootflags=data=writeback,relatime ro",
            &expect![[r#"
            / Device(Path("/dev/vda2")) ext4 MsFlags(MS_RDONLY | MS_RELATIME) data=writeback [] check true
            /nix/.rw Name("tmpfs") tmpfs MsFlags(0x0) mode=0755 [] check true
            /nix/store Name("overlay") overlay MsFlags(0x0) lowerdir=/sysroot/nix/.ro:/sysroot/nix/.base,upperdir=/sysroot/nix/.rw/up,workdir=/sysroot/nix/.rw/work ["/nix/.ro", "/nix/.base", "/nix/.rw/up", "/nix/.rw/work"] check true
            /var/log Path("/persist/log") none MsFlags(0x0)  [] check false
        "#]],
        );
    }
}
