//! The device manager as a service.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_devices::daemon::{self, Setup};
use cairn_devices::places::Places;
use cairn_system::ServiceName;
use cairn_system::control::Request;

use crate::service_control;

/// Handles devices by the rules in these folders until it is stopped.
///
/// # Errors
/// It cannot begin, or cannot hear the kernel.
pub fn serve(rules: Vec<PathBuf>) -> Result<()> {
    let path = std::env::var("PATH").unwrap_or_default();
    let setup = Setup {
        places: Places::of(Path::new("/")),
        rules,
        path,
        wanted: Box::new(want),
        ready: Box::new(|| {
            if let Err(error) = say_ready() {
                log::warn!("cannot say that devices are ready: {error:#}");
            }
        }),
    };
    daemon::run(setup).context("the device manager cannot go on")?;
    Ok(())
}

/// Asks for the service of a unit, and does not wait for it: it may wait for the very device.
fn want(unit: &str) {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let Ok(name) = ServiceName::try_from(name.to_owned()) else {
        log::warn!("'{unit}' is wanted by a device, and is no service");
        return;
    };
    let asked = std::thread::Builder::new()
        .name("want".to_owned())
        .spawn(move || {
            if let Err(error) = service_control::command(&Request::Start { name: name.clone() }) {
                log::warn!("{name} is wanted by a device: {error}");
            }
        });
    if let Err(error) = asked {
        log::warn!("{unit} is wanted by a device, and cannot be asked for: {error}");
    }
}

/// `READY=1`, where the supervisor hears it.
fn say_ready() -> Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(Path::new(&name))?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address)?;
    Ok(())
}
