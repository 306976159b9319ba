//! One evaluation of a configuration, in a process of its own whose memory is limited: this program
//! again, as `cairn eval` of `modules/command.nix`.
//!
//! What the evaluation asks for comes as lines of `builtins.trace`, everything else that it writes
//! is for the user: it is kept until it is known whether the evaluation counts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use bstr::BString;
use cairn_debian::Lock;
use cairn_store::Store;
use cairn_store_path::StorePath;
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::{AttributePath, Configuration, Evaluated, Found};
use crate::evaluate::request::{
    Argument, Format, Goal, Input, Language, Report, StoreChoice, Writes,
};
use crate::evaluate::{Request, mark};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    /// The packages that it has asked for.
    pub(super) asked: BTreeSet<String>,
    /// What it gave, if it came to its end.
    pub(super) evaluated: Option<Answer>,
    /// What it wrote for the user.
    messages: Vec<u8>,
}

/// What `modules/command.nix` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    derivations: Vec<DerivationAnswer>,
    facts: Vec<FactAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DerivationAnswer {
    name: String,
    drv: String,
    output: String,
    outputs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FactAnswer {
    value: String,
    derivations: Vec<String>,
}

impl Outcome {
    /// All derivations that it names; `None` if a name is none.
    pub(super) fn derivations(&self) -> Option<Vec<StorePath>> {
        let answer = self.evaluated.as_ref()?;
        let built = answer.derivations.iter().map(|found| &found.drv);
        let needed = answer.facts.iter().flat_map(|fact| &fact.derivations);
        built.chain(needed).map(|path| path.parse().ok()).collect()
    }

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

/// Evaluates `job` with the modules in `cairn`, a folder or a path in `store`; what is remembered of an
/// evaluation that would give the same is as good as one.
pub(super) fn evaluate(
    configuration: &Configuration,
    store: &Store,
    cairn: &Path,
    job: &Job,
) -> Result<Outcome> {
    let request = request(configuration, store, cairn, job)?;
    if request.report != Report::default() {
        // It is asked how it evaluates, not what it gives.
        return run(configuration, &request);
    }
    let memory = Memory::of(&configuration.place.cache, job, &request)?;
    if let Some(outcome) = memory.recall(store, &request)? {
        return Ok(outcome);
    }
    let file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let recorded = Request {
        record: Some(file.path().to_owned()),
        ..request
    };
    let outcome = run(configuration, &recorded)?;
    memory.keep(file.path(), &outcome);
    Ok(outcome)
}

fn request(
    configuration: &Configuration,
    store: &Store,
    cairn: &Path,
    job: &Job,
) -> Result<Request> {
    let job = serde_json::to_vec(job).context("cannot write what is to be evaluated")?;
    let bytes = |text: &OsStr| BString::from(text.as_bytes());
    let entries = configuration.search_path.iter();
    let mut search_path: Vec<BString> = entries.map(|entry| bytes(entry)).collect();
    search_path.push([b"cairn=", cairn.as_os_str().as_bytes()].concat().into());
    Ok(Request {
        inputs: vec![Input::File(bytes(cairn.join("command.nix").as_os_str()))],
        arguments: vec![("job".into(), Argument::String(job.into()))],
        search_path,
        goal: Goal::Value(Format::Raw),
        writes: Writes::Always,
        store: StoreChoice::Root(store.root().to_owned()),
        lock: Some(configuration.lock_path()).filter(|lock| lock.exists()),
        language: Language {
            memory: configuration.evaluation.memory << 20,
            ..Language::default()
        },
        report: Report {
            trace: configuration.evaluation.trace,
            statistics: configuration.evaluation.statistics,
            ..Report::default()
        },
        ..Request::default()
    })
}

/// Evaluates in a process of its own.
fn run(configuration: &Configuration, request: &Request) -> Result<Outcome> {
    let arguments = request
        .to_arguments()
        .context("the request is none that 'cairn eval' takes")?;
    let mut command = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut command, "cairn");
    let output = mark(command.arg("eval").args(arguments))
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
