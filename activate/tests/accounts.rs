//! Users and groups over several generations, in the eyes of the tools that guard their files.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests"
)]

use std::fs;
use std::process::Command;

use cairn_system::{Day, IdRange, SystemDescription, UserName};
use expect_test::expect;
use machine::{Machine, ONE, TWO, description};

mod machine;

fn name(text: &str) -> UserName {
    UserName::try_from(text).unwrap()
}

/// `pwck` and `grpck`, as if the tree were the system: they say nothing and change nothing.
fn assert_clean(machine: &Machine) {
    for program in ["pwck", "grpck"] {
        let output = Command::new("unshare")
            .args(["--map-root-user", program, "--read-only", "--root"])
            .arg(machine.root.path())
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .output()
            .expect("unshare is missing: apt-get install util-linux");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        let said: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(said, Vec::<&str>::new(), "{program}");
        assert!(output.status.success(), "{program}: {}", output.status);
    }
}

/// A machine whose shells exist; the tools look.
fn new_machine() -> Machine {
    let machine = Machine::new();
    machine.write("/nix/store/b-bash/bin/sh", "#!\n");
    machine.write("/bin/false", "#!\n");
    for shell in ["/nix/store/b-bash/bin/sh", "/bin/false"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(machine.path(shell), mode).unwrap();
    }
    machine
}

#[test]
fn the_tools_find_no_fault() {
    let machine = new_machine();
    let mut one = description();
    one.mutable_users = true;
    one.groups[1].members = vec![name("alice"), name("nobody-there")];
    machine.install(ONE, &one);
    machine.activate(ONE);
    assert_clean(&machine);
    assert!(machine.read("/etc/group").contains("wheel:x:1:alice\n"));

    // Users come by hand and go by description; the tools agree with each state.
    for (file, line) in [
        ("passwd", "bob:x:1001:100:Bob:/home/alice:/bin/sh\n"),
        ("shadow", "bob:$6$bob:19000:0:99999:7:::\n"),
    ] {
        let path = format!("/etc/{file}");
        let text = machine.read(&path) + line;
        fs::write(machine.path(&path), text).unwrap();
    }
    let mut two = one.clone();
    two.users.retain(|user| user.name.as_str() != "sshd");
    two.groups.retain(|group| group.name.as_str() != "sshd");
    two.directories.clear();
    machine.install(TWO, &two);
    machine.activate(TWO);
    assert_clean(&machine);
    assert!(machine.read("/etc/passwd").contains("bob:x:1001:"));
    machine.activate(ONE);
    assert_clean(&machine);

    two.mutable_users = false;
    machine.install(TWO, &two);
    machine.activate(TWO);
    assert_clean(&machine);
    assert!(!machine.read("/etc/passwd").contains("bob"));
    assert!(machine.exists("/home/alice"), "files of users stay");
}

#[test]
fn an_account_expires() {
    let machine = new_machine();
    let mut one = description();
    one.mutable_users = true;
    one.users[1].expires = Some(Day::try_from("2030-12-31".to_owned()).unwrap());
    machine.install(ONE, &one);
    machine.activate(ONE);
    let alice = |machine: &Machine| {
        let shadow = machine.read("/etc/shadow");
        let line = shadow.lines().find(|line| line.starts_with("alice:"));
        line.unwrap().to_owned()
    };
    assert_eq!(alice(&machine), "alice:$6$alice:1:::::22279:");
    assert_clean(&machine);
    // What is no longer described is hers to change, or the description's where nobody may.
    one.users[1].expires = None;
    machine.install(TWO, &one);
    machine.activate(TWO);
    assert_eq!(alice(&machine), "alice:$6$alice:1:::::22279:");
    one.mutable_users = false;
    machine.install(TWO, &one);
    expect![[r#"
        write /etc/shadow: change expiry of 'alice'
    "#]]
    .assert_eq(&machine.activate(TWO));
    assert_eq!(alice(&machine), "alice:$6$alice:1::::::");
}

fn sub_ids(machine: &Machine) -> String {
    format!(
        "{}--\n{}",
        machine.read("/etc/subuid"),
        machine.read("/etc/subgid")
    )
}

#[test]
fn numbers_for_user_namespaces_are_nobody_elses() {
    let machine = new_machine();
    let mut one = description();
    one.mutable_users = true;
    machine.install(ONE, &one);
    machine.activate(ONE);
    assert!(!machine.exists("/etc/subuid"), "nobody has asked for any");

    one.users[1].auto_sub_ids = true;
    one.users[2].sub_uid_ranges = vec![IdRange {
        start: 170_000,
        count: 5,
    }];
    machine.install(ONE, &one);
    machine.activate(ONE);
    expect![[r#"
        alice:100000:65536
        sshd:170000:5
        --
        alice:100000:65536
    "#]]
    .assert_eq(&sub_ids(&machine));

    // By `usermod --add-subuids`, for a user whom no generation knows; and for one who is gone.
    let by_hand = machine.read("/etc/passwd") + "bob:x:1001:100:Bob:/home/alice:/bin/sh\n";
    fs::write(machine.path("/etc/passwd"), by_hand).unwrap();
    let by_hand = machine.read("/etc/subuid") + "bob:231072:65536\ngone:1:1\n# note\n";
    fs::write(machine.path("/etc/subuid"), by_hand).unwrap();
    let mut two = one.clone();
    two.users.retain(|user| user.name.as_str() != "alice");
    let mut carol = one.users[1].clone();
    carol.name = name("carol");
    two.users.push(carol);
    machine.install(TWO, &two);
    machine.activate(TWO);
    expect![[r#"
        sshd:170000:5
        carol:296608:65536
        bob:231072:65536
        # note
        --
        carol:296608:65536
    "#]]
    .assert_eq(&sub_ids(&machine));

    // Alice's range has waited for her.
    machine.activate(ONE);
    expect![[r#"
        alice:100000:65536
        sshd:170000:5
        bob:231072:65536
        # note
        --
        alice:100000:65536
    "#]]
    .assert_eq(&sub_ids(&machine));
    expect![[r#"
        {"alice":100000,"carol":296608}
    "#]]
    .assert_eq(&machine.read("/var/lib/nixos/auto-subuid-map"));
}

/// What failed, one a line, with paths as the system has them.
fn failures(machine: &Machine, toplevel: &str) -> String {
    let outcome = machine.run(toplevel);
    let lines: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    lines
        .join("\n")
        .replace(&machine.root.path().display().to_string(), "")
}

fn mutable() -> SystemDescription {
    let mut description = description();
    description.mutable_users = true;
    description
}

#[test]
fn a_damaged_file_is_never_overwritten() {
    let machine = new_machine();
    machine.install(ONE, &mutable());
    machine.activate(ONE);
    let shadow = machine.read("/etc/shadow").replace("$6$root", "$6$own");
    fs::write(machine.path("/etc/shadow"), &shadow).unwrap();
    // As a file system leaves a file whose length was written and whose content was not.
    fs::write(machine.path("/etc/passwd"), "\0\0\0\0\0\0").unwrap();
    expect![[r#"'/etc/passwd' is damaged, it has NUL bytes: it and its kin are kept as *.damaged and made anew from what can be read; look for users that are missing"#]]
        .assert_eq(&failures(&machine, ONE));
    assert_eq!(machine.read("/etc/passwd.damaged"), "\0\0\0\0\0\0");
    assert_eq!(machine.read("/etc/shadow.damaged"), shadow);
    // Everybody who is declared is there again, with the old id and password.
    assert!(machine.read("/etc/passwd").contains("alice:x:1000:100:"));
    assert!(machine.read("/etc/shadow").contains("root:$6$own:"));
    fs::write(machine.path("/etc/passwd"), "").unwrap();
    expect![[r#"users and groups are left as they are: cannot keep '/etc/passwd', which is damaged: '/etc/passwd.damaged' is there already; move it away, and activate again
cannot make directory '/var/lib/private/sshd': there is no user 'sshd'; define users.users.sshd"#]]
    .assert_eq(&failures(&machine, ONE));
    assert_eq!(machine.read("/etc/passwd"), "");
}

#[test]
fn an_unreadable_file_is_left_alone() {
    let machine = new_machine();
    machine.install(ONE, &mutable());
    machine.activate(ONE);
    let before = machine.read("/etc/passwd");
    fs::remove_file(machine.path("/etc/shadow")).unwrap();
    // Reading fails for the superuser as well.
    fs::create_dir(machine.path("/etc/shadow")).unwrap();
    expect![[r#"users and groups are left as they are: cannot read '/etc/shadow': Is a directory (os error 21)
cannot make directory '/var/lib/private/sshd': there is no user 'sshd'; define users.users.sshd"#]]
    .assert_eq(&failures(&machine, ONE));
    assert_eq!(machine.read("/etc/passwd"), before);
    assert_eq!(machine.link("/etc/hosts"), "/etc/static/hosts");
}

/// Numbers of those who are gone are remembered, in whatever encoding their names were.
#[test]
fn names_that_are_no_text_are_remembered() {
    let machine = new_machine();
    machine.install(ONE, &description());
    for (file, line) in [
        ("/etc/passwd", &b"j\xf6rg:x:1234:1234::/:/bin/false\n"[..]),
        ("/etc/group", b"j\xf6rg:x:1234:\n"),
    ] {
        let path = machine.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, line).unwrap();
    }
    assert_eq!(failures(&machine, ONE), "");
    let maps = || {
        ["/var/lib/nixos/uid-map", "/var/lib/nixos/gid-map"]
            .map(|map| fs::read(machine.path(map)).unwrap())
    };
    let before = maps();
    for map in &before {
        let name = b"\"j\xf6rg\":1234";
        assert!(map.windows(name.len()).any(|part| part == name));
    }
    assert_eq!(failures(&machine, ONE), "");
    assert_eq!(maps(), before);
}
