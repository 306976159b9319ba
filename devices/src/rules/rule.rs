//! A rule: what it compares, and what it does if all of that is so.

use super::pattern::Pattern;
use super::template::Template;

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// File and line, for the log.
    pub(super) place: String,
    /// What is compared of the device itself.
    pub(super) own: Vec<Comparison>,
    /// What is compared of it or one above it, of the same one all.
    pub(super) above: Vec<Comparison>,
    /// What needs files or programs: only asked if all else is so.
    pub(super) late: Vec<Condition>,
    /// How names and results are made safe.
    pub(super) escape: Escape,
    pub(super) assignments: Vec<Assignment>,
    /// The number of the rule to go on with.
    pub(super) goto: Option<usize>,
    /// Nodes that are there before their devices.
    pub(super) static_nodes: Vec<String>,
}

/// `OPTIONS+="string_escape=…"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Escape {
    #[default]
    Unset,
    None,
    Replace,
}

/// Whether something is to be so or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Is,
    IsNot,
}

impl Sense {
    /// Whether it is as it is to be.
    pub(super) fn holds(self, is_so: bool) -> bool {
        (self == Self::Is) == is_so
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) subject: Subject,
    pub(super) sense: Sense,
    pub(super) pattern: Pattern,
}

/// What is compared; the same for the device itself and those above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Action,
    Devpath,
    Kernel,
    Name,
    Symlink,
    Env(String),
    Const(String),
    Tag,
    Subsystem,
    Driver,
    Attr(Template),
    Sysctl(Template),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) question: Question,
    pub(super) sense: Sense,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether a file is there, and has one of these bits in its mode.
    Test {
        path: Template,
        mask: Option<u32>,
    },
    Program(Vec<Template>),
    ImportFile(Template),
    ImportProgram(Vec<Template>),
    ImportBuiltin(Vec<Template>),
    ImportRecord(String),
    ImportCommandLine(String),
    ImportParent(Template),
    Result(Pattern),
}

impl Question {
    /// udev asks in this order, whatever that of the keys is.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Test { .. } => 0,
            Self::Program(_) => 1,
            Self::ImportFile(_) => 2,
            Self::ImportProgram(_) => 3,
            Self::ImportBuiltin(_) => 4,
            Self::ImportRecord(_) => 5,
            Self::ImportCommandLine(_) => 6,
            Self::ImportParent(_) => 7,
            Self::Result(_) => 8,
        }
    }
}

/// How a value comes to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Set,
    SetFinally,
    Add,
    Remove,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) target: Target,
    pub(super) manner: Manner,
    pub(super) value: Template,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Kept,
    Watched(bool),
    LinkPriority(i32),
    Dump,
    Owner,
    Group,
    Mode,
    Env(String),
    Tag,
    Name,
    Symlink,
    Attr(Template),
    Sysctl(Template),
    RunBuiltin(Vec<Template>),
    RunProgram(Vec<Template>),
}

impl Target {
    /// udev assigns in this order, whatever that of the keys is.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Kept | Self::Watched(_) | Self::LinkPriority(_) | Self::Dump => 0,
            Self::Owner => 1,
            Self::Group => 2,
            Self::Mode => 3,
            Self::Env(_) => 4,
            Self::Tag => 5,
            Self::Name => 6,
            Self::Symlink => 7,
            Self::Attr(_) => 8,
            Self::Sysctl(_) => 9,
            Self::RunBuiltin(_) => 10,
            Self::RunProgram(_) => 11,
        }
    }
}
