//! What passwd, group, shadow and gshadow have in common: a record a line, fields between colons.
//!
//! Lines that are no record (NIS's `+`, damage, a name for the second time) are kept verbatim as
//! foreign lines. Source: passwd(5), group(5), shadow(5), gshadow(5).

use std::collections::BTreeSet;

/// A record of one of the files.
pub(super) trait Record: Sized {
    /// Reads one line, or says that it is none of this kind.
    fn parse(line: &str) -> Option<Self>;
    /// The line, without its end.
    fn line(&self) -> String;
    /// The key.
    fn name(&self) -> &str;
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Database<R> {
    pub(super) records: Vec<R>,
    /// Lines that are no records, kept at the end.
    pub(super) foreign: Vec<String>,
}

impl<R> Default for Database<R> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            foreign: Vec::new(),
        }
    }
}

impl<R: Record> Database<R> {
    pub(super) fn parse(text: &str) -> Self {
        let mut database = Self::default();
        let mut names = BTreeSet::new();
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            match R::parse(line) {
                Some(record) if names.insert(record.name().to_owned()) => {
                    database.records.push(record);
                }
                _ => database.foreign.push(line.to_owned()),
            }
        }
        database
    }

    pub(super) fn get(&self, name: &str) -> Option<&R> {
        self.records.iter().find(|record| record.name() == name)
    }

    pub(super) fn to_text(&self) -> String {
        let records = self.records.iter().map(Record::line);
        records
            .chain(self.foreign.iter().cloned())
            .map(|line| line + "\n")
            .collect()
    }
}

/// Exactly `N` fields; the first must be a name, not NIS's `+` or `-`, nor a comment.
pub(super) fn fields<const N: usize>(line: &str) -> Option<[&str; N]> {
    let fields: Vec<&str> = line.split(':').collect();
    let fields: [&str; N] = fields.try_into().ok()?;
    let name = fields.first()?;
    (!name.is_empty() && !name.starts_with(['+', '-', '#'])).then_some(fields)
}

/// Names between commas, as in a group's members.
pub(super) fn names(list: &str) -> Vec<String> {
    list.split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
