//! Services for devices, in the real supervisor: nodes and links below `/dev`, and network interfaces.
//!
//! The machine's own devices are below `/dev/shm`, where its namespace has a file system in memory: no node can be made
//! there, and links to those that there are do as well. What systemd calls `.device` units, and finit `devmon`.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::time::Duration;

use cairn_system::control::{Request, Response, ServiceState};
use expect_test::expect;
use namespace::{Machine, SLEEP, name, reason, script, status_field, story, tells};

/// A device, and what is wanted along with it.
fn device(name: &str, path: &str, wants: &str, timeout_ms: u32) -> String {
    format!(
        r#"{{"name":"{name}","kind":"device","device":"{path}","wantedAtBoot":false,"wants":[{wants}],
        "startTimeoutMs":{timeout_ms}}}"#
    )
}

/// A service that is bound to it.
fn bound(name: &str, device: &str) -> String {
    let (start, stop) = (tells(&format!("{name}-up")), tells(&format!("{name}-down")));
    let more = format!(
        r#""wantedAtBoot":false,"requires":["{device}"],"bindsTo":["{device}"],
        "preStart":[{start}],"postStop":[{stop}],"restart":"always""#
    );
    script(name, SLEEP, &more)
}

/// Whether the service is in this state, and why.
fn is(machine: &Machine, name: &str, state: ServiceState) -> String {
    machine.wait_for(name, state).reason.unwrap_or_default()
}

const OWN: &str = "mount -t tmpfs tmpfs /dev/shm";

#[test]
fn a_service_comes_and_goes_with_its_device() {
    use ServiceState::{Starting, Stopped, Up, Waiting};
    let serial = "/dev/shm/serial/by-id/modem";
    let services = [
        device("modem.device", serial, r#""modem""#, 90_000),
        bound("modem", "modem.device"),
        bound("asked", "modem.device"),
        script(
            "other",
            SLEEP,
            r#""wantedAtBoot":true,"after":["modem.device"]"#,
        ),
    ];
    let machine = Machine::boot_on(&services.join(","), "", OWN);
    assert_eq!(machine.settle(), [""; 0]);
    is(&machine, "other", Up); // nobody has asked for the device
    is(&machine, "modem.device", Stopped);
    // Nothing happens, and nobody wakes up.
    let wakeups = || status_field(machine.supervisor().unwrap(), "voluntary_ctxt_switches");
    let is_idle = || {
        let before = wakeups();
        std::thread::sleep(Duration::from_secs(1));
        wakeups() == before
    };
    assert!((0..5).any(|_| is_idle()), "it wakes up again and again");
    // Its link comes in folders that come with it.
    let plug = "mkdir -p /dev/shm/serial/by-id; ln -s ../../tty /dev/shm/serial/by-id/modem";
    machine.inside_run(plug);
    machine.inside_run("echo no device > /dev/shm/tty");
    is(&machine, "modem.device", Stopped);
    machine.inside_run("rm /dev/shm/tty; ln -s /dev/null /dev/shm/tty");
    is(&machine, "modem", Up);
    is(&machine, "modem.device", Up);
    is(&machine, "asked", Stopped);
    machine.do_it(&Request::Start {
        name: name("asked"),
    });
    let stop = Request::Stop {
        name: name("modem.device"),
    };
    expect![[
        "'modem.device' is up as long as /dev/shm/serial/by-id/modem is there; stop what needs it"
    ]]
    .assert_eq(&reason(machine.request(&stop)));
    // Where the link leads goes.
    machine.inside_run("rm /dev/shm/tty");
    let why = is(&machine, "modem", Stopped);
    expect!["it is bound to 'modem.device', which has gone down"].assert_eq(&why);
    is(&machine, "asked", Stopped);
    expect!["/dev/shm/serial/by-id/modem is not there"].assert_eq(&is(
        &machine,
        "modem.device",
        Stopped,
    ));
    machine.inside_run("ln -s /dev/zero /dev/shm/tty");
    is(&machine, "modem", Up);
    // The link goes, and where it led stays.
    machine.inside_run("rm /dev/shm/serial/by-id/modem");
    is(&machine, "modem", Stopped);
    // All folders go, and come again.
    machine.inside_run("rm -r /dev/shm/serial");
    machine.inside_run(plug);
    is(&machine, "modem", Up);
    // What is asked for waits.
    machine.inside_run("rm -r /dev/shm/serial");
    is(&machine, "modem", Stopped);
    let start = Request::Start {
        name: name("asked"),
    };
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| machine.request(&start));
        is(&machine, "asked", Waiting);
        expect!["/dev/shm/serial/by-id/modem is not there"].assert_eq(&is(
            &machine,
            "modem.device",
            Starting,
        ));
        machine.inside_run(plug);
        assert_eq!(asked.join().unwrap(), Response::Done);
    });
    is(&machine, "modem", Up);
    assert_eq!(machine.settle(), [""; 0]);
    let told = story(&machine);
    let (comes, goes) = (
        told.matches("modem-up").count(),
        told.matches("modem-down").count(),
    );
    assert_eq!((comes, goes), (4, 3), "{told}");
}

#[test]
fn what_does_not_come_is_named() {
    let services = [
        device("a.device", "/dev/shm/a", "", 300),
        bound("needs", "a.device").replace(r#""wantedAtBoot":false"#, r#""wantedAtBoot":true"#),
        script(
            "wants",
            SLEEP,
            r#""wants":["a.device"],"after":["a.device"]"#,
        ),
    ];
    let machine = Machine::boot_on(&services.join(","), "", OWN);
    assert_eq!(machine.settle(), ["a.device", "needs"]);
    let reasons = ["a.device", "needs"].map(|name| machine.service(name).reason.unwrap());
    expect!["/dev/shm/a has not come within 300 ms; it requires 'a.device', which has failed"]
        .assert_eq(&reasons.join("; "));
    is(&machine, "wants", ServiceState::Up);
    // It comes all the same.
    machine.inside_run("ln -s /dev/null /dev/shm/a");
    is(&machine, "a.device", ServiceState::Up);
    machine.do_it(&Request::Start {
        name: name("needs"),
    });
}

#[test]
fn nothing_is_missed_while_nobody_looks() {
    use ServiceState::{Stopped, Up};
    let services = |extra: &str| {
        let services = [
            device("a.device", "/dev/shm/a", r#""a""#, 90_000),
            bound("a", "a.device"),
            device("b.device", "/dev/shm/b", r#""b""#, 90_000),
            bound("b", "b.device"),
        ];
        services.join(",") + extra
    };
    let before = format!("{OWN}; ln -s /dev/null /dev/shm/a");
    let machine = Machine::boot_on(&services(""), "", &before);
    assert_eq!(machine.settle(), [""; 0]);
    let old = is_up(&machine, "a");
    machine.replace_supervisor(9);
    assert_eq!(is_up(&machine, "a"), old, "it has lived on");
    // One goes and one comes while there is no supervisor that could see it.
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    machine.inside_run("rm /dev/shm/a; ln -s /dev/null /dev/shm/b");
    machine.kill(supervisor, 9);
    is(&machine, "a", Stopped);
    is(&machine, "b", Up);
    // Another one takes its place before anybody looks.
    let old = is_up(&machine, "b");
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    machine.inside_run("rm /dev/shm/b; ln -s /dev/zero /dev/shm/b");
    machine.kill(supervisor, 18);
    machine.wait_until("it is started anew", |machine| {
        let status = machine.service("b");
        status.state == Up && status.pid.is_some() && status.pid != old
    });
    // A switch leaves it alone, and starts what is new for it.
    let old = is_up(&machine, "b");
    let more = bound("c", "b.device");
    let two = services(&format!(",{more}")).replace(r#"["b"],"#, r#"["b","c"],"#);
    let two = two.replace(r#""wants":["b"]"#, r#""wants":["b","c"]"#);
    let two = machine.generation_with_program("two", &two);
    assert_eq!(machine.switch(&two), [""; 0]);
    is(&machine, "c", Up);
    assert_eq!(is_up(&machine, "b"), old);
    machine.inside_run("rm /dev/shm/b; ln -s /dev/null /dev/shm/a");
    is(&machine, "c", Stopped);
    is(&machine, "b", Stopped);
    is(&machine, "a", Up);
    // A switch to where nobody is for devices.
    let none = machine.generation("none", &script("x", SLEEP, ""));
    assert_eq!(machine.switch(&none), [""; 0]);
    assert_eq!(machine.status().len(), 1);
}

/// Its process, once it is up.
fn is_up(machine: &Machine, name: &str) -> Option<u32> {
    machine.wait_for(name, ServiceState::Up).pid
}

#[test]
fn a_network_interface_is_a_device() {
    use ServiceState::{Stopped, Up};
    let services = [
        device("net.device", "/sys/class/net/up0", r#""net""#, 90_000),
        bound("net", "net.device"),
    ];
    // What a namespace has of interfaces is seen in a /sys of its own.
    let before = "mount -t sysfs sysfs /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup";
    let machine = Machine::boot_on(&services.join(","), "", before);
    is(&machine, "net.device", Stopped);
    machine.inside_run("ip link add up0 type veth peer name peer0");
    is(&machine, "net", Up);
    machine.inside_run("ip link set up0 name other0");
    is(&machine, "net", Stopped);
    machine.inside_run("ip link set peer0 name up0");
    is(&machine, "net", Up);
    let supervisor = machine.supervisor().unwrap();
    machine.kill(supervisor, 19);
    machine.inside_run("ip link del up0");
    machine.kill(supervisor, 9);
    is(&machine, "net", Stopped);
    assert_eq!(story(&machine), "net-up net-down net-up net-down ");
}
