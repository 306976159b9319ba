//! The cases that are known to differ, a line each: the case's name, and why.

use std::path::Path;

use crate::case::Case;

pub struct Exceptions(Vec<(String, String)>);

impl Exceptions {
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let pair = |line: &str| {
            let (name, reason) = line
                .split_once(char::is_whitespace)
                .unwrap_or_else(|| panic!("exceptions.txt: no reason for {line}"));
            (name.to_owned(), reason.trim().to_owned())
        };
        Self(lines.map(pair).collect())
    }

    pub fn reason(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, reason)| reason.as_str())
    }

    /// Exceptions for nothing. Another release's suite may lack some.
    pub fn unknown(&self, cases: &[Case], suite: &Path) -> Vec<&str> {
        if crate::is_newer(suite) {
            return Vec::new();
        }
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| cases.iter().all(|case| case.name != *name))
            .collect()
    }
}
