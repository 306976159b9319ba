//! OVMF, the UEFI firmware: a read-only code volume and a private copy of its variables.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Code and variables that belong together, the preferred first. Debian 12 has both sizes, later
/// releases the larger only.
const VOLUMES: &[(&str, &str)] = &[
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];

/// Those with Secure Boot on, and Microsoft's keys.
const SECURE_VOLUMES: &[(&str, &str)] = &[
    (
        "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.ms.fd",
        "/usr/share/OVMF/OVMF_VARS.ms.fd",
    ),
];

/// Those with Secure Boot on, and a key whose private half is in Debian's package: for tests.
const OWNED_VOLUMES: &[(&str, &str)] = &[(
    "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd",
)];

/// Whether the firmware starts what nobody has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It starts everything.
    Everything,
    /// It starts what Microsoft's keys lead to.
    SecureBoot,
    /// It starts what the key for tests has signed.
    Owner,
}

/// The two volumes of a UEFI machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ovmf {
    /// Shared, never written.
    pub code: PathBuf,
    /// This machine's own.
    pub variables: PathBuf,
}

impl Ovmf {
    /// Copies the variables into `folder`.
    ///
    /// # Errors
    /// OVMF is not installed, or the copy cannot be made.
    pub fn prepare(trust: Trust, folder: &Path) -> anyhow::Result<Self> {
        let volumes = match trust {
            Trust::Everything => VOLUMES,
            Trust::SecureBoot => SECURE_VOLUMES,
            Trust::Owner => OWNED_VOLUMES,
        };
        let found = volumes
            .iter()
            .find(|(code, variables)| Path::new(code).exists() && Path::new(variables).exists());
        let Some((code, template)) = found else {
            bail!("cannot find OVMF in /usr/share/OVMF; install it: apt-get install ovmf");
        };
        let variables = folder.join("efi-variables.fd");
        std::fs::copy(template, &variables)
            .with_context(|| format!("cannot copy {template} to {}", variables.display()))?;
        Ok(Self {
            code: PathBuf::from(code),
            variables,
        })
    }
}
