//! A user's own supervisor: started by a login, without rights, gone with the last session.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use cairn_system::control::{Request, Response, ServiceState, ServiceStatus};
use namespace::{Machine, name, script};

/// `nobody`'s number, by Debian's base-passwd.
const NOBODY: u32 = 65534;

/// The services of the machine: the user's supervisor, and something that logs in.
fn services() -> String {
    let program = "/run/cairn/generation/user-services";
    let user = format!(
        r#"{{"name":"user@nobody","kind":"notify","wantedAtBoot":false,"delegated":true,"killMode":"mixed",
        "restart":"on-failure","process":{{"argv":["{program}","nobody"]}},
        "postStop":[{{"argv":["{program}","--clean","nobody"]}}]}}"#
    );
    let session =
        format!("PAM_TYPE=open_session PAM_USER=nobody {program} --session && exec sleep 1000");
    let login = |name| script(name, &session, r#""wantedAtBoot":false"#);
    [user, login("one"), login("two")].join(",")
}

fn of_users() -> String {
    let greet = script(
        "greet",
        "echo $USER $HOME $XDG_RUNTIME_DIR $(id -u) $NOTIFY_SOCKET > %t/facts; exec sleep 1000",
        "",
    );
    let bounded = script(
        "bounded",
        "exec sleep 1000",
        r#""cgroup":{"cgroup.max.depth":"7"}"#,
    );
    let forking = script("forking", "sleep 1000 & exit 0", r#""kind":"forking""#);
    let asked = script("asked", "exec sleep 1000", r#""wantedAtBoot":false"#);
    format!(
        r#","userServices":{{"services":[{greet},{bounded},{forking},{asked}],
        "timers":[{{"name":"soon","service":"asked","afterBootMs":[0]}}]}}"#
    )
}

fn ask_user(machine: &Machine, request: &Request) -> Option<Response> {
    let path = machine.inside(&format!("/run/user/{NOBODY}/cairn/control"));
    Machine::try_request_to(UnixStream::connect(path).ok()?, request)
}

fn user_service(machine: &Machine, name: &str) -> Option<ServiceStatus> {
    let Response::Status { services, .. } = ask_user(machine, &Request::Status)? else {
        return None;
    };
    services.into_iter().find(|one| one.name.as_str() == name)
}

fn is_up(machine: &Machine, name: &str) -> bool {
    user_service(machine, name).is_some_and(|service| service.state == ServiceState::Up)
}

fn supervisor_of_user() -> impl Fn(&Machine) -> Option<u32> {
    |machine| {
        let core = machine.on_host(machine.service("user@nobody").pid?);
        namespace::children(core).into_iter().find(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with(b"cairn-user-supervisor\0"))
        })
    }
}

#[test]
fn a_users_services_live_as_long_as_the_sessions() {
    let machine = Machine::boot_with(&services(), &of_users());
    let start = |service: &str| {
        let request = Request::Start {
            name: name(service),
        };
        assert_eq!(machine.request(&request), Response::Done);
    };
    start("one");
    for service in ["greet", "bounded", "forking", "asked"] {
        machine.wait_until(&format!("{service} is up"), |machine| {
            is_up(machine, service)
        });
    }
    let facts = machine.inside(&format!("/run/user/{NOBODY}/facts"));
    machine.wait_until("the facts are told", |_| {
        fs::read_to_string(&facts).is_ok_and(|text| text.ends_with('\n'))
    });
    let home = fs::read_to_string("/etc/passwd").unwrap();
    let home = home
        .lines()
        .find(|line| line.starts_with("nobody:"))
        .unwrap();
    let home = home.split(':').nth(5).unwrap();
    let runtime = format!("/run/user/{NOBODY}");
    assert_eq!(
        fs::read_to_string(&facts).unwrap(),
        format!("nobody {home} {runtime} {NOBODY}\n")
    );

    // Its groups are below the machine's own service's, with bounds.
    let pid = machine.on_host(user_service(&machine, "bounded").unwrap().pid.unwrap());
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(
        group
            .trim_end()
            .ends_with("/cairn/user@nobody/services/bounded"),
        "{group}"
    );
    let bound =
        machine.inside("/sys/fs/cgroup/cairn/user@nobody/services/bounded/cgroup.max.depth");
    assert_eq!(fs::read_to_string(bound).unwrap(), "7\n");

    // Nobody notices that the supervisor is another one.
    let greet = user_service(&machine, "greet").unwrap().pid;
    let find = supervisor_of_user();
    let old = find(&machine).unwrap();
    machine.kill(old, 9);
    machine.wait_until("there is a successor", |machine| {
        find(machine).is_some_and(|new| new != old)
            && user_service(machine, "greet").is_some_and(|status| status.pid == greet)
    });

    // Another session keeps it.
    start("two");
    let sessions = machine.inside(&format!("/run/cairn/sessions/{NOBODY}"));
    machine.wait_until("there are two sessions", |_| {
        fs::read_dir(&sessions).is_ok_and(|entries| entries.count() == 2)
    });
    let stop = |service: &str| {
        let request = Request::Stop {
            name: name(service),
        };
        assert_eq!(machine.request(&request), Response::Done);
    };
    stop("one");
    let request = Request::Restart {
        name: name("asked"),
    };
    assert_eq!(ask_user(&machine, &request), Some(Response::Done));
    assert_eq!(user_service(&machine, "greet").unwrap().pid, greet);
    stop("two");
    machine.wait_for("user@nobody", ServiceState::Stopped);
    assert!(!machine.inside(&runtime).exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());

    // The next login finds it all anew.
    start("one");
    machine.wait_until("greet is up again", |machine| is_up(machine, "greet"));
    stop("user@nobody");
    assert!(!machine.inside(&runtime).exists());
}

#[test]
fn a_users_service_is_there_for_a_device() {
    let of = |name: &str, path: &str| {
        let device = format!(
            r#"{{"name":"{name}.device","kind":"device","device":"{path}","wantedAtBoot":false,"wants":["{name}"]}}"#
        );
        let more = format!(
            r#""wantedAtBoot":false,"requires":["{name}.device"],"bindsTo":["{name}.device"]"#
        );
        device + "," + &script(name, "exec sleep 1000", &more)
    };
    let services_of_user = [of("own", "/dev/shm/%u"), of("net", "/sys/class/net/lo")].join(",");
    let of_user = format!(r#","userServices":{{"services":[{services_of_user}]}}"#);
    let own = "mount -t tmpfs -o mode=1777 tmpfs /dev/shm";
    let machine = Machine::boot_on(&services(), &of_user, own);
    let start = Request::Start { name: name("one") };
    assert_eq!(machine.request(&start), Response::Done);
    machine.wait_until("the one for the network is up", |machine| {
        is_up(machine, "net")
    });
    assert!(!is_up(&machine, "own"));
    machine.inside_run("ln -s /dev/null /dev/shm/nobody");
    machine.wait_until("the other one is up", |machine| is_up(machine, "own"));
    machine.inside_run("rm /dev/shm/nobody");
    machine.wait_until("it is down", |machine| !is_up(machine, "own"));
    assert!(is_up(&machine, "net"));
}
