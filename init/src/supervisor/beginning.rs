//! How a supervisor begins: it takes over what there is, and waits for all that can happen.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use cairn_sys::process::Tray;
use cairn_sys::uevent::UeventSocket;
use cairn_system::Service;
use cairn_system::ordered;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollFlags};

use super::adopt::{self, Adoption};
use super::clockwork::{Clockwork, chance};
use super::control::Server;
use super::graph::Id;
use super::hotplug::Hotplug;
use super::intake::Intake;
use super::link::Link;
use super::notify::Notifications;
use super::output::NEWS;
use super::presence::Presence;
use super::sessions::{self, Sessions};
use super::source::{self, Source, watch};
use super::strays::Strays;
use super::unit::Unit;
use super::{Supervisor, console, power, switch};
use crate::core::message::{Message, Place};
use crate::generation::{self, CORE};
use crate::modprobe::BOOTED;
use crate::realm::realm;

/// Descriptors that the supervisor may have.
const OPEN_FILES: u64 = 65_536;

/// How many of them a service has: its process, its output, and whether its start has come to something.
const OF_SERVICE: usize = 3;

impl Supervisor {
    pub(super) fn start(toplevel: &Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        let link = Link::from_standard_input().context("cannot take over the link to core")?;
        let open_files =
            cairn_sys::process::raise_open_files(OPEN_FILES).context("cannot read the limits")?;
        let tray = Tray::new().context("cannot lay out descriptors for services")?;
        let intake = Intake::new().context("cannot make the pipe that lines are looked at in")?;
        let hotplug = Hotplug::new(open_files)?;
        for directory in [&realm().logs, &realm().groups] {
            // Without them logs go to the kernel log, and services run without cgroups.
            if let Err(error) = std::fs::create_dir_all(directory) {
                log::error!("cannot make {}: {error}", directory.display());
            }
        }
        let toplevel = toplevel.display().to_string();
        let adopted = match adopt::adopt(&link, &toplevel)? {
            Adoption::Done(adopted) => *adopted,
            Adoption::GoBack {
                toplevel: last,
                reason,
            } => return Err(go_back(&link, &toplevel, &last, &reason)),
        };
        enable_controllers(adopted.services.descriptions());
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        watch(&epoll, tray.as_fd(), Source::Tray, EpollFlags::EPOLLIN)?;
        tray.make_room(adopted.services.descriptions().len() * OF_SERVICE);
        let marks = adopted.state.marks().context("cannot read the state")?;
        let clockwork = Clockwork::start(adopted.timers, &marks, &adopted.services, &epoll);
        let mut services = adopted.services;
        services.seed(u64::from_ne_bytes(chance()));
        let mut supervisor = Self {
            toplevel,
            activators: activators(services.descriptions()),
            watching: BTreeMap::new(),
            presence: Presence::new(services.descriptions()),
            services,
            held: adopted.held,
            state: adopted.state,
            link,
            epoll,
            server: adopted.control.and_then(adopt_server),
            devices: None,
            buttons: Vec::new(),
            hotplug,
            intake,
            tray,
            notifications: adopted.notifications.map(Notifications::adopted),
            closed_by: 0,
            clockwork,
            strays: Strays::default(),
            sessions: Sessions::default(),
            access: adopted.access,
            core: adopted.core,
            restart: None,
            outliving: None,
            switch: None,
            switch_failure: None,
            ending: None,
            pulse_at: None,
        };
        supervisor.remember_timers();
        supervisor.watch_everything()?;
        supervisor.adopt_watching();
        for message in adopted.messages {
            supervisor.core_says(message);
        }
        // Before anything is opened: an old one could not keep it.
        supervisor.renew_core(adopted.core)?;
        supervisor.step(adopted.first);
        supervisor.look_at_devices();
        Ok(supervisor)
    }

    fn watch_everything(&mut self) -> anyhow::Result<()> {
        watch(
            &self.epoll,
            self.link.as_fd(),
            Source::Core,
            EpollFlags::EPOLLIN,
        )?;
        self.watch_held()?;
        self.listen()?;
        self.hear_notifications();
        self.watch_names_of_devices();
        if realm().owner.is_some() {
            self.watch_sessions();
            sessions::say_ready();
            if self.presence.hears_kernel() {
                self.hear_devices()?;
            }
            return Ok(());
        }
        self.hear_devices()?;
        // Devices that came since stage 2, or since another supervisor, are among them.
        if self.devices.is_some() && Path::new(BOOTED).exists() {
            self.hotplug.wishes().look_at_everything();
            self.load_modules();
        }
        self.add_buttons(power::present());
        Ok(())
    }

    fn hear_devices(&mut self) -> anyhow::Result<()> {
        match UeventSocket::open() {
            Ok(socket) => {
                let descriptor = socket.as_fd();
                watch(
                    &self.epoll,
                    descriptor,
                    Source::Devices,
                    EpollFlags::EPOLLIN,
                )?;
                self.devices = Some(socket);
            }
            Err(error) => log::error!("cannot hear device events: {error}"),
        }
        Ok(())
    }

    /// Pipes, and those processes that a predecessor in this place has started: of all others core
    /// tells.
    fn watch_held(&mut self) -> anyhow::Result<()> {
        let watch = |descriptor: BorrowedFd<'_>, source| {
            watch(&self.epoll, descriptor, source, EpollFlags::EPOLLIN)
        };
        let mut known = BTreeSet::new();
        for (id, held) in self.held.iter().enumerate() {
            let is_ours = !self.services.has_reader(id);
            if let Some(pipe) = held.pipe.as_ref().filter(|_| is_ours) {
                source::watch(&self.epoll, pipe.as_fd(), Source::Pipe(id), NEWS)?;
            }
            if let Some(main) = &held.main
                && cairn_sys::process::is_child(main.pidfd.as_fd())
            {
                known.insert(main.pid);
                watch(main.pidfd.as_fd(), Source::Main(id))?;
            }
            for helper in &held.helpers {
                known.insert(helper.pid);
                watch(helper.pidfd.as_fd(), Source::Helper(id))?;
            }
        }
        for id in 0..self.held.len() {
            self.watch_readiness(id)?;
            let unit = self.services.units().get(id);
            if unit.is_some_and(Unit::is_alive) {
                self.watch_memory(id);
            }
        }
        self.strays = Strays::find(&self.epoll, |pid| known.contains(&pid));
        Ok(())
    }

    /// Listens for requests, unless a predecessor's socket is there. Core keeps it: who asks while
    /// there is no supervisor is heard by the next one.
    fn listen(&mut self) -> anyhow::Result<()> {
        if self.server.is_none() {
            match Server::listen(&realm().control) {
                Ok(server) => {
                    let message = Message::Keep(Place::Control);
                    self.link.send(message, Some(server.listener().as_fd()))?;
                    self.server = Some(server);
                }
                Err(error) => {
                    let path = realm().control.display();
                    log::error!("cannot listen on {path}: {error}; services run all the same");
                }
            }
        }
        if let Some(server) = &self.server {
            let listener = server.listener().as_fd();
            watch(&self.epoll, listener, Source::Listener, EpollFlags::EPOLLIN)?;
        }
        Ok(())
    }
}

/// The numbers of sockets and paths.
fn activators(services: &[Service]) -> Vec<Id> {
    let all = services.iter().enumerate();
    all.filter(|(_, service)| service.starts().is_some())
        .map(|(id, _)| id)
        .collect()
}

/// Lets services' cgroups have bounds, if any service asks for one.
fn enable_controllers(services: &[Service]) {
    let wanted: BTreeSet<&str> = ordered::set(
        services
            .iter()
            .flat_map(|service| service.cgroup.keys())
            .filter_map(|file| file.split_once('.'))
            .map(|(controller, _)| controller)
            .filter(|controller| *controller != "cgroup"),
    );
    for controller in wanted {
        let groups = realm().groups.as_path();
        for directory in [groups.parent().unwrap_or(groups), groups] {
            let file = directory.join("cgroup.subtree_control");
            if let Err(error) = std::fs::write(&file, format!("+{controller}")) {
                log::error!(
                    "cannot enable '{controller}' in {}: {error}",
                    file.display()
                );
            }
        }
    }
}

/// Lets the generation that has run the services last run them again. Returns only with the reason
/// why it could not be done.
fn go_back(link: &Link, toplevel: &str, last: &str, reason: &str) -> anyhow::Error {
    console(&format!(
        "cannot switch to {toplevel} without a reboot: {reason}; going on with {last}"
    ));
    if let Err(error) = generation::set(&realm().generation, Path::new(last)) {
        log::error!("cannot set {} back: {error}", realm().generation.display());
    }
    let error = switch::execute(link, last);
    anyhow::anyhow!("cannot execute {last}/{CORE}: {error}")
}

fn adopt_server(listener: OwnedFd) -> Option<Server> {
    Server::adopted(listener)
        .map_err(|error| log::error!("cannot go on with {}: {error}", realm().control.display()))
        .ok()
}
