//! The supervisor: core's child, the services' parent.
//!
//! One thread waits on one epoll: processes, pipes, the control socket, core, device events. All
//! decisions are made by the state machine in [`services`]; this file carries them out.
//!
//! Invariant: it can be killed at any moment. What a successor must know is in the state file and
//! with core before it matters, and services notice nothing. A switch to another generation is such
//! a succession, too: see [`switch`].

mod access;
pub mod accounts;
mod activation;
mod adopt;
mod beginning;
mod clockwork;
mod condition;
mod confinement;
mod control;
mod credentials;
mod description;
mod devices;
mod directories;
mod end;
mod ending;
mod environment;
mod fence;
mod filters;
mod foreign;
mod given;
mod graph;
mod heir;
mod held;
mod hotplug;
mod intake;
mod job;
mod journal;
mod leftovers;
mod link;
mod listening;
mod memory;
mod notify;
mod open_files;
mod outcome;
mod outlets;
mod outliving;
mod output;
mod peer;
mod phase;
mod plan;
mod power;
mod presence;
mod process;
mod readiness;
mod record;
mod requests;
mod restored;
mod running;
mod services;
mod sessions;
mod sharing;
mod shutdown;
mod source;
mod state;
mod store;
mod strays;
mod surroundings;
mod switch;
mod timers;
mod unit;
mod watching;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use cairn_sys::input::PowerButton;
use cairn_sys::kmsg::{self, Priority};
use cairn_sys::process::Tray;
use cairn_sys::program;
use cairn_sys::reboot::Ending;
use cairn_sys::uevent::UeventSocket;
use cairn_system::{Control, Service, boot_mark};
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};

use crate::clock::{Ms, now};
use crate::core::message::Message;
use crate::generation;
use crate::realm::realm;
use crate::stage_times;
use clockwork::Clockwork;
use control::Server;
use graph::Id;
use held::Held;
use hotplug::Hotplug;
use intake::Intake;
use link::Link;
use notify::Notifications;
use presence::Presence;
use services::{Action, Event, Services};
use sessions::Sessions;
use source::Source;
use state::State;
use strays::Strays;
use switch::Pending;
use watching::Watching;

/// Events taken at once.
const BATCH: usize = 64;

/// Runs the services of the generation at `toplevel`, or that the link of that name stands for; ends
/// only by force or when core is gone.
pub fn run(toplevel: &Path) -> ExitCode {
    kmsg::install("cairn-supervisor", log::LevelFilter::Info);
    std::panic::set_hook(Box::new(|panic| {
        kmsg::write(
            Priority::Error,
            &format!("cairn: the supervisor failed: {panic}; it is started again"),
        );
    }));
    let started = generation::resolve(toplevel)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", toplevel.display()))
        .and_then(|toplevel| Supervisor::start(&toplevel));
    match started.and_then(|mut supervisor| supervisor.live()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Supervisor {
    toplevel: String,
    services: Services,
    held: Vec<Held>,
    /// Sockets and paths.
    activators: Vec<Id>,
    /// What paths watch.
    watching: BTreeMap<Id, Watching>,
    state: State,
    link: Link,
    epoll: Epoll,
    server: Option<Server>,
    devices: Option<UeventSocket>,
    presence: Presence,
    buttons: Vec<PowerButton>,
    hotplug: Hotplug,
    intake: Intake,
    /// Where children find what they begin with.
    tray: Arc<Tray>,
    notifications: Option<Notifications>,
    /// Until when core may still have descriptors that have been let go.
    closed_by: Ms,
    clockwork: Clockwork,
    strays: Strays,
    sessions: Sessions,
    switch: Option<Pending>,
    /// Who may ask for what.
    access: Control,
    /// What PID 1 understands.
    core: u32,
    /// The generation whose user space is to be started in the end.
    restart: Option<String>,
    /// What goes on then; none if nothing is kept.
    outliving: Option<Vec<Id>>,
    /// Why the last switch was not made.
    switch_failure: Option<String>,
    ending: Option<Ending>,
    pulse_at: Option<Ms>,
}

impl Supervisor {
    fn live(&mut self) -> anyhow::Result<()> {
        release_pages();
        let mut events = [EpollEvent::empty(); BATCH];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => anyhow::bail!("cannot wait for events: {error}"),
            };
            for event in events.iter().take(count) {
                if let Some(source) = Source::decode(event.data()) {
                    self.handle(source)?;
                }
                self.switch_if_due();
            }
            self.clock();
            self.switch_if_due();
        }
    }

    fn timeout(&self) -> EpollTimeout {
        let deadlines = [
            self.services.next_deadline(),
            self.server.as_ref().and_then(Server::next_deadline),
            self.pulse_at,
            self.clockwork.next_deadline(&self.services),
            self.switch_deadline(),
        ];
        match deadlines.into_iter().flatten().min() {
            None => EpollTimeout::NONE,
            Some(at) => {
                let wait = at.saturating_sub(now());
                EpollTimeout::from(u16::try_from(wait).unwrap_or(u16::MAX))
            }
        }
    }

    fn clock(&mut self) {
        let time = now();
        if self.services.next_deadline().is_some_and(|at| at <= time) {
            self.step(Event::Tick);
        }
        let timer = self.clockwork.next_deadline(&self.services);
        if timer.is_some_and(|at| at <= time) {
            self.run_timers();
        }
        if let Some(server) = &mut self.server {
            server.expire(time);
        }
        self.hear_clients(time);
        if self.pulse_at.is_some_and(|at| at <= time) {
            self.pulse();
        }
    }

    fn handle(&mut self, source: Source) -> anyhow::Result<()> {
        match source {
            Source::Core => self.hear_core()?,
            Source::Listener => self.accept(),
            Source::Connection(place) => self.connection(place),
            Source::Main(id) => self.main_ended(id),
            Source::Report(id) => self.reported(id),
            Source::Pipe(id) => self.read_pipe(id),
            Source::Devices => self.device_news(),
            Source::Presence => self.names_of_devices(),
            Source::Button(number) => self.button(number),
            Source::Modprobe => self.modprobe_ended(),
            Source::Helper(id) => self.helpers_ended(id),
            Source::Tray => self.tray.clear(),
            Source::Notifications => self.notified(),
            Source::Alarm => self.alarmed(),
            Source::Names => self.names_changed(),
            Source::Sessions => self.session_news(),
            Source::Session(pid) => self.session_ended(pid),
            Source::Stray(number) => self.stray_ended(number)?,
            Source::Readiness(id) => self.readiness_news(id),
            Source::Memory(id) => self.memory_news(id),
            Source::Incoming(place) => {
                let (id, number) = Source::of_incoming(place);
                self.incoming(id, number);
            }
        }
        Ok(())
    }

    /// Feeds the state machine and carries out what it wants; failures to start are events again.
    fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let actions = self.services.step(event, now());
            // Before it is noted that the service has ended: core brings what has begun to its end.
            events.extend(self.act_on_machine(&actions));
            // What is meant to be is written before it is done: a successor finds it.
            self.record();
            for action in actions {
                match action {
                    Action::Spawn(id, job) => {
                        events.extend(self.spawn(id, job));
                        // Its process is new, too.
                        self.services.record_again([id]);
                    }
                    Action::Terminate(id) => events.extend(self.terminate(id)),
                    Action::Forget(id) => self.let_go(id, |own| own.number >= given::STORED),
                    Action::Signal(id, number) => {
                        self.with(id, |held, service| held.signal(service, number));
                    }
                    Action::Find(id) => events.extend(self.find(id)),
                    Action::Probe(id) => events.extend(self.probe(id)),
                    Action::Freeze(id) => events.extend(self.freeze(id)),
                    Action::Thaw(id) => self.with(id, Held::thaw),
                    Action::Kill(id) => self.with(id, Held::kill),
                    Action::KillHelper(id) => self.with(id, Held::kill_helpers),
                    Action::Release(id) => self.release(id),
                    Action::Late(id) => {
                        let name = self.name(id);
                        console(&format!("'{name}' does not stop: it is killed"));
                    }
                    Action::BootDone(failed) => {
                        let mark = format!("{}{failed}", boot_mark::BOOT_DONE);
                        kmsg::write(Priority::Notice, &mark);
                        // A user's supervisor starts in no boot's part.
                        if realm().owner.is_none() {
                            stage_times::note("services", stage_times::last_end().unwrap_or(0));
                        }
                        self.note_boot();
                        release_pages();
                    }
                    Action::Machine(..) => {} // it has begun
                    Action::ShutdownDone => self.finish(),
                }
            }
            self.record();
            if events.is_empty() {
                events.extend(self.check_paths());
            }
        }
        self.attend();
        self.answer_waiting();
    }

    /// Asks its processes to end; what is none has ended then.
    fn terminate(&mut self, id: Id) -> Option<Event> {
        let service = self.services.descriptions().get(id)?;
        let has_process = self.held.get(id).is_some_and(|held| held.main.is_some());
        if service.kind.has_process() || has_process {
            self.with(id, Held::terminate);
            None
        } else {
            Some(self.close(id))
        }
    }

    fn with(&mut self, id: Id, act: impl Fn(&mut Held, &Service)) {
        if let Some((held, service)) = self
            .held
            .get_mut(id)
            .zip(self.services.descriptions().get(id))
        {
            act(held, service);
        }
    }

    /// The boot is over for successors, too.
    fn note_boot(&self) {
        if let Err(error) = self.state.write_header(&self.header()) {
            log::error!("cannot note that the boot is over: {error}");
        }
    }

    fn id_of(&self, name: &str) -> Option<Id> {
        let mut services = self.services.descriptions().iter();
        services.position(|service| service.name.as_str() == name)
    }

    fn name(&self, id: Id) -> &str {
        self.services
            .descriptions()
            .get(id)
            .map_or("", |service| service.name.as_str())
    }

    fn hear_core(&mut self) -> anyhow::Result<()> {
        while let Some((message, _)) = self.link.receive()? {
            self.core_says(message);
        }
        Ok(())
    }

    pub(super) fn core_says(&mut self, message: Message) {
        match message {
            Message::Exited { slot, pid, exit } => {
                self.hear_all();
                let id = self.held.iter().position(|held| {
                    held.slot == slot && held.main.as_ref().is_some_and(|main| main.pid == pid)
                });
                if let Some(id) = id
                    && !self.goes_on(id, exit)
                {
                    self.ended(id, exit);
                }
            }
            Message::Ending(ending) => self.end(ending),
            other => log::error!("core said what makes no sense: {other:?}"),
        }
    }

    fn tell_core(&self, message: Message) {
        if let Err(error) = self.link.send(message, None) {
            log::error!("cannot tell core {message:?}: {error}");
        }
    }

    /// Writes the records that may have changed, if anybody may read them. Who is killed in the middle of it leaves
    /// an end that is not noted, which is heard again, rather than one without what it has started.
    fn record(&mut self) {
        if !self.has_successor() {
            return;
        }
        let changed: Vec<Id> = std::iter::from_fn(|| self.services.take_unrecorded()).collect();
        let units = self.services.units();
        let is_owed = |id: &Id| units.get(*id).is_some_and(|unit| unit.owed.is_some());
        let (first, rest): (Vec<Id>, Vec<Id>) = changed.into_iter().partition(is_owed);
        let mut all = first;
        all.extend(rest);
        all.retain(|id| {
            let noted = self.note(*id);
            if let Err(error) = &noted {
                log::error!("cannot note the state of '{}': {error}", self.name(*id));
            }
            noted.is_err()
        });
        self.services.record_again(all);
    }

    fn note(&self, id: Id) -> std::io::Result<()> {
        let (Some(unit), Some(held), Some(service)) = (
            self.services.units().get(id),
            self.held.get(id),
            self.services.descriptions().get(id),
        ) else {
            return Ok(());
        };
        let pid = match &held.main {
            Some(main) => main.pid,
            None if held.ended != 0 => held.ended | record::ENDED,
            None => 0,
        };
        let helper = held.helpers.last().filter(|_| unit.helper);
        let helper = helper.map_or(0, |helper| helper.pid);
        let mut record = record::Record::new(service.name.as_str(), pid, helper, unit);
        if let Some(owed) = &mut record.restored.owed {
            owed.to = self.held.get(owed.to).map_or(usize::MAX, Held::place);
        }
        self.state.write(held.slot, &record)
    }
}

/// For whoever stands before the machine; the kernel log has it too.
fn console(text: &str) {
    log::info!("{text}");
    if realm().owner.is_some() {
        return;
    }
    let console = OpenOptions::new()
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open("/dev/console");
    // A machine without a console has the kernel log.
    if let Ok(mut console) = console
        && let Err(error) = console.write_all(format!("cairn: {text}\r\n").as_bytes())
    {
        log::debug!("cannot write to /dev/console: {error}");
    }
}

/// What began the boot, or took services over, is not needed while they run.
fn release_pages() {
    if let Err(error) = program::release_pages() {
        log::info!("pages of the program that are not needed stay: {error}");
    }
}
