//! Pieces of a description with all that is left unsaid at its default.

use anyhow::Result;
use cairn_system::{CopyMode, Directory, EtcEntry, Process, Restart, Service, ServiceKind, User};

/// A service of root's that is wanted at boot and never restarted, with nothing else set.
pub(super) fn service(
    name: &str,
    description: &str,
    kind: ServiceKind,
    argv: Vec<String>,
) -> Result<Service> {
    Ok(Service {
        name: name.try_into()?,
        description: description.to_owned(),
        kind,
        process: Process {
            argv,
            environment: [("PATH".to_owned(), "/run/current-system/sw/bin".to_owned())].into(),
            user: None,
            group: None,
            working_directory: None,
            tty: None,
        },
        requires: Vec::new(),
        wants: Vec::new(),
        after: Vec::new(),
        wanted_at_boot: true,
        restart: Restart::Never,
        restart_delay_ms: Service::default_restart_delay_ms(),
        restart_delay_max_ms: Service::default_restart_delay_max_ms(),
        stop_timeout_ms: Service::default_stop_timeout_ms(),
    })
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
