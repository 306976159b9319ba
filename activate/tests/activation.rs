//! Whole activations of a tree in a temporary folder: plans, results, second runs.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use cairn_activate::{Kernel, Mode, NoKernel, Outcome, Setting, run};
use cairn_system::UserName;
use expect_test::{Expect, expect};
use machine::{Machine, ONE, TWO, description, generations_of_all_kinds};

mod machine;

/// What failed, one a line.
fn failures(outcome: &Outcome) -> String {
    let lines: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

fn is_superuser() -> bool {
    nix::unistd::geteuid().is_root()
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(text);
}

#[test]
fn a_fresh_root() {
    let machine = Machine::new();
    machine.install(ONE, &description());
    let dry = run(machine.root.path(), Path::new(ONE), Mode::DryRun, &NoKernel).unwrap();
    assert!(!machine.exists("/etc"), "a dry run touches nothing");
    let plan = machine.activate(ONE);
    assert_eq!(dry.plan.to_string(), plan);
    check(
        &plan,
        &expect![[r#"
            make directory /bin 0755 0:0
            make directory /etc 0755 0:0
            make directory /home 0755 0:0
            make directory /nix/var 0755 0:0
            make directory /nix/var/nix 0755 0:0
            make directory /nix/var/nix/gcroots 0755 0:0
            make directory /nix/var/nix/profiles 0755 0:0
            make directory /root 0700 0:0
            make directory /run 0755 0:0
            make directory /run/lock 0755 0:0
            make directory /run/wrappers 0755 0:0
            make directory /tmp 1777 0:0
            make directory /usr 0755 0:0
            make directory /usr/bin 0755 0:0
            make directory /var 0755 0:0
            make directory /var/cache 0755 0:0
            make directory /var/empty 0555 0:0
            make directory /var/lib 0755 0:0
            make directory /var/lib/nixos 0755 0:0
            make directory /var/log 0755 0:0
            make directory /var/spool 0755 0:0
            make directory /var/tmp 1777 0:0
            write /var/lib/nixos/uid-map /var/lib/nixos/gid-map /etc/group /etc/gshadow /etc/passwd /etc/shadow /var/lib/nixos/declarative-groups /var/lib/nixos/declarative-users: add group 'root' (0), add group 'wheel' (1), add group 'shadow' (42), add group 'users' (100), add group 'sshd' (999), add user 'root' (0), add user 'alice' (1000), add user 'sshd' (999)
            make directory /home/alice 0700 1000:100
            make directory /var/lib/private 0755 0:0
            make directory /var/lib/private/sshd 0750 999:999
            write /etc/.clean 0644 0:0
            make directory /etc/ssh 0755 0:0
            link /etc/hosts -> /etc/static/hosts
            link /etc/ssh/sshd_config -> /etc/static/ssh/sshd_config
            link /etc/static -> /nix/store/00000000000000000000000000000001-system/etc
            copy /etc/sudoers from /nix/store/e-files/sudoers 0440 0:0
            link /var/run -> /run
            link /var/lock -> /run/lock
            link /etc/mtab -> /proc/mounts
            link /nix/var/nix/gcroots/profiles -> /nix/var/nix/profiles
            link /nix/var/nix/gcroots/current-system -> /run/current-system
            link /nix/var/nix/gcroots/booted-system -> /run/booted-system
            link /bin/sh -> /nix/store/b-bash/bin/sh
            link /usr/bin/env -> /nix/store/c-coreutils/bin/env
            write /etc/NIXOS 0644 0:0
            write /etc/machine-id with a new identity
            install wrappers in /run/wrappers/wrappers.0: su (4511 0:0)
            link /run/current-system -> /nix/store/00000000000000000000000000000001-system
            link /run/booted-system -> /nix/store/00000000000000000000000000000001-system
        "#]],
    );
}

#[test]
fn what_a_fresh_root_gets() {
    let machine = Machine::new();
    machine.install(ONE, &description());
    machine.activate(ONE);
    assert_eq!(machine.link("/etc/static"), format!("{ONE}/etc"));
    assert_eq!(
        machine.link("/etc/ssh/sshd_config"),
        "/etc/static/ssh/sshd_config"
    );
    assert_eq!(machine.read("/etc/sudoers"), "root ALL=(ALL) ALL\n");
    assert_eq!(machine.mode("/etc/sudoers"), 0o440);
    assert_eq!(machine.mode("/tmp"), 0o1777);
    assert_eq!(machine.mode("/root"), 0o700);
    assert_eq!(machine.mode("/var/empty"), 0o555);
    assert_eq!(machine.mode("/home/alice"), 0o700);
    assert_eq!(machine.mode("/var/lib/private/sshd"), 0o750);
    assert_eq!(machine.link("/run/current-system"), ONE);
    assert_eq!(machine.link("/run/booted-system"), ONE);
    assert_eq!(machine.link("/bin/sh"), "/nix/store/b-bash/bin/sh");
    assert_eq!(machine.read("/etc/machine-id").len(), 33);
    let wrappers = machine.link("/run/wrappers/bin");
    assert_eq!(machine.read(&format!("{wrappers}/su")), "\x7fELF su");
    assert_eq!(machine.mode(&format!("{wrappers}/su")), 0o4511);
    if is_superuser() {
        let home = fs::metadata(machine.path("/home/alice")).unwrap();
        assert_eq!((home.uid(), home.gid()), (1000, 100));
        let shadow = fs::metadata(machine.path("/etc/shadow")).unwrap();
        assert_eq!((shadow.uid(), shadow.gid()), (0, 42));
    }
    check(
        &format!(
            "{}--\n{}--\n{}--\n{}--\n{}{}",
            machine.read("/etc/passwd"),
            machine.read("/etc/group"),
            machine.read("/etc/shadow"),
            machine.read("/etc/gshadow"),
            machine.read("/var/lib/nixos/uid-map"),
            machine.read("/var/lib/nixos/gid-map"),
        ),
        &expect![[r#"
            root:x:0:0::/root:/bin/sh
            sshd:x:999:999::/var/empty:/bin/false
            alice:x:1000:100:Alice:/home/alice:/bin/sh
            --
            root:x:0:
            wheel:x:1:alice
            shadow:x:42:
            users:x:100:
            sshd:x:999:
            --
            root:$6$root:1::::::
            sshd:!:1::::::
            alice:$6$alice:1::::::
            --
            root:!::
            wheel:!::alice
            shadow:!::
            users:!::
            sshd:!::
            --
            {"alice":1000,"root":0,"sshd":999}
            {"root":0,"shadow":42,"sshd":999,"users":100,"wheel":1}
        "#]],
    );
    assert_eq!(machine.mode("/etc/shadow"), 0o640);
}

#[test]
fn the_next_generation() {
    let machine = Machine::new();
    let one = description();
    machine.install(ONE, &one);
    machine.activate(ONE);
    let mut two = one;
    two.etc.retain(|entry| entry.target == "hosts");
    two.etc.push(cairn_system::EtcEntry {
        target: "ssh".to_owned(),
        source: "/nix/store/e-files".to_owned(),
        copy: None,
        direct: false,
    });
    two.users.retain(|user| user.name.as_str() != "sshd");
    two.groups.retain(|group| group.name.as_str() != "sshd");
    two.directories.clear();
    two.wrappers.clear();
    machine.install(TWO, &two);
    check(
        &machine.activate(TWO),
        &expect![[r#"
        write /etc/group /etc/gshadow /etc/passwd /etc/shadow /var/lib/nixos/declarative-groups /var/lib/nixos/declarative-users: remove group 'sshd', remove user 'sshd'
        remove /etc/sudoers
        link /etc/static -> /nix/store/00000000000000000000000000000002-system/etc
        remove /etc/ssh/sshd_config
        remove directory /etc/ssh
        link /etc/ssh -> /etc/static/ssh
        write /etc/.clean 0644 0:0
        install wrappers in /run/wrappers/wrappers.1:
        link /run/current-system -> /nix/store/00000000000000000000000000000002-system
    "#]],
    );
    assert_eq!(machine.link("/run/booted-system"), ONE);
    assert!(!machine.exists("/etc/sudoers"));
    assert_eq!(machine.link("/etc/ssh"), "/etc/static/ssh");
    // Back again: the id that `sshd` had is still its own.
    check(
        &machine.activate(ONE),
        &expect![[r#"
            write /etc/group /etc/gshadow /etc/passwd /etc/shadow /var/lib/nixos/declarative-groups /var/lib/nixos/declarative-users: add group 'sshd' (999), add user 'sshd' (999)
            write /etc/.clean 0644 0:0
            link /etc/static -> /nix/store/00000000000000000000000000000001-system/etc
            copy /etc/sudoers from /nix/store/e-files/sudoers 0440 0:0
            remove /etc/ssh
            make directory /etc/ssh 0755 0:0
            link /etc/ssh/sshd_config -> /etc/static/ssh/sshd_config
            install wrappers in /run/wrappers/wrappers.0: su (4511 0:0)
            link /run/current-system -> /nix/store/00000000000000000000000000000001-system
        "#]],
    );
    assert!(machine.read("/etc/passwd").contains("sshd:x:999:999:"));
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let machine = Machine::new();
    machine.write("/etc/hosts", "mine\n");
    machine.write("/etc/sudoers", "mine too\n");
    machine.write("/etc/ssh/ssh_host_key", "secret\n");
    machine.write("/etc/other", "other\n");
    symlink("/dev/null", machine.path("/etc/ssh/sshd_config")).unwrap();
    machine.install(ONE, &description());
    let outcome = machine.run(ONE);
    check(
        &failures(&outcome),
        &expect![[r#"
            cannot make /etc/hosts: '/etc/hosts' is in the way and not Cairn's; move it away, and activate again
            cannot make /etc/ssh/sshd_config: '/etc/ssh/sshd_config' is in the way and not Cairn's; move it away, and activate again
            cannot make /etc/sudoers: '/etc/sudoers' is in the way and not Cairn's; move it away, and activate again
        "#]],
    );
    assert_eq!(machine.read("/etc/hosts"), "mine\n");
    assert_eq!(machine.read("/etc/sudoers"), "mine too\n");
    assert_eq!(machine.link("/etc/ssh/sshd_config"), "/dev/null");
    // The rest is there, and what is in the way does not become ours by that.
    assert_eq!(machine.link("/run/current-system"), ONE);
    assert!(!machine.exists("/etc/.clean"));
    for path in ["/etc/hosts", "/etc/sudoers", "/etc/ssh/sshd_config"] {
        fs::remove_file(machine.path(path)).unwrap();
    }
    machine.activate(ONE);
    assert_eq!(machine.read("/etc/ssh/ssh_host_key"), "secret\n");
    assert_eq!(machine.read("/etc/other"), "other\n");

    // A copy that was changed by hand and is no longer described stays, and is the user's then.
    let sudoers = machine.path("/etc/sudoers");
    fs::set_permissions(&sudoers, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(&sudoers, "changed\n").unwrap();
    let mut two = description();
    two.etc.retain(|entry| entry.target != "sudoers");
    machine.install(TWO, &two);
    machine.activate(TWO);
    assert_eq!(machine.read("/etc/sudoers"), "changed\n");
    check(
        &failures(&machine.run(ONE)),
        &expect![[r#"
            cannot make /etc/sudoers: '/etc/sudoers' is in the way and not Cairn's; move it away, and activate again
        "#]],
    );
    assert_eq!(machine.read("/etc/sudoers"), "changed\n");
}

#[test]
fn entries_change_their_kind() {
    let machine = Machine::new();
    let (one, two) = generations_of_all_kinds();
    machine.install(ONE, &one);
    machine.install(TWO, &two);
    machine.activate(ONE);
    check(
        &machine.activate(TWO),
        &expect![[r#"
            write /etc/group /etc/gshadow /etc/passwd /etc/shadow /var/lib/nixos/declarative-users: change group 'wheel', remove user 'alice'
            write /etc/.clean 0644 0:0
            remove /etc/copy-folder
            remove /etc/direct-folder
            remove /etc/folder-copy/below
            remove /etc/gone
            link /etc/copy-link -> /etc/static/copy-link
            link /etc/direct-link -> /etc/static/direct-link
            link /etc/static -> /nix/store/00000000000000000000000000000002-system/etc
            copy /etc/link-copy from /nix/store/e-files/sudoers 0600 0:0
            link /etc/link-direct -> /nix/store/e-files/sudoers
            remove /etc/link-folder
            make directory /etc/copy-folder 0755 0:0
            make directory /etc/direct-folder 0755 0:0
            make directory /etc/link-folder 0755 0:0
            make directory /etc/link-folder/deep 0755 0:0
            link /etc/copy-folder/below -> /etc/static/copy-folder/below
            link /etc/link-folder/deep/er -> /nix/store/e-files/sudoers
            copy /etc/direct-folder/below from /nix/store/e-files/sudoers 0600 0:0
            remove directory /etc/folder-copy
            copy /etc/folder-copy from /nix/store/e-files/sudoers 0600 0:0
            write /etc/.clean 0644 0:0
            install wrappers in /run/wrappers/wrappers.1:
            link /run/current-system -> /nix/store/00000000000000000000000000000002-system
        "#]],
    );
    check(
        &machine.activate(ONE),
        &expect![[r#"
        write /etc/group /etc/gshadow /etc/passwd /etc/shadow /var/lib/nixos/declarative-users: change group 'wheel', add user 'alice' (1000)
        write /etc/.clean 0644 0:0
        remove /etc/direct-folder/below
        remove /etc/folder-copy
        remove /etc/link-folder/deep/er
        link /etc/link-copy -> /etc/static/link-copy
        link /etc/link-direct -> /etc/static/link-direct
        link /etc/static -> /nix/store/00000000000000000000000000000001-system/etc
        copy /etc/copy-link from /nix/store/e-files/hosts 0600 0:0
        link /etc/direct-link -> /nix/store/e-files/hosts
        link /etc/gone -> /nix/store/e-files/hosts
        remove /etc/copy-folder/below
        make directory /etc/folder-copy 0755 0:0
        remove directory /etc/copy-folder
        copy /etc/copy-folder from /nix/store/e-files/hosts 0600 0:0
        remove directory /etc/direct-folder
        link /etc/direct-folder -> /nix/store/e-files/hosts
        copy /etc/folder-copy/below from /nix/store/e-files/hosts 0600 0:0
        remove directory /etc/link-folder/deep
        remove directory /etc/link-folder
        link /etc/link-folder -> /etc/static/link-folder
        write /etc/.clean 0644 0:0
        install wrappers in /run/wrappers/wrappers.0: su (4511 0:0)
        link /run/current-system -> /nix/store/00000000000000000000000000000001-system
    "#]],
    );
}

#[test]
fn a_copy_is_rewritten_when_content_or_rights_differ() {
    let machine = Machine::new();
    machine.install(ONE, &description());
    machine.activate(ONE);
    let sudoers = machine.path("/etc/sudoers");
    let inode = fs::metadata(&sudoers).unwrap().ino();
    machine.activate(ONE);
    assert_eq!(fs::metadata(&sudoers).unwrap().ino(), inode);
    fs::set_permissions(&sudoers, fs::Permissions::from_mode(0o666)).unwrap();
    machine.activate(ONE);
    assert_eq!(machine.mode("/etc/sudoers"), 0o440);
    fs::remove_file(&sudoers).unwrap();
    machine.activate(ONE);
    assert_eq!(machine.read("/etc/sudoers"), "root ALL=(ALL) ALL\n");
}

#[test]
fn bad_entries_fail_alone() {
    let machine = Machine::new();
    let mut one = description();
    let entry = |target: &str, source: &str| cairn_system::EtcEntry {
        target: target.to_owned(),
        source: source.to_owned(),
        copy: None,
        direct: false,
    };
    one.etc
        .push(entry("../outside", "/nix/store/e-files/hosts"));
    one.etc.push(entry("passwd", "/nix/store/e-files/hosts"));
    one.etc
        .push(entry("hosts/below", "/nix/store/e-files/hosts"));
    let mut copy = entry("gone", "/nix/store/no-such-file");
    copy.copy = Some(cairn_system::CopyMode {
        mode: 0o600,
        user: UserName::try_from("root").unwrap(),
        group: UserName::try_from("nobodies").unwrap(),
    });
    one.etc.push(copy);
    one.users.iter_mut().for_each(|user| {
        if user.name.as_str() == "sshd" {
            user.description = "a:b".to_owned();
        }
    });
    one.wrappers[0].capabilities = vec!["cap_fly".to_owned()];
    // The toplevel's own tree cannot hold these; only the description does.
    let text = serde_json::to_string(&one).unwrap();
    machine.install(ONE, &description());
    machine.write(&format!("{ONE}/system.json"), &text);
    let outcome = machine.run(ONE);
    check(
        &failures(&outcome),
        &expect![[r#"
            cannot add user 'sshd': its description has a ':' or control character
            cannot make directory '/var/lib/private/sshd': there is no user 'sshd'; define users.users.sshd
            cannot make /etc/../outside: not a plain path relative to /etc
            cannot make /etc/passwd: activation itself makes this file
            cannot make /etc/gone: there is no group 'nobodies'; define users.groups.nobodies
            cannot make /etc/hosts/below: '/etc/hosts' is an entry itself, and cannot hold others
            cannot make wrapper 'su': 'cap_fly' is not a capability; see capabilities(7), names are like cap_net_raw
        "#]],
    );
    assert_eq!(machine.link("/run/current-system"), ONE);
    assert_eq!(machine.link("/etc/hosts"), "/etc/static/hosts");
    assert!(machine.read("/etc/passwd").contains("alice"));
    assert!(!machine.root.path().join("outside").exists());
}

#[test]
fn mutable_users_survive() {
    let machine = Machine::new();
    let mut one = description();
    one.mutable_users = true;
    machine.install(ONE, &one);
    machine.activate(ONE);
    // Like `useradd bob`, `passwd alice`, `passwd root`, `gpasswd -a bob wheel`, and NIS.
    let append = |path: &str, text: &str| {
        let content = machine.read(path) + text;
        fs::write(machine.path(path), content).unwrap();
    };
    append(
        "/etc/passwd",
        "bob:x:1001:100:B\u{f6}b:/home/bob:/bin/sh\n+::::::\n",
    );
    append("/etc/shadow", "bob:$6$bob:19000:0:99999:7:::\n");
    let group = machine
        .read("/etc/group")
        .replace("wheel:x:1:alice", "wheel:x:1:alice,bob");
    fs::write(machine.path("/etc/group"), group).unwrap();
    let shadow = machine
        .read("/etc/shadow")
        .replace("$6$alice", "$6$own")
        .replace("$6$root", "$6$new");
    fs::write(machine.path("/etc/shadow"), shadow).unwrap();
    check(
        &machine.activate(ONE),
        &expect![[r#"
        write /etc/gshadow /etc/shadow: change password of 'alice'
    "#]],
    );
    check(
        &format!(
            "{}--\n{}--\n{}",
            machine.read("/etc/passwd"),
            machine.read("/etc/group"),
            machine.read("/etc/shadow")
        ),
        &expect![[r#"
            root:x:0:0::/root:/bin/sh
            sshd:x:999:999::/var/empty:/bin/false
            alice:x:1000:100:Alice:/home/alice:/bin/sh
            bob:x:1001:100:Böb:/home/bob:/bin/sh
            +::::::
            --
            root:x:0:
            wheel:x:1:alice,bob
            shadow:x:42:
            users:x:100:
            sshd:x:999:
            --
            root:$6$new:1::::::
            sshd:!:1::::::
            alice:$6$alice:1::::::
            bob:$6$bob:19000:0:99999:7:::
        "#]],
    );
    // A user that is declared no more goes, although users are mutable; one by hand stays. When
    // users become immutable, he goes too.
    one.users.retain(|user| user.name.as_str() != "alice");
    machine.install(TWO, &one);
    machine.activate(TWO);
    assert!(!machine.read("/etc/passwd").contains("alice"));
    assert!(machine.read("/etc/passwd").contains("bob"));
    one.mutable_users = false;
    machine.install(TWO, &one);
    check(
        &machine.activate(TWO),
        &expect![[r#"
        write /var/lib/nixos/uid-map /etc/group /etc/gshadow /etc/passwd /etc/shadow: change group 'wheel', remove user 'bob', change password of 'root', remove line '+::::::'
    "#]],
    );
    assert!(!machine.read("/etc/passwd").contains("bob"));
    assert!(machine.read("/etc/shadow").starts_with("root:$6$root:"));
}

#[test]
fn ids_are_never_changed_nor_reused() {
    let machine = Machine::new();
    let mut one = description();
    machine.install(ONE, &one);
    machine.activate(ONE);
    one.users[1].uid = Some(1234);
    one.users[2].uid = Some(1000);
    machine.install(TWO, &one);
    let outcome = machine.run(TWO);
    assert_eq!(outcome.failures, []);
    assert!(machine.read("/etc/passwd").contains("alice:x:1000:"));
    // A new user that wants the id of another is refused.
    let mut eve = one.users[1].clone();
    eve.name = UserName::try_from("eve").unwrap();
    eve.uid = Some(1000);
    one.users.push(eve);
    machine.install(TWO, &one);
    let outcome = machine.run(TWO);
    check(
        &failures(&outcome),
        &expect![[r#"
            cannot add user 'eve': uid 1000 belongs to 'alice'; choose another
        "#]],
    );
}

#[test]
fn damaged_files_are_survived() {
    let machine = Machine::new();
    machine.write(
        "/etc/passwd",
        "\0\0\0\0\nroot:x:0:0::/root:/bin/sh\nbroken\n",
    );
    machine.write("/etc/group", "");
    machine.write("/var/lib/nixos/uid-map", "\0\0\0");
    fs::write(machine.path("/etc/shadow"), b"root:$6$\xff:1::::::\n").unwrap();
    machine.install(ONE, &description());
    let outcome = machine.run(ONE);
    check(
        &failures(&outcome),
        &expect![[r#"
            '/etc/passwd' is damaged, it has NUL bytes: it and its kin are kept as *.damaged and made anew from what can be read; look for users that are missing
            cannot read '/var/lib/nixos/uid-map': expected value at line 1 column 1; it is kept as /var/lib/nixos/uid-map.damaged and begun anew
        "#]],
    );
    assert_eq!(machine.read("/var/lib/nixos/uid-map.damaged"), "\0\0\0");
    assert!(
        machine
            .read("/etc/passwd")
            .starts_with("root:x:0:0::/root:/bin/sh\nsshd:")
    );
    assert_eq!(machine.run(ONE).plan.to_string(), "");
}

#[test]
fn no_description_is_an_error() {
    let machine = Machine::new();
    let error = run(machine.root.path(), Path::new(ONE), Mode::Apply, &NoKernel).unwrap_err();
    check(
        &error.to_string(),
        &expect![
            "cannot use '/nix/store/00000000000000000000000000000001-system': it has no system.json; is it a system's toplevel?"
        ],
    );
    machine.write(
        &format!("{ONE}/system.json"),
        "{ \"version\": 1, \"colour\": \"red\" }",
    );
    let error = run(machine.root.path(), Path::new(ONE), Mode::Apply, &NoKernel).unwrap_err();
    // The list of all fields follows.
    let message = error.to_string();
    check(
        message.split(", expected").next().unwrap(),
        &expect![
            "cannot use '/nix/store/00000000000000000000000000000001-system': cannot read system.json: at 'colour': unknown field `colour`"
        ],
    );
    let error = run(machine.root.path(), Path::new("x"), Mode::Apply, &NoKernel).unwrap_err();
    check(
        &error.to_string(),
        &expect!["cannot use 'x': not an absolute path"],
    );
}

/// A kernel in memory.
#[derive(Default)]
struct FakeKernel {
    settings: RefCell<BTreeMap<Setting, String>>,
    refuses: bool,
}

impl Kernel for FakeKernel {
    fn get(&self, setting: Setting) -> io::Result<Option<String>> {
        let settings = self.settings.borrow();
        Ok(Some(settings.get(&setting).cloned().unwrap_or_default()))
    }

    fn set(&self, setting: Setting, value: &str) -> io::Result<()> {
        if self.refuses {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        self.settings.borrow_mut().insert(setting, value.to_owned());
        Ok(())
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        Ok([0xff; 16])
    }
}

#[test]
fn the_kernel_is_told() {
    let machine = Machine::new();
    let one = description();
    machine.install(ONE, &one);
    fs::create_dir(machine.path(&format!("{ONE}/firmware"))).unwrap();
    let kernel = FakeKernel::default();
    let outcome = run(machine.root.path(), Path::new(ONE), Mode::Apply, &kernel).unwrap();
    assert_eq!(outcome.failures, []);
    check(
        &format!("{:#?}", kernel.settings.borrow()),
        &expect![[r#"
            {
                HostName: "box",
                FirmwarePath: "/nix/store/00000000000000000000000000000001-system/firmware",
            }"#]],
    );
    assert_eq!(
        machine.read("/etc/machine-id"),
        "ffffffffffff4fffbfffffffffffffff\n"
    );
    let again = run(machine.root.path(), Path::new(ONE), Mode::Apply, &kernel).unwrap();
    assert_eq!(again.plan.to_string(), "");
    let kernel = FakeKernel {
        refuses: true,
        ..FakeKernel::default()
    };
    let outcome = run(machine.root.path(), Path::new(ONE), Mode::Apply, &kernel).unwrap();
    check(
        &failures(&outcome),
        &expect![[r#"
            cannot set the host name: permission denied
            cannot set the kernel's firmware path: permission denied
        "#]],
    );
}

#[test]
fn wrappers_are_switched_as_a_set() {
    let machine = Machine::new();
    let mut one = description();
    one.wrappers[0].capabilities = vec!["cap_net_raw".to_owned()];
    machine.install(ONE, &one);
    machine.activate(ONE);
    let first = machine.link("/run/wrappers/bin");
    if is_superuser() {
        let file = fs::File::open(machine.path(&format!("{first}/su"))).unwrap();
        let value = cairn_sys::xattr::get(&file, c"security.capability").unwrap();
        assert_eq!(value.unwrap()[..8], [1, 0, 0, 2, 0, 0x20, 0, 0]);
    }
    // The program changes: a new set, and the old one is gone.
    machine.write("/nix/store/s-shadow/bin/su", "\x7fELF newer");
    machine.activate(ONE);
    let second = machine.link("/run/wrappers/bin");
    assert_ne!(first, second);
    assert!(!machine.exists(&first));
    assert_eq!(machine.read(&format!("{second}/su")), "\x7fELF newer");
}

#[test]
fn links_are_followed_inside_the_root() {
    let machine = Machine::new();
    let mut one = description();
    // The source of a copy is a link to an absolute path.
    symlink(
        "/nix/store/e-files/hosts",
        machine.path("/nix/store/e-files/link"),
    )
    .unwrap();
    one.etc[2].source = "/nix/store/e-files/link".to_owned();
    machine.install(ONE, &one);
    machine.activate(ONE);
    assert_eq!(machine.read("/etc/sudoers"), "127.0.0.1 localhost\n");
}

#[test]
fn another_program_may_hold_the_lock() {
    let machine = Machine::new();
    machine.install(ONE, &description());
    let path = machine.path("/etc/.pwd.lock");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    // `flock --fcntl` is too new for Debian 12: another process is asked for by hand.
    let mut holder = std::process::Command::new("perl")
        .args(["-e", LOCK_FOR_A_WHILE])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("perl is missing; apt-get install perl-base");
    let mut ready = [0_u8; 1];
    io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let start = std::time::Instant::now();
    machine.activate(ONE);
    assert!(start.elapsed().as_millis() >= 300, "it waits for the lock");
    assert!(holder.wait().unwrap().success());
}

/// Takes a POSIX write lock on the whole file, says so, and holds it for 0.4 s.
const LOCK_FOR_A_WHILE: &str = r#"
use Fcntl; open(my $f, '+<', $ARGV[0]) or die;
my $lock = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0);
fcntl($f, F_SETLK, $lock) or die "lock: $!";
$| = 1; print "x"; select(undef, undef, undef, 0.4);
"#;

#[test]
fn nothing_is_given_away_when_users_cannot_be_written() {
    let machine = Machine::new();
    machine.install(ONE, &description());
    // The lock file is a directory: it can never be taken.
    fs::create_dir_all(machine.path("/etc/.pwd.lock")).unwrap();
    let outcome = machine.run(ONE);
    let failures = failures(&outcome);
    check(
        &failures.replace(&machine.root.path().display().to_string(), ""),
        &expect![[r#"
            cannot lock '/etc/.pwd.lock': Is a directory (os error 21); is another program changing users?
            cannot make directory /home/alice 0700 1000:100: users and groups could not be written
            cannot make directory /var/lib/private/sshd 0750 999:999: users and groups could not be written
        "#]],
    );
    assert!(!machine.exists("/etc/passwd"));
    assert!(!machine.exists("/home/alice"));
    assert_eq!(machine.link("/etc/hosts"), "/etc/static/hosts");
    fs::remove_dir(machine.path("/etc/.pwd.lock")).unwrap();
    machine.activate(ONE);
    assert!(machine.exists("/home/alice"));
}

#[test]
fn a_hash_in_a_file_is_what_a_user_gets() {
    let machine = Machine::new();
    let mut description = description();
    description.users[0].initial_hashed_password_file = Some("/persist/root".to_owned());
    description.users[1].hashed_password_file = Some("/persist/alice".to_owned());
    description.users[1].home_mode = Some(0o750);
    machine.write("/persist/root", "$6$first\nignored\n");
    machine.install(ONE, &description);
    let outcome = machine.run(ONE);
    expect!["cannot set the password of 'alice': '/persist/alice' does not exist"]
        .assert_eq(&outcome.failures[0].to_string());
    let shadow = machine.read("/etc/shadow");
    assert!(shadow.contains("root:$6$first:"), "{shadow}");
    assert!(shadow.contains("alice:$6$alice:"), "{shadow}");
    assert_eq!(machine.mode("/home/alice"), 0o750);

    machine.write("/persist/alice", "$6$second");
    machine.activate(ONE);
    assert!(machine.read("/etc/shadow").contains("alice:$6$second:"));
}
