//! Rules about paths, followed in a temporary folder.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cairn_activate::{Mode, NoKernel, run};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

const TOPLEVEL: &str = "/nix/store/00000000000000000000000000000001-system";

/// A root whose one generation has nothing but rules.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            root: tempfile::tempdir().unwrap(),
        };
        // So that only the rules' own steps are planned from here on.
        machine.follow(&json!([]));
        fs::remove_file(machine.path("/run/current-system")).unwrap();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        let metadata = fs::symlink_metadata(self.path(path)).unwrap();
        metadata.permissions().mode() & 0o7777
    }

    fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// What is planned for the rules and what fails, one a line.
    fn follow(&self, paths: &Value) -> String {
        let root = json!({
            "name": "root", "uid": 0, "isSystemUser": true, "group": "root", "home": "/root",
            "shell": "/bin/sh"
        });
        let description = json!({
            "version": 1, "label": "test", "hostName": "box", "fileSystems": [], "services": [],
            "users": [root], "groups": [{ "name": "root", "gid": 0 }],
            "binSh": "/nix/store/b/bin/sh", "usrBinEnv": "/nix/store/c/bin/env",
            "paths": paths
        });
        let file = format!("{TOPLEVEL}/system.json");
        self.write(&file, &description.to_string());
        fs::create_dir_all(self.path(&format!("{TOPLEVEL}/etc"))).unwrap();
        let outcome = run(
            self.root.path(),
            Path::new(TOPLEVEL),
            Mode::Apply,
            &NoKernel,
        )
        .unwrap();
        let failures = outcome
            .failures
            .iter()
            .map(|failure| format!("! {failure}\n"));
        let text = outcome.plan.to_string() + &failures.collect::<String>();
        let folder = self.root.path().display().to_string();
        text.replace(&folder, "<root>")
    }

    /// Follows one rule twice: the second time nothing is to be done.
    fn check(&self, rule: &Value, expected: &Expect) {
        let rules = json!([rule]);
        let planned = self.follow(&rules);
        expected.assert_eq(&planned);
        let again = self.follow(&rules);
        assert_eq!(again, "", "{rule}");
    }
}

#[test]
fn directories_files_and_links_are_made() {
    let machine = Machine::new();
    machine.check(
        &json!({ "kind": "directory", "path": "/srv/a/b", "mode": "0750" }),
        &expect![[r#"
            make directory /srv 0755 0:0
            make directory /srv/a 0755 0:0
            make directory /srv/a/b 0750 0:0
            link /run/current-system -> /nix/store/00000000000000000000000000000001-system
        "#]],
    );
    machine.check(
        &json!({ "kind": "file", "path": "/srv/a/text", "argument": "hello", "mode": "0600" }),
        &expect![[r#"
            write /srv/a/text 0600 0:0
        "#]],
    );
    assert_eq!(machine.read("/srv/a/text"), "hello");
    machine.check(
        &json!({ "kind": "link", "path": "/opt/x/link", "argument": "/srv/a" }),
        &expect![[r#"
            make directory /opt 0755 0:0
            make directory /opt/x 0755 0:0
            link /opt/x/link -> /srv/a
        "#]],
    );
    assert_eq!(machine.mode("/srv/a/b"), 0o750);
    assert!(machine.path("/opt/x/link").is_symlink());
}

#[test]
fn what_is_there_is_replaced_only_if_that_is_asked_for() {
    let machine = Machine::new();
    machine.write("/srv/file", "mine");
    machine.write("/srv/folder/file", "mine");
    machine.check(
        &json!({ "kind": "file", "path": "/srv/file", "argument": "new" }),
        &expect![[r#"
            link /run/current-system -> /nix/store/00000000000000000000000000000001-system
        "#]],
    );
    machine.check(
        &json!({ "kind": "link", "path": "/srv/folder", "argument": "/else" }),
        &expect![[r#""#]],
    );
    assert_eq!(machine.read("/srv/file"), "mine");
    machine.check(
        &json!({ "kind": "file", "path": "/srv/file", "argument": "new", "replace": true }),
        &expect![[r#"
            write /srv/file 0644 0:0
        "#]],
    );
    machine.check(
        &json!({ "kind": "link", "path": "/srv/folder", "argument": "/else", "replace": true }),
        &expect![[r#"
            remove tree /srv/folder
            link /srv/folder -> /else
        "#]],
    );
    machine.check(
        &json!({ "kind": "write", "path": "/srv/fil?", "argument": "written" }),
        &expect![[r#"
            write into /srv/file
        "#]],
    );
    assert_eq!(machine.read("/srv/file"), "written");
}

#[test]
fn things_are_removed_by_patterns() {
    let machine = Machine::new();
    for file in [
        "/tmp/.X0-lock",
        "/tmp/.X1-lock",
        "/tmp/keep",
        "/srv/t/a/b/c",
    ] {
        machine.write(file, "");
    }
    machine.check(
        &json!({ "kind": "remove", "path": "/tmp/.X*-lock" }),
        &expect![[r#"
            remove /tmp/.X0-lock
            remove /tmp/.X1-lock
            link /run/current-system -> /nix/store/00000000000000000000000000000001-system
        "#]],
    );
    machine.check(
        &json!({ "kind": "remove-tree", "path": "/srv/t/a" }),
        &expect![[r#"
            remove tree /srv/t/a
        "#]],
    );
    assert!(machine.exists("/tmp/keep") && machine.exists("/srv/t"));
    machine.write("/srv/full/file", "");
    expect![[r#"
        ! cannot follow the rule for '/srv/full': the directory '/srv/full' is not empty
    "#]]
    .assert_eq(&machine.follow(&json!([{ "kind": "remove", "path": "/srv/full" }])));
    assert!(machine.exists("/srv/full/file"));
}

#[test]
fn a_tree_is_not_followed_through_links() {
    let machine = Machine::new();
    machine.write("/home/precious", "");
    machine.write("/srv/t/file", "");
    symlink(machine.path("/home"), machine.path("/srv/t/link")).unwrap();
    machine.follow(&json!([
        { "kind": "rights-of-tree", "path": "/srv/t", "mode": "0700" }
    ]));
    assert_eq!(machine.mode("/srv/t/file"), 0o700);
    assert_eq!(machine.mode("/home/precious"), 0o644);
    machine.follow(&json!([{ "kind": "remove-tree", "path": "/srv/t" }]));
    assert!(!machine.exists("/srv/t") && machine.exists("/home/precious"));
}

#[test]
fn rights_of_a_file_with_a_second_name_are_left() {
    let machine = Machine::new();
    machine.write("/etc/secret", "");
    fs::create_dir_all(machine.path("/srv")).unwrap();
    fs::hard_link(machine.path("/etc/secret"), machine.path("/srv/trap")).unwrap();
    expect![[r#"
        set rights of /srv/trap 0666 0:0
        link /run/current-system -> /nix/store/00000000000000000000000000000001-system
        ! cannot change rights of '<root>/srv/trap': the file has a second name
    "#]]
    .assert_eq(&machine.follow(&json!([
        { "kind": "rights", "path": "/srv/trap", "mode": "0666" }
    ])));
    assert_eq!(machine.mode("/etc/secret"), 0o644);
}

#[test]
fn a_directory_is_emptied_at_boot_alone() {
    let machine = Machine::new();
    machine.write("/tmp/old", "");
    machine.write("/tmp/folder/old", "");
    let rules = json!([{ "kind": "emptied-directory", "path": "/tmp", "mode": "1777",
                         "atBootOnly": true }]);
    expect![[r#"
        remove tree /tmp/folder
        remove tree /tmp/old
        link /run/current-system -> /nix/store/00000000000000000000000000000001-system
    "#]]
    .assert_eq(&machine.follow(&rules));
    machine.write("/tmp/new", "");
    assert_eq!(machine.follow(&rules), "");
    assert!(machine.exists("/tmp/new"));
}

#[test]
fn what_cannot_be_followed_is_left_out() {
    let machine = Machine::new();
    machine.write("/srv/file", "");
    let rules = json!([
        { "kind": "directory", "path": "relative" },
        { "kind": "directory", "path": "/srv/../etc" },
        { "kind": "directory", "path": "/srv/file" },
        { "kind": "directory", "path": "/srv/x", "user": "nobody" },
        { "kind": "file", "path": "/srv", "argument": "" },
        { "kind": "directory", "path": "/srv/good" },
    ]);
    expect![[r#"
        make directory /srv/good 0755 0:0
        link /run/current-system -> /nix/store/00000000000000000000000000000001-system
        ! cannot follow the rule for 'relative': not an absolute path without '..'
        ! cannot follow the rule for '/srv/../etc': not an absolute path without '..'
        ! cannot follow the rule for '/srv/file': cannot make directory '/srv/file': something else is there; move it away
        ! cannot follow the rule for '/srv/x': there is no user 'nobody'
        ! cannot follow the rule for '/srv': something else is there; move it away
    "#]].assert_eq(&machine.follow(&rules));
    assert!(machine.exists("/srv/good"));
}

/// Where somebody else's folder leads out of what is theirs, root does nothing for them.
#[test]
fn nobody_leads_root_elsewhere() {
    let machine = Machine::new();
    machine.follow(&json!([]));
    machine.write("/secret/keys/key", "x");
    fs::create_dir_all(machine.path("/var/lib/app/own/sub")).unwrap();
    symlink("../../../secret", machine.path("/var/lib/app/data")).unwrap();
    symlink("own", machine.path("/var/lib/app/link")).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    // What has been made for them on the way is root's.
    fs::create_dir(machine.path("/var/lib/app/made")).unwrap();
    for path in ["", "/own", "/own/sub", "/data", "/link"] {
        let place = machine.path(&format!("/var/lib/app{path}"));
        std::os::unix::fs::lchown(place, is_root.then_some(1000), None).unwrap();
    }
    let rules = json!([
        { "kind": "directory", "path": "/var/lib/app/link/sub", "mode": "0700" },
        { "kind": "directory", "path": "/var/lib/app/made/sub", "mode": "0700" },
        { "kind": "directory", "path": "/var/lib/app/data/keys", "mode": "0777" },
        { "kind": "remove-tree", "path": "/var/lib/app/data/*" },
    ]);
    let planned = machine.follow(&rules);
    let refused = planned
        .matches("a link leads there that belongs to somebody else")
        .count();
    // Who is not root has nothing to give away.
    assert_eq!(refused, if is_root { 2 } else { 0 }, "{planned}");
    assert_eq!(machine.exists("/secret/keys/key"), is_root);
    for path in ["own", "made"] {
        assert_eq!(machine.mode(&format!("/var/lib/app/{path}/sub")), 0o700);
    }
}
