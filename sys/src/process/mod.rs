//! Processes of services: `clone3` straight into a cgroup, with a pidfd from the first moment.
//!
//! Everything that the child needs is prepared before the clone, since between clone and exec only
//! system calls are allowed: no allocation, no lock. The child reports which step failed, and its
//! errno, through a pipe that exec closes: end of file on it means that the program runs.
//!
//! Source: `clone3(2)`, `close_range(2)`, `signal-safety(7)`.

mod attributes;
mod child;
mod confinement;
mod credentials;
mod errand;
mod exit;
mod open_files;
mod passed;
mod report;
mod tray;
mod user_map;
mod view;

use std::ffi::{CString, NulError, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::Arc;

pub use attributes::{Attributes, ResourceLimit, Scheduling};
pub use confinement::{Confinement, Instruction, Own};
pub use credentials::Credentials;
pub use errand::Errand;
pub use exit::{Exit, end_of_pidfd, has_children, is_child, reap_any, reap_pidfd};
pub use open_files::{OpenFiles, raise_open_files};
pub use report::{Failure, Report, ReportPipe, pipe};
pub use tray::Tray;
pub use view::{Access, Change, Step};

use child::{Child, Move, Numbers, refused};
use passed::{OwnNumber, lift};
use tray::Laid;

/// A process, ready to be started: nothing of it has to be computed after the clone.
#[derive(Debug)]
pub struct Prepared {
    program: CString,
    argv: Strings,
    environment: Strings,
    directory: CString,
    /// That it is not there is no obstacle.
    directory_optional: bool,
    tty: Option<CString>,
    credentials: Credentials,
    open_files: OpenFiles,
    attributes: Attributes,
    confinement: confinement::Ready,
    joined: Vec<OwnedFd>,
    own_number: Option<OwnNumber>,
}

/// The descriptors of a process. Its terminal, if it has one, comes before the first three.
#[derive(Debug, Clone, Copy)]
pub struct Streams<'a> {
    /// Standard input; `/dev/null` if absent.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output.
    pub output: BorrowedFd<'a>,
    /// Standard error; where output goes if absent.
    pub error: Option<BorrowedFd<'a>>,
    /// Those from 3 on.
    pub passed: &'a [BorrowedFd<'a>],
    /// One more, with this number, which is behind those.
    pub numbered: Option<(RawFd, BorrowedFd<'a>)>,
}

/// How a process gets into its cgroup, an open cgroup v2 directory.
#[derive(Debug, Clone, Copy)]
pub enum Placement<'a> {
    /// It stays in its parent's.
    Parents,
    /// It is born there. Where the kernel or a sandbox refuses that, it moves itself.
    Born(BorrowedFd<'a>),
    /// It moves itself before anything else, and until then dies with its parent: nobody else knows whose it
    /// is. Needed after `cgroup.kill`: Linux 6.14 to at least
    /// 6.18 kill every process that is born into a cgroup which was killed more often than its
    /// parent's (`kill_seq` in `kernel/cgroup/cgroup.c` is taken from the wrong one).
    Moves(BorrowedFd<'a>),
    /// The same when nobody is left there: what was killed has let go of what it held. It is not waited for longer
    /// than some seconds.
    Follows(BorrowedFd<'a>),
}

/// The descriptors that a child needs.
#[derive(Clone, Copy)]
struct Needed<'a> {
    streams: Streams<'a>,
    /// The cgroup that it moves itself into, and whether others are to have left that.
    own_move: Option<(BorrowedFd<'a>, bool)>,
    report: BorrowedFd<'a>,
}

/// Strings as `execve` wants them: pointers to each, and a null at the end.
#[derive(Debug)]
struct Strings {
    /// Never read, but what the pointers point into; a `CString` does not move its bytes.
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(owned: Vec<CString>) -> Self {
        let pointers = owned
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _owned: owned,
            pointers,
        }
    }

    /// Adds one at the end, before the null.
    fn push(&mut self, string: *const libc::c_char) {
        let end = self.pointers.len().saturating_sub(1);
        self.pointers.insert(end, string);
    }
}

/// A started child.
#[derive(Debug)]
pub struct Started {
    /// Its id in our namespace.
    pub pid: u32,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
    /// Readable when it was executed or could not be.
    pub report: ReportPipe,
    /// It is in its cgroup; otherwise its report says so once it is.
    pub placed: bool,
}

impl Prepared {
    /// A process that executes `argv[0]` (a path) with exactly this environment.
    ///
    /// # Errors
    /// A string holds a NUL.
    pub fn new<'a>(
        argv: impl IntoIterator<Item = &'a OsStr>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        credentials: Credentials,
        open_files: OpenFiles,
    ) -> Result<Self, NulError> {
        let argv = argv
            .into_iter()
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let environment = environment
            .into_iter()
            .map(|(key, value)| CString::new(format!("{key}={value}")))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            program: argv.first().cloned().unwrap_or_default(),
            argv: Strings::new(argv),
            environment: Strings::new(environment),
            directory: c"/".to_owned(),
            directory_optional: false,
            tty: None,
            credentials,
            open_files,
            attributes: Attributes::default(),
            confinement: confinement::Ready::default(),
            joined: Vec::new(),
            own_number: None,
        })
    }

    /// Has its own number in its environment under this name, such as `LISTEN_PID`.
    ///
    /// # Errors
    /// The name holds a NUL.
    pub fn own_number(mut self, name: &str) -> Result<Self, NulError> {
        let number = OwnNumber::new(name)?;
        self.environment.push(number.text());
        self.own_number = Some(number);
        Ok(self)
    }

    /// Is confined like this.
    ///
    /// # Errors
    /// A path or an option holds a NUL.
    pub fn confined(mut self, confinement: &Confinement) -> Result<Self, NulError> {
        self.confinement = confinement::Ready::new(confinement, &self.credentials)?;
        Ok(self)
    }

    /// Is in these namespaces.
    #[must_use]
    pub fn joined(mut self, namespaces: Vec<OwnedFd>) -> Self {
        self.joined = namespaces;
        self
    }

    /// Has these attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Executes this file; `argv[0]` is then only a name.
    ///
    /// # Errors
    /// It holds a NUL.
    pub fn program(mut self, program: &OsStr) -> Result<Self, NulError> {
        self.program = CString::new(program.as_bytes())?;
        Ok(self)
    }

    /// Starts in this directory instead of `/`; in `/` all the same where it is `optional` and not there.
    ///
    /// # Errors
    /// It holds a NUL.
    pub fn directory(mut self, directory: &str, optional: bool) -> Result<Self, NulError> {
        self.directory = CString::new(directory)?;
        self.directory_optional = optional;
        Ok(self)
    }

    /// Has this terminal as controlling one and as its three standard descriptors.
    ///
    /// # Errors
    /// It holds a NUL.
    pub fn tty(mut self, tty: &str) -> Result<Self, NulError> {
        self.tty = Some(CString::new(tty)?);
        Ok(self)
    }

    /// Starts it: in a cgroup, with these standard streams unless it has a terminal, in a session
    /// of its own, with all signals unblocked and at their defaults, and with no descriptor but those,
    /// which come by the tray if there is one with room for them. Allocates nothing without a tray if there is
    /// none to be passed.
    ///
    /// # Errors
    /// No process, descriptor or memory is left, or the number of a descriptor is that of another one. What
    /// fails in the child is in the report.
    pub fn start(
        &self,
        placement: Placement<'_>,
        streams: Streams<'_>,
        tray: Option<&Arc<Tray>>,
    ) -> io::Result<Started> {
        let (reader, writer) = pipe()?;
        let start = |placement| self.clone_in(placement, streams, writer.as_fd(), tray);
        let (started, placed) = match placement {
            Placement::Parents => (start(placement), true),
            Placement::Moves(_) | Placement::Follows(_) => (start(placement), false),
            Placement::Born(cgroup) => match start(placement) {
                Err(error) if refused(&error) => (start(Placement::Moves(cgroup)), false),
                started => (started, true),
            },
        };
        let (pid, pidfd, laid) = started?;
        Ok(Started {
            pid,
            pidfd,
            report: ReportPipe::new(reader, laid),
            placed,
        })
    }

    /// Clones the child, by the tray if that has room for all that it needs.
    fn clone_in(
        &self,
        placement: Placement<'_>,
        streams: Streams<'_>,
        report: BorrowedFd<'_>,
        tray: Option<&Arc<Tray>>,
    ) -> io::Result<(u32, OwnedFd, Option<Laid>)> {
        let (born, own_move) = match placement {
            Placement::Parents => (None, None),
            Placement::Born(cgroup) => (Some(cgroup), None),
            Placement::Moves(cgroup) => (None, Some((cgroup, false))),
            Placement::Follows(cgroup) => (None, Some((cgroup, true))),
        };
        let needed = Needed {
            streams,
            own_move,
            report,
        };
        // None of them is where another one is to be put.
        let first_free = first_free(streams)?;
        let child = |numbers: &Numbers, share| {
            let child = Child {
                prepared: self,
                numbers,
                share,
            };
            child.clone3(born)
        };
        if let Some(laid) = tray.map(Tray::begin) {
            let place = |one: BorrowedFd<'_>| {
                let place = laid.put(one, first_free);
                place.ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))
            };
            if let Ok(numbers) = self.numbers(needed, place) {
                let cloned = child(&numbers, Some(laid.share()));
                let (pid, pidfd) = cloned.inspect_err(|_| laid.take_off())?;
                return Ok((pid, pidfd, Some(laid)));
            }
            laid.take_off();
        }
        let are_in_the_way = !streams.passed.is_empty() || streams.numbered.is_some();
        let mut lifted = Vec::new();
        let numbers = self.numbers(needed, |one| {
            if !are_in_the_way {
                return Ok(one.as_raw_fd());
            }
            let copy = lift(one, first_free)?;
            let number = copy.as_raw_fd();
            lifted.push(copy);
            Ok(number)
        })?;
        let (pid, pidfd) = child(&numbers, None)?;
        Ok((pid, pidfd, None))
    }

    /// The numbers of all that the child needs, once each has its place.
    fn numbers(
        &self,
        needed: Needed<'_>,
        mut place: impl FnMut(BorrowedFd<'_>) -> io::Result<RawFd>,
    ) -> io::Result<Numbers> {
        let streams = needed.streams;
        let output = place(streams.output)?;
        let error = match streams.error {
            Some(error) if error.as_raw_fd() != streams.output.as_raw_fd() => place(error)?,
            _ => output,
        };
        let joined = self.joined.iter().map(AsFd::as_fd);
        Ok(Numbers {
            input: streams.input.map(&mut place).transpose()?,
            output,
            error,
            passed: (streams.passed.iter().copied())
                .map(&mut place)
                .collect::<io::Result<_>>()?,
            numbered: match streams.numbered {
                Some((number, one)) => Some((number, place(one)?)),
                None => None,
            },
            joined: joined.map(&mut place).collect::<io::Result<_>>()?,
            own_move: match needed.own_move {
                Some((cgroup, waits)) => Some(Move::into(place(cgroup)?, waits)),
                None => None,
            },
            report: place(needed.report)?,
        })
    }

    /// Executes it in this process's own place: program, arguments and environment count, the rest
    /// stays as it is. Allocates nothing. Returns only with the reason why it could not be done.
    #[must_use]
    pub fn execute(&self) -> io::Error {
        // SAFETY: the pointers are to strings that end in NUL, in arrays that end in a null pointer,
        // all of which `self` owns.
        unsafe {
            libc::execve(
                self.program.as_ptr(),
                self.argv.pointers.as_ptr(),
                self.environment.pointers.as_ptr(),
            );
        }
        io::Error::last_os_error()
    }
}

/// The first number that none of them is to have.
fn first_free(streams: Streams<'_>) -> io::Result<usize> {
    let first_free = 3 + streams.passed.len();
    match streams.numbered {
        None => Ok(first_free),
        Some((number, _)) => match usize::try_from(number) {
            Ok(number) if number >= first_free => Ok(number + 1),
            _ => Err(io::Error::other(format!(
                "its descriptor {number} is one of those that it is given in any case"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    /// Runs it with a copy of our descriptors, and by a tray: the same comes of both.
    fn run(argv: &[&str], adjust: impl Fn(Prepared) -> Prepared) -> (Report, Exit, String) {
        let copied = run_by(None, argv, &adjust);
        let (_turn, tray) = tray::tests::only();
        assert_eq!(run_by(Some(&tray), argv, &adjust), copied);
        copied
    }

    fn run_by(
        tray: Option<&Arc<Tray>>,
        argv: &[&str],
        adjust: &impl Fn(Prepared) -> Prepared,
    ) -> (Report, Exit, String) {
        let files = OpenFiles { soft: 64, hard: 64 };
        let own = Credentials {
            // SAFETY: these calls cannot fail.
            uid: unsafe { libc::getuid() },
            // SAFETY: as above.
            gid: unsafe { libc::getgid() },
            groups: Vec::new(),
        };
        let argv = argv.iter().map(OsStr::new);
        let prepared = adjust(Prepared::new(argv, [("A", "b")], own, files).unwrap());
        let (reader, writer) = pipe().unwrap();
        let streams = Streams {
            input: None,
            output: writer.as_fd(),
            error: None,
            passed: &[],
            numbered: None,
        };
        let started = prepared.start(Placement::Parents, streams, tray).unwrap();
        drop(writer);
        let mut report = Report::Pending;
        let mut exit = None;
        while report == Report::Pending || exit.is_none() {
            if let Some(tray) = tray {
                tray.clear();
            }
            if report == Report::Pending {
                report = started.report.read().unwrap();
            }
            if exit.is_none() {
                exit = reap_pidfd(started.pidfd.as_fd()).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        (report, exit.unwrap(), text)
    }

    #[test]
    fn the_environment_is_exact_and_no_descriptor_leaks() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return a_missing_program_is_reported(); // setgroups needs root
        }
        let script = "echo $A $HOME; ls /proc/self/fd | wc -w; ulimit -n; pwd; exit 3";
        let (report, exit, text) = run(&["/bin/sh", "-c", script], |p| {
            p.directory("/tmp", false).unwrap()
        });
        assert_eq!((report, exit), (Report::Executed, Exit::Status(3)));
        assert_eq!(text, "b\n4\n64\n/tmp\n");
    }

    #[test]
    fn bounds_and_privileges() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return a_missing_program_is_reported(); // all of it needs root
        }
        let script = "umask; ulimit -c; cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj; \
            grep -E '^(Uid|CapInh|CapPrm|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status | tr '\\t' ' '";
        let net_bind = 1 << 10;
        let attributes = Attributes {
            umask: 0o077,
            limits: vec![ResourceLimit {
                resource: 4,
                soft: 1024,
                hard: u64::MAX,
            }],
            nice: Some(5),
            oom_score_adjust: Some("300".to_owned()),
            ambient: net_bind,
            bounding: net_bind,
            no_new_privileges: true,
            ..Attributes::default()
        };
        let (report, exit, text) = run(&["/bin/sh", "-c", script], |mut p| {
            p.credentials.uid = 4711;
            p.credentials.gid = 4711;
            p.attributes(attributes.clone())
        });
        assert_eq!((report, exit), (Report::Executed, Exit::Status(0)));
        assert_eq!(
            text,
            "0077\n2\n5\n300\nUid: 4711 4711 4711 4711\nCapInh: 0000000000000400\n\
             CapPrm: 0000000000000400\nCapBnd: 0000000000000400\nCapAmb: 0000000000000400\n\
             NoNewPrivs: 1\n"
        );
    }

    #[test]
    fn a_missing_program_is_reported() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } == 0 {
            let (report, exit, _) = run(&["/nonexistent"], |p| p);
            let failure = Failure {
                step: "execute the program".to_owned(),
                errno: libc::ENOENT,
            };
            assert_eq!(report, Report::Failed(failure));
            assert_eq!(exit, Exit::Status(127));
        }
    }

    #[test]
    fn a_view_and_users_of_its_own() {
        // SAFETY: this call cannot fail.
        if unsafe { libc::getuid() } != 0 {
            return a_missing_program_is_reported(); // mounts need root
        }
        let folder = "/tmp".into();
        let step = |change| Step {
            change,
            optional: false,
        };
        let confinement = Confinement {
            view: vec![
                step(Change::FileSystem {
                    kind: "tmpfs",
                    at: folder,
                    access: Access::NO_EXEC,
                    options: "mode=0755".to_owned(),
                }),
                step(Change::Folder("/tmp/folder".into(), 0o755)),
                step(Change::Access {
                    at: "/".into(),
                    tree: true,
                    forbid: Access::READ_ONLY,
                    allow: Access::FREE,
                }),
                Step {
                    change: Change::Bind {
                        from: "/nonexistent".into(),
                        at: "/tmp".into(),
                        tree: true,
                    },
                    optional: true,
                },
            ],
            own: vec![Own::Network, Own::Users],
            ..Confinement::default()
        };
        let script = "ls /tmp; mkdir /tmp/x 2>&1 | grep -o Read-only; id -u; cat /proc/self/uid_map; \
            grep -c : /proc/net/dev";
        let (report, exit, text) = run(&["/bin/sh", "-c", script], |mut p| {
            p.credentials.uid = 4711;
            p.confined(&confinement).unwrap()
        });
        assert_eq!(report, Report::Executed, "{text}");
        assert_eq!(exit, Exit::Status(0), "{text}");
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines.join("\n"),
            "folder\nRead-only\n4711\n0 0 1\n4711 4711 1\n1"
        );

        let missing = Confinement {
            view: vec![step(Change::Bind {
                from: "/nonexistent".into(),
                at: "/tmp".into(),
                tree: true,
            })],
            ..Confinement::default()
        };
        let (report, _, _) = run(&["/bin/true"], |p| p.confined(&missing).unwrap());
        let failure = Failure {
            step: "show /nonexistent to it as /tmp".to_owned(),
            errno: libc::ENOENT,
        };
        assert_eq!(report, Report::Failed(failure));
    }
}
