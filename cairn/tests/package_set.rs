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

use cairn::packages::{Index, Telling, packages_json};
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
const PACKAGES: &[Row] = &[
    ("libc6", "glibc", "libs", false, &["libgcc-s1"]),
    ("libgcc-s1", "gcc-12", "libs", false, &["libc6"]),
    ("coreutils", "coreutils", "utils", true, &["libc6"]),
    ("zlib1g", "zlib", "libs", false, &["libc6"]),
    ("zlib-tools", "zlib", "utils", false, &["zlib1g"]),
    ("ssh-client", "openssh", "net", false, &["zlib1g"]),
    ("ssh-server", "openssh", "net", false, &["ssh-client"]),
    ("linux-image-amd64", "linux", "kernel", false, &[]),
];

/// What may join them: of the same sources, essential but replaced, needing what is there in another order.
const JOINING: &[Row] = &[
    ("linux-image-cloud", "linux", "kernel", false, &[]),
    ("zlib-view", "zlib", "utils", false, &["libc6"]),
    ("zlib1g-dev", "zlib", "libdevel", false, &["zlib1g"]),
    ("perl-base", "perl", "perl", true, &["libc6"]),
    ("aaa", "aaa", "utils", false, &["zlib1g", "perl-base"]),
];

fn lock(rows: &[Row]) -> Lock {
    let packages =
        rows.iter().map(
            |&(name, source, section, essential, dependencies)| LockedPackage {
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
        packages.collect(),
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

/// The paths of [`PACKAGES`] by their names, with `lock`.
fn paths(lock: &Lock) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let list = PACKAGES
        .iter()
        .fold(String::new(), |list, row| list + &format!("\"{}\" ", row.0));
    evaluate(
        folder.path(),
        lock,
        &format!(
            "builtins.listToAttrs (map (name: {{ inherit name; value = pkgs.${{name}}.outPath; }}) \
             [ {list} ])"
        ),
    )
}

#[test]
fn what_joins_the_lock_changes_nothing_else() {
    let all = [PACKAGES, JOINING].concat();
    assert_eq!(paths(&lock(&all)), paths(&lock(PACKAGES)));
}

#[test]
fn derivations_have_their_names() {
    let paths = paths(&lock(PACKAGES));
    let text = serde_json::to_string_pretty(&paths).unwrap();
    expect![[r#"
        {
          "coreutils": "/nix/store/p2j82lf64iq2sfjwhnnyyv657azq34bn-coreutils-2.3_rc1-4+b1",
          "libc6": "/nix/store/7fqsdwq4ayq5ngpj6pj415bpv349p8i2-libc6+libgcc-s1-2.3_rc1-4+b1",
          "libgcc-s1": "/nix/store/7fqsdwq4ayq5ngpj6pj415bpv349p8i2-libc6+libgcc-s1-2.3_rc1-4+b1",
          "linux-image-amd64": "/nix/store/561j3sr848ix8s5fpla7jh9cfg6rly9a-linux-image-amd64-2.3_rc1-4+b1",
          "ssh-client": "/nix/store/54h6dbjcpql9cgzkqqs9347zzwqi6dj8-openssh-2.3_rc1-4",
          "ssh-server": "/nix/store/54h6dbjcpql9cgzkqqs9347zzwqi6dj8-openssh-2.3_rc1-4",
          "zlib-tools": "/nix/store/zawnn9xj556di8wxa7d598gjd6xm63c9-zlib-tools-2.3_rc1-4+b1",
          "zlib1g": "/nix/store/i4hbwa4k1fa4kgwhnn72pg87f30dh2xy-zlib1g-2.3_rc1-4+b1"
        }"#]]
    .assert_eq(&text);
}

#[test]
fn texts_refer_to_packages() {
    let folder = tempfile::tempdir().unwrap();
    let text = evaluate(
        folder.path(),
        &lock(PACKAGES),
        r#"(pkgs.writeText "unit" "run ${pkgs.ssh-server}/bin/sshd\n").outPath"#,
    );
    expect!["/nix/store/a5qqkrah095h7jqk72y3dra6wm36br2z-unit"].assert_eq(text.as_str().unwrap());
}

/// What `nix-instantiate`, real or ours, says of `file`.
fn instantiate(mut command: Command, file: &Path) -> serde_json::Value {
    let output = command
        .args(["--readonly-mode", "--eval", "--strict", "--json"])
        .arg(file)
        .output()
        .expect("nix-instantiate is missing; install it with: apt-get install nix-bin");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everything that makes derivations, once.
const EVERYTHING: &str = r#"
let
  pkgs = import MODULES { packages = PACKAGES; programs.cairn = "/nix/store/00000000000000000000000000000000-cairn"; overlays = [ overlay ]; };
  overlay = final: prev: { more = prev.mkDerivation { name = "more"; src = final.coreutils; }; };
in
builtins.mapAttrs (_: value: [ value.drvPath value.outPath value.name ]) {
  text = pkgs.writeText "a" "text of ${pkgs.coreutils}";
  dir = pkgs.writeTextDir "etc/x.conf" "x";
  script = pkgs.writeShellScriptBin "run" "echo \"$1\"";
  application = pkgs.writeShellApplication { name = "app"; runtimeInputs = [ pkgs.sed ]; text = "sed"; };
  run = pkgs.runCommand "run" { list = [ pkgs.sed "b" ]; yes = true; } "mkdir $out";
  join = pkgs.symlinkJoin { name = "join"; paths = [ pkgs.coreutils [ pkgs.sed ] ]; };
  changed = pkgs.symlinkJoin { name = "join"; paths = [ pkgs.sed ]; postBuild = "touch $out/x"; };
  env = pkgs.buildEnv { name = "env"; paths = [ pkgs.sed ]; pathsToLink = [ "/bin" ]; };
  farm = pkgs.linkFarm "farm" [ { name = "a"; path = pkgs.sed; } ];
  concat = pkgs.concatText "both" [ pkgs.sed pkgs.grep ];
  fetched = pkgs.fetchurl { url = "mirror://debian/x_1.tar.gz"; sha256 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"; };
  make = pkgs.stdenv.mkDerivation (final: { pname = "x"; version = "1"; outputs = [ "out" "dev" ]; flag = final.version; buildInputs = [ pkgs.zlib1g-dev ]; });
  changedMake = (pkgs.mkDerivation { name = "x"; value = 1; }).overrideAttrs (old: { value = old.value + 1; });
  structured = pkgs.stdenvNoCC.mkDerivation { name = "s"; __structuredAttrs = true; a.b = [ 1 true null "x" ]; };
  called = (pkgs.callPackage ({ mkDerivation, sed, extra ? "none" }: mkDerivation { name = "called"; inherit sed extra; }) { }).override { extra = "some"; };
  overlaid = pkgs.more;
  fhs = pkgs.fhs { name = "view"; packages = [ pkgs.sed ]; };
  together = pkgs.openssh;
  kernel = pkgs.linuxPackages.kernel;
}
"#;

#[test]
fn everything_is_the_same_in_real_nix() {
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("packages.json");
    let names = folder.path().join("names.json");
    let index = Index {
        names: &names,
        descriptions: &names,
    };
    // What is not locked stands as a placeholder.
    let all = [
        "bash",
        "grep",
        "sed",
        "gawk",
        "tar",
        "gzip",
        "bzip2",
        "xz-utils",
        "patch",
        "findutils",
        "diffutils",
        "make",
        "gcc",
        "g++",
        "cpp",
        "binutils",
        "libc6-dev",
        "zlib1g-dev",
        "openssh-client",
        "openssh-server",
        "openssh-sftp-server",
        "linux-image-amd64",
    ];
    let listed: BTreeMap<&str, &str> = all.map(|name| (name, "1.0")).into();
    std::fs::write(&names, serde_json::to_vec(&listed).unwrap()).unwrap();
    let text = packages_json(&lock(PACKAGES), Some(&index), Telling::Nothing);
    std::fs::write(&packages, text).unwrap();
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/packages");
    let file = folder.path().join("everything.nix");
    let text = EVERYTHING
        .replace("MODULES", &modules.display().to_string())
        .replace("PACKAGES", &packages.display().to_string());
    std::fs::write(&file, text).unwrap();
    let theirs = instantiate(Command::new("nix-instantiate"), &file);
    let mut own = Command::new(env!("CARGO_BIN_EXE_cairn"));
    std::os::unix::process::CommandExt::arg0(&mut own, "nix-instantiate");
    assert_eq!(instantiate(own, &file), theirs);
}
