//! A whole machine, described through Rust: the seam that tests of the lower layers use.
//!
//! A machine is a [`SystemDescription`] with everything around it that only the build needs:
//! kernel, initrd, packages of the system profile. Each part of the description is filled by one
//! module of this folder, and each names programs by their final store paths, which are known
//! before anything is built.

mod base;
mod getty;
mod network;
mod pam;
mod parts;
mod ssh;

use anyhow::{Context, Result};
use cairn_store_path::StorePath;
use cairn_system::{Device, FileSystem, Stage1, SystemDescription, V1};
use serde_json::json;

use crate::packages::PackageSet;

pub use base::{BaseOptions, base};
pub use getty::add_getty;
pub use network::{add_loopback, add_static_network};
pub use ssh::add_ssh;

/// A machine that can be built.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What activation and the supervisor will read.
    pub description: SystemDescription,
    /// The Debian package of the kernel, such as `linux-image-6.1.0-1-cloud-amd64`.
    pub kernel_package: String,
    /// Store objects whose `lib/firmware` the kernel may load from, in the initrd too.
    pub firmware: Vec<StorePath>,
    /// Kernel parameters, without `init=`.
    pub kernel_params: Vec<String>,
    /// What the initrd holds and does.
    pub initrd: Initrd,
    /// Store objects whose `bin`, `share` … make up `/run/current-system/sw`; the first wins.
    pub system_path: Vec<StorePath>,
}

/// The initrd's part of a machine.
#[derive(Debug, Clone)]
pub struct Initrd {
    /// Kernel modules for the hardware to be expected.
    pub hardware: Hardware,
    /// Modules loaded in any case.
    pub kernel_modules: Vec<String>,
    /// A failed boot may open a shell without a password.
    pub emergency_access: bool,
    /// Seconds to wait for a device.
    pub device_timeout_seconds: u32,
    /// Seconds between a failure's report and the reboot.
    pub reboot_delay_seconds: u32,
}

/// For which hardware the initrd has drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// Virtual machines: virtio, AHCI, NVMe, the hypervisors' own devices.
    VirtualMachine,
    /// Whatever a disk or a stick can be plugged into.
    Any,
}

impl Hardware {
    /// The word that the initrd's derivation carries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VirtualMachine => "virtual-machine",
            Self::Any => "any",
        }
    }
}

impl Machine {
    /// Instantiates the machine's toplevel, and returns its output path; nothing is built yet.
    ///
    /// # Errors
    /// The description contradicts itself, or the store cannot be written.
    pub fn toplevel(&self, packages: &PackageSet<'_>) -> Result<StorePath> {
        self.description.check()?;
        let init = packages.program_of_ours("cairn-init")?;
        let kernel = packages.package(&self.kernel_package)?.clone();
        let kernel_release = kernel_release(&self.kernel_package)?;
        let modules = packages.derive(
            "kernel-modules",
            "builtin:kernel-modules",
            &[
                ("kernel", kernel.to_string()),
                ("release", kernel_release.to_owned()),
            ],
        )?;
        let initrd = self.initrd(packages, &init, &kernel, kernel_release)?;
        let etc = packages.derive(
            "etc",
            "builtin:etc",
            &[("entries", serde_json::to_string(&self.description.etc)?)],
        )?;
        let firmware = packages.derive(
            "firmware",
            "builtin:firmware",
            &[("paths", join(&self.firmware))],
        )?;
        let profile = packages.derive(
            "system-path",
            "builtin:profile",
            &[("paths", join(&self.system_path))],
        )?;
        packages.derive(
            &format!("cairn-system-{}", self.description.host_name),
            "builtin:toplevel",
            &[
                ("init", init),
                ("kernel", format!("{kernel}/boot/vmlinuz-{kernel_release}")),
                ("kernelModules", modules.to_string()),
                ("firmware", firmware.to_string()),
                ("kernelParams", self.kernel_params.join("\n")),
                ("kernelRelease", kernel_release.to_owned()),
                ("initrd", format!("{initrd}/initrd")),
                ("etc", etc.to_string()),
                ("sw", profile.to_string()),
                ("description", serde_json::to_string(&self.description)?),
            ],
        )
    }

    /// The label that the root file system must bear.
    ///
    /// # Errors
    /// There is no root, or it is not named by a label.
    pub fn root_label(&self) -> Result<&str> {
        let root = self
            .description
            .file_systems
            .iter()
            .find(|fs| fs.mount_point.as_str() == "/");
        match root.map(|root| &root.device) {
            Some(Device::Label(label)) => Ok(label),
            Some(other) => anyhow::bail!(
                "a disk image needs fileSystems.\"/\".device to be LABEL=…, not '{other}'"
            ),
            None => anyhow::bail!("the machine has no root; define fileSystems.\"/\""),
        }
    }

    fn initrd(
        &self,
        packages: &PackageSet<'_>,
        init: &str,
        kernel: &StorePath,
        kernel_release: &str,
    ) -> Result<StorePath> {
        let stage1 = Stage1 {
            version: V1,
            file_systems: early_mounts(&self.description.file_systems),
            kernel_modules: self.initrd.kernel_modules.clone(),
            emergency_access: self.initrd.emergency_access,
            device_timeout_seconds: self.initrd.device_timeout_seconds,
            reboot_delay_seconds: self.initrd.reboot_delay_seconds,
        };
        let busybox = packages.path("busybox-static", "bin/busybox")?;
        let programs = json!({
            "sh": busybox,
            "busybox": busybox,
            "fsck.ext4": packages.path("e2fsck-static", "bin/e2fsck.static")?,
        });
        packages.derive(
            "initrd",
            "builtin:initrd",
            &[
                ("init", init.to_owned()),
                ("stage1", serde_json::to_string(&stage1)?),
                ("kernel", kernel.to_string()),
                ("kernelRelease", kernel_release.to_owned()),
                ("firmware", join(&self.firmware)),
                ("hardware", self.initrd.hardware.as_str().to_owned()),
                ("programs", programs.to_string()),
            ],
        )
    }
}

/// The mounts of stage 1, a parent before its children.
fn early_mounts(file_systems: &[FileSystem]) -> Vec<FileSystem> {
    let mut early: Vec<_> = file_systems
        .iter()
        .filter(|fs| fs.is_early())
        .cloned()
        .collect();
    early.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    early
}

/// `6.1.0-1-amd64` of `linux-image-6.1.0-1-amd64`.
fn kernel_release(package: &str) -> Result<&str> {
    package.strip_prefix("linux-image-").with_context(|| {
        format!("'{package}' is not a kernel; its package's name must begin with linux-image-")
    })
}

fn join(paths: &[StorePath]) -> String {
    paths
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
