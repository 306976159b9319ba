//! `*.sources` files: paragraphs with fields of several values.

use super::Entry;
use crate::control::{Paragraph, paragraphs};

/// The entries of a file's text, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    paragraphs(text)
        .map(|paragraph| entry(&paragraph.map_err(|error| error.to_string())?))
        .collect()
}

fn entry(paragraph: &Paragraph<'_>) -> Result<Entry, String> {
    let words = |name: &str| -> Vec<String> {
        let value = paragraph.get(name).unwrap_or_default();
        let lines = value.lines().filter(|line| !line.starts_with('#'));
        lines
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    };
    let needed = |name: &str| match words(name) {
        words if words.is_empty() => Err(format!("an entry has no field {name}")),
        words => Ok(words),
    };
    let is_no = |name: &str| {
        let no = ["no", "false", "without", "off", "disable", "0"];
        paragraph
            .get(name)
            .is_some_and(|value| no.contains(&value.to_ascii_lowercase().as_str()))
    };
    let entry = Entry {
        binary: needed("Types")?.contains(&"deb".to_owned()),
        enabled: !is_no("Enabled"),
        uris: needed("URIs")?,
        suites: needed("Suites")?,
        components: words("Components"),
        architectures: words("Architectures"),
        signed_by: paragraph
            .get("Signed-By")
            .filter(|value| !value.is_empty())
            .map(str::to_owned),
        check_valid_until: !is_no("Check-Valid-Until"),
    };
    if entry.components.is_empty() && entry.suites.iter().any(|suite| !suite.ends_with('/')) {
        return Err("an entry has no field Components".to_owned());
    }
    Ok(entry)
}
