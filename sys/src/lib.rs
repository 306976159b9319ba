//! The kernel's interfaces: the only crate with unsafe code.

#![allow(unsafe_code)]

pub mod bpf;
pub mod btrfs;
pub mod cgroup;
pub mod checkpoint;
pub mod console;
pub mod datagram;
pub mod handed;
pub mod inotify;
pub mod input;
pub mod ipc;
pub mod kernel_log;
pub mod kexec;
pub mod kmsg;
#[cfg(small)]
mod left_out;
pub mod loop_device;
pub mod mapper;
pub mod memory_file;
pub mod module;
pub mod mount;
pub mod mount_options;
pub mod namespace;
pub mod peer;
pub mod pidfd;
pub mod process;
pub mod program;
pub mod random;
pub mod reboot;
pub mod reflink;
pub mod secret;
pub mod semaphore;
pub mod seqpacket;
pub mod signal;
pub mod stack;
pub mod stacked;
pub mod swap;
pub mod terminal;
pub mod uevent;
pub mod watchdog;
pub mod write_back;
pub mod xattr;
