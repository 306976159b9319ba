//! What services have for themselves and in common: networks, message queues, temporary files.
//!
//! Each of them that is not down has the namespaces open, here and with core: they are there as long as one is, whatever
//! becomes of processes and supervisors. Who comes first makes them. Temporary files are in the folder of the name that they
//! share, which is made anew by the first to start and removed by the last to end.
//!
//! Source: `JoinsNamespaceOf=` in systemd.unit(5).

use cairn_sys::process::Own as Kind;
use cairn_system::Own;

use super::Supervisor;
use super::given::{IPC, NETWORK};
use super::graph::Id;
use super::process;
use super::services::Phase;

/// What can be in common, by its number among a service's descriptors.
const KINDS: [(Own, Kind, u32); 2] = [
    (Own::Network, Kind::Network, NETWORK),
    (Own::Ipc, Kind::Ipc, IPC),
];

impl Supervisor {
    /// Has `id` hold what it has in common with others: theirs, or if nobody has it yet, a new one.
    pub(super) fn share(&mut self, id: Id) -> anyhow::Result<()> {
        let Some(service) = self.services.descriptions().get(id) else {
            return Ok(());
        };
        let confinement = &service.process.confinement;
        if confinement.shared_as.is_none() {
            return Ok(());
        }
        let wanted = KINDS.map(|(own, ..)| confinement.own.contains(&own));
        for ((_, kind, number), _) in KINDS.into_iter().zip(wanted).filter(|(_, wanted)| *wanted) {
            let of = |id: Id| {
                let own = &self.held.get(id)?.own;
                own.iter().find(|own| own.number == number)
            };
            if of(id).is_some() {
                continue;
            }
            let descriptor = match self.others(id).find_map(of) {
                Some(theirs) => theirs.descriptor.try_clone()?,
                None => kind.make()?,
            };
            self.own(id, number, String::new(), descriptor)?;
        }
        Ok(())
    }

    /// Whether somebody else has what `id` has in common with others.
    pub(super) fn is_shared(&self, id: Id) -> bool {
        self.others(id).any(|other| {
            let unit = self.services.units().get(other);
            unit.is_some_and(|unit| unit.running || unit.is_alive())
        })
    }

    /// Removes what `id` has only while it runs.
    pub(super) fn release(&mut self, id: Id) {
        self.let_go(id, |own| {
            KINDS.iter().any(|(.., number)| own.number == *number)
        });
        let is_shared = self.is_shared(id);
        let unit = self.services.units().get(id);
        let returns = unit.is_some_and(|unit| {
            !matches!(unit.phase, Phase::Stopped | Phase::Done | Phase::Failed(_))
        });
        if let Some(service) = self.services.descriptions().get(id) {
            let cleaned = process::clean(service, is_shared, returns);
            let removed = if service.removes_ipc && self.is_last_of_user(id) {
                process::remove_ipc(service)
            } else {
                Ok(())
            };
            if let Err(error) = cleaned.and(removed) {
                log::error!("'{}': {error}", service.name);
            }
        }
    }

    /// Whether no other service of its user has processes.
    fn is_last_of_user(&self, id: Id) -> bool {
        let descriptions = self.services.descriptions();
        let user = |id: Id| descriptions.get(id).map(|service| &service.process.user);
        let own = user(id);
        let mut units = self.services.units().iter().enumerate();
        units.all(|(other, unit)| {
            other == id || user(other) != own || !(unit.running || unit.is_alive())
        })
    }

    /// The services that have something in common with `id`; for one that has nothing, nobody is asked.
    fn others(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let descriptions = self.services.descriptions();
        let name = |id: Id| {
            let service = descriptions.get(id)?;
            service.process.confinement.shared_as.as_ref()
        };
        let own = name(id);
        let all = own.map_or(0, |_| descriptions.len());
        (0..all).filter(move |other| *other != id && name(*other) == own)
    }
}
