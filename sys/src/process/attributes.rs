//! What a process has beside its program and its user: bounds, scheduling, capabilities.

use std::ptr;

use super::child::{Done, check};

/// What else a process has, beside what [`Prepared::new`](super::Prepared::new) takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits that files it makes do not get.
    pub umask: u32,
    /// Further bounds.
    pub limits: Vec<ResourceLimit>,
    /// Its nice value.
    pub nice: Option<i32>,
    /// How its processor time is scheduled.
    pub scheduling: Option<Scheduling>,
    /// The processors that it may run on, a bit for each, 64 in a word; all if empty.
    pub processors: Vec<u64>,
    /// Its place among those that read and write, as `ioprio_set(2)` encodes it.
    pub io_priority: Option<u32>,
    /// What is written to its `oom_score_adj`, a number in text.
    pub oom_score_adjust: Option<String>,
    /// Capabilities, by bit, that it keeps although its user is not root.
    pub ambient: u64,
    /// The only capabilities, by bit, that it can ever have.
    pub bounding: u64,
    /// It gets no rights from what it executes.
    pub no_new_privileges: bool,
    /// It starts with SIGPIPE ignored; all other signals are at their defaults.
    pub ignores_sigpipe: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            umask: 0o022,
            limits: Vec::new(),
            nice: None,
            scheduling: None,
            processors: Vec::new(),
            io_priority: None,
            oom_score_adjust: None,
            ambient: 0,
            bounding: u64::MAX,
            no_new_privileges: false,
            ignores_sigpipe: false,
        }
    }
}

/// How processor time is scheduled, `sched_setscheduler(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduling {
    /// The kernel's number of the policy.
    pub policy: i32,
    /// 1 to 99 for real-time policies, else 0.
    pub priority: i32,
    /// Its children are scheduled as usual.
    pub reset_on_fork: bool,
}

/// A bound of a resource, `setrlimit(2)`; `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The kernel's number of the resource.
    pub resource: u32,
    /// In force until the process raises it.
    pub soft: u64,
    /// Up to where it may raise it.
    pub hard: u64,
}

/// `IOPRIO_WHO_PROCESS`
const WHO_PROCESS: i32 = 1;

const CAPABILITIES: &std::ffi::CStr = c"set the capabilities";

/// The last capability that there is a bit for.
const LAST_CAPABILITY: u64 = 63;

/// `struct __user_cap_header_struct` and twice `struct __user_cap_data_struct` of capget(2).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`
const CAPABILITY_VERSION: u32 = 0x2008_0522;

impl Attributes {
    /// What needs root, before the credentials change. Async-signal-safe.
    pub(super) unsafe fn set_bounds(&self) -> Done<'static> {
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            for limit in &self.limits {
                let value = libc::rlimit {
                    rlim_cur: limit.soft,
                    rlim_max: limit.hard,
                };
                let none = ptr::null_mut::<libc::rlimit>();
                let set = libc::syscall(
                    libc::SYS_prlimit64,
                    0,
                    limit.resource,
                    &raw const value,
                    none,
                );
                check(set, c"set a resource limit")?;
            }
            if let Some(nice) = self.nice {
                let set = libc::setpriority(libc::PRIO_PROCESS, 0, nice);
                check(set, c"set the nice value")?;
            }
            if let Some(scheduling) = self.scheduling {
                let parameter = libc::sched_param {
                    sched_priority: scheduling.priority,
                };
                let policy = scheduling.policy | i32::from(scheduling.reset_on_fork) << 30;
                let set = libc::syscall(
                    libc::SYS_sched_setscheduler,
                    0,
                    policy,
                    &raw const parameter,
                );
                check(set, c"set how it is scheduled")?;
            }
            if !self.processors.is_empty() {
                let set = libc::syscall(
                    libc::SYS_sched_setaffinity,
                    0,
                    size_of_val(self.processors.as_slice()),
                    self.processors.as_ptr(),
                );
                check(set, c"set the processors that it may run on")?;
            }
            if let Some(priority) = self.io_priority {
                let set = libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, priority);
                check(set, c"set how its input and output are scheduled")?;
            }
            if let Some(text) = &self.oom_score_adjust {
                let step = c"set how likely it is killed when memory is short";
                let flags = libc::O_WRONLY | libc::O_CLOEXEC;
                let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), flags);
                check(fd, step)?;
                if libc::write(fd, text.as_ptr().cast(), text.len()) < 0 {
                    return Err(step);
                }
            }
        }
        Ok(())
    }

    /// Gives up for ever what is not in the bounding set. Async-signal-safe.
    pub(super) unsafe fn drop_capabilities(&self) -> Done<'static> {
        for capability in (0..=LAST_CAPABILITY).filter(|bit| self.bounding >> bit & 1 == 0) {
            // SAFETY: system calls on numbers. The kernel knows fewer than there are bits.
            unsafe {
                if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0
                    && *libc::__errno_location() != libc::EINVAL
                {
                    return Err(CAPABILITIES);
                }
            }
        }
        Ok(())
    }

    /// What comes after the credentials. Async-signal-safe.
    pub(super) unsafe fn set_privileges(&self) -> Done<'static> {
        // SAFETY: only system calls on locals and on memory prepared by the parent.
        unsafe {
            if self.ambient != 0 {
                let mut header = CapabilityHeader {
                    version: CAPABILITY_VERSION,
                    pid: 0,
                };
                let half = |set: u64| {
                    let [b0, b1, b2, b3, ..] = set.to_le_bytes();
                    u32::from_le_bytes([b0, b1, b2, b3])
                };
                let data = [self.ambient, self.ambient >> 32].map(|set| CapabilityData {
                    effective: half(set),
                    permitted: half(set),
                    inheritable: half(set),
                });
                let set = libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr());
                check(set, CAPABILITIES)?;
                for bit in (0..=LAST_CAPABILITY).filter(|bit| self.ambient >> bit & 1 == 1) {
                    let raise = libc::PR_CAP_AMBIENT_RAISE;
                    let raised = libc::prctl(libc::PR_CAP_AMBIENT, raise, bit, 0, 0);
                    check(raised, CAPABILITIES)?;
                }
            }
            if self.no_new_privileges {
                let set = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                check(set, c"give up new privileges")?;
            }
        }
        Ok(())
    }
}
