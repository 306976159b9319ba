//! What an installation does depends neither on who begins it, nor on what others have mounted.

#![cfg(test)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Runs a script as root of namespaces of its own, in `scratch`; what it has written on standard error.
fn said(scratch: &Path, script: &str) -> String {
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-e", "-c", script, "sh"])
        .arg(env!("CARGO_BIN_EXE_cairn"))
        .current_dir(scratch)
        .output()
        .expect("unshare is missing: apt-get install util-linux");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a configuration and a root to be mounted on. Its lock file ends an installation when the store
/// has been made.
fn prepared() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("root")).unwrap();
    fs::write(scratch.path().join("configuration.nix"), "{ }").unwrap();
    fs::write(scratch.path().join("cairn.lock"), "no lock").unwrap();
    scratch
}

/// The end of [`prepared`]'s.
const END: &str = "cairn.lock' is damaged";

#[test]
fn folders_are_seen_by_all_whatever_the_mask() {
    let scratch = prepared();
    let said = said(
        scratch.path(),
        "mount -t tmpfs none root; umask 077; exec \"$1\" install --root root --store store -c configuration.nix",
    );
    assert!(said.contains(END), "{said}");
    for name in ["nix", "nix/var", "nix/var/nix/db", "nix/var/nix/profiles"] {
        let folder = scratch.path().join("store").join(name);
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
}

/// A stick whose label is Latin-1 is mounted below such a name.
#[test]
fn names_of_mounts_need_not_be_text() {
    let scratch = prepared();
    fs::create_dir(scratch.path().join(OsStr::from_bytes(b"other-\xfc"))).unwrap();
    let said = said(
        scratch.path(),
        "mount -t tmpfs none root; mount -t tmpfs none other-*; \
         exec \"$1\" install --root root --store store -c configuration.nix",
    );
    assert!(said.contains(END), "{said}");
}

#[test]
fn names_of_mounts_of_disks_need_not_be_text() {
    let scratch = tempfile::tempdir().unwrap();
    let listed =
        b"{\"blockdevices\":[{\"path\":\"/dev/null\",\"type\":\"disk\",\"size\":0,\"log-sec\":512,\
                   \"ro\":false,\"mountpoints\":[\"/media/\xfc\"]}]}";
    fs::write(scratch.path().join("listed"), listed).unwrap();
    fs::write(
        scratch.path().join("answers.toml"),
        "disk = \"/dev/null\"\n",
    )
    .unwrap();
    let said = said(
        scratch.path(),
        "mount -t tmpfs none /run; mkdir programs; printf '#!/bin/sh\\ncat listed\\n' > programs/lsblk; \
         chmod +x programs/lsblk; PATH=$PWD/programs:$PATH; exec \"$1\" install --answers answers.toml --dry-run",
    );
    assert!(
        said.contains("/dev/null is mounted on /media/\u{fffd}"),
        "{said}"
    );
}

/// A line of the answers that is wrong, and what is said of it beside its field's name.
const WRONG: [(&str, &str, &str); 28] = [
    ("disk = 1", "disk", "expected a path"),
    ("disk = ''", "disk", "cannot find the disk ''"),
    (
        "disk = '/dev/nothing'",
        "disk",
        "cannot find the disk '/dev/nothing'",
    ),
    ("disk = 'configuration.nix'", "disk", "is no disk"),
    ("disk = '.'", "disk", "is no disk"),
    ("disk = '/dev/null'", "disk", "is no disk"),
    ("wipe = 'yes'", "wipe", "expected a boolean"),
    ("host-name = 'a b'", "host-name", "that is no host name"),
    ("time-zone = 1", "time-zone", "expected a string"),
    ("locale = \"a\\nb\"", "locale", "control characters"),
    ("keyboard = ''", "keyboard", "must not be empty"),
    ("extra = ['a']", "extra", "expected a string"),
    ("configuration = 7", "configuration", "expected a path"),
    ("layout = 1", "layout", "expected a table"),
    (
        "layout.file-system = 'zfs'",
        "layout.file-system",
        "`ext4`, `btrfs`, `xfs`",
    ),
    (
        "layout.swap-mib = '1G'",
        "layout.swap-mib",
        "expected a whole number",
    ),
    (
        "layout.swap-mib = -1",
        "layout.swap-mib",
        "expected a whole number",
    ),
    (
        "layout.encryption = 'x'",
        "layout.encryption",
        "`passphrase` or `passphrase-file`",
    ),
    (
        "layout.encryption = { passphrase = 'a', passphrase-file = '/b' }",
        "layout.encryption",
        "one of them excludes the others",
    ),
    ("root = true", "root", "expected a table"),
    (
        "root.hashed-password = 'secret'",
        "root.hashed-password",
        "no hash of a password",
    ),
    ("root.ssh-keys = 'x'", "root.ssh-keys", "expected a list"),
    (
        "root.ssh-keys = ['ssh-ed25519 AAAA', 'x']",
        "root.ssh-keys[1]",
        "that is no SSH key",
    ),
    ("users = [{ }]", "users[0]", "missing field `name`"),
    (
        "users = [{ name = 'A B' }]",
        "users[0].name",
        "is not a user or group name",
    ),
    (
        "users = [{ name = 'a', full-name = 'x:y' }]",
        "users[0].full-name",
        "nor have colons",
    ),
    (
        "users = [{ name = 'a', administrator = 'no' }]",
        "users[0].administrator",
        "expected a boolean",
    ),
    (
        "users = [{ name = 'a', ssh-keys = [\"-----BEGIN OPENSSH PRIVATE KEY-----\"] }]",
        "users[0].ssh-keys[0]",
        "that is no SSH key",
    ),
];

#[test]
fn each_field_of_the_answers_that_is_wrong_is_named() {
    let scratch = prepared();
    for (wrong, field, expected) in WRONG {
        let disk = if wrong.starts_with("disk") {
            ""
        } else {
            "disk = '/dev/nothing'\n"
        };
        let answers = scratch.path().join("answers.toml");
        fs::write(answers, format!("{disk}{wrong}\n")).unwrap();
        let said = said(
            scratch.path(),
            "mount -t tmpfs none /run; exec \"$1\" install --answers answers.toml --yes",
        );
        let errors: Vec<&str> = said.lines().collect();
        let [error] = errors.as_slice() else {
            panic!("{wrong}: {said}");
        };
        let named = format!("at '{field}': ");
        assert!(
            error.contains(&named) && error.contains(expected),
            "{wrong}: {error}"
        );
        assert!(
            !error.contains("secret") && !error.contains("u32"),
            "{error}"
        );
    }
}
