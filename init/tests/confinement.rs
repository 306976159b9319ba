//! What a service is kept from, seen from within: files, devices, network, processes, system calls.

#[expect(dead_code, reason = "other tests need more of it")]
mod namespace;

use cairn_system::control::{Request, Response, ServiceState};
use expect_test::{Expect, expect};
use namespace::{Machine, name, script};

/// Runs a oneshot with this confinement (and further fields, each after a comma) and compares what it
/// wrote.
fn check(confinement: &str, more: &str, program: &str, expected: &Expect) {
    let service = service(
        "a",
        program,
        &format!("{more},\"kind\":\"oneshot\""),
        confinement,
    );
    let machine = Machine::boot(&service);
    machine.wait_until("it has ended", |machine| {
        let state = machine.service("a").state;
        state == ServiceState::Up || state == ServiceState::Failed
    });
    let reason = machine.service("a").reason.unwrap_or_default();
    expected.assert_eq(&format!("{}{reason}", log(&machine, "a")));
}

/// A service whose process has this confinement.
fn service(name: &str, program: &str, more: &str, confinement: &str) -> String {
    let more = more.trim_start_matches(',');
    let plain = script(name, program, more);
    plain.replacen(
        r#""environment":{"#,
        &format!(r#""confinement":{{{confinement}}},"environment":{{"#),
        1,
    )
}

/// What it wrote, without the times.
fn log(machine: &Machine, name: &str) -> String {
    let text = machine.log(name);
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.fold(String::new(), |all, (_, text)| all + text + "\n")
}

const STRICT: &str = r#""paths":[{"path":"/","access":"read-only"},
    {"path":"/dev","access":"read-write"},{"path":"/proc","access":"read-write"},
    {"path":"/run/secret","access":"inaccessible"},
    {"path":"/run/nowhere","access":"inaccessible","optional":true}],
    "own":["temporary-files"]"#;

#[test]
fn files() {
    let pre = r#""preStart":[{"argv":["/bin/sh","-c","mkdir /run/secret; echo x > /run/secret/x"],"asRoot":true},
        {"argv":["/bin/sh","-c","echo pre > /tmp/pre"]}],

        "directories":[{"path":"/var/lib/a","mode":"0750"}]"#;
    check(
        STRICT,
        pre,
        "touch /var/lib/a/x && ls /var/lib/a; touch /var/lib/b; touch /etc/x
        cat /tmp/pre; stat -c '%a %n' /tmp /var/tmp; ls /var/tmp; ls -A /run/secret
        echo > /dev/null && echo devices",
        &expect![[r#"
            x
            touch: cannot touch '/var/lib/b': Read-only file system
            touch: cannot touch '/etc/x': Read-only file system
            pre
            1777 /tmp
            1777 /var/tmp
            devices
        "#]],
    );
}

#[test]
fn mounts() {
    check(
        r#""mounts":[{"target":"/mnt","options":"size=1M,mode=0755"},
            {"target":"/mnt/etc/host","source":"/etc/hostname","readOnly":true},
            {"target":"/mnt/lib","source":"/var/lib"},
            {"target":"/mnt/none","source":"/nonexistent","optional":true}],
            "paths":[{"path":"/mnt/lib","access":"not-executable"}]"#,
        r#""directories":[{"path":"/var/lib/a","mode":"0750"}]"#,
        "cmp /etc/hostname /mnt/etc/host && echo same; echo x > /mnt/etc/host
        cp /bin/true /mnt/lib/a/true && /mnt/lib/a/true; ls /mnt",
        &expect![[r#"
            same
            /bin/sh: 1: cannot create /mnt/etc/host: Read-only file system
            /bin/sh: 2: /mnt/lib/a/true: Permission denied
            etc
            lib
        "#]],
    );
}

#[test]
fn devices_network_and_processes() {
    check(
        r#""own":["devices","network","ipc","host-name"],
            "processes":{"visible":"own","onlyProcesses":true}"#,
        "",
        "ls -I log /dev; echo > /dev/null; head -c 2 /dev/zero | wc -c; grep -c : /proc/self/net/dev
        touch /dev/x; ls /proc/sys",
        &expect![[r#"
            fd
            full
            mqueue
            null
            ptmx
            pts
            random
            shm
            stderr
            stdin
            stdout
            tty
            urandom
            zero
            2
            1
            touch: cannot touch '/dev/x': Read-only file system
            ls: cannot access '/proc/sys': No such file or directory
            its process exited with status 2"#]],
    );
}

#[test]
fn system_calls() {
    check(
        r#""systemCalls":[{"entries":["~@swap mkdir:ENOSPC"],"errno":"EPERM"},
            {"entries":["~mkdirat"],"errno":"EPERM"}]"#,
        "",
        "mkdir /run/x; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status",
        &expect![[r#"
            mkdir: cannot create directory '/run/x': No space left on device
            NoNewPrivs:	0
            Seccomp:	2
        "#]],
    );
    check(
        r#""systemCalls":[{"entries":["~mkdir mkdirat"]}]"#,
        "",
        "mkdir /run/x",
        &expect![[r#"
            Bad system call
            its process exited with status 159"#]],
    );
    check(
        r#""systemCalls":[{"entries":["@system-service","~@privileged"],"errno":"EPERM"}]"#,
        "",
        "echo works | cat; /usr/sbin/chroot / true",
        &expect![[r#"
            works
            /usr/sbin/chroot: cannot change root directory to '/': Operation not permitted
            its process exited with status 125"#]],
    );
}

#[test]
fn restrictions() {
    check(
        r#""addressFamilies":{"only":["AF_UNIX"]},"namespaces":["uts"],
            "forbidden":["real-time","set-id-files","personality","writable-code","other-architectures"]"#,
        "",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX)' && echo unix
        python3 -c 'import socket; socket.socket()' 2>&1 | tail -n 1
        unshare --uts true && echo uts; unshare --mount true; unshare --ipc true
        chrt --fifo 1 true; touch /run/x; chmod u+s /run/x; chmod u+x /run/x && echo chmod
        setarch --addr-no-randomize true 2>&1 | sed 's/.*: //'
        python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)' 2>&1 | tail -n 1",
        &expect![[r#"
            unix
            OSError: [Errno 97] Address family not supported by protocol
            uts
            unshare: unshare failed: Operation not permitted
            unshare: unshare failed: Operation not permitted
            chrt: failed to set pid 0's policy: Operation not permitted
            chmod: changing permissions of '/run/x': Operation not permitted
            chmod
            Operation not permitted
            PermissionError: [Errno 1] Operation not permitted
        "#]],
    );
}

/// What makes a folder that is to be a root, and runs in it with the programs of this machine.
const FOLDER: &str = r#""preStart":[{"argv":["/bin/sh","-c","umask 022; mkdir -p /run/root/usr /run/root/etc /run/root/var/lib/a; cd /run/root; echo inner > etc/name; ln -s /etc conf; for link in bin lib lib64; do ln -s usr/$link $link; done"],"asRoot":true}]"#;
const ROOT: &str = r#"{"target":"/","source":"/run/root"},{"target":"/usr","source":"/usr","readOnly":true},
    {"target":"/proc","source":"/proc"},{"target":"/dev","source":"/dev"},{"target":"/run","options":"mode=0755"}"#;

#[test]
fn a_root_of_its_own() {
    check(
        &format!(
            r#""own":["temporary-files"],"mounts":[{ROOT},{{"target":"/run/host/version","source":"/etc/debian_version"}},
            {{"target":"/srv","options":"mode=0755"}},{{"target":"/srv/deep/er","source":"/var/log"}}]"#
        ),
        &format!(
            r#"{FOLDER},"directories":[{{"path":"/var/lib/a","mode":"0755"}},{{"path":"/run/a/b","mode":"0755"}}]"#
        ),
        "ls /; cat /conf/name; echo x > /etc/written && echo > /dev/null; touch /top
        echo x > /var/lib/a/x && touch /run/a/b/x && touch /srv/x; ls /run /run/host /srv/deep; stat -c '%a %n' /tmp
        pwd; grep -c machine /proc/self/mounts; stat -c %i -L /proc/1/root/etc /etc | uniq | wc -l",
        &expect![[r#"
            bin
            conf
            dev
            etc
            lib
            lib64
            proc
            run
            srv
            tmp
            usr
            var
            inner
            touch: cannot touch '/top': Read-only file system
            /run:
            a
            host

            /run/host:
            version

            /srv/deep:
            er
            1777 /tmp
            /
            0
            2
        "#]],
    );
}

/// `RootDirectory=` with `DynamicUser=`: all of it is for reading but what is its own.
#[test]
fn a_root_of_its_own_that_is_for_reading() {
    check(
        &format!(r#"{STRICT_ROOT},"forbidden":["set-id-files"],"mounts":[{ROOT}]"#),
        &format!(
            r#"{FOLDER},"directories":[{{"path":"/var/lib/a","mode":"0755"}},{{"path":"/run/a/b","mode":"0755"}}]"#
        ),
        "for file in /etc/x /usr/x /var/x /run/x; do touch $file; done; cat /conf/name
        touch /var/lib/a/x /run/a/b/x /tmp/x && echo > /dev/null",
        &expect![[r#"
            touch: cannot touch '/etc/x': Read-only file system
            touch: cannot touch '/usr/x': Read-only file system
            touch: cannot touch '/var/x': Read-only file system
            inner
        "#]],
    );
}

/// What units with a dynamic user are kept from.
const STRICT_ROOT: &str = r#""own":["temporary-files"],"paths":[{"path":"/","access":"read-only","optional":true},
    {"path":"/dev","access":"read-write","optional":true},{"path":"/proc","access":"read-write","optional":true},
    {"path":"/sys","access":"read-write","optional":true},{"path":"/home","access":"read-only","optional":true},
    {"path":"/root","access":"read-only","optional":true},{"path":"/run/user","access":"read-only","optional":true}]"#;

#[test]
fn a_root_that_is_put_together_in_memory() {
    let list = r#""preStart":[{"argv":["/bin/sh","-c","printf '%s\n' /usr/bin /usr/lib /nonexistent > /run/list"],"asRoot":true}]"#;
    check(
        r#""own":["devices","users"],"closures":["/run/list"],"mounts":[{"target":"/","readOnly":true,"options":"mode=0755"},
            {"target":"/bin","source":"/bin"},{"target":"/lib","source":"/lib"},
            {"target":"/lib64","source":"/lib64","optional":true}]"#,
        list,
        "ls / /usr; touch /x; echo > /dev/null; touch /usr/bin/x",
        &expect![[r#"
            /:
            bin
            dev
            lib
            lib64
            usr

            /usr:
            bin
            lib
            touch: cannot touch '/x': Read-only file system
            touch: cannot touch '/usr/bin/x': Read-only file system
            its process exited with status 1"#]],
    );
}

#[test]
fn who_has_a_root_of_its_own_is_heard_and_has_its_secrets() {
    let program = "umask; cat $CREDENTIALS_DIRECTORY/word; exec python3 -c 'import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b\"READY=1\", os.environ[\"NOTIFY_SOCKET\"])
time.sleep(1000000)'";
    let more = format!(
        r#"{FOLDER},"kind":"notify","credentials":[{{"name":"word","source":{{"text":"secret\n"}}}}]"#
    );
    let service = service("a", program, &more, &format!(r#""mounts":[{ROOT}]"#)).replacen(
        r#""argv":["/bin/sh","-c","umask"#,
        r#""user":"nobody","umask":"0077","argv":["/bin/sh","-c","umask"#,
        1,
    );
    let machine = Machine::boot(&service);
    machine.wait_for("a", ServiceState::Up);
    assert_eq!(log(&machine, "a"), "0077\nsecret\n");
}

#[test]
fn a_root_that_cannot_be_is_a_failure_with_a_name() {
    check(
        r#""mounts":[{"target":"/","source":"/nonexistent"}]"#,
        "",
        "echo never",
        &expect!["cannot give it the root /nonexistent: No such file or directory (os error 2)"],
    );
    check(
        &format!(r#""mounts":[{ROOT},{{"target":"/etc/deep","source":"/var/log"}}]"#),
        FOLDER,
        "echo never",
        &expect![
            "cannot show /.machine/var/log to it as /etc/deep: No such file or directory (os error 2) (/bin/sh)"
        ],
    );
    check(
        &format!(r#""mounts":[{ROOT},{{"target":"/srv","source":"/nonexistent"}}]"#),
        FOLDER,
        "echo never",
        &expect!["cannot show /nonexistent to it as /srv: No such file or directory (os error 2)"],
    );
}

#[test]
fn a_confinement_that_cannot_be_is_a_failure_with_a_name() {
    check(
        r#""mounts":[{"target":"/mnt","source":"/nonexistent/source"}]"#,
        "",
        "echo never",
        &expect![
            "cannot show /nonexistent/source to it as /mnt: No such file or directory (os error 2) (/bin/sh)"
        ],
    );
    check(
        r#""paths":[{"path":"/nonexistent/path","access":"read-only"}]"#,
        "",
        "echo never",
        &expect![
            "cannot show /nonexistent/path to it as /nonexistent/path: No such file or directory (os error 2) (/bin/sh)"
        ],
    );
}

#[test]
fn temporary_files_are_there_while_it_runs() {
    let program = "ls -A /tmp; echo x > /tmp/x; echo up; exec sleep 1000000";
    let machine = Machine::boot(&service("a", program, "", r#""own":["temporary-files"]"#));
    machine.wait_until("it is up", |machine| log(machine, "a") == "up\n");
    let private = machine.inside("/var/lib/cairn/private/a/tmp/x");
    assert_eq!(std::fs::read_to_string(&private).unwrap(), "x\n");
    let stop = Request::Stop { name: name("a") };
    assert_eq!(machine.request(&stop), Response::Done);
    assert!(!machine.inside("/var/lib/cairn/private/a").exists());
    let start = Request::Start { name: name("a") };
    assert_eq!(machine.request(&start), Response::Done);
    machine.wait_until("it is up again", |machine| log(machine, "a") == "up\nup\n");
}

/// The numbers of the namespaces that a service's process is in.
fn namespaces(machine: &Machine, name: &str) -> [String; 2] {
    let pid = machine.service(name).pid.unwrap_or_default();
    ["net", "ipc"].map(|kind| machine.inside_run(&format!("readlink /proc/{pid}/ns/{kind}")))
}

/// One goes and comes, all processes may be gone, and so may the supervisor: as long as one of them is not down, the
/// others join what it has.
#[test]
fn services_have_things_in_common() {
    let all = r#""sharedAs":"holder","own":["network","ipc","temporary-files"]"#;
    let listens = "exec python3 -c 'import socket, time
s = socket.socket(); s.bind((\"127.0.0.1\", 80)); s.listen()
open(\"/tmp/there\", \"w\").close()
time.sleep(1000000)'";
    let later = r#""wantedAtBoot":false"#;
    let services = [
        service("holder", "true", r#""kind":"oneshot""#, all),
        service("server", listens, later, all),
        service("client", "exec sleep 1000000", later, all),
        // Of what it has for itself alone, it has only this in common.
        service(
            "files",
            "exec sleep 1000000",
            later,
            r#""sharedAs":"holder","own":["temporary-files"]"#,
        ),
        service(
            "alone",
            "exec sleep 1000000",
            later,
            r#""own":["network","ipc"]"#,
        ),
    ];
    let machine = Machine::boot(&services.join(","));
    let start = |of: &str| machine.do_it(&Request::Start { name: name(of) });
    let stop = |of: &str| machine.do_it(&Request::Stop { name: name(of) });
    machine.wait_for("holder", ServiceState::Up);
    machine.replace_supervisor(9);
    for one in ["server", "files", "alone"] {
        start(one);
    }
    let common = namespaces(&machine, "server");
    machine.replace_supervisor(9);
    start("client");
    assert_eq!(namespaces(&machine, "client"), common);
    let machines = machine.inside_run("readlink /proc/1/ns/net; readlink /proc/1/ns/ipc");
    for (one, other) in common.iter().zip(namespaces(&machine, "alone")) {
        assert!(*one != other && !machines.contains(one) && !machines.contains(&other));
    }
    assert!(machines.contains(&namespaces(&machine, "files")[0]));

    let folder = machine.inside("/var/lib/cairn/private/holder/tmp/there");
    machine.wait_until("it listens", |_| folder.exists());
    let pid = machine.service("client").pid.unwrap();
    let connects = format!(
        "nsenter --net=/proc/{pid}/ns/net python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 80))' && echo connected"
    );
    assert_eq!(machine.inside_run(&connects), "connected\n");

    stop("server");
    stop("holder");
    stop("client");
    assert!(folder.exists(), "somebody has it yet");
    stop("files");
    assert!(!folder.exists());
    start("client");
    assert_ne!(namespaces(&machine, "client"), common);
    assert!(!folder.exists());
}

#[test]
fn credentials_are_its_users_alone() {
    let program =
        "cd $CREDENTIALS_DIRECTORY; ls; cat text; stat -c '%U %a' . text; exec sleep 1000000";
    let more = r#""credentials":[{"name":"text","source":{"text":"secret\n"}},
        {"name":"host","source":{"file":"/etc/hostname"}}]"#;
    let service =
        service("a", program, more, "").replacen(r#""argv""#, r#""user":"nobody","argv""#, 1);
    let machine = Machine::boot(&service);
    let expected = "host\ntext\nsecret\nnobody 500\nnobody 400\n";
    machine.wait_until("it has read them", |machine| log(machine, "a") == expected);
    let stop = Request::Stop { name: name("a") };
    assert_eq!(machine.request(&stop), Response::Done);
    assert!(!machine.inside("/run/credentials/a").exists());
}

#[test]
fn a_user_gives_up_new_privileges_for_a_filter() {
    let plain = service(
        "a",
        "grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status",
        r#""kind":"oneshot""#,
        r#""systemCalls":[{"entries":["~@swap"]}],"droppedCapabilities":["cap_sys_admin"]"#,
    );
    let services = plain.replacen(r#""argv""#, r#""user":"nobody","argv""#, 1);
    let machine = Machine::boot(&services);
    machine.wait_until("it has said it", |machine| {
        log(machine, "a").contains("Seccomp:")
    });
    expect![[r#"
        CapBnd:	000001ffffdfffff
        NoNewPrivs:	1
        Seccomp:	2
    "#]]
    .assert_eq(&log(&machine, "a"));
}
