//! Where things are: finding a Debian path in the object itself and in its inputs, and giving
//! every symbolic link a target that holds in the running system.
//!
//! | the link leads to | it becomes |
//! |---|---|
//! | something in the object | a relative link within the object |
//! | something in an input | the absolute path in that input |
//! | `/etc`, `/run`, `/var`, `/dev`, `/proc`, `/sys` … of the running system | stays, and is reported |
//! | nothing | is left out, and is reported |
//!
//! So no link of an object ever leads to a file of the build host.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cairn_store_path::StorePath;

use super::alternatives::Alternatives;
use super::inputs::{Found, Inputs};
use super::layout::{self, show};
use super::report::{Link, Report};
use super::tree::{Node, Tree, disk_path};
use super::{Documentation, ImportError};

/// Symbolic links followed before giving up, as Linux does.
const MAX_LINKS: usize = 40;

/// Where a Debian path leads in the end, all links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file or folder of the object, by its prefix path.
    Own(Vec<u8>),
    /// A file or folder of an input.
    Input(Found),
    /// A path of the running system, which only exists there.
    System(Vec<u8>),
}

/// The object and its inputs as the running system will see them.
#[derive(Debug)]
pub struct View<'a> {
    output: String,
    tree: &'a Tree,
    inputs: &'a Inputs<'a>,
    alternatives: &'a Alternatives,
}

impl<'a> View<'a> {
    /// Looks at a settled tree.
    pub fn new(
        output: &StorePath,
        tree: &'a Tree,
        inputs: &'a Inputs<'a>,
        alternatives: &'a Alternatives,
    ) -> Self {
        Self {
            output: output.to_string(),
            tree,
            inputs,
            alternatives,
        }
    }

    /// The tree of the object.
    pub fn tree(&self) -> &'a Tree {
        self.tree
    }

    /// The inputs.
    pub fn inputs(&self) -> &'a Inputs<'a> {
        self.inputs
    }

    /// The path in the running system of a prefix path.
    pub fn own(&self, path: &[u8]) -> Vec<u8> {
        layout::join(self.output.as_bytes(), path)
    }

    /// Follows a Debian path to its end.
    pub fn resolve(&self, debian_path: &[u8]) -> Option<Place> {
        self.follow(debian_path, 0)
    }

    /// The path in the running system of a file or folder that a Debian path names, in the object
    /// or an input: the path itself, not what its links lead to.
    pub fn logical(&self, debian_path: &[u8]) -> Option<Vec<u8>> {
        let end = self.resolve(debian_path)?;
        let place = self.tree.place(debian_path);
        match end {
            Place::System(_) => None,
            _ if self.tree.get(&place).is_some() => Some(self.own(&place)),
            Place::Own(path) => Some(self.own(&path)),
            Place::Input(found) => {
                let direct = self
                    .holder(&place)
                    .map(|input| self.inputs.logical(input, &place));
                Some(direct.unwrap_or_else(|| self.inputs.logical(found.input, &found.path)))
            }
        }
    }

    /// The first input that has something at a prefix path.
    fn holder(&self, place: &[u8]) -> Option<usize> {
        (0..self.inputs.len()).find(|&input| self.inputs.resolve(input, place).is_some())
    }

    fn follow(&self, debian_path: &[u8], links: usize) -> Option<Place> {
        if links > MAX_LINKS {
            return None;
        }
        let place = self.tree.place(debian_path);
        let mut at = Vec::new();
        let mut parts = place
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty());
        let mut missing = false;
        while let Some(part) = parts.next() {
            layout::push(&mut at, part);
            match self.tree.get(&at) {
                Some(Node::Directory) => {}
                Some(Node::File(_)) if at.len() == place.len() => {}
                Some(Node::Link(link)) => {
                    let mut target = self.target(&link.target_path());
                    if self.tree.place(&target) == at {
                        missing = true;
                        break;
                    }
                    for rest in parts {
                        layout::push(&mut target, rest);
                    }
                    return self.follow(&target, links + 1);
                }
                Some(Node::File(_)) | None => {
                    missing = true;
                    break;
                }
            }
        }
        if !missing {
            return Some(Place::Own(place));
        }
        let found = (0..self.inputs.len()).find_map(|input| self.inputs.resolve(input, &place));
        match found {
            Some(found) => Some(Place::Input(found)),
            None if layout::is_of_the_system(debian_path) => {
                Some(Place::System(debian_path.to_vec()))
            }
            None => None,
        }
    }

    /// `/etc/alternatives/NAME` is what the alternative leads to.
    fn target(&self, debian_path: &[u8]) -> Vec<u8> {
        self.alternatives
            .target_of(debian_path)
            .unwrap_or(debian_path)
            .to_vec()
    }
}

/// A link that is to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct Planned {
    /// Prefix path of the link.
    pub path: Vec<u8>,
    /// Its target.
    pub target: Vec<u8>,
}

/// Decides what becomes of each link of the tree.
pub fn plan(view: &View<'_>, documentation: Documentation, report: &mut Report) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (path, node) in view.tree.nodes() {
        let Node::Link(link) = node else { continue };
        let debian_target = view.target(&link.target_path());
        let place = view.tree.place(&debian_target);
        if place == path && layout::parent(path).is_empty() {
            continue;
        }
        if documentation == Documentation::Drop && layout::is_documentation(&place) {
            report.documentation_skipped += 1;
            continue;
        }
        let listed = || Link {
            path: show(path),
            target: show(&link.target),
        };
        let target = match view.resolve(&debian_target) {
            Some(Place::System(_)) if view.tree.get(&place).is_none() => {
                report.system_links.push(listed());
                let mut target = b"/".to_vec();
                target.extend_from_slice(&debian_target);
                target
            }
            Some(_) if view.tree.get(&place).is_some() => relative(path, &place),
            Some(Place::Own(end)) => relative(path, &end),
            Some(Place::Input(found)) => match view.holder(&place) {
                Some(input) => view.inputs.logical(input, &place),
                None => view.inputs.logical(found.input, &found.path),
            },
            Some(Place::System(_)) | None => {
                report.dangling.push(listed());
                continue;
            }
        };
        planned.push(Planned {
            path: path.to_vec(),
            target,
        });
    }
    planned
}

/// Makes the links.
///
/// # Errors
/// The disk cannot be written.
pub fn apply(destination: &Path, links: &[Planned]) -> Result<(), ImportError> {
    for link in links {
        let path = disk_path(destination, &link.path);
        // Alternatives may want a folder that no package has.
        let folder = disk_path(destination, layout::parent(&link.path));
        fs::create_dir_all(&folder).map_err(ImportError::io("create", &folder))?;
        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(&link.target), &path)
            .map_err(ImportError::io("link", &path))?;
    }
    Ok(())
}

/// The relative target that leads from the link at `link` to `target`.
fn relative(link: &[u8], target: &[u8]) -> Vec<u8> {
    let split = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let from = split(layout::parent(link));
    let to = split(target);
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut path = Vec::new();
    for _ in shared..from.len() {
        layout::push(&mut path, b"..");
    }
    for part in to.iter().skip(shared) {
        layout::push(&mut path, part);
    }
    if path.is_empty() {
        path.push(b'.');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn relative_targets() {
        for (link, target, expected) in [
            ("bin/sh", "bin/dash", "dash"),
            ("lib64/ld.so", "lib/x/ld.so", "../lib/x/ld.so"),
            ("a", "b/c", "b/c"),
            ("a/b/c", "", "../.."),
            ("sbin", "bin", "bin"),
            ("a/b", "a", "."),
        ] {
            let got = relative(link.as_bytes(), target.as_bytes());
            assert_eq!(
                String::from_utf8_lossy(&got),
                expected,
                "{link} -> {target}"
            );
        }
    }
}
