//! Several directories as one directory of links, and `builtin:link-tree`, which makes one of
//! whole objects.
//!
//! A directory that only one object has is one link; a directory that several have is merged.
//! Where two objects have a file of the same name, the earlier object's is taken: the caller's
//! order is the priority.
//!
//! Links to directories of the store are followed before they are merged: trees of links can be
//! merged again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use cairn_store::{Job, JobError};

use super::{BuildResult, at, is_there, make_directory, make_link, sorted_names};

/// Links that are followed one after the other.
const LINK_LIMIT: usize = 32;

/// `builtin:link-tree`: all of the objects `paths`, or of each only the folders `pathsToLink`, below
/// `extraPrefix`. With `refuseCollisions`, two different files of one name are an error.
pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let sources = Source::listed(job, "paths")?;
    let root = match job.env("extraPrefix").unwrap_or("").trim_matches('/') {
        "" => job.output().to_owned(),
        prefix => job.output().join(prefix),
    };
    make_directory(&root)?;
    let parts: Vec<&str> = job
        .env("pathsToLink")
        .unwrap_or("/")
        .split_whitespace()
        .collect();
    for part in parts {
        let part = Path::new(part.trim_matches('/'));
        let mut folders = Vec::new();
        for source in &sources {
            folders.extend(source.below(job, part)?);
        }
        if job.env("refuseCollisions").is_ok() {
            refuse_collisions(job, &folders)?;
        }
        let target = root.join(part);
        if folders.is_empty() || is_there(&target) && part != Path::new("") {
            continue;
        }
        make_directory(&target)?;
        merge_entries(job, &folders, &target)?;
    }
    Ok(())
}

/// One object's directory: where it is now, and what it will be called.
#[derive(Debug, Clone)]
pub(super) struct Source {
    real: PathBuf,
    logical: PathBuf,
}

/// Makes `target` of the directories `sources`: nothing, one link, or a merged directory.
pub(super) fn merge(job: &Job<'_>, sources: &[Source], target: &Path) -> io::Result<()> {
    match sources {
        [] => Ok(()),
        [only] => make_link(&only.logical, target),
        several => {
            make_directory(target)?;
            merge_entries(job, several, target)
        }
    }
}

/// Makes the entries of the directory `target` of those of `sources`.
pub(super) fn merge_entries(job: &Job<'_>, sources: &[Source], target: &Path) -> io::Result<()> {
    for (name, owners) in owners(sources)? {
        let target = target.join(name);
        match owners.split_first() {
            Some((first, rest)) if !rest.is_empty() && first.followed(job)?.is_some() => {
                merge(job, &directories(job, &owners)?, &target)?;
            }
            Some((first, _)) => make_link(&first.logical, &target)?,
            None => {}
        }
    }
    Ok(())
}

/// The entries of all `sources` by their names, each with those that have it.
fn owners(sources: &[Source]) -> io::Result<BTreeMap<PathBuf, Vec<Source>>> {
    let mut owners: BTreeMap<PathBuf, Vec<Source>> = BTreeMap::new();
    for source in sources {
        for name in sorted_names(&source.real)? {
            let entry = source.entry(&name);
            owners.entry(name).or_default().push(entry);
        }
    }
    Ok(owners)
}

/// The directories among `sources`, each once.
fn directories(job: &Job<'_>, sources: &[Source]) -> io::Result<Vec<Source>> {
    let mut directories: Vec<Source> = Vec::new();
    for source in sources {
        if let Some(directory) = source.followed(job)?
            && !directories.iter().any(|other| other.real == directory.real)
        {
            directories.push(directory);
        }
    }
    Ok(directories)
}

/// Two entries of one name must be directories, or the same file.
fn refuse_collisions(job: &Job<'_>, sources: &[Source]) -> BuildResult {
    for (_, owners) in owners(sources)? {
        let directories = directories(job, &owners)?;
        let Some((first, rest)) = owners.split_first() else {
            continue;
        };
        if directories.len() > 1 {
            refuse_collisions(job, &directories)?;
        }
        for other in rest {
            let both = [first, other].map(|source| source.followed(job).map(|it| it.is_some()));
            let [first_is, other_is] = both;
            let same = match (first_is?, other_is?) {
                (true, true) => true,
                (false, false) => first.same_file(job, other)?,
                _ => false,
            };
            if !same {
                return Err(format!(
                    "'{}' and '{}' would be the same file; set ignoreCollisions to take the first",
                    first.logical.display(),
                    other.logical.display()
                )
                .into());
            }
        }
    }
    Ok(())
}

impl Source {
    /// The objects that a variable of the job lists.
    pub(super) fn listed(job: &Job<'_>, variable: &str) -> Result<Vec<Self>, JobError> {
        let source = |path: &str| {
            Ok(Self {
                real: job.real(path)?,
                logical: PathBuf::from(path),
            })
        };
        job.env(variable)?.split_whitespace().map(source).collect()
    }

    /// Where it is now.
    pub(super) fn real(&self) -> &Path {
        &self.real
    }

    /// What it will be called.
    pub(super) fn logical(&self) -> &Path {
        &self.logical
    }

    /// The directory `path` below it, if there is one.
    pub(super) fn below(&self, job: &Job<'_>, path: &Path) -> io::Result<Option<Self>> {
        let mut directory = self.followed(job)?;
        for part in path.components() {
            directory = match directory {
                Some(directory) => directory.entry(Path::new(part.as_os_str())).followed(job)?,
                None => return Ok(None),
            };
        }
        Ok(directory)
    }

    fn entry(&self, name: &Path) -> Self {
        Self {
            real: self.real.join(name),
            logical: self.logical.join(name),
        }
    }

    /// The directory that this is, or that it leads to within the store.
    fn followed(&self, job: &Job<'_>) -> io::Result<Option<Self>> {
        let end = self.end(job)?;
        Ok(end.filter(|end| end.real.is_dir()))
    }

    /// What is at the end of the links, if that is there.
    fn end(&self, job: &Job<'_>) -> io::Result<Option<Self>> {
        let mut place = self.clone();
        for _ in 0..LINK_LIMIT {
            match fs::symlink_metadata(&place.real) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(at(&place.real)(error)),
                Ok(metadata) if !metadata.is_symlink() => return Ok(Some(place)),
                Ok(_) => {}
            }
            let target = fs::read_link(&place.real).map_err(at(&place.real))?;
            let folder = place.logical.parent().unwrap_or(&place.logical);
            let logical = without_dots(&folder.join(target));
            // What is no part of this build is not followed.
            let Some(real) = logical.to_str().and_then(|path| job.real(path).ok()) else {
                return Ok(None);
            };
            place = Self { real, logical };
        }
        Ok(None)
    }

    fn same_file(&self, job: &Job<'_>, other: &Self) -> io::Result<bool> {
        let (Some(own), Some(other)) = (self.end(job)?, other.end(job)?) else {
            return Ok(false);
        };
        if own.real == other.real {
            return Ok(true);
        }
        let read = |path: &Path| fs::read(path).map_err(at(path));
        Ok(read(&own.real)? == read(&other.real)?)
    }
}

/// The path without `.` and `..`, as text: links are looked at one by one.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
