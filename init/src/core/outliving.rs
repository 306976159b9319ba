//! What goes on while user space starts again: the control groups that the supervisor has named.
//!
//! ```text
//! /run/cairn/outliving   a line a service: written by the supervisor, once this ending has begun
//! /run/cairn/outlived    the same file, once all others have ended: for the supervisor that comes
//! ```
//! If the first is there, even if it names nobody, what core keeps is kept for the generation that comes. If it
//! is not, whatever the reason, all processes end, nothing is kept, and the machine begins anew: nobody
//! would know what goes on.
//!
//! Invariant: who is in none of those groups ends; who is in one, and whatever it makes meanwhile, is left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::cgroup::Cgroup;
use cairn_sys::{process, signal};

use crate::process_stat::ProcessStat;

/// What is to go on, relative to the sockets' directory.
pub const NAMES: &str = "outliving";

/// What has gone on, relative to the same.
pub const LAST_NAMES: &str = "outlived";

/// The processes that are left alone.
#[derive(Debug)]
pub struct Outliving {
    groups: Vec<PathBuf>,
}

impl Outliving {
    /// What is to go on, if somebody has said that something is to be kept. The groups are below `groups`.
    pub fn read(directory: &Path, groups: &Path) -> Option<Self> {
        match fs::read_to_string(directory.join(NAMES)) {
            Ok(text) => Some(Self {
                groups: parse(&text).map(|name| groups.join(name)).collect(),
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    log::error!("cannot read what is to go on: {error}; everything ends");
                }
                None
            }
        }
    }

    /// All others have ended.
    ///
    /// # Errors
    /// The file is gone.
    pub fn note(directory: &Path) -> io::Result<()> {
        fs::rename(directory.join(NAMES), directory.join(LAST_NAMES))
    }

    /// Whether nobody is left alone.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Every process that is to end.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn others(&self) -> io::Result<BTreeSet<u32>> {
        // In this order: whoever is made meanwhile by what goes on is in none of both, or in the second.
        let mut others = processes()?;
        for pid in self.spared() {
            others.remove(&pid);
        }
        Ok(others)
    }

    fn spared(&self) -> Vec<u32> {
        let processes = |path: &PathBuf| {
            let all = if path.exists() {
                Cgroup::create(path).and_then(|group| group.all_processes())
            } else {
                Ok(Vec::new())
            };
            all.unwrap_or_else(|error| {
                let path = path.display();
                log::error!("cannot read who is in {path}: {error}; they end");
                Vec::new()
            })
        };
        self.groups.iter().flat_map(processes).collect()
    }

    /// Sends a signal to every process that is to end, but for those that had it; those are returned.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn send(&self, number: i32, told: &BTreeSet<u32>) -> io::Result<BTreeSet<u32>> {
        let others = self.others()?;
        for pid in others.difference(told) {
            if let Err(error) = signal::send(*pid, number) {
                log::error!("cannot send signal {number} to process {pid}: {error}");
            }
        }
        Ok(others)
    }
}

/// The names in a file of them. One that is no name of a group is passed over.
fn parse(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|name| !name.is_empty() && !name.starts_with('.') && !name.contains('/'))
}

/// All that live, but this one and the kernel's own.
fn processes() -> io::Result<BTreeSet<u32>> {
    let own = std::process::id();
    let mut all = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that cannot be read has ended.
        let is_one = ProcessStat::of(pid).is_some_and(|stat| stat.lives && !stat.is_kernels);
        if pid != own && is_one {
            all.insert(pid);
        }
    }
    Ok(all)
}

/// Takes the ends of processes that are ours.
pub fn reap(mut note: impl FnMut(u32, process::Exit)) {
    while let Some((pid, exit)) = process::reap_any() {
        note(pid, exit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_groups() {
        let names: Vec<&str> = parse("a\n\nb@c.socket\n../x\n/etc\n.\nd/e\n").collect();
        assert_eq!(names, ["a", "b@c.socket"]);
    }

    #[test]
    fn without_the_file_nothing_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let read = || Outliving::read(folder.path(), Path::new("/x"));
        assert!(read().is_none());
        fs::write(folder.path().join(NAMES), "").unwrap();
        assert!(read().unwrap().is_empty());
        fs::write(folder.path().join(NAMES), "a\nb\n").unwrap();
        assert_eq!(read().unwrap().groups, ["/x/a", "/x/b"].map(PathBuf::from));
        Outliving::note(folder.path()).unwrap();
        assert!(read().is_none() && folder.path().join(LAST_NAMES).exists());
    }

    #[test]
    fn all_are_those_that_are_not_this_one() {
        let all = processes().unwrap();
        assert!(!all.contains(&std::process::id()) && !all.is_empty());
    }
}
