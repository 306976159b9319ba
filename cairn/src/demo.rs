//! The demo: a small machine with logins on its consoles, a network for QEMU and an SSH server.

use anyhow::Result;
use cairn_debian::Lock;
use cairn_system::{Device, FileSystem};

use crate::build::{BuildOptions, Built, Plan, build_disk};
use crate::machine::{
    BaseOptions, Hardware, Initrd, Machine, add_getty, add_loopback, add_ssh, add_static_network,
    base,
};
use crate::packages::PackageSet;

/// Label of the root file system.
pub const ROOT_LABEL: &str = "cairn-root";

/// Name of the EFI system partition in the partition table.
pub const ESP_LABEL: &str = "esp";

/// Root's first password.
pub const ROOT_PASSWORD: &str = "cairn";

/// [`ROOT_PASSWORD`] as crypt(3) stores it.
const ROOT_PASSWORD_HASH: &str = "$6$cairndemo$gsniQw./CkHgrig2vWmI0/NBP4D59ZXiTVP7.NQIJLo0wkRMOcJcRUP7fEFeT3IjLPSSla9CB4ahnL/rNq.sn.";

/// What `/run/current-system/sw` has; the first wins where two have the same file.
const SYSTEM_PATH: [&str; 29] = [
    "bash",
    "coreutils",
    "util-linux",
    "login",
    "passwd",
    "iproute2",
    "iputils-ping",
    "procps",
    "psmisc",
    "kmod",
    "less",
    "nano",
    "openssh-server",
    "openssh-client",
    "e2fsprogs",
    "dosfstools",
    "grep",
    "sed",
    "gawk",
    "findutils",
    "diffutils",
    "tar",
    "gzip",
    "xz-utils",
    "zstd",
    "hostname",
    "libc-bin",
    "ncurses-base",
    "ncurses-bin",
];

/// What the machine is made of without being on the users' path, and what builds the image.
const OTHERS: [&str; 10] = [
    "mount",
    "libpam-modules",
    "ca-certificates",
    "netbase",
    "busybox-static",
    "e2fsck-static",
    "linux-image-cloud-amd64",
    "firmware-linux-free",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
];

/// Our own programs in the machine.
pub const OURS: [&str; 2] = ["cairn", "cairn-init"];

/// The packages to resolve for the demo.
#[must_use]
pub fn packages() -> Vec<&'static str> {
    SYSTEM_PATH.into_iter().chain(OTHERS).collect()
}

/// Builds the demo's disk image.
///
/// # Errors
/// Whatever step fails.
pub fn build(options: &BuildOptions) -> Result<Built> {
    let packages = packages();
    let plan = Plan {
        name: "demo",
        packages: &packages,
        programs: &["cairn", "cairn-init"],
    };
    build_disk(options, &plan, machine)
}

/// The demo machine.
///
/// # Errors
/// A package is not in the set, or the store cannot be written.
pub fn machine(packages: &PackageSet<'_>, lock: &Lock) -> Result<Machine> {
    let mut description = base(
        packages,
        BaseOptions {
            host_name: "cairn".try_into()?,
            label: "Cairn demo".to_owned(),
            file_systems: file_systems()?,
            root_initial_hashed_password: Some(ROOT_PASSWORD_HASH.to_owned()),
        },
    )?;
    add_getty(packages, &mut description, "tty1", "linux")?;
    add_getty(packages, &mut description, "ttyS0", "vt220")?;
    add_loopback(packages, &mut description)?;
    add_static_network(
        packages,
        &mut description,
        "eth0",
        "10.0.2.15/24",
        "10.0.2.2",
        "10.0.2.3",
    )?;
    add_ssh(packages, &mut description)?;
    // As `loglevel=6` below: the marks of boot and shutdown are notices, and shall be seen.
    let printk = ("kernel.printk".to_owned(), "6 4 1 7".to_owned());
    description.sysctl.extend([printk]);

    // Ours come first: kmod's modprobe looks for modules in /lib alone.
    let ours = OURS.iter().map(|name| packages.object_of_ours(name));
    let theirs = SYSTEM_PATH
        .iter()
        .map(|name| packages.package(name).cloned());
    let system_path = ours.chain(theirs).collect::<Result<Vec<_>>>()?;
    Ok(Machine {
        description,
        kernel_package: PackageSet::dependency_of(lock, "linux-image-cloud-amd64", "linux-image-")?,
        firmware: vec![packages.package("firmware-linux-free")?.clone()],
        kernel_params: [
            "console=tty0",
            "console=ttyS0,115200",
            "loglevel=6",
            "printk.devkmsg=on",
        ]
        .map(str::to_owned)
        .into(),
        initrd: Initrd {
            hardware: Hardware::VirtualMachine,
            kernel_modules: Vec::new(),
            emergency_access: false,
            device_timeout_seconds: 30,
            reboot_delay_seconds: 10,
        },
        system_path,
    })
}

fn file_systems() -> Result<Vec<FileSystem>> {
    let mount = |mount_point: &str, device: Device, fs_type: &str, options: &[&str]| {
        anyhow::Ok(FileSystem {
            mount_point: mount_point
                .to_owned()
                .try_into()
                .map_err(anyhow::Error::msg)?,
            device,
            fs_type: fs_type.to_owned(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            needed_for_boot: false,
            no_check: false,
        })
    };
    Ok(vec![
        mount(
            "/",
            Device::Label(ROOT_LABEL.to_owned()),
            "ext4",
            &["noatime"],
        )?,
        mount(
            "/boot/efi",
            Device::PartLabel(ESP_LABEL.to_owned()),
            "vfat",
            &["umask=0077", "nofail"],
        )?,
        mount(
            "/tmp",
            Device::None("tmpfs".to_owned()),
            "tmpfs",
            &["mode=1777", "nosuid", "nodev"],
        )?,
    ])
}
