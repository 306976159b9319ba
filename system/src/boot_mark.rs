//! The lines that stage 1, stage 2 and the supervisor write to `/dev/kmsg` at each milestone.
//!
//! They are an interface: the boot's timing table is read off the serial console by these texts.
//! Each is written at level notice (5), so that `loglevel=6` shows them.

/// Stage 1 runs; the first line of `/init`.
pub const STAGE_1_STARTED: &str = "cairn: stage 1 started";
/// Stage 1 has mounted everything and executes the toplevel's init; its path follows the text.
pub const STAGE_1_DONE: &str = "cairn: stage 1 done, executing ";
/// Stage 2 runs: the toplevel's init as PID 1.
pub const STAGE_2_STARTED: &str = "cairn: stage 2 started";
/// Activation is over and services are being started.
pub const SERVICES_STARTED: &str = "cairn: starting services";
/// Every service wanted at boot is up, or has failed for good; a count of failures follows.
pub const BOOT_DONE: &str = "cairn: boot complete, failed services: ";
/// A power off or reboot has begun; its kind follows.
pub const SHUTDOWN_STARTED: &str = "cairn: shutting down: ";
/// Only user space starts again: PID 1 executes the generation's init; its toplevel follows.
pub const USER_SPACE_RESTARTS: &str = "cairn: restarting user space of ";
/// File systems are unmounted or read-only; the next thing is the kernel's own message.
pub const SHUTDOWN_DONE: &str = "cairn: file systems are safe, ";
/// The same where something hangs, and has been left behind.
pub const SHUTDOWN_HUNG: &str = "cairn: all other file systems are safe, ";
