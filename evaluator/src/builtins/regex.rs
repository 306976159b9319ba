//! POSIX extended regular expressions over bytes, for `builtins.match` and `builtins.split`.
//!
//! No crate has these rules: Nix's are those of libstdc++'s `std::regex` with
//! `std::regex::extended`, and programs have come to depend on its sub-matches. See [`parse`] for
//! what is accepted and [`search`] for which match wins.

mod bracket;
mod bytes;
mod parse;
mod program;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;

use bstr::ByteSlice as _;

use program::Program;
use search::{Goal, Search, TooComplex};

pub use search::Scratch;

/// A compiled expression.
#[derive(Debug)]
pub struct Regex(Program);

/// What is wrong with an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidRegex(&'static str);

impl fmt::Display for InvalidRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl From<TooComplex> for InvalidRegex {
    fn from(TooComplex: TooComplex) -> Self {
        Self("the expression nests too many empty repetitions")
    }
}

impl From<parse::Invalid> for InvalidRegex {
    fn from(error: parse::Invalid) -> Self {
        Self(error.0)
    }
}

/// The places of the groups of a match.
pub type Groups = Vec<Option<Range>>;

/// Where a match or a group lies in the subject.
pub type Range = (usize, usize);

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// If it is not well-formed, or too large.
    pub fn new(pattern: &[u8]) -> Result<Self, InvalidRegex> {
        Ok(Self(parse::parse(pattern)?))
    }

    /// How many groups the expression has.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.0.groups as usize
    }

    /// The groups, if the whole subject matches.
    ///
    /// # Errors
    /// If the search was given up.
    pub fn full_match(
        &self,
        subject: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<Groups>, InvalidRegex> {
        if let Some(literal) = &self.0.literal {
            return Ok((literal == subject).then(Vec::new));
        }
        let Some(mut search) = Search::new(&self.0, subject, scratch) else {
            return Err(InvalidRegex("the subject is too long"));
        };
        let found = search.run(Goal::Whole, 0)?;
        Ok(found.map(|_| {
            (0..self.0.groups)
                .map(|group| search.group(group))
                .collect()
        }))
    }

    /// The matches in the subject, from left to right.
    ///
    /// # Errors
    /// If the subject has four gigabytes or more.
    pub fn matches<'a>(
        &'a self,
        subject: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> Result<Matches<'a>, InvalidRegex> {
        let search = Search::new(&self.0, subject, scratch)
            .ok_or(InvalidRegex("the subject is too long"))?;
        Ok(Matches {
            program: &self.0,
            subject,
            search,
            last: None,
        })
    }
}

/// The matches of an expression in a subject.
pub struct Matches<'a> {
    program: &'a Program,
    subject: &'a [u8],
    search: Search<'a>,
    last: Option<(u32, u32)>,
}

impl Matches<'_> {
    /// The next match.
    ///
    /// Behind an empty match one that is not empty is preferred at the same place.
    ///
    /// # Errors
    /// If the search was given up.
    pub fn advance(&mut self) -> Result<Option<Range>, InvalidRegex> {
        let mut from = match self.last {
            None => 0,
            Some((start, end)) if start < end => end,
            Some((_, end)) if end == self.search.end() => return Ok(None),
            Some((_, place)) => {
                if let Some(end) = self.search.run(Goal::NotEmpty, place)? {
                    return Ok(Some(self.found(place, end)));
                }
                place + 1
            }
        };
        if let Some(literal) = self
            .program
            .literal
            .as_deref()
            .filter(|text| !text.is_empty())
        {
            return Ok(self.find(literal, from));
        }
        while let Some(start) = self.search.candidate(from) {
            if let Some(end) = self.search.run(Goal::Prefix, start)? {
                return Ok(Some(self.found(start, end)));
            }
            from = start + 1;
        }
        Ok(None)
    }

    fn find(&mut self, literal: &[u8], from: u32) -> Option<Range> {
        let start = from + u32::try_from(self.subject.get(from as usize..)?.find(literal)?).ok()?;
        Some(self.found(start, start + u32::try_from(literal.len()).ok()?))
    }

    fn found(&mut self, start: u32, end: u32) -> Range {
        self.last = Some((start, end));
        (start as usize, end as usize)
    }

    /// Where the groups of the match that was found last lie.
    pub fn groups(&self) -> impl Iterator<Item = Option<Range>> {
        (0..self.program.groups).map(|group| self.search.group(group))
    }
}
