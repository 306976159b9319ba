//! The rules of a machine, from files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::record::named;
use crate::rules::{Problem, Rules};

/// Reads all files of these folders whose names end with `.rules`, in the order of their names. Of two with the same
/// name the one of the earlier folder counts; an empty one leaves the other's out.
///
/// # Errors
/// A file cannot be read. That a folder is not there is none.
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
    let texts = files.into_values().map(|path| {
        let text = fs::read(&path).map_err(|error| named(&path, &error))?;
        Ok((
            path.display().to_string(),
            String::from_utf8_lossy(&text).into_owned(),
        ))
    });
    Ok(Rules::parse(&texts.collect::<io::Result<Vec<_>>>()?))
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
