//! Any bytes as the files of the user database: the superuser is there afterwards, and what is described is
//! reached at once.

#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use cairn_activate::{NoKernel, Step, plan};
use cairn_system::SystemDescription;
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 11] = [
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
    "etc/subuid",
    "etc/subgid",
    "var/lib/nixos/uid-map",
    "var/lib/nixos/gid-map",
    "var/lib/nixos/auto-subuid-map",
    "var/lib/nixos/declarative-users",
    "var/lib/nixos/declarative-groups",
];

static DESCRIPTION: LazyLock<SystemDescription> = LazyLock::new(|| {
    SystemDescription::parse(
        r#"{
          "version": 1, "label": "fuzz", "hostName": "fuzz", "fileSystems": [], "services": [],
          "users": [
            { "name": "root", "uid": 0, "isSystemUser": true, "group": "root", "home": "/root",
              "shell": "/bin/sh" },
            { "name": "alice", "isSystemUser": false, "group": "users", "extraGroups": ["wheel"],
              "home": "/home/alice", "shell": "/bin/sh" },
            { "name": "sshd", "isSystemUser": true, "group": "sshd", "home": "/var/empty",
              "shell": "/bin/false" }
          ],
          "groups": [
            { "name": "root", "gid": 0 }, { "name": "wheel", "gid": 1 },
            { "name": "shadow", "gid": 42 }, { "name": "users", "gid": 100 }, { "name": "sshd" }
          ],
          "binSh": "/nix/store/b-bash/bin/sh", "usrBinEnv": "/nix/store/c-coreutils/bin/env",
          "etc": [], "directories": [], "wrappers": []
        }"#,
    )
    .expect("a description")
});

/// The number of each name, the first of several.
fn numbers(root: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let passwd = fs::read(root.join("etc/passwd")).unwrap_or_default();
    let mut numbers = BTreeMap::new();
    for line in passwd.split(|byte| *byte == b'\n') {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        if let [name, _, number, ..] = fields[..] {
            numbers.entry(name.to_owned()).or_insert(number.to_owned());
        }
    }
    numbers
}

fuzz_target!(|files: [&[u8]; FILES.len()]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let root = folder.path();
    for (name, content) in FILES.iter().zip(files) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        if !content.is_empty() {
            fs::write(&path, content).expect("a file");
        }
    }
    let toplevel = Path::new("/nix/store/00000000000000000000000000000001-system");
    let planned = plan(root, toplevel, &DESCRIPTION, &NoKernel);
    let failures = planned.apply(root, &NoKernel);
    let after = numbers(root);
    assert_eq!(after.get(&b"root"[..]).map(Vec::as_slice), Some(&b"0"[..]), "{failures:?}");
    let again = plan(root, toplevel, &DESCRIPTION, &NoKernel);
    let changes = |step: &&Step| matches!(step, Step::Accounts(_));
    let second = again.steps().iter().find(changes);
    assert!(second.is_none(), "changed twice: {second:?}");
});
