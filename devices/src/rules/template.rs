//! Values in which `$name` and `%n` stand for something of the device.
//!
//! Source: `udev(7)`, substitutions.

/// A value of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Value(Variable),
}

/// What stands for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    Kernel,
    Number,
    Devpath,
    Id,
    Driver,
    Attribute(String),
    Property(String),
    Major,
    Minor,
    Result(Words),
    Parent,
    Name,
    Links,
    Root,
    Sys,
    Node,
}

/// Which words of a result; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    All,
    One(usize),
    From(usize),
}

/// A variable, from what is in braces after its name.
type Make = fn(&str) -> Option<Variable>;

/// Names after `$`, and the letter after `%`.
const VARIABLES: [(&str, Option<char>, Make); 18] = [
    ("kernel", Some('k'), |_| Some(Variable::Kernel)),
    ("number", Some('n'), |_| Some(Variable::Number)),
    ("devpath", Some('p'), |_| Some(Variable::Devpath)),
    ("id", Some('b'), |_| Some(Variable::Id)),
    ("driver", Some('d'), |_| Some(Variable::Driver)),
    ("attr", Some('s'), |name| {
        Some(Variable::Attribute(named(name)?))
    }),
    ("sysfs", None, |name| {
        Some(Variable::Attribute(named(name)?))
    }),
    ("env", Some('E'), |name| {
        Some(Variable::Property(named(name)?))
    }),
    ("major", Some('M'), |_| Some(Variable::Major)),
    ("minor", Some('m'), |_| Some(Variable::Minor)),
    ("result", Some('c'), |words| {
        Some(Variable::Result(Words::parse(words)?))
    }),
    ("parent", Some('P'), |_| Some(Variable::Parent)),
    ("name", Some('D'), |_| Some(Variable::Name)),
    ("links", Some('L'), |_| Some(Variable::Links)),
    ("root", Some('r'), |_| Some(Variable::Root)),
    ("sys", Some('S'), |_| Some(Variable::Sys)),
    ("devnode", Some('N'), |_| Some(Variable::Node)),
    ("tempnode", None, |_| Some(Variable::Node)),
];

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

impl Words {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::All);
        }
        let number = |digits: &str| digits.parse().ok().filter(|number| *number > 0);
        match text.strip_suffix('+') {
            Some(digits) => Some(Self::From(number(digits)?)),
            None => Some(Self::One(number(text)?)),
        }
    }

    /// These words of `text`.
    pub(super) fn of(self, text: &str) -> String {
        let mut words = text.split_whitespace();
        match self {
            Self::All => text.to_owned(),
            Self::One(number) => words.nth(number - 1).unwrap_or_default().to_owned(),
            Self::From(number) => words.skip(number - 1).collect::<Vec<_>>().join(" "),
        }
    }
}

impl Template {
    /// A value, and what in it looks like a substitution but is none: that stays as it is.
    pub(super) fn parse(text: &str) -> (Self, Vec<String>) {
        let mut pieces = Vec::new();
        let mut unknown = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '%']) {
            let Some((before, after)) = rest.split_at_checked(at) else {
                break;
            };
            plain.push_str(before);
            rest = match substitution(after) {
                Some((Piece::Text(text), after)) => {
                    plain.push_str(&text);
                    after
                }
                Some((value, after)) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(value);
                    after
                }
                None => {
                    unknown.push(after.chars().take(12).collect());
                    let mut chars = after.chars();
                    plain.extend(chars.next());
                    chars.as_str()
                }
            };
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        (Self { pieces }, unknown)
    }

    /// The value, if it is always the same.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// What `text` begins with, which is `$` or `%`, and what follows it.
fn substitution(text: &str) -> Option<(Piece, &str)> {
    for sign in ["$", "%"] {
        let Some(rest) = text.strip_prefix(sign) else {
            continue;
        };
        if let Some(rest) = rest.strip_prefix(sign) {
            return Some((Piece::Text(sign.to_owned()), rest));
        }
        let (make, rest) = VARIABLES.iter().find_map(|(name, letter, make)| {
            let rest = match sign {
                "$" => rest.strip_prefix(name)?,
                _ => rest.strip_prefix((*letter)?)?,
            };
            Some((make, rest))
        })?;
        let braced = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (argument, rest) = braced.unwrap_or(("", rest));
        return Some((Piece::Value(make(argument)?), rest));
    }
    None
}
