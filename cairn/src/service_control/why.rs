//! `cairn why NAME`: what a service waits for, or what it has failed on, down to the first cause.

use std::collections::BTreeMap;

use cairn_system::Standing;
use cairn_system::control::{ServiceState, ServiceStatus};

use super::graph::Graph;
use super::status::{duration, state_name};

/// Lines of the log of what is the cause.
const LOG_LINES: usize = 3;

/// Explains the state of the service `name`: a line for it, and below it those that keep it from
/// being up, each with its own reasons. `log` gives the last lines of a service's log.
#[must_use]
pub fn explain(
    name: &str,
    services: &[ServiceStatus],
    graph: &Graph,
    log: impl Fn(&str, usize) -> String,
) -> String {
    let mut explanation = Explanation {
        services: services
            .iter()
            .map(|service| (service.name.as_str(), service))
            .collect(),
        graph,
        log,
        seen: Vec::new(),
        text: String::new(),
    };
    explanation.add(name, 0);
    explanation.text
}

struct Explanation<'a, L> {
    services: BTreeMap<&'a str, &'a ServiceStatus>,
    graph: &'a Graph,
    log: L,
    seen: Vec<String>,
    text: String,
}

impl<L: Fn(&str, usize) -> String> Explanation<'_, L> {
    fn add(&mut self, name: &str, depth: usize) {
        let Some(service) = self.services.get(name).copied() else {
            return self.line(
                depth,
                &format!("{name} is not a service of this generation"),
            );
        };
        let reason = reason(service);
        let causes: Vec<String> = match service.state {
            ServiceState::Waiting => self.held_up_by(name),
            ServiceState::Failed => self.missing(name),
            _ => Vec::new(),
        };
        self.line(
            depth,
            &format!("{name} is {}{reason}", state_name(service.state)),
        );
        if self.seen.iter().any(|seen| seen == name) {
            return;
        }
        self.seen.push(name.to_owned());
        for cause in &causes {
            self.add(cause, depth + 1);
        }
        let is_cause = causes.is_empty()
            && matches!(service.state, ServiceState::Failed | ServiceState::Backoff);
        if is_cause {
            let log = (self.log)(name, LOG_LINES);
            for line in log.lines() {
                self.line(depth + 1, &format!("| {line}"));
            }
        }
    }

    /// What has to be up, or at least settled, before it can start.
    fn held_up_by(&self, name: &str) -> Vec<String> {
        let is_up = |other: &str| {
            let state = self.services.get(other).map(|service| service.state);
            state == Some(ServiceState::Up)
        };
        let is_on_its_way = |other: &str| {
            self.services.get(other).is_some_and(|service| {
                use ServiceState::{Starting, Stopping, Waiting};
                matches!(service.state, Starting | Waiting | Stopping)
            })
        };
        let requires: Vec<&str> = self.graph.requires(name).collect();
        let waits = self.graph.waits_for(name);
        let mut found: Vec<String> = waits
            .filter(|other| {
                if requires.contains(other) {
                    !is_up(other)
                } else {
                    is_on_its_way(other)
                }
            })
            .map(str::to_owned)
            .collect();
        found.dedup();
        found
    }

    /// What it requires and is not up.
    fn missing(&self, name: &str) -> Vec<String> {
        let is_down = |other: &&str| {
            let state = self.services.get(*other).map(|service| service.state);
            !matches!(state, Some(ServiceState::Up | ServiceState::Starting))
        };
        self.graph
            .requires(name)
            .filter(is_down)
            .map(str::to_owned)
            .collect()
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// What is known of a service's state by itself, to be put behind it.
fn reason(service: &ServiceStatus) -> String {
    let name = &service.name;
    let since = service
        .age_ms
        .map_or_else(String::new, |age| format!(" since {}", duration(age)));
    let told = |otherwise: &str| {
        let reason = service.reason.as_deref().unwrap_or(otherwise);
        format!(": {reason}")
    };
    match service.state {
        ServiceState::Up => service
            .reason
            .as_deref()
            .map_or(since.clone(), |note| format!("{since}: {note}")),
        ServiceState::Starting => {
            let otherwise = "it has not said yet that it is up";
            format!("{since}{}", told(otherwise))
        }
        ServiceState::Waiting => ":".to_owned(),
        ServiceState::Stopping => ": its processes are asked to end".to_owned(),
        ServiceState::Backoff => format!(
            ": it ended with {}, has been restarted {} times, and will be again",
            service.last_exit.as_deref().unwrap_or("nothing known"),
            service.restarts
        ),
        ServiceState::Failed => told("nobody knows why"),
        ServiceState::Stopped if service.disabled => format!(
            ": it is disabled until the machine is restarted; cairn enable {name} ends that"
        ),
        ServiceState::Stopped => match service.standing {
            Standing::Stopped => format!(": somebody has stopped it; cairn start {name} starts it"),
            Standing::Held => ": a switch to another generation holds it".to_owned(),
            _ if service.reason.is_some() => told(""),
            _ if service.last_exit.is_some() => format!(
                ": it ended with {}, as it may",
                service.last_exit.as_deref().unwrap_or_default()
            ),
            _ => format!(": nothing has started it; cairn start {name} does"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::super::tests::service;
    use super::*;
    use expect_test::{Expect, expect};

    type Row = (&'static str, ServiceState, Option<&'static str>);

    fn check(name: &str, rows: &[Row], expected: &Expect) {
        let graph = graph(&[
            ("web", &["database", "network"], &[], &["clock"]),
            ("database", &["disk"], &[], &[]),
            ("network", &[], &[], &[]),
            ("clock", &[], &[], &[]),
            ("disk", &[], &[], &[]),
            ("egg", &["hen"], &[], &[]),
            ("hen", &["egg"], &[], &[]),
        ]);
        let services: Vec<ServiceStatus> = rows
            .iter()
            .map(|(name, state, reason)| {
                let mut service = service(name, *state);
                service.reason = reason.map(str::to_owned);
                service.age_ms = Some(12_000);
                service
            })
            .collect();
        let log = |name: &str, _: usize| format!("{name}: no such device\n");
        expected.assert_eq(&explain(name, &services, &graph, log));
    }

    #[test]
    fn the_chain_is_followed_to_the_cause() {
        use ServiceState::{Backoff, Failed, Starting, Up, Waiting};
        let rows = [
            ("web", Waiting, None),
            ("database", Waiting, None),
            ("network", Up, None),
            ("clock", Starting, None),
            ("disk", Starting, None),
        ];
        check(
            "web",
            &rows,
            &expect![[r"
                web is waiting:
                  database is waiting:
                    disk is starting since 12s: it has not said yet that it is up
                  clock is starting since 12s: it has not said yet that it is up
            "]],
        );
        let rows = [
            (
                "web",
                Failed,
                Some("it requires 'database', which has failed"),
            ),
            (
                "database",
                Failed,
                Some("it requires 'disk', which has failed"),
            ),
            ("network", Up, None),
            ("disk", Failed, Some("its process ended with status 1")),
        ];
        check(
            "web",
            &rows,
            &expect![[r"
                web is failed: it requires 'database', which has failed
                  database is failed: it requires 'disk', which has failed
                    disk is failed: its process ended with status 1
                      | disk: no such device
            "]],
        );
        check(
            "disk",
            &[("disk", Backoff, None)],
            &expect![[r"
                disk is backoff: it ended with nothing known, has been restarted 0 times, and will be again
                  | disk: no such device
            "]],
        );
    }

    #[test]
    fn a_circle_and_a_stranger_end() {
        use ServiceState::{Stopped, Waiting};
        check(
            "hen",
            &[("hen", Waiting, None), ("egg", Waiting, None)],
            &expect![[r"
                hen is waiting:
                  egg is waiting:
                    hen is waiting:
            "]],
        );
        check(
            "web",
            &[("web", Waiting, None), ("network", Stopped, None)],
            &expect![[r"
                web is waiting:
                  database is not a service of this generation
                  network is stopped: nothing has started it; cairn start network does
            "]],
        );
    }
}
