//! One evaluation with its world: made, used, and its objects written at the end.

use std::env;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::{BString, ByteSlice as _};
use bumpalo::Bump;
use cairn_evaluator::attrs::Attrs;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::{Io, SearchEntry, path_of};
use cairn_evaluator::load::Text;
use cairn_evaluator::report::Trace;
use cairn_evaluator::value::Value;
use cairn_evaluator::{EvalError, Evaluator, Messages, Options, Origin, with_stack};
use nix::sys::sysinfo::sysinfo;

use super::child::limit_memory;
use super::nix_instantiate::{PIPE_OPERATORS, TOML_TIMESTAMPS, has_feature, store_choice};
use super::objects::{Objects, Place, Realise, Writing, one_line};
use super::record::Record;
use super::recorder::Recorder;
use super::request::{Argument, Input, Request, StoreChoice, Writes};
use super::search_path::search_path;
use super::world::{World, absolute};

/// The stack that evaluation recurses on. Only the pages that are touched cost memory.
const STACK: usize = 4 << 30;

/// How much of it has small pages: what most evaluations need is less than one huge page.
const SHALLOW_STACK: usize = 256 << 10;

/// The first piece of the arena; further ones are twice as large as the last. The C library adds a
/// page for itself, and a piece that is a whole number of huge pages is where these are: the pieces
/// of an arena that begins small straddle them, and are filled with small ones.
const FIRST_PIECE: usize = (64 << 20) - 4096 - 64;

/// Why an evaluation did not give what was asked for.
#[derive(Debug)]
pub enum Failure {
    /// An error of the language, as it is shown: message, place, chain.
    Language(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Language(report) => f.write_str(report),
            Self::Other(error) => write!(f, "error: {}", one_line(error)),
        }
    }
}

/// The evaluator, and the request that it works on.
pub struct Session<'a, 'e> {
    /// The evaluator.
    pub evaluator: Evaluator<'e>,
    /// The door to the machine.
    pub world: &'e World,
    /// What is asked for.
    pub request: &'a Request,
}

/// Runs `work` in a new session on a stack of its own; then everything that was evaluated is
/// written, if the request says so.
///
/// # Errors
/// Those of `work`, or the store cannot be written.
pub fn with_session<T: Send>(
    request: &Request,
    realise: Box<Realise>,
    work: impl FnOnce(&mut Session<'_, '_>) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let run = || {
        limit_memory(request.language.memory)?;
        let world = world(request, realise)?;
        let recorder = Recorder::new(&world);
        let io: &dyn Io = match request.record {
            Some(_) => &recorder,
            None => &world,
        };
        let arena = arena(request.language.memory);
        let options = Options {
            libraries: libraries(&search_path_of(request), world.folder()),
            ..options(request)
        };
        let mut session = Session {
            evaluator: Evaluator::new(&arena, io, options, TABLES),
            world: &world,
            request,
        };
        let result = work(&mut session)?;
        drop(session);
        if request.writes == Writes::Always {
            world.objects().flush()?;
        }
        if let (Some(file), Some(record)) = (&request.record, recorder.finish()) {
            std::fs::write(
                file,
                serde_json::to_vec(&record).context("cannot write a record")?,
            )
            .with_context(|| format!("cannot write '{}'", file.display()))?;
        }
        Ok(result)
    };
    with_stack(stack(), run)
        .context("cannot make a stack for the evaluation")
        .map_err(Failure::from)?
}

/// As much of [`STACK`] as the machine could give: of a process that asks for more the kernel warns on the
/// console, in the middle of an installation's dialogue.
fn stack() -> usize {
    let Ok(found) = sysinfo() else {
        return STACK;
    };
    let memory = found.ram_total().saturating_add(found.swap_total());
    usize::try_from(memory / 4 * 3).map_or(STACK, |most| most.min(STACK))
}

/// An arena for an evaluation that may have this much memory. Only pages that are touched cost any.
fn arena(memory: u64) -> Bump {
    if let Err(error) = cairn_sys::stack::use_huge_pages(SHALLOW_STACK) {
        log::debug!("the evaluation's stack has no huge pages: {error}");
    }
    // What is reserved counts: a small limit is kept exactly.
    if memory < 16 * FIRST_PIECE as u64 {
        return Bump::new();
    }
    Bump::with_capacity(FIRST_PIECE)
}

/// Whether the machine still answers as `record` says to an evaluation of `request`.
///
/// # Errors
/// The current folder is not known.
pub fn holds(record: &Record, request: &Request) -> Result<bool> {
    // Nothing is written, built or said to find it out.
    let request = Request {
        writes: Writes::Never,
        ..request.clone()
    };
    let world = world(&request, Box::new(|_, _| Ok(())))?.silent();
    Ok(record.holds(&world))
}

/// Variables of the environment that say how the language is read and what is logged of it, beside those
/// that an expression asks for itself.
pub const VARIABLES: [&str; 4] = [NIX_CONFIG, WARNINGS_END[0], WARNINGS_END[1], "CAIRN_LOG"];

const NIX_CONFIG: &str = "NIX_CONFIG";

/// With either of them, a warning ends the evaluation.
const WARNINGS_END: [&str; 2] = ["NIX_ABORT_ON_WARN", "NIX_DEBUGGER_ON_WARN"];

fn options(request: &Request) -> Options {
    let variable = env::var_os(NIX_CONFIG).unwrap_or_default();
    Options {
        max_call_depth: request.language.max_call_depth,
        memory_limit: usize::try_from(request.language.memory).unwrap_or(usize::MAX),
        pipe_operators: request.language.pipe_operators
            || configured(variable.as_bytes(), PIPE_OPERATORS),
        messages: Messages {
            verbose: request.report.verbose,
            warnings_are_errors: request.report.abort_on_warning
                || WARNINGS_END.iter().any(|name| {
                    env::var(name).is_ok_and(|value| ["1", "yes", "true"].contains(&value.as_str()))
                }),
        },
        toml_timestamps: request.language.toml_timestamps
            || configured(variable.as_bytes(), TOML_TIMESTAMPS),
        ..Options::default()
    }
}

/// Where Cairn's modules lie. Errors in them are mistakes of who uses them, and are shown so.
fn libraries(entries: &[SearchEntry], folder: &Path) -> Vec<PathBuf> {
    let modules = entries.iter().filter(|entry| entry.prefix == "cairn");
    modules
        .map(|entry| {
            let path = absolute(folder, path_of(&entry.path));
            path.canonicalize().unwrap_or(path)
        })
        .collect()
}

/// Whether settings, a line each, switch a feature on.
fn configured(settings: &[u8], feature: &str) -> bool {
    settings.lines().any(|line| {
        let (name, value) = line.split_once_str("=").unwrap_or((line, b""));
        let names = [
            &b"experimental-features"[..],
            b"extra-experimental-features",
        ];
        names.contains(&name.trim_ascii()) && has_feature(value, feature)
    })
}

fn world(request: &Request, realise: Box<Realise>) -> Result<World> {
    let folder = env::current_dir().context("cannot find the current folder")?;
    let writing = match request.writes {
        Writes::Always | Writes::WhenBuilt => Writing::Everything,
        Writes::Never => Writing::OnlyFetched,
    };
    let place = place(&request.store)?;
    Ok(World::new(
        folder,
        search_path_of(request),
        Objects::new(place, writing, realise),
    ))
}

fn search_path_of(request: &Request) -> Vec<SearchEntry> {
    let variable = env::var_os("NIX_PATH").map(OsStringExt::into_vec);
    search_path(&request.search_path, variable.as_deref())
}

fn place(choice: &StoreChoice) -> Result<Place> {
    let remote = env::var_os("NIX_REMOTE").unwrap_or_default();
    let choice = match choice {
        StoreChoice::Default => &store_choice(remote.as_bytes())?,
        choice => choice,
    };
    Ok(match choice {
        StoreChoice::Root(root) => Place::Root(root.clone()),
        StoreChoice::Nowhere => Place::Nowhere("none was asked for".to_owned()),
        StoreChoice::Default => match crate::Place::new(None, Some(Path::new("/"))) {
            Ok(place) => Place::Root(place.store),
            Err(error) => Place::Nowhere(format!("{error:#}")),
        },
    })
}

impl<'e> Session<'_, 'e> {
    /// An error of the language as it is shown.
    #[must_use]
    pub fn failure(&self, error: &EvalError) -> Failure {
        let trace = if self.request.report.trace {
            Trace::Full
        } else {
            Trace::Short
        };
        Failure::Language(self.evaluator.report(error, trace))
    }

    /// The value of an input, forced.
    ///
    /// # Errors
    /// It cannot be read, or whatever evaluating it meets.
    pub fn evaluate(&mut self, input: &Input) -> Result<Value<'e>, Failure> {
        let value = match input {
            Input::File(name) => {
                let file = self.file(name)?;
                self.evaluator.import_file(&file)
            }
            Input::Expression(text) => self.text(Origin::String, text),
            Input::Stdin => {
                let text = stdin()?;
                self.text(Origin::Stdin, &text)
            }
        };
        value.map_err(|error| self.failure(&error))
    }

    /// The value of a text whose relative paths begin at the current folder, forced.
    ///
    /// # Errors
    /// Whatever evaluating it meets.
    pub fn text(&mut self, origin: Origin, text: &[u8]) -> Result<Value<'e>, EvalError> {
        let value = self.delayed_text(origin, text, None)?;
        self.evaluator.force(value)
    }

    /// The same as a thunk, with more variables in scope.
    ///
    /// # Errors
    /// It is not in the language, or a variable is not defined.
    pub fn delayed_text(
        &mut self,
        origin: Origin,
        text: &[u8],
        scope: Option<&'e Attrs<'e>>,
    ) -> Result<Value<'e>, EvalError> {
        let text = Text {
            origin,
            bytes: text,
            base: self.world.folder().as_os_str().as_bytes(),
            library: false,
        };
        self.evaluator.delay_text(text, scope)
    }

    /// The file that an argument of the command line names: `<name>` is looked up in the search
    /// path, everything else begins at the current folder.
    ///
    /// # Errors
    /// It is not in the search path, or is an address.
    pub fn file(&self, name: &BString) -> Result<PathBuf, Failure> {
        if super::search_path::is_address(name) {
            return Err(Failure::Other(anyhow::anyhow!(
                "cannot evaluate '{name}': addresses are not supported; fetch it and name the file"
            )));
        }
        let inner = name
            .strip_prefix(b"<")
            .and_then(|rest| rest.strip_suffix(b">"));
        match inner {
            Some(inner) if !inner.is_empty() => self.find(inner),
            _ => Ok(absolute(self.world.folder(), path_of(name))),
        }
    }

    /// What a name means in the search path.
    ///
    /// # Errors
    /// The search path does not have it.
    pub fn find(&self, name: &[u8]) -> Result<PathBuf, Failure> {
        let found = self.evaluator.find_in_search_path(name);
        let path = found.map_err(|error| self.failure(&error))?;
        Ok(path_of(&path).to_owned())
    }

    /// The arguments of the request as a set; expressions are evaluated when they are needed.
    ///
    /// # Errors
    /// An expression is not in the language.
    pub fn arguments(&mut self) -> Result<Vec<(BString, Value<'e>)>, Failure> {
        let mut arguments = Vec::new();
        for (name, argument) in &self.request.arguments {
            let value = match argument {
                Argument::String(text) => self.evaluator.string(text),
                Argument::Expression(text) => self
                    .delayed_text(Origin::String, text, None)
                    .map_err(|error| self.failure(&error))?,
            };
            arguments.push((name.clone(), value));
        }
        Ok(arguments)
    }
}

pub(super) fn stdin() -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut text)
        .context("cannot read standard input")?;
    Ok(text)
}
