//! Patterns of paths: `*`, `?` and `[…]` in the names of a path, as the shell has them.
//!
//! As there, no pattern matches a leading dot that it does not write itself.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::root::{FileError, Kind, Root};

/// The paths in `root` that match `pattern`, sorted; links are not followed by its last name.
pub(crate) fn matches(root: &Root, pattern: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.iter().skip(1) {
        let mut next = Vec::new();
        for folder in found {
            if is_plain(part) {
                let path = folder.join(part);
                if root.kind(&path)? != Kind::Absent {
                    next.push(path);
                }
            } else {
                let names = root.names(&folder)?;
                let fitting = names
                    .into_iter()
                    .filter(|name| fits(part.as_bytes(), name.as_bytes()));
                next.extend(fitting.map(|name| folder.join(name)));
            }
        }
        found = next;
    }
    Ok(found)
}

fn is_plain(part: &OsStr) -> bool {
    !part.as_bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// Whether `name` fits `pattern`.
pub(crate) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    fits_rest(pattern, name)
}

fn fits_rest(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', pattern)), _) => (0..=name.len()).any(|skip| {
            name.get(skip..)
                .is_some_and(|rest| fits_rest(pattern, rest))
        }),
        (Some((b'?', pattern)), Some((_, name))) => fits_rest(pattern, name),
        (Some((b'[', rest)), Some((byte, name))) => match set(rest, *byte) {
            Some((contains, pattern)) => contains && fits_rest(pattern, name),
            // Without an end it is a bracket.
            None => *byte == b'[' && fits_rest(rest, name),
        },
        (Some((expected, pattern)), Some((byte, name))) => {
            expected == byte && fits_rest(pattern, name)
        }
        _ => false,
    }
}

/// Whether the set that `pattern` begins with contains `byte`, and what follows the set.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, body) = match pattern.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    // A bracket that comes first is a member.
    let end = 1 + body.iter().skip(1).position(|&byte| byte == b']')?;
    let (mut members, rest) = (body.get(..end)?, body.get(end + 1..)?);
    let mut contains = false;
    while let Some((&first, others)) = members.split_first() {
        members = if let [b'-', last, after @ ..] = others {
            contains |= (first..=*last).contains(&byte);
            after
        } else {
            contains |= first == byte;
            others
        };
    }
    Some((contains != negated, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        let table = [
            ("*", "a", true),
            ("*", ".a", false),
            (".*", ".a", true),
            (".X*-lock", ".X0-lock", true),
            (".X*-lock", ".X0-lock2", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]]x", "]x", true),
            ("[x", "[x", true),
            ("**b*", "aab", true),
            ("", "", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
