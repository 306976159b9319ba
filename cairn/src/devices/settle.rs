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
pub fn ask(places: &Places, request: &str) -> Result<()> {
    let path = places.state.join("control");
    let mut socket = UnixStream::connect(&path).with_context(|| {
        format!(
            "cannot ask the device manager ({}): it does not run, or you are not root",
            path.display()
        )
    })?;
    writeln!(socket, "{request}")?;
    let mut answer = String::new();
    BufReader::new(&socket).read_line(&mut answer)?;
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
    ask(places, "sync")?;
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
