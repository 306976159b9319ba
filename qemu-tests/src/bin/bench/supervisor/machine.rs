//! A machine of namespaces with a contestant as PID 1: its root directory is a Debian system below
//! files of the contestant's, and what is written there is in memory.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cairn_system::control::{Request, Response};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::contestant::{Contestant, Stop};
use crate::namespaces::Namespaces;

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_mins(2);

/// What services are called in lists of processes.
const SERVICE: &str = "service";

/// What the namespaces' first process does before it becomes PID 1: it waits for its users, mounts,
/// and says when it begins. `$1` is the Debian system, `$2` the contestant's files, `$3` a folder to
/// mount at; the rest is executed.
const SETUP: &str = r#"
echo ready
read go
mount -t tmpfs tmpfs "$3" && cd "$3" && mkdir upper work root || exit 90
mount -t overlay overlay -o "lowerdir=$2:$1,upperdir=$3/upper,workdir=$3/work" root && cd root || exit 91
mount -t proc proc proc && mount -t sysfs sysfs sys && mount --rbind /dev dev || exit 92
mount -t tmpfs tmpfs run && mount -t tmpfs tmpfs tmp || exit 93
mount -t cgroup2 cgroup2 sys/fs/cgroup || exit 94
mkdir -p bench var/log/cairn && mount --bind "$2/bench" bench || exit 95
pivot_root . . && umount -l . && cd / || exit 96
shift 3
/service mark
exec env -i container=bench PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"#;

/// One start of the service program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// When, on the monotonic clock.
    pub at: Duration,
}

/// The namespaces, and who is PID 1 in them.
#[derive(Debug)]
pub struct Machine {
    started: PathBuf,
    namespaces: Namespaces,
    /// PID 1.
    pub first: Process,
}

impl Machine {
    /// Starts `contestant` with the files of `layer` above the system `debian`.
    pub fn start(contestant: Contestant, debian: &Path, layer: &Path) -> anyhow::Result<Self> {
        let (bench, mounts) = (layer.join("bench"), layer.with_extension("mounts"));
        for folder in [&bench, &mounts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let started = bench.join("started");
        fs::write(&started, "").with_context(|| format!("cannot write {}", started.display()))?;
        let folders = [debian, layer, &mounts].map(Path::as_os_str);
        let program = contestant.program().iter().map(OsStr::new);
        let namespaces = Namespaces::start(SETUP, folders.into_iter().chain(program))?;
        let first = Process(u32::try_from(namespaces.first.as_raw())?);
        Ok(Self {
            started,
            namespaces,
            first,
        })
    }

    /// Every start of a service so far; the first is the moment in which PID 1 was executed.
    pub fn starts(&self) -> anyhow::Result<Vec<Start>> {
        let bytes = fs::read(&self.started)
            .with_context(|| format!("cannot read {}", self.started.display()))?;
        let (records, _) = bytes.as_chunks::<16>();
        let time = |record: &[u8; 16]| record.first_chunk().map(|time| u64::from_le_bytes(*time));
        let times = records.iter().filter_map(time).map(Duration::from_nanos);
        Ok(times.map(|at| Start { at }).collect())
    }

    /// How many starts there were, the first process's included.
    pub fn count(&self) -> anyhow::Result<usize> {
        let metadata = fs::metadata(&self.started)
            .with_context(|| format!("cannot read {}", self.started.display()))?;
        Ok(usize::try_from(metadata.len() / 16)?)
    }

    /// Waits for the services' start number `count`; looks every `pause`.
    pub fn wait_for(&self, count: usize, pause: Duration) -> anyhow::Result<()> {
        let (mut progress, mut before) = (Instant::now(), 0);
        while before <= count {
            let so_far = self.count()?;
            if so_far != before {
                (progress, before) = (Instant::now(), so_far);
            }
            ensure!(
                progress.elapsed() < PATIENCE,
                "only {so_far} of {count} starts of a service"
            );
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Has services that crash wait instead, and waits until all of them do.
    pub fn rest(&self) -> anyhow::Result<()> {
        let file = self.started.with_file_name("rest");
        fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
        let mut before = 0;
        while before != self.count()? {
            before = self.count()?;
            // Longer than any of them is left alone before its next start.
            std::thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Has them crash again.
    pub fn go_on(&self) -> anyhow::Result<()> {
        let file = self.started.with_file_name("rest");
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        for service in self.processes()?.0 {
            service.kill(nix::libc::SIGKILL)?;
        }
        Ok(())
    }

    /// Services and those who look after them.
    pub fn processes(&self) -> anyhow::Result<(Vec<Process>, Vec<Process>)> {
        let namespace =
            fs::read_link(format!("/proc/{}/ns/pid", self.first.0)).context("PID 1 has ended")?;
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc").context("cannot list /proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has ended meanwhile is none.
            if fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|found| found == namespace) {
                all.push(Process(pid));
            }
        }
        Ok(all.into_iter().partition(|process| process.is_service()))
    }

    /// Runs a command inside, and tells how long it took.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Duration> {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.first.0.to_string()])
            .args(["-U", "-m", "-p", "-n", "-u", "-i", "--root", "--wd"])
            .args(words);
        crate::timed(&mut command)
    }

    /// Asks the supervisor; nothing if it is not there.
    pub fn try_request(&self, request: &Request) -> anyhow::Result<Option<Response>> {
        let path = format!("/proc/{}/root/run/cairn/control", self.first.0);
        let Ok(mut stream) = UnixStream::connect(path) else {
            return Ok(None);
        };
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let mut answer = String::new();
        let said = stream
            .write_all(&line)
            .and_then(|()| stream.read_to_string(&mut answer));
        // A connection that ends is a supervisor that has.
        Ok(said.ok().and_then(|_| Response::parse(&answer).ok()))
    }

    /// Asks it until it answers.
    pub fn request(&self, request: &Request) -> anyhow::Result<Response> {
        let begin = Instant::now();
        loop {
            if let Some(response) = self.try_request(request)? {
                return Ok(response);
            }
            ensure!(begin.elapsed() < PATIENCE, "the supervisor does not answer");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Asks for the end, and waits for it: how long that took.
    pub fn stop(mut self, stop: Stop) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        let signal = match stop {
            Stop::Signal(signal) => signal,
            Stop::File(name) => {
                let file = PathBuf::from(format!("/proc/{}/root/{name}", self.first.0));
                fs::write(&file, "")
                    .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o100)))
                    .with_context(|| format!("cannot write {}", file.display()))?;
                nix::libc::SIGCONT
            }
        };
        self.first.kill(signal)?;
        while self.namespaces.run()? {
            if begin.elapsed() > PATIENCE {
                bail!("it does not end");
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(begin.elapsed())
    }
}

/// A process, by its number on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    fn is_service(self) -> bool {
        self.read("comm")
            .is_ok_and(|name| name.trim_end() == SERVICE || name.trim_end() == "run")
    }

    pub fn is_called(self, name: &str) -> bool {
        self.read("comm")
            .is_ok_and(|found| found.trim_end() == name)
    }

    pub fn kill(self, signal: i32) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.0)?);
        // The C library has no name for real-time signals.
        if let Ok(signal) = Signal::try_from(signal) {
            return kill(pid, signal).with_context(|| format!("cannot end process {pid}"));
        }
        let status = Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status()
            .context("cannot run kill")?;
        ensure!(status.success(), "cannot send signal {signal} to {pid}");
        Ok(())
    }

    /// A field of `status` or `smaps_rollup`: kilobytes, or a number.
    pub fn field(self, file: &str, name: &str) -> anyhow::Result<f64> {
        let text = self.read(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.strip_prefix(':')?.split_whitespace().next());
        let value = value.with_context(|| format!("{file} of {} has no {name}", self.0))?;
        Ok(value.parse()?)
    }

    /// How often it was given a processor.
    pub fn wakeups(self) -> anyhow::Result<f64> {
        Ok(self.field("status", "voluntary_ctxt_switches")?
            + self.field("status", "nonvoluntary_ctxt_switches")?)
    }

    /// Time on processors, in nanoseconds.
    pub fn work(self) -> anyhow::Result<f64> {
        let text = self.read("schedstat")?;
        let first = text.split_whitespace().next();
        Ok(first.context("schedstat is empty")?.parse()?)
    }

    /// Open descriptors.
    pub fn descriptors(self) -> anyhow::Result<usize> {
        let path = format!("/proc/{}/fd", self.0);
        Ok(fs::read_dir(&path)
            .with_context(|| format!("cannot list {path}"))?
            .count())
    }
}
