//! The disks of a machine: image files, where writes go, and the bus.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// A disk of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// An image, raw unless its name says otherwise; it is never written to.
    pub image: PathBuf,
    /// Where writes go.
    pub writes: Writes,
    /// How it is attached.
    pub bus: Bus,
}

/// Where a guest's writes to a disk go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// To a temporary overlay that survives the guest's reboots, but not the machine.
    Discarded,
    /// To a sparse copy, which can be looked at when the machine has ended: [`crate::Machine::disk`].
    Copied,
    /// To a sparse copy, and each in its order to a log: [`crate::Machine::write_log`]. The disk takes no
    /// discards and no zeros without content, so that the log has every byte.
    Recorded,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// Paravirtual block device, `/dev/vda`.
    VirtioBlk,
    /// Paravirtual SCSI, `/dev/sda`.
    VirtioScsi,
    /// SATA, `/dev/sda`; cloud kernels have no driver for it.
    Ahci,
    /// IDE as it was before SATA, `/dev/sda`; cloud kernels have no driver for it.
    Ide,
    /// `/dev/nvme0n1`.
    Nvme,
    /// The same with sectors of 4096 bytes.
    NvmeLargeSectors,
    /// An SD card in a slot on PCI, `/dev/mmcblk0`. Its size must be a power of two; the firmware starts
    /// from it only if there is nothing else.
    SdCard,
    /// A USB 3 stick, the device `usb<index>`; cloud kernels have no driver for it.
    Usb,
    /// The same with sectors of 4096 bytes.
    UsbLargeSectors,
    /// A disc in a SATA drive, the device `cd<index>`: `/dev/sr0`.
    Disc,
}

impl Bus {
    /// The devices that attach the drive `disk<index>`, the first disk being the one to boot. A
    /// direct kernel takes boot index 0 for itself.
    pub(crate) fn devices(self, index: usize, writes: Writes) -> Vec<String> {
        let boot_index = index + 1;
        let mut drive = format!("drive=disk{index},bootindex={boot_index}");
        if writes == Writes::Recorded && self == Self::VirtioBlk {
            drive += ",discard=off,write-zeroes=off";
        }
        let controller = |kind: &str| format!("{kind},id=bus{index}");
        match self {
            Self::VirtioBlk => vec![format!("virtio-blk-pci,{drive}")],
            Self::VirtioScsi => {
                vec![
                    controller("virtio-scsi-pci"),
                    format!("scsi-hd,bus=bus{index}.0,{drive}"),
                ]
            }
            Self::Ahci => vec![
                controller("ich9-ahci"),
                format!("ide-hd,bus=bus{index}.0,{drive}"),
            ],
            Self::Ide => vec![
                controller("piix3-ide"),
                format!("ide-hd,bus=bus{index}.0,{drive}"),
            ],
            Self::Nvme => vec![format!("nvme,serial=cairn{index},{drive}")],
            Self::NvmeLargeSectors => vec![format!(
                "nvme,serial=cairn{index},logical_block_size=4096,physical_block_size=4096,{drive}"
            )],
            Self::SdCard => vec![
                controller("sdhci-pci"),
                format!("sd-card,drive=disk{index}"),
            ],
            Self::Usb => {
                vec![
                    controller("qemu-xhci"),
                    format!("usb-storage,id=usb{index},bus=bus{index}.0,{drive}"),
                ]
            }
            Self::UsbLargeSectors => vec![
                controller("qemu-xhci"),
                format!(
                    "usb-storage,id=usb{index},bus=bus{index}.0,logical_block_size=4096,physical_block_size=4096,{drive}"
                ),
            ],
            Self::Disc => vec![
                controller("ich9-ahci"),
                format!("ide-cd,id=cd{index},bus=bus{index}.0,{drive}"),
            ],
        }
    }
}

/// Copies a file without its holes.
///
/// # Errors
/// It cannot be read, or the copy cannot be written.
pub fn copy_sparsely(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp")
        .args(["--sparse=always", "--reflink=auto", "--"])
        .args([from, to])
        .status()
        .context("cannot run cp")?;
    if !status.success() {
        bail!(
            "cannot copy {} to {}: cp ended with {status}",
            from.display(),
            to.display()
        );
    }
    Ok(())
}
