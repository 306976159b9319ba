//! The store of a running system: read-only for all, written by us alone.
//!
//! Each test runs itself again in a user and mount namespace, where `/nix/store` is mounted as on a
//! running system, and is changed there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use cairn_store::{Access, Sandbox, Store};
use common::{builds, names, new, out, realise};

/// Set in the namespace: the folder that the store is made in.
const ROOT: &str = "CAIRN_TEST_READ_ONLY_ROOT";

/// Runs the test `name` again after `mounts`, a script in which `$root` is the store's root.
fn in_namespace(name: &str, mounts: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e; root=\"${ROOT}\"; mkdir -p \"$root/nix/store\"; {mounts}; exec \"$0\" --exact {name} --nocapture"
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(ROOT, folder.path())
        .output()
        .unwrap_or_else(|error| panic!("cannot run unshare: {error}; apt-get install util-linux"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const PROTECT: &str = "mount --bind \"$root/nix/store\" \"$root/nix/store\"; \
     mount -o remount,bind,ro,nosuid,nodev \"$root/nix/store\"";

fn inside() -> Option<std::path::PathBuf> {
    std::env::var_os(ROOT).map(Into::into)
}

fn is_read_only(path: &Path) -> bool {
    let error = fs::write(path.join("x"), "").unwrap_err();
    error.kind() == io::ErrorKind::ReadOnlyFilesystem
}

/// All that changes the store, and what builders and others see of it.
fn use_store(root: &Path) {
    let store_dir = root.join("nix/store");
    assert!(is_read_only(&store_dir), "the test's own mounts");
    let store = Store::open(root).unwrap();
    let text = store.add_text("t", b"text", &BTreeSet::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    fs::copy("/bin/busybox", folder.path().join("bin/busybox")).unwrap();
    let tools = store.add_tree("busybox", folder.path()).unwrap();
    let made = new("tree", "builtin:tree")
        .input_src(text.clone())
        .build(&mut cairn_store_path::derivation::ModuloHashes::new())
        .unwrap();
    store.write_derivation(&made.derivation).unwrap();
    realise(&store, &[&made]).unwrap();
    let script = "mkdir $out && echo built > $out/x && ! echo 1 > $tools/x";
    let program = cairn_store_path::derivation::DerivationBuilder::new(
        "program",
        cairn_store::SYSTEM,
        &format!("{tools}/bin/busybox"),
    )
    .arg("sh")
    .arg("-c")
    .arg(script)
    .env("PATH", format!("{tools}/bin"))
    .env("tools", tools.to_string())
    .env("out", "")
    .input_src(tools.clone())
    .build(&mut cairn_store_path::derivation::ModuloHashes::new())
    .unwrap();
    store.write_derivation(&program.derivation).unwrap();
    realise(&store, &[&program]).unwrap();

    for path in [&text, &tools, &out(&made), &out(&program)] {
        let real = store_dir.join(path.base_name());
        assert!(real.exists(), "{path} is where others look for it");
        assert_eq!(store.info(path).unwrap().path, *path);
    }
    assert_eq!(
        fs::read_to_string(store.real_path(&out(&program)).join("x")).unwrap(),
        "built\n"
    );
    let seen = Sandbox::new(&store, format!("{tools}/bin/busybox"))
        .args(["cat"])
        .arg(format!("{}/x", out(&program)))
        .bind(folder.path(), "/out", Access::ReadWrite)
        .run()
        .unwrap();
    assert_eq!(seen.stdout, b"built\n", "{seen:?}");
    assert!(is_read_only(&store_dir), "still, for this process's names");
    let other = Command::new("sh")
        .args(["-c", "! touch \"$0/y\" 2>/dev/null"])
        .arg(&store_dir)
        .status();
    assert!(other.unwrap().success(), "other processes cannot write");
    drop(store);
    assert_eq!(names(&builds(root)), Vec::<String>::new());
    let hidden: Vec<_> = names(&store_dir)
        .into_iter()
        .filter(|name| name.starts_with('.') || name.contains(".lock"))
        .collect();
    assert_eq!(hidden, Vec::<String>::new());
}

#[test]
fn a_store_that_is_protected_by_a_bind_mount() {
    match inside() {
        Some(root) => use_store(&root),
        None => in_namespace("a_store_that_is_protected_by_a_bind_mount", PROTECT),
    }
}

#[test]
fn a_protected_store_where_nix_is_a_file_system() {
    let name = "a_protected_store_where_nix_is_a_file_system";
    let mounts = format!("mount -t tmpfs none \"$root/nix\"; mkdir \"$root/nix/store\"; {PROTECT}");
    match inside() {
        Some(root) => use_store(&root),
        None => in_namespace(name, &mounts),
    }
}

#[test]
fn a_protected_store_that_is_a_file_system() {
    let name = "a_protected_store_that_is_a_file_system";
    let mounts = format!("mount -t tmpfs none \"$root/nix/store\"; {PROTECT}");
    match inside() {
        Some(root) => use_store(&root),
        None => in_namespace(name, &mounts),
    }
}

#[test]
fn a_protected_store_that_comes_from_elsewhere_on_the_same_file_system() {
    let name = "a_protected_store_that_comes_from_elsewhere_on_the_same_file_system";
    let mounts = "mkdir \"$root/elsewhere\"; \
         mount --bind \"$root/elsewhere\" \"$root/nix/store\"; \
         mount -o remount,bind,ro \"$root/nix/store\"";
    match inside() {
        Some(root) => use_store(&root),
        None => in_namespace(name, mounts),
    }
}

#[test]
fn a_writable_store_that_is_a_file_system() {
    let name = "a_writable_store_that_is_a_file_system";
    let mounts = "mount -t tmpfs none \"$root/nix/store\"";
    let Some(root) = inside() else {
        return in_namespace(name, mounts);
    };
    let store = Store::open(&root).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    let tree = store.add_tree("tree", folder.path()).unwrap();
    let text = store.add_text("t", b"text", &BTreeSet::new()).unwrap();
    let mut expected = vec![tree.base_name().to_owned(), text.base_name().to_owned()];
    expected.sort();
    assert_eq!(names(&root.join("nix/store")), expected);
}

#[test]
fn a_store_on_a_read_only_file_system_says_so() {
    let name = "a_store_on_a_read_only_file_system_says_so";
    let mounts = "mount -t tmpfs none \"$root/nix/store\"; \
         mount -o remount,ro \"$root/nix/store\"";
    let Some(root) = inside() else {
        return in_namespace(name, mounts);
    };
    let store = Store::open(&root).unwrap();
    let error = store.add_text("t", b"text", &BTreeSet::new()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with(
            "Read-only file system (os error 30); the store must lie on a writable file system"
        ),
        "{text}"
    );
}
