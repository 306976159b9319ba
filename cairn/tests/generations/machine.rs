//! A machine in a folder: a store with generations, and what GRUB reads.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use cairn_bootloader::{Slot, Slots};
use cairn_store::{Store, profile};
use serde_json::json;

/// 2026-11-01 12:00 UTC, when the first generation was made.
const FIRST: u64 = 1_793_534_400;

pub struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in ["boot/grub", "run", "etc"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn store(&self) -> Store {
        Store::open(self.folder.path()).unwrap()
    }

    /// A generation of the profile, which does not become the current one.
    pub fn add(&self, number: u64) {
        self.add_with(number, format!("kernel {number}").as_bytes());
    }

    /// A generation with this kernel.
    pub fn add_with(&self, number: u64, content: &[u8]) {
        self.add_system(number, content, &json!(null), &["quiet"]);
    }

    /// A generation with this kernel, these wishes for the menu, and these parameters before its number.
    pub fn add_system(
        &self,
        number: u64,
        content: &[u8],
        menu: &serde_json::Value,
        params: &[&str],
    ) {
        let store = self.store();
        let tree = tempfile::tempdir().unwrap();
        let kernel = format!("vmlinuz-6.12.{number}-cairn");
        fs::write(tree.path().join(&kernel), content).unwrap();
        // Its own path is not known before it has one: the kernel lies in another object.
        let files = store
            .add_tree(&format!("files-{number}"), tree.path())
            .unwrap();
        let label = match number {
            1 => "first".to_owned(),
            number => format!("Cairn {number}"),
        };
        let system = tempfile::tempdir().unwrap();
        let own = format!("n={number}");
        let params: Vec<&str> = params.iter().copied().chain([own.as_str()]).collect();
        let bootspec = json!({"org.cairn.menu.v1": menu, "org.nixos.bootspec.v1": {
            "init": "/nix/store/x/init", "kernel": format!("{files}/{kernel}"),
            "kernelParams": params, "label": label,
            "system": "x86_64-linux", "toplevel": "/nix/store/x",
        }});
        fs::write(system.path().join("boot.json"), bootspec.to_string()).unwrap();
        let path = store
            .add_tree(&format!("system-{number}"), system.path())
            .unwrap();
        let generation = store.add_generation("system", &path).unwrap();
        assert_eq!(generation.number, number);
        store.add_root(&format!("files/{number}"), &files).unwrap();
        self.date(number, FIRST + (number - 1) * 86_400);
    }

    /// A generation of a container, which has neither kernel nor boot entry.
    pub fn add_container(&self, number: u64) {
        let system = tempfile::tempdir().unwrap();
        fs::write(system.path().join("system"), number.to_string()).unwrap();
        let store = self.store();
        let path = store
            .add_tree(&format!("system-{number}"), system.path())
            .unwrap();
        let generation = store.add_generation("system", &path).unwrap();
        assert_eq!(generation.number, number);
    }

    fn date(&self, number: u64, seconds: u64) {
        let link = profile::generation_link(self.folder.path(), "system", number).unwrap();
        let touched = Command::new("touch")
            .args(["--no-dereference", "--date", &format!("@{seconds}")])
            .arg(link)
            .status();
        assert!(touched.unwrap().success());
    }

    pub fn want(&self, number: u64) {
        self.store().set_current("system", number).unwrap();
    }

    fn toplevel(&self, number: u64) -> PathBuf {
        let link = profile::generation_link(self.folder.path(), "system", number).unwrap();
        fs::read_link(link).unwrap()
    }

    pub fn link(&self, relative: &str, number: u64) {
        symlink(self.toplevel(number), self.path(relative)).unwrap();
    }

    /// An object without `boot.json` in place of generation `number`.
    pub fn damage(&self, number: u64) {
        let path = self.toplevel(number);
        let real = self.folder.path().join(path.strip_prefix("/").unwrap());
        let file = real.join("boot.json");
        fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::remove_file(file).unwrap();
    }

    pub fn boot_state(&self, variables: &str) {
        let mut text = format!("# GRUB Environment Block\n{variables}");
        text += &"#".repeat(1024 - text.len());
        fs::write(self.path("boot/grub/grubenv"), text).unwrap();
    }

    pub fn verdict(&self, number: u64, verdict: &str, reason: &str) {
        let folder = self.path("var/lib/cairn/boots");
        fs::create_dir_all(&folder).unwrap();
        let text = json!({
            "verdict": verdict, "at": 1, "toplevel": self.toplevel(number), "reason": reason,
        });
        fs::write(folder.join(format!("{number}.json")), text.to_string()).unwrap();
    }

    /// An object that nobody needs.
    pub fn garbage(&self, name: &str) {
        let text = self
            .store()
            .add_text(name, name.as_bytes(), &BTreeSet::default());
        text.unwrap();
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.run_telling("error", words)
    }

    /// The same, which tells what is of this importance.
    pub fn run_telling(&self, level: &str, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(words)
            .arg("--root")
            .arg(self.folder.path())
            .env("TZ", "UTC")
            .env("CAIRN_LOG", level)
            .output()
            .unwrap()
    }

    pub fn says(&self, words: &[&str]) -> String {
        said(&self.run(words))
    }

    pub fn gc(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .arg("gc")
            .args(words)
            .arg("--store")
            .arg(self.folder.path())
            .output();
        said(&output.unwrap())
    }

    /// Runs the command by another name; a last `--store` gets its value.
    pub fn run_as(&self, name: &str, words: &[&str]) -> Output {
        let link = self.path(name);
        symlink(env!("CARGO_BIN_EXE_cairn"), &link).unwrap();
        let mut command = Command::new(link);
        command.args(words);
        if words.last() == Some(&"--store") {
            command.arg(self.folder.path());
        }
        command.output().unwrap()
    }

    pub fn numbers(&self) -> Vec<u64> {
        let generations = profile::generations(self.folder.path(), "system").unwrap();
        generations.iter().map(|one| one.number).collect()
    }

    /// The names of all systems in the store.
    pub fn objects(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("nix/store")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names
            .filter_map(|name| Some(name.split_once('-')?.1.to_owned()))
            .filter(|name| name.starts_with("system-"))
            .collect();
        names.sort();
        names
    }

    /// The boot entries that were written last.
    pub fn menu(&self) -> String {
        let grub = self.path("boot/grub");
        let (slot, _) = Slots::read(&grub).unwrap().newest().unwrap();
        let names = [slot.entries_name(), slot.page_name(0)];
        names
            .map(|name| fs::read_to_string(grub.join(name)).unwrap())
            .concat()
    }

    /// The generations that the boot menu has, after their kernels have been found to be whole.
    pub fn bootable(&self) -> Vec<u64> {
        let menu = self.menu();
        let mut numbers = BTreeSet::new();
        for line in menu.lines().filter(|line| line.contains("linux '")) {
            let word = |before: &str| {
                let rest = line.split_once(before).unwrap().1;
                rest.split_once('\'').unwrap().0.to_owned()
            };
            let kernel = fs::read(self.path(word("linux '/").as_str())).unwrap();
            assert!(line.contains(blake3::hash(&kernel).to_hex().as_str()));
            numbers.insert(word("'cairn.generation=").parse().unwrap());
        }
        numbers.into_iter().collect()
    }

    /// Where boot entries are written to.
    pub fn slots(&self) -> Vec<PathBuf> {
        let names = [Slot::A, Slot::B].map(Slot::entries_name);
        names.map(|name| self.path("boot/grub").join(name)).to_vec()
    }
}

/// `text` with store paths as `PATH`.
pub fn without_paths(text: &str) -> String {
    let mut parts = text.split("/nix/store/");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find('"').unwrap();
        plain = plain + "PATH" + &part[end..];
    }
    plain
}

/// Lines without hashes and sizes; paths in order.
pub fn without_sizes(text: &str) -> String {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("/nix/store/") {
            Some(name) => name[33..].split("  ").next().unwrap().to_owned(),
            None => line.split(" removed, ").next().unwrap().to_owned(),
        })
        .collect();
    let is_path = |line: &String| line.starts_with("system-");
    let first = lines.iter().position(is_path).unwrap();
    let last = lines.iter().rposition(is_path).unwrap();
    lines[first..=last].sort();
    lines.join("\n")
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
