//! PID 1: stage 1, stage 2, core and supervisor in one static binary, told apart by `argv[0]`.
//!
//! | `argv[0]` | role |
//! |---|---|
//! | `/init` | stage 1, in the initrd |
//! | `/nix/store/<toplevel>/init` | stage 2, which ends by executing core |
//! | `/sbin/init` | stage 2 of the profile's generation, in a container |
//! | `…/cairn-core` | core: PID 1 of the running system; with `--goes-on VERSION` it says whether it could take over |
//! | `…/cairn-supervisor` | the supervisor, core's child |
//! | `…/cairn-user-core`, `…/cairn-user-supervisor` | both for a user's services, without rights |
//! | `<toplevel>/user-services` | what is done as root for them: becomes the former, hears PAM |
//! | `@cairn-guard` | restarts the machine when a boot on trial hangs; stage 1's child |
//! | `…/modprobe` | loads modules for the kernel, for devices that come, and for people |
//! | `<toplevel>/activate` | activation of the toplevel that it lies in; `--dry-run` prints the plan |
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
mod realm;
mod role;
mod stage1;
mod stage2;
mod stage_times;
mod supervisor;
mod trial_report;
mod user;

use std::process::ExitCode;

use role::Role;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let role = role::of(&arguments);
    if let Ok(role) = &role {
        // The kernel has named the process after the file, which is `exe` where /proc/self/exe was
        // executed. It refuses no name of our own; and if it did, only lists would show it.
        if let Err(error) = nix::sys::prctl::set_name(role.process_name()) {
            eprintln!("cairn-init: cannot set the process's name: {error}");
        }
    }
    match role {
        Ok(Role::Stage1) => stage1::run(),
        Ok(Role::Stage2 {
            toplevel,
            beginning,
        }) => stage2::run(&toplevel, beginning),
        Ok(Role::GoesOn { handover }) => core::goes_on(handover),
        Ok(Role::Core {
            toplevel,
            beginning,
        }) => core::run(&toplevel, beginning),
        Ok(Role::UserCore {
            toplevel,
            beginning,
        }) => match user::take_over() {
            Ok(()) => core::run(&toplevel, beginning),
            Err(error) => failed(&error),
        },
        Ok(Role::UserSupervisor { toplevel }) => match user::take_over() {
            Ok(()) => supervisor::run(&toplevel),
            Err(error) => failed(&error),
        },
        Ok(Role::UserServices { toplevel, task }) => user::run(&toplevel, &task),
        Ok(Role::Supervisor { toplevel }) => supervisor::run(&toplevel),
        Ok(Role::Activate { toplevel, mode }) => stage2::activation::run(&toplevel, mode),
        Ok(Role::Guard) => guard::run(),
        Ok(Role::Modprobe { arguments }) => modprobe::run(&arguments),
        Err(usage) => {
            eprintln!("cairn-init: {usage}");
            ExitCode::from(64)
        }
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("cairn-init: {error:#}");
    ExitCode::FAILURE
}
