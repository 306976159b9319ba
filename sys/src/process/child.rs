//! A child between clone and exec: system calls on memory that the parent has prepared.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::Prepared;
use super::report::{write_placed, write_report};
use super::tray::Share;

/// What the child has come to: the step that failed.
pub(super) type Done<'a> = Result<(), &'a CStr>;

/// 0 or more is well; anything else is the failure of `step`, with the reason in `errno`.
pub(super) fn check(result: impl Into<i64>, step: &CStr) -> Done<'_> {
    if result.into() < 0 { Err(step) } else { Ok(()) }
}

/// What the child works with: borrowed memory and numbers.
#[derive(Clone, Copy)]
pub(super) struct Child<'a> {
    pub prepared: &'a Prepared,
    pub numbers: &'a Numbers,
    /// How it comes to a table of descriptors of its own; it has a copy of its parent's if absent.
    pub share: Option<Share>,
}

/// The descriptors that it needs.
#[derive(Debug)]
pub(super) struct Numbers {
    pub input: Option<RawFd>,
    pub output: RawFd,
    pub error: RawFd,
    pub passed: Vec<RawFd>,
    pub numbered: Option<(RawFd, RawFd)>,
    pub joined: Vec<RawFd>,
    pub own_move: Option<Move>,
    pub report: RawFd,
}

/// How long those who were killed are waited for.
const LEAVING_SECONDS: u32 = 10;

/// What `cgroup.events` says of a cgroup in which somebody is.
const POPULATED: &[u8] = b"populated 1";

/// How it moves itself into its cgroup.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    /// That cgroup's directory.
    cgroup: RawFd,
    /// Whether others are to have left it.
    waits: bool,
    /// The process without which it is not to go on.
    parent: libc::pid_t,
}

impl Move {
    /// Into the cgroup with this directory, a child of ours.
    pub fn into(cgroup: RawFd, waits: bool) -> Self {
        Self {
            cgroup,
            waits,
            // SAFETY: this call cannot fail.
            parent: unsafe { libc::getpid() },
        }
    }

    /// Moves it. Its parent may end at any moment: whoever then starts the same again finds in the cgroup
    /// what there is of it, and what is not there yet never goes on. Async-signal-safe.
    unsafe fn make(self) -> Done<'static> {
        // SAFETY: only system calls on numbers and constants.
        unsafe {
            let bound = libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            check(bound, c"be bound to the supervisor")?;
            if libc::getppid() != self.parent {
                libc::_exit(127); // it has ended before
            }
            if self.waits {
                self.wait();
            }
            let flags = libc::O_WRONLY | libc::O_CLOEXEC;
            let procs = libc::openat(self.cgroup, c"cgroup.procs".as_ptr(), flags);
            check(procs, c"open the cgroup")?;
            let moved = libc::write(procs, c"0".as_ptr().cast(), 1) == 1;
            check(i32::from(moved) - 1, c"enter the cgroup")?;
            libc::close(procs);
            check(
                libc::prctl(libc::PR_SET_PDEATHSIG, 0),
                c"outlive the supervisor",
            )
        }
    }
}

impl Move {
    /// Waits until nobody is left there, as far as that can be known: a process that was killed still has its files
    /// until its memory is free. Async-signal-safe.
    unsafe fn wait(self) {
        // SAFETY: only system calls on numbers, constants and memory of this function's.
        unsafe {
            let flags = libc::O_RDONLY | libc::O_CLOEXEC;
            let events = libc::openat(self.cgroup, c"cgroup.events".as_ptr(), flags);
            for _ in 0..LEAVING_SECONDS {
                let mut text = [0_u8; 128];
                let length = libc::pread(events, text.as_mut_ptr().cast(), text.len(), 0);
                let length = usize::try_from(length).unwrap_or(0);
                let text = text.get(..length).unwrap_or_default();
                if !text.windows(POPULATED.len()).any(|part| part == POPULATED) {
                    break;
                }
                let mut change = libc::pollfd {
                    fd: events,
                    events: libc::POLLPRI,
                    revents: 0,
                };
                libc::poll(&raw mut change, 1, 1000);
            }
            libc::close(events);
        }
    }
}

impl<'a> Child<'a> {
    pub fn clone3(&self, cgroup: Option<BorrowedFd<'_>>) -> io::Result<(u32, OwnedFd)> {
        let mut pidfd: RawFd = -1;
        // SAFETY: `clone_args` is plain data for which all zero is valid.
        let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
        arguments.flags = libc::CLONE_PIDFD as u64;
        arguments.pidfd = ptr::from_mut(&mut pidfd) as u64;
        arguments.exit_signal = libc::SIGCHLD as u64;
        if self.share.is_some() {
            arguments.flags |= libc::CLONE_FILES as u64;
        }
        if let Some(cgroup) = cgroup {
            arguments.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP
            arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or(u64::MAX);
        }
        // SAFETY: without CLONE_VM the child has a copy of our memory; it only makes system calls
        // (see `run`) and ends in exec or _exit. `pidfd` outlives the call.
        let pid = unsafe {
            libc::syscall(
                libc::SYS_clone3,
                ptr::from_mut(&mut arguments),
                size_of::<libc::clone_args>(),
            )
        };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: this is the child, between clone and exec.
            0 => unsafe { self.run() },
            // SAFETY: the kernel has just made this descriptor for us.
            pid => Ok((u32::try_from(pid).unwrap_or(0), unsafe {
                OwnedFd::from_raw_fd(pidfd)
            })),
        }
    }

    /// The child's life. Async-signal-safe.
    unsafe fn run(&self) -> ! {
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            let step = match self.steps() {
                Ok(()) => c"execute the program",
                Err(step) => step,
            };
            write_report(self.numbers.report, step, *libc::__errno_location());
            libc::_exit(127)
        }
    }

    /// All steps; it comes back when one has failed, or the execution at the end.
    unsafe fn steps(&self) -> Done<'a> {
        let (prepared, numbers) = (self.prepared, self.numbers);
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            if let Some(share) = self.share {
                share.take()?;
            }
            reset_signals();
            if prepared.attributes.ignores_sigpipe {
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            }
            if let Some(own_move) = numbers.own_move {
                own_move.make()?;
                write_placed(numbers.report);
            }
            libc::setsid();
            self.open_streams()?;
            prepared.open_files.set()?;
            prepared.attributes.set_bounds()?;
            let mapper = prepared.confinement.prepare_users()?;
            for namespace in &numbers.joined {
                let joined = libc::setns(*namespace, 0);
                check(joined, c"join what it has in common with others")?;
            }
            prepared.confinement.enter()?;
            libc::umask(prepared.attributes.umask);
            prepared.become_user(mapper)?;
            let mut entered = libc::chdir(prepared.directory.as_ptr());
            if entered < 0 && prepared.directory_optional {
                entered = libc::chdir(c"/".as_ptr());
            }
            check(entered, c"enter the working directory")?;
            let mut next = 3;
            for number in &numbers.passed {
                check(libc::dup2(*number, next), c"pass a descriptor")?;
                next += 1;
            }
            if let Some(number) = &prepared.own_number {
                number.write(libc::getpid());
            }
            if let Some((number, one)) = numbers.numbered {
                check(libc::dup2(one, number), c"pass a descriptor")?;
                close_on_exec(next, number - 1);
                next = number + 1;
            }
            close_on_exec(next, RawFd::MAX);
            prepared.confinement.filter()?;
            libc::execve(
                prepared.program.as_ptr(),
                prepared.argv.pointers.as_ptr(),
                prepared.environment.pointers.as_ptr(),
            );
        }
        Ok(())
    }

    /// The three standard descriptors.
    unsafe fn open_streams(&self) -> Done<'a> {
        let numbers = self.numbers;
        // SAFETY: only system calls on memory prepared by the parent.
        unsafe {
            let (input, output, error) = if let Some(tty) = &self.prepared.tty {
                let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_CLOEXEC;
                let fd = libc::open(tty.as_ptr(), flags);
                check(fd, c"open the terminal")?;
                libc::fcntl(fd, libc::F_SETFL, libc::O_RDWR);
                // That it is no terminal at all (a test's /dev/null) is no obstacle.
                libc::ioctl(fd, libc::TIOCSCTTY, 1);
                (fd, fd, fd)
            } else if let Some(input) = numbers.input {
                (input, numbers.output, numbers.error)
            } else {
                let flags = libc::O_RDONLY | libc::O_CLOEXEC;
                (
                    libc::open(c"/dev/null".as_ptr(), flags),
                    numbers.output,
                    numbers.error,
                )
            };
            let step = c"set up the standard descriptors";
            check(input, step)?;
            check(libc::dup2(input, 0), step)?;
            check(libc::dup2(output, 1), step)?;
            check(libc::dup2(error, 2), step)
        }
    }
}

/// The descriptors from the first to the last of these numbers are closed when the program is executed.
/// Async-signal-safe.
unsafe fn close_on_exec(first: RawFd, last: RawFd) {
    if first <= last {
        let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
        // SAFETY: a system call on numbers.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                first,
                last,
                libc::CLOSE_RANGE_CLOEXEC,
            );
        }
    }
}

/// All signals at their defaults and unblocked. Async-signal-safe.
unsafe fn reset_signals() {
    // SAFETY: only system calls on locals.
    unsafe {
        for signal in 1..=64 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                // The C library refuses its own two; they are at their defaults.
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let empty: u64 = 0;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&empty),
            ptr::null_mut::<u64>(),
            8_usize,
        );
    }
}

/// Whether an error of `clone3` speaks against `CLONE_INTO_CGROUP` and not against any clone.
pub(super) fn refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINVAL
                | libc::EOPNOTSUPP
                | libc::EACCES
                | libc::EPERM
                | libc::EBUSY
                | libc::E2BIG
        )
    )
}
