//! Core: PID 1 of the running system.
//!
//! It reaps, keeps the descriptors that must outlive the supervisor, restarts the supervisor, and
//! ends the machine. It parses nothing, and after its start allocates nothing until the ending.
//!
//! Invariants: it never exits, never panics, never waits for anything but its own poll, and obeys
//! nobody but its signals and its one child.

pub mod ending;
mod kept;
pub mod message;
mod signal_table;
mod supervisor;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cairn_sys::kmsg::{self, Priority};
use cairn_sys::process::{self, Exit};
use cairn_sys::reboot::{self, Ending};
use cairn_sys::seqpacket;
use cairn_sys::signal::{self, Signals};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::{Ms, now};
use kept::{Cursor, Kept};
use message::Message;
use supervisor::Supervisor;

/// Descriptors that core may keep: three a service, and some.
const OPEN_FILES: u64 = 65_536;

/// How long the supervisor may be silent while it stops services, in milliseconds.
const SILENCE_MS: Ms = 30_000;

/// Runs as PID 1 for the generation at `toplevel`; never returns.
pub fn run(toplevel: &Path) -> ! {
    install_panic_hook();
    kmsg::install("cairn-core", log::LevelFilter::Info);
    signal::catch_faults();
    let mut retry = false;
    loop {
        if retry {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        retry = true;
        match Core::new(toplevel) {
            Ok(mut core) => core.live(),
            // Nothing of the system runs yet: tell it, and try again for ever.
            Err(error) => kmsg::write(
                Priority::Critical,
                &format!("cairn: PID 1 cannot start: {error}"),
            ),
        }
    }
}

/// A panic is a defect of this program: the kernel log has it, and the machine starts again.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        kmsg::write(
            Priority::Critical,
            &format!("cairn: PID 1 failed: {panic}; rebooting in 10 s"),
        );
        signal::reboot_after_delay()
    }));
}

struct Core {
    signals: Signals,
    supervisor: Supervisor,
    link: Option<OwnedFd>,
    kept: Kept,
    /// Where the answer to the supervisor's hello stands.
    answering: Option<Cursor>,
    /// The wanted ending, and when the supervisor has been silent for too long.
    ending: Option<(Ending, Ms)>,
}

impl Core {
    fn new(toplevel: &Path) -> io::Result<Self> {
        let signals = Signals::take_all()?;
        let open_files = process::raise_open_files(OPEN_FILES)?;
        if let Err(error) = reboot::take_ctrl_alt_del() {
            log::info!("Ctrl-Alt-Del stays with the kernel: {error}");
        }
        Ok(Self {
            signals,
            supervisor: Supervisor::new(toplevel, open_files, console()?)?,
            link: None,
            kept: Kept::new(),
            answering: None,
            ending: None,
        })
    }

    fn live(&mut self) -> ! {
        loop {
            self.start_supervisor();
            self.send();
            self.wait();
            while let Some(signal) = self.signals.next() {
                self.signal(signal);
            }
            // SIGCHLD is merged by the kernel, and may have been taken before: look each time.
            self.reap();
            self.receive();
            if let Some((ending, deadline)) = self.ending
                && now() >= deadline
            {
                kmsg::write(
                    Priority::Error,
                    "cairn: the supervisor is silent: ending without it",
                );
                ending::end(ending);
            }
        }
    }

    fn start_supervisor(&mut self) {
        if self.ending.is_some() || !self.supervisor.is_due(now()) {
            return;
        }
        self.answering = None;
        match self.supervisor.start(now()) {
            Ok(link) => self.link = Some(link),
            Err(error) => log::error!("cannot start the supervisor: {error}; trying again"),
        }
    }

    fn wait(&self) {
        let more =
            self.link.is_some() && (self.answering.is_some() || self.kept.untold().is_some());
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, more);
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let deadlines = [
            self.supervisor.due(),
            self.ending.map(|(_, deadline)| deadline),
        ];
        let timeout = deadlines
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_sub(now()));
        let timeout = timeout.map_or(PollTimeout::NONE, |ms| {
            PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
        });
        let result = match &self.link {
            Some(link) => poll(&mut [signals, PollFd::new(link.as_fd(), events)], timeout),
            None => poll(&mut [signals], timeout),
        };
        match result {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => {
                // No memory for a moment; without a pause this would spin.
                log::error!("cannot wait for events: {error}");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }

    fn signal(&mut self, signal: i32) {
        if signal == signal_table::CHILD {
            return;
        }
        if let Some(ending) = signal_table::ending(signal) {
            self.want(ending);
        } else {
            log::info!("signal {signal} is ignored");
        }
    }

    /// Asks the supervisor to stop everything; the first ending asked for stays.
    fn want(&mut self, ending: Ending) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some((ending, now().saturating_add(SILENCE_MS)));
        let message = Message::Ending(ending).encode();
        let sent = self
            .link
            .as_ref()
            .map(|link| seqpacket::send(link.as_fd(), &message, None));
        match sent {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                log::error!("cannot tell the supervisor to stop services: {error}");
                ending::end(ending);
            }
            None => ending::end(ending),
        }
    }

    fn reap(&mut self) {
        while let Some((pid, exit)) = process::reap_any() {
            if self.supervisor.has_pid(pid) {
                self.supervisor_ended(exit);
            } else {
                // What the supervisor has said of it before its end counts.
                self.receive();
                self.kept.exited(pid, exit);
            }
        }
    }

    fn supervisor_ended(&mut self, exit: Exit) {
        // What it sent before its end counts.
        self.receive();
        self.link = None;
        self.answering = None;
        self.supervisor.ended(now());
        log::error!("the supervisor ended with {exit}; services go on");
        if let Some((ending, _)) = self.ending {
            ending::end(ending);
        }
    }

    /// Sends what the supervisor lacks, as far as its queue has room.
    fn send(&mut self) {
        let Some(link) = &self.link else { return };
        while let Some(cursor) = self.answering {
            let (message, descriptor, next) = match self.kept.next(cursor) {
                Some((message, descriptor, next)) => (message, Some(descriptor), Some(next)),
                None => (Message::KeptAll, None, None),
            };
            if seqpacket::send(link.as_fd(), &message.encode(), descriptor).is_err() {
                return; // full: poll says when there is room; gone: so does poll
            }
            self.answering = next;
        }
        while let Some(message) = self.kept.untold() {
            if seqpacket::send(link.as_fd(), &message.encode(), None).is_err() {
                return; // as above
            }
            self.kept.told(message);
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; message::BYTES];
        loop {
            let Some(link) = &self.link else { return };
            match seqpacket::receive(link.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    // It ended, which SIGCHLD tells; or closed its side, which it never does.
                    self.link = None;
                    self.supervisor.kill();
                }
                Ok((length, descriptor)) => {
                    let message = buffer.get(..length).and_then(Message::decode);
                    self.obey(message, descriptor);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log::error!("cannot hear the supervisor: {error}");
                    self.link = None;
                    self.supervisor.kill();
                }
            }
        }
    }

    fn obey(&mut self, message: Option<Message>, descriptor: Option<OwnedFd>) {
        match (message, descriptor) {
            (Some(Message::Hello), _) => self.answering = Some(self.kept.start()),
            (Some(Message::Keep(place)), Some(descriptor)) => {
                if !self.kept.keep(place, descriptor) {
                    log::error!("cannot keep {place:?}: the table is full");
                }
            }
            (Some(Message::Drop(place)), _) => self.kept.drop(place),
            (Some(Message::Ending(ending)), _) => {
                let ending = self.ending.map_or(ending, |(first, _)| first);
                self.ending = Some((ending, now().saturating_add(SILENCE_MS)));
            }
            (Some(Message::Finish(ending)), _) => ending::end(ending),
            (message, _) => log::error!("the supervisor said what makes no sense: {message:?}"),
        }
    }
}

/// Where the supervisor's own standard streams go.
fn console() -> io::Result<File> {
    let open = |path: &str| OpenOptions::new().write(true).open(path);
    open("/dev/kmsg").or_else(|_| open("/dev/null"))
}
