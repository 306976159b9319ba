//! What starts a service when something comes in: sockets and paths, and the services of single
//! connections.
//!
//! To the state machine a socket is a service whose process is what is open: it is 'executed' by
//! being opened and 'exits' when it is closed. The service of one connection is an instance of a
//! template; its place is used again by later ones, so that their number bounds places, logs and
//! control groups.

use cairn_system::{Service, Socket, StartLimit};

use super::graph::{self, Id};
use super::{Action, Goal, Ms, Outcome, Phase, Services, StoppedBy, Unit};

/// How often something may be started where the description sets no limit: what is not taken in would
/// start its service for ever. Connections are taken in any case.
const LIMIT: StartLimit = StartLimit {
    burst: 200,
    interval_ms: 2000,
};

impl Services {
    /// Those of the description: instances, which come behind them, are in none.
    pub fn described(&self) -> &[Service] {
        let end = self.units.iter().rposition(|unit| !unit.instance);
        self.descriptions
            .get(..end.map_or(0, |last| last + 1))
            .unwrap_or_default()
    }

    /// Whether what comes in at the socket, or path, of this number is to start something now.
    pub fn listens(&self, id: Id) -> bool {
        let Some((unit, node)) = self.units.get(id).zip(self.nodes.get(id)) else {
            return false;
        };
        let is_up = unit.phase == Phase::Up && unit.goal == Goal::Up && !self.is_shutting_down();
        if self.accepting(id).is_some() {
            return is_up;
        }
        let target = node.starts.and_then(|target| self.units.get(target));
        is_up && target.is_some_and(can_be_started)
    }

    /// Whether a change of files at the path of this number counts: its service is down, or is on its
    /// way there, and may have looked at them before.
    pub fn counts_changes(&self, id: Id) -> bool {
        let is_path = self
            .descriptions
            .get(id)
            .is_some_and(|service| service.watch.is_some());
        let is_up = self.units.get(id).is_some_and(|unit| {
            unit.phase == Phase::Up && unit.goal == Goal::Up && !self.is_shutting_down()
        });
        let target = self.started_by(id).and_then(|id| self.units.get(id));
        let ends = target.is_some_and(|unit| {
            unit.phase.is_ending() && unit.stopped_by.is_none() && unit.due.is_none()
        });
        self.listens(id) || is_path && is_up && ends
    }

    /// The socket, if it takes connections itself.
    pub fn accepting(&self, id: Id) -> Option<&Socket> {
        let socket = self.descriptions.get(id)?.socket.as_deref()?;
        socket.accept.then_some(socket)
    }

    /// What the socket, or path, of this number starts.
    pub fn started_by(&self, id: Id) -> Option<Id> {
        self.nodes.get(id)?.starts
    }

    /// The instances that serve a connection of this socket.
    pub fn connections(&self, socket: Id) -> impl Iterator<Item = (Id, &Unit)> {
        self.instances(socket)
            .filter(|(_, unit)| unit.phase != Phase::Stopped)
    }

    /// An instance whose place is free.
    pub fn vacant(&self, socket: Id) -> Option<Id> {
        self.instances(socket)
            .find(|(_, unit)| unit.phase == Phase::Stopped)
            .map(|(id, _)| id)
    }

    /// Every place for an instance of this socket's template.
    pub fn instances(&self, socket: Id) -> impl Iterator<Item = (Id, &Unit)> {
        let template = self.started_by(socket);
        let template = template.and_then(|id| self.descriptions.get(id));
        self.units
            .iter()
            .zip(&self.descriptions)
            .enumerate()
            .filter(move |(_, (unit, service))| {
                unit.instance
                    && template.is_some_and(|template| {
                        service.name.as_str().starts_with(template.name.as_str())
                    })
            })
            .map(|(id, (unit, _))| (id, unit))
    }

    /// Adds a place for an instance.
    pub fn add_instance(&mut self, service: Service) -> Id {
        let id = self.units.len();
        graph::add(&mut self.nodes, &self.descriptions, &service);
        self.descriptions.push(service);
        self.units.push(Unit {
            instance: true,
            ..Unit::default()
        });
        id
    }

    /// Something has come in.
    pub(super) fn triggered(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) {
        if !self.counts_changes(id) || !self.count_trigger(id, now, actions) {
            return;
        }
        // A template is not started itself: what has come in could not be taken.
        if let Some(target) = self.started_by(id).filter(|_| self.accepting(id).is_none()) {
            self.want_as_before(target);
        }
    }

    /// A connection has come in, and this instance is to serve it.
    pub(super) fn connected(
        &mut self,
        (socket, instance): (Id, Id),
        peer: String,
        now: Ms,
        actions: &mut Vec<Action>,
    ) {
        if !self.listens(socket) || !self.count_trigger(socket, now, actions) {
            return;
        }
        self.want(instance);
        if let Some(unit) = self.units.get_mut(instance) {
            unit.note = Some(peer);
        }
    }

    /// Whether it may start its service once more; if not, it has failed.
    pub(super) fn count_trigger(&mut self, id: Id, now: Ms, actions: &mut Vec<Action>) -> bool {
        let Some((service, unit)) = self.pair(id) else {
            return false;
        };
        let takes = service.socket.as_ref().is_some_and(|socket| socket.accept);
        let limit = service.start_limit.or((!takes).then_some(LIMIT));
        let Some(excess) = unit.count_start(limit, now) else {
            return true;
        };
        let reason = format!("{excess}, by what it waits for; it is closed");
        let reason = match service.starts() {
            Some(name) => reason.replacen("it was", &format!("'{name}' was"), 1),
            None => reason,
        };
        self.give_up(id, reason, Outcome::StartLimitHit, now, actions);
        false
    }

    /// Wants it up; its limit of starts goes on being counted, other than when somebody asks.
    pub(super) fn want_as_before(&mut self, id: Id) {
        let before = self
            .units
            .get(id)
            .map(|unit| (unit.window_start, unit.window_starts));
        self.want(id);
        if let Some((unit, (start, starts))) = self.units.get_mut(id).zip(before) {
            unit.window_start = start;
            unit.window_starts = starts;
        }
    }

    /// Instances that are down, however that came about, leave their place.
    pub(super) fn vacate(&mut self) {
        let mut next = self.units.next_changed(0);
        while let Some(id) = next {
            next = self.units.next_changed(id + 1);
            let is_over = self.units.get(id).is_some_and(|unit| {
                let is_down = matches!(unit.phase, Phase::Done | Phase::Failed(_));
                unit.instance && is_down && !unit.running
            });
            if is_over && let Some(unit) = self.units.get_mut(id) {
                *unit = Unit {
                    instance: true,
                    ..Unit::default()
                };
            }
        }
    }
}

/// Whether nothing of it is there or on its way, and a switch does not hold it.
pub(super) fn can_be_started(unit: &Unit) -> bool {
    matches!(unit.phase, Phase::Stopped | Phase::Done | Phase::Failed(_))
        && unit.goal != Goal::Again
        && unit.stopped_by != Some(StoppedBy::Switch)
        && unit.due.is_none()
        && !unit.disabled
}
