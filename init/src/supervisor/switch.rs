//! A switch to another generation, as far as services go.
//!
//! ```text
//! PrepareSwitch   what is to be down while the new generation is activated is stopped
//! Switch          the same, if that has not been done; then, one after the other:
//!                 1. the records say what is due to each service           (`plan`)
//!                 2. /run/cairn/generation names the new generation        (`generation`)
//!                 3. its program is executed in this process's place, and adopts everything
//! ```
//! Killed before 2, the old generation's supervisor is started, takes the plan back, and what the
//! switch has stopped waits for another try or for the way back. Killed after 2, the new one's is
//! started and goes on. So no moment has services of two generations, or of none.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use cairn_sys::process::{Credentials, OpenFiles, Prepared};
use cairn_system::control::Response;
use cairn_system::ordered;
use cairn_system::{Service, ServiceAction, ServiceChanges, ServiceName, Standing};

use super::control::{Server, Wait};
use super::graph::Id;
use super::held::Held;
use super::link::Link;
use super::services::{Event, StoppedBy};
use super::state::Header;
use super::unit::Unit;
use super::{Supervisor, console, description, plan};
use crate::clock::{Ms, now};
use crate::core::handover;
use crate::core::message::{self, Message};
use crate::generation::{self, CORE, INIT};
use crate::realm::{Owner, realm};
use crate::role::supervisor_name;

/// How long it takes at most to execute a program, in milliseconds; a hanging file system may hold
/// one up for longer.
const REPORTS_MS: Ms = 2_000;

/// A switch that is under way.
#[derive(Debug)]
pub struct Pending {
    /// The new generation.
    toplevel: String,
    /// Its services, if this program understands its description.
    services: Option<Vec<Service>>,
    /// What has to be down.
    stopping: Vec<Id>,
    /// How long what has just been started is waited for.
    patience: Option<Ms>,
    /// Whether the new generation takes over then.
    execute: bool,
}

/// How far a switch is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To where the new generation can be activated.
    Prepare,
    /// To its end.
    Switch,
}

impl Supervisor {
    /// Somebody asks for a switch, or the first step of one.
    pub(super) fn ask_switch(&mut self, place: usize, toplevel: &str, step: Step, time: Ms) {
        match self.begin_switch(toplevel, step) {
            Ok(stops) => {
                let wait = match step {
                    Step::Prepare => Wait::Prepared,
                    Step::Switch => Wait::Switch,
                };
                if let Some(server) = &mut self.server {
                    server.wait_for(place, wait, time);
                }
                self.step(stops);
            }
            Err(reason) => self.respond(place, &Response::Failed { reason }, time),
        }
    }

    /// What is to be stopped for it, or why it cannot be.
    fn begin_switch(&mut self, toplevel: &str, step: Step) -> Result<Event, String> {
        if self.services.is_shutting_down() {
            return Err("the system is shutting down".to_owned());
        }
        if let Some(pending) = &self.switch
            && pending.toplevel != toplevel
        {
            return Err(format!(
                "a switch to {} is under way; try again when it is done",
                pending.toplevel
            ));
        }
        check(Path::new(toplevel))?;
        let (services, stops) = if toplevel == self.toplevel {
            (None, Vec::new())
        } else {
            self.stops(toplevel)?
        };
        let pending = self.switch.get_or_insert_with(|| Pending {
            toplevel: toplevel.to_owned(),
            services: None,
            stopping: Vec::new(),
            patience: None,
            execute: false,
        });
        pending.services = services;
        pending.stopping.extend(&stops);
        pending.execute |= step == Step::Switch;
        self.switch_failure = None;
        Ok(Event::Hold(stops))
    }

    /// The generation's services, and which of ours are stopped before it is active.
    fn stops(&self, toplevel: &str) -> Result<(Option<Vec<Service>>, Vec<Id>), String> {
        let services = self.services.described();
        let after = match description::read(Path::new(toplevel)) {
            Ok(description) => description.services,
            Err(error) => {
                // A later generation's words: its own program knows them, and plans the rest.
                log::info!("{error:#}; this generation's program plans the switch");
                let names =
                    description::names(Path::new(toplevel)).map_err(|e| format!("{e:#}"))?;
                let gone = (services.iter().zip(self.services.units()).enumerate())
                    .filter(|(_, (service, unit))| {
                        unit.standing() == Standing::Up
                            && names.iter().all(|name| name != service.name.as_str())
                    })
                    .map(|(id, _)| id);
                return Ok((None, gone.collect()));
            }
        };
        let ids: BTreeMap<&str, Id> = ordered::map(
            (self.services.descriptions().iter().zip(0..))
                .map(|(service, id)| (service.name.as_str(), id)),
        );
        let standing = |name: &ServiceName| {
            ids.get(name.as_str())
                .and_then(|id| self.services.units().get(*id))
                .map_or_else(Standing::default, Unit::standing)
        };
        let changes = ServiceChanges::between(services, &after, standing);
        let stops = [ServiceAction::Stop, ServiceAction::StopAndStart];
        let names = stops.iter().flat_map(|action| changes.names(*action));
        let stops = names
            .filter_map(|name| ids.get(name.as_str()).copied())
            .collect();
        Ok((Some(after), stops))
    }

    /// After each step: answers who waits for the preparation, once that is done.
    pub(super) fn answer_prepared(&mut self) {
        let Some(pending) = &self.switch else { return };
        let is_done = self.services.is_shutting_down() || self.is_down(&pending.stopping);
        if !is_done {
            return;
        }
        let response = if self.services.is_shutting_down() {
            let reason = "the system is shutting down".to_owned();
            Response::Failed { reason }
        } else {
            Response::Done
        };
        self.answer_all(Wait::Prepared, &response);
        if response != Response::Done {
            self.answer_all(Wait::Switch, &response);
        }
        if response != Response::Done || !self.switch.as_ref().is_some_and(|s| s.execute) {
            self.switch = None;
        }
    }

    /// Whether all of these are down. One that somebody has started meanwhile is not waited for: the
    /// plan restarts it.
    fn is_down(&self, ids: &[Id]) -> bool {
        let units = self.services.units();
        ids.iter().all(|id| {
            units
                .get(*id)
                .is_none_or(|unit| !unit.is_alive() || unit.stopped_by != Some(StoppedBy::Switch))
        })
    }

    fn answer_all(&mut self, wait: Wait, response: &Response) {
        let time = now();
        let waiting = (self.server.as_ref()).map_or_else(Vec::new, Server::waiting);
        for (place, _) in waiting.into_iter().filter(|(_, other)| *other == wait) {
            self.respond(place, response, time);
        }
    }

    /// After each event: makes the switch if it is to be made and nothing is in between. What has
    /// just been started is heard out first, for a moment: the successor could not tell whether it
    /// was executed.
    pub(super) fn switch_if_due(&mut self) {
        let Some(pending) = &self.switch else { return };
        if !pending.execute || !self.is_down(&pending.stopping) {
            return;
        }
        let is_reported =
            |held: &Held| (held.main.as_ref()).is_none_or(|main| main.attempt.is_none());
        if !self.held.iter().all(is_reported) {
            let time = now();
            let patience = self
                .switch
                .as_mut()
                .map(|pending| *(pending.patience).get_or_insert(time.saturating_add(REPORTS_MS)));
            if patience.is_some_and(|until| time < until) {
                return;
            }
        }
        let Some(pending) = self.switch.take() else {
            return;
        };
        let toplevel = pending.toplevel;
        if toplevel == self.toplevel {
            self.answer_all(Wait::Switch, &Response::Done);
            // The way back from a switch that was prepared.
            return self.step(Event::Resume);
        }
        let reason = self.switch_to(&toplevel, pending.services.as_deref());
        let text = format!(
            "cannot switch to {toplevel}: {reason}; going on with {}",
            self.toplevel
        );
        console(&text);
        self.switch_failure = Some(text.clone());
        self.answer_all(Wait::Switch, &Response::Failed { reason: text });
    }

    /// When [`Supervisor::switch_if_due`] is due, if nothing happens before.
    pub(super) fn switch_deadline(&self) -> Option<Ms> {
        self.switch.as_ref()?.patience
    }

    /// Returns only with the reason why it could not be done.
    fn switch_to(&mut self, toplevel: &str, services: Option<&[Service]>) -> String {
        if let Some(services) = services {
            let before = self.services.described();
            let after = (toplevel, services);
            match plan::plan(&self.state, &self.header(), before, after) {
                Ok(changes) => log::info!("switching to {toplevel}: {}", in_one_line(&changes)),
                Err(error) => return format!("cannot note the plan: {error}"),
            }
        }
        let link = realm().generation.as_path();
        if let Err(error) = generation::set(link, Path::new(toplevel)) {
            return self.stay(&format!("cannot set {}: {error}", link.display()));
        }
        self.answer_all(Wait::Switch, &Response::Done);
        self.keep_unreported();
        let error = execute(&self.link, toplevel);
        if let Err(error) = generation::set(link, Path::new(&self.toplevel)) {
            log::error!("cannot set {} back: {error}", link.display());
        }
        self.stay(&format!("cannot execute {toplevel}/{CORE}: {error}"))
    }

    /// Takes the plan back.
    fn stay(&mut self, reason: &str) -> String {
        let services = self.services.described();
        if let Err(error) = plan::withdraw(&self.state, &self.header(), services) {
            log::error!("cannot take the plan back: {error}");
        }
        self.services.record_again(0..self.held.len());
        self.record();
        reason.to_owned()
    }

    /// What holds for all services.
    pub(super) fn header(&self) -> Header {
        Header {
            toplevel: self.toplevel.clone(),
            plan: None,
            booted: self.services.has_booted(),
            restarts: self.outliving.is_some(),
        }
    }

    /// Core is to be this generation's program too. What it says meanwhile is heard.
    pub(super) fn renew_core(&mut self, core: u32) -> anyhow::Result<()> {
        let parent = format!("/proc/{}/exe", std::os::unix::process::parent_id());
        let program = |path: &str| {
            fs::read_link(path).map_err(|error| log::warn!("cannot read {path}: {error}"))
        };
        let (Ok(ours), Ok(cores)) = (program("/proc/self/exe"), program(&parent)) else {
            return Ok(());
        };
        if ours == cores {
            return Ok(());
        }
        if core < message::RENEWABLE {
            log::warn!("PID 1 is too old to be replaced: it stays until the next boot");
            return Ok(());
        }
        self.tell_core(Message::Renew {
            handover: handover::VERSION,
        });
        // Its answer, whichever of the two it is, comes when it has been tried.
        let inheritance = self.link.inherit().context("cannot hear of PID 1")?;
        for message in inheritance.messages {
            self.core_says(message);
        }
        self.core = inheritance.core;
        if inheritance.core < message::DESCRIPTORS {
            log::warn!("PID 1 is too old to keep sockets: they close if the supervisor ends");
        }
        Ok(())
    }
}

/// Executes the generation's program as supervisor in this process's place. Returns only with the
/// reason why it could not be done.
pub fn execute(link: &Link, toplevel: &str) -> std::io::Error {
    let owner = realm().owner.as_ref();
    let argv = [supervisor_name(owner), toplevel].map(OsStr::new);
    let variables = owner.map(Owner::variables).unwrap_or_default();
    let variables = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let program = Path::new(toplevel).join(CORE);
    let unused = OpenFiles { soft: 0, hard: 0 };
    let prepared = Prepared::new(argv, variables, Credentials::default(), unused)
        .and_then(|prepared| prepared.program(program.as_os_str()));
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return error.into(),
    };
    match nix::unistd::dup2_stdin(link.as_fd()) {
        Ok(()) => prepared.execute(),
        Err(error) => error.into(),
    }
}

/// Whether there is something that can be switched to.
pub fn check(toplevel: &Path) -> Result<(), String> {
    let problem = |name: &&str| {
        let program = toplevel.join(name);
        match fs::metadata(&program) {
            Err(error) => Some(format!("{}: {error}", program.display())),
            Ok(metadata) if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 => {
                Some(format!("{} is no program", program.display()))
            }
            Ok(_) => None,
        }
    };
    let problem = if toplevel.is_absolute() {
        [INIT, CORE].iter().find_map(problem)
    } else {
        Some("it is no absolute path".to_owned())
    };
    let refused = |problem| format!("cannot switch to {}: {problem}", toplevel.display());
    problem.map_or(Ok(()), |problem| Err(refused(problem)))
}

fn in_one_line(changes: &ServiceChanges) -> String {
    if changes.is_empty() {
        return "no service changes".to_owned();
    }
    let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
