//! Into a root that somebody has mounted: `cairn install --root DIR`.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::members;
use super::plan::FOLDER;
use super::system::{BootLoader, Installed, System, sync};
use super::unattended::{OWN_LOCK, is_dispensable};
use crate::configuration::{Configuration, DEFAULT_FILE};
use crate::hardware::Firmware;
use crate::hardware::mount_table::{self, Mount};
use crate::image::facts::{Facts, FileSystemFacts};
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
            let firmware = Firmware::of(Path::new("/"))?;
            system.check_signed(firmware)?;
            system.check_firmware(&root, firmware)?;
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
    // What others have mounted may have any name.
    let table = fs::read("/proc/self/mountinfo").context("cannot read '/proc/self/mountinfo'")?;
    let mounts = mounted_below(&String::from_utf8_lossy(&table), root);
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
        check_mount(&root.join(place), mount, file_system)
            .with_context(|| format!("fileSystems.\"{mount_point}\".device is {named}"))?;
    }
    Ok(())
}

/// What is mounted is all that is called so, and the subvolume that is asked for.
fn check_mount(place: &Path, mount: &Mount, wanted: &FileSystemFacts) -> Result<()> {
    let devices = members::named(&wanted.device)?;
    let mounted = match members::number(Path::new(&mount.source))? {
        Some(own) => {
            let all = members::of_file_system(Path::new("/sys"), own)?.into_iter();
            all.map(Some).collect()
        }
        None => BTreeSet::from([None]),
    };
    for device in &devices {
        ensure!(
            mounted.contains(&members::number(device)?),
            "{} is called so, and {} is mounted on '{}'",
            device.display(),
            mount.source,
            place.display()
        );
    }
    if let Some(subvolume) = subvolume(&wanted.options) {
        ensure!(
            mount.folder.trim_start_matches('/') == subvolume,
            "its options have subvol={subvolume}, and the subvolume that is mounted on '{}' is {}",
            place.display(),
            mount.folder
        );
    }
    Ok(())
}

/// The subvolume that options ask for by its name.
fn subvolume(options: &[String]) -> Option<&str> {
    let mut options = options.iter();
    let name = options.find_map(|option| option.strip_prefix("subvol="))?;
    Some(name.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use cairn_system::Device;

    use super::*;

    /// Looks at what is mounted from `source`, the folder `folder` of it.
    fn check(source: &str, folder: &str, options: &[&str]) -> String {
        let text = format!("36 35 0:1 {folder} /mnt rw - btrfs {source} rw\n");
        let mounts = mounted_below(&text, Path::new("/mnt"));
        let wanted = FileSystemFacts {
            device: Device::Path("/dev/null".to_owned()),
            fs_type: "btrfs".to_owned(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        };
        match check_mount(Path::new("/mnt"), &mounts[0].1, &wanted) {
            Ok(()) => "the same".to_owned(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn subvolumes_are_those_of_the_configuration() {
        for (folder, options, expected) in [
            ("/@", &["compress=zstd", "subvol=@"][..], "the same"),
            ("/root", &["subvol=/root"], "the same"),
            ("/@", &[], "the same"),
            (
                "/",
                &["subvol=@"],
                "its options have subvol=@, and the subvolume that is mounted on '/mnt' is /",
            ),
        ] {
            assert_eq!(check("/dev/null", folder, options), expected, "{folder}");
        }
        assert_eq!(
            check("/dev/absent", "/", &[]),
            "cannot find '/dev/absent': No such file or directory (os error 2)"
        );
    }
}
