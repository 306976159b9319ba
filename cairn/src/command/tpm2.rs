//! The key of a disk that a TPM keeps: `tpm2`.

use std::path::PathBuf;

use cairn_system::tpm2::{Condition, REGISTERS};
use clap::{Args, Subcommand};

/// `cairn tpm2`.
#[derive(Debug, Args)]
pub struct Tpm2 {
    /// What to do.
    #[command(subcommand)]
    pub verb: Tpm2Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Tpm2Verb {
    /// Make a key for a disk; one that a TPM has kept for it before goes
    ///
    /// A passphrase of the disk is asked for, or is a line of standard input.
    #[command(alias = "enroll")]
    Enrol {
        /// The disk, which is LUKS2
        device: PathBuf,
        /// What must have been measured as now: 7 is the state of Secure Boot, 0 the firmware, 4 what it has started
        #[arg(
            long,
            value_name = "NUMBERS",
            value_delimiter = ',',
            default_value = "7",
            value_parser = clap::value_parser!(u8).range(..i64::from(REGISTERS)),
        )]
        pcrs: Vec<u8>,
        /// Have the TPM ask for a PIN, too: a new one is asked for, or is the next line of standard input
        #[arg(long)]
        pin: bool,
    },
    /// Remove the keys of a disk that TPMs keep
    Remove {
        /// The disk
        device: PathBuf,
    },
}

impl Tpm2 {
    /// Does it; what there is to say.
    ///
    /// # Errors
    /// Why not.
    pub fn run(&self) -> anyhow::Result<String> {
        match &self.verb {
            Tpm2Verb::Enrol { device, pcrs, pin } => cairn::tpm2::enrol(
                device,
                &Condition {
                    registers: pcrs.iter().copied().collect(),
                    pin: *pin,
                },
            ),
            Tpm2Verb::Remove { device } => cairn::tpm2::remove(device),
        }
    }
}
