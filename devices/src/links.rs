//! Names of devices below `/dev` that are links, and which device has a name that several want.
//!
//! Invariant: what is at a name that is not ours (a node, a folder, a link of somebody else's that leads out of
//! `/dev`) stays. A link leads to the old device or to the new one at every moment, and never to nothing in between.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::path::{self, is_below, named};

/// A link before it has its name.
const NEW: &str = ".new-link";

/// How often a link is tried again whose folder has gone meanwhile.
const ATTEMPTS: usize = 3;

/// Who wants a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    priority: i32,
    node: String,
}

/// The links below a folder.
#[derive(Debug)]
pub struct Links {
    dev: PathBuf,
    /// By name, then by the device's id.
    claims: BTreeMap<String, BTreeMap<String, Claim>>,
    /// The names that each device wants.
    names: BTreeMap<String, BTreeSet<String>>,
}

impl Links {
    /// Links below `dev`, which nobody has claimed so far.
    #[must_use]
    pub fn new(dev: &Path) -> Self {
        Self {
            dev: dev.to_owned(),
            claims: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// A device has these names and no others any more. What cannot be done is given back; all else is done.
    pub fn set(
        &mut self,
        id: &str,
        node: &str,
        priority: i32,
        names: &BTreeSet<String>,
    ) -> Vec<io::Error> {
        let had = self.names.remove(id).unwrap_or_default();
        for name in had.difference(names) {
            if let Some(claims) = self.claims.get_mut(name) {
                claims.remove(id);
            }
        }
        self.adopt(id, node, priority, names);
        let touched: BTreeSet<&String> = had.union(names).collect();
        touched
            .into_iter()
            .filter_map(|name| self.make(name).err())
            .collect()
    }

    /// A device is gone.
    pub fn remove(&mut self, id: &str) -> Vec<io::Error> {
        self.set(id, "", 0, &BTreeSet::new())
    }

    /// A device had these names before this program was started.
    pub fn adopt(&mut self, id: &str, node: &str, priority: i32, names: &BTreeSet<String>) {
        for name in names {
            let claim = Claim {
                priority,
                node: node.to_owned(),
            };
            self.claims
                .entry(name.clone())
                .or_default()
                .insert(id.to_owned(), claim);
        }
        if !names.is_empty() {
            self.names
                .entry(id.to_owned())
                .or_default()
                .extend(names.iter().cloned());
        }
    }

    /// Makes what is at `name` as it is claimed.
    fn make(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        let is = fs::symlink_metadata(&path).ok();
        let other = is.filter(|is| !is.is_symlink());
        let target = fs::read_link(&path).ok();
        if let Some(target) = target.as_deref().filter(|target| leads_out(name, target)) {
            let (path, target) = (path.display(), target.display());
            let text = format!("{path}: leads to {target} and not to a node, and is left as it is");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let claims = self.claims.get(name).filter(|claims| !claims.is_empty());
        let Some(claims) = claims else {
            self.claims.remove(name);
            return if other.is_some() {
                Ok(())
            } else {
                self.unlink(&path)
            };
        };
        if let Some(other) = other {
            // Another program has made a node of its own for it, as libdevmapper does.
            if self.is_node_of_holder(name, &other) {
                return Ok(());
            }
            let text = format!("{}: is no link, and is left as it is", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        // Of equals, the one that has it keeps it.
        let best = claims.values().max_by_key(|claim| {
            let has_it = target.as_deref() == Some(&relative(name, &claim.node));
            (claim.priority, has_it)
        });
        let Some(best) = best else { return Ok(()) };
        let wanted = relative(name, &best.node);
        if target.as_deref() == Some(&*wanted) {
            return Ok(());
        }
        // The kernel removes folders that are empty, as when the last of its nodes there goes: then it is tried again.
        let mut result = replace(&path, &wanted);
        for _ in 0..ATTEMPTS {
            match result {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    log::debug!("{error}");
                    result = replace(&path, &wanted);
                }
                result => return result,
            }
        }
        result
    }

    /// Whether what is at `name` is a device, and one that has the name anyway.
    fn is_node_of_holder(&self, name: &str, is: &fs::Metadata) -> bool {
        let kind = is.file_type();
        let claims = self.claims.get(name).into_iter().flat_map(BTreeMap::values);
        let mut nodes = claims.filter_map(|claim| fs::metadata(self.dev.join(&claim.node)).ok());
        (kind.is_block_device() || kind.is_char_device())
            && nodes.any(|node| node.rdev() == is.rdev() && node.file_type() == kind)
    }

    /// Removes a link and the folders that are empty then.
    fn unlink(&self, path: &Path) -> io::Result<()> {
        path::remove(path)?;
        let folders = path.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != self.dev) {
            if fs::remove_dir(folder).is_err() {
                break; // it is not empty
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if !is_below(name) || name.ends_with('/') {
            let text = format!("'{name}' is no name below {}", self.dev.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(self.dev.join(name))
    }
}

/// Makes the link, in place of the one that is there.
fn replace(path: &Path, target: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    }
    // Its name is short, whatever the link's is.
    let new = path.with_file_name(NEW);
    path::remove(&new)?;
    symlink(target, &new).map_err(|error| named(&new, &error))?;
    fs::rename(&new, path).map_err(|error| named(path, &error))
}

/// Whether a link of this name that leads to `target` leads out of `/dev`: such as `fd`, `log`, `core`.
fn leads_out(name: &str, target: &Path) -> bool {
    let mut depth = name.matches('/').count();
    let target = match target.strip_prefix("/dev") {
        Ok(below) => {
            depth = 0;
            below
        }
        Err(_) => target,
    };
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::CurDir => {}
            _ => return true,
        }
    }
    false
}

/// The node, as seen from the folder of the link.
fn relative(name: &str, node: &str) -> PathBuf {
    let folder: Vec<&str> = name.split('/').collect();
    let node: Vec<&str> = node.split('/').collect();
    let common = folder.iter().zip(&node).take_while(|(a, b)| a == b).count();
    // Neither ends with what both have: the last parts are the link and the node themselves.
    let common = common
        .min(folder.len().saturating_sub(1))
        .min(node.len().saturating_sub(1));
    let up = folder.len().saturating_sub(common + 1);
    std::iter::repeat_n("..", up)
        .chain(node.into_iter().skip(common))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn links(dev: &Path) -> String {
        fn look(folder: &Path, dev: &Path, all: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(dev).unwrap().display().to_string();
                match fs::read_link(&path) {
                    Ok(target) => all.push(format!("{name} -> {}\n", target.display())),
                    Err(_) if path.is_dir() => {
                        all.push(format!("{name}/\n"));
                        look(&path, dev, all);
                    }
                    Err(_) => all.push(format!("{name}\n")),
                }
            }
        }
        let mut all = Vec::new();
        look(dev, dev, &mut all);
        all.sort();
        all.concat()
    }

    #[test]
    fn the_higher_priority_has_the_name_and_the_other_one_gets_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = Links::new(folder.path());
        let label = names(&["disk/by-label/root"]);
        assert!(state.set("b8:1", "sda1", 0, &label).is_empty());
        assert!(state.set("b8:17", "sdb1", 0, &label).is_empty());
        expect![[r#"
            disk/
            disk/by-label/
            disk/by-label/root -> ../../sda1
        "#]]
        .assert_eq(&links(folder.path()));
        assert!(state.set("b253:0", "dm-0", 100, &label).is_empty());
        assert_eq!(
            fs::read_link(folder.path().join("disk/by-label/root")).unwrap(),
            Path::new("../../dm-0")
        );
        assert!(state.remove("b253:0").is_empty());
        assert!(state.remove("b8:1").is_empty());
        assert_eq!(
            fs::read_link(folder.path().join("disk/by-label/root")).unwrap(),
            Path::new("../../sdb1")
        );
        assert!(state.set("b8:17", "sdb1", 0, &names(&["cdrom"])).is_empty());
        expect!["cdrom -> sdb1\n"].assert_eq(&links(folder.path()));
    }

    #[test]
    fn what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("sda"), "a node").unwrap();
        let mut state = Links::new(folder.path());
        let errors = state.set("b8:16", "sdb", 0, &names(&["sda", "../x", "ok", ""]));
        let errors: Vec<_> = errors
            .iter()
            .map(|error| {
                error
                    .to_string()
                    .replace(&*folder.path().to_string_lossy(), "/dev")
            })
            .collect();
        expect![[r#"
            [
                "'' is no name below /dev",
                "'../x' is no name below /dev",
                "/dev/sda: is no link, and is left as it is",
            ]
        "#]]
        .assert_debug_eq(&errors);
        expect![[r#"
            ok -> sdb
            sda
        "#]]
        .assert_eq(&links(folder.path()));
        state.remove("b8:16");
        expect!["sda\n"].assert_eq(&links(folder.path()));
    }

    /// Needs to be root, as the device manager does.
    #[test]
    fn a_node_that_is_the_device_counts_as_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, minor| {
            let mode = Mode::S_IRUSR;
            mknod(
                &folder.path().join(name),
                SFlag::S_IFCHR,
                mode,
                makedev(1, minor),
            )
            .unwrap();
        };
        fs::create_dir(folder.path().join("mapper")).unwrap();
        make("dm-0", 3);
        make("mapper/root", 3);
        make("mapper/other", 5);
        let mut state = Links::new(folder.path());
        let errors = state.set(
            "b253:0",
            "dm-0",
            0,
            &names(&["mapper/root", "mapper/other"]),
        );
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(state.remove("b253:0").is_empty());
        assert!(folder.path().join("mapper/root").exists());
    }

    #[test]
    fn links_of_others_stay_and_long_names_are_names() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/proc/self/fd", folder.path().join("fd")).unwrap();
        symlink("../run/log", folder.path().join("log")).unwrap();
        symlink("/dev/sda", folder.path().join("usual")).unwrap();
        let long = "x".repeat(255);
        let mut state = Links::new(folder.path());
        let errors = state.set("b8:16", "sdb", 0, &names(&["fd", "log", "usual", &long]));
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(
            errors[0]
                .to_string()
                .ends_with("/fd: leads to /proc/self/fd and not to a node, and is left as it is")
        );
        let expected =
            format!("fd -> /proc/self/fd\nlog -> ../run/log\nusual -> sdb\n{long} -> sdb\n");
        assert_eq!(links(folder.path()), expected);
        state.remove("b8:16");
        assert_eq!(
            links(folder.path()),
            "fd -> /proc/self/fd\nlog -> ../run/log\n"
        );
    }

    #[test]
    fn links_are_relative() {
        for (name, node, expected) in [
            ("disk/by-id/x", "sda", "../../sda"),
            ("input/by-id/x", "input/event0", "../event0"),
            ("cdrom", "sr0", "sr0"),
            ("snd/by-path/x", "snd/controlC0", "../controlC0"),
            ("input", "input/event0", "input/event0"),
        ] {
            assert_eq!(relative(name, node), Path::new(expected), "{name}");
        }
    }
}
