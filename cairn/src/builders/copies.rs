//! `builtin:copies`: some files of packages, copied, so that the rest of those packages is not needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use cairn_store::Job;

use super::{BuildResult, at, make_directory, make_link, sorted_names};

/// `entries` is a JSON object: place of a file or folder, what it is copied from. `without` is a JSON list of
/// places that are left out; one at which there is nothing is an error, so that no list outlives its use.
pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let entries: BTreeMap<String, String> = serde_json::from_str(job.env("entries")?)?;
    let mut without: BTreeSet<PathBuf> = serde_json::from_str(job.env("without")?)?;
    make_directory(job.output())?;
    for (place, source) in entries {
        let place = Path::new(&place);
        let plain = |part| matches!(part, Component::Normal(_));
        if place.as_os_str().is_empty() || !place.components().all(plain) {
            return Err(format!("the place '{}' is not below the output", place.display()).into());
        }
        if let Some(folder) = place.parent() {
            make_directory(&job.output().join(folder))?;
        }
        copy(&job.real(&source)?, job.output(), place, &mut without)?;
    }
    match without.first() {
        None => Ok(()),
        Some(place) => Err(format!("there is no '{}' to be left out", place.display()).into()),
    }
}

/// Copies `source` to `place` below `output`; what is left out is taken from `without`.
fn copy(
    source: &Path,
    output: &Path,
    place: &Path,
    without: &mut BTreeSet<PathBuf>,
) -> BuildResult {
    if without.remove(place) {
        return Ok(());
    }
    let target = output.join(place);
    let kind = fs::symlink_metadata(source).map_err(at(source))?;
    if kind.is_dir() {
        make_directory(&target)?;
        for name in sorted_names(source)? {
            copy(&source.join(&name), output, &place.join(&name), without)?;
        }
    } else if kind.is_symlink() {
        make_link(fs::read_link(source).map_err(at(source))?, &target)?;
    } else {
        fs::copy(source, &target).map_err(at(source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_left_out_is_not_copied() {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        fs::create_dir_all(source.join("folder/left-out")).unwrap();
        fs::write(source.join("folder/left-out/file"), "").unwrap();
        fs::write(source.join("folder/kept"), "kept").unwrap();
        symlink("kept", source.join("folder/link")).unwrap();
        let output = scratch.path().join("output");
        fs::create_dir(&output).unwrap();
        let mut without = BTreeSet::from(["at/folder/left-out".into(), "at/nowhere".into()]);
        copy(&source, &output, Path::new("at"), &mut without).unwrap();
        let names = sorted_names(&output.join("at/folder")).unwrap();
        assert_eq!(names, [Path::new("kept"), Path::new("link")]);
        assert_eq!(fs::read(output.join("at/folder/link")).unwrap(), b"kept");
        assert_eq!(without, BTreeSet::from(["at/nowhere".into()]));
    }
}
