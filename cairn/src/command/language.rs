//! The language by itself: `eval`, `repl`, `fmt`, `options`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use bstr::BString;
use cairn::evaluate::Request;
use cairn::evaluate::request::{
    Argument, Calls, Depth, Format, Goal, Input, Language, Report, StoreChoice, Writes,
};
use clap::Args;

/// `cairn options`.
#[derive(Debug, Args)]
pub struct Options {
    /// Words, or the name of an option
    #[arg(value_name = "SEARCH")]
    pub words: Vec<String>,
    /// Show what is found as JSON
    #[arg(long)]
    pub json: bool,
    /// Write all options as a web page that needs nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "json"])]
    pub html: Option<PathBuf>,
    /// Write all options as the man page cairn-configuration.nix(5)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "json"])]
    pub man: Option<PathBuf>,
    /// Include the options that this configuration's own modules declare
    #[arg(long, short = 'c', value_name = "FILE")]
    pub configuration: Option<PathBuf>,
    /// Add an entry to the search path: a folder, or NAME=PATH; cairn=DIR replaces the modules in
    /// this program
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
}

/// `cairn eval`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the command line"
)]
pub struct Eval {
    /// File, folder with a default.nix, <NAME> of the search path, or - for standard input
    #[arg(value_name = "FILE", default_value = "./default.nix")]
    pub input: OsString,
    /// Attribute to select, such as config.services."a.b".enable
    #[arg(value_name = "ATTR")]
    pub attribute: Option<OsString>,
    /// FILE is an expression
    #[arg(long, short = 'E')]
    pub expr: bool,
    /// Show the value as JSON
    #[arg(long, conflicts_with_all = ["raw", "xml"])]
    pub json: bool,
    /// Show a string as it is, without quotes and without a line's end
    #[arg(long, conflicts_with = "xml")]
    pub raw: bool,
    /// Show the value as XML
    #[arg(long)]
    pub xml: bool,
    /// Compute the whole value instead of its outermost form
    #[arg(long)]
    pub strict: bool,
    /// Give functions on the way the value of an expression as the argument NAME
    #[arg(long, num_args = 2, value_names = ["NAME", "EXPR"], allow_hyphen_values = true)]
    pub arg: Vec<OsString>,
    /// Give functions on the way a string as the argument NAME
    #[arg(long, num_args = 2, value_names = ["NAME", "STRING"], allow_hyphen_values = true)]
    pub argstr: Vec<OsString>,
    /// Add an entry to the search path: a folder, or NAME=PATH
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
    /// Write what is instantiated to the store, so that it can be built
    #[arg(long)]
    pub write: bool,
    /// Root of the store, whose objects lie in DIR/nix/store [default: cairn in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Lock file of the packages that are built when the expression reads them
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Write down what the evaluation asks of the machine
    #[arg(long, value_name = "FILE", hide = true)]
    pub record: Option<PathBuf>,
    /// Show peak memory and other costs
    #[arg(long)]
    pub stats: bool,
    /// Show the whole chain that led to an error
    #[arg(long)]
    pub show_trace: bool,
    /// Understand the operators |> and <|
    #[arg(long)]
    pub pipe_operators: bool,
    /// The most memory that the evaluation may take
    #[arg(long, value_name = "MIB", default_value_t = cairn::evaluate::request::DEFAULT_MEMORY >> 20)]
    pub memory: u64,
}

/// `cairn repl`.
#[derive(Debug, Args)]
pub struct Repl {
    /// Files to load: their attributes are in scope
    #[arg(value_name = "FILE")]
    pub files: Vec<OsString>,
    /// Add an entry to the search path: a folder, or NAME=PATH
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
    /// Root of the store, whose objects lie in DIR/nix/store [default: cairn in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Lock file of the packages that are built
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Show the whole chain that led to an error
    #[arg(long)]
    pub show_trace: bool,
    /// Understand the operators |> and <|
    #[arg(long)]
    pub pipe_operators: bool,
    /// The most memory that it may take
    #[arg(long, value_name = "MIB", default_value_t = cairn::evaluate::request::DEFAULT_MEMORY >> 20)]
    pub memory: u64,
}

impl Repl {
    /// The request that the command line stands for.
    pub fn request(&self) -> Request {
        let bytes = |word: &OsString| BString::from(word.as_bytes());
        let files = self.files.iter().map(bytes);
        Request {
            inputs: files.map(Input::File).collect(),
            search_path: self.include.iter().map(bytes).collect(),
            writes: Writes::WhenBuilt,
            store: self
                .store
                .clone()
                .map_or(StoreChoice::Default, StoreChoice::Root),
            lock: self.lock.clone(),
            language: Language {
                pipe_operators: self.pipe_operators,
                memory: self.memory << 20,
                ..Language::default()
            },
            report: Report {
                trace: self.show_trace,
                ..Report::default()
            },
            ..Request::default()
        }
    }
}

impl Eval {
    /// The request that the command line stands for.
    pub fn request(&self) -> Request {
        let bytes = |word: &OsString| BString::from(word.as_bytes());
        let depth = if self.strict {
            Depth::Whole
        } else {
            Depth::Shallow
        };
        let format = match () {
            () if self.json => Format::Json,
            () if self.raw => Format::Raw,
            () if self.xml => Format::Xml {
                depth,
                places: true,
            },
            () => Format::Nix(depth),
        };
        let input = match self.input.as_bytes() {
            text if self.expr => Input::Expression(text.into()),
            b"-" => Input::Stdin,
            text => Input::File(text.into()),
        };
        let pairs = |words: &[OsString], make: fn(BString) -> Argument| {
            let (pairs, _) = words.as_chunks::<2>();
            let pair = |[name, value]: &[OsString; 2]| (bytes(name), make(bytes(value)));
            pairs.iter().map(pair).collect::<Vec<_>>()
        };
        let mut arguments = pairs(&self.arg, Argument::Expression);
        arguments.extend(pairs(&self.argstr, Argument::String));
        Request {
            inputs: vec![input],
            attributes: self.attribute.iter().map(bytes).collect(),
            arguments,
            search_path: self.include.iter().map(bytes).collect(),
            goal: Goal::Value(format),
            calls: Calls::Always,
            writes: if self.write {
                Writes::Always
            } else {
                Writes::Never
            },
            store: self
                .store
                .clone()
                .map_or(StoreChoice::Default, StoreChoice::Root),
            lock: self.lock.clone(),
            language: Language {
                pipe_operators: self.pipe_operators,
                memory: self.memory << 20,
                ..Language::default()
            },
            report: Report {
                trace: self.show_trace,
                statistics: self.stats,
                ..Report::default()
            },
            record: self.record.clone(),
        }
    }
}

/// Files to lay out.
#[derive(Debug, Args)]
pub struct Fmt {
    /// Files, and folders whose *.nix files are meant; standard input to standard output if absent
    pub files: Vec<PathBuf>,
    /// Change nothing; the exit status is 1 if something would change
    #[arg(long)]
    pub check: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, Verb};
    use clap::Parser as _;

    #[test]
    fn a_request_is_its_arguments() {
        let request = Request {
            inputs: vec![Input::Expression("--x".into())],
            attributes: vec!["a.b".into()],
            arguments: vec![
                ("n".into(), Argument::Expression("-1".into())),
                ("s".into(), Argument::String("--s".into())),
            ],
            search_path: vec!["cairn=/x".into()],
            goal: Goal::Value(Format::Json),
            writes: Writes::Always,
            store: StoreChoice::Root("/s".into()),
            lock: Some("/l".into()),
            record: Some("/r".into()),
            ..Request::default()
        };
        let words = request.to_arguments().unwrap();
        let program = ["cairn", "eval"].map(OsString::from);
        let command = Command::try_parse_from(program.into_iter().chain(words)).unwrap();
        let Verb::Eval(eval) = command.verb else {
            panic!("{command:?}");
        };
        assert_eq!(eval.request(), request);
    }
}
