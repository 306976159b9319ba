//! How states are shown: all services as a tree, one in detail, or as JSON.

use std::io;

use cairn_system::control::{ServiceState, ServiceStatus};
use serde::Serialize;

use super::ControlError;
use super::graph::Graph;
use super::tree;
use super::usage::{Usage, bytes, processor_time};

/// Pressure that is worth a word in the listing, in hundredths.
const NOTABLE: f64 = 5.0;

/// How a status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One line of JSON a service.
    Json,
}

/// A service with what the supervisor does not say of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown<'a> {
    /// What it says.
    #[serde(flatten)]
    status: &'a ServiceStatus,
    requires: Vec<String>,
    wants: Vec<String>,
    after: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

impl<'a> Shown<'a> {
    /// With its place in `graph` and what it uses.
    pub fn new(
        status: &'a ServiceStatus,
        graph: &Graph,
        usage: impl Fn(&str) -> Option<Usage>,
    ) -> Self {
        let name = status.name.as_str();
        let described = graph.service(name);
        let names =
            |list: &[cairn_system::ServiceName]| list.iter().map(ToString::to_string).collect();
        Self {
            status,
            requires: described.map_or_else(Vec::new, |service| names(&service.requires)),
            wants: described.map_or_else(Vec::new, |service| names(&service.wants)),
            after: described.map_or_else(Vec::new, |service| names(&service.after)),
            usage: usage(name).filter(|_| status.pid.is_some()),
        }
    }
}

/// One line of JSON a service.
///
/// # Errors
/// Never; the type of errors is that of [`super::status()`].
pub fn json<'a>(services: impl Iterator<Item = Shown<'a>>) -> Result<String, ControlError> {
    let mut text = String::new();
    for service in services {
        let line = serde_json::to_string(&service)
            .map_err(|error| ControlError::Talk(io::Error::from(error)))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// All services as a tree with columns.
#[must_use]
pub fn all(
    toplevel: &str,
    services: &[ServiceStatus],
    graph: &Graph,
    usage: impl Fn(&str) -> Option<Usage>,
) -> String {
    let failed = services
        .iter()
        .filter(|s| matches!(s.state, ServiceState::Failed | ServiceState::Backoff))
        .count();
    let mut text = format!("generation {toplevel}\n");
    let summary = match failed {
        0 => format!("{} services, all well\n", services.len()),
        failed => format!("{} services, {failed} in trouble\n", services.len()),
    };
    text.push_str(&summary);
    let lines = tree::lay_out(services, graph);
    let label = |line: &tree::Line<'_>| format!("{}{}", line.strokes, line.service.name);
    let width = lines.iter().map(|line| label(line).chars().count()).max();
    let width = width.unwrap_or(0);
    for line in &lines {
        let service = line.service;
        let used = usage(service.name.as_str()).filter(|_| service.pid.is_some());
        let line = format!(
            "{mark} {label:width$}  {state:8}  {columns}  {about}",
            mark = mark(service.state),
            label = label(line),
            state = state_name(service.state),
            columns = columns(service.pid, used.as_ref()),
            about = about(service) + &strain(used.as_ref()),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Number of the process, memory, processor time and tasks.
fn columns(pid: Option<u32>, used: Option<&Usage>) -> String {
    let pid = pid.map_or_else(String::new, |pid| pid.to_string());
    let used = used.map(|used| (bytes(used.memory), processor_time(used.cpu_us), used.tasks));
    let (memory, time, tasks) = used.map_or_else(Default::default, |(memory, time, tasks)| {
        (memory, time, format!("{tasks}"))
    });
    format!("{pid:>7}  {memory:>6}  {time:>7}  {tasks:>4}")
}

fn strain(used: Option<&Usage>) -> String {
    let worst = used
        .and_then(|used| used.pressure)
        .map(super::usage::Pressure::worst);
    match worst {
        Some((what, share)) if share >= NOTABLE => format!(", waits for {what} {share:.0}%"),
        _ => String::new(),
    }
}

/// One service in detail, with the end of its log. `date` says when it is so many milliseconds later.
#[must_use]
pub fn one(shown: &Shown<'_>, log: &str, date: impl Fn(u64) -> String) -> String {
    let service = shown.status;
    let mut lines = vec![format!("{} {}", mark(service.state), service.name)];
    if !service.description.is_empty() {
        lines.push(format!("  {}", service.description));
    }
    let age = service.age_ms.map_or_else(String::new, |age| {
        format!(", started {} ago", duration(age))
    });
    let disabled = if service.disabled { ", disabled" } else { "" };
    let frozen = if service.frozen { ", frozen" } else { "" };
    lines.push(format!(
        "  state:     {}{frozen}{age}{disabled}",
        state_name(service.state)
    ));
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("  {:10} {value}", format!("{name}:")));
        }
    };
    field("activity", service.activity.clone());
    field("process", service.pid.map(|pid| pid.to_string()));
    if let Some(used) = &shown.usage {
        let tasks = if used.tasks == 1 { "task" } else { "tasks" };
        let (memory, time) = (bytes(used.memory), processor_time(used.cpu_us));
        field(
            "uses",
            Some(format!(
                "{memory} memory, {time} processor, {} {tasks}",
                used.tasks
            )),
        );
        field(
            "waits",
            used.pressure.map(|pressure| {
                let super::usage::Pressure { cpu, memory, io } = pressure;
                format!("{cpu:.1}% for cpu, {memory:.1}% for memory, {io:.1}% for io")
            }),
        );
    }
    let names = |list: &[String]| (!list.is_empty()).then(|| list.join(", "));
    field("requires", names(&shown.requires));
    field("wants", names(&shown.wants));
    field("after", names(&shown.after));
    field(
        "restarts",
        (service.restarts > 0).then(|| service.restarts.to_string()),
    );
    field("last exit", service.last_exit.clone());
    field(
        "next run",
        service
            .next_run_ms
            .map(|wait| format!("in {}, {}", duration(wait), date(wait))),
    );
    field("reason", service.reason.clone());
    let mut text = lines.join("\n");
    text.push('\n');
    if !log.is_empty() {
        text.push('\n');
        text.push_str(log);
    }
    text
}

fn mark(state: ServiceState) -> char {
    match state {
        ServiceState::Up => '●',
        ServiceState::Stopped => '○',
        ServiceState::Waiting | ServiceState::Starting | ServiceState::Stopping => '◐',
        ServiceState::Backoff | ServiceState::Failed => '✗',
    }
}

/// A state's word.
pub fn state_name(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::Waiting => "waiting",
        ServiceState::Starting => "starting",
        ServiceState::Up => "up",
        ServiceState::Stopping => "stopping",
        ServiceState::Backoff => "backoff",
        ServiceState::Failed => "failed",
    }
}

fn about(service: &ServiceStatus) -> String {
    let next = service
        .next_run_ms
        .map(|wait| format!("next in {}", duration(wait)));
    match (service.state, &service.reason, &service.last_exit) {
        (ServiceState::Failed | ServiceState::Starting, Some(reason), _) => reason.clone(),
        (ServiceState::Backoff, _, Some(exit)) => {
            format!("ended with {exit}, restarted {} times", service.restarts)
        }
        (ServiceState::Up, ..) if service.frozen => "frozen".to_owned(),
        (ServiceState::Up, ..) if service.activity.is_some() => {
            service.activity.clone().unwrap_or_default()
        }
        (ServiceState::Up, ..) if service.pid.is_none() => match next {
            Some(next) => format!("done, {next}"),
            None => "done".to_owned(),
        },
        (ServiceState::Up, ..) => service.age_ms.map_or_else(String::new, duration),
        _ if service.disabled => "disabled".to_owned(),
        _ => next.unwrap_or_default(),
    }
}

/// The two largest units: `3d 4h`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::graph;
    use super::super::tests::service;
    use super::super::usage::Pressure;
    use super::*;
    use expect_test::expect;

    fn usage(name: &str) -> Option<Usage> {
        (name == "sshd").then_some(Usage {
            memory: 3_500_000,
            cpu_us: 42_000,
            tasks: 2,
            pressure: Some(Pressure {
                cpu: 0.5,
                memory: 12.0,
                io: 0.0,
            }),
        })
    }

    #[test]
    fn a_tree_of_services() {
        let mut sshd = service("sshd", ServiceState::Up);
        sshd.pid = Some(812);
        sshd.age_ms = Some(3_723_000);
        let setup = service("network-setup", ServiceState::Up);
        let mut web = service("web", ServiceState::Backoff);
        web.last_exit = Some("status 1".to_owned());
        web.restarts = 4;
        let mut broken = service("broken", ServiceState::Failed);
        broken.reason = Some("it requires 'web', which has failed".to_owned());
        let mut still = service("still", ServiceState::Up);
        still.frozen = true;
        let mut off = service("off", ServiceState::Stopped);
        off.disabled = true;
        let mut backup = service("backup", ServiceState::Stopped);
        backup.next_run_ms = Some(90_000_000);
        let graph = graph(&[
            ("sshd", &["network-setup"], &[], &[]),
            ("broken", &["web"], &[], &[]),
        ]);
        expect![[r#"
            generation /nix/store/x-system
            7 services, 2 in trouble
            ● sshd             up            812    3.3M     42ms     2  1h 2m, waits for memory 12%
            ● └─network-setup  up                                        done
            ✗ broken           failed                                    it requires 'web', which has failed
            ✗ └─web            backoff                                   ended with status 1, restarted 4 times
            ● still            up                                        frozen
            ○ off              stopped                                   disabled
            ○ backup           stopped                                   next in 1d 1h
        "#]]
        .assert_eq(&all(
            "/nix/store/x-system",
            &[sshd, setup, web, broken, still, off, backup],
            &graph,
            usage,
        ));
    }

    #[test]
    fn one_service_in_detail() {
        let mut sshd = service("sshd", ServiceState::Up);
        sshd.description = "Secure shell".to_owned();
        sshd.pid = Some(812);
        sshd.age_ms = Some(61_000);
        sshd.restarts = 1;
        sshd.last_exit = Some("signal 9".to_owned());
        sshd.next_run_ms = Some(3_600_000);
        let graph = graph(&[("sshd", &["network"], &[], &["clock", "keys"])]);
        let shown = Shown::new(&sshd, &graph, usage);
        expect![[r#"
            ● sshd
              Secure shell
              state:     up, started 1m 1s ago
              process:   812
              uses:      3.3M memory, 42ms processor, 2 tasks
              waits:     0.5% for cpu, 12.0% for memory, 0.0% for io
              requires:  network
              after:     clock, keys
              restarts:  1
              last exit: signal 9
              next run:  in 1h 0m, 3600000 later

            one
            two
        "#]]
        .assert_eq(&one(&shown, "one\ntwo\n", |wait| format!("{wait} later")));
        expect![[r#"
            {"name":"sshd","description":"Secure shell","state":"up","pid":812,"ageMs":61000,"restarts":1,"lastExit":"signal 9","standing":"idle","nextRunMs":3600000,"requires":["network"],"wants":[],"after":["clock","keys"],"usage":{"memory":3500000,"cpuUs":42000,"tasks":2,"pressure":{"cpu":0.5,"memory":12.0,"io":0.0}}}
        "#]]
        .assert_eq(&json(std::iter::once(shown)).unwrap());
    }

    #[test]
    fn durations() {
        let all: Vec<String> = [5, 59_999, 60_000, 86_400_000, 90_061_000]
            .into_iter()
            .map(duration)
            .collect();
        assert_eq!(all, ["5ms", "59s", "1m 0s", "1d 0h", "1d 1h"]);
    }
}
