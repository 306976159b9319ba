//! Programs built from source with a toolchain of Debian's packages: they are built by the command,
//! run in a root that has nothing but the store, and refer to no compiler.
//!
//! Needs a mirror of Debian, and some 150 MB of it the first time.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn_store::{Sandbox, Store};
use cairn_store_path::StorePath;
use expect_test::expect;
use serde_json::Value;

const CAIRN: &str = env!("CARGO_BIN_EXE_cairn");

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// What `cairn build --json` says of these parts of the configuration.
    fn build(&self, attributes: &[&str]) -> Vec<Value> {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/source_packages/configuration.nix");
        let output = Command::new(CAIRN)
            .args(["build", "--json", "--no-link", "-c"])
            .arg(file)
            .arg("--store")
            .arg(self.root())
            .arg("--lock")
            .arg(self.folder.path().join("cairn.lock"))
            .args(attributes)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn path(built: &Value, output: &str) -> StorePath {
    built["outputs"][output].as_str().unwrap().parse().unwrap()
}

fn says(store: &Store, program: &str) -> String {
    let output = Sandbox::new(store, program).run().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn closure_names(store: &Store, path: &StorePath) -> Vec<String> {
    let closure = store.closure(std::slice::from_ref(path)).unwrap();
    closure.iter().map(|path| path.name().to_owned()).collect()
}

#[test]
fn programs_from_source_run_and_refer_to_no_compiler() {
    let fixture = Fixture {
        folder: tempfile::tempdir().unwrap(),
    };
    let built = fixture.build(&["pkgs.hello-from-source", "pkgs.plain", "pkgs.with-cmake"]);
    let store = Store::open(&fixture.root()).unwrap();

    let hello = path(&built[0], "out");
    assert_eq!(
        says(&store, &format!("{hello}/bin/hello")),
        "Hello, world!\n"
    );
    let names = closure_names(&store, &hello);
    assert_eq!(names.len(), 2, "{names:?}");

    let plain = path(&built[1], "out");
    assert_eq!(says(&store, &format!("{plain}/bin/plain")), "good day\n");
    assert_eq!(
        says(&store, &format!("{plain}/bin/script")),
        "from a script\n"
    );
    let readme = store.real_path(&path(&built[1], "doc")).join("readme");
    assert_eq!(
        fs::read_to_string(readme).unwrap(),
        format!("see {plain}\n")
    );

    let with_cmake = path(&built[2], "out");
    let said = says(&store, &format!("{with_cmake}/bin/with-cmake"));
    assert!(said.starts_with("42 zlib 1."), "{said}");

    for path in [&hello, &plain, &with_cmake] {
        let names = closure_names(&store, path);
        let tool = |name: &&String| name.contains("gcc-12-") || name.contains("binutils");
        assert_eq!(names.iter().find(tool), None, "{names:?}");
    }

    // A second build finds everything, and a locked one asks nobody.
    assert_eq!(
        fixture.build(&["--locked", "pkgs.hello-from-source"]),
        built[..1]
    );
}

#[test]
fn programs_find_files_that_they_look_for_below_usr() {
    let fixture = Fixture {
        folder: tempfile::tempdir().unwrap(),
    };
    let built = fixture.build(&["pkgs.fixed-names"]);
    let store = Store::open(&fixture.root()).unwrap();
    let said = fs::read_to_string(store.real_path(&path(&built[0], "out"))).unwrap();
    expect![[r#"
        application/x-pie-executable
        .git
        1
        subject=CN = x
        42
        200
        [1]
        1
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_program_finds_packages_below_usr() {
    let fixture = Fixture {
        folder: tempfile::tempdir().unwrap(),
    };
    let built = fixture.build(&["pkgs.view.view", "pkgs.view.init"]);
    let output = Command::new(CAIRN)
        .args(["fhs", "--store"])
        .arg(fixture.root())
        .args([
            path(&built[0], "out").to_string(),
            path(&built[1], "out").to_string(),
        ])
        .args([
            "-c",
            "echo $FROM_PROFILE; /usr/bin/env /bin/ls /usr/lib/x86_64-linux-gnu/libz.so.1",
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "yes\n/usr/lib/x86_64-linux-gnu/libz.so.1\n",
        "{output:?}"
    );
}
