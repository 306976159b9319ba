//! Who needs whom, as the description of the generation that runs has it.

use std::collections::BTreeMap;
use std::path::Path;

use cairn_system::{Service, ServiceKind, ServiceName};

/// The services of a generation by name.
#[derive(Debug, Default)]
pub struct Graph {
    services: BTreeMap<String, Service>,
}

impl Graph {
    /// Of the generation at `toplevel` of the machine at `root`. One that cannot be read, since another
    /// version of this program has made it, say, is one without dependencies.
    #[must_use]
    pub fn read(root: &Path, toplevel: &Path) -> Self {
        match cairn_activate::read_description(root, toplevel) {
            Ok(description) => Self::of(description.services),
            Err(error) => {
                log::warn!("dependencies are not shown: {error}");
                Self::default()
            }
        }
    }

    /// Of these services.
    #[must_use]
    pub fn of(services: Vec<Service>) -> Self {
        let by_name = |service: Service| (service.name.to_string(), service);
        Self {
            services: services.into_iter().map(by_name).collect(),
        }
    }

    /// What the description says of a service; nothing of one that serves a connection.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }

    /// What must be up before it starts.
    pub fn requires(&self, name: &str) -> impl Iterator<Item = &str> {
        let service = self.services.get(name).into_iter();
        service.flat_map(|service| service.requires.iter().map(ServiceName::as_str))
    }

    /// What is started before it or along with it: what it requires, then what it wants.
    pub fn needs(&self, name: &str) -> impl Iterator<Item = &str> {
        let wants = self.services.get(name).into_iter();
        let wants = wants.flat_map(|service| service.wants.iter().map(ServiceName::as_str));
        self.requires(name).chain(wants)
    }

    /// What it waits for if it is to start too: what it requires, then what it comes after.
    pub fn waits_for(&self, name: &str) -> impl Iterator<Item = &str> {
        let after = self.services.get(name).into_iter();
        let after = after.flat_map(|service| service.after.iter().map(ServiceName::as_str));
        self.requires(name).chain(after)
    }

    /// Whether it stands for other services, and has no process itself.
    #[must_use]
    pub fn is_milestone(&self, name: &str) -> bool {
        let service = self.services.get(name);
        service.is_some_and(|service| service.kind == ServiceKind::Milestone)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use cairn_system::Process;

    /// Name, what it requires, wants and comes after.
    pub type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

    /// Services of a table. An upper-case first letter makes a milestone.
    pub fn graph(table: &[Row<'_>]) -> Graph {
        let names = |list: &[&str]| -> Vec<ServiceName> {
            let names = list.iter().map(|name| ServiceName::try_from(*name));
            names.collect::<Result<_, _>>().unwrap()
        };
        let service = |(name, requires, wants, after): &Row<'_>| {
            let kind = if name.starts_with(char::is_uppercase) {
                ServiceKind::Milestone
            } else {
                ServiceKind::Simple
            };
            let name = ServiceName::try_from(*name).unwrap();
            let mut service = Service::new(name, kind, Process::default());
            service.requires = names(requires);
            service.wants = names(wants);
            service.after = names(after);
            service
        };
        Graph::of(table.iter().map(service).collect())
    }
}
