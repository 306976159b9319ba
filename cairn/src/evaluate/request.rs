//! What an evaluation is asked for, whatever command line it came from.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use bstr::BString;

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// What is evaluated, one after the other.
    pub inputs: Vec<Input>,
    /// What is selected from each; empty: the value itself.
    pub attributes: Vec<BString>,
    /// Arguments for functions that are called on the way.
    pub arguments: Vec<(BString, Argument)>,
    /// Entries of the search path, before those of `NIX_PATH`.
    pub search_path: Vec<BString>,
    /// What is shown.
    pub goal: Goal,
    /// When functions are called with the arguments, or with their defaults.
    pub calls: Calls,
    /// Whether objects are written to the store.
    pub writes: Writes,
    /// Where the store lies; else where the user's does.
    pub store: StoreChoice,
    /// The lock file of the packages that an expression may have built to read them.
    pub lock: Option<PathBuf>,
    /// Language and limits.
    pub language: Language,
    /// What is told beside the result.
    pub report: Report,
    /// The file that what the evaluation asks of the machine is written to.
    pub record: Option<PathBuf>,
}

/// One thing to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file, a folder with a `default.nix`, or `<name>`.
    File(BString),
    /// An expression.
    Expression(BString),
    /// An expression on standard input.
    Stdin,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// An expression's.
    Expression(BString),
    /// A string.
    String(BString),
}

/// What is shown of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// The value itself.
    Value(Format),
    /// The derivations that the value has are instantiated, and their paths shown.
    Derivations {
        /// A link that keeps them, `<root>`, `<root>-2`, ….
        root: Option<PathBuf>,
    },
    /// The syntax tree.
    Parse,
    /// The path that each input names in the search path.
    FindFile,
}

impl Default for Goal {
    fn default() -> Self {
        Self::Value(Format::Nix(Depth::Shallow))
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: in the language, on several lines where it is long, `«…»` for what has no
    /// text of its own.
    Nix(Depth),
    /// As `nix-instantiate` writes it: in one line, `<LAMBDA>` and the like.
    Plain(Depth),
    /// As JSON, as `builtins.toJSON` gives it.
    Json,
    /// As XML, with the places of attributes or without.
    Xml {
        /// How much is computed.
        depth: Depth,
        /// Whether places are written.
        places: bool,
    },
    /// A string as its bytes, without a line's end.
    Raw,
}

/// How much of a value is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// What is needed to know its outermost form.
    #[default]
    Shallow,
    /// All of it.
    Whole,
}

/// When a function that is the result is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calls {
    /// Always, so that a file that is a function with defaults shows what it gives.
    #[default]
    Always,
    /// Only if there are arguments for it.
    WithArguments,
}

/// Whether what is evaluated becomes store objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// They are only named.
    #[default]
    Never,
    /// They are written when something is built.
    WhenBuilt,
    /// They are written.
    Always,
}

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreChoice {
    /// The user's.
    #[default]
    Default,
    /// The one with this root.
    Root(PathBuf),
    /// None at all.
    Nowhere,
}

/// Switches of the language, and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// `|>` and `<|` are operators.
    pub pipe_operators: bool,
    /// `fromTOML` reads dates and times.
    pub toml_timestamps: bool,
    /// How many calls may be in one another.
    pub max_call_depth: u32,
    /// How many bytes of memory the evaluation may take.
    pub memory: u64,
}

/// 4 GiB: ten times what a large system needs, and what a usual machine has.
pub const DEFAULT_MEMORY: u64 = 4 << 30;

impl Default for Language {
    fn default() -> Self {
        Self {
            pipe_operators: false,
            toml_timestamps: false,
            max_call_depth: 10_000,
            memory: DEFAULT_MEMORY,
        }
    }
}

/// What is told on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the command line"
)]
pub struct Report {
    /// Errors with their whole chain.
    pub trace: bool,
    /// What the evaluation has cost.
    pub statistics: bool,
    /// `builtins.traceVerbose` shows its messages.
    pub verbose: bool,
    /// `builtins.warn` ends the evaluation, so that it is seen what led to it.
    pub abort_on_warning: bool,
}

impl Request {
    /// The arguments of `cairn eval` that stand for this request; `None` if there are none.
    #[must_use]
    pub fn to_arguments(&self) -> Option<Vec<OsString>> {
        let word = |bytes: &BString| OsString::from_vec(bytes.to_vec());
        let mut words: Vec<OsString> = Vec::new();
        let mut option = |values: &[OsString]| words.extend_from_slice(values);
        for (name, argument) in &self.arguments {
            let (flag, value) = match argument {
                Argument::Expression(value) => ("--arg", value),
                Argument::String(value) => ("--argstr", value),
            };
            option(&[flag.into(), word(name), word(value)]);
        }
        for entry in &self.search_path {
            option(&["--include".into(), word(entry)]);
        }
        match &self.store {
            StoreChoice::Default => {}
            StoreChoice::Root(root) => option(&["--store".into(), root.into()]),
            StoreChoice::Nowhere => return None,
        }
        if let Some(lock) = &self.lock {
            option(&["--lock".into(), lock.into()]);
        }
        if let Some(file) = &self.record {
            option(&["--record".into(), file.into()]);
        }
        option(&[
            "--memory".into(),
            (self.language.memory >> 20).to_string().into(),
        ]);
        let (form, depth) = match self.goal {
            Goal::Value(Format::Nix(depth)) => ("", depth),
            Goal::Value(Format::Json) => ("--json", Depth::Shallow),
            Goal::Value(Format::Raw) => ("--raw", Depth::Shallow),
            Goal::Value(Format::Xml {
                depth,
                places: true,
            }) => ("--xml", depth),
            _ => return None,
        };
        let is_plain = !self.language.toml_timestamps
            && !self.report.verbose
            && !self.report.abort_on_warning
            && self.calls == Calls::Always
            && self.language.max_call_depth == Language::default().max_call_depth;
        if !is_plain {
            return None;
        }
        for (flag, on) in [
            (form, !form.is_empty()),
            ("--strict", depth == Depth::Whole),
            ("--write", self.writes == Writes::Always),
            ("--stats", self.report.statistics),
            ("--show-trace", self.report.trace),
            ("--pipe-operators", self.language.pipe_operators),
        ] {
            if on {
                option(&[flag.into()]);
            }
        }
        let input = match self.inputs.as_slice() {
            [Input::Expression(text)] => {
                option(&["--expr".into()]);
                word(text)
            }
            [Input::File(name)] if name != "-" => word(name),
            [Input::Stdin] => "-".into(),
            _ => return None,
        };
        option(&["--".into(), input]);
        match self.attributes.as_slice() {
            [] => {}
            [attribute] => option(&[word(attribute)]),
            _ => return None,
        }
        Some(words)
    }
}
