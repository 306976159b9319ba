//! Services: what the supervisor keeps running.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{ServiceName, UserName};

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Its name: of its cgroup, its log, and in commands.
    pub name: ServiceName,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// When it counts as up.
    pub kind: ServiceKind,
    /// What is executed.
    pub process: Process,
    /// Must be up before this starts; if one fails, this fails without being started. When one is
    /// stopped, this is stopped first.
    #[serde(default)]
    pub requires: Vec<ServiceName>,
    /// Started along with this, but their failure is no obstacle.
    #[serde(default)]
    pub wants: Vec<ServiceName>,
    /// Order only: if both are to start, this waits until those are up or have failed.
    #[serde(default)]
    pub after: Vec<ServiceName>,
    /// Start it at boot.
    pub wanted_at_boot: bool,
    /// What follows when its process ends.
    #[serde(default)]
    pub restart: Restart,
    /// Milliseconds before the first restart; doubled at each failure that follows within ten
    /// seconds of a start, up to `restart_delay_max_ms`.
    #[serde(default = "Service::default_restart_delay_ms")]
    pub restart_delay_ms: u32,
    /// Upper bound of the delay between restarts, in milliseconds.
    #[serde(default = "Service::default_restart_delay_max_ms")]
    pub restart_delay_max_ms: u32,
    /// Milliseconds between SIGTERM and SIGKILL (of the whole cgroup).
    #[serde(default = "Service::default_stop_timeout_ms")]
    pub stop_timeout_ms: u32,
}

impl Service {
    /// 100 ms.
    #[must_use]
    pub fn default_restart_delay_ms() -> u32 {
        100
    }

    /// 30 s.
    #[must_use]
    pub fn default_restart_delay_max_ms() -> u32 {
        30_000
    }

    /// 10 s.
    #[must_use]
    pub fn default_stop_timeout_ms() -> u32 {
        10_000
    }
}

/// When a service counts as up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// As soon as its process has been executed.
    Simple,
    /// When its process has ended with status 0; it stays up although no process is left.
    Oneshot,
}

/// What follows when a service's process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing; status 0 is 'stopped', anything else is 'failed'.
    #[default]
    Never,
    /// A restart unless the status was 0.
    OnFailure,
    /// A restart whatever the status was.
    Always,
}

/// One process to execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// Program (absolute) and arguments; there is no shell in between.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// User to run as; root if absent.
    #[serde(default)]
    pub user: Option<UserName>,
    /// Group to run as; the user's primary group if absent.
    #[serde(default)]
    pub group: Option<UserName>,
    /// Working directory; `/` if absent.
    #[serde(default)]
    pub working_directory: Option<String>,
    /// A terminal such as `/dev/ttyS0`, made the controlling one with the three standard
    /// descriptors on it; otherwise input is `/dev/null` and output goes to the service's log.
    #[serde(default)]
    pub tty: Option<String>,
}
