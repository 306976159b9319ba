//! The search path: what `<name>` means.

use bstr::{BString, ByteSlice as _};
use cairn_evaluator::io::SearchEntry;

/// The entries of `-I` options in their order, then those of the variable `NIX_PATH`.
#[must_use]
pub fn search_path(options: &[BString], variable: Option<&[u8]>) -> Vec<SearchEntry> {
    let from_options = options.iter().map(|option| entry(option));
    let from_variable = variable.map(split).unwrap_or_default();
    from_options
        .chain(from_variable.into_iter().map(entry))
        .collect()
}

/// `prefix=path`, or only a path.
fn entry(text: &[u8]) -> SearchEntry {
    match text.split_once_str("=") {
        Some((prefix, path)) => SearchEntry {
            prefix: prefix.into(),
            path: path.into(),
        },
        None => SearchEntry {
            prefix: BString::default(),
            path: text.into(),
        },
    }
}

/// The parts of `NIX_PATH` between colons; the colon of an address does not separate.
fn split(variable: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = variable;
    while !rest.is_empty() {
        // An address may stand alone or behind a prefix.
        let address = rest
            .find_byteset(b":=")
            .filter(|&at| rest.get(at) == Some(&b'='))
            .map_or(0, |at| at + 1);
        let inner = rest.get(address..).unwrap_or_default();
        let skipped = address + scheme_length(inner);
        let end = rest
            .get(skipped..)
            .and_then(|rest| rest.find_byte(b':'))
            .map_or(rest.len(), |colon| skipped + colon);
        let (part, remaining) = rest.split_at(end);
        if !part.is_empty() {
            parts.push(part);
        }
        rest = remaining.get(1..).unwrap_or_default();
    }
    parts
}

/// The length of `https:` and the like, if `text` is an address.
fn scheme_length(text: &[u8]) -> usize {
    SCHEMES
        .iter()
        .find(|scheme| text.starts_with(scheme.as_bytes()))
        .map_or(0, |scheme| scheme.len())
}

const SCHEMES: [&str; 8] = [
    "http://", "https://", "file://", "channel:", "flake:", "git://", "s3://", "ssh://",
];

/// Whether an entry is an address rather than a path.
#[must_use]
pub fn is_address(path: &[u8]) -> bool {
    scheme_length(path) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(options: &[&str], variable: Option<&str>, expected: &Expect) {
        let options: Vec<BString> = options.iter().map(|&option| option.into()).collect();
        let entries = search_path(&options, variable.map(str::as_bytes));
        let line = |entry: &SearchEntry| format!("{} -> {}\n", entry.prefix, entry.path);
        expected.assert_eq(&entries.iter().map(line).collect::<Vec<_>>().concat());
    }

    #[test]
    fn options_go_before_the_variable() {
        check(
            &["a=/x", "dir"],
            Some("nixpkgs=/n:/more::b=rel"),
            &expect![[r#"
                a -> /x
                 -> dir
                nixpkgs -> /n
                 -> /more
                b -> rel
            "#]],
        );
        check(&[], None, &expect![[""]]);
    }

    #[test]
    fn addresses_keep_their_colon() {
        check(
            &[],
            Some("nixpkgs=https://a.example:80/x.tar.gz:http://b/c:/d=e:p=channel:stable"),
            &expect![[r#"
                nixpkgs -> https://a.example
                 -> 80/x.tar.gz
                 -> http://b/c
                /d -> e
                p -> channel:stable
            "#]],
        );
    }
}
