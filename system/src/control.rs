//! The control socket's messages: `cairn status` and its kin speak them to the supervisor.
//!
//! One request a connection: a line of JSON, answered by a line of JSON.
//! The socket is [`SOCKET`]; what a caller may do is decided by its credentials, which the kernel tells:
//! each [`Request`] takes a [`Role`]. Root has all of them, everybody may read, and the description names
//! groups for the rest.
//!
//! A switch to another generation is [`Request::PrepareSwitch`], the generation's activation,
//! [`Request::Switch`], [`Request::Settle`]. One that is given up between the first two is undone by
//! a [`Request::Switch`] to the generation that runs.
//!
//! Who asks and who answers may be of two generations. So a request with an unknown field is
//! refused, lest it be half obeyed, but what an answer has beyond what is known here is passed over.
//! Each status has the [`VERSION`] of who answers, so that a client can tell what it may ask for.

use serde::{Deserialize, Serialize};

use crate::name::ServiceName;
use crate::parse::{ParseError, parse, read};
use crate::service_changes::Standing;

/// Where the machine's supervisor has its sockets.
pub const RUNTIME_DIRECTORY: &str = "/run/cairn";

/// What this program speaks: 3 has [`Request::Freeze`] and [`Request::Thaw`], 2 has [`Request::Enable`], [`Request::Disable`],
/// [`Request::RestartUserSpace`], [`Request::Kexec`] and roles beyond 1.
pub const VERSION: u32 = 3;

/// What somebody is allowed to do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See what services are doing.
    Read,
    /// Start and stop services.
    Operate,
    /// Switch to another generation, and end the machine.
    Administer,
}

/// Path of the control socket on a running system.
pub const SOCKET: &str = "/run/cairn/control";

/// Directory of the services' logs: `<name>.log`, and `<name>.log.1` with what came before.
pub const LOG_DIRECTORY: &str = "/var/log/cairn";

/// Begins the line of a log that stands before the first one of each boot; the boot's id follows. No
/// service can write such a line: what it writes stands behind a time.
pub const BOOT_MARK: &str = "-- boot ";

/// What each part of the boot took: a line a part, `<name> <begin> <end>`, in milliseconds since the
/// kernel began; see [`STAGES`].
pub const STAGE_TIMES: &str = "/run/cairn/stages";

/// The parts of a boot that are noted, in their order; the last one ends when everything that is
/// wanted at boot is up or has failed.
pub const STAGES: [&str; 3] = ["stage-1", "stage-2", "services"];

/// Longest request in bytes, line feed included.
pub const REQUEST_BYTES: usize = 4096;

/// Longest answer in bytes, line feed included.
pub const RESPONSE_BYTES: usize = 4 << 20;

/// What the supervisor is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", try_from = "Words")]
pub enum Request {
    /// The state of every service.
    Status,
    /// Start a service and what it requires and wants; answered when it is up or has failed.
    Start {
        /// The service.
        name: ServiceName,
    },
    /// Stop a service, after those that require it; answered when its processes are gone.
    Stop {
        /// The service.
        name: ServiceName,
    },
    /// Stop and start, those that require it included.
    Restart {
        /// The service.
        name: ServiceName,
    },
    /// Make it read its configuration again; answered when that is done, or for a signal: when it
    /// is sent.
    Reload {
        /// The service.
        name: ServiceName,
    },
    /// Stop it, and let nothing start it until it is enabled or the machine is restarted; answered as
    /// [`Request::Stop`].
    Disable {
        /// The service.
        name: ServiceName,
    },
    /// Let it be started again, and start it.
    Enable {
        /// The service.
        name: ServiceName,
    },
    /// Let its processes stand still, as they are, until they are thawed; whatever stops it thaws them.
    Freeze {
        /// The service.
        name: ServiceName,
    },
    /// Let its processes go on.
    Thaw {
        /// The service.
        name: ServiceName,
    },
    /// Stop what a switch to this generation stops before the generation is activated; answered
    /// when that is down. What of it belongs to the new generation too is started by the
    /// [`Request::Switch`] that follows.
    PrepareSwitch {
        /// The generation: a store path.
        toplevel: String,
    },
    /// Take this generation over, which is active: services that it does not change keep their
    /// processes. Answered [`Response::Done`] when the generation's own supervisor is about to be
    /// executed; what [`Request::PrepareSwitch`] would do and has not been asked for is done first.
    /// What came of it is the answer to [`Request::Settle`], and the toplevel of
    /// [`Response::Status`].
    Switch {
        /// The generation: a store path.
        toplevel: String,
    },
    /// Answered with [`Response::Settled`] when nothing is on its way any more: the boot, or a
    /// switch, is done. That may take as long as a service may take to start; a service that is
    /// restarted again and again does not delay it. No answer at all (an end of the connection) is
    /// a switch that has just happened: ask again.
    Settle,
    /// Stop everything and switch the machine off.
    PowerOff,
    /// Stop everything and start the machine again.
    Reboot,
    /// Stop everything and leave the machine standing.
    Halt,
    /// Stop everything and start user space again, of this generation, in the kernel that runs.
    RestartUserSpace {
        /// The generation: a store path.
        toplevel: String,
    },
    /// Stop everything and execute the kernel that is loaded.
    Kexec,
}

/// All that a request may hold. To read each kind by itself would be code of 17 readers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    request: String,
    name: Option<ServiceName>,
    toplevel: Option<String>,
}

impl TryFrom<Words> for Request {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        let request = words.request;
        Ok(match (request.as_str(), words.name, words.toplevel) {
            ("status", None, None) => Self::Status,
            ("start", Some(name), None) => Self::Start { name },
            ("stop", Some(name), None) => Self::Stop { name },
            ("restart", Some(name), None) => Self::Restart { name },
            ("reload", Some(name), None) => Self::Reload { name },
            ("disable", Some(name), None) => Self::Disable { name },
            ("enable", Some(name), None) => Self::Enable { name },
            ("freeze", Some(name), None) => Self::Freeze { name },
            ("thaw", Some(name), None) => Self::Thaw { name },
            ("prepare-switch", None, Some(toplevel)) => Self::PrepareSwitch { toplevel },
            ("switch", None, Some(toplevel)) => Self::Switch { toplevel },
            ("settle", None, None) => Self::Settle,
            ("power-off", None, None) => Self::PowerOff,
            ("reboot", None, None) => Self::Reboot,
            ("halt", None, None) => Self::Halt,
            ("restart-user-space", None, Some(toplevel)) => Self::RestartUserSpace { toplevel },
            ("kexec", None, None) => Self::Kexec,
            _ => {
                return Err(format!(
                    "'{request}' is no request, or lacks a name or toplevel, or has one too many"
                ));
            }
        })
    }
}

/// The supervisor's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`].
    Status {
        /// The generation whose services run: a store path.
        toplevel: String,
        /// The [`VERSION`] of the supervisor's program.
        #[serde(default = "first_version")]
        version: u32,
        /// What the machine goes down for, if it does: such as `reboot`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ending: Option<String>,
        /// Every service of it, in the description's order.
        services: Vec<ServiceStatus>,
    },
    /// It is done; or, for a shutdown, it has begun.
    Done,
    /// To [`Request::Settle`].
    Settled {
        /// Services that are wanted and not up: failed for good, tried again, or waiting for such.
        failed: Vec<ServiceStatus>,
    },
    /// It could not be done.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}

/// One service, as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// Its line for people.
    pub description: String,
    /// What it is doing.
    pub state: ServiceState,
    /// Its main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Milliseconds since its last start; none if it was never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// How often it was restarted by itself since it was last asked for.
    pub restarts: u32,
    /// How its last process ended, such as `status 1` or `signal 9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a switch goes by.
    #[serde(default)]
    pub standing: Standing,
    /// What a socket that is up listens on and how many connections are served, or what a path waits
    /// for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// When it was last started, in milliseconds since the kernel was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// When it was first up after that, on the same clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_ms: Option<u64>,
    /// Milliseconds until a timer starts it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_ms: Option<u64>,
    /// Nothing starts it until it is enabled again, or the machine is restarted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Its processes stand still until it is thawed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
}

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It is not wanted, or has ended as it should.
    Stopped,
    /// It waits for others.
    Waiting,
    /// Its process is on the way up; a oneshot is at work.
    Starting,
    /// It is up.
    Up,
    /// It has been asked to stop.
    Stopping,
    /// It has ended, and is started again after a delay.
    Backoff,
    /// It has failed, and nothing will be done about it.
    Failed,
}

fn first_version() -> u32 {
    1
}

impl Request {
    /// What it takes to ask for this.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Status => Role::Read,
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Reload { .. }
            | Self::Enable { .. }
            | Self::Disable { .. }
            | Self::Freeze { .. }
            | Self::Thaw { .. }
            | Self::Settle => Role::Operate,
            Self::PrepareSwitch { .. }
            | Self::Switch { .. }
            | Self::PowerOff
            | Self::Reboot
            | Self::Halt
            | Self::RestartUserSpace { .. }
            | Self::Kexec => Role::Administer,
        }
    }

    /// Reads one request.
    ///
    /// # Errors
    /// It is no JSON or no request; the message names the field.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        read(line).map_err(|error| ParseError::Contradiction {
            document: "request",
            problem: format!("{error}; this supervisor speaks version {VERSION}"),
        })
    }
}

impl Response {
    /// Reads one answer.
    ///
    /// # Errors
    /// It is no JSON or no answer; the message names the field.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        parse("response", line)
    }

    /// Why something could not be done, if that is the answer; of another one nothing is known then.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn refusal(line: &str) -> Result<Option<String>, ParseError> {
        let answer: serde_json::Value = parse("response", line)?;
        let text = |key: &str| answer.get(key).and_then(serde_json::Value::as_str);
        let reason = (text("response") == Some("failed")).then(|| text("reason"));
        Ok(reason.flatten().map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(line: &str, expected: &Expect) {
        let text = match Request::parse(line) {
            Ok(request) => format!("{request:?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn requests() {
        check(r#"{"request":"status"}"#, &expect!["Status"]);
        check(
            r#"{"request":"restart","name":"sshd"}"#,
            &expect![[r#"Restart { name: ServiceName("sshd") }"#]],
        );
        check(r#"{"request":"power-off"}"#, &expect!["PowerOff"]);
        check(
            r#"{"request":"prepare-switch","toplevel":"/nix/store/x"}"#,
            &expect![[r#"PrepareSwitch { toplevel: "/nix/store/x" }"#]],
        );
        check(r#"{"request":"settle"}"#, &expect!["Settle"]);
    }

    #[test]
    fn each_request_is_read_as_it_is_written() {
        let name = || ServiceName::try_from("sshd").unwrap();
        let toplevel = || "/nix/store/x".to_owned();
        for request in [
            Request::Status,
            Request::Start { name: name() },
            Request::Stop { name: name() },
            Request::Restart { name: name() },
            Request::Reload { name: name() },
            Request::Disable { name: name() },
            Request::Enable { name: name() },
            Request::Freeze { name: name() },
            Request::Thaw { name: name() },
            Request::PrepareSwitch {
                toplevel: toplevel(),
            },
            Request::Switch {
                toplevel: toplevel(),
            },
            Request::Settle,
            Request::PowerOff,
            Request::Reboot,
            Request::Halt,
            Request::RestartUserSpace {
                toplevel: toplevel(),
            },
            Request::Kexec,
        ] {
            let line = serde_json::to_string(&request).unwrap();
            assert_eq!(Request::parse(&line).unwrap(), request, "{line}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for line in [
            "",
            "{}",
            "[]",
            "\u{0}",
            r#"{"request":"explode"}"#,
            r#"{"request":"start"}"#,
            r#"{"request":"start","name":"../x"}"#,
            r#"{"request":"status"} {}"#,
            r#"{"request":"status","usage":true}"#,
            r#"{"request":"reboot","now":true}"#,
            r#"{"request":"start","name":"x","now":true}"#,
            r#"{"request":"start","name":"x","toplevel":"/nix/store/x"}"#,
            r#"{"request":"start","toplevel":"/nix/store/x"}"#,
            r#"{"request":"status","name":"x"}"#,
            r#"{"name":"x"}"#,
        ] {
            assert!(Request::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let response = Response::Status {
            toplevel: "/nix/store/x".to_owned(),
            version: VERSION,
            ending: None,
            services: vec![ServiceStatus {
                name: ServiceName::try_from("sshd").unwrap(),
                description: String::new(),
                state: ServiceState::Backoff,
                pid: None,
                age_ms: Some(1),
                restarts: 2,
                last_exit: Some("signal 9".to_owned()),
                reason: None,
                standing: Standing::Up,
                activity: None,
                started_ms: Some(5),
                up_ms: None,
                next_run_ms: None,
                disabled: false,
                frozen: false,
            }],
        };
        let line = serde_json::to_string(&response).unwrap();
        expect![[r#"{"response":"status","toplevel":"/nix/store/x","version":3,"services":[{"name":"sshd","description":"","state":"backoff","ageMs":1,"restarts":2,"lastExit":"signal 9","standing":"up","startedMs":5}]}"#]]
            .assert_eq(&line);
        assert_eq!(Response::parse(&line).unwrap(), response);
        let later = line.replace("\"restarts\"", "\"unheardOf\":[1],\"restarts\"");
        assert_eq!(Response::parse(&later).unwrap(), response);
    }
}
