//! Runs commands for the test driver, over a virtio console.
//!
//! It runs in test images only, as a service. It never ends by itself: when the host closes the
//! port, it waits for the host to come back.

#![forbid(unsafe_code)]

mod port;
mod run;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use cairn_test_agent::{Message, PORT_NAME, Request};

/// The port's driver may be loaded after the agent has started.
const PORT_TIMEOUT: Duration = Duration::from_mins(1);
/// Between two looks while waiting for the port or for the host.
const RETRY: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-test-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let path = wait_for_port()?;
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let writer = port
        .try_clone()
        .with_context(|| format!("cannot duplicate {}", path.display()))?;
    let writer = Arc::new(Mutex::new(writer));
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot read /proc/sys/kernel/random/boot_id")?;
    say(
        &writer,
        &Message::Hello {
            boot: boot.trim_end().to_owned(),
        },
    )?;
    let mut reader = BufReader::new(port);
    let mut line = String::new();
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            // The host is away: reads end at once until it opens its side again.
            Ok(0) => thread::sleep(RETRY),
            Ok(_) => answer(&line, &writer),
            Err(error) => eprintln!("cairn-test-agent: cannot read {}: {error}", path.display()),
        }
    }
}

fn wait_for_port() -> anyhow::Result<PathBuf> {
    let deadline = Instant::now() + PORT_TIMEOUT;
    loop {
        match port::find(Path::new("/sys"), Path::new("/dev"), PORT_NAME)? {
            Some(path) if path.exists() => return Ok(path),
            _ if Instant::now() > deadline => anyhow::bail!(
                "cannot find the virtio port {PORT_NAME}: it did not appear in {} s; \
                 is the module virtio_console loaded?",
                PORT_TIMEOUT.as_secs()
            ),
            _ => thread::sleep(RETRY),
        }
    }
}

/// Starts the request in a thread of its own, so that one that hangs holds up no other.
fn answer(line: &str, writer: &Arc<Mutex<File>>) {
    let request: Request = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => {
            // Half a line from before a reset; the host repeats what it still wants.
            eprintln!("cairn-test-agent: a line is ignored: {error}");
            return;
        }
    };
    let writer = Arc::clone(writer);
    thread::spawn(move || {
        let reply = run::run(&request, scratch());
        if let Err(error) = say(&writer, &Message::Reply(reply)) {
            eprintln!("cairn-test-agent: {error:#}");
        }
    });
}

fn scratch() -> &'static Path {
    let run = Path::new("/run");
    if run.is_dir() { run } else { Path::new("/tmp") }
}

fn say(writer: &Mutex<File>, message: &Message) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(message).context("cannot write a message as JSON")?;
    line.push(b'\n');
    writer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(&line)
        .context("cannot write to the virtio port")
}
