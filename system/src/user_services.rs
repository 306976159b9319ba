//! What each user's own supervisor runs.
//!
//! All users have the same. Texts of these services hold specifiers, which stand for what differs: the
//! user's supervisor replaces them ([`UserServices::of`]).
//!
//! | | |
//! |---|---|
//! | `%u` | the user's name |
//! | `%U` | the user's number |
//! | `%h` | the home |
//! | `%s` | the shell |
//! | `%t` | `XDG_RUNTIME_DIR` |
//! | `%S` `%C` `%E` `%L` | below the home: `.local/state`, `.cache`, `.config`, `.local/state/log` |
//! | `%%` | a percent sign |

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ordered;
use crate::output;
use crate::parse;
use crate::service::Service;
use crate::timer::Timer;

/// Services of users, and what starts them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserServices {
    /// Services, whose texts hold specifiers: what they are is known of a user alone.
    #[serde(default)]
    pub services: Vec<Value>,
    /// What starts them at given times.
    #[serde(default)]
    pub timers: Vec<Timer>,
}

/// What specifiers stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The user's name.
    pub name: &'a str,
    /// The user's number.
    pub uid: u32,
    /// The home.
    pub home: &'a str,
    /// The shell.
    pub shell: &'a str,
    /// `XDG_RUNTIME_DIR`.
    pub runtime: &'a str,
}

/// An example.
const SOMEBODY: Facts<'_> = Facts {
    name: "somebody",
    uid: 1000,
    home: "/home/somebody",
    shell: "/bin/sh",
    runtime: "/run/user/1000",
};

impl UserServices {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The services as they are for one user.
    ///
    /// # Errors
    /// What comes out is no service any more, such as one whose name would be wrong.
    pub fn of(&self, user: &Facts<'_>) -> Result<Vec<Service>, serde_json::Error> {
        let services = self.services.iter();
        services
            // Read as text, as everything else is: a second way to read services would be a tenth of a
            // megabyte of PID 1's program.
            .map(|service| parse::read(&filled(service.clone(), user).to_string()))
            .collect()
    }

    /// The services as they are for somebody: none if they are wrong, which the check says.
    pub(crate) fn of_somebody(&self) -> Vec<Service> {
        self.of(&SOMEBODY).unwrap_or_default()
    }

    /// What does not agree with itself.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let services = match self.of(&SOMEBODY) {
            Ok(services) => services,
            Err(error) => return Some(format!("a service of users is none: {error}")),
        };
        let names: BTreeSet<_> = ordered::set(services.iter().map(|service| &service.name));
        if names.len() < services.len() {
            return Some("a service of users is defined twice".to_owned());
        }
        let of = |service: &Service| format!("service '{}' of users", service.name);
        services
            .iter()
            .find_map(|service| {
                let process = &service.process;
                let rights = process.user.is_some()
                    || process.group.is_some()
                    || !process.supplementary_groups.is_empty();
                if rights {
                    return Some(format!("{} cannot run as somebody else", of(service)));
                }
                let unknown = (service.requires.iter()).find(|name| !names.contains(name))?;
                Some(format!(
                    "{} requires '{unknown}', which is not defined",
                    of(service)
                ))
            })
            .or_else(|| output::contradiction(&services))
            .or_else(|| {
                let mut timers = self.timers.iter();
                let unknown = timers.find(|timer| !names.contains(&timer.service))?;
                Some(format!(
                    "timer '{}' of users starts '{}', which is not defined",
                    unknown.name, unknown.service
                ))
            })
    }
}

/// The value with specifiers replaced in all its texts.
fn filled(value: Value, user: &Facts<'_>) -> Value {
    match value {
        Value::String(text) => Value::String(fill(&text, user)),
        Value::Array(all) => all.into_iter().map(|one| filled(one, user)).collect(),
        Value::Object(mut all) => {
            for one in all.values_mut() {
                *one = filled(one.take(), user);
            }
            Value::Object(all)
        }
        other => other,
    }
}

fn fill(text: &str, user: &Facts<'_>) -> String {
    let mut parts = text.split('%');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        let Some(letter) = part.chars().next() else {
            // Two in a row, or one at the end.
            filled.push('%');
            filled.push_str(parts.next().unwrap_or_default());
            continue;
        };
        let below = |folder: &str| format!("{}/{folder}", user.home);
        let known = match letter {
            'u' => user.name.to_owned(),
            'U' => user.uid.to_string(),
            'h' => user.home.to_owned(),
            's' => user.shell.to_owned(),
            't' => user.runtime.to_owned(),
            'S' => below(".local/state"),
            'C' => below(".cache"),
            'E' => below(".config"),
            'L' => below(".local/state/log"),
            _ => format!("%{letter}"),
        };
        filled.push_str(&known);
        filled.push_str(part.get(letter.len_utf8()..).unwrap_or_default());
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Process, ServiceKind, ServiceName};
    use proptest::prelude::*;

    const ALICE: Facts<'_> = Facts {
        name: "alice",
        uid: 1000,
        home: "/home/alice",
        shell: "/bin/zsh",
        runtime: "/run/user/1000",
    };

    #[test]
    fn specifiers_stand_for_the_user() {
        for (text, expected) in [
            ("%h/bin/%u", "/home/alice/bin/alice"),
            ("%t/x %U%%", "/run/user/1000/x 1000%"),
            ("100%% %% %", "100% % %"),
            (
                "%S %C %E %L %s",
                "/home/alice/.local/state /home/alice/.cache /home/alice/.config /home/alice/.local/state/log /bin/zsh",
            ),
            ("%x%é%", "%x%é%"),
            ("%%h", "%h"),
            ("", ""),
        ] {
            assert_eq!(fill(text, &ALICE), expected, "{text}");
        }
    }

    fn service(argv: &[&str]) -> Service {
        let process = Process::new(argv.iter().map(ToString::to_string).collect());
        Service::new(
            ServiceName::try_from("x").unwrap(),
            ServiceKind::Simple,
            process,
        )
    }

    fn described(service: &Service) -> Value {
        serde_json::to_value(service).unwrap()
    }

    #[test]
    fn services_are_the_users() {
        let all = UserServices {
            services: vec![described(&service(&["/bin/x", "%h", "%%"]))],
            timers: Vec::new(),
        };
        let of_alice = all.of(&ALICE).unwrap();
        assert_eq!(of_alice, [service(&["/bin/x", "/home/alice", "%"])]);
        assert_eq!(all.contradiction(), None);
    }

    #[test]
    fn contradictions() {
        let check = |change: fn(&mut UserServices), expected: &str| {
            let mut all = UserServices {
                services: vec![described(&service(&["/bin/x"]))],
                timers: Vec::new(),
            };
            change(&mut all);
            assert_eq!(all.contradiction().as_deref(), Some(expected));
        };
        check(
            |all| all.services.extend(all.services.clone()),
            "a service of users is defined twice",
        );
        check(
            |all| all.services[0]["process"]["user"] = "root".into(),
            "service 'x' of users cannot run as somebody else",
        );
        check(
            |all| all.services[0]["requires"] = vec!["y"].into(),
            "service 'x' of users requires 'y', which is not defined",
        );
        check(
            |all| all.services[0]["kind"] = "strange".into(),
            "a service of users is none: unknown variant `strange`, expected one of `simple`, `oneshot`, `notify`, `forking`, `milestone`, `socket`, `path`, `device` at line 1 column 176",
        );
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in "[a-z%é]{0,20}") {
            let escaped = text.replace('%', "%%");
            prop_assert_eq!(fill(&escaped, &ALICE), text);
        }
    }
}
