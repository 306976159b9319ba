//! Waiting until all that the kernel has said of devices was handled.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cairn_devices::places::Places;

/// How often it is looked for something that no descriptor tells.
const LOOK: Duration = Duration::from_millis(20);

/// The device manager's answer to a request.
///
/// # Errors
/// It does not run, or not root asks.
pub fn ask(places: &Places, request: &str, patience: Duration) -> Result<()> {
    let path = places.state.join("control");
    let mut socket = UnixStream::connect(&path).with_context(|| {
        format!(
            "cannot ask the device manager ({}): it does not run, or you are not root",
            path.display()
        )
    })?;
    socket.set_read_timeout(Some(patience.max(LOOK)))?;
    writeln!(socket, "{request}")?;
    let mut answer = String::new();
    BufReader::new(&socket)
        .read_line(&mut answer)
        .with_context(|| format!("the device manager does not answer within {patience:?}"))?;
    match answer.trim_end() {
        "ok" => Ok(()),
        "" => bail!("the device manager has gone"),
        error => bail!("the device manager: {error}"),
    }
}

/// Waits so long at most, or until `exists` is there.
///
/// # Errors
/// It is not over in time, or there is no device manager.
pub fn settle(places: &Places, patience: Duration, exists: Option<&Path>) -> Result<()> {
    let end = Instant::now() + patience;
    match ask(places, "sync", patience) {
        // Everybody may look at the queue, in which the newest events may not be yet.
        Err(error) if is_of_kind(&error, io::ErrorKind::PermissionDenied) => {
            log::debug!("{error:#}");
        }
        // As with udevadm: scripts run where nothing manages devices.
        Err(error) if is_of_kind(&error, io::ErrorKind::NotFound) => {
            log::warn!("there is no device manager to wait for");
            return Ok(());
        }
        asked => asked?,
    }
    let queue = places.state.join("queue");
    while queue.try_exists()? {
        if exists.is_some_and(Path::exists) {
            return Ok(());
        }
        if Instant::now() >= end {
            let error = format!(
                "devices are still being handled after {} s",
                patience.as_secs()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, error).into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn is_of_kind(error: &anyhow::Error, kind: io::ErrorKind) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_manages_devices_there_is_nothing_to_wait_for() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::of(root.path());
        settle(&places, Duration::from_secs(5), None).unwrap();
        assert!(ask(&places, "reload", LOOK).is_err());
        std::fs::create_dir_all(&places.state).unwrap();
        let listener =
            std::os::unix::net::UnixListener::bind(places.state.join("control")).unwrap();
        let error = settle(&places, LOOK, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the device manager does not answer within 20ms"
        );
        drop(listener);
        assert!(settle(&places, LOOK, None).is_err(), "it has died");
    }
}
