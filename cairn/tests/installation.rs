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
