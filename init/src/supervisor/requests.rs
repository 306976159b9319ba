//! What the control socket's clients ask for, carried out and answered.

use std::os::fd::AsFd;
use std::path::Path;

use cairn_sys::reboot::Ending;
use cairn_system::control::{Request, Response, ServiceStatus, VERSION};
use nix::sys::epoll::EpollFlags;

use crate::clock::{Ms, now};
use crate::core::ending::verb;
use crate::realm::realm;

use super::Supervisor;
use super::access;
use super::control::{Asked, Server, Wait};
use super::graph::Id;
use super::services::{Event, Phase, StoppedBy};
use super::source::{Source, unwatch, watch};
use super::switch::Step;
use super::unit::Unit;

/// Where groups are defined.
const ETC: &str = "/etc";

impl Supervisor {
    pub(super) fn accept(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        match server.accept(now()) {
            Ok(Some(place)) => {
                let Some(stream) = server.stream(place) else {
                    return;
                };
                // Edge-triggered: a client that closed its half must not keep us awake.
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
                if let Err(error) = watch(
                    &self.epoll,
                    stream.as_fd(),
                    Source::Connection(place),
                    flags,
                ) {
                    log::error!("cannot serve a control connection: {error}");
                }
            }
            Ok(None) => {}
            Err(error) => {
                if server.rest(now()) {
                    log::warn!("cannot take a control connection: {error}");
                }
                unwatch(&self.epoll, server.listener().as_fd());
            }
        }
    }

    /// Listens to new clients again, if that is due.
    pub(super) fn hear_clients(&mut self, time: Ms) {
        let Some(server) = &mut self.server else {
            return;
        };
        if !server.is_rested(time) {
            return;
        }
        let listener = server.listener().as_fd();
        if let Err(error) = watch(&self.epoll, listener, Source::Listener, EpollFlags::EPOLLIN) {
            log::error!("cannot listen for requests any more: {error}");
        }
    }

    pub(super) fn connection(&mut self, place: usize) {
        let time = now();
        let Some(server) = &mut self.server else {
            return;
        };
        server.write(place);
        let Some(Asked {
            place,
            request,
            peer,
        }) = server.read(place, time)
        else {
            return;
        };
        // Root, and whose services they are.
        let refused = (!realm().obeys(peer.uid))
            .then(|| access::check(&self.access, Path::new(ETC), &peer, request.role()).err());
        match refused.flatten() {
            None => self.obey(place, &request, time),
            Some(reason) => self.respond(place, &Response::Failed { reason }, time),
        }
    }

    fn obey(&mut self, place: usize, request: &Request, time: Ms) {
        match request {
            Request::Status => {
                let status = self.status(time);
                self.respond(place, &status, time);
            }
            Request::Start { name } => self.ask(place, name.as_str(), Event::Start, time),
            Request::Stop { name } => self.ask(place, name.as_str(), Event::Stop, time),
            Request::Restart { name } => self.ask(place, name.as_str(), Event::Restart, time),
            Request::Disable { name } => self.ask(place, name.as_str(), Event::Disable, time),
            Request::Enable { name } => self.ask(place, name.as_str(), Event::Enable, time),
            Request::Reload { name } => self.ask(place, name.as_str(), Event::Reload, time),
            Request::Freeze { name } => self.ask(place, name.as_str(), Event::Freeze, time),
            Request::Thaw { name } => self.ask(place, name.as_str(), Event::Thaw, time),
            Request::PrepareSwitch { toplevel } => {
                self.ask_switch(place, toplevel, Step::Prepare, time);
            }
            Request::Switch { toplevel } => self.ask_switch(place, toplevel, Step::Switch, time),
            Request::Settle => {
                if let Some(server) = &mut self.server {
                    server.wait_for(place, Wait::Everything, time);
                }
                self.answer_waiting();
            }
            Request::PowerOff => self.obey_ending(place, Ending::PowerOff, time),
            Request::Reboot => self.obey_ending(place, Ending::Reboot, time),
            Request::Halt => self.obey_ending(place, Ending::Halt, time),
            Request::RestartUserSpace { toplevel } => self.ask_restart(place, toplevel, time),
            Request::Kexec => self.ask_kexec(place, time),
        }
    }

    pub(super) fn obey_ending(&mut self, place: usize, ending: Ending, time: Ms) {
        self.respond(place, &Response::Done, time);
        self.end(ending);
    }

    pub(super) fn respond(&mut self, place: usize, response: &Response, time: Ms) {
        if let Some(server) = &mut self.server {
            server.answer(place, response, time);
        }
    }

    fn ask(&mut self, place: usize, name: &str, event: fn(Id) -> Event, time: Ms) {
        let asked = match self.id_of(name) {
            None => Err(format!("there is no service '{name}'; see cairn status")),
            Some(id) => self.refusal(id, &event(id)).map_or(Ok(id), Err),
        };
        match asked {
            Err(reason) => self.respond(place, &Response::Failed { reason }, time),
            Ok(id) => {
                let event = event(id);
                let wait = if is_stop(&event) {
                    Wait::Down(id)
                } else {
                    Wait::Up(id)
                };
                if let Some(server) = &mut self.server {
                    server.wait_for(place, wait, time);
                }
                self.step(event);
            }
        }
    }

    /// Why what is asked of a service cannot be done.
    fn refusal(&self, id: Id, event: &Event) -> Option<String> {
        if self.services.is_shutting_down() {
            return Some("the system is shutting down".to_owned());
        }
        let starts = || (!is_stop(event)).then(|| self.refuses_start(id)).flatten();
        self.refuses_of_running(event)
            .or_else(|| self.refuses_upheld(event))
            .or_else(|| self.refuses_disabled(event))
            .or_else(|| self.refuses_by_hand(event))
            .or_else(|| self.refuses_of_device(event))
            .or_else(starts)
    }

    fn refuses_upheld(&self, event: &Event) -> Option<String> {
        let Event::Stop(id) = event else {
            return None;
        };
        let (name, holder) = (self.name(*id), self.name(self.services.upholder(*id)?));
        Some(format!(
            "'{name}' is kept running by '{holder}'; stop that, or use cairn disable {name}"
        ))
    }

    fn refuses_by_hand(&self, event: &Event) -> Option<String> {
        let (Event::Start(id) | Event::Stop(id) | Event::Restart(id)) = event else {
            return None;
        };
        let (name, service) = (self.name(*id), self.services.descriptions().get(*id)?);
        if service.no_start_by_hand && !matches!(event, Event::Stop(_)) {
            return Some(format!(
                "'{name}' is not started by hand: its description says so"
            ));
        }
        (service.no_stop_by_hand && !matches!(event, Event::Start(_))).then(|| {
            format!(
                "'{name}' is not stopped by hand: its description says so; use cairn disable {name}"
            )
        })
    }

    fn refuses_disabled(&self, event: &Event) -> Option<String> {
        let (Event::Start(id) | Event::Restart(id)) = event else {
            return None;
        };
        let name = self.name(*id);
        self.services.units().get(*id)?.disabled.then(|| {
            format!("'{name}' is disabled until the machine is restarted; use cairn enable {name}")
        })
    }

    fn refuses_of_device(&self, event: &Event) -> Option<String> {
        let (Event::Stop(id) | Event::Restart(id)) = event else {
            return None;
        };
        let (name, path) = (self.name(*id), self.services.device(*id)?);
        let is_up = self.services.units().get(*id)?.phase.is_up();
        is_up.then(|| format!("'{name}' is up as long as {path} is there; stop what needs it"))
    }

    /// Why it cannot be reloaded, frozen or thawed, if that is asked for.
    fn refuses_of_running(&self, event: &Event) -> Option<String> {
        let (Event::Reload(id) | Event::Freeze(id) | Event::Thaw(id)) = event else {
            return None;
        };
        let name = self.name(*id);
        let service = self.services.descriptions().get(*id)?;
        let unit = self.services.units().get(*id)?;
        match event {
            Event::Reload(_) if service.reload.is_none() => Some(format!(
                "'{name}' cannot be reloaded; use cairn restart {name}"
            )),
            Event::Freeze(_) if !service.kind.has_process() => {
                Some(format!("'{name}' has no processes that could be frozen"))
            }
            Event::Thaw(_) => {
                (!unit.frozen).then(|| format!("'{name}' is not frozen; see cairn status {name}"))
            }
            _ if !unit.phase.is_up() => Some(format!("'{name}' is not up; use cairn start {name}")),
            Event::Reload(_) if unit.frozen => {
                Some(format!("'{name}' is frozen; use cairn thaw {name}"))
            }
            Event::Freeze(_) if unit.phase != Phase::Up => {
                Some(format!("'{name}' is being reloaded; try again"))
            }
            _ => None,
        }
    }

    /// Lets the processes of a service stand still; an event if that cannot be.
    pub(super) fn freeze(&mut self, id: Id) -> Option<Event> {
        let service = self.services.descriptions().get(id)?;
        let frozen = self.held.get_mut(id)?.freeze(service);
        frozen.err().map(|error| {
            log::error!("cannot freeze '{}': {error}", self.name(id));
            Event::Thaw(id)
        })
    }

    /// Answers those whose service has settled.
    pub(super) fn answer_waiting(&mut self) {
        self.answer_prepared();
        let time = now();
        let waiting = self
            .server
            .as_ref()
            .map(Server::waiting)
            .unwrap_or_default();
        for (place, wait) in waiting {
            let response = match wait {
                Wait::Up(_) if self.services.is_shutting_down() => Response::Failed {
                    reason: "the system is shutting down".to_owned(),
                },
                Wait::Up(id) if self.is_called_off(id) => self.called_off(id),
                Wait::Up(id) | Wait::Down(id) if self.services.is_settled(id) => self.outcome(id),
                Wait::Everything => match self.settled(time) {
                    Some(response) => response,
                    None => continue,
                },
                Wait::Up(_) | Wait::Down(_) | Wait::Prepared | Wait::Switch => continue,
            };
            self.respond(place, &response, time);
        }
    }

    /// What [`Request::Settle`] is answered with, once it can be.
    fn settled(&self, time: Ms) -> Option<Response> {
        if self.services.is_shutting_down() {
            let reason = "the system is shutting down".to_owned();
            return Some(Response::Failed { reason });
        }
        if self.switch.is_some() {
            return None;
        }
        if let Some(reason) = &self.switch_failure {
            let reason = reason.clone();
            return Some(Response::Failed { reason });
        }
        let units = self.services.units().iter();
        let failed = units.filter(|unit| !(unit.instance && unit.phase == Phase::Stopped));
        let failed = failed.map(Unit::is_failed);
        self.services.has_settled().then(|| Response::Settled {
            failed: (self.statuses(time).zip(failed))
                .filter_map(|(status, failed)| failed.then_some(status))
                .collect(),
        })
    }

    /// Whether somebody has stopped what somebody else waits for, or it was for another reason.
    fn is_called_off(&self, id: Id) -> bool {
        let unit = self.services.units().get(id);
        unit.is_some_and(|unit| {
            let has_reason = unit.stopped_by == Some(StoppedBy::Hand) || unit.note.is_some();
            unit.phase == Phase::Stopped && has_reason
        })
    }

    fn called_off(&self, id: Id) -> Response {
        let note = self
            .services
            .units()
            .get(id)
            .and_then(|unit| unit.note.as_ref());
        let note = note.map_or_else(String::new, |note| format!(": {note}"));
        let reason = format!("'{}' was stopped meanwhile{note}", self.name(id));
        Response::Failed { reason }
    }

    /// What a request about a settled service is answered with.
    fn outcome(&self, id: Id) -> Response {
        let failed = |reason: String| Response::Failed { reason };
        let name = self.name(id);
        let unit = self.services.units().get(id);
        if let Some(note) = unit
            .filter(|unit| unit.phase == Phase::Up)
            .and_then(|u| u.note.as_ref())
        {
            return failed(format!("'{name}': {note}"));
        }
        match unit.map(|unit| (&unit.phase, unit.last_exit)) {
            Some((Phase::Failed(reason), _)) => failed(format!("'{name}' has failed: {reason}")),
            Some((Phase::Backoff(_), exit)) => {
                let exit = exit.map_or_else(String::new, |exit| format!(", it ended with {exit}"));
                failed(format!(
                    "'{name}' does not stay up{exit}; it is tried again"
                ))
            }
            Some((Phase::Waiting, _)) => failed(format!(
                "'{name}' waits for a service that does not come up"
            )),
            _ => Response::Done,
        }
    }

    fn status(&self, time: Ms) -> Response {
        Response::Status {
            toplevel: self.toplevel.clone(),
            version: VERSION,
            ending: self.ending.map(|ending| verb(ending).to_owned()),
            services: self.statuses(time).collect(),
        }
    }

    fn statuses(&self, time: Ms) -> impl Iterator<Item = ServiceStatus> {
        let next = self.clockwork.next_runs(&self.services);
        self.services
            .descriptions()
            .iter()
            .zip(self.services.units())
            .zip(&self.held)
            .enumerate()
            // A place for a connection that there is not.
            .filter(|(_, ((_, unit), _))| !(unit.instance && unit.phase == Phase::Stopped))
            .map(move |(id, ((service, unit), held))| ServiceStatus {
                name: service.name.clone(),
                description: service.description.clone(),
                state: unit.state(),
                pid: held.main.as_ref().map(|main| main.pid),
                age_ms: unit.started_at.map(|at| time.saturating_sub(at)),
                restarts: unit.restarts,
                last_exit: unit.last_exit.map(|exit| exit.to_string()),
                reason: match &unit.phase {
                    Phase::Failed(reason) => Some(reason.clone()),
                    _ => unit.note.clone(),
                },
                standing: unit.standing(),
                activity: self
                    .activity(id)
                    .or_else(|| held.says.clone())
                    .filter(|_| unit.phase.is_up()),
                started_ms: unit.started_at,
                up_ms: unit.up_at,
                next_run_ms: next.get(&id).copied(),
                disabled: unit.disabled,
                frozen: unit.frozen,
            })
    }
}

fn is_stop(event: &Event) -> bool {
    use Event::{Disable, Freeze, Reload, Stop, Thaw};
    matches!(
        event,
        Stop(_) | Disable(_) | Reload(_) | Freeze(_) | Thaw(_)
    )
}
