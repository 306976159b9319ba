//! Into a root that somebody has mounted: `cairn install --root DIR`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cairn_system::Device;

use super::plan::FOLDER;
use super::system::{BootLoader, Installed, System, sync};
use super::unattended::{OWN_LOCK, is_dispensable};
use crate::configuration::{Configuration, DEFAULT_FILE};
use crate::hardware::Firmware;
use crate::hardware::mount_table::{self, Mount};
use crate::image::facts::Facts;
use crate::lock_file::write_atomically;

/// What is asked for.
#[derive(Debug)]
pub struct Mounted {
    /// Where the new machine's file systems are mounted.
    pub root: PathBuf,
    /// Its configuration; else the one that is in it.
    pub configuration: Option<PathBuf>,
    /// Whether GRUB is written.
    pub boot_loader: BootLoader,
}

impl Mounted {
    /// Installs; `configuration` makes what is evaluated of a file.
    ///
    /// # Errors
    /// Something is not mounted as the configuration says; or a step fails: then the same again goes on
    /// there.
    pub fn install(
        &self,
        configuration: &dyn Fn(&Path) -> Result<Configuration>,
    ) -> Result<Installed> {
        let root = fs::canonicalize(&self.root)
            .with_context(|| format!("cannot find '{}'", self.root.display()))?;
        let mounts = below(&root)?;
        let file = match &self.configuration {
            Some(file) => file.clone(),
            None => root.join(FOLDER).join(DEFAULT_FILE),
        };
        ensure!(
            file.exists(),
            "there is no configuration '{}'; cairn generate-config --root {} writes a first one",
            file.display(),
            root.display()
        );
        let configuration = configuration(&file)?;
        give_lock(&configuration.lock_path())?;
        let system = System::evaluate(configuration)?;
        check(&root, &system.facts, &mounts)?;
        if self.boot_loader == BootLoader::Written {
            system.check_firmware(&root, firmware())?;
        }
        let installed = system.install(&root, self.boot_loader)?;
        let places: Vec<PathBuf> = mounts
            .into_iter()
            .map(|(point, _)| root.join(point))
            .collect();
        sync(&places)?;
        Ok(installed)
    }
}

/// How this machine was started.
fn firmware() -> Firmware {
    if Path::new("/sys/firmware/efi").exists() {
        Firmware::Uefi
    } else {
        Firmware::Bios
    }
}

/// A configuration without a lock file gets that of the live medium, which has those packages.
fn give_lock(lock: &Path) -> Result<()> {
    if lock.exists() || !Path::new(OWN_LOCK).exists() {
        return Ok(());
    }
    let content = fs::read(OWN_LOCK).with_context(|| format!("cannot read '{OWN_LOCK}'"))?;
    write_atomically(lock, &content)?;
    fs::set_permissions(lock, Permissions::from_mode(0o644))
        .with_context(|| format!("cannot set the mode of '{}'", lock.display()))
}

/// What is mounted on the root and below it, by places seen from there; what lies over another one counts.
fn below(root: &Path) -> Result<Vec<(PathBuf, Mount)>> {
    ensure!(
        root != Path::new("/"),
        "'/' is the running system; cairn switch changes it"
    );
    let text =
        fs::read_to_string("/proc/self/mountinfo").context("cannot read '/proc/self/mountinfo'")?;
    let mounts = mounted_below(&text, root);
    ensure!(
        mounts.iter().any(|(point, _)| point.as_os_str().is_empty()),
        "nothing is mounted on '{}'; mount the new root file system there, and the others below it",
        root.display()
    );
    Ok(mounts)
}

fn mounted_below(mountinfo: &str, root: &Path) -> Vec<(PathBuf, Mount)> {
    let mut mounts: Vec<(PathBuf, Mount)> = Vec::new();
    for mount in mount_table::parse(mountinfo) {
        let Ok(point) = Path::new(&mount.point).strip_prefix(root) else {
            continue;
        };
        let point = point.to_owned();
        mounts.retain(|(other, _)| *other != point);
        mounts.push((point, mount));
    }
    mounts
}

/// A machine does not start with another file system than the one that its configuration names.
fn check(root: &Path, facts: &Facts, mounts: &[(PathBuf, Mount)]) -> Result<()> {
    ensure!(
        facts.file_systems.contains_key("/"),
        "the configuration has no fileSystems.\"/\"; cairn generate-config --root {} writes it into \
         hardware-configuration.nix",
        root.display()
    );
    for (mount_point, file_system) in &facts.file_systems {
        if is_dispensable(file_system) {
            continue;
        }
        let place = Path::new(mount_point.trim_start_matches('/'));
        let named = &file_system.device;
        let Some((_, mount)) = mounts.iter().find(|(point, _)| point == place) else {
            bail!(
                "fileSystems.\"{mount_point}\".device is {named}, and nothing is mounted on '{}'; mount it \
                 there, or leave it out of the configuration",
                root.join(place).display()
            );
        };
        let device = resolve(named).with_context(|| {
            format!("fileSystems.\"{mount_point}\".device is {named}, and this machine has none")
        })?;
        ensure!(
            number_of(&device)? == number_of(Path::new(&mount.source))?,
            "fileSystems.\"{mount_point}\".device is {named} ({}), and {} is mounted on '{}'",
            device.display(),
            mount.source,
            root.join(place).display()
        );
    }
    Ok(())
}

/// The number of a block device; none of what is no device.
fn number_of(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_block_device() => Ok(Some(found.rdev())),
        Ok(_) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot find '{}'", path.display())),
    }
}

/// The device that a configuration's word names here.
fn resolve(device: &Device) -> Result<PathBuf> {
    if let Device::Path(path) = device {
        return fs::canonicalize(path).with_context(|| format!("cannot find '{path}'"));
    }
    let token = device.to_string();
    let output = Command::new("blkid")
        .args([
            "--cache-file",
            "/dev/null",
            "--output",
            "device",
            "--match-token",
            &token,
        ])
        .output()
        .context("cannot run blkid; it is in util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().collect::<Vec<_>>().as_slice() {
        [] => bail!("no device is called so"),
        [one] => Ok(PathBuf::from(*one)),
        many => bail!("several devices are called so: {}", many.join(", ")),
    }
}
