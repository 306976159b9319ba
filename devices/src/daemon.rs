//! The device manager: hears the kernel, and has each event handled, those of strangers at the same time.
//!
//! Invariant: the loop waits for nothing but news. A device that does not answer keeps its own events waiting and those
//! of what hangs on it, and is named.
//!
//! ```text
//! /run/udev/data, tags   what is known of devices (record.rs)
//! /run/udev/queue        is there while an event is not over: `udevadm settle`
//! /run/udev/control      a socket (control.rs)
//! ```

use std::fs::OpenOptions;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use cairn_sys::uevent::{Received, Uevent, UeventSocket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::control::{Control, Request};
use crate::device::Device;
use crate::enumerate;
use crate::handling::{Handled, Handler, News, Wanted};
use crate::path::named;
use crate::places::Places;
use crate::queue::{Queue, Ticket};
use crate::rules::Problem;
use crate::ruleset;
use crate::running::Running;
use crate::seen::Seen;
use crate::watch::Watches;

/// So much of the kernel's news is heard at once, before something is done about it.
const NEWS: usize = 10_000;

/// When it is tried again to start a thread.
const AGAIN: Duration = Duration::from_millis(100);

/// What the device manager is given.
pub struct Setup {
    /// Where things are.
    pub places: Places,
    /// Where rules are, those first that count before others of the same name.
    pub rules: Vec<PathBuf>,
    /// Folders of programs that rules name, as `PATH`.
    pub path: String,
    /// Who starts the services that rules want.
    pub wanted: Wanted,
    /// Is called once all devices were handled that were there at the start, or after ten seconds without those that
    /// have not answered.
    pub ready: Box<dyn Fn()>,
}

/// What a thread says of the event that it has handled.
type Done = (Ticket, Handled);

struct Daemon {
    places: Places,
    /// Of rules.
    folders: Vec<PathBuf>,
    handler: Arc<Handler>,
    kernel: UeventSocket,
    control: Control,
    watches: Watches,
    queue: Queue<News>,
    /// Events for which there was no thread.
    postponed: Vec<(Ticket, News)>,
    running: Running,
    done: (Sender<Done>, Receiver<Done>),
    bell: (PipeReader, PipeWriter),
    seen: Seen,
}

/// Runs the device manager.
///
/// # Errors
/// It cannot begin, or cannot hear the kernel any more.
pub fn run(setup: Setup) -> io::Result<std::convert::Infallible> {
    let mut daemon = Daemon::new(setup)?;
    daemon.look_at_everything();
    daemon.look_at_modules();
    loop {
        daemon.start_what_can();
        daemon.say_what_is_left();
        daemon.wait()?;
    }
}

impl Daemon {
    fn new(setup: Setup) -> io::Result<Self> {
        let Setup {
            places,
            rules: folders,
            path,
            wanted,
            ready,
        } = setup;
        let (rules, problems) = ruleset::read(&folders)?;
        say(&problems);
        // Heard before anything is looked at, so that nothing is missed between.
        let kernel = UeventSocket::open()?;
        let handler = Handler::new(places.clone(), path, rules, wanted)?;
        let control = Control::listen(&places.state.join("control"))?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            handler: Arc::new(handler),
            kernel,
            control,
            watches: Watches::open()?,
            queue: Queue::default(),
            postponed: Vec::new(),
            running: Running::new(4 * cores),
            done: mpsc::channel(),
            bell: io::pipe()?,
            seen: Seen::new(places.state.join("queue"), ready),
            places,
            folders,
        })
    }

    /// Each device that is there has an event, as if it had come or changed just now; names and records of those that are
    /// gone are removed.
    fn look_at_everything(&mut self) {
        let devices = enumerate::devices(&self.places.sys);
        self.handler.begin(&devices);
        let is_anew = self.handler.is_anew();
        for device in devices {
            if self.will_be_looked_at(&device) {
                continue;
            }
            let records = self.handler.records();
            let is_known = device.id().is_some_and(|id| records.has(&id));
            let action = if is_known { "change" } else { "add" };
            let news = News {
                is_anew,
                ..News::made(action, device)
            };
            self.queue.push(news.paths(), news);
        }
    }

    fn look_at_modules(&mut self) {
        for module in enumerate::modules(&self.places.sys) {
            let news = News::made("add", module);
            self.queue.push(news.paths(), news);
        }
    }

    /// Whether an event waits that looks at the device as it is then.
    fn will_be_looked_at(&self, device: &Device) -> bool {
        let waiting = self.queue.waiting(device.devpath());
        waiting.is_some_and(|news| {
            news.device.devpath() == device.devpath() && news.action != "remove"
        })
    }

    /// What the kernel has said goes to the queue.
    fn hear(&mut self) -> io::Result<()> {
        for _ in 0..NEWS {
            match self.kernel.receive()? {
                Received::Empty => break,
                Received::Overrun => {
                    log::warn!("the kernel's news of devices were lost: all devices are looked at");
                    self.look_at_everything();
                }
                Received::Event(event) => self.push(&event),
            }
        }
        Ok(())
    }

    fn push(&mut self, event: &Uevent) {
        match Device::of_event(&self.places.sys, &event.devpath, &event.fields) {
            Ok(device) => {
                let news = News {
                    action: event.action.clone(),
                    device,
                    is_anew: false,
                };
                let waiting = self.queue.waiting(news.device.devpath());
                if !waiting.is_some_and(|waiting| waiting.says_the_same(&news)) {
                    self.queue.push(news.paths(), news);
                }
            }
            Err(error) => log::warn!("an event is left out: {error}"),
        }
    }

    fn start_what_can(&mut self) {
        while self.running.has_room() {
            let Some((ticket, news)) = self.postponed.pop().or_else(|| self.queue.take()) else {
                return;
            };
            let devpath = news.device.devpath().to_owned();
            if let Err(error) = self.start(ticket, news.clone()) {
                log::warn!("{devpath} waits until there is a thread for it: {error}");
                self.postponed.push((ticket, news));
                return;
            }
            self.running.begin(ticket, devpath);
        }
    }

    /// Has an event handled by a thread of its own: whether the device answers is its matter.
    fn start(&self, ticket: Ticket, news: News) -> io::Result<()> {
        let (handler, done) = (Arc::clone(&self.handler), self.done.0.clone());
        let mut bell = self.bell.1.try_clone()?;
        let work = move || {
            let result = handler.handle(&news);
            // Nobody is there any more to be told: then the program has ended.
            if done.send((ticket, result)).is_ok()
                && let Err(error) = bell.write_all(&[0])
            {
                log::error!("an event that was handled is not noticed: {error}");
            }
        };
        thread::Builder::new()
            .name("event".to_owned())
            .spawn(work)
            .map(drop)
    }

    fn say_what_is_left(&mut self) {
        let is_quiet = self.queue.is_empty() && self.watches.is_quiet();
        self.seen.say(is_quiet);
        self.seen.say_ready(is_quiet, self.running.names());
    }

    /// When something is to be done though nothing is heard.
    fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let again = (!self.postponed.is_empty()).then(|| now + AGAIN);
        let running = self.running.next(self.queue.is_ready());
        let watches = [self.watches.next(), self.watches.rest()];
        let times = [running, again, self.seen.ready_by()];
        times.into_iter().chain(watches).flatten().min()
    }

    fn wait(&mut self) -> io::Result<()> {
        let left = self
            .next()
            .map(|next| next.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let sources = [
            self.kernel.as_fd(),
            self.bell.0.as_fd(),
            self.watches.as_fd(),
            self.control.as_fd(),
        ];
        let mut sources = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
        let [_, _, changes, _] = &mut sources;
        if self.watches.rest().is_some() {
            changes.set_events(PollFlags::empty());
        }
        match poll(&mut sources, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [kernel, bell, changes, control] =
            sources.map(|source| source.any().unwrap_or_default());
        if kernel {
            self.hear()?;
        }
        if bell {
            self.note_what_is_done()?;
        }
        if changes {
            self.watches.note()?;
        }
        self.ask_for_changes();
        if control {
            self.serve()?;
        }
        self.running.name_what_takes_long();
        Ok(())
    }

    fn note_what_is_done(&mut self) -> io::Result<()> {
        let mut rings = [0; 64];
        self.bell.0.read(&mut rings).map(drop)?;
        while let Ok((ticket, handled)) = self.done.1.try_recv() {
            self.queue.done(ticket);
            self.running.done(ticket);
            if let Some(node) = handled.device.node() {
                let node = self.places.dev.join(node);
                self.watches.set(handled.device, &node, handled.is_watched);
            }
        }
        Ok(())
    }

    /// Somebody has written to devices: the kernel is asked for an event of each, so that everybody hears it.
    fn ask_for_changes(&mut self) {
        for device in self.watches.due(Instant::now()) {
            if self.will_be_looked_at(&device) {
                continue;
            }
            for path in std::iter::once(device.path()).chain(enumerate::partitions(&device.path()))
            {
                if let Err(error) = trigger(&path, "change") {
                    log::debug!("{error}"); // it has gone meanwhile
                }
            }
        }
    }

    fn serve(&mut self) -> io::Result<()> {
        while let Some(client) = self.control.accept()? {
            let answer = match client.request() {
                Ok(Request::Sync) => {
                    self.watches.note()?;
                    self.ask_for_changes();
                    self.hear()?;
                    "ok".to_owned()
                }
                Ok(Request::Reload) => self.reload(),
                Err(error) => error.to_string(),
            };
            // Whoever asks looks at the queue next.
            self.say_what_is_left();
            client.answer(&answer);
        }
        Ok(())
    }

    fn reload(&mut self) -> String {
        match ruleset::read(&self.folders) {
            Ok((rules, problems)) => {
                say(&problems);
                self.handler.set_rules(rules);
                "ok".to_owned()
            }
            Err(error) => error.to_string(),
        }
    }
}

fn say(problems: &[Problem]) {
    for problem in problems {
        log::warn!("{problem}");
    }
}

/// Asks the kernel for an event of the device with this folder.
///
/// # Errors
/// It is not there, or not root asks.
pub fn trigger(device: &Path, action: &str) -> io::Result<()> {
    let path = device.join("uevent");
    let file = OpenOptions::new().write(true).open(&path);
    file.and_then(|mut file| file.write_all(action.as_bytes()))
        .map_err(|error| named(&path, &error))
}
