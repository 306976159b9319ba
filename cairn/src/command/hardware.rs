//! The machine: `generate-config`.

use std::path::PathBuf;

use cairn::hardware::generate::{Existing, Request};
use clap::Args;

/// `cairn generate-config`.
#[derive(Debug, Args)]
pub struct GenerateConfig {
    /// Where the machine's file systems are mounted; the files go below it
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Write the files there [default: /etc/nixos below the root]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Overwrite a configuration.nix that is there
    #[arg(long)]
    pub force: bool,
    /// Only print what would be in hardware-configuration.nix
    #[arg(long)]
    pub show_hardware_config: bool,
    /// Leave file systems and swap spaces out
    #[arg(long)]
    pub no_filesystems: bool,
}

impl GenerateConfig {
    /// What the command line asks for.
    pub fn request(&self) -> Request {
        Request {
            root: self.root.clone(),
            folder: self.dir.clone(),
            existing: if self.force {
                Existing::Replaced
            } else {
                Existing::Kept
            },
            file_systems: !self.no_filesystems,
        }
    }
}
