//! What is wrong with rules: where, what, and what to do about it.

use std::fmt;

use super::key::Operator;

/// Whether a rule counts in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule counts, but not in all that it says.
    Notice,
    /// The rule is left out.
    Fatal,
}

/// Something wrong in a file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as it was given.
    pub file: String,
    /// The number of the line where the rule begins; the first is 1.
    pub line: usize,
    /// Whether the rule counts.
    pub severity: Severity,
    /// What it is.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, .. } = self;
        write!(formatter, "{file}:{line}: ")?;
        if self.severity == Severity::Fatal {
            formatter.write_str("this rule is left out: ")?;
        }
        write!(formatter, "{}", self.fault)
    }
}

impl std::error::Error for Problem {}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file cannot be read.
    #[error("the file cannot be read, and is left out: {reason}")]
    Unreadable {
        /// Why not.
        reason: String,
    },
    /// The file ends with a backslash.
    #[error("the file ends where a backslash says that the rule goes on; remove the backslash")]
    NoContinuation,
    /// A rule of more than 16 KiB.
    #[error("it is longer than {limit} bytes; write several rules")]
    TooLong {
        /// The most that there may be.
        limit: usize,
    },
    /// A zero byte.
    #[error("it has a zero byte; is this a text?")]
    ZeroByte,
    /// Something else where a key should be.
    #[error(
        "a key was expected at '{at}'; rules are made of KEY==\"value\" and the like, with commas between"
    )]
    NoKey {
        /// What is there.
        at: String,
    },
    /// `ATTR{name` without an end.
    #[error("'{{' after {key} is not closed; write {key}{{name}}")]
    OpenAttribute {
        /// Before it.
        key: String,
    },
    /// No operator after a key.
    #[error("{key} is not followed by ==, !=, =, +=, -= or :=; is a quote missing before it?")]
    NoOperator {
        /// Before it.
        key: String,
    },
    /// No text in quotes after an operator.
    #[error("{key}{operator} is not followed by a value in double quotes")]
    NoValue {
        /// The key.
        key: String,
        /// What it is followed by.
        operator: Operator,
    },
    /// A text without an end.
    #[error("the value of {key} has no closing quote; write \\\" for a quote in it")]
    OpenValue {
        /// The key.
        key: String,
    },
    /// An escape sequence that C does not have.
    #[error(
        "'\\{sequence}' in the value of {key} is no escape sequence; write \\\\ for a backslash in e\"\""
    )]
    BadEscape {
        /// The key.
        key: String,
        /// What follows the backslash.
        sequence: String,
    },
    /// A key that there is not.
    #[error("there is no key '{key}'; udev(7) lists them, in capitals")]
    UnknownKey {
        /// As written.
        key: String,
    },
    /// A key with an attribute that it cannot have.
    #[error("{key} takes no {{{attribute}}}; remove it")]
    NeedlessAttribute {
        /// The key.
        key: String,
        /// As written.
        attribute: String,
    },
    /// A key without the attribute that it needs.
    #[error("{key} needs a name in braces, as in {key}{{name}}")]
    MissingAttribute {
        /// The key.
        key: String,
    },
    /// An attribute of which only some are there.
    #[error("{key} knows no {{{attribute}}}; there are {known}")]
    UnknownAttribute {
        /// The key.
        key: String,
        /// As written.
        attribute: String,
        /// Those that there are.
        known: &'static str,
    },
    /// An operator that a key does not have.
    #[error("{key} cannot be used with '{operator}'; it takes {known}")]
    BadOperator {
        /// The key.
        key: String,
        /// As written.
        operator: Operator,
        /// Those that it takes.
        known: String,
    },
    /// An operator that means `=` with this key.
    #[error("'{operator}' means the same as '=' for {key}; write '='")]
    OperatorIsSet {
        /// The key.
        key: String,
        /// As written.
        operator: Operator,
    },
    /// `i""` where nothing is compared.
    #[error("i\"\" means something for == and != only, not for {key}{operator}; remove the i")]
    CaseOfAssignment {
        /// The key.
        key: String,
        /// As written.
        operator: Operator,
    },
    /// A value that must not be empty.
    #[error("{key} needs a value that is not empty")]
    EmptyValue {
        /// The key.
        key: String,
    },
    /// A value that is not of the kind that a key takes.
    #[error("'{value}' is no value for {key}: it is to be {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// As written.
        value: String,
        /// What it could be.
        expected: &'static str,
    },
    /// A property that says what the kernel knows.
    #[error("the property {name} is the kernel's and cannot be set; choose another name")]
    KernelsProperty {
        /// Its name.
        name: String,
    },
    /// A key without effect here.
    #[error("{key} has no effect: {reason}; remove it")]
    NoEffect {
        /// The key, or an option.
        key: String,
        /// Why.
        reason: &'static str,
    },
    /// A word of `OPTIONS` that there is not.
    #[error("there is no option '{option}'; it is ignored")]
    UnknownOption {
        /// As written.
        option: String,
    },
    /// A builtin that there is not.
    #[error("there is no builtin '{name}'; there are {known}")]
    UnknownBuiltin {
        /// As written.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// `$` or `%` that begins nothing.
    #[error(
        "'{at}' in the value of {key} is no substitution and stays as it is; write $$ or %% for the character"
    )]
    UnknownSubstitution {
        /// The key.
        key: String,
        /// What is there.
        at: String,
    },
    /// A command with an odd number of quotes.
    #[error("the command of {key} has a quote that is not closed; it counts to the end")]
    OpenQuote {
        /// The key.
        key: String,
    },
    /// A `GOTO` to nowhere.
    #[error("GOTO=\"{label}\" has no LABEL=\"{label}\" below it in this file; it is ignored")]
    NoLabel {
        /// The label.
        label: String,
    },
    /// A second `GOTO` or `LABEL`.
    #[error("it has {key} twice; a rule has one")]
    Twice {
        /// The key.
        key: String,
    },
}
