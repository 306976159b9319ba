//! The kinds of image.

use super::output::Shape;

/// A kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A raw disk for BIOS and UEFI, with GRUB and a GPT
    Disk,
    /// That disk for QEMU and what is made of it
    Qcow2,
    /// That disk for VMware, stream-optimised
    Vmdk,
    /// That disk for VirtualBox
    Vdi,
    /// That disk for Hyper-V and Azure, of fixed size
    Vhd,
    /// A virtual machine with that disk, for VirtualBox and VMware
    Ova,
    /// A live medium: a disc, and a stick once copied to one, for BIOS and UEFI
    Iso,
    /// A live system over the network: a folder with kernel, initrd and a script for iPXE
    Netboot,
    /// The machine on a raw disk for Amazon EC2
    Ami,
    /// The file system of a container, as an archive
    Tarball,
    /// The root file system's tree, /boot in it, in a folder; needs --output
    Directory,
}

impl Format {
    /// What the names of its files end with, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Disk => "img",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Vhd => "vhd",
            Self::Ova => "ova",
            Self::Iso => "iso",
            Self::Netboot => "netboot",
            Self::Ami => "ami.img",
            Self::Tarball => "tar.zst",
            Self::Directory => "tree",
        }
    }

    /// Whether it is a file or a folder.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::Netboot => Shape::Files,
            Self::Directory => Shape::Tree,
            Self::Disk | Self::Qcow2 | Self::Vmdk | Self::Vdi | Self::Vhd | Self::Ova => {
                Shape::File
            }
            Self::Iso | Self::Ami | Self::Tarball => Shape::File,
        }
    }
}
