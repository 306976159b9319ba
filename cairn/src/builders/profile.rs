//! `builtin:profile`: several objects' trees as one tree of links, as `/run/current-system/sw`.
//!
//! A directory that only one object has is one link; a directory that several have is merged.
//! Where two objects have a file of the same name, the earlier object's is taken: the caller's
//! order is the priority.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cairn_store::Job;

use super::{BuildResult, make_directory, make_link, sorted_names};

/// What of an object is for its users; the rest is for itself.
const LINKED: [&str; 5] = ["bin", "etc", "lib", "libexec", "share"];

/// Below `lib`, only data that programs find through a variable; libraries are found by RUNPATH.
const LINKED_IN_LIB: [&str; 4] = ["locale", "terminfo", "modules-load.d", "udev"];

/// One object's directory: where it is now, and what it will be called.
#[derive(Debug, Clone)]
struct Source {
    real: PathBuf,
    logical: PathBuf,
}

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let sources = job
        .env("paths")?
        .split_whitespace()
        .map(|path| {
            Ok(Source {
                real: job.real(path)?,
                logical: PathBuf::from(path),
            })
        })
        .collect::<Result<Vec<_>, Box<dyn std::error::Error + Send + Sync>>>()?;
    make_directory(job.output())?;
    for part in LINKED {
        let parts: Vec<_> = sources
            .iter()
            .filter_map(|source| source.directory(part))
            .collect();
        if parts.is_empty() {
            continue;
        }
        let target = job.output().join(part);
        if part == "lib" {
            make_directory(&target)?;
            for name in LINKED_IN_LIB {
                merge(
                    parts.iter().filter_map(|lib| lib.directory(name)),
                    &target.join(name),
                )?;
            }
        } else {
            make_directory(&target)?;
            merge_entries(&parts, &target)?;
        }
    }
    make_link("bin", &job.output().join("sbin"))?;
    Ok(())
}

/// Makes `target` of the directories `sources`: nothing, one link, or a merged directory.
fn merge(sources: impl Iterator<Item = Source>, target: &Path) -> io::Result<()> {
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

fn merge_entries(sources: &[Source], target: &Path) -> io::Result<()> {
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
    fn directory(&self, name: &str) -> Option<Self> {
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
