//! How the supervisor finds out that a service's process is ready, where that does not say so in the way of
//! `sd_notify(3)`.

use serde::{Deserialize, Serialize};

use crate::process::Command;
use crate::service::{Service, ServiceKind};

/// When a service of the kind [`ServiceKind::Simple`] counts as up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// When a line feed comes from its process on the descriptor of this number, as s6 has it.
    Descriptor(u8),
    /// When this command, which is run again until then, ends with status 0.
    Command(Command),
    /// When one of its processes listens on this port (TCP, at whatever address).
    Port(u16),
}

/// The first number that is none of a process's standard streams.
const FIRST: u8 = 3;

/// The first service whose way to be ready cannot be.
pub(crate) fn contradiction(services: &[Service]) -> Option<String> {
    services.iter().find_map(|service| {
        let readiness = service.readiness.as_ref()?;
        let problem = match readiness {
            _ if service.kind != ServiceKind::Simple => {
                "has a readiness of its own, which only those of the kind 'simple' can have"
            }
            Readiness::Descriptor(..FIRST) => {
                "is ready by a descriptor that is one of its standard streams; take 3 or more"
            }
            Readiness::Port(0) => "is ready by port 0, on which nobody can listen",
            Readiness::Command(command) if command.argv.is_empty() => {
                "is ready by a command that has nothing to execute"
            }
            _ => return None,
        };
        Some(format!("service '{}' {problem}", service.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(kind: &str, readiness: &str, expected: &Expect) {
        let json = format!(
            r#"{{"name":"a","kind":"{kind}","wantedAtBoot":true,"process":{{"argv":["/x"]}},"readiness":{readiness}}}"#
        );
        let service: Service = serde_json::from_str(&json).unwrap();
        let again = serde_json::to_string(&service).unwrap();
        assert_eq!(serde_json::from_str::<Service>(&again).unwrap(), service);
        expected.assert_eq(&contradiction(&[service]).unwrap_or_default());
    }

    #[test]
    fn what_cannot_be_ready_is_refused() {
        check("simple", r#"{"descriptor":3}"#, &expect![""]);
        check("simple", r#"{"port":80}"#, &expect![""]);
        check("simple", r#"{"command":{"argv":["/x"]}}"#, &expect![""]);
        check(
            "notify",
            r#"{"port":80}"#,
            &expect![[
                r#"service 'a' has a readiness of its own, which only those of the kind 'simple' can have"#
            ]],
        );
        check(
            "simple",
            r#"{"descriptor":2}"#,
            &expect![[
                r#"service 'a' is ready by a descriptor that is one of its standard streams; take 3 or more"#
            ]],
        );
        check(
            "simple",
            r#"{"port":0}"#,
            &expect![[r#"service 'a' is ready by port 0, on which nobody can listen"#]],
        );
        check(
            "simple",
            r#"{"command":{"argv":[]}}"#,
            &expect![[r#"service 'a' is ready by a command that has nothing to execute"#]],
        );
    }
}
