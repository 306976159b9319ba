//! PID 1: stage 1, stage 2, core and supervisor in one static binary, told apart by `argv[0]`.
//!
//! | `argv[0]` | role |
//! |---|---|
//! | `/init` | stage 1, in the initrd |
//! | `/nix/store/<toplevel>/init` | stage 2, which ends by executing core |
//! | `…/cairn-core` | core: PID 1 of the running system |
//! | `…/cairn-supervisor` | the supervisor, core's child |
//! | `…/modprobe` | loads modules for the kernel, which calls it with `-q -- ALIAS` |
//! | `<toplevel>/activate` | activation of the toplevel that it lies in; `--dry-run` prints the plan |
//!
//! Invariant: a name that is not in the table is an error and has no effect.

#![forbid(unsafe_code)]

mod autoload;
mod clock;
mod core;
mod probe;
mod role;
mod stage1;
mod stage2;
mod supervisor;

use std::process::ExitCode;

use role::Role;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match role::of(&arguments) {
        Ok(Role::Stage1) => stage1::run(),
        Ok(Role::Stage2 { toplevel }) => stage2::run(&toplevel),
        Ok(Role::Core { toplevel }) => core::run(&toplevel),
        Ok(Role::Supervisor { toplevel }) => supervisor::run(&toplevel),
        Ok(Role::Activate { toplevel, mode }) => stage2::activation::run(&toplevel, mode),
        Ok(Role::Modprobe { arguments }) => stage1::modprobe::run(&arguments),
        Err(usage) => {
            eprintln!("cairn-init: {usage}");
            ExitCode::from(64)
        }
    }
}
