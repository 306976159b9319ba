//! `cairn blame`: what each part of the boot took, and the start of each service.

use cairn_system::control::{STAGES, ServiceState, ServiceStatus};
use serde::Serialize;

/// Times of a boot; all in milliseconds since the kernel began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    /// The parts of the boot, in their order.
    pub stages: Vec<Span>,
    /// Services in the order of their starts.
    pub services: Vec<Span>,
}

/// What lasted from then to then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// What.
    pub name: String,
    /// Its beginning.
    pub began_ms: u64,
    /// When it was over, or up; none if it is not yet.
    pub ended_ms: Option<u64>,
    /// It has failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl Span {
    /// How long it took; none if nobody knows.
    #[must_use]
    pub fn took(&self) -> Option<u64> {
        self.ended_ms?.checked_sub(self.began_ms)
    }
}

impl Timing {
    /// From what the stages have noted (`<name> <begin> <end>` in each line) and what the supervisor
    /// says.
    #[must_use]
    pub fn of(stages: &str, services: &[ServiceStatus]) -> Self {
        let mut spans = vec![];
        for line in stages.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            if let [name, began, ended] = fields.as_slice()
                && STAGES.contains(name)
                && let (Ok(began_ms), Ok(ended_ms)) = (began.parse(), ended.parse())
            {
                spans.push(Span {
                    name: (*name).to_owned(),
                    began_ms,
                    ended_ms: Some(ended_ms),
                    failed: false,
                });
            }
        }
        if let Some(first) = spans.first() {
            let kernel = Span {
                name: "kernel".to_owned(),
                began_ms: 0,
                ended_ms: Some(first.began_ms),
                failed: false,
            };
            spans.insert(0, kernel);
        }
        let span = |service: &ServiceStatus| {
            Some(Span {
                name: service.name.to_string(),
                began_ms: service.started_ms?,
                ended_ms: service.up_ms,
                failed: matches!(service.state, ServiceState::Failed | ServiceState::Backoff),
            })
        };
        let mut services: Vec<Span> = services.iter().filter_map(span).collect();
        services.sort_by_key(|span| span.began_ms);
        Self {
            stages: spans,
            services,
        }
    }

    /// When everything was up.
    #[must_use]
    pub fn done_ms(&self) -> Option<u64> {
        self.stages.last()?.ended_ms
    }

    /// A line for the boot, then the services, the slowest first. What is started later, since somebody
    /// has asked for it, stands there as well.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = String::new();
        if let Some(done) = self.done_ms() {
            let parts: Vec<String> = self
                .stages
                .iter()
                .filter_map(|span| Some(format!("{} {}", span.name, seconds(span.took()?))))
                .collect();
            text = format!("{} = {}\n", parts.join(" + "), seconds(done));
        }
        let mut services: Vec<&Span> = self.services.iter().collect();
        services.sort_by_key(|span| std::cmp::Reverse((span.took().is_none(), span.took())));
        let line = |span: &Span| {
            let took = match span.took() {
                Some(took) => seconds(took),
                None if span.failed => "failed".to_owned(),
                None => "not up".to_owned(),
            };
            format!("{took:>9}  {}\n", span.name)
        };
        text.extend(services.into_iter().map(line));
        text
    }
}

/// `1.234s`.
#[must_use]
pub fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
#[expect(missing_docs, reason = "the chart's tests use its boot")]
pub mod tests {
    use super::super::tests::service;
    use super::*;
    use expect_test::expect;

    /// A boot with one of everything.
    #[must_use]
    pub fn boot() -> Timing {
        let timed = |name: &str, state, started, up| {
            let mut service = service(name, state);
            service.started_ms = started;
            service.up_ms = up;
            service
        };
        let stages =
            "stage-1 412 1000\nnonsense\nstage-2 1003 1800\nother 1 2\nservices 1800 4000\n";
        Timing::of(
            stages,
            &[
                timed("web", ServiceState::Up, Some(2000), Some(4000)),
                timed("clock", ServiceState::Up, Some(1810), Some(1815)),
                timed("broken", ServiceState::Failed, Some(1900), None),
                timed("slow", ServiceState::Starting, Some(1850), None),
                timed("never", ServiceState::Stopped, None, None),
            ],
        )
    }

    #[test]
    fn the_slowest_comes_first() {
        expect![[r"
            kernel 0.412s + stage-1 0.588s + stage-2 0.797s + services 2.200s = 4.000s
               not up  slow
               failed  broken
               2.000s  web
               0.005s  clock
        "]]
        .assert_eq(&boot().listing());
    }

    #[test]
    fn a_container_has_no_stages() {
        let timing = Timing::of("", &[]);
        assert_eq!((timing.done_ms(), timing.listing()), (None, String::new()));
    }
}
