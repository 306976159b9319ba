//! Files of the database that a power cut or a full disk has left in pieces.
//!
//! Such a file is never overwritten: it gets a second name first, `<name>.damaged`, and so do the
//! other three, whose lines are about the same users. Then the database is made anew from what can
//! be read, so that somebody can log in and repair the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::plan::{Failure, Gathered};
use crate::root::Root;
use crate::step::Step;

use super::{GROUP, GSHADOW, PASSWD, SHADOW};

type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Plans second names if one of the files is damaged, and reports it.
///
/// # Errors
/// There is another file of that name, with other content: then nothing may be written.
pub(super) fn keep(root: &Root, base: &Contents, gathered: &mut Gathered) -> Result<(), Failure> {
    let damaged: Vec<(&str, &str)> = [PASSWD, GROUP, SHADOW, GSHADOW]
        .into_iter()
        .filter_map(|path| Some((path, damage(path, base)?)))
        .collect();
    if damaged.is_empty() {
        return Ok(());
    }
    for path in [PASSWD, GROUP, SHADOW, GSHADOW] {
        gathered.steps.extend(keep_one(root, base, path)?);
    }
    for (path, why) in damaged {
        gathered.problems.push(Failure::new(format!(
            "'{path}' is damaged, it {why}: it and its kin are kept as *.damaged and made anew from \
             what can be read; look for users that are missing"
        )));
    }
    Ok(())
}

/// The step that gives a file its second name, if it has none.
pub(super) fn keep_one(root: &Root, base: &Contents, path: &str) -> Result<Option<Step>, Failure> {
    let Some(content) = base.get(Path::new(path)).and_then(Option::as_ref) else {
        return Ok(None);
    };
    let kept = PathBuf::from(format!("{path}.damaged"));
    match root.read_if_there(&kept)? {
        None => Ok(Some(Step::KeepAs {
            path: PathBuf::from(path),
            to: kept,
        })),
        Some(present) if present == *content => Ok(None),
        Some(_) => Err(Failure::new(format!(
            "cannot keep '{path}', which is damaged: '{}' is there already; \
             move it away, and activate again",
            kept.display()
        ))),
    }
}

/// What is wrong with a file, if anything is.
fn damage(path: &str, base: &Contents) -> Option<&'static str> {
    let content = |path: &str| base.get(Path::new(path)).and_then(Option::as_ref);
    let own = content(path)?;
    let is_blank = |text: &[u8]| text.iter().all(u8::is_ascii_whitespace);
    // What is about the same accounts.
    let twin = match path {
        PASSWD => SHADOW,
        SHADOW => PASSWD,
        GROUP => GSHADOW,
        _ => GROUP,
    };
    if own.contains(&0) {
        Some("has NUL bytes")
    } else if !is_blank(own) && !own.contains(&b':') {
        Some("holds no record")
    } else if is_blank(own) && content(twin).is_some_and(|twin| !is_blank(twin)) {
        Some("is empty")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged() {
        let table: [(Option<&str>, Option<&str>, Option<&str>); 8] = [
            (None, Some("root:!:1::::::\n"), None),
            (Some(""), None, None),
            (Some("\n"), Some(""), None),
            (Some("root:x:0:0::/root:/bin/sh\n"), None, None),
            (Some("root:x:0:0::/root:/bin/sh\nbroken\n"), None, None),
            (Some(""), Some("root:!:1::::::\n"), Some("is empty")),
            (Some("root:x:0\0\0"), None, Some("has NUL bytes")),
            (Some("gibberish\n"), None, Some("holds no record")),
        ];
        for (passwd, shadow, expected) in table {
            let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
            let base = Contents::from([
                (PathBuf::from(PASSWD), bytes(passwd)),
                (PathBuf::from(SHADOW), bytes(shadow)),
            ]);
            assert_eq!(damage(PASSWD, &base), expected, "{passwd:?} {shadow:?}");
        }
    }
}
