//! Relations between packages: `libc6 (>= 2.36), default-mta | mail-transport-agent`.
//!
//! Source: Debian Policy 7. A relationship field is a list, separated by commas, of groups of
//! alternatives, separated by `|`.

use std::cmp::Ordering;
use std::fmt;

use crate::request::is_package_name;
use crate::version::{Version, compare};

/// A package name, if need be with an architecture qualifier and a bound on the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation<'a> {
    /// The name of a package or virtual package.
    pub name: &'a str,
    /// What follows `:`, such as `any`.
    pub qualifier: Option<&'a str>,
    /// The bound.
    pub bound: Option<(Operator, &'a str)>,
}

/// How a version must relate to that of the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// A text that is not a relation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {0:?} as a relation to a package")]
pub struct ParseRelationError(String);

impl Operator {
    const TEXTS: [(&'static str, Self); 7] = [
        ("<<", Self::Earlier),
        ("<=", Self::EarlierOrEqual),
        (">=", Self::LaterOrEqual),
        (">>", Self::Later),
        ("=", Self::Equal),
        // Old spellings, with these odd meanings.
        ("<", Self::EarlierOrEqual),
        (">", Self::LaterOrEqual),
    ];

    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::LaterOrEqual => order.is_ge(),
            Self::Later => order.is_gt(),
        }
    }
}

impl<'a> Relation<'a> {
    /// Whether a package of this version is within the bound.
    #[must_use]
    pub fn admits(&self, version: &str) -> bool {
        self.bound
            .is_none_or(|(operator, bound)| operator.admits(compare(version, bound)))
    }

    /// Whether a provision does: one without a version only answers relations without a bound.
    #[must_use]
    pub fn admits_provided(&self, version: Option<&str>) -> bool {
        version.map_or(self.bound.is_none(), |version| self.admits(version))
    }

    fn parse(text: &'a str) -> Result<Self, ParseRelationError> {
        let error = || ParseRelationError(text.chars().take(80).collect());
        let text = text.trim();
        let (name, rest) = match text.find(|c: char| c == '(' || c.is_whitespace()) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (name, qualifier) = name
            .split_once(':')
            .map_or((name, None), |(name, qualifier)| (name, Some(qualifier)));
        if !is_package_name(name) || qualifier.is_some_and(str::is_empty) {
            return Err(error());
        }
        let rest = rest.trim();
        if rest.is_empty() {
            return Ok(Self {
                name,
                qualifier,
                bound: None,
            });
        }
        let inner = rest
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        let inner = inner.ok_or_else(error)?.trim();
        let strip =
            |(text, operator): &(&str, Operator)| Some((*operator, inner.strip_prefix(text)?));
        let (operator, version) = Operator::TEXTS.iter().find_map(strip).ok_or_else(error)?;
        let version = version.trim();
        version.parse::<Version>().map_err(|_| error())?;
        Ok(Self {
            name,
            qualifier,
            bound: Some((operator, version)),
        })
    }
}

/// Reads a relationship field: groups, each of which needs one of its alternatives.
///
/// # Errors
/// The first alternative that cannot be read.
pub fn parse_relations(field: &str) -> Result<Vec<Vec<Relation<'_>>>, ParseRelationError> {
    let groups = field.split(',').filter(|group| !group.trim().is_empty());
    groups
        .map(|group| group.split('|').map(Relation::parse).collect())
        .collect()
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Self::TEXTS.iter().find(|(_, operator)| operator == self);
        f.write_str(text.map_or("", |(text, _)| text))
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(qualifier) = self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        match self.bound {
            Some((operator, version)) => write!(f, " ({operator} {version})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(field: &str) -> String {
        match parse_relations(field) {
            Ok(groups) => groups
                .iter()
                .map(|group| {
                    group
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(" | ")
                })
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_what_the_archive_writes() {
        for (field, shown) in [
            ("libc6 (>= 2.36), libssl3", "libc6 (>= 2.36), libssl3"),
            ("a1|b1 (<<1:2~),\n c1:any", "a1 | b1 (<< 1:2~), c1:any"),
            ("perl:any(>5)", "perl:any (>= 5)"),
            ("", ""),
            ("aa,", "aa"),
        ] {
            assert_eq!(show(field), shown);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for field in [
            "A1",
            "aa (1)",
            "aa (>= )",
            "aa (>= 1",
            "aa [amd64]",
            "aa | ",
            "aa: (= 1)",
        ] {
            assert!(show(field).starts_with("cannot read"), "{field}");
        }
    }

    #[test]
    fn bounds() {
        let admits = |field, version| parse_relations(field).unwrap()[0][0].admits(version);
        assert!(admits("aa (<< 2)", "2~rc1") && !admits("aa (<< 2)", "2"));
        assert!(admits("aa (= 1.0)", "1.00") && admits("aa", "0"));
        let provided =
            |field, version| parse_relations(field).unwrap()[0][0].admits_provided(version);
        assert!(provided("aa", None) && !provided("aa (>= 1)", None));
        assert!(provided("aa (>= 1)", Some("1")));
    }

    proptest! {
        #[test]
        fn hostile_fields_never_panic(field in "(?s)[a-c0-1 (=<>):|,é\n]{0,40}") {
            let shown = show(&field);
            if parse_relations(&field).is_ok() {
                prop_assert_eq!(show(&shown), shown);
            }
        }
    }
}
