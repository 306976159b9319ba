//! The host's side of the agent: commands in the guest.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

pub use cairn_test_agent::End;
use cairn_test_agent::{CommandLine, Message, Reply, Request};

/// For a command whose caller names no timeout.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The guest kills a command at its timeout; its reply needs a moment more.
const GRACE: Duration = Duration::from_secs(15);

/// Why an answer is not waited for any longer.
const TOO_LATE: &str = "it did not answer in time";

/// A boot of the guest, by its kernel's random boot id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot(String);

/// What a command wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub end: End,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// It exited with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.end == End::Exited(0)
    }
}

/// The agent in the guest.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
    deadline: Instant,
}

#[derive(Debug)]
struct Writer {
    stream: UnixStream,
    next_id: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    boot: Option<Boot>,
    replies: BTreeMap<u64, Reply>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(
        &self,
        until: Instant,
        mut take: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, &'static str> {
        let mut state = self.lock();
        loop {
            if let Some(found) = take(&mut state) {
                return Ok(found);
            }
            let now = Instant::now();
            if state.closed {
                return Err("the machine ended");
            }
            if now >= until {
                return Err(TOO_LATE);
            }
            let waited = self.changed.wait_timeout(state, until - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Agent {
    pub(crate) fn attach(stream: UnixStream, deadline: Instant) -> anyhow::Result<Self> {
        let reader = stream
            .try_clone()
            .context("cannot duplicate the agent's socket")?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("agent".to_owned())
            .spawn(move || listen(reader, &theirs))
            .context("cannot start the agent's thread")?;
        Ok(Self {
            shared,
            writer: Mutex::new(Writer { stream, next_id: 1 }),
            deadline,
        })
    }

    /// Waits until the agent runs, at most until the machine's deadline; returns the boot in
    /// which it does.
    ///
    /// # Errors
    /// It did not start in time, or the machine ended.
    pub fn ready(&self) -> anyhow::Result<Boot> {
        self.shared
            .wait(self.deadline, |state| state.boot.clone())
            .map_err(|cause| anyhow::anyhow!("cannot reach the agent in the guest: {cause}"))
    }

    /// Waits until the agent runs in another boot than this one, at most for `patience`; `None` if it
    /// does not yet. See [`crate::Machine::ready_after`].
    ///
    /// # Errors
    /// As for [`Self::ready`].
    pub(crate) fn ready_after(
        &self,
        boot: &Boot,
        patience: Duration,
    ) -> anyhow::Result<Option<Boot>> {
        let until = Instant::now() + patience;
        let other = |state: &mut State| state.boot.clone().filter(|now| now != boot);
        match self.shared.wait(until.min(self.deadline), other) {
            Ok(boot) => Ok(Some(boot)),
            Err(TOO_LATE) if until < self.deadline => Ok(None),
            Err(cause) => bail!("cannot reach the agent after a reboot: {cause}"),
        }
    }

    /// Runs `script` with the guest's `/bin/sh`, for at most a minute.
    ///
    /// # Errors
    /// The agent cannot be reached; a script that fails is no error.
    pub fn run(&self, script: &str) -> anyhow::Result<Output> {
        self.run_within(script, TIMEOUT)
    }

    /// As [`Self::run`], with a timeout of its own.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_within(&self, script: &str, timeout: Duration) -> anyhow::Result<Output> {
        self.execute(CommandLine::Script(script.to_owned()), "", timeout)
    }

    /// Runs a program with these arguments and this standard input.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_program(&self, argv: &[&str], stdin: &str) -> anyhow::Result<Output> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        self.execute(CommandLine::Argv(argv), stdin, TIMEOUT)
    }

    /// Runs `script` and returns its output without the last line end.
    ///
    /// # Errors
    /// It did not exit with status 0: the message has what it wrote.
    pub fn succeed(&self, script: &str) -> anyhow::Result<String> {
        let output = self.run(script)?;
        if !output.success() {
            bail!(
                "in the guest, `{script}` ended with {:?}; it wrote:\n{}{}",
                output.end,
                output.stdout,
                output.stderr
            );
        }
        Ok(output.stdout.trim_end_matches('\n').to_owned())
    }

    /// Starts `script` and does not wait for a reply: for what ends the machine.
    ///
    /// # Errors
    /// The machine has ended already.
    pub fn start(&self, script: &str) -> anyhow::Result<()> {
        self.send(CommandLine::Script(script.to_owned()), "", TIMEOUT)
            .map(drop)
    }

    fn execute(
        &self,
        command: CommandLine,
        stdin: &str,
        timeout: Duration,
    ) -> anyhow::Result<Output> {
        self.ready()?;
        let shown = format!("{command:?}");
        let id = self.send(command, stdin, timeout)?;
        let until = (Instant::now() + timeout + GRACE).min(self.deadline);
        let reply = self
            .shared
            .wait(until, |state| state.replies.remove(&id))
            .map_err(|cause| anyhow::anyhow!("cannot run {shown} in the guest: {cause}"))?;
        Ok(Output {
            end: reply.end,
            stdout: reply.stdout,
            stderr: reply.stderr,
        })
    }

    fn send(&self, command: CommandLine, stdin: &str, timeout: Duration) -> anyhow::Result<u64> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let id = writer.next_id;
        writer.next_id += 1;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let request = Request {
            id,
            command,
            stdin: stdin.to_owned(),
            timeout_ms,
        };
        let mut line = serde_json::to_vec(&request).context("cannot write a request as JSON")?;
        line.push(b'\n');
        writer
            .stream
            .write_all(&line)
            .context("cannot send a request to the agent: the machine ended")?;
        Ok(id)
    }
}

fn listen(stream: UnixStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A read error means that QEMU is gone, as the end of the stream does.
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // What does not parse is half a line from before a reset.
        if let Ok(message) = serde_json::from_slice(&line) {
            let mut state = shared.lock();
            match message {
                Message::Hello { boot } => state.boot = Some(Boot(boot)),
                Message::Reply(reply) => {
                    state.replies.insert(reply.id, reply);
                }
            }
        }
        shared.changed.notify_all();
    }
    shared.lock().closed = true;
    shared.changed.notify_all();
}
