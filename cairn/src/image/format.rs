//! The kinds of image.

/// A kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A raw disk for BIOS and UEFI, with GRUB and a GPT
    Disk,
}

impl Format {
    /// What the names of its files end with, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Disk => "img",
        }
    }
}
