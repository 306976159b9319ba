//! Signals as PID 1 needs them: all of them read from a descriptor, and faults caught at last.
//!
//! The kernel never kills PID 1 by a signal that it has no handler for, except by a fault of its
//! own (SIGSEGV and its kind), which ends in a kernel panic. So all other signals are blocked and
//! read from a signalfd; a fault is written to the kernel log, and the machine is rebooted.
//!
//! What somebody sends under a fault's name interrupts the program, and a storm of it leaves the
//! program no time for anything else. So the first one is the last: it blocks its number, further
//! ones are read like all other signals, and before the program waits the next time the fault is
//! caught again ([`Signals::catch_faults_again`]). One of the program's own in between is the
//! kernel's panic.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// The signals that a fault of the program itself raises.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
];

/// Signals that are read at once; those that are sent several times are one each.
const AT_ONCE: usize = 8;

/// Seconds for which a fault of PID 1 can be read on the console before the machine reboots.
const FAULT_DELAY_SECONDS: libc::c_uint = 10;

/// Whether somebody has sent a fault signal, which is blocked since.
static FAULT_IS_BLOCKED: AtomicBool = AtomicBool::new(false);

/// All signals that can be blocked, as one descriptor to read them from.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks every signal but the faults, and opens the descriptor: non-blocking, closed on exec.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn take_all() -> io::Result<Self> {
        // SAFETY: the sets are initialised by sigfillset before they are used.
        let fd = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            let mut blocked = all;
            for fault in FAULTS {
                libc::sigdelset(&raw mut blocked, fault);
            }
            if libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let descriptor = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { descriptor })
    }

    /// Catches faults again whose signals somebody has sent ([`catch_faults`]). To be called before each
    /// wait: what is done in between is done without a signal's interruption.
    pub fn catch_faults_again(&self) {
        if !FAULT_IS_BLOCKED.swap(false, Ordering::Relaxed) {
            return;
        }
        // SAFETY: `faults` initialises the set; a system call on it that cannot fail.
        unsafe {
            let set = faults();
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        }
    }

    /// Takes the signals that are pending, by their numbers; of very many, the first. Allocates nothing.
    pub fn take(&self) -> impl Iterator<Item = i32> + use<> {
        // SAFETY: an all-zero signalfd_siginfo is valid, and the kernel writes no more than these.
        let (infos, read) = unsafe {
            let mut infos: [libc::signalfd_siginfo; AT_ONCE] = std::mem::zeroed();
            let size = size_of_val(&infos);
            let descriptor = self.descriptor.as_raw_fd();
            let read = libc::read(descriptor, ptr::from_mut(&mut infos).cast(), size);
            (infos, usize::try_from(read).unwrap_or(0))
        };
        let count = read / size_of::<libc::signalfd_siginfo>();
        let numbers = infos.into_iter().map(|info| info.ssi_signo);
        numbers
            .take(count)
            .map(|number| i32::try_from(number).unwrap_or(0))
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Unblocks every signal again: for a program that is executed without `process::Prepared`.
///
/// # Errors
/// The kernel refuses, which it has no reason for.
pub fn unblock_all() -> io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Catches the faults of this process, which is PID 1: they are logged, and the machine reboots.
/// The same signals sent by somebody are blocked, and come with all others
/// ([`Signals::catch_faults_again`]).
pub fn catch_faults() {
    for fault in FAULTS {
        // SAFETY: the handler is async-signal-safe, and the structure is fully initialised.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = fault_handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            // One at a time, lest many that are sent pile up on the stack.
            action.sa_mask = faults();
            libc::sigaction(fault, &raw const action, ptr::null_mut());
        }
    }
}

/// The fault signals as a set.
fn faults() -> libc::sigset_t {
    // SAFETY: the set is initialised by sigemptyset before it is used.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for fault in FAULTS {
            libc::sigaddset(&raw mut set, fault);
        }
        set
    }
}

/// Only system calls.
extern "C" fn fault_handler(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands in a valid siginfo_t and the ucontext_t that it goes on with;
    // everything else is system calls on constants.
    unsafe {
        let own = libc::getpid();
        let from_somebody = (*info).si_code <= 0 && (*info).si_pid() != own;
        if from_somebody {
            let context = context.cast::<libc::ucontext_t>();
            libc::sigaddset(&raw mut (*context).uc_sigmask, signal);
            FAULT_IS_BLOCKED.store(true, Ordering::Relaxed);
            return;
        }
        last_words(match signal {
            libc::SIGSEGV => c"<2>cairn: PID 1 failed: invalid memory reference; rebooting in 10 s",
            libc::SIGBUS => c"<2>cairn: PID 1 failed: bus error; rebooting in 10 s",
            libc::SIGILL => c"<2>cairn: PID 1 failed: illegal instruction; rebooting in 10 s",
            libc::SIGABRT => c"<2>cairn: PID 1 failed: aborted; rebooting in 10 s",
            _ => c"<2>cairn: PID 1 failed: fault; rebooting in 10 s",
        });
        reboot_after_delay();
    }
}

/// Waits so that the console can be read, syncs, and reboots. Async-signal-safe; never returns.
pub fn reboot_after_delay() -> ! {
    // SAFETY: system calls on constants.
    unsafe {
        libc::sleep(FAULT_DELAY_SECONDS);
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
        loop {
            libc::pause();
        }
    }
}

/// One record to the kernel log without any state of the program.
unsafe fn last_words(text: &std::ffi::CStr) {
    // SAFETY: system calls on constants; what fails cannot be told to anybody.
    unsafe {
        let fd = libc::open(c"/dev/kmsg".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::write(fd, text.as_ptr().cast(), text.to_bytes().len());
            libc::close(fd);
        }
    }
}

/// Sends `signal` to the process `pid`; that it has ended already is no error.
///
/// # Errors
/// The signal is not allowed, or `pid` is no process id (0 and above `i32::MAX` are not).
pub fn send(pid: u32, signal: i32) -> io::Result<()> {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    send_raw(pid, signal)
}

/// Sends `signal` to every process but this one (and, for PID 1's sake, but the kernel's).
///
/// # Errors
/// The signal is not allowed. That there is no other process is no error.
pub fn send_to_all(signal: i32) -> io::Result<()> {
    send_raw(-1, signal)
}

fn send_raw(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: a system call on numbers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) {
        return Ok(());
    }
    Err(error)
}
