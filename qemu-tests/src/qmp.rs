//! QEMU's machine protocol: commands, and events as they happen.
//!
//! Source: QEMU, "QEMU Machine Protocol Specification". One JSON document a line; QEMU greets,
//! the client leaves negotiation with `qmp_capabilities`, replies carry the command's `id`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

/// A command is answered at once, unless the host is very busy.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Something that happened to the machine: `RESET`, `SHUTDOWN`, `POWERDOWN`, …
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// QEMU's name of it.
    pub name: String,
    /// Its details.
    pub data: Value,
    /// Time from the machine's start to its arrival.
    pub at: Duration,
}

/// A connection to a machine's monitor.
#[derive(Debug)]
pub struct Qmp {
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
    replies: BTreeMap<u64, Result<Value, String>>,
    events: Vec<Event>,
    /// Events that [`Qmp::wait_event`] has handed out.
    seen: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `take` finds what it looks for; `None` when the time is over or QEMU is gone.
    fn wait<T>(&self, until: Instant, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = take(&mut state) {
                return Some(found);
            }
            let now = Instant::now();
            if state.closed || now >= until {
                return None;
            }
            let waited = self.changed.wait_timeout(state, until - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Qmp {
    /// Leaves negotiation mode; event times count from `start`, nothing waits past `deadline`.
    pub(crate) fn attach(
        stream: UnixStream,
        start: Instant,
        deadline: Instant,
    ) -> anyhow::Result<Self> {
        let reader = stream
            .try_clone()
            .context("cannot duplicate the monitor's socket")?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || listen(reader, start, &theirs))
            .context("cannot start the monitor's thread")?;
        let qmp = Self {
            shared,
            writer: Mutex::new(Writer { stream, next_id: 1 }),
            deadline,
        };
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and returns its result.
    ///
    /// # Errors
    /// QEMU refuses it, is gone, or does not answer.
    pub fn execute(&self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        let id = self.send(command, arguments)?;
        let until = (Instant::now() + REPLY_TIMEOUT).min(self.deadline.max(Instant::now()));
        // Evidence is gathered after the deadline too: a moment is always left.
        let until = until.max(Instant::now() + Duration::from_secs(5));
        self.shared
            .wait(until, |state| state.replies.remove(&id))
            .with_context(|| format!("cannot run '{command}' in QEMU's monitor: no answer"))?
            .map_err(|cause| anyhow!("cannot run '{command}' in QEMU's monitor: {cause}"))
    }

    fn send(&self, command: &str, arguments: &Value) -> anyhow::Result<u64> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let id = writer.next_id;
        writer.next_id += 1;
        let line = format!(
            "{}\n",
            json!({ "execute": command, "arguments": arguments, "id": id })
        );
        writer
            .stream
            .write_all(line.as_bytes())
            .with_context(|| format!("cannot send '{command}' to QEMU's monitor"))?;
        Ok(id)
    }

    /// Waits for the next event with this name that was not handed out before.
    ///
    /// # Errors
    /// It did not happen in `timeout`, nor by the machine's deadline, nor before QEMU ended.
    pub fn wait_event(&self, name: &str, timeout: Duration) -> anyhow::Result<Event> {
        let now = Instant::now();
        let until = now
            .checked_add(timeout)
            .map_or(self.deadline, |end| end.min(self.deadline));
        let found = self.shared.wait(until, |state| {
            let unseen = state.events.iter().enumerate().skip(state.seen);
            let (index, event) = unseen.into_iter().find(|(_, event)| event.name == name)?;
            let event = event.clone();
            state.seen = index + 1;
            Some(event)
        });
        let Some(event) = found else {
            let names: Vec<_> = self.events().into_iter().map(|event| event.name).collect();
            bail!(
                "cannot see the event {name}: none came in {:.1} s; there were {names:?}",
                now.elapsed().as_secs_f64()
            );
        };
        Ok(event)
    }

    /// Every event so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.shared.lock().events.clone()
    }
}

fn listen(stream: UnixStream, start: Instant, shared: &Shared) {
    // A read error means that QEMU is gone, as the end of the stream does.
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(message) => take(&message, start.elapsed(), &mut shared.lock()),
            Err(error) => eprintln!("QEMU's monitor said {line:?}, which is no JSON: {error}"),
        }
        shared.changed.notify_all();
    }
    shared.lock().closed = true;
    shared.changed.notify_all();
}

fn take(message: &Value, at: Duration, state: &mut State) {
    if let Some(name) = message.get("event").and_then(Value::as_str) {
        let data = message.get("data").cloned().unwrap_or(Value::Null);
        state.events.push(Event {
            name: name.to_owned(),
            data,
            at,
        });
        return;
    }
    // The greeting has no id.
    let Some(id) = message.get("id").and_then(Value::as_u64) else {
        return;
    };
    let reply = match message.get("error") {
        None => Ok(message.get("return").cloned().unwrap_or(Value::Null)),
        Some(error) => Err(error
            .get("desc")
            .and_then(Value::as_str)
            .unwrap_or("unknown error")
            .to_owned()),
    };
    state.replies.insert(id, reply);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_events_and_the_greeting_are_told_apart() {
        let mut state = State::default();
        for message in [
            json!({"QMP": {"version": {}}}),
            json!({"return": {}, "id": 1}),
            json!({"event": "SHUTDOWN", "data": {"guest": true}, "timestamp": {}}),
            json!({"error": {"class": "GenericError", "desc": "no such device"}, "id": 2}),
        ] {
            take(&message, Duration::ZERO, &mut state);
        }
        assert_eq!(state.replies.get(&1), Some(&Ok(json!({}))));
        assert_eq!(
            state.replies.get(&2),
            Some(&Err("no such device".to_owned()))
        );
        assert_eq!(state.events.len(), 1);
        assert_eq!(state.events[0].name, "SHUTDOWN");
    }
}
