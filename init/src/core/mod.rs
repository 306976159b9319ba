//! Core: PID 1 of the running system.
//!
//! It reaps, keeps the descriptors that must outlive the supervisor, restarts the supervisor, and
//! ends the machine. It parses nothing, and after its start allocates nothing until the ending.
//!
//! Invariants: it never exits, never panics, never waits for anything but its own poll, and obeys
//! nobody but its signals and its one child.
//!
//! When a generation with another program takes over, core executes that in its own place: it stays
//! PID 1 and everybody's last parent, keeps the descriptors, and its signals wait, blocked, for the
//! program that comes (`handover`). The supervisor has executed the same program before, so that it
//! is known to run here.

pub mod ending;
pub mod handover;
mod kept;
pub mod message;
pub mod outliving;
pub mod renewal;
mod resort;
mod signal_table;
mod stacked;
mod supervisor;
mod words;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use cairn_sys::kmsg::{self, Priority};
use cairn_sys::process::{self, Credentials, Exit, Prepared};
use cairn_sys::program;
use cairn_sys::reboot::{self, Ending};
use cairn_sys::seqpacket;
use cairn_sys::signal::{self, Signals};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::{Ms, now};
use crate::realm::{Owner, realm};
use crate::role::core_name;
use crate::stage1;
pub use handover::Estate;
use kept::Kept;
pub use kept::SLOTS;
use message::Message;
use resort::{Resort, Step};
use supervisor::{Life, Supervisor};

/// The last argument of a core that takes over from another one.
pub const HANDOVER: &str = "handover";

/// Descriptors that core may keep: three a service, and some.
const OPEN_FILES: u64 = 65_536;

/// How long the supervisor may be silent while it stops services, in milliseconds.
const SILENCE_MS: Ms = 30_000;

/// The status of a user's core that is to be started again.
const AGAIN: i32 = 75;

/// How long ends of processes gather when they come one upon the other, in milliseconds: to be woken
/// for each costs more than to reap it.
const GATHER_MS: Ms = 10;

/// Processes that are reaped before the supervisor is heard.
const REAPED_AT_ONCE: usize = 32;

/// How often it is told that a signal means nothing, in milliseconds.
const IGNORED_MS: Ms = 1_000;

/// What there is when core begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing: the machine boots.
    Boot,
    /// What another generation's core has left, see [`handover`].
    Handover,
}

/// Whether stage 2 and core of this program go on with a handover of that version.
pub fn goes_on(version: u32) -> ExitCode {
    if version <= handover::VERSION {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs as PID 1 for the generation at `toplevel`; never returns.
pub fn run(toplevel: &Path, beginning: Beginning) -> ! {
    kmsg::install("cairn-core", log::LevelFilter::Info);
    if realm().owner.is_none() {
        // A user's core that fails is started again by the machine's supervisor.
        install_panic_hook();
        signal::catch_faults();
    }
    let estate = match beginning {
        Beginning::Boot => Estate::new(),
        Beginning::Handover => renewal::inherit(),
    };
    let mut retry = false;
    loop {
        if retry {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        retry = true;
        match Core::new(toplevel) {
            Ok(mut core) => {
                core.estate = estate;
                core.live()
            }
            // Nobody else would start the system: tell it, and try again for ever.
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
    /// What is executed in our place when another generation takes over.
    successor: Prepared,
    /// That is to be done, for a program that reads handovers up to this version.
    renewal: Option<u32>,
    estate: Estate,
    /// What is done if no supervisor stays.
    resort: Resort,
    /// When the last signal that means nothing was told of.
    ignored_at: Ms,
    /// When it was last told that processes have ended.
    child_at: Ms,
    /// Until when signals are left to gather.
    gather_until: Ms,
}

impl Core {
    fn new(toplevel: &Path) -> io::Result<Self> {
        let signals = Signals::take_all()?;
        let open_files = process::raise_open_files(OPEN_FILES)?;
        let owner = realm().owner.as_ref();
        if owner.is_some() {
            // What a user's services leave behind is the user's.
            nix::sys::prctl::set_child_subreaper(true)?;
        } else if let Err(error) = reboot::take_ctrl_alt_del() {
            log::info!("Ctrl-Alt-Del stays with the kernel: {error}");
        }
        let generation = realm().generation.as_os_str();
        let argv = [
            OsStr::new(core_name(owner)),
            generation,
            OsStr::new(HANDOVER),
        ];
        let variables = owner.map(Owner::variables).unwrap_or_default();
        let variables = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let successor = Prepared::new(argv, variables, Credentials::default(), open_files)?
            .program(OsStr::from_bytes(realm().program.to_bytes()))?;
        Ok(Self {
            signals,
            supervisor: Supervisor::new(toplevel, open_files, console()?)?,
            successor,
            renewal: None,
            estate: Estate::new(),
            resort: Resort::new(&stage1::orders()),
            ignored_at: 0,
            child_at: 0,
            gather_until: 0,
        })
    }

    fn live(&mut self) -> ! {
        loop {
            self.start_supervisor();
            self.send();
            self.signals.catch_faults_again();
            self.wait();
            for signal in self.signals.take() {
                self.signal(signal);
            }
            // SIGCHLD is merged by the kernel, and may have been taken before: look each time.
            self.reap();
            self.receive();
            // Here, where no end of a process that was reaped is in anybody's hands.
            if let Some(handover) = self.renewal.take() {
                self.renew(handover);
            }
            if let Some((ending, deadline)) = self.estate.ending
                && now() >= deadline
            {
                kmsg::write(
                    Priority::Error,
                    "cairn: the supervisor is silent: ending without it",
                );
                self.end(ending);
            }
        }
    }

    fn start_supervisor(&mut self) {
        let time = now();
        let estate = &mut self.estate;
        if estate.ending.is_some() || estate.life.due().is_none_or(|at| at > time) {
            return;
        }
        estate.answering = None;
        match self.supervisor.start(estate.life.failures()) {
            Ok((link, started)) => {
                estate.link = Some(link);
                estate.life.started(started.pid, time);
            }
            Err(error) => {
                estate.life.ended(time);
                log::error!("cannot start the supervisor: {error}; trying again");
                self.resort();
            }
        }
    }

    /// Nobody but us is left to do something about supervisors that end.
    fn resort(&mut self) {
        if realm().owner.is_some() {
            return; // the machine's supervisor is there for that
        }
        match self.resort.step(self.estate.life.failures()) {
            Step::Wait => {}
            Step::Shell => self.resort.open_shell(&realm().generation),
            Step::Reboot => {
                kmsg::write(
                    Priority::Critical,
                    "cairn: no supervisor has stayed alive for minutes: rebooting",
                );
                self.end(Ending::Reboot);
            }
        }
    }

    fn wait(&self) {
        let estate = &self.estate;
        let more =
            estate.link.is_some() && (estate.answering.is_some() || estate.kept.has_untold());
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, more);
        let gathers = now() < self.gather_until;
        let wanted = if gathers {
            PollFlags::empty()
        } else {
            PollFlags::POLLIN
        };
        let signals = PollFd::new(self.signals.as_fd(), wanted);
        let deadlines = [
            gathers.then_some(self.gather_until),
            estate.life.due(),
            estate.ending.map(|(_, deadline)| deadline),
        ];
        let timeout = deadlines
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.saturating_sub(now()));
        let timeout = timeout.map_or(PollTimeout::NONE, |ms| {
            PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
        });
        let result = match &estate.link {
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
            let time = now();
            if time.saturating_sub(self.child_at) < GATHER_MS {
                self.gather_until = time.saturating_add(GATHER_MS);
            }
            self.child_at = time;
            return;
        }
        if let Some(ending) = signal_table::ending(signal) {
            self.want(ending);
        } else if now().saturating_sub(self.ignored_at) >= IGNORED_MS {
            // A storm of them is no reason to fill the kernel's log.
            self.ignored_at = now();
            log::info!("signal {signal} is ignored");
        }
    }

    /// Asks the supervisor to stop everything; the first ending asked for stays.
    fn want(&mut self, ending: Ending) {
        if self.estate.ending.is_some() {
            return;
        }
        self.estate.ending = Some((ending, now().saturating_add(SILENCE_MS)));
        let message = Message::Ending(ending).encode();
        let sent = self
            .estate
            .link
            .as_ref()
            .map(|link| seqpacket::send(link.as_fd(), &message, None));
        match sent {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                log::error!("cannot tell the supervisor to stop services: {error}");
                self.end(ending);
            }
            None => self.end(ending),
        }
    }

    fn reap(&mut self) {
        let mut all = std::iter::from_fn(process::reap_any).peekable();
        while all.peek().is_some() {
            let mut ended = [None; REAPED_AT_ONCE];
            for (place, one) in ended.iter_mut().zip(&mut all) {
                *place = Some(one);
            }
            // What the supervisor has said of them before their end counts.
            self.receive();
            for (pid, exit) in ended.into_iter().flatten() {
                if self.estate.life.pid() == Some(pid) {
                    self.supervisor_ended(exit);
                } else {
                    self.estate.kept.exited(pid, exit);
                    self.resort.ended(pid);
                }
            }
        }
    }

    fn supervisor_ended(&mut self, exit: Exit) {
        // What it sent before its end counts.
        self.receive();
        self.estate.link = None;
        self.estate.answering = None;
        self.estate.life.ended(now());
        log::error!("the supervisor ended with {exit}; services go on");
        if let Some((ending, _)) = self.estate.ending {
            self.end(ending);
        }
        self.resort();
    }

    /// Sends what the supervisor lacks, as far as its queue has room.
    fn send(&mut self) {
        let Some(link) = &self.estate.link else {
            return;
        };
        while let Some(cursor) = self.estate.answering {
            let kept_all = Message::KeptAll {
                version: message::VERSION,
            };
            let (message, descriptor, next) = self
                .estate
                .kept
                .next(cursor)
                .map_or((kept_all, None, None), |(message, descriptor, next)| {
                    (message, Some(descriptor), Some(next))
                });
            if seqpacket::send(link.as_fd(), &message.encode(), descriptor).is_err() {
                return; // full: poll says when there is room; gone: so does poll
            }
            self.estate.answering = next;
        }
        while let Some(message) = self.estate.kept.untold() {
            if seqpacket::send(link.as_fd(), &message.encode(), None).is_err() {
                return; // as above
            }
            self.estate.kept.told(message);
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; message::BYTES];
        loop {
            let Some(link) = &self.estate.link else {
                return;
            };
            match seqpacket::receive(link.as_fd(), &mut buffer) {
                Ok((0, _)) => {
                    // It ended, which SIGCHLD tells; or closed its side, which it never does.
                    self.estate.link = None;
                    self.estate.life.kill();
                }
                Ok((length, descriptor)) => {
                    let message = buffer.get(..length).and_then(Message::decode);
                    self.obey(message, descriptor);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It ended before it had read everything, which the kernel says once; what it had sent comes behind.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    log::error!("cannot hear the supervisor: {error}");
                    self.estate.link = None;
                    self.estate.life.kill();
                }
            }
        }
    }

    fn obey(&mut self, message: Option<Message>, descriptor: Option<OwnedFd>) {
        match (message, descriptor) {
            (Some(Message::Hello { .. }), _) => {
                self.estate.answering = Some(self.estate.kept.start());
                // What began this, or started the supervisor, is not needed while that lives.
                if let Err(error) = program::release_pages() {
                    log::info!("pages of the program that are not needed stay: {error}");
                }
            }
            (Some(Message::Keep(place)), Some(descriptor)) => {
                if !self.estate.kept.keep(place, descriptor) {
                    log::error!("cannot keep {place:?}: the table is full");
                }
            }
            (Some(Message::Drop(place)), _) => self.estate.kept.drop(place),
            (Some(Message::Ending(ending)), _) => {
                let ending = self.estate.ending.map_or(ending, |(first, _)| first);
                self.estate.ending = Some((ending, now().saturating_add(SILENCE_MS)));
            }
            (Some(Message::Finish(ending)), _) => self.end(ending),
            (Some(Message::Renew { handover }), _) => self.renewal = Some(handover),
            (message, _) => log::error!("the supervisor said what makes no sense: {message:?}"),
        }
    }
}

impl Core {
    /// Ends the machine, or of a user, this process: the machine's supervisor starts it again if that is
    /// what is wanted.
    fn end(&mut self, ending: Ending) -> ! {
        match (&realm().owner, ending) {
            (None, _) => ending::end(ending, &mut self.estate),
            (Some(_), Ending::Reboot) => std::process::exit(AGAIN),
            (Some(_), _) => std::process::exit(0),
        }
    }
}

impl Estate {
    /// Nothing kept, and a supervisor to be started.
    fn new() -> Self {
        Self {
            link: None,
            kept: Kept::new(),
            answering: None,
            ending: None,
            life: Life::new(),
        }
    }
}

/// Where the supervisor's own standard streams go.
fn console() -> io::Result<File> {
    if realm().owner.is_some() {
        return Ok(io::stderr().as_fd().try_clone_to_owned()?.into());
    }
    let open = |path: &str| OpenOptions::new().write(true).open(path);
    open("/dev/kmsg").or_else(|_| open("/dev/null"))
}
