//! Waiting for a builder while its output goes to the log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::Limits;

/// Lines of the log that an error shows.
const TAIL_LINES: usize = 25;

/// Bytes of the log's end that are kept to find these lines in.
const TAIL_BYTES: usize = 16 << 10;

/// The largest log: 1 GiB.
const LOG_LIMIT: u64 = 1 << 30;

/// How often a builder is looked at that has closed its output but goes on.
const POLL: Duration = Duration::from_millis(10);

/// How a builder ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself, or by a signal of somebody else.
    Exited(ExitStatus),
    /// Stopped for taking longer than this.
    TimedOut(Duration),
    /// Stopped for writing nothing for so long.
    Silent(Duration),
    /// Stopped for writing more than any log may have.
    TooMuchOutput,
}

/// A builder's end, and the end of its log.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) tail: String,
}

/// Copies what comes out of `output` to `log` until `child` ends or exceeds a limit.
///
/// # Errors
/// The log cannot be written; the builder is stopped then.
pub(super) fn supervise(
    mut child: Child,
    mut output: PipeReader,
    mut log: File,
    limits: Limits,
) -> io::Result<Ended> {
    let (sender, receiver) = channel();
    let mut tail = Tail::default();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = match output.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(read) => read,
                };
                let chunk = buffer.get(..read).unwrap_or_default().to_vec();
                if sender.send(chunk).is_err() {
                    return;
                }
            }
        });
        let (begin, mut last, mut written) = (Instant::now(), Instant::now(), 0_u64);
        let mut closed = false;
        let end = loop {
            if let Some(end) = exceeded(limits, begin, last) {
                break end;
            }
            if closed {
                if let Some(status) = child.try_wait()? {
                    break End::Exited(status);
                }
                std::thread::sleep(POLL);
                continue;
            }
            match receiver.recv_timeout(next_look(limits, begin, last)) {
                Ok(chunk) => {
                    last = Instant::now();
                    written += chunk.len() as u64;
                    tail.add(&chunk);
                    if let Err(error) = log.write_all(&chunk) {
                        stop(&mut child)?;
                        return Err(error);
                    }
                    if written > LOG_LIMIT {
                        break End::TooMuchOutput;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => closed = true,
            }
        };
        if !matches!(end, End::Exited(_)) {
            stop(&mut child)?;
        }
        Ok(Ended {
            end,
            tail: tail.text(),
        })
    })
}

/// The relay's death takes the builder and all of its children along.
fn stop(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

fn exceeded(limits: Limits, begin: Instant, last: Instant) -> Option<End> {
    let time = limits.time.filter(|limit| begin.elapsed() > *limit);
    let silence = limits.silence.filter(|limit| last.elapsed() > *limit);
    time.map(End::TimedOut).or(silence.map(End::Silent))
}

fn next_look(limits: Limits, begin: Instant, last: Instant) -> Duration {
    let rest = |limit: Option<Duration>, since: Instant| {
        limit.map(|limit| limit.saturating_sub(since.elapsed()) + Duration::from_millis(1))
    };
    let all = [rest(limits.time, begin), rest(limits.silence, last)];
    all.into_iter()
        .flatten()
        .min()
        .unwrap_or(Duration::from_hours(1))
}

/// The last bytes of a log.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn add(&mut self, chunk: &[u8]) {
        self.0.extend(chunk);
        let excess = self.0.len().saturating_sub(TAIL_BYTES);
        self.0.drain(..excess);
    }

    /// The last lines with a heading, without what would confuse a terminal; nothing if there is
    /// none.
    fn text(self) -> String {
        let bytes: Vec<u8> = self.0.into();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        let last = lines.get(from..).unwrap_or_default();
        if last.is_empty() {
            return "; it wrote nothing".to_owned();
        }
        let mut shown = String::new();
        for line in last {
            shown.push_str("\n  > ");
            shown.extend(line.chars().filter(|c| !c.is_control() || *c == '\t'));
        }
        format!("; the last lines that it wrote:{shown}")
    }
}
