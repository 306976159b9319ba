//! `system.json`: everything that activation and the supervisor need to know.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::activation;
use crate::confinement;
use crate::file_system::FileSystem;
use crate::health::{self, HealthCheck};
use crate::name::{HostName, UserName};
use crate::order;
use crate::ordered;
use crate::output;
use crate::parse::{ParseError, V1, parse};
use crate::path_rule::PathRule;
use crate::readiness;
use crate::service::Service;
use crate::swap::SwapDevice;
use crate::timer::Timer;
use crate::user::{Group, User};
use crate::user_services::UserServices;

/// One generation, described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemDescription {
    /// Version of this document.
    pub version: V1,
    /// What menus and `/etc/os-release` call this system.
    pub label: String,
    /// The host's name.
    pub host_name: HostName,
    /// All mounts, stage 1's among them.
    pub file_systems: Vec<FileSystem>,
    /// Modules that stage 2 loads, beside those that modaliases ask for.
    #[serde(default)]
    pub kernel_modules: Vec<String>,
    /// `kernel.sysrq` -> `1`: written below `/proc/sys`.
    #[serde(default)]
    pub sysctl: BTreeMap<String, String>,
    /// What `/etc` holds.
    #[serde(default)]
    pub etc: Vec<EtcEntry>,
    /// Nobody but activation can write to `/etc`.
    #[serde(default)]
    pub read_only_etc: bool,
    /// Users, the superuser among them.
    pub users: Vec<User>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Users that are not described here survive activation, and their passwords are theirs.
    #[serde(default)]
    pub mutable_users: bool,
    /// Target of `/bin/sh`, absolute.
    pub bin_sh: String,
    /// Target of `/usr/bin/env`, absolute.
    pub usr_bin_env: String,
    /// Programs that run with other rights than their caller's, in `/run/wrappers/bin`.
    #[serde(default)]
    pub wrappers: Vec<Wrapper>,
    /// Directories made at each activation if they do not exist.
    #[serde(default)]
    pub directories: Vec<Directory>,
    /// Further paths that are made, changed or removed at activation, in this order.
    #[serde(default)]
    pub paths: Vec<PathRule>,
    /// Where memory may be moved to.
    #[serde(default)]
    pub swap_devices: Vec<SwapDevice>,
    /// Services.
    pub services: Vec<Service>,
    /// What starts services at given times.
    #[serde(default)]
    pub timers: Vec<Timer>,
    /// Who besides root may operate the services.
    #[serde(default)]
    pub control: Control,
    /// Services and timers of each user.
    #[serde(default, skip_serializing_if = "UserServices::is_none")]
    pub user_services: UserServices,
    /// What has to work before this generation counts as good.
    #[serde(default)]
    pub health: Vec<HealthCheck>,
}

/// Who may ask the supervisor for more than what services are doing, by group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Control {
    /// Groups whose members may start, stop, restart, reload, enable and disable services.
    #[serde(default)]
    pub operators: Vec<UserName>,
    /// Groups whose members may do all that root may: switch, and end the machine.
    #[serde(default)]
    pub administrators: Vec<UserName>,
}

impl Control {
    fn contradiction(&self, groups: &BTreeSet<&UserName>) -> Option<String> {
        let mut named = self.operators.iter().chain(&self.administrators);
        let unknown = named.find(|group| !groups.contains(group))?;
        Some(format!(
            "control names the group '{unknown}', which is not defined"
        ))
    }
}

/// One entry below `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EtcEntry {
    /// Relative to `/etc`: `ssh/sshd_config`.
    pub target: String,
    /// Absolute; a file or directory in the store, or anything for a link outside of it.
    pub source: String,
    /// A copy with these rights instead of a link through `/etc/static`.
    #[serde(default)]
    pub copy: Option<CopyMode>,
    /// A link to the source itself and not through `/etc/static`.
    #[serde(default)]
    pub direct: bool,
}

/// Rights of a copied `/etc` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CopyMode {
    /// Permission bits, written in octal: `0440`.
    #[serde(with = "crate::octal")]
    pub mode: u32,
    /// Owner.
    pub user: UserName,
    /// Group.
    pub group: UserName,
}

/// A program in `/run/wrappers/bin` with setuid or setgid bits or file capabilities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wrapper {
    /// File name in `/run/wrappers/bin`.
    pub name: String,
    /// The program, absolute.
    pub source: String,
    /// Permission bits with setuid and setgid, written in octal: `4755`.
    #[serde(with = "crate::octal")]
    pub mode: u32,
    /// Owner.
    pub user: UserName,
    /// Group.
    pub group: UserName,
    /// Capabilities such as `cap_net_raw`, permitted and effective.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// A directory that must exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Directory {
    /// Absolute path.
    pub path: String,
    /// Permission bits, written in octal.
    #[serde(with = "crate::octal")]
    pub mode: u32,
    /// Owner.
    pub user: UserName,
    /// Group.
    pub group: UserName,
}

impl SystemDescription {
    /// Reads the text of a `system.json`.
    ///
    /// # Errors
    /// It is no JSON; a field is unknown, missing or of the wrong type; or its parts contradict
    /// each other (a name twice, a service that requires one which does not exist).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let description: Self = parse("system.json", text)?;
        description.check()?;
        Ok(description)
    }

    /// Whether the parts agree with each other; `parse` has done it for what it returns.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), ParseError> {
        self.contradiction().map_or(Ok(()), |problem| {
            Err(ParseError::Contradiction {
                document: "system.json",
                problem,
            })
        })
    }

    /// Whether no service waits for itself, through whatever it requires or comes after. A running
    /// supervisor copes with such services; a build refuses them.
    ///
    /// # Errors
    /// The first circle found, from name to name.
    pub fn check_order(&self) -> Result<(), ParseError> {
        let circle = order::circle(&self.services);
        let of_users = self.user_services.of_somebody();
        let circle = circle.or_else(|| order::circle(&of_users));
        circle.map_or(Ok(()), |circle| {
            Err(ParseError::Contradiction {
                document: "system.json",
                problem: format!(
                    "services wait for each other in a circle: {}; take one of these requires or after away",
                    circle.join(" -> ")
                ),
            })
        })
    }

    fn contradiction(&self) -> Option<String> {
        let users: BTreeSet<_> = ordered::set(self.users.iter().map(|user| &user.name));
        let groups: BTreeSet<_> = ordered::set(self.groups.iter().map(|group| &group.name));
        let services: BTreeSet<_> = ordered::set(self.services.iter().map(|service| &service.name));
        twice("user", self.users.iter().map(|user| user.name.as_str()))
            .or_else(|| twice("group", self.groups.iter().map(|group| group.name.as_str())))
            .or_else(|| {
                twice(
                    "service",
                    self.services.iter().map(|service| service.name.as_str()),
                )
            })
            .or_else(|| {
                twice(
                    "/etc entry",
                    self.etc.iter().map(|entry| entry.target.as_str()),
                )
            })
            .or_else(|| {
                let points = self.file_systems.iter().map(|fs| fs.mount_point.as_str());
                twice("file system", points)
            })
            .or_else(|| {
                self.users
                    .iter()
                    .find(|user| !groups.contains(&user.group))
                    .map(|user| {
                        format!(
                            "user '{}' has group '{}', which is not defined",
                            user.name, user.group
                        )
                    })
            })
            .or_else(|| {
                self.services.iter().find_map(|service| {
                    let unknown = service
                        .requires
                        .iter()
                        .find(|name| !services.contains(name))?;
                    Some(format!(
                        "service '{}' requires '{unknown}', which is not defined",
                        service.name
                    ))
                })
            })
            .or_else(|| {
                self.services.iter().find_map(|service| {
                    let user = service.process.user.as_ref()?;
                    (!users.contains(user)).then(|| {
                        format!(
                            "service '{}' runs as user '{user}', which is not defined",
                            service.name
                        )
                    })
                })
            })
            .or_else(|| {
                self.services.iter().find_map(|service| {
                    let mut named = service
                        .process
                        .group
                        .iter()
                        .chain(&service.process.supplementary_groups);
                    let unknown = named.find(|group| !groups.contains(group))?;
                    Some(format!(
                        "service '{}' has group '{unknown}', which is not defined",
                        service.name
                    ))
                })
            })
            .or_else(|| self.control.contradiction(&groups))
            .or_else(|| conflict_at_boot(&self.services))
            .or_else(|| {
                let programless = |service: &&Service| {
                    service.kind.has_process() && service.process.argv.is_empty()
                };
                let service = self.services.iter().find(programless)?;
                Some(format!("service '{}' has nothing to execute", service.name))
            })
            .or_else(|| confinement::contradiction(&self.services))
            .or_else(|| activation::contradiction(&self.services, &users, &groups))
            .or_else(|| readiness::contradiction(&self.services))
            .or_else(|| output::contradiction(&self.services))
            .or_else(|| twice("timer", self.timers.iter().map(|timer| timer.name.as_str())))
            .or_else(|| {
                let unknown = self
                    .timers
                    .iter()
                    .find(|timer| !services.contains(&timer.service))?;
                Some(format!(
                    "timer '{}' starts '{}', which is not defined",
                    unknown.name, unknown.service
                ))
            })
            .or_else(|| self.user_services.contradiction())
            .or_else(|| {
                let names = self.health.iter().map(|check| check.name.as_str());
                twice("health check", names)
            })
            .or_else(|| health::contradiction(&self.health, &self.services))
    }
}

/// Two services of which one would stop the other at each boot.
fn conflict_at_boot(services: &[Service]) -> Option<String> {
    let at_boot: BTreeMap<&str, bool> = ordered::map(
        services
            .iter()
            .map(|service| (service.name.as_str(), service.wanted_at_boot)),
    );
    services.iter().find_map(|service| {
        let needs = service.requires.iter();
        let needed = needs.filter(|other| service.conflicts.contains(other));
        let wanted = service
            .conflicts
            .iter()
            .filter(|other| service.wanted_at_boot && at_boot.get(other.as_str()) == Some(&true));
        let other = needed.chain(wanted).next()?;
        Some(format!(
            "service '{}' conflicts with '{other}', and both are to run; start one of them by hand",
            service.name
        ))
    })
}

fn twice<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .find(|name| !seen.insert(*name))
        .map(|name| format!("{kind} '{name}' is defined twice"))
}
