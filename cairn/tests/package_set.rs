//! `modules/packages`, evaluated by real Nix, names derivations as it always did.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cairn::packages::{Telling, packages_json};
use cairn_debian::{Lock, LockedPackage, MultiArch, Request};
use cairn_store_path::Sha256;
use expect_test::expect;

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
fn derivations_have_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = PACKAGES.map(|row| row.0);
    let list = names
        .iter()
        .fold(String::new(), |list, name| list + &format!("\"{name}\" "));
    let paths = evaluate(
        folder.path(),
        &lock(),
        &format!(
            "builtins.listToAttrs (map (name: {{ inherit name; value = pkgs.${{name}}.outPath; }}) \
             [ {list} ])"
        ),
    );
    let text = serde_json::to_string_pretty(&paths).unwrap();
    expect![[r#"
        {
          "coreutils": "/nix/store/lgcqhvii2ldkwis5022p7491c5x5p9hr-coreutils-2.3_rc1-4",
          "libc6": "/nix/store/7fqsdwq4ayq5ngpj6pj415bpv349p8i2-libc6+libgcc-s1-2.3_rc1-4+b1",
          "libgcc-s1": "/nix/store/7fqsdwq4ayq5ngpj6pj415bpv349p8i2-libc6+libgcc-s1-2.3_rc1-4+b1",
          "linux-image-amd64": "/nix/store/mpz97hjbzyqjvsshm8rzaw3hcqimhlc9-linux-2.3_rc1-4",
          "ssh-client": "/nix/store/x5dndgk8zfg2zxg3a1c5swxvl39cf27m-openssh-2.3_rc1-4",
          "ssh-server": "/nix/store/x5dndgk8zfg2zxg3a1c5swxvl39cf27m-openssh-2.3_rc1-4",
          "zlib-tools": "/nix/store/b4an788f28v24x5diwljx4v62phsr88n-zlib-2.3_rc1-4",
          "zlib1g": "/nix/store/v267lmck2cj864h77fm1pmlcn69m7myi-zlib1g-2.3_rc1-4+b1"
        }"#]]
    .assert_eq(&text);
}

#[test]
fn texts_refer_to_packages() {
    let folder = tempfile::tempdir().unwrap();
    let text = evaluate(
        folder.path(),
        &lock(),
        r#"(pkgs.writeText "unit" "run ${pkgs.ssh-server}/bin/sshd\n").outPath"#,
    );
    expect!["/nix/store/j49v0m9qal3jn73jsgk71cjybcw2f4rs-unit"].assert_eq(text.as_str().unwrap());
}
