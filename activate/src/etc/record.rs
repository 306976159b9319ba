//! `/etc/.clean`: which paths below `/etc` are ours although they are no links to `/etc/static`:
//! copies and direct links, one name a line. The file's name and form are NixOS's.
//!
//! Invariant: a path is on record before anything is put there, and until it is gone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cairn_system::ordered;

use crate::plan::Failure;
use crate::root::{Rights, Root};
use crate::step::Step;

use super::check_target;

const FILE: &str = "/etc/.clean";

pub(super) type Record = BTreeSet<String>;

pub(super) fn read(root: &Root) -> Result<Record, Failure> {
    let bytes = root
        .read_if_there(std::path::Path::new(FILE))?
        .unwrap_or_default();
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Names that no entry may have are left out: what is there is nobody's to remove.
fn parse(text: &str) -> Record {
    ordered::set(
        text.lines()
            .filter(|line| check_target(line).is_ok())
            .map(str::to_owned),
    )
}

/// The step that turns one record into another.
pub(super) fn write(from: &Record, to: &Record) -> Option<Step> {
    let content = to
        .iter()
        .flat_map(|target| target.bytes().chain([b'\n']))
        .collect();
    (from != to).then(|| Step::Write {
        path: PathBuf::from(FILE),
        content,
        rights: Rights::root(0o644),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_names_nothing() {
        let record = parse("sudoers\n../shadow\n\nssh/key\nstatic\n\0\0\0");
        let names: Vec<_> = record.iter().map(String::as_str).collect();
        assert_eq!(names, ["ssh/key", "sudoers"]);
    }
}
