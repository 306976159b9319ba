//! Sockets and paths that start services, in the real supervisor: what services are given, and that
//! nothing of it is lost whoever ends.
//!
//! The behaviours are those that systemd's TEST-07, TEST-63 and TEST-80 check.

#![expect(clippy::unwrap_used, reason = "functions of a test fail the test")]

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cairn_system::control::{Request, Response, ServiceState};
use expect_test::expect;
use namespace::{Machine, PATIENCE, name, script};

/// A server on its first socket: whoever connects is told its environment, or what it was started with.
const SERVER: &str = r#"exec perl -e '
    open(my $listener, "+<&=", 3) or die "no socket: $!";
    $ENV{LISTEN_PID} == $$ or die "$ENV{LISTEN_PID} is not $$";
    while (accept(my $client, $listener)) {
        syswrite $client, "$ENV{LISTEN_FDS} $ENV{LISTEN_FDNAMES} $ENV{GENERATION}";
        close $client;
    }
'"#;

/// A socket unit: a name, the service, what it listens on, further fields of the socket, and of the
/// service that it is.
fn socket(name: &str, service: &str, listen: &str, of_socket: &str, more: &str) -> String {
    format!(
        r#"{{"name":"{name}","kind":"socket","wantedAtBoot":true,"onChange":"restart",
        "socket":{{"service":"{service}","listen":[{listen}]{of_socket}}}{more}}}"#
    )
}

/// What a server at this path of the machine says to a new client.
fn ask(machine: &Machine, path: &str) -> std::io::Result<String> {
    let mut client = UnixStream::connect(machine.inside(path))?;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

fn state(machine: &Machine, name: &str) -> ServiceState {
    machine.service(name).state
}

/// Kills the supervisor, and waits for the next one.
fn kill_supervisor(machine: &Machine) {
    let old = machine.supervisor();
    if let Some(old) = old {
        machine.kill(old, 9);
    }
    machine.wait_until("there is a new supervisor", |machine| {
        machine.supervisor().is_some_and(|new| Some(new) != old)
            && machine.try_request(&Request::Status).is_some()
    });
}

fn lazy(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#""wantedAtBoot":false{comma}{more}"#)
}

/// Says what it has been given: of each descriptor its name, whether it does not block, and what can be read; and
/// writes to files that it may. What comes through sockets is waited for.
const TELLER: &str = r#"exec python3 -c '
import fcntl, os, select, stat
for number, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":"), 3):
    flags = fcntl.fcntl(number, fcntl.F_GETFL)
    is_socket = stat.S_ISSOCK(os.fstat(number).st_mode)
    if is_socket: select.select([number], [], [], 10)
    blocks = "does not block" if flags & os.O_NONBLOCK else "blocks"
    try: text = os.read(number, 100).decode().strip()
    except OSError as error: text = error.strerror
    try: wrote = is_socket or os.write(number, b"written\n") and "wrote"
    except OSError as error: wrote = error.strerror
    print(name, blocks, repr(text), wrote, sep=", ")
'"#;

#[test]
fn a_service_is_given_open_files() {
    let files = r#""openFiles":[{"path":"/run/secret","name":"secret","mode":"read-only"},
        {"path":"/run/both","name":"both"},{"path":"/run/log","name":"log","mode":"append"},
        {"path":"/run/new","name":"new","mode":"truncate"},{"path":"/run/none","name":"none","optional":true},
        {"path":"/run/pipe","name":"pipe"}]"#;
    let prepare =
        "umask 077; cd /run; for f in secret both log new; do echo old $f > $f; done; mkfifo pipe";
    let more = format!(
        r#""kind":"oneshot","preStart":[{{"argv":["/bin/sh","-c","{prepare}"],"asRoot":true}}]"#
    );
    let of = |fields: &str| {
        let fields = format!(r#""user":"nobody",{fields},"argv""#);
        script("a", TELLER, &more).replacen(r#""argv""#, &fields, 1)
    };
    let machine = Machine::boot(&of(&format!(r#""nonBlocking":true,{files}"#)));
    machine.wait_for("a", ServiceState::Up);
    expect![[r#"
        secret, does not block, 'old secret', Bad file descriptor
        both, does not block, 'old both', wrote
        log, does not block, 'old log', wrote
        new, does not block, '', wrote
        pipe, does not block, 'Resource temporarily unavailable', wrote
    "#]]
    .assert_eq(&told(&machine, "a"));
    let left = machine.inside_run("cd /run; grep . both log new");
    expect![[r#"
        both:old both
        both:written
        log:old log
        log:written
        new:written
    "#]]
    .assert_eq(&left);

    let absent = Machine::boot(&of(r#""openFiles":[{"path":"/run/none","name":"none"}]"#));
    let reason = absent.wait_for("a", ServiceState::Failed).reason;
    expect!["cannot open /run/none for it: No such file or directory (os error 2)"]
        .assert_eq(&reason.unwrap());
}

/// A file that is a socket is connected to, of whatever kind it is; and whether what a service is given blocks is for the
/// service to say, whoever had it before.
#[test]
fn open_sockets_are_connected_and_block_as_the_service_says() {
    let packets = SERVER.replace(
        r#"syswrite $client, "$ENV"#,
        r#"syswrite $client, "packet $ENV"#,
    );
    let with = |name: &str, non_blocking: bool, connects: &str| {
        let fields = format!(
            r#""nonBlocking":{non_blocking},"openFiles":[{{"path":"{connects}","name":"server"}}],"argv""#
        );
        let more = lazy(r#""kind":"oneshot","requires":["own.socket","more.socket"]"#);
        script(name, TELLER, &more).replacen(r#""argv""#, &fields, 1)
    };
    let services = [
        script("web", SERVER, &lazy("")),
        script("packets", &packets, &lazy("")),
        socket("web.socket", "web", r#"{"stream":"/run/web"}"#, "", ""),
        socket(
            "packets.socket",
            "packets",
            r#"{"sequential-packet":"/run/packets"}"#,
            "",
            "",
        ),
        socket("own.socket", "first", r#"{"datagram":"/run/own"}"#, "", ""),
        socket(
            "more.socket",
            "second",
            r#"{"datagram":"/run/more"}"#,
            "",
            "",
        ),
        with("first", true, "/run/web"),
        with("second", false, "/run/packets"),
    ];
    let machine = Machine::boot(&services.join(","));
    for (service, socket) in [("first", "/run/own"), ("second", "/run/more")] {
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"hello", machine.inside(socket)).unwrap();
        machine.wait_for(service, ServiceState::Up);
    }
    let both = told(&machine, "first") + &told(&machine, "second");
    expect![[r#"
        own.socket, does not block, 'hello', True
        server, does not block, '1 web.socket', True
        more.socket, blocks, 'hello', True
        server, blocks, 'packet 1 packets.socket', True
    "#]]
    .assert_eq(&both);
}

/// What it wrote, without the times.
fn told(machine: &Machine, name: &str) -> String {
    let text = machine.log(name);
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.fold(String::new(), |all, (_, text)| all + text + "\n")
}

#[test]
fn the_first_connection_starts_a_service_with_all_its_sockets() {
    let services = [
        script(
            "web",
            SERVER,
            &lazy(r#""requires":["web.socket","extra.socket"]"#),
        ),
        socket(
            "web.socket",
            "web",
            r#"{"stream":"/run/a/web"},{"sequential-packet":"@web"}"#,
            r#","mode":"0640","directoryMode":"0700","links":["/run/link"]"#,
            "",
        ),
        socket(
            "extra.socket",
            "web",
            r#"{"datagram":"/run/extra"},{"fifo":"/run/pipe"},{"netlink":"route"},{"stream":"8080"}"#,
            r#","descriptorName":"more""#,
            "",
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("extra.socket", ServiceState::Up);
    let states: Vec<String> = machine
        .status()
        .into_iter()
        .map(|s| {
            format!(
                "{} {:?} {}",
                s.name,
                s.state,
                s.activity.unwrap_or_default()
            )
        })
        .collect();
    expect![[r"
        web.socket Up listens on /run/a/web, packets at @web
        extra.socket Up listens on datagrams at /run/extra, pipe /run/pipe, netlink route 0, tcp [::]:8080
        web Stopped "]]
    .assert_eq(&states.join("\n"));
    let mode = |path: &str| fs::metadata(machine.inside(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("/run/a/web"), mode("/run/a")), (0o640, 0o700));
    let answer = "6 web.socket:web.socket:more:more:more:more ";
    assert_eq!(ask(&machine, "/run/a/web").unwrap(), answer);
    assert_eq!(state(&machine, "web"), ServiceState::Up);
    // A socket that is stopped takes its service along, and its files.
    assert_eq!(
        machine.request(&Request::Stop {
            name: name("web.socket")
        }),
        Response::Done
    );
    assert_eq!(state(&machine, "web"), ServiceState::Stopped);
    assert!(fs::symlink_metadata(machine.inside("/run/a/web")).is_err());
    assert!(fs::symlink_metadata(machine.inside("/run/link")).is_err());
    // A start of the service starts it again.
    let started = machine.request(&Request::Start { name: name("web") });
    assert_eq!(
        started,
        Response::Done,
        "{:?}",
        machine.service("web.socket")
    );
    assert_eq!(ask(&machine, "/run/a/web").unwrap(), answer);
    // What is stopped by hand is started by the next one, and what comes in at any of them counts.
    assert_eq!(
        machine.request(&Request::Stop { name: name("web") }),
        Response::Done
    );
    assert_eq!(state(&machine, "web"), ServiceState::Stopped);
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"x", machine.inside("/run/extra")).unwrap();
    machine.wait_for("web", ServiceState::Up);
    // What is closed is listened on again at once, though core has it for a moment longer.
    for socket in ["web.socket", "extra.socket"] {
        machine.do_it(&Request::Restart { name: name(socket) });
        assert_eq!(state(&machine, socket), ServiceState::Up, "{socket}");
    }
}

#[test]
fn no_connection_is_lost_whoever_ends() {
    let web = |generation: &str| {
        let script = format!("export GENERATION={generation}; {SERVER}");
        [
            namespace::script("web", &script, &lazy(r#""requires":["web.socket"]"#)),
            socket("web.socket", "web", r#"{"stream":"/run/web"}"#, "", ""),
        ]
        .join(",")
    };
    let machine = Machine::boot(&web("one"));
    machine.wait_for("web.socket", ServiceState::Up);
    let inode = || fs::metadata(machine.inside("/run/web")).unwrap().ino();
    let before = inode();
    let done = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                // An end in the middle of a connection that was taken is the service's; one that waits
                // is ours.
                match ask(&machine, "/run/web") {
                    Ok(_) => answered += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                    }
                }
            }
            answered
        });
        let restart = Request::Restart { name: name("web") };
        assert_eq!(machine.request(&restart), Response::Done);
        let pid = machine.wait_for("web", ServiceState::Up).pid.unwrap();
        machine.kill(machine.on_host(pid), 9);
        kill_supervisor(&machine);
        machine.wait_for("web", ServiceState::Up);
        kill_supervisor(&machine);
        let two = machine.generation_with_program("two", &web("two"));
        assert_eq!(machine.switch(&two), [""; 0]);
        machine.wait_for("web", ServiceState::Up);
        kill_supervisor(&machine);
        assert_eq!(machine.request(&restart), Response::Done);
        done.store(true, Ordering::Relaxed);
        clients.join().unwrap()
    });
    assert!(answered > 0);
    assert_eq!(inode(), before, "it has been open all the time");
    assert_eq!(ask(&machine, "/run/web").unwrap(), "1 web.socket two");
    // A connection that waits while there is neither service nor supervisor is served.
    assert_eq!(
        machine.request(&Request::Stop { name: name("web") }),
        Response::Done
    );
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    let mut client = UnixStream::connect(machine.inside("/run/web")).unwrap();
    machine.kill(supervisor, 9);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "1 web.socket two");
}

#[test]
fn a_switch_closes_what_is_gone_and_opens_what_is_another() {
    let generation =
        |sockets: &[(&str, &str)]| {
            let mut all = vec![script("web", SERVER, &lazy(""))];
            all.extend(sockets.iter().map(|(name, path)| {
                socket(name, "web", &format!(r#"{{"stream":"{path}"}}"#), "", "")
            }));
            all.join(",")
        };
    let one = [
        ("same.socket", "/run/same"),
        ("gone.socket", "/run/gone"),
        ("moves.socket", "/run/old"),
    ];
    let machine = Machine::boot(&generation(&one));
    machine.wait_for("moves.socket", ServiceState::Up);
    let inode = fs::metadata(machine.inside("/run/same")).unwrap().ino();
    let two = [
        ("same.socket", "/run/same"),
        ("moves.socket", "/run/new"),
        ("new.socket", "/run/more"),
    ];
    let two = machine.generation("two", &generation(&two));
    assert_eq!(machine.switch(&two), [""; 0]);
    let is_there = |path: &str| {
        fs::symlink_metadata(machine.inside(path)).is_ok_and(|m| m.file_type().is_socket())
    };
    let paths = [
        "/run/same",
        "/run/gone",
        "/run/old",
        "/run/new",
        "/run/more",
    ];
    assert_eq!(paths.map(is_there), [true, false, false, true, true]);
    assert_eq!(
        fs::metadata(machine.inside("/run/same")).unwrap().ino(),
        inode
    );
    let clients = ["/run/new", "/run/more"].map(|path| UnixStream::connect(machine.inside(path)));
    assert!(clients.iter().all(Result::is_ok), "{clients:?}");
    let all = "3 same.socket:moves.socket:new.socket ";
    assert_eq!(ask(&machine, "/run/same").unwrap(), all);
}

#[test]
fn what_cannot_be_opened_is_named_and_the_boot_goes_on() {
    let services = [
        script("other", "exec sleep 1000", ""),
        script("web", SERVER, r#""requires":["web.socket"]"#),
        socket(
            "web.socket",
            "web",
            r#"{"stream":"/run/x"},{"stream":"/var/log/taken"}"#,
            "",
            "",
        ),
        script("first", "echo mine > /var/log/taken", r#""kind":"oneshot""#),
    ];
    let services = services
        .join(",")
        .replace(r#""socket":{"#, r#""after":["first"],"socket":{"#);
    let machine = Machine::boot(&services);
    assert_eq!(machine.settle(), ["web.socket", "web"]);
    assert_eq!(state(&machine, "other"), ServiceState::Up);
    let reason = |name: &str| machine.service(name).reason.unwrap();
    expect!["cannot listen on /var/log/taken: something that is no socket is in its place; it requires 'web.socket', which has failed"]
        .assert_eq(&format!("{}; {}", reason("web.socket"), reason("web")));
    assert!(
        !machine.inside("/run/x").exists(),
        "all is open, or nothing"
    );
    let taken = machine.folder().join("log/taken");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine\n");
    fs::remove_file(taken).unwrap();
    assert_eq!(
        machine.request(&Request::Start { name: name("web") }),
        Response::Done
    );
    assert_eq!(ask(&machine, "/run/x").unwrap(), "2 web.socket:web.socket ");
}

#[test]
fn a_service_that_takes_nothing_does_not_spin() {
    let services = [
        script("web", "exit 0", &lazy("")),
        socket(
            "web.socket",
            "web",
            r#"{"stream":"/run/web"}"#,
            "",
            r#","startLimit":{"burst":20,"intervalMs":60000}"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("web.socket", ServiceState::Up);
    let client = UnixStream::connect(machine.inside("/run/web")).unwrap();
    let reason = machine.wait_for("web.socket", ServiceState::Failed).reason;
    expect![
        "'web' was started more than 20 times within 60000 ms, by what it waits for; it is closed"
    ]
    .assert_eq(&reason.unwrap());
    assert!(!machine.inside("/run/web").exists());
    drop(client);
    let start = Request::Start {
        name: name("web.socket"),
    };
    assert_eq!(machine.request(&start), Response::Done);
    assert_eq!(state(&machine, "web.socket"), ServiceState::Up);
}

/// A service of one connection: each line that comes in goes back with its place and its sender.
const ECHO: &str = r#"echo "started $LISTEN_FDS" >&2; while read -r line; do echo "$line"; done"#;

fn connections(more: &str) -> String {
    let echo = script("echo@", ECHO, &lazy(r#""killMode":"main""#));
    let echo = echo.replace(
        r#""process":{"#,
        r#""process":{"connected":["input","output"],"#,
    );
    let of_socket = format!(r#","accept":true{more}"#);
    let socket = socket(
        "echo.socket",
        "echo@",
        r#"{"stream":"/run/echo"}"#,
        &of_socket,
        "",
    );
    format!("{echo},{socket}")
}

fn say(client: &mut UnixStream, line: &str) -> std::io::Result<String> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    while !answer.ends_with('\n') {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 {
            return Ok(answer);
        }
        answer.push(char::from(byte[0]));
    }
    Ok(answer)
}

#[test]
fn each_connection_has_a_service_of_its_own() {
    let machine = Machine::boot(&connections(r#","maxConnections":2"#));
    machine.wait_for("echo.socket", ServiceState::Up);
    let connect = || UnixStream::connect(machine.inside("/run/echo")).unwrap();
    let mut clients = [connect(), connect()];
    for (client, line) in clients.iter_mut().zip(["one\n", "two\n"]) {
        assert_eq!(say(client, line.trim()).unwrap(), line);
    }
    let names = |machine: &Machine| -> Vec<String> {
        let all = machine.status();
        all.into_iter()
            .map(|service| service.name.to_string())
            .collect()
    };
    assert_eq!(
        names(&machine),
        ["echo.socket", "echo@", "echo@0", "echo@1"]
    );
    let activity = machine.service("echo.socket").activity.unwrap();
    assert_eq!(activity, "listens on /run/echo; 2 connections");
    assert!(
        machine
            .service("echo@1")
            .reason
            .unwrap()
            .starts_with("from user 0, process ")
    );
    // One too many is closed.
    let mut third = connect();
    assert_eq!(third.read(&mut [0]).unwrap(), 0);
    // They outlive the supervisor, a switch that changes them, and one after which there are none.
    kill_supervisor(&machine);
    let other = connections(r#","maxConnections":3"#).replace("started", "begun");
    let two = machine.generation_with_program("two", &other);
    assert_eq!(machine.switch(&two), [""; 0]);
    let mut third = connect();
    assert_eq!(say(&mut third, "three").unwrap(), "three\n");
    machine.wait_until("the new script runs", |machine| {
        machine.log("echo@2").ends_with("begun \n")
    });
    let none = machine.generation("none", &script("a", "exec sleep 1000", ""));
    assert_eq!(machine.switch(&none), [""; 0]);
    assert!(!machine.inside("/run/echo").exists());
    for (client, line) in clients
        .iter_mut()
        .chain([&mut third])
        .zip(["1\n", "2\n", "3\n"])
    {
        assert_eq!(say(client, line.trim()).unwrap(), line);
    }
    kill_supervisor(&machine);
    assert_eq!(say(&mut third, "still").unwrap(), "still\n");
    drop(clients);
    drop(third);
    machine.wait_until("they have ended", |machine| names(machine) == ["a"]);
}

#[test]
fn places_of_connections_are_used_again() {
    let machine = Machine::boot(&connections(r#","maxConnectionsPerSource":1"#));
    machine.wait_for("echo.socket", ServiceState::Up);
    for round in 0..20 {
        let mut client = UnixStream::connect(machine.inside("/run/echo")).unwrap();
        assert_eq!(say(&mut client, "x").unwrap(), "x\n", "round {round}");
        let mut second = UnixStream::connect(machine.inside("/run/echo")).unwrap();
        assert_eq!(second.read(&mut [0]).unwrap(), 0, "two of one user");
        drop(client);
        machine.wait_until("it has ended", |machine| {
            machine
                .service("echo.socket")
                .activity
                .unwrap()
                .ends_with("; 0 connections")
        });
    }
    assert!(machine.log("echo@0").lines().count() >= 20);
    for (name, why) in [
        (
            "echo@",
            "'echo@' is a template: 'echo.socket' starts one for each connection",
        ),
        (
            "echo@0",
            "'echo@0' serves one connection: only another one starts it",
        ),
    ] {
        let reason = why.to_owned();
        let start = Request::Start {
            name: namespace::name(name),
        };
        assert_eq!(machine.request(&start), Response::Failed { reason });
    }
}

#[test]
fn paths_start_services() {
    let path = |name: &str, watched: &str, more: &str| {
        format!(
            r#"{{"name":"{name}.path","kind":"path","wantedAtBoot":true,"onChange":"restart",
            "watch":{{"service":"{name}","paths":[{watched}]{more}}},
            "startLimit":{{"burst":50,"intervalMs":60000}}}}"#
        )
    };
    let note = r#"echo "$TRIGGER_UNIT $TRIGGER_PATH" >> /var/log/started"#;
    let once = lazy(r#""kind":"oneshot","staysUp":false"#);
    let services = [
        script("exists", &format!("{note}; rm /var/log/in/flag"), &once),
        path("exists", r#"{"exists":"/var/log/in/flag"}"#, ""),
        script("spool", &format!("{note}; rm /var/log/spool/*"), &once),
        path(
            "spool",
            r#"{"not-empty":"/var/log/spool"}"#,
            r#","makeDirectories":true"#,
        ),
        script("changed", note, &once),
        path("changed", r#"{"changed":"/var/log/etc/conf"}"#, ""),
        script(
            "ends",
            &format!("{note}; exec sleep 1000"),
            &lazy(
                r#""postStop":[{"argv":["/bin/sh","-c","while [ ! -e /var/log/end ]; do /bin/sleep 0.01; done"]}]"#,
            ),
        ),
        path("ends", r#"{"changed":"/var/log/etc/end"}"#, ""),
        script("glob", &format!("{note}; rm /var/log/jobs/*.job"), &once),
        path("glob", r#"{"exists-glob":"/var/log/jobs/*.job"}"#, ""),
        script("spins", note, &once),
        path("spins", r#"{"exists":"/var/log/spins"}"#, ""),
    ];
    let machine = Machine::boot(&services.join(","));
    machine.wait_for("spins.path", ServiceState::Up);
    let log = machine.folder().join("log");
    let started = || fs::read_to_string(log.join("started")).unwrap_or_default();
    let expect_next = |make: &dyn Fn(), line: &str| {
        let before = started().lines().count();
        make();
        machine.wait_until(line, |_| started().lines().count() > before);
        assert_eq!(started().lines().nth(before).unwrap(), line);
    };
    let write = |path: &str| {
        let path = log.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    let gone = |path: &str| {
        machine.wait_until("it is taken", |_| !log.join(path).exists());
    };
    for killed in [false, true] {
        if killed {
            // What happens while there is no supervisor counts.
            let supervisor = machine.supervisor().unwrap();
            machine.kill(supervisor, 19);
            let before = started().lines().count();
            write("etc/conf");
            machine.kill(supervisor, 9);
            machine.wait_until("the change is seen", |_| started().lines().count() > before);
        }
        expect_next(&|| write("in/flag"), "exists.path /var/log/in/flag");
        gone("in/flag");
        expect_next(&|| write("spool/x"), "spool.path /var/log/spool");
        gone("spool/x");
        expect_next(&|| write("jobs/1.job"), "glob.path /var/log/jobs/1.job");
        gone("jobs/1.job");
        expect_next(&|| write("etc/conf"), "changed.path /var/log/etc/conf");
        machine.wait_for("changed", ServiceState::Stopped);
    }
    fs::remove_dir_all(log.join("etc")).unwrap();
    machine.wait_for("changed", ServiceState::Stopped);
    // A change while the service is on its way down starts it again.
    expect_next(&|| write("etc/end"), "ends.path /var/log/etc/end");
    let pid = machine.wait_for("ends", ServiceState::Up).pid.unwrap();
    machine.kill(machine.on_host(pid), 15);
    machine.wait_for("ends", ServiceState::Stopping);
    write("etc/end");
    expect_next(&|| write("end"), "ends.path /var/log/etc/end");
    // What is there for ever starts its service until that is too often.
    write("spins");
    let reason = machine
        .wait_for("spins.path", ServiceState::Failed)
        .reason
        .unwrap();
    expect![
        "'spins' was started more than 50 times within 60000 ms, by what it waits for; it is closed"
    ]
    .assert_eq(&reason);
    let stop = Request::Stop {
        name: name("exists.path"),
    };
    assert_eq!(machine.request(&stop), Response::Done);
    write("in/flag");
    assert_eq!(machine.settle(), ["spins.path"]);
    assert!(log.join("in/flag").exists());
}

/// The program of a service that leaves descriptors and looks at what it gets, one life after the other.
#[test]
#[ignore = "the program of a service, which another test runs"]
fn a_service_that_leaves_descriptors() {
    let count: usize = std::env::var("LISTEN_FDS").map_or(0, |count| count.parse().unwrap());
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let texts: Vec<String> = (3..3 + count)
        .map(|number| {
            let path = format!("/proc/self/fd/{number}");
            let name = fs::read_link(&path).unwrap().display().to_string();
            if name.starts_with("socket:") {
                "socket".to_owned()
            } else {
                fs::read_to_string(path).unwrap()
            }
        })
        .collect();
    let line = format!("{names} = {}\n", texts.join(","));
    let mut log = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open("/var/log/lives")
        .unwrap();
    let past = fs::read_to_string("/var/log/lives")
        .unwrap()
        .lines()
        .count();
    let socket = UnixDatagram::unbound().unwrap();
    let path = std::env::var("NOTIFY_SOCKET").unwrap();
    socket.connect(path).unwrap();
    let send = |text: &str, content: &str| {
        let file = Path::new("/var/log").join(content);
        fs::write(&file, content).unwrap();
        let file = fs::File::open(file).unwrap();
        cairn_sys::seqpacket::send(
            std::os::fd::AsFd::as_fd(&socket),
            text.as_bytes(),
            Some(std::os::fd::AsFd::as_fd(&file)),
        )
        .unwrap();
    };
    match past {
        0 => {
            send("FDSTORE=1\nFDNAME=a", "first");
            send("FDSTORE=1", "second");
            send("FDSTORE=1\nFDNAME=b:c", "refused");
        }
        1 => {
            socket.send(b"FDSTOREREMOVE=1\nFDNAME=a").unwrap();
            send("FDSTORE=1\nFDNAME=d", "third");
            send("FDSTORE=1\nFDNAME=e", "one too many");
        }
        _ => {}
    }
    socket.send(b"READY=1").unwrap();
    // Only when this is written is the next life's beginning known.
    log.write_all(line.as_bytes()).unwrap();
    if past < 2 {
        std::process::exit(1); // at once: what was said counts all the same
    }
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// A generation with the service that leaves descriptors.
fn keeper(variable: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let argv = format!(
        r#""argv":["{}","--ignored","--exact","a_service_that_leaves_descriptors","--nocapture"]"#,
        program.display()
    );
    format!(
        r#"{{"name":"keeper","kind":"notify","wantedAtBoot":true,"restart":"always","restartDelayMs":1,
        "storedDescriptors":2,"requires":["keeper.socket"],
        "process":{{{argv},"environment":{{"X":"{variable}"}}}}}},{}"#,
        socket(
            "keeper.socket",
            "keeper",
            r#"{"stream":"/run/keeper"}"#,
            "",
            ""
        )
    )
}

/// The same, which it has left for good.
fn pinned(generation: &str) -> String {
    generation.replace(
        r#""storedDescriptors":2"#,
        r#""storedDescriptors":2,"pinnedDescriptors":true"#,
    )
}

/// What it has been given by now, a line a life.
fn lives(machine: &Machine) -> String {
    fs::read_to_string(machine.folder().join("log/lives")).unwrap_or_default()
}

fn wait_for_life(machine: &Machine, count: usize) {
    let start = Instant::now();
    while lives(machine).lines().count() < count {
        assert!(start.elapsed() < PATIENCE, "{}", machine.log("keeper"));
        std::thread::sleep(Duration::from_millis(5));
    }
    machine.wait_for("keeper", ServiceState::Up);
}

#[test]
fn what_a_service_leaves_for_good_outlives_user_space() {
    let machine = Machine::boot(&pinned(&keeper("one")));
    wait_for_life(&machine, 3);
    let two = machine.generation("two", &pinned(&keeper("two")));
    assert_eq!(machine.start_again(&two), [""; 0]);
    wait_for_life(&machine, 4);
    // It may have been stopped before.
    machine.do_it(&Request::Stop {
        name: name("keeper"),
    });
    assert_eq!(machine.start_again(&two), [""; 0]);
    wait_for_life(&machine, 5);
    // What is not left for good is closed when the service stops.
    let three = machine.generation("three", &keeper("three"));
    assert_eq!(machine.start_again(&three), [""; 0]);
    wait_for_life(&machine, 6);
    expect![[r#"
        keeper.socket = socket
        keeper.socket:a:stored = socket,first,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket = socket
    "#]]
    .assert_eq(&lives(&machine));
}

#[test]
fn what_a_service_leaves_it_gets_back() {
    let generation = keeper;
    let machine = Machine::boot(&generation("one"));
    let wait_for = |count| wait_for_life(&machine, count);
    wait_for(3);
    // Killed with the supervisor; restarted by hand; restarted by a switch.
    let supervisor = machine.supervisor().unwrap();
    let pid = machine.on_host(machine.service("keeper").pid.unwrap());
    machine.kill(supervisor, 19);
    machine.kill(pid, 9);
    machine.kill(supervisor, 9);
    wait_for(4);
    let own = || name("keeper");
    assert_eq!(
        machine.request(&Request::Restart { name: own() }),
        Response::Done
    );
    wait_for(5);
    let two = machine.generation_with_program("two", &pinned(&generation("two")));
    assert_eq!(machine.switch(&two), [""; 0]);
    wait_for(6);
    // A stop is the end of it, unless it is preserved.
    let stop = Request::Stop { name: own() };
    assert_eq!(machine.request(&stop), Response::Done);
    assert_eq!(
        machine.switch(&machine.generation("three", &generation("two"))),
        [""; 0]
    );
    assert_eq!(
        machine.request(&Request::Start { name: own() }),
        Response::Done
    );
    wait_for(7);
    assert_eq!(
        machine.request(&Request::Stop { name: own() }),
        Response::Done
    );
    assert_eq!(
        machine.request(&Request::Start { name: own() }),
        Response::Done
    );
    wait_for(8);
    expect![[r"
        keeper.socket = socket
        keeper.socket:a:stored = socket,first,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket:d:stored = socket,third,second
        keeper.socket = socket
    "]]
    .assert_eq(&lives(&machine));
}
