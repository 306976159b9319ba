//! One evaluation of a configuration, in a process of its own whose memory is limited: this program
//! again, as `cairn eval` of `modules/command.nix`.
//!
//! What the evaluation asks for comes as lines of `builtins.trace`, everything else that it writes
//! is for the user: it is kept until it is known whether the evaluation counts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use cairn_debian::Lock;
use cairn_store::Store;
use cairn_store_path::StorePath;
use serde::{Deserialize, Serialize};

use super::{AttributePath, Configuration, Evaluated, Found};
use crate::evaluate::mark;

/// How a line begins that names a package. `modules/packages/archive.nix` writes it.
const ASKS: &[u8] = b"trace: cairn: package ";

/// Limits of an evaluation, and what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// The most memory that it may take, in MiB.
    pub memory: u64,
    /// Errors show the whole chain that led to them.
    pub trace: bool,
    /// What it has cost is shown.
    pub statistics: bool,
}

impl Default for Limited {
    fn default() -> Self {
        Self {
            memory: crate::evaluate::request::DEFAULT_MEMORY >> 20,
            trace: false,
            statistics: false,
        }
    }
}

/// What `modules/command.nix` reads.
#[derive(Debug, Serialize)]
pub(super) struct Job {
    pub(super) configuration: PathBuf,
    pub(super) modules: Vec<PathBuf>,
    pub(super) packages: PathBuf,
    pub(super) programs: BTreeMap<String, String>,
    pub(super) derivations: Vec<AttributePath>,
    pub(super) facts: Vec<AttributePath>,
}

/// How an evaluation ended.
pub(super) struct Outcome {
    /// The packages that it has asked for.
    pub(super) asked: BTreeSet<String>,
    /// What it gave, if it came to its end.
    pub(super) evaluated: Option<Answer>,
    /// What it wrote for the user.
    messages: Vec<u8>,
}

/// What `modules/command.nix` gives.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    derivations: Vec<DerivationAnswer>,
    facts: Vec<FactAnswer>,
}

#[derive(Debug, Deserialize)]
struct DerivationAnswer {
    name: String,
    drv: String,
    output: String,
    outputs: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct FactAnswer {
    value: String,
    derivations: Vec<String>,
}

impl Outcome {
    pub(super) fn show_messages(&self) {
        if let Err(error) = io::stderr().lock().write_all(&self.messages) {
            log::debug!("messages were lost: {error}");
        }
    }
}

impl Answer {
    pub(super) fn read(&self, lock: Lock) -> Result<Evaluated> {
        let found = |answer: &DerivationAnswer| {
            let outputs = answer.outputs.iter();
            Ok(Found {
                name: answer.name.clone(),
                derivation: answer.drv.parse()?,
                output: answer.output.clone(),
                outputs: outputs
                    .map(|(name, path)| Ok((name.clone(), path.parse()?)))
                    .collect::<Result<_>>()?,
            })
        };
        let facts = self.facts.iter();
        let needs = facts.clone().flat_map(|fact| &fact.derivations);
        Ok(Evaluated {
            derivations: self.derivations.iter().map(found).collect::<Result<_>>()?,
            facts: facts
                .map(|fact| Ok(serde_json::from_str(&fact.value)?))
                .collect::<Result<_>>()?,
            facts_need: needs
                .map(|path| Ok(path.parse::<StorePath>()?))
                .collect::<Result<_>>()?,
            lock,
        })
    }
}

/// Evaluates `job` with the modules in `cairn`, a folder or a path in `store`.
pub(super) fn evaluate(
    configuration: &Configuration,
    store: &Store,
    cairn: &Path,
    job: &Job,
) -> Result<Outcome> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    serde_json::to_writer(&mut file, job).context("cannot write what is to be evaluated")?;
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "cairn");
    command
        .args(["eval", "--raw", "--write", "--memory"])
        .arg(configuration.evaluation.memory.to_string())
        .arg("--store")
        .arg(store.root())
        .args(["--argstr", "job"])
        .arg(file.path());
    for entry in &configuration.search_path {
        command.arg("-I").arg(entry);
    }
    let mut entry = std::ffi::OsString::from("cairn=");
    entry.push(cairn);
    command.arg("-I").arg(entry);
    let lock = configuration.lock_path();
    if lock.exists() {
        command.arg("--lock").arg(lock);
    }
    if configuration.evaluation.trace {
        command.arg("--show-trace");
    }
    if configuration.evaluation.statistics {
        command.arg("--stats");
    }
    command.arg(cairn.join("command.nix"));
    let output = mark(&mut command)
        .stdin(Stdio::null())
        .output()
        .context("cannot start a process for the evaluation")?;
    let mut asked = BTreeSet::new();
    let mut messages = Vec::new();
    for line in output.stderr.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(ASKS) {
            Some(name) => {
                asked.insert(String::from_utf8_lossy(name).trim_end().to_owned());
            }
            None => messages.extend_from_slice(line),
        }
    }
    let evaluated = if output.status.success() {
        let answer = serde_json::from_slice(&output.stdout)
            .context("cannot read what the evaluation gave")?;
        Some(answer)
    } else {
        end(output.status, configuration, &mut messages);
        None
    };
    Ok(Outcome {
        asked,
        evaluated,
        messages,
    })
}

/// Says what a process that was ended could not say itself.
fn end(status: ExitStatus, configuration: &Configuration, messages: &mut Vec<u8>) {
    if status.code().is_none() {
        let line = crate::evaluate::describe_signal(status, configuration.evaluation.memory << 20);
        messages.extend_from_slice(format!("error: {line}\n").as_bytes());
    }
}
