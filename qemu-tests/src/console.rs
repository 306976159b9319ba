//! The serial console: a thread reads it, writes its log, and wakes those who expect something.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::transcript::{Line, Transcript};

/// Lines of the console that an error message repeats.
const LINES_IN_ERRORS: usize = 25;

/// A machine's serial console.
#[derive(Debug)]
pub struct Console {
    shared: Arc<Shared>,
    writer: Mutex<UnixStream>,
    deadline: Instant,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    transcript: Transcript,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Console {
    /// Reads `stream` until it ends, copying it to `log`; times count from `start`, and nothing
    /// waits past `deadline`.
    pub(crate) fn attach(
        stream: UnixStream,
        log: File,
        start: Instant,
        deadline: Instant,
    ) -> anyhow::Result<Self> {
        let reader = stream
            .try_clone()
            .context("cannot duplicate the console's socket")?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || record(reader, log, start, &theirs))
            .context("cannot start the console's thread")?;
        Ok(Self {
            shared,
            writer: Mutex::new(stream),
            deadline,
        })
    }

    /// Waits until the console has said `pattern` (plain text) since the last match, at most until
    /// the machine's deadline; returns what it said up to and with it.
    ///
    /// # Errors
    /// The deadline passed or the machine ended; the message has the console's last lines.
    pub fn expect(&self, pattern: &str) -> anyhow::Result<String> {
        self.expect_any(&[pattern], Duration::MAX)
            .map(|(_, text)| text)
    }

    /// As [`Self::expect`], with a timeout of its own.
    ///
    /// # Errors
    /// As for [`Self::expect`].
    pub fn expect_within(&self, pattern: &str, timeout: Duration) -> anyhow::Result<String> {
        self.expect_any(&[pattern], timeout).map(|(_, text)| text)
    }

    /// As [`Self::expect`], for the first of several patterns; returns its index too.
    ///
    /// # Errors
    /// As for [`Self::expect`].
    pub fn expect_any(
        &self,
        patterns: &[&str],
        timeout: Duration,
    ) -> anyhow::Result<(usize, String)> {
        self.wait(&format!("{patterns:?}"), timeout, |transcript| {
            transcript.find(patterns)
        })
    }

    /// Waits until `pattern` occurs anywhere in what the console has said since the start; what
    /// others expect is not touched.
    ///
    /// # Errors
    /// As for [`Self::expect`].
    pub fn wait_for(&self, pattern: &str) -> anyhow::Result<()> {
        self.wait(&format!("{pattern:?}"), Duration::MAX, |transcript| {
            transcript.contains(pattern).then_some(())
        })
    }

    fn wait<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&mut Transcript) -> Option<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        let until = begin
            .checked_add(timeout)
            .map_or(self.deadline, |end| end.min(self.deadline));
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = look(&mut state.transcript) {
                return Ok(found);
            }
            let now = Instant::now();
            let cause = if state.closed {
                "the machine ended".to_owned()
            } else if now >= until {
                format!("{:.1} s have passed", (now - begin).as_secs_f64())
            } else {
                let waited = self.shared.changed.wait_timeout(state, until - now);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            };
            let tail = state.transcript.tail(LINES_IN_ERRORS);
            bail!("cannot find {what} on the console: {cause}; its last lines are:\n{tail}");
        }
    }

    /// Types `line` and Enter.
    ///
    /// # Errors
    /// The machine ended.
    pub fn send_line(&self, line: &str) -> anyhow::Result<()> {
        self.send(format!("{line}\r").as_bytes())
    }

    /// Types these bytes.
    ///
    /// # Errors
    /// The machine ended.
    pub fn send(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer
            .write_all(bytes)
            .context("cannot type on the console: the machine ended")
    }

    /// Every line so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.shared.lock().transcript.lines()
    }

    /// The last `count` lines.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        self.shared.lock().transcript.tail(count)
    }
}

fn record(mut stream: UnixStream, mut log: File, start: Instant, shared: &Shared) {
    let mut buffer = [0; 4096];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // QEMU was killed with bytes in flight: the console ends here as well.
            Err(_) => break,
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        shared.lock().transcript.push(bytes, start.elapsed());
        shared.changed.notify_all();
        if let Err(error) = log.write_all(bytes) {
            eprintln!("cannot write the serial log: {error}");
        }
    }
    shared.lock().closed = true;
    shared.changed.notify_all();
}
