//! The rules of a machine, from files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::path::named;
use crate::rules::{Fault, Problem, Rules, Severity};

/// Reads all files of these folders whose names end with `.rules`, in the order of their names. Of two with the same
/// name the one of the earlier folder counts; an empty one leaves the other's out.
///
/// A file that cannot be read is a problem and leaves all others as they are: one bad link must not leave a machine
/// without names.
///
/// # Errors
/// A folder cannot be read. That it is not there is none.
pub fn read(folders: &[PathBuf]) -> io::Result<(Rules, Vec<Problem>)> {
    let mut files = BTreeMap::new();
    for folder in folders {
        for path in entries(folder)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.entry(name).or_insert(path);
        }
    }
    let mut texts = Vec::new();
    let mut unread = Vec::new();
    for path in files.into_values() {
        let file = path.display().to_string();
        match fs::read(&path) {
            Ok(text) => texts.push((file, String::from_utf8_lossy(&text).into_owned())),
            Err(error) => unread.push(Problem {
                file,
                line: 1,
                severity: Severity::Notice,
                fault: Fault::Unreadable {
                    reason: error.to_string(),
                },
            }),
        }
    }
    let (rules, mut problems) = Rules::parse(&texts);
    problems.splice(..0, unread);
    Ok((rules, problems))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| named(folder, &error))?,
    };
    let paths = entries.map(|entry| {
        entry
            .map(|entry| entry.path())
            .map_err(|error| named(folder, &error))
    });
    let paths: Vec<PathBuf> = paths.collect::<io::Result<_>>()?;
    let is_rules = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rules");
    Ok(paths.into_iter().filter(is_rules).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_that_cannot_be_read_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        fs::create_dir_all(first.join("20-folder.rules")).unwrap();
        fs::create_dir_all(&second).unwrap();
        symlink("nowhere", first.join("10-gone.rules")).unwrap();
        symlink("/dev/null", first.join("30-hidden.rules")).unwrap();
        fs::write(second.join("30-hidden.rules"), "SYMLINK+=\"x\"\n").unwrap();
        fs::write(second.join("40-good.rules"), "SYMLINK+=\"y\"\n").unwrap();
        let (rules, problems) = read(&[first, second, folder.path().join("none")]).unwrap();
        assert_eq!(rules.len(), 1);
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("10-gone.rules:1: the file cannot be read"));
        assert!(problems[1].contains("20-folder.rules:1: the file cannot be read"));
    }
}
