//! The command line of `nix-instantiate`, so that what calls that tool can call this one.
//!
//! Options are taken apart as Nix does it: `-j3` is `-j 3`, `-QK` is `-Q -K`, `--` ends them, and
//! every setting is an option. Settings that change nothing here are accepted; those that promise
//! a restriction that is not kept here are refused.
//! Source: nix-instantiate(1), and Nix's common options.

use std::collections::VecDeque;
use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};

use super::request::{Argument, Calls, Depth, Format, Goal, Input, Request, StoreChoice, Writes};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// An evaluation.
    Evaluate(Box<Request>),
    /// The program's version.
    Version,
    /// How it is used.
    Help,
}

/// Why a command line is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// There is no such option.
    #[error("unrecognised flag '{0}'")]
    Unknown(BString),
    /// An option lacks a value.
    #[error("flag '{flag}' requires {count} argument(s)")]
    Missing {
        /// The option.
        flag: BString,
        /// How many values it takes.
        count: usize,
    },
    /// A value is not a number.
    #[error("flag '{flag}' needs a number, not '{value}'")]
    Number {
        /// The option.
        flag: BString,
        /// The value.
        value: BString,
    },
    /// Something that this program does not do.
    #[error("{0}")]
    Unsupported(String),
}

/// How it is used.
pub const HELP: &str = "\
Usage: nix-instantiate [--eval | --parse | --find-file] [OPTION]… [FILE]…

Evaluates files, ./default.nix by default, and prints the derivations that they give.

  --eval                 print the value instead; with --strict, all of it
  --json, --xml, --raw   print it in that form; --no-location leaves places out of XML
  --parse                print the syntax tree
  --find-file            print what FILEs mean in the search path
  -E, --expr             FILEs are expressions
  -                      read an expression from standard input
  -A, --attr PATH        select that attribute
  --arg NAME EXPR, --argstr NAME STRING
                         an argument for functions
  -I, --include ENTRY    an entry of the search path: a folder, or NAME=PATH
  --add-root LINK        keep the derivations, through a link
  --read-write-mode      write to the store with --eval, too
  --readonly-mode, --dry-run
                         write nothing
  --store ROOT           the store below that folder
  --show-trace           errors with their whole chain
  --option NAME VALUE    a setting; so is --NAME VALUE
";

/// The experimental features that change what an expression means.
pub const PIPE_OPERATORS: &str = "pipe-operators";

/// Dates and times in TOML.
pub const TOML_TIMESTAMPS: &str = "parse-toml-timestamps";

/// Settings with a value, which are accepted as `--NAME VALUE`, too. Nothing here depends on them.
const WITHOUT_EFFECT: [&str; 20] = [
    "build-users-group",
    "cores",
    "eval-cache",
    "eval-profile-file",
    "eval-profiler",
    "experimental-features-extra",
    "extra-deprecated-features",
    "deprecated-features",
    "extra-substituters",
    "log-format",
    "log-lines",
    "max-jobs",
    "max-silent-time",
    "override-flake",
    "sandbox",
    "substituters",
    "system-features",
    "timeout",
    "trusted-public-keys",
    "eval-store",
];

/// Switches, `--NAME` and `--no-NAME`, on which nothing here depends.
const SWITCHES_WITHOUT_EFFECT: [&str; 18] = [
    "allow-dirty",
    "allow-import-from-derivation",
    "build-output",
    "debug",
    "fallback",
    "gc-warning",
    "impure",
    "indirect",
    "keep-failed",
    "keep-going",
    "lazy-trees",
    "quiet",
    "repair",
    "trace-import-from-derivation",
    "use-sqlite-wal",
    "warn-dirty",
    "warn-large-path-threshold",
    "warn-short-path-literals",
];

/// Reads the arguments behind the program's name. `features` are those that are switched on by
/// the environment.
///
/// # Errors
/// An option is not known, lacks its value, or asks for what is not supported.
pub fn parse(arguments: impl IntoIterator<Item = BString>) -> Result<Invocation, UsageError> {
    let mut command = CommandLine {
        rest: arguments.into_iter().collect(),
        request: Request {
            calls: Calls::WithArguments,
            ..Request::default()
        },
        files: Vec::new(),
        stdin: false,
        expressions: false,
        eval: false,
        parse: false,
        find: false,
        form: Form::Plain,
        strict: false,
        places: true,
        root: None,
        read_write: false,
        read_only: false,
        information: None,
    };
    command.read()?;
    if let Some(information) = command.information {
        return Ok(information);
    }
    Ok(Invocation::Evaluate(Box::new(command.into_request())))
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Xml,
    Json,
    Raw,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the tool, combined only at the end"
)]
struct CommandLine {
    rest: VecDeque<BString>,
    request: Request,
    files: Vec<BString>,
    stdin: bool,
    expressions: bool,
    eval: bool,
    parse: bool,
    find: bool,
    form: Form,
    strict: bool,
    places: bool,
    root: Option<PathBuf>,
    read_write: bool,
    read_only: bool,
    information: Option<Invocation>,
}

impl CommandLine {
    fn read(&mut self) -> Result<(), UsageError> {
        let mut ended = false;
        while let Some(word) = self.rest.pop_front() {
            if ended || !word.starts_with(b"-") {
                self.files.push(word);
            } else if word == "--" {
                ended = true;
            } else if word == "-" {
                self.stdin = true;
            } else if let Some(name) = word.strip_prefix(b"--") {
                self.long(&name.as_bstr().to_string(), &word)?;
            } else {
                let word = self.first_of_several(word);
                self.short(&word)?;
            }
        }
        Ok(())
    }

    /// `-j3` becomes `-j` and `3`, `-QK` becomes `-Q` and `-K`; the first one is returned.
    fn first_of_several(&mut self, word: BString) -> BString {
        let [_, first, others @ ..] = word.as_slice() else {
            return word;
        };
        if others.is_empty() || !first.is_ascii_alphabetic() {
            return word;
        }
        let letters = others.iter().take_while(|byte| byte.is_ascii_alphabetic());
        let count = letters.count();
        let (letters, value) = others.split_at(count);
        if !value.is_empty() {
            self.rest.push_front(value.into());
        }
        for letter in letters.iter().rev() {
            self.rest.push_front(BString::from([b'-', *letter]));
        }
        BString::from([b'-', *first])
    }

    fn short(&mut self, word: &BString) -> Result<(), UsageError> {
        match word.as_slice() {
            b"-E" => self.expressions = true,
            b"-A" => {
                let path = self.value(word)?;
                self.request.attributes.push(path);
            }
            b"-I" => {
                let entry = self.value(word)?;
                self.request.search_path.push(entry);
            }
            b"-v" | b"-Q" | b"-K" | b"-k" => {}
            b"-j" => {
                self.value(word)?;
            }
            _ => return Err(UsageError::Unknown(word.clone())),
        }
        Ok(())
    }

    fn long(&mut self, name: &str, word: &BString) -> Result<(), UsageError> {
        match name {
            "help" => self.information = Some(Invocation::Help),
            "version" => self.information = Some(Invocation::Version),
            "expr" => self.expressions = true,
            "eval" | "eval-only" => self.eval = true,
            "parse" | "parse-only" => (self.parse, self.eval) = (true, true),
            "find-file" => self.find = true,
            "strict" => self.strict = true,
            "xml" => self.form = Form::Xml,
            "json" => self.form = Form::Json,
            "raw" => self.form = Form::Raw,
            "no-location" => self.places = false,
            "read-write-mode" => self.read_write = true,
            "readonly-mode" | "dry-run" => self.read_only = true,
            "verbose" => {}
            "attr" => {
                let path = self.value(word)?;
                self.request.attributes.push(path);
            }
            "include" => {
                let entry = self.value(word)?;
                self.request.search_path.push(entry);
            }
            "add-root" => self.root = Some(path(&self.value(word)?)),
            "arg" | "argstr" => {
                let [argument, value] = self.values(word)?;
                let value = match name {
                    "arg" => Argument::Expression(value),
                    _ => Argument::String(value),
                };
                self.request.arguments.push((argument, value));
            }
            "option" => {
                let [name, value] = self.values(word)?;
                self.setting(&name.to_string(), &value, word)?;
            }
            "store" => {
                let store = self.value(word)?;
                self.request.store = store_choice(&store)?;
            }
            _ => return self.setting_as_option(name, word),
        }
        Ok(())
    }

    /// `--NAME`, `--no-NAME`, `--NAME VALUE` for a setting.
    fn setting_as_option(&mut self, name: &str, word: &BString) -> Result<(), UsageError> {
        let (switch, on) = match name.strip_prefix("no-") {
            Some(switch) => (switch, "false"),
            None => (name, "true"),
        };
        if SWITCHES_WITHOUT_EFFECT.contains(&switch) {
            return Ok(());
        }
        match switch {
            "abort-on-warn" | "show-trace" | "pure-eval" | "restrict-eval" | "trace-verbose" => {
                self.setting(switch, &on.into(), word)
            }
            _ if is_setting(name) => {
                let value = self.value(word)?;
                self.setting(name, &value, word)
            }
            _ => Err(UsageError::Unknown(word.clone())),
        }
    }

    fn setting(&mut self, name: &str, value: &BString, word: &BString) -> Result<(), UsageError> {
        let on = value == "true";
        match name {
            "show-trace" => self.request.report.trace = on,
            "trace-verbose" => self.request.report.verbose = on,
            "abort-on-warn" => self.request.report.abort_on_warning = on,
            "pure-eval" | "restrict-eval" if on => {
                return Err(UsageError::Unsupported(format!(
                    "evaluation without access to files is not supported: '{name}' cannot be set"
                )));
            }
            "experimental-features" => {
                self.request.language.pipe_operators = has_feature(value, PIPE_OPERATORS);
                self.request.language.toml_timestamps = has_feature(value, TOML_TIMESTAMPS);
            }
            "extra-experimental-features" => {
                self.request.language.pipe_operators |= has_feature(value, PIPE_OPERATORS);
                self.request.language.toml_timestamps |= has_feature(value, TOML_TIMESTAMPS);
            }
            "max-call-depth" => {
                let number = value.to_str().ok().and_then(|text| text.parse().ok());
                self.request.language.max_call_depth =
                    number.ok_or_else(|| UsageError::Number {
                        flag: word.clone(),
                        value: value.clone(),
                    })?;
            }
            "nix-path" => {
                let entries = value.split_str(" ").filter(|entry| !entry.is_empty());
                self.request.search_path.extend(entries.map(BString::from));
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, flag: &BString) -> Result<BString, UsageError> {
        let [value] = self.values(flag)?;
        Ok(value)
    }

    fn values<const N: usize>(&mut self, flag: &BString) -> Result<[BString; N], UsageError> {
        let missing = || UsageError::Missing {
            flag: flag.clone(),
            count: N,
        };
        if self.rest.len() < N {
            return Err(missing());
        }
        let values: Vec<BString> = self.rest.drain(..N).collect();
        values.try_into().map_err(|_| missing())
    }

    fn into_request(self) -> Request {
        let mut request = self.request;
        let depth = if self.strict {
            Depth::Whole
        } else {
            Depth::Shallow
        };
        let format = match self.form {
            Form::Plain => Format::Plain(depth),
            Form::Json => Format::Json,
            Form::Raw => Format::Raw,
            Form::Xml => Format::Xml {
                depth,
                places: self.places,
            },
        };
        request.goal = match () {
            () if self.find => Goal::FindFile,
            () if self.parse => Goal::Parse,
            () if self.eval => Goal::Value(format),
            () => Goal::Derivations { root: self.root },
        };
        request.writes = match self.eval {
            _ if self.read_only => Writes::Never,
            true if !self.read_write => Writes::Never,
            _ => Writes::Always,
        };
        if self.stdin && !self.find {
            request.inputs.push(Input::Stdin);
        }
        let input = if self.expressions {
            Input::Expression
        } else {
            Input::File
        };
        let nothing = self.files.is_empty() && !self.stdin && !self.find && !self.expressions;
        let files = self.files.into_iter().map(input);
        request.inputs.extend(files);
        if nothing {
            request.inputs.push(Input::File("./default.nix".into()));
        }
        request
    }
}

fn is_setting(name: &str) -> bool {
    const USED: [&str; 5] = [
        "experimental-features",
        "extra-experimental-features",
        "max-call-depth",
        "nix-path",
        "system",
    ];
    USED.contains(&name) || WITHOUT_EFFECT.contains(&name)
}

/// Whether a list of features has this one.
#[must_use]
pub fn has_feature(list: &[u8], feature: &str) -> bool {
    list.split(u8::is_ascii_whitespace)
        .any(|word| word == feature.as_bytes())
}

/// A store as `--store` and `NIX_REMOTE` name it.
///
/// # Errors
/// It is one that this program cannot use.
pub fn store_choice(name: &[u8]) -> Result<StoreChoice, UsageError> {
    match name {
        b"" | b"auto" | b"daemon" | b"local" => Ok(StoreChoice::Default),
        b"dummy://" => Ok(StoreChoice::Nowhere),
        [b'/', ..] => Ok(StoreChoice::Root(path(name))),
        _ => match name.strip_prefix(b"local?root=") {
            Some(root) => Ok(StoreChoice::Root(path(root))),
            None => Err(UsageError::Unsupported(format!(
                "the store '{}' is not supported: name a folder, or dummy:// for none",
                name.as_bstr()
            ))),
        },
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    cairn_evaluator::io::path_of(bytes).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn request(line: &str) -> Request {
        match parse(line.split_whitespace().map(BString::from)) {
            Ok(Invocation::Evaluate(request)) => *request,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn check(lines: &[&str], expected: &Expect) {
        let line = |line: &&str| {
            let request = request(line);
            format!(
                "{line}\n  {:?} {:?} {:?}\n",
                request.inputs, request.goal, request.writes
            )
        };
        expected.assert_eq(&lines.iter().map(line).collect::<Vec<_>>().concat());
    }

    #[test]
    fn goals_and_inputs() {
        check(
            &[
                "",
                "--eval --strict a.nix b.nix",
                "--parse -",
                "--eval -E 1+1 --json",
                "--eval --xml --no-location --read-write-mode -- --odd",
                "--find-file nixpkgs",
                "--dry-run x.nix --add-root r --indirect",
            ],
            &expect![[r#"

                  [File("./default.nix")] Derivations { root: None } Always
                --eval --strict a.nix b.nix
                  [File("a.nix"), File("b.nix")] Value(Plain(Whole)) Never
                --parse -
                  [Stdin] Parse Never
                --eval -E 1+1 --json
                  [Expression("1+1")] Value(Json) Never
                --eval --xml --no-location --read-write-mode -- --odd
                  [File("--odd")] Value(Xml { depth: Shallow, places: false }) Always
                --find-file nixpkgs
                  [File("nixpkgs")] FindFile Always
                --dry-run x.nix --add-root r --indirect
                  [File("x.nix")] Derivations { root: Some("r") } Never
            "#]],
        );
    }

    #[test]
    fn letters_are_taken_apart() {
        let request = request("-QKj3 -E -Aa.b 1");
        let inputs = [".b", "1"].map(|text| Input::Expression(text.into()));
        assert_eq!(request.inputs, inputs);
        // As Nix does it: `-Aa.b` is `-A -a .b`, and `-A` takes the next word.
        assert_eq!(request.attributes, ["-a"]);
    }

    #[test]
    fn settings_are_options() {
        let on = request(
            "--option extra-experimental-features pipe-operators --show-trace --timeout 5 \
             --no-warn-dirty --max-call-depth 7",
        );
        assert!(on.language.pipe_operators && on.report.trace);
        assert_eq!(on.language.max_call_depth, 7);
        let off = request("--experimental-features nix-command --no-show-trace");
        assert!(!off.language.pipe_operators && !off.report.trace);
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for (line, message) in [
            ("--what", "unrecognised flag '--what'"),
            ("--arg x", "flag '--arg' requires 2 argument(s)"),
            (
                "--max-call-depth x",
                "flag '--max-call-depth' needs a number, not 'x'",
            ),
            (
                "--restrict-eval",
                "evaluation without access to files is not supported: 'restrict-eval' cannot be set",
            ),
            (
                "--store https://x",
                "the store 'https://x' is not supported: name a folder, or dummy:// for none",
            ),
        ] {
            let error = parse(line.split_whitespace().map(BString::from)).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
