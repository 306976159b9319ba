//! Why stage 1 cannot go on, and the report about it: what, on which device, what was seen
//! instead, which option to check.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cairn_sys::mount::MountError;
use cairn_system::{Device, ParseError};
use nix::errno::Errno;

use crate::autoload::AutoloadError;

use super::block::{Ambiguous, Block};
use super::btrfs::Missing;
use super::live::LiveError;
use super::verity::VerityError;

/// Why stage 1 cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Stage1Error {
    /// A file of the initrd or of `/proc` cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The initrd's description is wrong.
    #[error(transparent)]
    Description(#[from] ParseError),
    /// The kernel's events cannot be listened to.
    #[error("cannot listen to the kernel's device events: {0}")]
    Events(io::Error),
    /// The folder of modules is damaged.
    #[error(transparent)]
    Modules(#[from] AutoloadError),
    /// A device did not appear in time.
    #[error("cannot mount {mount_point}: no device is {device} after {waited} s", waited = waited.as_secs())]
    NoDevice {
        /// What it is for.
        mount_point: String,
        /// What was looked for.
        device: Device,
        /// How long.
        waited: Duration,
    },
    /// Several devices have the name of the one that is meant.
    #[error("cannot mount {mount_point}: {source}")]
    Ambiguous {
        /// What it is for.
        mount_point: String,
        /// Which.
        source: Ambiguous,
    },
    /// A check found errors that it does not repair on its own.
    #[error("cannot mount {mount_point}: fsck.{fs_type} of {device} ended with status {status}: {meaning}", device = device.display())]
    Check {
        /// What it is for.
        mount_point: String,
        /// The device.
        device: PathBuf,
        /// The type.
        fs_type: String,
        /// The exit status of fsck.
        status: i32,
        /// What that status means.
        meaning: &'static str,
    },
    /// A mount point, or a folder that a mount needs, cannot be made.
    #[error("cannot make the folder {path} for {mount_point}: {source}", path = path.display())]
    MountPoint {
        /// What it is for.
        mount_point: String,
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refuses a mount.
    #[error("{source}")]
    Mount {
        /// What it is for.
        mount_point: String,
        /// Why, with device and type.
        source: Box<MountError>,
    },
    /// The kernel refuses a mount, since devices of the file system did not come.
    #[error("cannot mount {mount_point}: devices of the btrfs UUID={} are missing after {} s: {errno}", missing.uuid, missing.waited.as_secs())]
    Incomplete {
        /// What it is for.
        mount_point: String,
        /// Of which.
        missing: Missing,
        /// What the kernel says.
        errno: Errno,
    },
    /// There is no live system.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// There is no verified store.
    #[error(transparent)]
    Verity(#[from] VerityError),
    /// The command line names no init.
    #[error("cannot find out which system to start: the kernel's command line has no init=")]
    NoInit,
    /// The new root has no such init.
    #[error("cannot start init={init}: {problem}")]
    BadInit {
        /// The value of `init=`.
        init: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The initrd cannot be left.
    #[error("cannot {what} to switch to the new root: {source}")]
    Switch {
        /// The step.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl Stage1Error {
    /// Options of the configuration that decide about this, with what to look for.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let of = |mount_point: &str, name: &str| format!("fileSystems.\"{mount_point}\".{name}");
        match self {
            Self::NoDevice {
                mount_point,
                device,
                ..
            } => {
                let mut options = vec![of(mount_point, "device")];
                if mount_point == "/" {
                    options.push("root= on the kernel's command line".to_owned());
                }
                options.push(
                    "boot.initrd.availableKernelModules: the driver of the disk or its controller"
                        .to_owned(),
                );
                if matches!(device, Device::Path(_)) {
                    options.push(
                        "names such as /dev/sda change between boots: LABEL= or UUID= do not"
                            .to_owned(),
                    );
                }
                options
            }
            Self::Ambiguous { mount_point, .. } => vec![
                "which disk is a copy: take it out, or give what is on it another name and UUID"
                    .to_owned(),
                of(mount_point, "device"),
            ],
            Self::Check {
                mount_point,
                device,
                ..
            } => vec![
                format!(
                    "run fsck on {} by hand, from the emergency shell or another system",
                    device.display()
                ),
                of(mount_point, "noCheck"),
            ],
            Self::Mount {
                mount_point,
                source,
            } => {
                let mut options = match source.errno() {
                    Errno::ENODEV => vec![
                        "boot.initrd.supportedFilesystems: it brings the module of that type"
                            .to_owned(),
                    ],
                    Errno::ENOENT => vec![of(mount_point, "device")],
                    _ => vec![of(mount_point, "options")],
                };
                options.push(of(mount_point, "fsType"));
                options
            }
            Self::Incomplete { mount_point, .. } => {
                let mut options = vec![
                    "the disk that is missing, and the driver of its controller".to_owned(),
                    format!(
                        "{}: \"degraded\" starts without it if there is a copy of everything",
                        of(mount_point, "options")
                    ),
                ];
                if mount_point == "/" {
                    options.push(
                        "rootflags=degraded on the kernel's command line: the same, this once"
                            .to_owned(),
                    );
                }
                options
            }
            Self::MountPoint { source, .. }
                if source.raw_os_error() == Some(Errno::EUCLEAN as i32) =>
            {
                vec!["run fsck on the file system around it by hand: it is damaged".to_owned()]
            }
            Self::MountPoint { mount_point, .. } => vec![
                of(mount_point, "depends"),
                "whether the file system around it is mounted read-only".to_owned(),
            ],
            Self::Live(error) => error.hints(),
            Self::Verity(error) => error.hints(),
            Self::NoInit | Self::BadInit { .. } => vec![
                "the boot entry: init= must be a generation's <toplevel>/init".to_owned(),
                of("/", "device"),
                of("/nix/store", "device"),
            ],
            Self::Read { .. } | Self::Description(_) | Self::Modules(_) => vec![
                "the initrd: it is damaged, or was built by another version; build it again"
                    .to_owned(),
            ],
            Self::Events(_) | Self::Switch { .. } => Vec::new(),
        }
    }

    /// Whether the devices that were seen help to understand it.
    fn is_about_devices(&self) -> bool {
        !matches!(
            self,
            Self::Read { .. }
                | Self::Description(_)
                | Self::Events(_)
                | Self::Modules(_)
                | Self::NoInit
        )
    }
}

/// The report, line by line.
#[must_use]
pub fn report<'a>(error: &Stage1Error, blocks: impl Iterator<Item = &'a Block>) -> Vec<String> {
    let mut lines = vec![
        "the system cannot be started.".to_owned(),
        format!("  what:  {error}"),
    ];
    if error.is_about_devices() {
        let seen: Vec<_> = blocks.map(Block::to_string).collect();
        if seen.is_empty() {
            lines.push("  seen:  no block device at all: a driver is missing".to_owned());
        }
        lines.extend(labelled("seen", seen));
    }
    lines.extend(labelled("check", error.options()));
    lines
}

/// `label:` before the first line, and as much room before the others.
fn labelled(label: &str, lines: Vec<String>) -> impl Iterator<Item = String> {
    let label = format!("{label}:");
    lines.into_iter().enumerate().map(move |(number, line)| {
        let label = if number == 0 { label.as_str() } else { "" };
        format!("  {label:<6} {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_probe::Contents;
    use cairn_probe::table::{PartitionName, Table};
    use expect_test::{Expect, expect};

    fn check(error: &Stage1Error, blocks: &[Block], expected: &Expect) {
        expected.assert_eq(&(report(error, blocks.iter()).join("\n") + "\n"));
    }

    fn no_device(device: Device) -> Stage1Error {
        Stage1Error::NoDevice {
            mount_point: "/".to_owned(),
            device,
            waited: Duration::from_secs(10),
        }
    }

    fn blocks() -> Vec<Block> {
        let disk = Block {
            name: "vda".to_owned(),
            size: 10 << 30,
            contents: None,
            mapper: None,
            partition: None,
            table: Some(Table::Gpt(Vec::new())),
            problem: None,
        };
        let partition = Block {
            name: "vda2".to_owned(),
            size: (10 << 30) - (3 << 20),
            contents: Some(Contents {
                kind: "ext4",
                label: Some("nixos\u{1b}[2J".to_owned()),
                uuid: Some("44444444-4444-4444-8888-888888888888".to_owned()),
            }),
            mapper: None,
            partition: Some(PartitionName {
                uuid: "f222513b-ded1-49fa-b591-20ce86a2fe7f".to_owned(),
                label: Some("root".to_owned()),
            }),
            table: None,
            problem: None,
        };
        let drive = Block {
            name: "sr0".to_owned(),
            size: 1 << 30,
            contents: None,
            mapper: None,
            partition: None,
            table: None,
            problem: Some("No medium found (os error 123)".to_owned()),
        };
        vec![drive, disk, partition]
    }

    #[test]
    fn a_missing_root() {
        check(
            &no_device(Device::Label("cairn".to_owned())),
            &blocks(),
            &expect![[r#"
                the system cannot be started.
                  what:  cannot mount /: no device is LABEL=cairn after 10 s
                  seen:  /dev/sr0         1.0 GiB  unreadable: No medium found (os error 123)
                         /dev/vda        10.0 GiB  GPT partition table
                         /dev/vda2        9.9 GiB  ext4  LABEL=nixos\u{1b}[2J  UUID=44444444-4444-4444-8888-888888888888  PARTLABEL=root  PARTUUID=f222513b-ded1-49fa-b591-20ce86a2fe7f
                  check: fileSystems."/".device
                         root= on the kernel's command line
                         boot.initrd.availableKernelModules: the driver of the disk or its controller
            "#]],
        );
    }

    #[test]
    fn two_roots() {
        let several = Ambiguous {
            device: Device::Label("nixos".to_owned()),
            nodes: vec!["/dev/vda2".into(), "/dev/vdb2".into()],
        };
        let mut blocks = blocks().split_off(2);
        blocks.extend(blocks.clone());
        check(
            &Stage1Error::Ambiguous {
                mount_point: "/".to_owned(),
                source: several,
            },
            &blocks,
            &expect![[r#"
                the system cannot be started.
                  what:  cannot mount /: LABEL=nixos is on /dev/vda2 and on /dev/vdb2
                  seen:  /dev/vda2        9.9 GiB  ext4  LABEL=nixos\u{1b}[2J  UUID=44444444-4444-4444-8888-888888888888  PARTLABEL=root  PARTUUID=f222513b-ded1-49fa-b591-20ce86a2fe7f
                         /dev/vda2        9.9 GiB  ext4  LABEL=nixos\u{1b}[2J  UUID=44444444-4444-4444-8888-888888888888  PARTLABEL=root  PARTUUID=f222513b-ded1-49fa-b591-20ce86a2fe7f
                  check: which disk is a copy: take it out, or give what is on it another name and UUID
                         fileSystems."/".device
            "#]],
        );
    }

    #[test]
    fn no_device_at_all() {
        check(
            &no_device(Device::Path("/dev/sda1".to_owned())),
            &[],
            &expect![[r#"
                the system cannot be started.
                  what:  cannot mount /: no device is /dev/sda1 after 10 s
                  seen:  no block device at all: a driver is missing
                  check: fileSystems."/".device
                         root= on the kernel's command line
                         boot.initrd.availableKernelModules: the driver of the disk or its controller
                         names such as /dev/sda change between boots: LABEL= or UUID= do not
            "#]],
        );
    }

    #[test]
    fn a_failed_check() {
        let error = Stage1Error::Check {
            mount_point: "/".to_owned(),
            device: "/dev/vda2".into(),
            fs_type: "ext4".to_owned(),
            status: 4,
            meaning: "errors are left",
        };
        check(
            &error,
            &[],
            &expect![[r#"
            the system cannot be started.
              what:  cannot mount /: fsck.ext4 of /dev/vda2 ended with status 4: errors are left
              seen:  no block device at all: a driver is missing
              check: run fsck on /dev/vda2 by hand, from the emergency shell or another system
                     fileSystems."/".noCheck
        "#]],
        );
    }

    #[test]
    fn half_of_a_btrfs() {
        let error = Stage1Error::Incomplete {
            mount_point: "/".to_owned(),
            missing: Missing {
                uuid: "92e59c78-6b0b-4fad-9e53-b0cf4f2bac4f".to_owned(),
                waited: Duration::from_secs(20),
            },
            errno: Errno::EINVAL,
        };
        check(
            &error,
            &blocks()[1..2],
            &expect![[r#"
                the system cannot be started.
                  what:  cannot mount /: devices of the btrfs UUID=92e59c78-6b0b-4fad-9e53-b0cf4f2bac4f are missing after 20 s: EINVAL: Invalid argument
                  seen:  /dev/vda        10.0 GiB  GPT partition table
                  check: the disk that is missing, and the driver of its controller
                         fileSystems."/".options: "degraded" starts without it if there is a copy of everything
                         rootflags=degraded on the kernel's command line: the same, this once
            "#]],
        );
    }

    #[test]
    fn no_init() {
        check(
            &Stage1Error::NoInit,
            &blocks()[..1],
            &expect![[r#"
                the system cannot be started.
                  what:  cannot find out which system to start: the kernel's command line has no init=
                  check: the boot entry: init= must be a generation's <toplevel>/init
                         fileSystems."/".device
                         fileSystems."/nix/store".device
            "#]],
        );
    }

    #[test]
    fn a_damaged_description() {
        let error = cairn_system::Stage1::parse("{}").unwrap_err().into();
        check(
            &error,
            &blocks(),
            &expect![[r#"
            the system cannot be started.
              what:  cannot read stage-1.json: at '.': missing field `version` at line 1 column 2
              check: the initrd: it is damaged, or was built by another version; build it again
        "#]],
        );
    }
}
