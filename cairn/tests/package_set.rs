//! `modules/packages`, evaluated by real Nix, names the same derivations as the package set in Rust.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cairn::packages::{PackageSet, Telling, packages_json};
use cairn_debian::{Lock, LockedPackage, MultiArch, Request};
use cairn_store::Store;
use cairn_store_path::Sha256;

/// Package, source, section, essential, dependencies.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    bool,
    &'static [&'static str],
);

/// A cycle, a source package with two packages, a library apart from its tools, an epoch and
/// characters that names of store paths refuse.
const PACKAGES: [Row; 8] = [
    ("libc6", "glibc", "libs", false, &["libgcc-s1"]),
    ("libgcc-s1", "gcc-12", "libs", false, &["libc6"]),
    ("coreutils", "coreutils", "utils", true, &["libc6"]),
    ("zlib1g", "zlib", "libs", false, &["libc6"]),
    ("zlib-tools", "zlib", "utils", false, &["zlib1g"]),
    ("ssh-client", "openssh", "net", false, &["zlib1g"]),
    ("ssh-server", "openssh", "net", false, &["ssh-client"]),
    ("linux-image-amd64", "linux", "kernel", false, &[]),
];

fn lock() -> Lock {
    let packages = PACKAGES.map(
        |(name, source, section, essential, dependencies)| LockedPackage {
            name: name.to_owned(),
            version: "1:2.3~rc1-4+b1".parse().unwrap(),
            architecture: "amd64".to_owned(),
            source: source.to_owned(),
            source_version: "1:2.3~rc1-4".parse().unwrap(),
            section: section.to_owned(),
            description: None,
            homepage: None,
            essential,
            multi_arch: MultiArch::No,
            release: "bookworm".to_owned(),
            filename: format!("pool/main/{name}_2.3~rc1-4+b1_amd64.deb"),
            size: 1,
            sha256: Sha256::of(name.as_bytes()),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            provides: BTreeMap::new(),
        },
    );
    Lock::new(
        Request::parse(["ssh-server"]).unwrap(),
        vec![],
        packages.into(),
    )
    .unwrap()
}

/// The value of `expression`, in which `pkgs` is the package set of `lock`.
fn evaluate(folder: &Path, lock: &Lock, expression: &str) -> serde_json::Value {
    let file = folder.join("packages.json");
    std::fs::write(&file, packages_json(lock, None, Telling::Nothing)).unwrap();
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/packages");
    let whole = format!(
        "let pkgs = import {} {{ packages = {}; }}; in {expression}",
        modules.display(),
        file.display()
    );
    let output = Command::new("nix-instantiate")
        .args([
            "--readonly-mode",
            "--eval",
            "--strict",
            "--json",
            "-E",
            &whole,
        ])
        .output()
        .expect("nix-instantiate is missing; install it with: apt-get install nix-bin");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn same_derivations_as_in_rust() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let lock = lock();
    let set = PackageSet::new(&store, &lock).unwrap();
    let names: BTreeSet<&str> = PACKAGES.iter().map(|row| row.0).collect();
    let ours: BTreeMap<&str, [String; 2]> = names
        .iter()
        .map(|&name| {
            let output = set.package(name).unwrap();
            let derivation = set.derivation_of(output).unwrap();
            (name, [derivation.to_string(), output.to_string()])
        })
        .collect();
    let list = names
        .iter()
        .fold(String::new(), |list, name| list + &format!("\"{name}\" "));
    let theirs = evaluate(
        folder.path(),
        &lock,
        &format!(
            "builtins.listToAttrs (map (name: {{ inherit name; \
             value = [ pkgs.${{name}}.drvPath pkgs.${{name}}.outPath ]; }}) [ {list} ])"
        ),
    );
    assert_eq!(theirs, serde_json::to_value(ours).unwrap());
}

#[test]
fn same_texts_as_in_rust() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let lock = lock();
    let set = PackageSet::new(&store, &lock).unwrap();
    let ssh = set.path("ssh-server", "bin/sshd").unwrap();
    let ours = set.text("unit", &format!("run {ssh}\n")).unwrap();
    let theirs = evaluate(
        folder.path(),
        &lock,
        r#"(pkgs.writeText "unit" "run ${pkgs.ssh-server}/bin/sshd\n").outPath"#,
    );
    assert_eq!(theirs, ours);
}
