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

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use cairn_sys::inotify;
use cairn_sys::uevent::{Received, Uevent, UeventSocket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::control::{Control, Request};
use crate::device::Device;
use crate::enumerate;
use crate::handling::{Handled, Handler, News, Wanted};
use crate::places::Places;
use crate::queue::{Queue, Ticket};
use crate::record::named;
use crate::rules::Problem;
use crate::ruleset;

/// A device that takes longer is named.
const LONG: Duration = Duration::from_secs(30);

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
    /// Is called once all devices were handled that were there at the start.
    pub ready: Box<dyn Fn()>,
}

/// What a thread says of the event that it has handled.
type Done = (Ticket, Handled);

struct Daemon {
    setup: Setup,
    handler: Arc<Handler>,
    kernel: UeventSocket,
    control: Control,
    changes: OwnedFd,
    watched: BTreeMap<i32, Device>,
    queue: Queue<News>,
    /// Events for which there was no thread.
    postponed: Vec<(Ticket, News)>,
    running: BTreeMap<Ticket, Running>,
    done: (Sender<Done>, Receiver<Done>),
    bell: (PipeReader, PipeWriter),
    most: usize,
    is_ready: bool,
}

/// An event that is being handled.
struct Running {
    devpath: String,
    since: Instant,
    is_named: bool,
}

/// Runs the device manager.
///
/// # Errors
/// It cannot begin, or cannot hear the kernel any more.
pub fn run(setup: Setup) -> io::Result<std::convert::Infallible> {
    let mut daemon = Daemon::new(setup)?;
    daemon.handler.begin();
    daemon.look_at_everything();
    loop {
        daemon.start_what_can();
        daemon.say_what_is_left()?;
        daemon.wait()?;
    }
}

impl Daemon {
    fn new(setup: Setup) -> io::Result<Self> {
        let (rules, problems) = ruleset::read(&setup.rules)?;
        say(&problems);
        // Heard before anything is looked at, so that nothing is missed between.
        let kernel = UeventSocket::open()?;
        let wanted = Box::new(|name: &str| log::debug!("{name} is wanted"));
        let mut setup = setup;
        let wanted = std::mem::replace(&mut setup.wanted, wanted);
        let handler = Handler::new(setup.places.clone(), setup.path.clone(), rules, wanted)?;
        let control = Control::listen(&setup.places.state.join("control"))?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            handler: Arc::new(handler),
            kernel,
            control,
            changes: inotify::open()?,
            watched: BTreeMap::new(),
            queue: Queue::default(),
            postponed: Vec::new(),
            running: BTreeMap::new(),
            done: mpsc::channel(),
            bell: io::pipe()?,
            most: (4 * cores).clamp(8, 64),
            is_ready: false,
            setup,
        })
    }

    /// Each device that is there has an event, as if it had come or changed just now, and each that is gone.
    fn look_at_everything(&mut self) {
        let records = self.handler.records();
        let devices = enumerate::devices(&self.setup.places.sys);
        for device in devices {
            let is_known = device.id().is_some_and(|id| records.get(&id).is_some());
            let action = if is_known { "change" } else { "add" };
            let news = News {
                action: action.to_owned(),
                device,
            };
            self.queue.push(news.paths(), news);
        }
    }

    /// What the kernel has said goes to the queue.
    fn hear(&mut self) -> io::Result<()> {
        loop {
            match self.kernel.receive()? {
                Received::Empty => return Ok(()),
                Received::Overrun => {
                    log::warn!("the kernel's news of devices were lost: all devices are looked at");
                    self.handler.begin();
                    self.look_at_everything();
                }
                Received::Event(event) => self.push(&event),
            }
        }
    }

    fn push(&mut self, event: &Uevent) {
        match Device::of_event(&self.setup.places.sys, &event.devpath, &event.fields) {
            Ok(device) => {
                let news = News {
                    action: event.action.clone(),
                    device,
                };
                self.queue.push(news.paths(), news);
            }
            Err(error) => log::warn!("an event is left out: {error}"),
        }
    }

    fn start_what_can(&mut self) {
        while self.running.len() < self.most {
            let Some((ticket, news)) = self.postponed.pop().or_else(|| self.queue.take()) else {
                return;
            };
            let started = Running {
                devpath: news.device.devpath().to_owned(),
                since: Instant::now(),
                is_named: false,
            };
            if let Err(error) = self.start(ticket, news.clone()) {
                log::warn!(
                    "{} waits until there is a thread for it: {error}",
                    started.devpath
                );
                self.postponed.push((ticket, news));
                return;
            }
            self.running.insert(ticket, started);
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

    /// What listeners to the whole see: whether there is something to do.
    fn say_what_is_left(&mut self) -> io::Result<()> {
        let path = self.setup.places.state.join("queue");
        if self.queue.is_empty() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(named(&path, &error));
                }
                _ => {}
            }
            if !self.is_ready {
                self.is_ready = true;
                (self.setup.ready)();
            }
        } else if !path.exists() {
            fs::write(&path, "").map_err(|error| named(&path, &error))?;
        }
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        let long = self.running.values().filter(|running| !running.is_named);
        let long = long.map(|running| running.since + LONG).min();
        let again = (!self.postponed.is_empty()).then(|| Instant::now() + AGAIN);
        let next = long.into_iter().chain(again).min();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let sources = [
            self.kernel.as_fd(),
            self.bell.0.as_fd(),
            self.changes.as_fd(),
            self.control.as_fd(),
        ];
        let mut sources = sources.map(|source| PollFd::new(source, PollFlags::POLLIN));
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
            self.note_changes()?;
        }
        if control {
            self.serve()?;
        }
        self.name_what_takes_long();
        Ok(())
    }

    fn note_what_is_done(&mut self) -> io::Result<()> {
        let mut rings = [0; 64];
        self.bell.0.read(&mut rings).map(drop)?;
        while let Ok((ticket, handled)) = self.done.1.try_recv() {
            self.queue.done(ticket);
            if let Some(running) = self.running.remove(&ticket)
                && running.is_named
            {
                log::warn!(
                    "{} has answered after {} s",
                    running.devpath,
                    running.since.elapsed().as_secs()
                );
            }
            self.watch(handled);
        }
        Ok(())
    }

    /// Has the device looked at anew when somebody has written to it, or not any more.
    fn watch(&mut self, handled: Handled) {
        let Some(node) = handled.device.node() else {
            return;
        };
        let devpath = handled.device.devpath();
        let watch = self
            .watched
            .iter()
            .find(|(_, device)| device.devpath() == devpath)
            .map(|(watch, _)| *watch);
        match (handled.is_watched, watch) {
            (true, None) => match inotify::add(
                self.changes.as_fd(),
                &self.setup.places.dev.join(node),
                inotify::CLOSE_WRITE,
            ) {
                Ok(watch) => drop(self.watched.insert(watch, handled.device)),
                Err(error) => log::debug!("{devpath} is not watched: {error}"), // it may be gone
            },
            (false, Some(watch)) => {
                self.watched.remove(&watch);
                // The kernel has done so if the node is gone.
                if let Err(error) = inotify::remove(self.changes.as_fd(), watch) {
                    log::debug!("{devpath} was not watched any more: {error}");
                }
            }
            _ => {}
        }
    }

    /// Somebody has written to devices: the kernel is asked for an event of each, so that everybody hears it.
    fn note_changes(&mut self) -> io::Result<()> {
        let mut changed = BTreeMap::new();
        for event in inotify::read(self.changes.as_fd())? {
            if event.mask & inotify::IGNORED != 0 {
                self.watched.remove(&event.watch);
            } else if let Some(device) = self.watched.get(&event.watch) {
                changed.insert(device.devpath().to_owned(), device.clone());
            }
        }
        for device in changed.values() {
            for path in std::iter::once(device.path()).chain(partitions(&device.path())) {
                if let Err(error) = trigger(&path, "change") {
                    log::debug!("{error}"); // it has gone meanwhile
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self) -> io::Result<()> {
        while let Some(client) = self.control.accept()? {
            let answer = match client.request() {
                Ok(Request::Sync) => self.hear().map(|()| "ok".to_owned())?,
                Ok(Request::Reload) => self.reload(),
                Err(error) => error.to_string(),
            };
            // Whoever asks looks at the queue next.
            self.say_what_is_left()?;
            client.answer(&answer);
        }
        Ok(())
    }

    fn reload(&mut self) -> String {
        match ruleset::read(&self.setup.rules) {
            Ok((rules, problems)) => {
                say(&problems);
                self.handler.set_rules(rules);
                "ok".to_owned()
            }
            Err(error) => error.to_string(),
        }
    }

    fn name_what_takes_long(&mut self) {
        for running in self.running.values_mut() {
            if !running.is_named && running.since.elapsed() >= LONG {
                running.is_named = true;
                log::warn!(
                    "{} has not answered for {} s",
                    running.devpath,
                    LONG.as_secs()
                );
            }
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

/// The folders of a disk's partitions.
fn partitions(disk: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(disk).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.join("partition").is_file())
        .collect()
}
