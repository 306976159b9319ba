//! A supervisor that is killed before each of its system calls.

use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::namespace::{Machine, PATIENCE};

/// For so long nothing has to happen before the supervisor counts as idle, and what it does as over.
const IDLE: Duration = Duration::from_millis(40);
const OVER: Duration = Duration::from_millis(400);

/// More system calls are not made for one thing.
const MOST: usize = 2000;

/// A process that is stopped at each of its system calls.
pub struct Traced {
    pid: Pid,
}

impl Traced {
    /// Stops `pid` at its next system call, and those after it.
    fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
        ptrace::interrupt(pid).unwrap();
        Self { pid }
    }

    /// Waits until it is about to make a system call, which it does not make before [`Self::go_on`]; false if it
    /// makes none for so long.
    fn stops(&self, within: Duration) -> bool {
        let mut since = Instant::now();
        while since.elapsed() < within {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::StillAlive => std::thread::sleep(Duration::from_micros(100)),
                WaitStatus::PtraceSyscall(_) if self.is_before() => return true,
                ended @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => panic!("{ended:?}"),
                _ => {
                    self.go_on();
                    since = Instant::now();
                }
            }
        }
        false
    }

    /// Before a system call, not after it.
    fn is_before(&self) -> bool {
        ptrace::syscall_info(self.pid).unwrap().op == nix::libc::PTRACE_SYSCALL_INFO_ENTRY
    }

    fn go_on(&self) {
        ptrace::syscall(self.pid, None).unwrap();
    }

    /// Nobody looks at it any more.
    pub fn let_go(self) {
        ptrace::detach(self.pid, None).unwrap();
        std::mem::forget(self);
    }
}

impl Drop for Traced {
    /// Kills it: nobody but us could reap it.
    fn drop(&mut self) {
        let _gone_already = nix::sys::signal::kill(self.pid, Signal::SIGKILL);
        while !matches!(
            waitpid(self.pid, None),
            Ok(WaitStatus::Signaled(..)) | Err(_)
        ) {}
    }
}

/// Boots a machine again and again, has `happen` make something of it, and kills the supervisor before its first
/// system call, and before each `step`-th after that; each time `is_done` must come true.
pub fn kill_anywhere(
    step: usize,
    boot: impl Fn() -> Machine,
    is_ready: impl Fn(&Machine) -> bool,
    happen: impl Fn(&Machine, u32),
    is_done: impl Fn(&Machine) -> Result<(), String>,
) {
    kill_that(Machine::supervisor, step, boot, is_ready, happen, is_done);
}

/// The same with another process than the machine's supervisor.
pub fn kill_that(
    victim: impl Fn(&Machine) -> Option<u32>,
    step: usize,
    boot: impl Fn() -> Machine,
    is_ready: impl Fn(&Machine) -> bool,
    happen: impl Fn(&Machine, u32),
    is_done: impl Fn(&Machine) -> Result<(), String>,
) {
    strike(
        victim,
        |_, traced| drop(traced),
        step,
        boot,
        is_ready,
        happen,
        is_done,
    );
}

/// Boots a machine again and again, has `happen` make something of it, and does `blow` before the first system call
/// of the process `whose`, and before each `step`-th after that; each time `is_done` must come true. `happen` is told
/// the main process of the service `a`, if there is one.
pub fn strike(
    whose: impl Fn(&Machine) -> Option<u32>,
    blow: impl Fn(&Machine, Traced),
    step: usize,
    boot: impl Fn() -> Machine,
    is_ready: impl Fn(&Machine) -> bool,
    happen: impl Fn(&Machine, u32),
    is_done: impl Fn(&Machine) -> Result<(), String>,
) {
    for number in (0..MOST).step_by(step) {
        let machine = boot();
        machine.wait_until("it is ready", &is_ready);
        let services = machine.status();
        let a = services.iter().find(|service| service.name.as_str() == "a");
        let pid = a.and_then(|a| a.pid).map_or(0, |pid| machine.on_host(pid));
        let traced = Traced::new(whose(&machine).unwrap());
        while traced.stops(IDLE) {
            traced.go_on();
        }
        happen(&machine, pid);
        for made in 0..=number {
            // It always does something, however late on a busy machine.
            let patience = if made <= 3 { PATIENCE } else { OVER };
            if !traced.stops(patience) {
                println!("killed before each of {made} system calls");
                assert!(made > 3, "it has done nothing");
                return;
            }
            if made < number {
                traced.go_on();
            }
        }
        blow(&machine, traced);
        let start = Instant::now();
        while let Err(why) = is_done(&machine) {
            assert!(
                start.elapsed() < PATIENCE,
                "killed before system call {number}: {why}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    panic!("it never comes to an end");
}
