//! The keys of rules, and what each can be used with.
//!
//! Source: `udev(7)`.

use std::fmt;

use super::problem::Fault;

/// What is between a key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Is,
    /// `!=`
    IsNot,
    /// `=`
    Set,
    /// `+=`
    Add,
    /// `-=`
    Remove,
    /// `:=`
    SetFinally,
}

use Operator::{Add, Is, IsNot, Remove, Set, SetFinally};

const OPERATORS: [(&str, Operator); 6] = [
    ("==", Is),
    ("!=", IsNot),
    ("+=", Add),
    ("-=", Remove),
    (":=", SetFinally),
    ("=", Set),
];

impl Operator {
    /// The one that `text` begins with, and what follows it.
    pub(super) fn at(text: &str) -> Option<(Self, &str)> {
        OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
    }

    /// Whether it compares.
    pub(super) fn compares(self) -> bool {
        matches!(self, Is | IsNot)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS.iter().find(|(_, operator)| operator == self);
        formatter.write_str(sign.map_or("", |(sign, _)| sign))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Action,
    Devpath,
    Kernel,
    Name,
    Symlink,
    Env,
    Const,
    Tag,
    Subsystem,
    Driver,
    Attr,
    Sysctl,
    Kernels,
    Subsystems,
    Drivers,
    Attrs,
    Tags,
    Test,
    Program,
    Import,
    Result,
    Options,
    Owner,
    Group,
    Mode,
    Seclabel,
    Run,
    Goto,
    Label,
}

/// Whether a key has a name in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    No,
    May,
    Must,
}

/// What a key can be used with: the operators that compare, those that assign, and those that mean `=`.
struct Usage {
    name: &'static str,
    key: Key,
    attribute: Attribute,
    operators: &'static [Operator],
    same_as_set: &'static [Operator],
}

const COMPARED: &[Operator] = &[Is, IsNot];
const SET: &[Operator] = &[Set, SetFinally];
const ANY: &[Operator] = &[Is, IsNot, Set, Add, SetFinally];

const KEYS: [Usage; 29] = [
    usage("ACTION", Key::Action, Attribute::No, COMPARED, &[]),
    usage("DEVPATH", Key::Devpath, Attribute::No, COMPARED, &[]),
    usage("KERNEL", Key::Kernel, Attribute::No, COMPARED, &[]),
    usage(
        "NAME",
        Key::Name,
        Attribute::No,
        &[Is, IsNot, Set, SetFinally],
        &[Add],
    ),
    usage(
        "SYMLINK",
        Key::Symlink,
        Attribute::No,
        &[Is, IsNot, Set, Add, Remove, SetFinally],
        &[],
    ),
    usage(
        "ENV",
        Key::Env,
        Attribute::Must,
        &[Is, IsNot, Set, Add],
        &[SetFinally],
    ),
    usage("CONST", Key::Const, Attribute::Must, COMPARED, &[]),
    usage(
        "TAG",
        Key::Tag,
        Attribute::No,
        &[Is, IsNot, Set, Add, Remove],
        &[SetFinally],
    ),
    usage("SUBSYSTEM", Key::Subsystem, Attribute::No, COMPARED, &[]),
    usage("DRIVER", Key::Driver, Attribute::No, COMPARED, &[]),
    usage(
        "ATTR",
        Key::Attr,
        Attribute::Must,
        &[Is, IsNot, Set],
        &[Add, SetFinally],
    ),
    usage(
        "SYSCTL",
        Key::Sysctl,
        Attribute::Must,
        &[Is, IsNot, Set],
        &[Add, SetFinally],
    ),
    usage("KERNELS", Key::Kernels, Attribute::No, COMPARED, &[]),
    usage("SUBSYSTEMS", Key::Subsystems, Attribute::No, COMPARED, &[]),
    usage("DRIVERS", Key::Drivers, Attribute::No, COMPARED, &[]),
    usage("ATTRS", Key::Attrs, Attribute::Must, COMPARED, &[]),
    usage("TAGS", Key::Tags, Attribute::No, COMPARED, &[]),
    usage("TEST", Key::Test, Attribute::May, COMPARED, &[]),
    usage("PROGRAM", Key::Program, Attribute::No, ANY, &[]),
    usage("IMPORT", Key::Import, Attribute::Must, ANY, &[]),
    usage("RESULT", Key::Result, Attribute::No, COMPARED, &[]),
    usage(
        "OPTIONS",
        Key::Options,
        Attribute::No,
        &[Set, Add, SetFinally],
        &[],
    ),
    usage("OWNER", Key::Owner, Attribute::No, SET, &[Add]),
    usage("GROUP", Key::Group, Attribute::No, SET, &[Add]),
    usage("MODE", Key::Mode, Attribute::No, SET, &[Add]),
    usage(
        "SECLABEL",
        Key::Seclabel,
        Attribute::Must,
        &[Set, Add, SetFinally],
        &[],
    ),
    usage(
        "RUN",
        Key::Run,
        Attribute::May,
        &[Set, Add, SetFinally],
        &[],
    ),
    usage("GOTO", Key::Goto, Attribute::No, &[Set], &[]),
    usage("LABEL", Key::Label, Attribute::No, &[Set], &[]),
];

const fn usage(
    name: &'static str,
    key: Key,
    attribute: Attribute,
    operators: &'static [Operator],
    same_as_set: &'static [Operator],
) -> Usage {
    Usage {
        name,
        key,
        attribute,
        operators,
        same_as_set,
    }
}

/// The key of a name, if it can be used with this attribute and operator; and the operator that is meant.
pub(super) fn used(
    name: &str,
    attribute: Option<&str>,
    operator: Operator,
) -> Result<(Key, Operator), Fault> {
    let key = name.to_owned();
    let Some(usage) = KEYS.iter().find(|usage| usage.name == name) else {
        return Err(Fault::UnknownKey { key });
    };
    match (usage.attribute, attribute) {
        (Attribute::No, Some(attribute)) => {
            let attribute = attribute.to_owned();
            return Err(Fault::NeedlessAttribute { key, attribute });
        }
        (Attribute::Must, None | Some("")) => return Err(Fault::MissingAttribute { key }),
        _ => {}
    }
    if usage.operators.contains(&operator) {
        return Ok((usage.key, operator));
    }
    if usage.same_as_set.contains(&operator) {
        return Ok((usage.key, Set));
    }
    let known: Vec<_> = usage.operators.iter().map(Operator::to_string).collect();
    Err(Fault::BadOperator {
        key,
        operator,
        known: known.join(" "),
    })
}

/// Properties that say what the kernel knows, or that are made of other decisions: rules cannot set them.
pub(super) fn is_kernels(property: &str) -> bool {
    [
        "ACTION",
        "DEVLINKS",
        "DEVNAME",
        "DEVPATH",
        "DEVTYPE",
        "DRIVER",
        "IFINDEX",
        "MAJOR",
        "MINOR",
        "SEQNUM",
        "SUBSYSTEM",
        "TAGS",
        "CURRENT_TAGS",
    ]
    .contains(&property)
}
