//! What must stay: links below `gcroots` and `profiles`, the systems that run, what processes use and
//! what they are about to use.
//!
//! | where | what keeps |
//! |---|---|
//! | `gcroots`, `profiles` | a link into the store; a link to a link into the store, wherever that lies; a file whose name is an object's |
//! | `gcroots/auto` | links to links, made by `--out-link` and the like; one that leads nowhere is removed |
//! | `temproots` | what running processes keep ([`temp_roots`](crate::temp_roots)) |
//! | `/run/current-system`, `/run/booted-system` | the systems |
//! | `/proc` | what processes use ([`processes`]) |
//!
//! What cannot be read ends the collection, unless it is simply not there: nothing is removed in
//! doubt. Source: what Nix does.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use cairn_store_path::StorePath;

use super::processes;
use crate::error::{IoError, io_error};

/// Links outside of the state folder that keep what they lead to.
const SYSTEMS: [&str; 2] = ["run/booted-system", "run/current-system"];

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// The store's root.
    pub(crate) root: &'a Path,
    /// The processes of this machine.
    pub(crate) proc: &'a Path,
    /// Links that do not count, as they are about to be removed.
    pub(crate) ignored: &'a BTreeSet<PathBuf>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roots {
    /// What must stay, valid or not.
    pub(crate) paths: BTreeSet<StorePath>,
    /// What running processes keep, which is among `paths`: also what is not valid yet.
    pub(crate) temporary: BTreeSet<StorePath>,
    /// Links that lead nowhere any more.
    pub(crate) stale: Vec<PathBuf>,
    /// Files of processes that are gone.
    pub(crate) abandoned: Vec<PathBuf>,
}

/// Finds all roots; changes nothing.
pub(crate) fn find(places: Places<'_>) -> Result<Roots, IoError> {
    let state = places.root.join("nix/var/nix");
    let store = places.root.join("nix/store");
    // These first: a process makes its links before it lets go of what it keeps.
    let mut roots = Roots::default();
    read_temporary(&state.join("temproots"), &mut roots)?;
    let mut search = Search {
        ignored: places.ignored,
        auto: state.join("gcroots/auto"),
        store: &store,
        roots,
    };
    for name in ["gcroots", "profiles"] {
        search.look(&state.join(name))?;
    }
    for name in SYSTEMS {
        search.link(&places.root.join(name))?;
    }
    let mut roots = search.roots;
    let logical = Path::new(cairn_store_path::STORE_DIR);
    let used = processes::used(places.proc, &[logical, store.as_path()])?;
    roots.paths.extend(used);
    Ok(roots)
}

/// Removes what leads nowhere and what nobody owns.
pub(crate) fn tidy(roots: &Roots) -> Result<(), IoError> {
    for link in &roots.stale {
        log::info!("removing the stale root {}", link.display());
        remove_if_there(link)?;
    }
    for path in &roots.abandoned {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(io_error("open", path))?,
        };
        if is_abandoned(&file, path)? {
            remove_if_there(path)?;
            // A process that has just opened it must see that it is no longer at its name.
            (&file).write_all(b"d").map_err(io_error("write", path))?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), IoError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

struct Search<'a> {
    ignored: &'a BTreeSet<PathBuf>,
    auto: PathBuf,
    /// The folder of objects, `ROOT/nix/store`: links may name it so, or as `/nix/store`.
    store: &'a Path,
    roots: Roots,
}

impl Search<'_> {
    fn look(&mut self, path: &Path) -> Result<(), IoError> {
        let Some(metadata) = there(fs::symlink_metadata(path), path)? else {
            return Ok(());
        };
        if metadata.is_dir() {
            for entry in fs::read_dir(path).map_err(io_error("list roots in", path))? {
                self.look(&entry.map_err(io_error("list roots in", path))?.path())?;
            }
        } else if metadata.is_symlink() {
            self.link(path)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && let Ok(object) = StorePath::from_base_name(name)
        {
            self.roots.paths.insert(object);
        }
        Ok(())
    }

    fn link(&mut self, link: &Path) -> Result<(), IoError> {
        if self.ignored.contains(link) {
            return Ok(());
        }
        let Some(target) = there(fs::read_link(link), link)? else {
            return Ok(());
        };
        if self.take(&target) {
            return Ok(());
        }
        let target = link.parent().unwrap_or(Path::new("/")).join(target);
        match there(fs::symlink_metadata(&target), &target)? {
            None if link.starts_with(&self.auto) => self.roots.stale.push(link.to_owned()),
            Some(metadata) if metadata.is_symlink() && !self.ignored.contains(&target) => {
                if let Some(last) = there(fs::read_link(&target), &target)? {
                    self.take(&last);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Notes the object that `target` lies in, if it lies in the store.
    fn take(&mut self, target: &Path) -> bool {
        let inner = target
            .strip_prefix(cairn_store_path::STORE_DIR)
            .or_else(|_| target.strip_prefix(self.store));
        let Ok(inner) = inner else { return false };
        let object = inner.components().next();
        let object = object.and_then(|name| name.as_os_str().to_str());
        if let Some(Ok(path)) = object.map(StorePath::from_base_name) {
            self.roots.paths.insert(path);
        }
        true
    }
}

/// What was read, or nothing if there is nothing.
fn there<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>, IoError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(io_error("read the root", path)(error)),
    }
}

fn read_temporary(folder: &Path, roots: &mut Roots) -> Result<(), IoError> {
    let Some(entries) = there(fs::read_dir(folder), folder)? else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.map_err(io_error("list", folder))?.path();
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(io_error("open", &path))?,
        };
        if is_abandoned(&file, &path)? {
            roots.abandoned.push(path);
            continue;
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(io_error("read", &path))?;
        let kept = parse_temporary(&text);
        roots.paths.extend(kept.iter().cloned());
        roots.temporary.extend(kept);
    }
    Ok(())
}

/// The paths of a file, each with a zero byte after it. What is none is of no use to anybody.
fn parse_temporary(text: &[u8]) -> BTreeSet<StorePath> {
    text.split(|&byte| byte == 0)
        .filter_map(|path| std::str::from_utf8(path).ok()?.parse().ok())
        .collect()
}

/// Whether no process holds the lock of `file`.
fn is_abandoned(file: &File, path: &Path) -> Result<bool, IoError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    const HASH: &str = "00000000000000000000000000000001";

    #[test]
    fn every_kind_of_root_is_found_and_stale_ones_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("r");
        let state = root.join("nix/var/nix");
        for name in [
            "gcroots/auto",
            "gcroots/deep/er",
            "profiles/per-user/u",
            "temproots",
        ] {
            fs::create_dir_all(state.join(name)).unwrap();
        }
        fs::create_dir_all(root.join("run")).unwrap();
        fs::create_dir_all(folder.path().join("home")).unwrap();
        fs::create_dir_all(folder.path().join("proc")).unwrap();
        let object = |name: &str| format!("/nix/store/{HASH}-{name}");
        let home = |name: &str| folder.path().join("home").join(name);
        let link = |target: &Path, at: PathBuf| symlink(target, at).unwrap();
        link(object("direct").as_ref(), state.join("gcroots/direct"));
        link(
            object("below/bin/x").as_ref(),
            state.join("gcroots/deep/er/below"),
        );
        link(
            object("generation").as_ref(),
            state.join("profiles/system-1-link"),
        );
        link("system-1-link".as_ref(), state.join("profiles/system"));
        link(object("old").as_ref(), state.join("profiles/system-0-link"));
        link(
            object("user").as_ref(),
            state.join("profiles/per-user/u/profile-1-link"),
        );
        fs::write(state.join("gcroots").join(format!("{HASH}-file")), "").unwrap();
        fs::write(state.join("gcroots/other"), object("text")).unwrap();
        link(object("result").as_ref(), home("result"));
        link(&home("result"), state.join("gcroots/auto/a"));
        link(&home("gone"), state.join("gcroots/auto/b"));
        link(
            &home("gone"),
            state.join("gcroots/kept-though-it-leads-nowhere"),
        );
        link(
            &root.join("nix/store").join(format!("{HASH}-real")),
            home("real"),
        );
        link(&home("real"), state.join("gcroots/auto/c"));
        fs::create_dir(home("folder")).unwrap();
        link(&home("folder"), state.join("gcroots/auto/d"));
        link(object("booted").as_ref(), root.join("run/booted-system"));
        link(object("current").as_ref(), root.join("run/current-system"));
        let kept = format!("{}\0{}\0", object("wanted"), object("built"));
        fs::write(state.join("temproots/1"), kept).unwrap();
        fs::write(state.join("temproots/2"), format!("{}\0", object("dead"))).unwrap();
        let owner = File::open(state.join("temproots/1")).unwrap();
        owner.lock().unwrap();

        let ignored = BTreeSet::from([state.join("profiles/system-0-link")]);
        let places = Places {
            root: &root,
            proc: &folder.path().join("proc"),
            ignored: &ignored,
        };
        let roots = find(places).unwrap();
        let found = |paths: &BTreeSet<StorePath>| {
            let names: Vec<_> = paths.iter().map(StorePath::name).collect();
            names.join(" ")
        };
        assert_eq!(
            found(&roots.paths),
            "below booted built current direct file generation real result user wanted"
        );
        assert_eq!(found(&roots.temporary), "built wanted");
        assert_eq!(roots.stale, [state.join("gcroots/auto/b")]);
        assert_eq!(roots.abandoned, [state.join("temproots/2")]);

        tidy(&roots).unwrap();
        let again = find(places).unwrap();
        assert_eq!((again.stale, again.abandoned), (vec![], vec![]));
        assert_eq!(again.paths, roots.paths);
        assert!(state.join("temproots/1").exists());
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("nix/var/nix/gcroots");
        fs::create_dir_all(&roots).unwrap();
        // A name that is too long stands for whatever may be wrong with a place.
        symlink(format!("/{}", "x".repeat(300)), roots.join("odd")).unwrap();
        let places = Places {
            root: folder.path(),
            proc: folder.path(),
            ignored: &BTreeSet::new(),
        };
        let error = find(places).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the root /xxx"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_a_file_of_temporary_roots_says(text in prop::collection::vec(any::<u8>(), 0..200)) {
            parse_temporary(&text);
        }
    }
}
