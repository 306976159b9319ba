//! Descriptors of low numbers that children begin with, in place of a copy of all.
//!
//! A clone copies its parent's table of descriptors, exec closes the copies, and the child's table stays as
//! long as its parent's was: with some thousand services, most of what a start costs, and of the kernel's
//! memory for a service. What a child needs is laid on the tray instead, under numbers that are lower than
//! those of nearly everything else. The child is cloned with its parent's table and begins with
//! `close_range` and `CLOSE_RANGE_UNSHARE`, which gives it a table of its own with no more than the numbers
//! up to its last one. Then it says so, and the tray's places are free for others.
//!
//! Invariant: a place does not change while the child that it is laid for may still have its parent's table.
//!
//! Source: `close_range(2)`; `sane_fdtable_size` in `fs/file.c`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::child::{Done, check};
use super::passed::lift;
use super::report::pipe;

/// The number of its first place. A supervisor's own descriptors, those that stay, find room before it.
const FIRST: RawFd = 24;

/// How many places it has: with the numbers before them, as many as the kernel's smallest tables but one.
const PLACES: usize = 104;

/// Whose a place is where nothing is laid.
const FREE: u32 = 0;

/// Whose a place is that is for no child.
const TAKEN: u32 = u32::MAX;

/// Places with low numbers, and who has what is laid there.
#[derive(Debug)]
pub struct Tray {
    /// What lies where nothing else does, so that the kernel gives that number to nobody.
    blank: OwnedFd,
    /// The child that each is laid for.
    places: [AtomicU32; PLACES],
    latest: AtomicU32,
    /// Children's numbers come out of it.
    reader: OwnedFd,
    /// Where children write theirs to, in a place.
    writer: RawFd,
}

/// What is laid for one child. It lies there until the child has said that it has a table of its own, or
/// somebody knows that there is no child.
#[derive(Debug)]
pub(super) struct Laid {
    tray: Arc<Tray>,
    child: u32,
}

/// What the child does with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// A bit for each place that is its own.
    own: u128,
    writer: RawFd,
    child: u32,
}

impl Tray {
    /// Takes its places, but for those whose numbers somebody has already.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Arc<Self>> {
        let (reader, writer) = pipe()?;
        let blank = OwnedFd::from(File::open("/dev/null")?);
        let mut tray = Self {
            blank,
            places: [const { AtomicU32::new(TAKEN) }; PLACES],
            latest: AtomicU32::new(0),
            reader,
            writer: -1,
        };
        for (number, place) in (FIRST..).zip(&tray.places) {
            let copy = lift(tray.blank.as_fd(), usize::try_from(number).unwrap_or(0))?;
            if copy.as_raw_fd() == number {
                place.store(FREE, Relaxed);
                let _it_is_the_trays = copy.into_raw_fd();
            }
        }
        let place = tray.put(writer.as_fd(), TAKEN, 0);
        tray.writer = place.ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))?;
        Ok(Arc::new(tray))
    }

    /// Has the kernel make room for so many descriptors: a table that grows while a child has it, too, waits for
    /// all processors. That there is none is found out when they are needed.
    pub fn make_room(&self, descriptors: usize) {
        drop(lift(self.blank.as_fd(), descriptors));
    }

    /// What is laid for children that have tables of their own by now is taken off. To be called when it is readable.
    pub fn clear(&self) {
        let mut bytes = [0_u8; 64 * size_of::<u32>()];
        loop {
            // SAFETY: the buffer is valid for its length, and the descriptor is open.
            let read = unsafe {
                let reader = self.reader.as_raw_fd();
                libc::read(reader, bytes.as_mut_ptr().cast(), bytes.len())
            };
            let read = usize::try_from(read).unwrap_or(0);
            let (children, _) = bytes.get(..read).unwrap_or_default().as_chunks();
            for child in children {
                self.take_off(u32::from_ne_bytes(*child));
            }
            if read < bytes.len() {
                return;
            }
        }
    }

    /// Begins to lay for another child.
    pub(super) fn begin(this: &Arc<Self>) -> Laid {
        let child = match this.latest.fetch_add(1, Relaxed).wrapping_add(1) {
            FREE | TAKEN => 1,
            child => child,
        };
        Laid {
            tray: Arc::clone(this),
            child,
        }
    }

    /// Lays it in a free place from the number `first` on, if there is one.
    fn put(&self, descriptor: BorrowedFd<'_>, child: u32, first: usize) -> Option<RawFd> {
        let from_first = |(number, _): &(RawFd, &AtomicU32)| {
            usize::try_from(*number).is_ok_and(|number| number >= first)
        };
        let mut places = (FIRST..).zip(&self.places).filter(from_first);
        let took = |(_, place): &(RawFd, &AtomicU32)| {
            let took = place.compare_exchange(FREE, child, Relaxed, Relaxed);
            took.is_ok()
        };
        let (number, place) = places.find(took)?;
        let laid = lay(descriptor, number);
        if laid.is_err() {
            place.store(FREE, Relaxed);
        }
        laid.ok().map(|()| number)
    }

    fn take_off(&self, child: u32) {
        for (number, place) in (FIRST..).zip(&self.places) {
            // A place that cannot be emptied is not used again.
            if place.load(Relaxed) == child && lay(self.blank.as_fd(), number).is_ok() {
                place.store(FREE, Relaxed);
            }
        }
    }
}

/// Readable when there is something to be taken off.
impl AsFd for Tray {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        let own = (FIRST..)
            .zip(&self.places)
            .filter(|(number, place)| place.load(Relaxed) != TAKEN || *number == self.writer);
        for (number, _) in own {
            // SAFETY: the tray has had this number from its beginning.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

impl Laid {
    /// Lays one more, under a number of at least `first`; none if there is no place.
    pub fn put(&self, descriptor: BorrowedFd<'_>, first: usize) -> Option<RawFd> {
        self.tray.put(descriptor, self.child, first).or_else(|| {
            self.tray.clear();
            self.tray.put(descriptor, self.child, first)
        })
    }

    /// What the child is to do with it.
    pub fn share(&self) -> Share {
        let places = (0_u32..).zip((FIRST..).zip(&self.tray.places));
        let own = places.fold(0, |own, (bit, (number, place))| {
            let is_own = place.load(Relaxed) == self.child || number == self.tray.writer;
            own | u128::from(is_own) << bit
        });
        Share {
            own,
            writer: self.tray.writer,
            child: self.child,
        }
    }

    /// There is no child, or none any more.
    pub fn take_off(&self) {
        self.tray.take_off(self.child);
    }
}

impl Share {
    /// The child's first step: its own table, in which there are the first three and what is laid for it.
    /// Async-signal-safe.
    pub unsafe fn take(self) -> Done<'static> {
        let mut next = 3;
        // SAFETY: system calls on numbers, and on a local.
        unsafe {
            let end = FIRST + (u128::BITS - self.own.leading_zeros()).cast_signed();
            let own = libc::syscall(
                libc::SYS_close_range,
                end.cast_unsigned(),
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_UNSHARE,
            );
            check(own, c"have descriptors of its own")?;
            for place in 0..PLACES {
                let number = FIRST + libc::c_int::try_from(place).unwrap_or(0);
                if self.own & 1 << place != 0 {
                    if next < number {
                        let (first, last) = (next.cast_unsigned(), (number - 1).cast_unsigned());
                        libc::syscall(libc::SYS_close_range, first, last, 0);
                    }
                    next = number + 1;
                }
            }
            // What cannot be said is known when the process ends.
            libc::write(
                self.writer,
                ptr::from_ref(&self.child).cast(),
                size_of::<u32>(),
            );
        }
        Ok(())
    }
}

/// A copy under this number, in place of what has it. It is closed on exec.
fn lay(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the number is the tray's.
    match unsafe { libc::dup3(descriptor.as_raw_fd(), number, libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Credentials, reap_pidfd};
    use super::super::{Exit, OpenFiles, Placement, Prepared, Report, Started, Streams};
    use super::*;
    use std::ffi::OsStr;
    use std::io::Read;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A process has these numbers once.
    static TURN: Mutex<()> = Mutex::new(());

    /// A tray, until the guard is dropped.
    pub fn only() -> (MutexGuard<'static, ()>, Arc<Tray>) {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        (turn, Tray::new().unwrap())
    }

    const HERE: &str = "ls -l /proc/self/fd | wc -l; readlink /proc/self/fd/3 /proc/self/fd/9; cat";

    fn start(tray: &Arc<Tray>, argv: &[&str], output: BorrowedFd<'_>) -> Started {
        let files = OpenFiles { soft: 64, hard: 64 };
        // SAFETY: these calls cannot fail.
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        let credentials = Credentials {
            uid,
            gid,
            groups: Vec::new(),
        };
        let argv = argv.iter().map(OsStr::new);
        let prepared = Prepared::new(argv, [("PATH", "/bin")], credentials, files).unwrap();
        let (input, passed) = (
            File::open("/proc/version").unwrap(),
            File::open("/").unwrap(),
        );
        let streams = Streams {
            input: Some(input.as_fd()),
            output,
            error: None,
            passed: &[passed.as_fd()],
            numbered: Some((9, passed.as_fd())),
        };
        prepared
            .start(Placement::Parents, streams, Some(tray))
            .unwrap()
    }

    fn end(tray: &Tray, started: &Started) -> (Report, Exit) {
        let mut report = Report::Pending;
        loop {
            tray.clear();
            if report == Report::Pending {
                report = started.report.read().unwrap();
            }
            if report != Report::Pending
                && let Some(exit) = reap_pidfd(started.pidfd.as_fd()).unwrap()
            {
                return (report, exit);
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn free(tray: &Tray) -> usize {
        let places = tray.places.iter();
        places.filter(|place| place.load(Relaxed) == FREE).count()
    }

    fn said(reader: OwnedFd) -> String {
        // SAFETY: the descriptor is open.
        unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, 0) };
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_child_has_what_is_laid_for_it_and_a_small_table() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return; // setgroups needs root
        }
        let (_turn, tray) = only();
        let all = free(&tray);
        assert!(all > PLACES / 2, "{all}");
        let many: Vec<File> = (0..600).map(|_| File::open("/dev/null").unwrap()).collect();
        let (reader, writer) = pipe().unwrap();
        let shell = start(&tray, &["/bin/sh", "-c", HERE], writer.as_fd());
        let table = start(
            &tray,
            &["/bin/grep", "FDSize", "/proc/self/status"],
            writer.as_fd(),
        );
        assert!(free(&tray) < all);
        for started in [&shell, &table] {
            assert_eq!(end(&tray, started), (Report::Executed, Exit::Status(0)));
        }
        drop((writer, many));
        let text = said(reader);
        let version = std::fs::read_to_string("/proc/version").unwrap();
        // Three streams, two passed, the folder that is listed, and a total.
        assert!(text.contains(&format!("7\n/\n/\n{version}")), "{text}");
        let size = text
            .lines()
            .find_map(|line| line.strip_prefix("FDSize:\t"))
            .unwrap();
        assert!(size.parse::<usize>().unwrap() <= 128, "{size}");
        assert_eq!(free(&tray), all);
    }

    #[test]
    fn a_full_tray_costs_a_copy_and_nothing_else() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return; // setgroups needs root
        }
        let (_turn, tray) = only();
        let nobodys = Tray::begin(&tray);
        while nobodys.put(tray.blank.as_fd(), 0).is_some() {}
        assert_eq!(free(&tray), 0);
        let (reader, writer) = pipe().unwrap();
        let started = start(&tray, &["/bin/sh", "-c", HERE], writer.as_fd());
        assert_eq!(end(&tray, &started), (Report::Executed, Exit::Status(0)));
        drop(writer);
        assert!(said(reader).starts_with("7\n/\n/\n"));
        nobodys.take_off();
        assert!(free(&tray) > PLACES / 2);
    }

    #[test]
    fn a_child_that_ends_before_it_has_its_own_table_is_no_loss() {
        let (_turn, tray) = only();
        let all = free(&tray);
        let laid = Tray::begin(&tray);
        let (reader, writer) = pipe().unwrap();
        laid.put(writer.as_fd(), 0).unwrap();
        // As another child has it, that has taken its table just now.
        let anothers = writer;
        let report = super::super::ReportPipe::new(reader, Some(laid));
        assert_eq!(report.read().unwrap(), Report::Pending);
        report.close();
        assert_eq!(report.read().unwrap(), Report::Executed);
        assert_eq!(free(&tray), all);
        drop(anothers);
    }
}
