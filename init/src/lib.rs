//! PID 1, in two static programs, each told apart by `argv[0]`: what comes and goes, and what stays.
//!
//! `cairn-init` does something and ends, or becomes the other one:
//!
//! | `argv[0]` | role |
//! |---|---|
//! | `/init` | stage 1, in the initrd |
//! | `/nix/store/<toplevel>/init` | stage 2, which ends by executing core |
//! | `/sbin/init` | stage 2 of the profile's generation, in a container |
//! | `<toplevel>/user-services` | what is done as root for users' services: becomes their core, hears PAM |
//! | `@cairn-guard` | restarts the machine when a boot on trial hangs; stage 1's child |
//! | `…/modprobe` | loads modules for the kernel, for devices that come, and for people |
//! | `<toplevel>/watchdog` | the service that keeps a watchdog from resetting the machine |
//! | `<toplevel>/syslogd` | the service that hears `/dev/log` |
//! | `<toplevel>/activate` | activation of the toplevel that it lies in; `--dry-run` prints the plan |
//!
//! `cairn-core` is a toplevel's `core`, and stays as long as the machine is up:
//!
//! | `argv[0]` | role |
//! |---|---|
//! | `…/cairn-core` | core: PID 1 of the running system; with `--goes-on VERSION` it says whether it could take over |
//! | `…/cairn-supervisor` | the supervisor, core's child |
//! | `…/cairn-user-core`, `…/cairn-user-supervisor` | both for a user's services, without rights |
//!
//! Invariant: a name that is not in the table is an error and has no effect.

#![forbid(unsafe_code)]

mod autoload;
mod clock;
mod core;
mod emergency;
mod generation;
mod guard;
mod modprobe;
mod mount_table;
mod process_stat;
mod realm;
mod role;
mod stage1;
mod stage2;
mod stage_times;
mod step;
mod supervisor;
mod syslog;
mod trial_report;
mod user;
mod watchdog;

use std::ffi::CStr;
use std::process::ExitCode;

use role::{CoreRole, InitRole, UsageError};

/// The program `cairn-init`.
#[must_use]
pub fn init() -> ExitCode {
    match role("cairn-init", InitRole::of, InitRole::process_name) {
        Err(code) => code,
        Ok(InitRole::Stage1) => stage1::run(),
        Ok(InitRole::Stage2 {
            toplevel,
            beginning,
        }) => stage2::run(&toplevel, beginning),
        Ok(InitRole::UserServices { toplevel, task }) => user::run(&toplevel, &task),
        Ok(InitRole::Activate { toplevel, mode }) => stage2::activation::run(&toplevel, mode),
        Ok(InitRole::Guard) => guard::run(),
        Ok(InitRole::Watchdog {
            seconds,
            ending,
            root,
        }) => watchdog::run(seconds, ending, &root),
        Ok(InitRole::Syslog) => syslog::run(),
        Ok(InitRole::Modprobe { arguments }) => modprobe::run(&arguments),
    }
}

/// The program `cairn-core`.
#[must_use]
pub fn core() -> ExitCode {
    let role = match role("cairn-core", CoreRole::of, CoreRole::process_name) {
        Ok(role) => role,
        Err(code) => return code,
    };
    if role.is_a_users()
        && let Err(error) = user::take_over()
    {
        eprintln!("cairn-core: {error:#}");
        return ExitCode::FAILURE;
    }
    match role {
        CoreRole::GoesOn { handover } => core::goes_on(handover),
        CoreRole::Core {
            toplevel,
            beginning,
        }
        | CoreRole::UserCore {
            toplevel,
            beginning,
        } => core::run(&toplevel, beginning),
        CoreRole::Supervisor { toplevel } | CoreRole::UserSupervisor { toplevel } => {
            supervisor::run(&toplevel)
        }
    }
}

/// What `program` is by its arguments; the process is named after that.
fn role<R>(
    program: &str,
    of: impl Fn(&[std::ffi::OsString]) -> Result<R, UsageError>,
    name: impl Fn(&R) -> &'static CStr,
) -> Result<R, ExitCode> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let role = of(&arguments).map_err(|usage| {
        eprintln!("{program}: {usage}");
        ExitCode::from(64)
    })?;
    // The kernel has named the process after the file, which is `exe` where /proc/self/exe was executed. It
    // refuses no name of our own; and if it did, only lists would show it.
    if let Err(error) = nix::sys::prctl::set_name(name(&role)) {
        eprintln!("{program}: cannot set the process's name: {error}");
    }
    Ok(role)
}
