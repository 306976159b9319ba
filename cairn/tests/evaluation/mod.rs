//! Configurations, evaluated by real Nix with the modules of this repository.
//!
//! No package is locked here, and only evaluation is tested: whatever word there is in the modules
//! is a package of the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cairn::builders;
use serde_json::{Value, json};

/// A folder with a store, a package set, and the configuration to be evaluated.
pub struct Evaluation {
    /// Where it all lies.
    pub folder: tempfile::TempDir,
    configuration: PathBuf,
}

impl Evaluation {
    /// Of the file `configuration`.
    pub fn of(configuration: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let words = words(configuration);
        let names: BTreeMap<String, &str> = words.into_iter().map(|word| (word, "1")).collect();
        let names_file = folder.path().join("names.json");
        fs::write(&names_file, json!(names).to_string()).unwrap();
        let formats: BTreeMap<&str, u32> = builders::format_versions().collect();
        let packages = json!({
            "format": 1, "system": "x86_64-linux", "codename": "trixie", "formats": formats,
            "groups": [], "packages": {}, "names": names_file
        });
        fs::write(folder.path().join("packages.json"), packages.to_string()).unwrap();
        Self {
            folder,
            configuration: configuration.to_owned(),
        }
    }

    /// Of the text of a module, in the file `configuration.nix`.
    pub fn of_text(text: &str) -> Self {
        let own = tempfile::tempdir().unwrap();
        let file = own.path().join("configuration.nix");
        fs::write(&file, text).unwrap();
        let mut evaluation = Self::of(&file);
        evaluation.configuration = evaluation.folder.path().join("configuration.nix");
        fs::rename(&file, &evaluation.configuration).unwrap();
        evaluation
    }

    /// Runs nix-instantiate on `expression`, in which `machine` is what modules/default.nix gives.
    pub fn run(&self, arguments: &[&str], expression: &str) -> Output {
        self.run_program(Path::new("nix-instantiate"), arguments, expression)
            .expect("nix-instantiate is missing; install it with: apt-get install nix-bin")
    }

    /// The same with Cairn's own evaluator.
    #[allow(dead_code, reason = "not every test compares the two")]
    pub fn run_ours(&self, arguments: &[&str], expression: &str) -> Output {
        let link = self.folder.path().join("nix-instantiate");
        if !link.is_symlink() {
            symlink(env!("CARGO_BIN_EXE_cairn"), &link).unwrap();
        }
        self.run_program(&link, arguments, expression).unwrap()
    }

    fn run_program(
        &self,
        program: &Path,
        arguments: &[&str],
        expression: &str,
    ) -> std::io::Result<Output> {
        let whole = format!(
            r#"let
                 program = name: builtins.unsafeDiscardStringContext (builtins.toFile name "");
                 machine = import {modules} {{
                   configuration = {configuration};
                   packages = {packages};
                   programs = {{ cairn = program "cairn"; cairn-init = program "cairn-init"; cairn-core = program "cairn-core"; }};
                 }};
                 inherit (machine) config options pkgs lib;
               in {expression}"#,
            modules = repository().join("modules").display(),
            configuration = self.configuration.display(),
            packages = self.folder.path().join("packages.json").display(),
        );
        let store = self.folder.path().join("store");
        Command::new(program)
            .args(arguments)
            .args(["--option", "substituters", "", "-E", &whole])
            .env("NIX_REMOTE", format!("local?root={}", store.display()))
            .env("HOME", self.folder.path())
            .output()
    }

    /// The value of `expression`.
    pub fn value(&self, expression: &str) -> Value {
        let output = self.run(&["--eval", "--strict", "--json"], expression);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{expression}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What is said against the system.
    pub fn error(&self) -> String {
        let output = self.run(&["--eval", "--strict"], "machine.system.drvPath");
        assert!(!output.status.success(), "it was accepted");
        let text = String::from_utf8_lossy(&output.stderr);
        let (_, message) = text.split_once("error: ").unwrap_or(("", &text));
        // The library's own lines follow.
        let end = message.find("\n\n").unwrap_or(message.len());
        let message = &message[..end];
        let folder = self.folder.path().display().to_string();
        let lines = message
            .lines()
            .filter(|line| !line.starts_with("(use '--show-trace'"))
            .map(|line| line.trim_start_matches("       "))
            // Which one it names depends on what it has read before.
            .map(
                |line| match line.split_once(" called with unexpected argument") {
                    Some((function, _)) => format!("{function} called with an unexpected argument"),
                    None => line.to_owned(),
                },
            );
        lines
            .collect::<Vec<_>>()
            .join("\n")
            .replace(&folder, "<folder>")
    }
}

/// The words in `file`, all modules and all examples that could be names of packages.
fn words(file: &Path) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let repository = repository();
    let mut pending = vec![
        file.to_owned(),
        repository.join("modules"),
        repository.join("examples"),
    ];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            pending.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "nix") {
            let text = fs::read_to_string(&path).unwrap();
            let is_inside = |c: char| c.is_ascii_alphanumeric() || "+-_".contains(c);
            let parts = text.split(|c: char| !is_inside(c));
            // Names of packages have no capital letters; what the package set has beside packages may.
            let is_capital = |c: char| c.is_ascii_uppercase();
            let names = parts.filter(|word| {
                word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(is_capital)
            });
            words.extend(names.map(str::to_owned));
        }
    }
    words
}

/// The repository's root.
pub fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::canonicalize(crate_folder.join("..")).unwrap()
}
