//! A generation's description, as far as services go.

use std::fs;
use std::path::Path;

use anyhow::Context;
use cairn_sys::kmsg::{self, Priority};
use cairn_system::{Control, Facts, Service, ServiceKind, Timer, UserServices};

use crate::realm::{Owner, realm};

/// What the supervisor goes by.
#[derive(Debug, Default)]
pub struct Description {
    /// What it runs.
    pub services: Vec<Service>,
    /// What starts them.
    pub timers: Vec<Timer>,
    /// Who may operate them.
    pub control: Control,
}

/// Reads the description of the generation at `toplevel`.
///
/// # Errors
/// It cannot be read, or is none that this program understands.
pub fn read(toplevel: &Path) -> anyhow::Result<Description> {
    let described = cairn_activate::read_description(Path::new("/"), toplevel)?;
    let mut description = match &realm().owner {
        None => Description {
            services: described.services,
            timers: described.timers,
            control: described.control,
        },
        Some(owner) => Description {
            services: of_user(&described.user_services, owner)?,
            timers: described.user_services.timers,
            control: Control::default(),
        },
    };
    // Of all that can be started at the same time, sockets come first: whoever connects finds them.
    let all = description.services.into_iter();
    let (sockets, others) = all.partition(|service| service.kind == ServiceKind::Socket);
    description.services = sockets;
    description.services.extend::<Vec<_>>(others);
    Ok(description)
}

/// The services of users as they are for this one.
fn of_user(all: &UserServices, owner: &Owner) -> anyhow::Result<Vec<Service>> {
    let user = Facts {
        name: &owner.name,
        uid: owner.credentials.uid,
        home: &owner.home.display().to_string(),
        shell: &owner.shell,
        runtime: &owner.runtime.display().to_string(),
    };
    all.of(&user)
        .context("services of users make no sense for this one")
}

/// The same where nothing runs yet: a description that cannot be used is an empty system with a
/// control socket, not a loop of restarts; activation has refused it before.
pub fn read_or_nothing(toplevel: &Path) -> Description {
    read(toplevel).unwrap_or_else(|error| {
        let text = format!("cairn: {error:#}; no service is started");
        kmsg::write(Priority::Critical, &text);
        Description::default()
    })
}

/// The names of a generation's services, whatever else its description says that this program does
/// not understand.
///
/// # Errors
/// The description cannot be read, or has no list of services with names.
pub fn names(toplevel: &Path) -> anyhow::Result<Vec<String>> {
    let path = toplevel.join("system.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    names_in(&text).with_context(|| format!("cannot find the services in {}", path.display()))
}

fn names_in(text: &str) -> Option<Vec<String>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let part = match realm().owner {
        None => Some(&value),
        Some(_) => value.get("userServices"),
    };
    let Some(services) = part.and_then(|part| part.get("services")) else {
        return realm().owner.as_ref().map(|_| Vec::new());
    };
    let services = services.as_array()?.iter();
    services
        .map(|service| Some(service.get("name")?.as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_among_what_is_not_understood() {
        let text = r#"{"version":7,"services":[{"name":"a","unheard":[{}]},{"name":"b"}]}"#;
        assert_eq!(names_in(text).unwrap(), ["a", "b"]);
        for text in ["", "{}", "[]", r#"{"services":{}}"#, r#"{"services":[{}]}"#] {
            assert_eq!(names_in(text), None, "{text}");
        }
    }
}
