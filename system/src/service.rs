//! Services: what the supervisor keeps running.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::credential::Credential;
use crate::end_status::EndStatus;
use crate::few::Few;
use crate::log_line::LeastLevel;
use crate::machine_action::MachineActions;
use crate::name::{DevicePath, ServiceName};
use crate::process::{Command, Process};
use crate::readiness::Readiness;
use crate::signal::Signal;
use crate::socket::Socket;
use crate::watch::Watch;

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options that do not depend on each other"
)]
pub struct Service {
    /// Its name: of its cgroup, its log, and in commands.
    pub name: ServiceName,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// When it counts as up.
    pub kind: ServiceKind,
    /// What is executed.
    #[serde(default)]
    pub process: Process,
    /// How a [`ServiceKind::Simple`] one comes to count as up; absent: by being executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// What a [`ServiceKind::Socket`] listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<Box<Socket>>,
    /// What a [`ServiceKind::Path`] waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Box<Watch>>,
    /// The service whose output is its process's standard input, and is in no log then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads_output_of: Option<ServiceName>,
    /// What a [`ServiceKind::Device`] is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DevicePath>,
    /// How many descriptors it may leave with the supervisor (`FDSTORE=1`) until it is stopped.
    #[serde(default)]
    pub stored_descriptors: u16,
    /// Those stay when it is stopped, too.
    #[serde(default)]
    pub pinned_descriptors: bool,
    /// It goes on while user space starts again in the same kernel (`cairn reboot --soft`).
    #[serde(default, skip_serializing_if = "is_not")]
    pub outlives_user_space: bool,
    /// Run one after the other before its process, each to its end.
    #[serde(default)]
    pub pre_start: Vec<Command>,
    /// Run one after the other when its process is up, before the service counts as up.
    #[serde(default)]
    pub post_start: Few<Command>,
    /// Run one after the other before its process is asked to end.
    #[serde(default)]
    pub pre_stop: Few<Command>,
    /// Run one after the other when its process has ended, however that came about.
    #[serde(default)]
    pub post_stop: Few<Command>,
    /// What makes it read its configuration again; absent: it cannot.
    #[serde(default)]
    pub reload: Option<Reload>,
    /// Must be up before this starts; if one fails, this fails without being started. When one is
    /// stopped, this is stopped first.
    #[serde(default)]
    pub requires: Vec<ServiceName>,
    /// Those of `requires` that are not started along with this: it fails where one is neither up nor on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requisite: Few<ServiceName>,
    /// When one of those is down, however that has come about, this is stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binds_to: Few<ServiceName>,
    /// Started along with this, but their failure is no obstacle; along with a device, each time that it has come.
    #[serde(default)]
    pub wants: Vec<ServiceName>,
    /// Those are started whenever they are down while this is up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upholds: Few<ServiceName>,
    /// Order only: if both are to start, this waits until those are up or have failed.
    #[serde(default)]
    pub after: Vec<ServiceName>,
    /// When one of those is stopped or restarted, so is this.
    #[serde(default)]
    pub part_of: Few<ServiceName>,
    /// Those are stopped before this is started, and the other way round.
    #[serde(default)]
    pub conflicts: Few<ServiceName>,
    /// Started when this has failed.
    #[serde(default)]
    pub on_failure: Few<ServiceName>,
    /// Started when its process has ended as it should, and it is not started again by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_success: Few<ServiceName>,
    /// Those of `on_failure` and `on_success` are started at each of its ends, also where it is started again by itself.
    #[serde(default, skip_serializing_if = "is_not")]
    pub tells_of_restarts: bool,
    /// What its end does to the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_actions: Option<Box<MachineActions>>,
    /// Start it at boot.
    pub wanted_at_boot: bool,
    /// It is stopped when nothing that requires, wants or upholds it is up or on its way, unless it is wanted at boot.
    #[serde(default, skip_serializing_if = "is_not")]
    pub stop_when_unneeded: bool,
    /// Nobody starts it by hand.
    #[serde(default, skip_serializing_if = "is_not")]
    pub no_start_by_hand: bool,
    /// Nobody stops it by hand.
    #[serde(default, skip_serializing_if = "is_not")]
    pub no_stop_by_hand: bool,
    /// Where one does not hold, a start does nothing, and those that require this go on.
    #[serde(default)]
    pub conditions: Few<Condition>,
    /// Made before the first command, owned by the process's user and group.
    #[serde(default)]
    pub directories: Few<ServiceDirectory>,
    /// Secrets that it is given as files, for its user alone, while it runs.
    #[serde(default)]
    pub credentials: Few<Credential>,
    /// When it has stopped, what its user's processes have left to each other (queues, semaphores, shared memory) is
    /// removed, unless another service runs as that user, or the user is root.
    #[serde(default, skip_serializing_if = "is_not")]
    pub removes_ipc: bool,
    /// Its user may make groups below its cgroup; its own processes are in one of them, `main`.
    #[serde(default)]
    pub delegated: bool,
    /// Files of its cgroup and what is written there: `memory.max` -> `1G`.
    #[serde(default)]
    pub cgroup: BTreeMap<String, String>,
    /// It is not stopped when the kernel has killed a process of it since memory had run out. Otherwise one whose
    /// memory has bounds is.
    #[serde(default, skip_serializing_if = "is_not")]
    pub goes_on_after_oom: bool,
    /// Lines that are less serious are left out of its log; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_log_level: Option<LeastLevel>,
    /// The file in which a [`ServiceKind::Forking`] one leaves the number of its main process.
    #[serde(default)]
    pub pid_file: Option<String>,
    /// It is up until the last process of its control group has ended, unless its main process ends badly.
    #[serde(default, skip_serializing_if = "is_not")]
    pub ends_with_last_process: bool,
    /// A oneshot stays up when its process has ended well; otherwise it is down again, and its next
    /// start runs it again.
    #[serde(default = "yes")]
    pub stays_up: bool,
    /// What is no oneshot stays up, too, when its process has ended well: what that has left running goes on until
    /// somebody stops it.
    #[serde(default, skip_serializing_if = "is_not")]
    pub outlives_process: bool,
    /// What follows when its process ends.
    #[serde(default)]
    pub restart: Restart,
    /// Ends that are as good as status 0.
    #[serde(default)]
    pub success_statuses: Few<EndStatus>,
    /// Ends after which it is not restarted, whatever `restart` says.
    #[serde(default)]
    pub final_statuses: Few<EndStatus>,
    /// Ends after which it is restarted, whatever `restart` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_statuses: Few<EndStatus>,
    /// Milliseconds before the first restart; doubled at each failure that follows within ten
    /// seconds of a start, up to `restart_delay_max_ms`.
    #[serde(default = "Service::default_restart_delay_ms")]
    pub restart_delay_ms: u32,
    /// Upper bound of the delay between restarts, in milliseconds.
    #[serde(default = "Service::default_restart_delay_max_ms")]
    pub restart_delay_max_ms: u32,
    /// The delay grows to that in so many equal factors, instead of being doubled; 0: it is doubled.
    #[serde(default, skip_serializing_if = "is_none_of")]
    pub restart_steps: u16,
    /// Each of these delays is longer by up to so many milliseconds, by chance.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restart_random_delay_ms: u32,
    /// More restarts than this, and it has failed for good; of a socket or path, more starts of its
    /// service.
    #[serde(default)]
    pub start_limit: Option<StartLimit>,
    /// Milliseconds from the first command of a start until it must be up; absent: no bound.
    #[serde(default)]
    pub start_timeout_ms: Option<u32>,
    /// Milliseconds for which its process may be up; then it is stopped, and has failed. Absent: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_max_ms: Option<u32>,
    /// That is longer by up to so many milliseconds, by chance.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub runtime_random_extra_ms: u32,
    /// It says `WATCHDOG=1` at least every so many milliseconds while it is up, or it is aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog_ms: Option<u32>,
    /// Milliseconds between the stop signal and SIGKILL.
    #[serde(default = "Service::default_stop_timeout_ms")]
    pub stop_timeout_ms: u32,
    /// What asks its processes to end.
    #[serde(default = "Service::default_stop_signal")]
    pub stop_signal: Signal,
    /// Which of its processes are asked and killed.
    #[serde(default)]
    pub kill_mode: KillMode,
    /// What a switch to a generation in which it is another does to it while it is up.
    #[serde(default)]
    pub on_change: OnChange,
    /// A digest of what it depends on without naming it: another value is another service.
    #[serde(default)]
    pub restart_trigger: Option<String>,
    /// A digest of what it reads again when it is reloaded: another value reloads it.
    #[serde(default)]
    pub reload_trigger: Option<String>,
}

impl Service {
    /// A service of this process, wanted at boot, with everything else at its default.
    #[must_use]
    pub fn new(name: ServiceName, kind: ServiceKind, process: Process) -> Self {
        Self {
            name,
            description: String::new(),
            kind,
            process,
            readiness: None,
            socket: None,
            watch: None,
            device: None,
            reads_output_of: None,
            stored_descriptors: 0,
            pinned_descriptors: false,
            outlives_user_space: false,
            pre_start: Vec::new(),
            post_start: Few::new(),
            pre_stop: Few::new(),
            post_stop: Few::new(),
            reload: None,
            requires: Vec::new(),
            requisite: Few::new(),
            binds_to: Few::new(),
            wants: Vec::new(),
            upholds: Few::new(),
            after: Vec::new(),
            part_of: Few::new(),
            conflicts: Few::new(),
            on_failure: Few::new(),
            on_success: Few::new(),
            tells_of_restarts: false,
            machine_actions: None,
            wanted_at_boot: true,
            stop_when_unneeded: false,
            no_start_by_hand: false,
            no_stop_by_hand: false,
            conditions: Few::new(),
            directories: Few::new(),
            credentials: Few::new(),
            removes_ipc: false,
            delegated: false,
            cgroup: BTreeMap::new(),
            goes_on_after_oom: false,
            least_log_level: None,
            pid_file: None,
            ends_with_last_process: false,
            stays_up: true,
            outlives_process: false,
            restart: Restart::Never,
            success_statuses: Few::new(),
            final_statuses: Few::new(),
            restart_statuses: Few::new(),
            restart_delay_ms: Self::default_restart_delay_ms(),
            restart_delay_max_ms: Self::default_restart_delay_max_ms(),
            restart_steps: 0,
            restart_random_delay_ms: 0,
            start_limit: None,
            start_timeout_ms: None,
            runtime_max_ms: None,
            runtime_random_extra_ms: 0,
            watchdog_ms: None,
            stop_timeout_ms: Self::default_stop_timeout_ms(),
            stop_signal: Signal::TERM,
            kill_mode: KillMode::All,
            on_change: OnChange::default(),
            restart_trigger: None,
            reload_trigger: None,
        }
    }

    /// What a socket or path starts.
    #[must_use]
    pub fn starts(&self) -> Option<&ServiceName> {
        let socket = self.socket.as_ref().map(|socket| &socket.service);
        socket.or_else(|| self.watch.as_ref().map(|watch| &watch.service))
    }

    /// The service of one connection, from this template.
    #[must_use]
    pub fn instance(&self, name: ServiceName) -> Self {
        Self {
            name,
            wanted_at_boot: false,
            restart: Restart::Never,
            start_limit: None,
            ..self.clone()
        }
    }

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

    /// 5 s.
    #[must_use]
    pub fn default_stop_timeout_ms() -> u32 {
        5_000
    }

    /// SIGTERM.
    #[must_use]
    pub fn default_stop_signal() -> Signal {
        Signal::TERM
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_not(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none_of(number: &u16) -> bool {
    *number == 0
}

/// When a service counts as up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// As soon as its process has been executed.
    Simple,
    /// When its process has ended with status 0.
    Oneshot,
    /// When its process says `READY=1` on the socket that `NOTIFY_SOCKET` names (`sd_notify(3)`).
    Notify,
    /// When its process has ended with status 0, leaving another one behind.
    Forking,
    /// At once: it has no process, and is there to be waited for.
    Milestone,
    /// When all that it listens on is open; it has no process, but starts a service when something
    /// comes in.
    Socket,
    /// As soon as it watches; it has no process, but starts a service when files are as it waits for.
    Path,
    /// As long as the device is there: it has no process.
    Device,
}

impl ServiceKind {
    /// Whether something of it is executed.
    #[must_use]
    pub fn has_process(self) -> bool {
        !matches!(
            self,
            Self::Milestone | Self::Socket | Self::Path | Self::Device
        )
    }
}

/// What follows when a service's process ends by itself.
///
/// A good end is one with status 0 or in `success_statuses`, and (but for a oneshot) one by SIGHUP, SIGINT,
/// SIGTERM or SIGPIPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing; a good end is 'stopped', anything else is 'failed'.
    #[default]
    Never,
    /// A restart unless the end was good.
    OnFailure,
    /// A restart after a signal or a timeout that was no good end, but not after any status.
    OnAbnormal,
    /// A restart after a signal that was no good end.
    OnAbort,
    /// A restart when its watchdog was not satisfied.
    OnWatchdog,
    /// A restart if the end was good.
    OnSuccess,
    /// A restart whatever the end was.
    Always,
}

/// At most so many starts in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartLimit {
    /// Starts.
    pub burst: u32,
    /// Milliseconds.
    pub interval_ms: u32,
}

/// Which processes of a service are ended when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillMode {
    /// All are asked, also when the main one has ended by itself; what is left after the time of a stop is killed.
    #[default]
    All,
    /// The main one is asked; what is left when it has ended is killed.
    Mixed,
    /// The main one is asked and killed; others live on.
    Main,
}

/// What a switch does to a service that is up and that the new generation describes otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// It is stopped before the new generation is activated, and started after.
    #[default]
    StopAndStart,
    /// It is restarted when the new generation is active.
    Restart,
    /// It is reloaded when the new generation is active; one that cannot be is restarted.
    Reload,
    /// Its processes go on as they are.
    Keep,
}

/// What makes a service read its configuration again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reload {
    /// Its main process gets this signal.
    Signal(Signal),
    /// The same, and it says when it begins (`RELOADING=1`) and when it is done (`READY=1`).
    Announced(Signal),
    /// These run one after the other, with `MAINPID` in their environment.
    Commands(Vec<Command>),
}

/// A directory that belongs to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceDirectory {
    /// Absolute path.
    pub path: String,
    /// Permission bits, written in octal.
    #[serde(with = "crate::octal")]
    pub mode: u32,
    /// It is root's, although the service's process is not.
    #[serde(default)]
    pub root: bool,
    /// It is removed when the service has stopped.
    #[serde(default)]
    pub removed_at_stop: bool,
    /// But not when that is only to be started again.
    #[serde(default, skip_serializing_if = "is_not")]
    pub kept_at_restart: bool,
}
