//! A tree in a temporary folder, with generations in its store.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cairn_activate::{Mode, NoKernel, Outcome, run};
use cairn_system::{CopyMode, EtcEntry, SystemDescription, UserName};

/// A root with generations in its store.
pub struct Machine {
    pub root: tempfile::TempDir,
}

pub const ONE: &str = "/nix/store/00000000000000000000000000000001-system";
pub const TWO: &str = "/nix/store/00000000000000000000000000000002-system";

/// A description of little: `root` and `alice`, a shell, two `/etc` entries.
pub fn description() -> SystemDescription {
    SystemDescription::parse(
        r#"{
  "version": 1, "label": "test", "hostName": "box", "fileSystems": [], "services": [],
  "users": [
    { "name": "root", "uid": 0, "isSystemUser": true, "group": "root", "home": "/root",
      "shell": "/bin/sh", "initialHashedPassword": "$6$root" },
    { "name": "alice", "isSystemUser": false, "group": "users", "extraGroups": ["wheel"],
      "description": "Alice", "home": "/home/alice", "createHome": true, "shell": "/bin/sh",
      "hashedPassword": "$6$alice" },
    { "name": "sshd", "isSystemUser": true, "group": "sshd", "home": "/var/empty",
      "shell": "/bin/false" }
  ],
  "groups": [
    { "name": "root", "gid": 0 }, { "name": "wheel", "gid": 1 }, { "name": "shadow", "gid": 42 },
    { "name": "users", "gid": 100 }, { "name": "sshd" }
  ],
  "binSh": "/nix/store/b-bash/bin/sh", "usrBinEnv": "/nix/store/c-coreutils/bin/env",
  "etc": [
    { "target": "hosts", "source": "/nix/store/e-files/hosts" },
    { "target": "ssh/sshd_config", "source": "/nix/store/e-files/sshd_config" },
    { "target": "sudoers", "source": "/nix/store/e-files/sudoers",
      "copy": { "mode": "0440", "user": "root", "group": "root" } }
  ],
  "directories": [
    { "path": "/var/lib/private/sshd", "mode": "0750", "user": "sshd", "group": "sshd" }
  ],
  "wrappers": [
    { "name": "su", "source": "/nix/store/s-shadow/bin/su", "mode": "4511", "user": "root",
      "group": "root" }
  ]
}"#,
    )
    .unwrap()
}

impl Machine {
    pub fn new() -> Self {
        let machine = Self {
            // In memory, where there is such a place: hundreds of syncs are not what is tested.
            root: tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap(),
        };
        for (path, content) in [
            ("/nix/store/e-files/hosts", "127.0.0.1 localhost\n"),
            ("/nix/store/e-files/sshd_config", "Port 22\n"),
            ("/nix/store/e-files/sudoers", "root ALL=(ALL) ALL\n"),
            ("/nix/store/s-shadow/bin/su", "\x7fELF su"),
        ] {
            machine.write(path, content);
        }
        machine
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn link(&self, path: &str) -> String {
        let target = fs::read_link(self.path(path)).unwrap();
        target.to_str().unwrap().to_owned()
    }

    pub fn mode(&self, path: &str) -> u32 {
        let metadata = fs::symlink_metadata(self.path(path)).unwrap();
        metadata.permissions().mode() & 0o7777
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// Installs a generation: its description and its `etc` tree.
    pub fn install(&self, toplevel: &str, description: &SystemDescription) {
        let text = serde_json::to_string(description).unwrap();
        self.write(&format!("{toplevel}/system.json"), &text);
        for entry in &description.etc {
            let link = self.path(&format!("{toplevel}/etc/{}", entry.target));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            if fs::symlink_metadata(&link).is_err() {
                symlink(&entry.source, &link).unwrap();
            }
        }
    }

    pub fn run(&self, toplevel: &str) -> Outcome {
        run(
            self.root.path(),
            Path::new(toplevel),
            Mode::Apply,
            &NoKernel,
        )
        .unwrap()
    }

    /// Activates and checks that nothing fails and that a second run plans nothing.
    pub fn activate(&self, toplevel: &str) -> String {
        let outcome = self.run(toplevel);
        assert_eq!(outcome.failures, []);
        let again = self.run(toplevel);
        assert_eq!(again.plan.to_string(), "");
        assert_eq!(again.failures, []);
        assert_no_temporaries(self.root.path());
        outcome.plan.to_string()
    }
}

pub fn assert_no_temporaries(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.ends_with(".cairn-tmp"), "{name} is left");
        if entry.file_type().unwrap().is_dir() {
            assert_no_temporaries(&entry.path());
        }
    }
}

/// Two generations between which each kind of `/etc` entry becomes each other kind, and users come
/// and go.
pub fn generations_of_all_kinds() -> (SystemDescription, SystemDescription) {
    let entry = |target: &str, file: &str| EtcEntry {
        target: target.to_owned(),
        source: format!("/nix/store/e-files/{file}"),
        copy: None,
        direct: false,
    };
    let rights = CopyMode {
        mode: 0o600,
        user: UserName::try_from("root").unwrap(),
        group: UserName::try_from("root").unwrap(),
    };
    let copy = |target: &str, file: &str| EtcEntry {
        copy: Some(rights.clone()),
        ..entry(target, file)
    };
    let direct = |target: &str, file: &str| EtcEntry {
        direct: true,
        ..entry(target, file)
    };
    let mut one = description();
    let mut two = description();
    one.etc = vec![
        entry("link-copy", "hosts"),
        copy("copy-link", "hosts"),
        direct("direct-link", "hosts"),
        entry("link-direct", "hosts"),
        copy("copy-folder", "hosts"),
        copy("folder-copy/below", "hosts"),
        direct("direct-folder", "hosts"),
        direct("gone", "hosts"),
        entry("link-folder", "hosts"),
    ];
    two.etc = vec![
        copy("link-copy", "sudoers"),
        entry("copy-link", "sudoers"),
        entry("direct-link", "sudoers"),
        direct("link-direct", "sudoers"),
        entry("copy-folder/below", "sudoers"),
        copy("folder-copy", "sudoers"),
        copy("direct-folder/below", "sudoers"),
        direct("link-folder/deep/er", "sudoers"),
    ];
    two.users.retain(|user| user.name.as_str() != "alice");
    two.wrappers.clear();
    (one, two)
}
