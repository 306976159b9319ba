//! A machine without a machine: core as PID 1 of its own user, process, mount, network and control
//! group namespaces, driven from outside.
//!
//! Nothing of the host is touched but a subtree of its cgroup v2 hierarchy, which is removed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    reason = "a test's support fails the test"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use cairn_system::ServiceName;
use cairn_system::control::{BOOT_MARK, Request, Response, ServiceState, ServiceStatus};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What the namespaces' first process does before it becomes core: it waits for its user mapping,
/// and mounts what stage 2 would have mounted.
const SETUP: &str = r#"
echo ready
read go
mount -t proc proc /proc || exit 90
mount -t tmpfs tmpfs /run || exit 90
mount -t tmpfs tmpfs /var/lib || exit 90
mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 91
mkdir -p "$1/log"
mount --bind "$1/log" /var/log || exit 90
eval "$2" || exit 92
exec "$1/cairn-core" "$1"
"#;

/// The namespaces, and core in them.
pub struct Machine {
    directory: tempfile::TempDir,
    cgroup: PathBuf,
    outer: Child,
    _stdin: ChildStdin,
    /// Core's number on the host.
    pub core: u32,
}

impl Machine {
    /// Starts core with a `system.json` of these services (JSON, in a list).
    pub fn boot(services: &str) -> Self {
        Self::boot_with(services, "")
    }

    /// The same with further fields of the description, each after a comma.
    pub fn boot_with(services: &str, more: &str) -> Self {
        Self::boot_on(services, more, ":")
    }

    /// The same on a machine to which something is done before core starts: shell commands, `$1` is the
    /// shared folder.
    pub fn boot_on(services: &str, more: &str, before: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Other users' services, if any, must get through to what they execute.
        set_mode(directory.path(), 0o755);
        std::os::unix::fs::symlink(core_program(), directory.path().join("cairn-core")).unwrap();
        write_generation(directory.path(), services, more);
        let cgroup = make_cgroup();
        let mut outer = Command::new("sh")
            .arg("-c")
            .arg("echo $$ > \"$2/cgroup.procs\" && exec unshare --user --mount --pid --net --ipc --cgroup --fork --kill-child sh -c \"$3\" setup \"$1\" \"$4\"")
            .arg("enter")
            .arg(directory.path())
            .arg(&cgroup)
            .arg(SETUP)
            .arg(before)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(outer.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(
            line,
            "ready\n",
            "cannot make namespaces: user namespaces must be allowed, and {} writable",
            cgroup.display()
        );
        map_users(outer.id());
        let mut stdin = outer.stdin.take().unwrap();
        stdin.write_all(b"go\n").unwrap();
        let core = only_child(outer.id());
        let machine = Self {
            directory,
            cgroup,
            outer,
            _stdin: stdin,
            core,
        };
        machine.wait_until("the control socket answers", |machine| {
            machine.try_request(&Request::Status).is_some()
        });
        machine
    }

    /// A file of the machine, as the host sees it.
    pub fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.core))
    }

    /// The shared folder: the same path inside and outside.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Another generation of the machine: its toplevel.
    pub fn generation(&self, name: &str, services: &str) -> String {
        self.generation_with(name, services, "")
    }

    /// The same with further fields of the description, each after a comma.
    pub fn generation_with(&self, name: &str, services: &str, more: &str) -> String {
        let toplevel = self.folder().join(name);
        fs::create_dir(&toplevel).unwrap();
        write_generation(&toplevel, services, more);
        toplevel.to_str().unwrap().to_owned()
    }

    /// One with a program of its own, which is the same under another name.
    pub fn generation_with_program(&self, name: &str, services: &str) -> String {
        let toplevel = self.generation(name, services);
        let core = Path::new(&toplevel).join("core");
        fs::remove_file(&core).unwrap();
        if fs::hard_link(core_program(), &core).is_err() {
            fs::copy(core_program(), &core).unwrap();
        }
        toplevel
    }

    /// Lets user space of a generation start once: what stage 2 would be does nothing but become core, with what
    /// another one has left.
    pub fn let_user_space_start(toplevel: &str) {
        let init = Path::new(toplevel).join("init");
        let kept = init.with_file_name("init.kept");
        if !kept.exists() {
            fs::rename(&init, &kept).unwrap();
            // A shell cannot give a program another name than its file's; the first generation's folder has it.
            let named = init.with_file_name("cairn-core");
            if !named.exists() {
                std::os::unix::fs::symlink("core", named).unwrap();
            }
        } else if init.exists() {
            fs::remove_file(&init).unwrap();
        }
        let stage_2 = format!(
            "#!/bin/sh\nset -e\n[ $$ = 1 ]\ntest -e /run/cairn/restarted\n\
             ls /proc | grep '^[0-9]' > {toplevel}/processes\n\
             ln -sfn init.kept {toplevel}/init\nexec {toplevel}/cairn-core {toplevel} \"$@\"\n"
        );
        fs::write(&init, stage_2).unwrap();
        set_mode(&init, 0o755);
    }

    /// Starts user space of a generation again, and waits until everything has settled: what is in trouble then.
    pub fn start_again(&self, toplevel: &str) -> Vec<String> {
        Self::let_user_space_start(toplevel);
        let toplevel = toplevel.to_owned();
        self.do_it(&Request::RestartUserSpace {
            toplevel: toplevel.clone(),
        });
        self.wait_until("user space has started again", |machine| {
            !Path::new(&toplevel)
                .join("init")
                .metadata()
                .is_ok_and(|file| file.len() < 4096)
                && matches!(machine.try_request(&Request::Status),
                    Some(Response::Status { toplevel: now, .. }) if now == toplevel)
        });
        self.settle()
    }

    /// Switches to a generation, as `cairn switch` does but for the activation, and waits until
    /// everything has settled: what is in trouble then.
    pub fn switch(&self, toplevel: &str) -> Vec<String> {
        let toplevel = toplevel.to_owned();
        let prepare = Request::PrepareSwitch {
            toplevel: toplevel.clone(),
        };
        assert_eq!(self.request(&prepare), Response::Done);
        assert_eq!(self.request(&Request::Switch { toplevel }), Response::Done);
        self.settle()
    }

    /// Waits until everything has settled: what is in trouble then.
    pub fn settle(&self) -> Vec<String> {
        let start = Instant::now();
        loop {
            match self.try_request(&Request::Settle) {
                Some(Response::Settled { failed }) => {
                    return failed.into_iter().map(|s| s.name.to_string()).collect();
                }
                // A switch has come in between.
                None if start.elapsed() < PATIENCE => {}
                other => panic!(
                    "{other:?} is no answer to settle: {:?}",
                    self.try_request(&Request::Status)
                ),
            }
        }
    }

    /// The generation whose services run.
    pub fn toplevel(&self) -> String {
        let start = Instant::now();
        loop {
            match self.try_request(&Request::Status) {
                Some(Response::Status { toplevel, .. }) => return toplevel,
                other => assert!(start.elapsed() < PATIENCE, "{other:?}"),
            }
        }
    }

    /// A connection to the control socket.
    pub fn connect(&self) -> Option<UnixStream> {
        UnixStream::connect(self.inside("/run/cairn/control")).ok()
    }

    /// Asks the supervisor, which may not be there.
    pub fn try_request(&self, request: &Request) -> Option<Response> {
        Self::try_request_to(self.connect()?, request)
    }

    /// Asks the supervisor at the other end.
    pub fn try_request_to(mut stream: UnixStream, request: &Request) -> Option<Response> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = serde_json::to_vec(request).unwrap();
        line.push(b'\n');
        stream.write_all(&line).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Response::parse(&answer).ok()
    }

    /// Asks the supervisor.
    pub fn request(&self, request: &Request) -> Response {
        self.try_request(request).expect("the supervisor answers")
    }

    /// Asks for something that works out.
    pub fn do_it(&self, request: &Request) {
        assert_eq!(self.request(request), Response::Done);
    }

    /// The states of all services.
    pub fn status(&self) -> Vec<ServiceStatus> {
        let start = Instant::now();
        loop {
            match self.try_request(&Request::Status) {
                Some(Response::Status { services, .. }) => return services,
                other => assert!(start.elapsed() < PATIENCE, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One service's state.
    pub fn service(&self, name: &str) -> ServiceStatus {
        let all = self.status();
        let found = all
            .into_iter()
            .find(|service| service.name.as_str() == name);
        found.unwrap_or_else(|| panic!("there is a service {name}"))
    }

    /// Waits until the service is in this state.
    pub fn wait_for(&self, name: &str, state: ServiceState) -> ServiceStatus {
        self.wait_until(&format!("{name} is {state:?}"), |machine| {
            machine.service(name).state == state
        });
        self.service(name)
    }

    /// Waits until `condition` holds.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}; core lives: {}; {:?}",
                Path::new(&format!("/proc/{}", self.core)).exists(),
                self.try_request(&Request::Status)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The service's log, without the marks of boots.
    pub fn log(&self, name: &str) -> String {
        let text = ["log.1", "log"].map(|kind| {
            let path = self
                .directory
                .path()
                .join(format!("log/cairn/{name}.{kind}"));
            fs::read_to_string(path).unwrap_or_default()
        });
        let text = text.concat();
        let lines = text.split_inclusive('\n');
        lines.filter(|line| !line.starts_with(BOOT_MARK)).collect()
    }

    /// The number on the host of a process of the machine.
    pub fn on_host(&self, pid: u32) -> u32 {
        all_processes()
            .into_iter()
            .find(|candidate| {
                let Ok(status) = fs::read_to_string(format!("/proc/{candidate}/status")) else {
                    return false;
                };
                let ours = fs::read_link(format!("/proc/{candidate}/ns/pid")).ok()
                    == fs::read_link(format!("/proc/{}/ns/pid", self.core)).ok();
                ours && status
                    .lines()
                    .find_map(|line| line.strip_prefix("NSpid:"))
                    .and_then(|numbers| numbers.split_whitespace().last())
                    == Some(&pid.to_string())
            })
            .unwrap_or_else(|| panic!("process {pid} lives"))
    }

    /// Runs shell commands inside, as root: what they print.
    pub fn inside_run(&self, commands: &str) -> String {
        let output = Command::new("nsenter")
            .arg(format!("--target={}", self.core))
            .args([
                "--user", "--mount", "--pid", "--net", "--ipc", "sh", "-c", commands,
            ])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}: {text}{errors}");
        text
    }

    /// Kills the supervisor with this signal, and waits for another one.
    pub fn replace_supervisor(&self, signal: i32) {
        let before = self.supervisor().unwrap();
        self.kill(before, signal);
        self.wait_until("there is another supervisor", |machine| {
            machine.supervisor().is_some_and(|pid| pid != before)
                && machine.try_request(&Request::Status).is_some()
        });
    }

    /// Sends a signal to a process, by its number on the host.
    pub fn kill(&self, pid: u32, signal: i32) {
        assert_ne!(pid, self.outer.id(), "that is the host's");
        cairn_sys::signal::send(pid, signal).unwrap();
    }

    /// The supervisor's number on the host.
    pub fn supervisor(&self) -> Option<u32> {
        children(self.core).into_iter().find(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with(b"cairn-supervisor\0"))
        })
    }

    /// Whether it has not ended.
    pub fn lives(&mut self) -> bool {
        self.outer.try_wait().unwrap().is_none()
    }

    /// Waits for the machine's end: the signal that the kernel reports for it, SIGHUP for a reboot
    /// and SIGINT for halt and power off.
    pub fn ended(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.outer.try_wait().unwrap() {
                return status.signal();
            }
            assert!(start.elapsed() < PATIENCE, "the machine ends");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // PID 1's end ends all; `unshare` dies with it.
        if self.outer.try_wait().unwrap().is_none() {
            cairn_sys::signal::send(self.core, 9).unwrap();
            self.outer.wait().unwrap();
        }
        let start = Instant::now();
        while remove_tree(&self.cgroup).is_err() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A program that does nothing.
pub const SLEEP: &str = "exec sleep 1000000";

/// Of a service that is not started at boot.
pub const LATER: &str = r#""wantedAtBoot":false"#;

pub fn start(service: &str) -> Request {
    Request::Start {
        name: name(service),
    }
}

pub fn stop(service: &str) -> Request {
    Request::Stop {
        name: name(service),
    }
}

/// A command as JSON, which adds `word` and a space to the file of the machine's story.
pub fn tells(word: &str) -> String {
    let script = format!("printf \"{word} \" >> /var/log/story");
    serde_json::json!({ "argv": ["/bin/sh", "-c", script] }).to_string()
}

/// What commands have told by now.
pub fn story(machine: &Machine) -> String {
    fs::read_to_string(machine.folder().join("log/story")).unwrap_or_default()
}

/// Why something could not be done.
pub fn reason(response: Response) -> String {
    match response {
        Response::Failed { reason } => reason,
        other => panic!("{other:?} is no failure"),
    }
}

/// The program under test: this build's, or the one that `CAIRN_CORE` names (a release build, to
/// measure).
pub fn core_program() -> PathBuf {
    std::env::var_os("CAIRN_CORE")
        .map_or_else(|| env!("CARGO_BIN_EXE_cairn-core").into(), PathBuf::from)
}

fn remove_tree(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A cgroup of our own, below the one that this process is in.
fn make_cgroup() -> PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts
        .lines()
        .find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (fields.get(2) == Some(&"cgroup2")).then(|| fields[1].to_owned())
        })
        .expect("cgroup2 is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("cairn-test-{}-{number}", std::process::id());
    let path = Path::new(&mount)
        .join(own.trim_start_matches('/'))
        .join(name);
    fs::create_dir(&path).unwrap_or_else(|error| {
        panic!(
            "cannot make the cgroup {}: {error}; run as root, or with systemd-run --user --scope -p Delegate=yes",
            path.display()
        )
    });
    path
}

/// Root is the caller; the caller's other ids, if it has any, are mapped to themselves.
fn map_users(pid: u32) {
    let root = fs::metadata("/proc/self")
        .map(|m| std::os::unix::fs::MetadataExt::uid(&m))
        .unwrap()
        == 0;
    let map = |file: &str, text: &str| {
        File::create(format!("/proc/{pid}/{file}"))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap();
    };
    if root {
        map("uid_map", "0 0 65536");
        map("gid_map", "0 0 65536");
    } else {
        let metadata = fs::metadata("/proc/self").unwrap();
        map("setgroups", "deny");
        map(
            "uid_map",
            &format!("0 {} 1", std::os::unix::fs::MetadataExt::uid(&metadata)),
        );
        map(
            "gid_map",
            &format!("0 {} 1", std::os::unix::fs::MetadataExt::gid(&metadata)),
        );
    }
}

fn only_child(pid: u32) -> u32 {
    let start = Instant::now();
    loop {
        if let [child] = children(pid).as_slice() {
            return *child;
        }
        assert!(start.elapsed() < PATIENCE, "unshare has a child");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn all_processes() -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .collect()
}

/// A field of `/proc/<pid>/status`, in its unit.
pub fn status_field(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// A service's name.
pub fn name(name: &str) -> ServiceName {
    ServiceName::try_from(name).unwrap()
}

/// One service as JSON: a shell script, and further fields.
pub fn script(name: &str, script: &str, more: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    let defaults = [
        (r#""kind""#, r#""kind":"simple""#),
        (r#""wantedAtBoot""#, r#""wantedAtBoot":true"#),
    ];
    let defaults: String = defaults
        .iter()
        .filter(|(key, _)| !more.contains(key))
        .map(|(_, field)| format!(",{field}"))
        .collect();
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(",{more}")
    };
    format!(
        r#"{{"name":"{name}","process":{{"argv":["/bin/sh","-c",{script}],"environment":{{"PATH":"/usr/bin:/bin"}}}}{defaults}{more}}}"#
    )
}

/// A service in Python that can say something of itself.
pub fn speaker(name: &str, body: &str, more: &str) -> String {
    let program = format!(
        "import os, signal, socket, time\ndef say(text):\n  \
           s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n  \
           s.sendto(text, os.environ[\"NOTIFY_SOCKET\"])\n{body}"
    );
    script(name, &format!("exec python3 -c '{program}'"), more)
}

fn write_generation(toplevel: &Path, services: &str, more: &str) {
    let init = Path::new(env!("CARGO_BIN_EXE_cairn-init"));
    for (name, program) in [
        ("init", init),
        ("user-services", init),
        ("watchdog", init),
        ("syslogd", init),
        ("core", &core_program()),
    ] {
        std::os::unix::fs::symlink(program, toplevel.join(name)).unwrap();
    }
    fs::write(toplevel.join("system.json"), description(services, more)).unwrap();
}

fn description(services: &str, more: &str) -> String {
    format!(
        r#"{{"version":1,"label":"test","hostName":"test","fileSystems":[],
        "users":[{{"name":"nobody","isSystemUser":true,"group":"nogroup","home":"/","shell":"/bin/sh"}}],
        "groups":[{{"name":"nogroup"}},{{"name":"operator"}},{{"name":"sudo"}}],"binSh":"/bin/sh","usrBinEnv":"/usr/bin/env",
        "services":[{services}]{more}}}"#
    )
}
