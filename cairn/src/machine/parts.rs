//! Pieces of a description with all that is left unsaid at its default.

use anyhow::Result;
use cairn_system::{CopyMode, Directory, EtcEntry, Process, Service, ServiceKind, User};

/// A service of root's that is wanted at boot and never restarted, with nothing else set.
pub(super) fn service(
    name: &str,
    description: &str,
    kind: ServiceKind,
    argv: Vec<String>,
) -> Result<Service> {
    let mut process = Process::new(argv);
    process.environment = [("PATH".to_owned(), "/run/current-system/sw/bin".to_owned())].into();
    let mut service = Service::new(name.try_into()?, kind, process);
    description.clone_into(&mut service.description);
    Ok(service)
}

/// A system user of its own group name, without login.
pub(super) fn system_user(name: &str, description: &str) -> Result<User> {
    Ok(User {
        name: name.try_into()?,
        uid: None,
        is_system_user: true,
        group: name.try_into()?,
        extra_groups: Vec::new(),
        description: description.to_owned(),
        home: "/var/empty".to_owned(),
        create_home: false,
        home_mode: None,
        shell: "/run/current-system/sw/bin/nologin".to_owned(),
        hashed_password: Some("!".to_owned()),
        hashed_password_file: None,
        initial_hashed_password: None,
        initial_hashed_password_file: None,
    })
}

/// A directory of root's.
pub(super) fn directory(path: &str, mode: u32) -> Result<Directory> {
    Ok(Directory {
        path: path.to_owned(),
        mode,
        user: "root".try_into()?,
        group: "root".try_into()?,
    })
}

/// A link below `/etc`.
pub(super) fn link(target: impl Into<String>, source: impl Into<String>) -> EtcEntry {
    EtcEntry {
        target: target.into(),
        source: source.into(),
        copy: None::<CopyMode>,
    }
}
