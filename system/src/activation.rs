//! Whether the sockets, paths and devices of a description fit its services.

use std::collections::BTreeSet;

use crate::name::{ServiceName, UserName};
use crate::ordered;
use crate::service::{Service, ServiceKind};
use crate::socket::{Address, Listen, Socket};
use crate::watch::Watch;

/// Most things that one socket listens on: its service gets no more descriptors than it can count on.
const MOST: usize = 128;

/// The first thing that cannot be.
pub(crate) fn contradiction(
    services: &[Service],
    users: &BTreeSet<&UserName>,
    groups: &BTreeSet<&UserName>,
) -> Option<String> {
    let names: BTreeSet<&ServiceName> = ordered::set(services.iter().map(|service| &service.name));
    services.iter().find_map(|service| {
        let has = (&service.socket, &service.watch, &service.device);
        let problem = match (service.kind, has) {
            (ServiceKind::Socket, (Some(socket), None, None)) => of_socket(socket, users, groups),
            (ServiceKind::Path, (None, Some(watch), None)) => of_watch(watch),
            (ServiceKind::Socket, (None, ..)) => Some("listens on nothing".to_owned()),
            (ServiceKind::Path, (_, None, _)) => Some("watches nothing".to_owned()),
            (ServiceKind::Device, (.., None)) => Some("names no device".to_owned()),
            (ServiceKind::Device, (None, None, Some(_))) | (_, (None, None, None)) => None,
            _ => Some("is of another kind than what it has".to_owned()),
        };
        let started = service.starts().filter(|name| !names.contains(name));
        let missing = started.map(|name| format!("starts '{name}', which is not defined"));
        let problem = problem.or(missing)?;
        Some(format!("service '{}' {problem}", service.name))
    })
}

fn of_socket(
    socket: &Socket,
    users: &BTreeSet<&UserName>,
    groups: &BTreeSet<&UserName>,
) -> Option<String> {
    if socket.listen.is_empty() || socket.listen.len() > MOST {
        return Some(format!("listens on nothing, or on more than {MOST} things"));
    }
    if let Some(user) = socket.user.as_ref().filter(|user| !users.contains(user)) {
        return Some(format!(
            "makes files of user '{user}', which is not defined"
        ));
    }
    if let Some(group) = socket.group.as_ref().filter(|g| !groups.contains(g)) {
        return Some(format!(
            "makes files of group '{group}', which is not defined"
        ));
    }
    let internet =
        |listen: &&Listen| matches!(listen, Listen::SequentialPacket(Address::Internet(_)));
    if let Some(listen) = socket.listen.iter().find(internet) {
        return Some(format!(
            "listens on {listen}, but such sockets are in the file system"
        ));
    }
    if !socket.accept {
        return None;
    }
    let connects =
        |listen: &&Listen| !matches!(listen, Listen::Stream(_) | Listen::SequentialPacket(_));
    match socket.listen.iter().find(connects) {
        Some(listen) => Some(format!(
            "takes connections on {listen}, where there are none"
        )),
        None if !socket.service.as_str().ends_with('@') => Some(format!(
            "starts '{}' for each connection: a template, whose name ends with @, is needed",
            socket.service
        )),
        None => None,
    }
}

fn of_watch(watch: &Watch) -> Option<String> {
    watch.paths.is_empty().then(|| "watches nothing".to_owned())
}
