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
    description.services.push(Service {
        name: format!("getty@{tty}").as_str().try_into()?,
        description: format!("Login on {tty}"),
        kind: ServiceKind::Simple,
        process: Process {
            argv: argv.into(),
            environment: [("TERM".to_owned(), term.to_owned())].into(),
            user: None,
            group: None,
            working_directory: None,
            tty: Some(format!("/dev/{tty}")),
        },
        requires: Vec::new(),
        wants: Vec::new(),
        after: Vec::new(),
        wanted_at_boot: true,
        restart: Restart::Always,
        restart_delay_ms: Service::default_restart_delay_ms(),
        restart_delay_max_ms: Service::default_restart_delay_max_ms(),
        stop_timeout_ms: 2_000,
    });
    Ok(())
}
