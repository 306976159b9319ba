//! What breaks around PID 1 and its supervisor, and what services do to them: the services that are well
//! go on, and whoever asks is answered.

#![expect(clippy::unwrap_used, reason = "functions of a test fail the test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use cairn_system::control::{Request, Response, ServiceState};
use namespace::{Machine, children, name, script, status_field};

const SLEEP: &str = "exec sleep 1000000";

/// Makes opening a device fail for everybody, root included: what is there is a socket.
fn break_device(path: &str) -> String {
    format!(
        "perl -e 'use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => $ARGV[0]) or die' \
         \"$1/$(basename {path})\" && mount --bind \"$1/$(basename {path})\" {path}"
    )
}

/// The process of a service, as it was and stays.
fn pid(machine: &Machine, service: &str) -> Option<u32> {
    machine.wait_for(service, ServiceState::Up).pid
}

/// Whether services can be started and stopped as on any machine.
fn works(machine: &Machine) {
    machine.wait_for("a", ServiceState::Up);
    let stopped = machine.request(&Request::Stop { name: name("a") });
    assert_eq!(stopped, Response::Done);
    let started = machine.request(&Request::Start { name: name("a") });
    assert_eq!(started, Response::Done);
    machine.replace_supervisor(9);
    machine.wait_for("a", ServiceState::Up);
}

fn limit(pid: u32, what: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={pid}"))
        .arg(what)
        .status()
        .unwrap();
    assert!(status.success(), "prlimit {what}");
}

#[test]
fn a_machine_without_kernel_log_and_console() {
    let before = format!(
        "{} && {}",
        break_device("/dev/kmsg"),
        break_device("/dev/console")
    );
    let machine = Machine::boot_on(&script("a", SLEEP, ""), "", &before);
    let opened = machine.inside_run("echo x > /dev/kmsg || echo x > /dev/console || echo refused");
    assert_eq!(opened, "refused\n");
    works(&machine);
    let stubborn = Request::PowerOff;
    assert_eq!(machine.request(&stubborn), Response::Done);
    assert_eq!(machine.ended(), Some(2));
}

#[test]
fn a_machine_without_control_groups() {
    let before = "umount /sys/fs/cgroup && mount -t tmpfs -o ro tmpfs /sys/fs/cgroup";
    let stubborn = "trap '' TERM; while :; do sleep 1000; done";
    let services = [
        script("a", SLEEP, ""),
        script("stubborn", stubborn, r#""stopTimeoutMs":300"#),
    ];
    let machine = Machine::boot_on(&services.join(","), "", before);
    works(&machine);
    machine.wait_for("stubborn", ServiceState::Up);
    let stopped = machine.request(&Request::Stop {
        name: name("stubborn"),
    });
    assert_eq!(stopped, Response::Done);
    let status = machine.service("stubborn");
    assert_eq!(status.last_exit.as_deref(), Some("signal 9"));
}

#[test]
fn a_machine_with_a_root_that_cannot_be_written() {
    let before = "umount /var/log && mount -o remount,ro,bind /";
    let machine = Machine::boot_on(&script("a", "echo hello; exec sleep 1000", ""), "", before);
    let written = machine.inside_run("touch /var/log/x 2>/dev/null || echo refused");
    assert_eq!(written, "refused\n");
    works(&machine);
    assert_eq!(machine.request(&Request::Reboot), Response::Done);
    assert_eq!(machine.ended(), Some(1));
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let ticks = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
    let services = [script("a", SLEEP, ""), script("ticker", ticks, "")];
    let before = "mount -t tmpfs -o size=64k tmpfs /var/log && mkdir /var/log/cairn && \
        head -c 1M /dev/zero > /var/log/filler 2>/dev/null; true";
    let machine = Machine::boot_on(&services.join(","), "", before);
    let ticker = pid(&machine, "ticker");
    // The supervisor's own folder is full, too.
    machine.inside_run("mount -o remount,size=8k /run; head -c 1M /dev/zero > /run/filler; true");
    works(&machine);
    assert_eq!(pid(&machine, "ticker"), ticker);
    machine.inside_run("rm /var/log/filler");
    machine.wait_until("lines are written again", |machine| {
        machine
            .inside_run("cat /var/log/cairn/ticker.log 2>/dev/null || true")
            .contains("Z tick ")
    });
    assert_eq!(pid(&machine, "ticker"), ticker);
}

#[test]
fn no_descriptor_and_no_memory_are_left() {
    let machine = Machine::boot(&[script("a", SLEEP, ""), script("b", SLEEP, "")].join(","));
    let a = pid(&machine, "a");
    let stop = |service: &str| {
        machine.request(&Request::Stop {
            name: name(service),
        })
    };
    assert_eq!(stop("b"), Response::Done);
    // What it holds already, it keeps; no pipe can be made.
    let supervisor = machine.supervisor().unwrap();
    let is_free = |number: &u32| {
        std::fs::symlink_metadata(format!("/proc/{supervisor}/fd/{number}")).is_err()
    };
    let second = (0..).filter(is_free).nth(1).unwrap();
    limit(supervisor, &format!("--nofile={second}:"));
    let answer = machine.request(&Request::Start { name: name("b") });
    let Response::Failed { reason } = answer else {
        panic!("{answer:?} without descriptors")
    };
    assert!(reason.contains("Too many open files"), "{reason}");
    assert_eq!(machine.supervisor(), Some(supervisor));
    limit(supervisor, "--nofile=1024:");
    let start = || machine.request(&Request::Start { name: name("b") });
    assert_eq!(start(), Response::Done);
    // Core cannot get a byte more, nor can what it starts: it tries until there is memory again.
    let core = machine.core;
    let size = status_field(core, "VmSize") * 1024;
    limit(core, &format!("--as={size}:"));
    machine.kill(supervisor, 9);
    machine.wait_until("the supervisor is gone", |machine| {
        machine.supervisor() != Some(supervisor)
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    limit(core, "--as=unlimited:");
    machine.wait_until("another supervisor answers", |machine| {
        machine
            .supervisor()
            .is_some_and(|pid| pid != supervisor && machine.try_request(&Request::Status).is_some())
    });
    assert_eq!(pid(&machine, "a"), a);
}

/// TEST-07 and its kin have daemons that spin then: the next client waits, and nobody is kept busy.
#[test]
fn clients_that_cannot_be_taken_keep_nobody_busy() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    let supervisor = machine.supervisor().unwrap();
    let open = std::fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap();
    limit(supervisor, &format!("--nofile={}:", open.count()));
    let clients: Vec<_> = (0..3).map(|_| machine.connect().unwrap()).collect();
    let busy = || {
        let stat = std::fs::read_to_string(format!("/proc/{supervisor}/stat")).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split(' ');
        let ticks = fields
            .skip(12)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap());
        ticks.sum::<u64>()
    };
    let before = busy();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let ticks = busy() - before;
    assert!(ticks < 20, "{ticks} hundredths of a second in one");
    limit(supervisor, "--nofile=1024:");
    drop(clients);
    machine.wait_until("it answers again", |machine| {
        machine.try_request(&Request::Status).is_some()
    });
    assert_eq!(machine.supervisor(), Some(supervisor));
}

#[test]
fn a_supervisor_that_faults_is_replaced() {
    let machine = Machine::boot(&script("a", SLEEP, ""));
    let a = pid(&machine, "a");
    for signal in [11, 7, 6, 4, 9] {
        // The language's runtime looks at the first fault, and the instruction that faults does so again.
        if matches!(signal, 11 | 7) {
            machine.kill(machine.supervisor().unwrap(), signal);
            machine.status();
        }
        machine.replace_supervisor(signal);
        assert_eq!(pid(&machine, "a"), a, "signal {signal}");
    }
}

#[test]
fn a_storm_of_signals_delays_nobody() {
    let machine = Machine::boot(&script("a", SLEEP, r#""restart":"always""#));
    let a = pid(&machine, "a");
    let supervisor = machine.supervisor();
    // From inside and from outside: SIGCHLD, SIGHUP and one that is queued.
    let storm = "perl -e 'for (1..5000) { kill(17, 1); kill(1, 1); kill(40, 1) }'";
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| machine.inside_run(storm));
        for _ in 0..5_000 {
            for signal in [17, 1, 41] {
                // The queue of those may be full.
                if let Err(error) = cairn_sys::signal::send(machine.core, signal) {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                }
            }
        }
        machine.status();
        inside.join().unwrap();
    });
    assert_eq!((machine.supervisor(), pid(&machine, "a")), (supervisor, a));
    works(&machine);
}

#[test]
fn ten_thousand_zombies_are_reaped_at_once() {
    let parent = "use POSIX; $| = 1; for (1..10000) { my $p = fork; die unless defined $p; \
        POSIX::_exit(0) unless $p } print qq(made\\n); sleep 1000000";
    let machine = Machine::boot(&format!(
        "{},{}",
        script("parent", &format!("exec perl -e '{parent}'"), ""),
        script("a", SLEEP, "")
    ));
    let a = pid(&machine, "a");
    let start = std::time::Instant::now();
    while !machine.log("parent").contains("made") {
        let long = std::time::Duration::from_mins(2);
        assert!(start.elapsed() < long, "{}", machine.log("parent"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let parent = machine.on_host(pid(&machine, "parent").unwrap());
    assert!(children(parent).len() >= 9_999);
    machine.kill(parent, 9);
    machine.wait_until("only the supervisor is left", |machine| {
        children(machine.core).len() == 1
    });
    assert_eq!(pid(&machine, "a"), a);
}

#[test]
fn a_fork_bomb_is_stopped_with_its_service() {
    let bomb = "exec perl -e 'while (1) { fork; select undef, undef, undef, 0.001 }'";
    let bounded = r#""process":{"argv":["/bin/sh","-c","BOMB"],"user":"nobody",
        "environment":{"PATH":"/usr/bin:/bin"},"limits":{"nproc":{"soft":100,"hard":100}}}"#;
    let bomb = serde_json::to_string(bomb).unwrap();
    let bounded = bounded.replace(r#""BOMB""#, &bomb);
    let bomb = format!(
        r#"{{"name":"bomb","kind":"simple","wantedAtBoot":true,"stopTimeoutMs":300,{bounded}}}"#
    );
    let machine = Machine::boot(&[bomb, script("a", SLEEP, "")].join(","));
    let a = pid(&machine, "a");
    let processes = || {
        machine
            .inside_run("cat /sys/fs/cgroup/cairn/bomb/cgroup.procs 2>/dev/null | wc -l")
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    machine.wait_until("it has used up what it may", |_| processes() >= 50);
    assert_eq!(machine.service("a").pid, a);
    let stopped = machine.request(&Request::Stop { name: name("bomb") });
    assert_eq!(stopped, Response::Done);
    machine.wait_until("all of it is gone", |machine| {
        processes() == 0 && children(machine.core).len() == 1
    });
    works(&machine);
}

#[test]
fn what_forks_away_ends_with_its_service() {
    // Twice, in a session of its own, and without its old parents.
    let daemon = "(setsid sh -c '(trap \"\" TERM HUP; echo $$ > /dev/null; sleep 987654) &' &); ";
    let services = [
        script("gone", &format!("{daemon} sleep 0.2"), ""),
        script(
            "stays",
            &format!("{daemon} exec sleep 1000"),
            r#""stopTimeoutMs":200"#,
        ),
        script("a", SLEEP, ""),
    ];
    let machine = Machine::boot(&services.join(","));
    let daemons = || machine.inside_run("pgrep -c -f '^sleep 987654' || true");
    machine.wait_for("gone", ServiceState::Stopped);
    machine.wait_until("the daemon of the other one runs alone", |_| {
        daemons() == "1\n"
    });
    let stopped = machine.request(&Request::Stop {
        name: name("stays"),
    });
    assert_eq!(stopped, Response::Done);
    machine.wait_until("that one is gone too", |_| daemons() == "0\n");
    works(&machine);
}

#[test]
fn a_program_of_another_machine_is_named() {
    let machine = Machine::boot_on(
        &[
            r#"{"name":"arm","kind":"simple","wantedAtBoot":true,"process":{"argv":["/run/arm"]}}"#
                .to_owned(),
            r#"{"name":"text","kind":"simple","wantedAtBoot":true,"process":{"argv":["/run/text"]}}"#
                .to_owned(),
            script("a", SLEEP, ""),
        ]
        .join(","),
        "",
        // An ELF header of AArch64 (183), and a script without its first line.
        "printf '\\177ELF\\002\\001\\001\\0\\0\\0\\0\\0\\0\\0\\0\\0\\002\\0\\267\\0\\001\\0\\0\\0' > /run/arm && \
         head -c 100 /dev/zero >> /run/arm && echo echo x > /run/text && chmod +x /run/arm /run/text",
    );
    machine.wait_for("arm", ServiceState::Failed);
    machine.wait_for("text", ServiceState::Failed);
    let reasons = ["arm", "text"].map(|service| machine.service(service).reason.unwrap());
    expect_test::expect![[r#"
        cannot execute the program: Exec format error (os error 8) (/run/arm)
        cannot execute the program: Exec format error (os error 8) (/run/text)"#]]
    .assert_eq(&reasons.join("\n"));
    works(&machine);
}

/// A machine on which from now on every supervisor ends at once, with a console to write to.
fn without_supervisors(before: &str) -> Machine {
    let before =
        format!("mkfifo \"$1/console\" && mount --bind \"$1/console\" /dev/console && {before}");
    let machine = Machine::boot_on(&script("a", SLEEP, ""), "", &before);
    machine.wait_for("a", ServiceState::Up);
    let program = namespace::core_program();
    machine.inside_run(&format!("mount --bind /bin/false {}", program.display()));
    machine.kill(machine.supervisor().unwrap(), 9);
    machine
}

#[test]
fn without_a_supervisor_there_is_a_shell() {
    let machine = without_supervisors(
        "echo root=x boot.shell_on_fail > \"$1/line\" && mount --bind \"$1/line\" /proc/cmdline",
    );
    // Whoever sits at the console mends it, and the services have not noticed.
    let program = namespace::core_program();
    let words = format!(
        "umount {} && echo $PPID > /var/log/mended\nexit\n",
        program.display()
    );
    std::fs::write(machine.inside("/dev/console"), words).unwrap();
    let mended = machine.folder().join("log/mended");
    let start = std::time::Instant::now();
    while !mended.exists() {
        assert!(
            start.elapsed() < std::time::Duration::from_mins(1),
            "there is a shell"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(mended).unwrap(), "1\n");
    let answers = |machine: &Machine| machine.try_request(&Request::Status).is_some();
    machine.wait_until("a supervisor is there again", answers);
    works(&machine);
}

#[test]
#[ignore = "takes five minutes; cargo test -p cairn-init --test faults -- --ignored"]
fn at_the_very_worst_the_machine_reboots() {
    let mut machine = without_supervisors("true");
    let start = std::time::Instant::now();
    while machine.lives() {
        assert!(
            start.elapsed() < std::time::Duration::from_mins(8),
            "it reboots"
        );
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!(machine.ended(), Some(1));
}

#[test]
fn a_watchdog_hears_of_a_supervisor_that_does_not_answer() {
    let watchdog = r#"{"name":"watchdog","kind":"simple","wantedAtBoot":true,"restart":"always",
        "process":{"argv":["/run/cairn/generation/watchdog","1","600","/run/fake"]}}"#;
    let class = "/run/fake/sys/class/watchdog/watchdog0";
    let device = format!(
        "mkdir -p {class} /run/fake/dev; echo 0 > {class}/nowayout; : > /run/fake/dev/watchdog0"
    );
    let machine = Machine::boot_on(watchdog, "", &device);
    let file = machine.inside("/run/fake/dev/watchdog0");
    let signs = || std::fs::read(&file).unwrap();
    let grows = |machine: &Machine, by: usize| {
        let before = signs().len();
        machine.wait_until("there are signs of life", |_| signs().len() >= before + by);
    };
    grows(&machine, 3);
    // A successor answers in time.
    machine.replace_supervisor(9);
    grows(&machine, 3);
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    std::thread::sleep(Duration::from_millis(500));
    let before = signs().len();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(signs().len(), before, "nobody answers");
    machine.kill(supervisor, 18);
    grows(&machine, 3);
    // One that is killed leaves it running for the next.
    let pid = machine.service("watchdog").pid.unwrap();
    machine.kill(machine.on_host(pid), 9);
    grows(&machine, 3);
    assert!(!signs().contains(&b'V'));
    machine.do_it(&namespace::stop("watchdog"));
    assert!(signs().ends_with(b"V"), "it is stopped");
    // The machine's end has more time than this one can count.
    machine.do_it(&namespace::start("watchdog"));
    grows(&machine, 3);
    let mut device = std::fs::File::open(&file).unwrap();
    let mut signs = Vec::new();
    device.read_to_end(&mut signs).unwrap();
    signs.clear();
    assert_eq!(machine.request(&Request::PowerOff), Response::Done);
    assert_eq!(machine.ended(), Some(2));
    device.read_to_end(&mut signs).unwrap();
    assert!(signs.ends_with(b"V"), "{signs:?}");
}
