//! `*.list` files: `deb [ option=value … ] address suite component …`, one entry a line.

use super::Entry;

/// The entries of a file's text, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
        if !line.is_empty() {
            entries.push(entry(line).map_err(|cause| format!("line {number}: {cause}"))?);
        }
    }
    Ok(entries)
}

fn entry(line: &str) -> Result<Entry, String> {
    let (kind, rest) = next_word(line);
    let mut entry = match kind {
        "deb" => Entry::default(),
        "deb-src" => Entry {
            binary: false,
            ..Entry::default()
        },
        _ => return Err(format!("{kind:?} is neither deb nor deb-src")),
    };
    let mut rest = rest;
    if let Some(options) = rest.strip_prefix('[') {
        let (options, tail) = options.split_once(']').ok_or("\"]\" is missing")?;
        options
            .split_whitespace()
            .for_each(|option| set_option(&mut entry, option));
        rest = tail.trim_start();
    }
    // The address of a CD has its own brackets, with spaces in them.
    let uri_end = match rest.split_once(']') {
        Some((uri, _)) if rest.starts_with("cdrom:[") => uri.len() + 1,
        _ => 0,
    };
    let (disc, tail) = rest.split_at(uri_end);
    let (uri, tail) = next_word(tail);
    let mut words = tail.split_whitespace().map(str::to_owned);
    let suite = words.next().ok_or("the suite is missing")?;
    entry.components = words.collect();
    if entry.components.is_empty() && !suite.ends_with('/') {
        return Err("the components are missing".to_owned());
    }
    entry.uris.push(format!("{disc}{uri}"));
    entry.suites.push(suite);
    Ok(entry)
}

fn set_option(entry: &mut Entry, option: &str) {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    match name {
        "arch" | "arch+" => entry
            .architectures
            .extend(value.split(',').map(str::to_owned)),
        "signed-by" => entry.signed_by = Some(value.to_owned()),
        "check-valid-until" => entry.check_valid_until = value != "no",
        // Translations, diffs, trust without signatures: of no use here.
        _ => log::debug!("option {option} of a package source is passed over"),
    }
}

fn next_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}
