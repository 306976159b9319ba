//! Processes of services: what is executed, as whom, and within which bounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::confinement::{Confined, Confinement};
use crate::few::Few;
use crate::name::UserName;

/// One process to execute.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options that do not depend on each other"
)]
pub struct Process {
    /// Program (absolute) and arguments; there is no shell in between.
    #[serde(default)]
    pub argv: Vec<String>,
    /// What the program sees as its name; the first of `argv` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv0: Option<String>,
    /// Whether `$NAME` and `${NAME}` in arguments stand for variables of the environment.
    #[serde(default)]
    pub expand: bool,
    /// As root, unconfined, whoever the commands around it run as.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_root: bool,
    /// Whatever it ends with is as good as 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_failure: bool,
    /// The whole environment; nothing is inherited.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Read at each start, in this order; what they say wins.
    #[serde(default)]
    pub environment_files: Few<EnvironmentFile>,
    /// Variables, as `NAME`, or as `NAME=value` if it is that, which it has not, whoever says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset_environment: Few<String>,
    /// User to run as; root if absent.
    #[serde(default)]
    pub user: Option<UserName>,
    /// Group to run as; the user's primary group if absent.
    #[serde(default)]
    pub group: Option<UserName>,
    /// Groups beside those that the user is a member of.
    #[serde(default)]
    pub supplementary_groups: Few<UserName>,
    /// Working directory; `/` if absent.
    #[serde(default)]
    pub working_directory: Option<WorkingDirectory>,
    /// A terminal such as `/dev/ttyS0`, made the controlling one with the three standard
    /// descriptors on it; otherwise input is `/dev/null` and output goes to the service's log.
    #[serde(default)]
    pub tty: Option<String>,
    /// Which of its standard descriptors are the connection, or the only socket, that it is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connected: Few<StandardStream>,
    /// Where what it and the commands around it write goes, if not into the service's log; a terminal and
    /// [`Process::connected`] come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<Outlet>>,
    /// The same for what they write to descriptor 2; absent: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<Outlet>>,
    /// What is opened for it, and given to it behind its sockets and what it has left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_files: Few<OpenFile>,
    /// Its sockets and open files do not block, instead of being as the last one who had them may not have left
    /// them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub non_blocking: bool,
    /// Permission bits that files it makes do not get, written in octal; `0022` if absent.
    #[serde(default, with = "crate::octal::option")]
    pub umask: Option<u32>,
    /// Bounds of resources, `setrlimit(2)`.
    #[serde(default)]
    pub limits: BTreeMap<Resource, Limit>,
    /// -20 (first in line) to 19.
    #[serde(default)]
    pub nice: Option<i8>,
    /// How its processor time is scheduled; absent: as usual.
    #[serde(default)]
    pub scheduling: Option<Scheduling>,
    /// The processors that it may run on, from 0; all if absent.
    #[serde(default)]
    pub processors: Option<Vec<u16>>,
    /// Its place among those that read and write.
    #[serde(default)]
    pub io_scheduling: Option<IoScheduling>,
    /// -1000 (never killed when memory is short) to 1000 (first).
    #[serde(default)]
    pub oom_score_adjust: Option<i16>,
    /// Capabilities that it has although its user is not root, such as `cap_net_bind_service`.
    #[serde(default)]
    pub ambient_capabilities: Few<String>,
    /// The only capabilities that it can ever have; all if absent.
    #[serde(default)]
    pub bounding_capabilities: Option<Vec<String>>,
    /// It and its children get no rights from setuid programs and file capabilities.
    #[serde(default)]
    pub no_new_privileges: bool,
    /// SIGPIPE ends it and the commands around it, as it does for what people type; otherwise they start with that
    /// signal ignored, and a write that nobody reads is an error that they are told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heeds_sigpipe: bool,
    /// What it is kept from. The commands around it are kept from the same, but those that run as root.
    #[serde(default, skip_serializing_if = "Confinement::is_none")]
    pub confinement: Confined,
}

impl Process {
    /// One that executes this as root, with an empty environment.
    #[must_use]
    pub fn new(argv: Vec<String>) -> Self {
        Self {
            argv,
            ..Self::default()
        }
    }
}

/// One of a process's first three descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StandardStream {
    /// 0.
    Input,
    /// 1.
    Output,
    /// 2.
    Error,
}

/// Where output goes. A file is made if there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlet {
    /// Into the service's log.
    Log,
    /// Nowhere.
    Null,
    /// Into this file, from its beginning on.
    File(String),
    /// To the end of this file.
    Append(String),
    /// Into this file, which is empty then.
    Truncate(String),
}

/// A file, or a socket that is connected to, which is opened for a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenFile {
    /// Absolute path.
    pub path: String,
    /// What the process knows it by: no colon, no control characters, at most 255 bytes.
    pub name: String,
    /// How a file is opened.
    #[serde(default)]
    pub mode: OpenMode,
    /// That it cannot be opened is no obstacle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// How a file is opened. It is never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenMode {
    /// To be read and written.
    #[default]
    ReadWrite,
    /// To be read.
    ReadOnly,
    /// To be read, and written at its end.
    Append,
    /// To be read and written, and it is empty.
    Truncate,
}

/// A command around a service's process: with its environment, user and bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options that do not depend on each other"
)]
pub struct Command {
    /// Program (absolute) and arguments.
    pub argv: Vec<String>,
    /// As in [`Process`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv0: Option<String>,
    /// As in [`Process`].
    #[serde(default)]
    pub expand: bool,
    /// As root, whoever the service's process runs as.
    #[serde(default)]
    pub as_root: bool,
    /// Whatever it ends with is as good as 0.
    #[serde(default)]
    pub ignore_failure: bool,
    /// Before a start: with a status from 1 to 254 it says that there is no reason for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub condition: bool,
}

/// A file of variables: lines of `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentFile {
    /// Absolute path, or a pattern of paths, all of whose files are read in their order.
    pub path: String,
    /// That there is none is no obstacle.
    #[serde(default)]
    pub optional: bool,
}

/// Where a process starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkingDirectory {
    /// Absolute path, or `~` for the user's home.
    pub path: String,
    /// That it does not exist is no obstacle: then it is `/`.
    #[serde(default)]
    pub optional: bool,
}

/// How processor time is scheduled, `sched(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scheduling {
    /// The policy.
    pub policy: SchedulingPolicy,
    /// 1 to 99 for the real-time policies, else 0.
    #[serde(default)]
    pub priority: u8,
    /// Its children are scheduled as usual.
    #[serde(default)]
    pub reset_on_fork: bool,
}

/// A policy, with the kernel's number of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulingPolicy {
    /// As usual.
    Other = 0,
    /// In real time, first come, first served.
    Fifo = 1,
    /// In real time, in turn.
    Rr = 2,
    /// Long work that nobody waits for.
    Batch = 3,
    /// When there is nothing else to do.
    Idle = 5,
}

/// A process's place among those that read and write, `ioprio_set(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IoScheduling {
    /// The class.
    pub class: IoClass,
    /// 0 (first) to 7.
    #[serde(default)]
    pub priority: u8,
}

/// A class, with the kernel's number of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoClass {
    /// Before all others.
    Realtime = 1,
    /// As usual.
    BestEffort = 2,
    /// When nobody else reads or writes.
    Idle = 3,
}

impl IoScheduling {
    /// As the kernel has it: the class in the upper bits.
    #[must_use]
    pub fn number(self) -> u32 {
        (self.class as u32) << 13 | u32::from(self.priority & 7)
    }
}

/// Soft and hard bound of a resource; absent: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// In force until the process raises it.
    #[serde(default)]
    pub soft: Option<u64>,
    /// Up to where it may raise it.
    #[serde(default)]
    pub hard: Option<u64>,
}

/// What can be bounded, in the kernel's order: the number of each is its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Seconds of processor time.
    Cpu,
    /// Bytes of a file.
    Fsize,
    /// Bytes of data segments.
    Data,
    /// Bytes of the stack.
    Stack,
    /// Bytes of a core dump.
    Core,
    /// Bytes of resident memory; without effect on Linux.
    Rss,
    /// Processes of the user.
    Nproc,
    /// Open files.
    Nofile,
    /// Bytes of locked memory.
    Memlock,
    /// Bytes of address space.
    As,
    /// File locks.
    Locks,
    /// Signals that wait.
    Sigpending,
    /// Bytes in message queues.
    Msgqueue,
    /// 20 minus the lowest nice value.
    Nice,
    /// Real-time priority.
    Rtprio,
    /// Microseconds of real-time scheduling without a pause.
    Rttime,
}

impl Resource {
    /// The kernel's number of it, on all architectures that this runs on.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }
}
