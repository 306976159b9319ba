//! A service's confinement as steps: what its processes do to their view of the files before they
//! execute anything.
//!
//! Rules are applied from the root downwards, so that a deeper one counts where two meet. A mount that
//! is shown elsewhere brings its own restrictions along; those that the service is to have are set
//! where it is shown.
//!
//! ```text
//! /run/cairn/confinement/   0700, in memory
//!   nothing/  file          what is seen in place of what is inaccessible
//!   dev/                    where a service's own /dev is put together
//!   root/                   where its own root is
//! /var/lib/cairn/private/   0700
//!   <service>/tmp, var-tmp  its own /tmp and /var/tmp, while it runs
//! ```

mod machine;
mod places;
mod root;
mod view;

use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::process::{Access as Bits, Confinement as Confined, Own as Kept};
use cairn_system::{Own, Service, ServiceDirectory};

use super::directories;
use super::filters;
use super::process::StartError;
pub use machine::{Here, Machine};

const STAGE: &str = "/run/cairn/confinement";
const NOTHING: &str = "/run/cairn/confinement/nothing";
const FILE: &str = "/run/cairn/confinement/file";
const DEVICES: &str = "/run/cairn/confinement/dev";
const ROOT: &str = "/run/cairn/confinement/root";
const PRIVATE: &str = "/var/lib/cairn/private";
const STORE: &str = "/nix/store";

/// What nobody needs where only files are.
const NO_RIGHTS: Bits = Bits::NO_SUID.and(Bits::NO_DEVICES);

/// What a process of `service` is kept from, on this machine.
///
/// # Errors
/// What it is to see cannot be found or read, or its filters cannot be made.
pub fn plan(service: &Service, machine: &dyn Machine) -> Result<Confined, StartError> {
    let confinement = &service.process.confinement;
    let is_shared = confinement.shared_as.is_some();
    let own = confinement.own.iter().filter_map(|own| match own {
        // It joins those: see `sharing`.
        Own::Network | Own::Ipc if is_shared => None,
        Own::Network => Some(Kept::Network),
        Own::Ipc => Some(Kept::Ipc),
        Own::HostName => Some(Kept::HostName),
        Own::Users => Some(Kept::Users),
        Own::TemporaryFiles | Own::Devices | Own::Mounts => None,
    });
    Ok(Confined {
        view: view::steps(service, machine).map_err(StartError::Files)?,
        own: own.collect(),
        filters: filters::programs(confinement)?,
    })
}

/// Makes what the steps show in place of other things.
///
/// # Errors
/// A file or folder cannot be made: the message names it.
pub fn make_stage() -> io::Result<()> {
    let folder = |path: &str, mode| ServiceDirectory {
        path: path.to_owned(),
        mode,
        root: true,
        removed_at_stop: false,
        kept_at_restart: false,
    };
    let folders = [
        folder(STAGE, 0o700),
        folder(NOTHING, 0),
        folder(DEVICES, 0o755),
        folder(ROOT, 0o755),
    ];
    directories::make(&folders, &cairn_sys::process::Credentials::default())?;
    directories::make_file(Path::new(FILE), 0)
}

/// The folders behind a service's own `/tmp` and `/var/tmp`.
pub fn private_directories(service: &Service) -> Vec<ServiceDirectory> {
    if !service
        .process
        .confinement
        .own
        .contains(&Own::TemporaryFiles)
    {
        return Vec::new();
    }
    let folder = |path: PathBuf, mode, removed_at_stop| ServiceDirectory {
        path: path.display().to_string(),
        mode,
        root: true,
        removed_at_stop,
        kept_at_restart: false,
    };
    let own = private(service);
    vec![
        folder(PRIVATE.into(), 0o700, false),
        folder(own.clone(), 0o700, true),
        folder(own.join("tmp"), 0o1777, false),
        folder(own.join("var-tmp"), 0o1777, false),
    ]
}

fn private(service: &Service) -> PathBuf {
    let shared_as = service.process.confinement.shared_as.as_ref();
    Path::new(PRIVATE).join(shared_as.unwrap_or(&service.name).as_str())
}

#[cfg(test)]
mod tests;
