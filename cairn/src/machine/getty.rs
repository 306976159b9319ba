//! Logins on terminals.

use anyhow::Result;
use cairn_system::{Process, Restart, Service, ServiceKind, SystemDescription};

use crate::packages::PackageSet;

/// Adds a login prompt on `/dev/<tty>`, of the given terminal type (`linux`, `vt220`).
///
/// # Errors
/// A package is not in the set.
pub fn add_getty(
    packages: &PackageSet<'_>,
    description: &mut SystemDescription,
    tty: &str,
    term: &str,
) -> Result<()> {
    let argv = [
        packages.path("util-linux", "bin/agetty")?,
        "--login-program".to_owned(),
        packages.path("login", "bin/login")?,
        "--keep-baud".to_owned(),
        "-".to_owned(),
        "115200,57600,38400,9600".to_owned(),
        term.to_owned(),
    ];
    let mut process = Process::new(argv.into());
    process.environment = [("TERM".to_owned(), term.to_owned())].into();
    process.tty = Some(format!("/dev/{tty}"));
    let name = format!("getty@{tty}").as_str().try_into()?;
    let mut service = Service::new(name, ServiceKind::Simple, process);
    service.description = format!("Login on {tty}");
    service.restart = Restart::Always;
    service.stop_timeout_ms = 2_000;
    description.services.push(service);
    Ok(())
}
