//! Activation of `/etc` with many entries: the program that a machine runs, in a tree of its own,
//! against what copies the same links and makes them durable, and what looks at them again.
//!
//! The tree has been activated without any of them: what a machine has besides `/etc`, its users
//! among them, is there. The peers know nothing of what was there, whose it is, or when it is whole.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use cairn_qemu_tests::images;

use crate::{Times, header, report, scratch, timed};

const ROUNDS: usize = 5;
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// As many as lie in one folder: services and their like make folders of their own.
const IN_A_FOLDER: usize = 100;
const EMPTY: &str = "/nix/store/00000000000000000000000000000000-empty";
const TOPLEVEL: &str = "/nix/store/00000000000000000000000000000000-system";
/// Seconds that each may take, whatever a peer takes. The least time counts: a sync also waits for
/// what the rest of the machine writes.
const BOUND: f64 = 1.0;

/// Prints two rows for each size.
pub fn measure() -> anyhow::Result<()> {
    header("activation of /etc");
    for size in SIZES {
        let (mut fresh, mut again) = (Times::default(), Times::default());
        let (mut copy, mut look) = (Times::default(), Times::default());
        for _ in 0..ROUNDS {
            let tree = Tree::new(size)?;
            timed(&mut tree.activate(EMPTY))?;
            fresh.0.push(timed(&mut tree.activate(TOPLEVEL))?);
            copy.0.push(timed(&mut tree.copy())?);
            again.0.push(timed(&mut tree.activate(TOPLEVEL))?);
            look.0.push(timed(&mut tree.compare())?);
            tree.check(size)?;
        }
        let bounded = |what: &str, times: &Times| {
            if times.least() > BOUND {
                println!("{what}: MISSED the bound of {BOUND} s");
            }
        };
        let what = format!("{size} entries, from nothing");
        report(&what, &fresh, ("cp -R, sync", &copy), 2.0);
        bounded(&what, &fresh);
        let what = format!("{size} entries, unchanged");
        report(&what, &again, ("diff -r", &look), 3.0);
        bounded(&what, &again);
    }
    Ok(())
}

/// A root directory with one toplevel, and room for the peer's copy.
struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new(size: usize) -> anyhow::Result<Self> {
        let folder = scratch()?;
        let root = folder.path().join("root");
        let toplevel = root.join(TOPLEVEL.trim_start_matches('/'));
        let mut entries = Vec::new();
        for number in 0..size {
            let target = format!("folder-{:03}/entry-{number:05}", number / IN_A_FOLDER);
            let source = format!("/nix/store/11111111111111111111111111111111-etc/{number}");
            let link = toplevel.join("etc").join(&target);
            if let Some(parent) = link.parent() {
                make_folder(parent)?;
            }
            symlink(&source, &link).with_context(|| format!("cannot make {}", link.display()))?;
            entries.push(serde_json::json!({ "target": target, "source": source }));
        }
        for (toplevel, entries) in [(EMPTY, Vec::new()), (TOPLEVEL, entries)] {
            install(&root.join(toplevel.trim_start_matches('/')), &entries)?;
        }
        let tree = Self { folder };
        // What was written for this must not be what the first of them makes durable.
        timed(Command::new("sync").arg("-f").arg(tree.folder.path()))?;
        Ok(tree)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The superuser of the tree, with a host name of its own.
    fn activate(&self, toplevel: &str) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--uts", "chroot"])
            .arg(self.root())
            .arg(format!("{toplevel}/activate"))
            .arg("--boot");
        command
    }

    fn original(&self) -> PathBuf {
        self.root()
            .join(TOPLEVEL.trim_start_matches('/'))
            .join("etc")
    }

    fn copied(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn copy(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "cp -R -P \"$0\" \"$1\" && sync -f \"$1\""])
            .arg(self.original())
            .arg(self.copied());
        command
    }

    fn compare(&self) -> Command {
        let mut command = Command::new("diff");
        command
            .args(["-r", "--no-dereference"])
            .arg(self.original())
            .arg(self.copied());
        command
    }

    /// That the work was done.
    fn check(&self, size: usize) -> anyhow::Result<()> {
        let last = size - 1;
        let name = format!("folder-{:03}/entry-{last:05}", last / IN_A_FOLDER);
        let link = self.root().join("etc").join(&name);
        let target =
            fs::read_link(&link).with_context(|| format!("cannot read {}", link.display()))?;
        if target != Path::new("/etc/static").join(&name) {
            bail!("{} says {}", link.display(), target.display());
        }
        Ok(())
    }
}

/// Makes a toplevel with these entries of `/etc`, and the program that activates it.
fn install(toplevel: &Path, entries: &[serde_json::Value]) -> anyhow::Result<()> {
    make_folder(toplevel)?;
    let description = serde_json::json!({
        "version": 1, "label": "bench", "hostName": "bench", "fileSystems": [], "services": [],
        "users": [{ "name": "root", "uid": 0, "isSystemUser": true, "group": "root",
                    "home": "/root", "shell": "/bin/sh" }],
        "groups": [{ "name": "root", "gid": 0 }],
        "binSh": "/bin/no-shell", "usrBinEnv": "/bin/no-env", "etc": entries,
    });
    let file = toplevel.join("system.json");
    fs::write(&file, description.to_string())
        .with_context(|| format!("cannot write {}", file.display()))?;
    let init = images::programs().join("cairn-init");
    fs::copy(&init, toplevel.join("activate"))
        .map(|_| ())
        .with_context(|| format!("cannot copy {}", init.display()))
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
