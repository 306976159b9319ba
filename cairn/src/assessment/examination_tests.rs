//! The examination with a supervisor that follows a script.

use std::sync::Mutex;

use cairn_system::{Process, Service, ServiceKind, Standing, SystemDescription};
use expect_test::{Expect, expect};

use super::*;

/// What each service does: its state and restarts at a time, in seconds since the boot.
type Script = fn(u64) -> (ServiceState, u32);

/// A supervisor whose time passes only when it is waited for.
struct Fake {
    now: Mutex<Duration>,
    services: Vec<(&'static str, Script)>,
    /// When it settles, in seconds since the boot; never, if it is silent.
    settles: Option<u64>,
    checks: Vec<(&'static str, Result<(), &'static str>)>,
}

impl Supervisor for Fake {
    fn settle(&self, patience: Duration) -> Result<(), String> {
        let start = self.uptime();
        match self.settles.map(Duration::from_secs) {
            Some(at) if at <= start + patience => {
                self.sleep(at.saturating_sub(start));
                Ok(())
            }
            _ => {
                self.sleep(patience);
                Err("the supervisor gave no answer".to_owned())
            }
        }
    }

    fn status(&self, _: Duration) -> Result<Vec<ServiceStatus>, String> {
        if self.settles.is_none() {
            return Err("the supervisor gave no answer".to_owned());
        }
        let now = self.uptime().as_secs();
        Ok(self
            .services
            .iter()
            .map(|(name, script)| {
                let (state, restarts) = script(now);
                ServiceStatus {
                    name: (*name).try_into().unwrap(),
                    description: String::new(),
                    state,
                    pid: None,
                    age_ms: None,
                    restarts,
                    last_exit: (restarts > 0).then(|| "status 3".to_owned()),
                    reason: (state == ServiceState::Failed)
                        .then(|| "it ended with status 1".to_owned()),
                    standing: Standing::default(),
                    activity: None,
                    started_ms: None,
                    up_ms: None,
                    next_run_ms: None,
                    disabled: false,
                    frozen: false,
                }
            })
            .collect())
    }

    fn start(&self, name: &ServiceName, _: Duration) -> Result<(), String> {
        let check = self
            .checks
            .iter()
            .find(|(check, _)| *check == name.as_str());
        check.unwrap().1.map_err(str::to_owned)
    }

    fn sleep(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn uptime(&self) -> Duration {
        *self.now.lock().unwrap()
    }
}

fn service(name: &str, wanted: bool) -> Service {
    let mut service = Service::new(
        name.try_into().unwrap(),
        ServiceKind::Oneshot,
        Process::new(vec!["/x".to_owned()]),
    );
    service.wanted_at_boot = wanted;
    service.start_timeout_ms = Some(5_000);
    service
}

fn demands() -> Demands {
    let text = r#"{ "version": 1, "label": "x", "hostName": "x", "fileSystems": [], "users": [],
        "groups": [], "binSh": "/x", "usrBinEnv": "/x", "services": [] }"#;
    let mut description = SystemDescription::parse(text).unwrap();
    for name in ["web", "db", "boot-assessment"] {
        description.services.push(service(name, true));
    }
    description.services.push(service("optional", false));
    for (name, need) in [("port", Need::Required), ("mail", Need::Wanted)] {
        let service_name = format!("health-{name}");
        description.services.push(service(&service_name, false));
        description.health.push(HealthCheck {
            name: name.try_into().unwrap(),
            service: service_name.try_into().unwrap(),
            need,
        });
    }
    description.check().unwrap();
    Demands::new(
        &description,
        Duration::from_secs(10),
        Duration::from_mins(1),
    )
}

fn up(_: u64) -> (ServiceState, u32) {
    (ServiceState::Up, 0)
}

fn check(change: impl FnOnce(&mut Fake), expected: &Expect) {
    let mut fake = Fake {
        now: Mutex::new(Duration::from_secs(3)),
        services: vec![
            ("web", up),
            ("db", up),
            ("optional", |_| (ServiceState::Failed, 9)),
        ],
        settles: Some(5),
        checks: vec![("health-port", Ok(())), ("health-mail", Ok(()))],
    };
    change(&mut fake);
    let result = match demands().examine(&fake) {
        Ok(remarks) => format!("good {remarks:?}"),
        Err(problem) => {
            let services: Vec<_> = problem.services.iter().map(ServiceName::as_str).collect();
            format!("{} {services:?}", problem.reason)
        }
    };
    expected.assert_eq(&format!("{result} after {} s", fake.uptime().as_secs()));
}

#[test]
fn what_is_well_is_good_after_it_was_stable() {
    check(|_| {}, &expect!["good [] after 15 s"]);
}

#[test]
fn one_restart_delays_and_more_of_them_fail() {
    check(
        |fake| {
            fake.services[0].1 = |now| match now {
                ..9 => (ServiceState::Up, 0),
                9..11 => (ServiceState::Backoff, 0),
                _ => (ServiceState::Up, 1),
            };
        },
        &expect!["good [] after 21 s"],
    );
    check(
        |fake| fake.services[0].1 = |now| (ServiceState::Up, u32::try_from(now / 5).unwrap()),
        &expect![[
            r#"services are not up and stable in time: 'web' was restarted 12 times, and ended with status 3 ["web"] after 60 s"#
        ]],
    );
    check(
        |fake| fake.services[0].1 = |_| (ServiceState::Backoff, 7),
        &expect![[
            r#"services are not up and stable in time: 'web' was restarted 7 times, and ended with status 3 ["web"] after 60 s"#
        ]],
    );
}

#[test]
fn what_has_failed_for_good_is_not_waited_for() {
    check(
        |fake| fake.services[1].1 = |_| (ServiceState::Failed, 0),
        &expect![[r#"services have failed: 'db': it ended with status 1 ["db"] after 5 s"#]],
    );
}

#[test]
fn a_boot_without_an_end_fails_in_time() {
    check(
        |fake| {
            fake.settles = Some(1000);
            fake.services[1].1 = |_| (ServiceState::Starting, 0);
        },
        &expect![[
            r#"services are not up and stable in time: 'db' is still starting ["db"] after 60 s"#
        ]],
    );
    check(
        |fake| fake.settles = None,
        &expect!["the supervisor gave no answer [] after 60 s"],
    );
}

#[test]
fn checks_decide_if_they_are_required() {
    check(
        |fake| fake.checks[1].1 = Err("it took longer than 5 s"),
        &expect![[r#"good ["health check 'mail' failed: it took longer than 5 s"] after 15 s"#]],
    );
    check(
        |fake| fake.checks[0].1 = Err("it ended with status 7"),
        &expect![[
            r#"health check 'port' failed: it ended with status 7 ["health-port"] after 15 s"#
        ]],
    );
}
