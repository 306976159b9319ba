//! Several directories as one directory of links.
//!
//! A directory that only one object has is one link; a directory that several have is merged.
//! Where two objects have a file of the same name, the earlier object's is taken: the caller's
//! order is the priority.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cairn_store::{Job, JobError};

use super::{make_directory, make_link, sorted_names};

/// One object's directory: where it is now, and what it will be called.
#[derive(Debug, Clone)]
pub(super) struct Source {
    real: PathBuf,
    logical: PathBuf,
}

/// Makes `target` of the directories `sources`: nothing, one link, or a merged directory.
pub(super) fn merge(sources: impl Iterator<Item = Source>, target: &Path) -> io::Result<()> {
    let sources: Vec<_> = sources.collect();
    match sources.as_slice() {
        [] => Ok(()),
        [only] => make_link(&only.logical, target),
        several => {
            make_directory(target)?;
            merge_entries(several, target)
        }
    }
}

/// Makes the entries of the directory `target` of those of `sources`.
pub(super) fn merge_entries(sources: &[Source], target: &Path) -> io::Result<()> {
    let mut owners: BTreeMap<PathBuf, Vec<Source>> = BTreeMap::new();
    for source in sources {
        for name in sorted_names(&source.real)? {
            let entry = Source {
                real: source.real.join(&name),
                logical: source.logical.join(&name),
            };
            owners.entry(name).or_default().push(entry);
        }
    }
    for (name, owners) in owners {
        let target = target.join(name);
        match owners.split_first() {
            Some((first, rest)) if !rest.is_empty() && is_real_directory(&first.real) => {
                merge(
                    owners
                        .iter()
                        .filter(|owner| is_real_directory(&owner.real))
                        .cloned(),
                    &target,
                )?;
            }
            Some((first, _)) => make_link(&first.logical, &target)?,
            None => {}
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

    /// The directory `name` in it, if there is one.
    pub(super) fn directory(&self, name: &str) -> Option<Self> {
        let real = self.real.join(name);
        is_real_directory(&real).then(|| Self {
            real,
            logical: self.logical.join(name),
        })
    }
}

/// A link to a directory is one entry, not a directory to merge: its target may be logical.
fn is_real_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}
