//! Store objects in the tree of an image: canonical (modes 0444, 0555 for executables and directories, owner
//! root, time 1), looked through by as many threads as there are processors.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::in_order::{Schedule, in_order};
use crate::manifest::{Content, ContentHash, Manifest, ManifestError, Node};

/// A store object, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectTree {
    /// Its path in the tree.
    pub path: PathBuf,
    /// The file, folder or link that it is now; contents are read later.
    pub source: PathBuf,
    /// The hash of its content: what is made of the object may then be remembered under it.
    pub content: Option<ContentHash>,
}

impl Manifest {
    /// Places store objects, none of which is within another.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn insert_objects(&mut self, mut objects: Vec<ObjectTree>) -> Result<(), ManifestError> {
        objects.sort_by(|one, other| one.path.cmp(&other.path));
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let schedule = Schedule {
            pieces: objects.len(),
            threads,
            ahead: objects.len(),
        };
        // All that is new is added at once: a search for the place of each path is most of the time.
        let mut new = Vec::new();
        in_order(
            schedule,
            || Ok(()),
            |(), number| objects.get(number).map_or(Ok(Vec::new()), entries),
            |_| false,
            |number, entries| {
                let mut entries = entries.into_iter();
                if let (Some(object), Some((path, node))) = (objects.get(number), entries.next()) {
                    let is_new = self.get(&path).is_none();
                    self.insert(path, node)?;
                    self.note_object(object.path.clone(), object.content);
                    if is_new {
                        new.extend(entries);
                    } else {
                        entries.try_for_each(|(path, node)| self.insert(path, node))?;
                    }
                }
                Ok(())
            },
        )?;
        self.add_below_objects(BTreeMap::from_iter(new));
        Ok(())
    }
}

/// The object itself, then what is below, in the order of paths.
fn entries(object: &ObjectTree) -> Result<Vec<(PathBuf, Node)>, ManifestError> {
    let metadata = fs::symlink_metadata(&object.source).map_err(reading(&object.source))?;
    let node = canonical(&object.source, &metadata)?;
    let is_directory = node.content == Content::Directory;
    let mut entries = vec![(object.path.clone(), node)];
    if is_directory {
        add_below(&object.path, &object.source, &mut entries)?;
    }
    Ok(entries)
}

/// Adds what is in the folder `source`, which goes to `path`.
fn add_below(
    path: &Path,
    source: &Path,
    entries: &mut Vec<(PathBuf, Node)>,
) -> Result<(), ManifestError> {
    // The folder is closed before another is opened: trees may be deep.
    let mut children: Vec<(OsString, Node)> = Vec::new();
    for entry in fs::read_dir(source).map_err(reading(source))? {
        let entry = entry.map_err(reading(source))?;
        let place = entry.path();
        let metadata = entry.metadata().map_err(reading(&place))?;
        children.push((entry.file_name(), canonical(&place, &metadata)?));
    }
    children.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, node) in children {
        let is_directory = node.content == Content::Directory;
        let path = path.join(&name);
        if is_directory {
            entries.push((path.clone(), node));
            add_below(&path, &source.join(&name), entries)?;
        } else {
            entries.push((path, node));
        }
    }
    Ok(())
}

/// The file at `source` as a store object has it.
fn canonical(source: &Path, metadata: &Metadata) -> Result<Node, ManifestError> {
    if metadata.is_dir() {
        Ok(Node::directory(0o555))
    } else if metadata.is_symlink() {
        let target = fs::read_link(source).map_err(reading(source))?;
        Ok(Node::symlink(target))
    } else if metadata.is_file() {
        let mode = if metadata.mode() & 0o111 == 0 {
            0o444
        } else {
            0o555
        };
        let content = Content::File {
            path: source.to_owned(),
            size: metadata.len(),
        };
        Ok(Node::new(mode, content))
    } else {
        Err(ManifestError::Kind {
            path: source.to_owned(),
        })
    }
}

fn reading(path: &Path) -> impl FnOnce(io::Error) -> ManifestError {
    let path = path.to_owned();
    move |source| ManifestError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn object(path: &str, source: &Path) -> ObjectTree {
        ObjectTree {
            path: path.into(),
            source: source.to_owned(),
            content: None,
        }
    }

    #[test]
    fn store_objects_lose_what_is_not_canonical() {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("object");
        fs::create_dir_all(source.join("bin")).unwrap();
        fs::write(source.join("bin/su"), "program").unwrap();
        fs::set_permissions(source.join("bin/su"), PermissionsExt::from_mode(0o4711)).unwrap();
        fs::write(source.join("bin.d"), "text").unwrap();
        symlink("/nowhere", source.join("link")).unwrap();
        let mut tree = Manifest::new();
        tree.insert_directories(Path::new("nix/store")).unwrap();
        tree.insert_objects(vec![
            object("nix/store/y", &source.join("link")),
            object("nix/store/x", &source),
        ])
        .unwrap();
        let found: Vec<_> = tree
            .entries()
            .skip(3)
            .map(|(path, node)| (path.to_str().unwrap(), node.mode, node.mtime, node.uid))
            .collect();
        assert_eq!(
            found,
            [
                ("nix/store/x", 0o555, 1, 0),
                ("nix/store/x/bin", 0o555, 1, 0),
                ("nix/store/x/bin/su", 0o555, 1, 0),
                ("nix/store/x/bin.d", 0o444, 1, 0),
                ("nix/store/x/link", 0o777, 1, 0),
                ("nix/store/y", 0o777, 1, 0),
            ]
        );
        assert_eq!(
            tree.get(Path::new("nix/store/x/link")).unwrap().content,
            Content::Symlink("/nowhere".into())
        );
        let objects: Vec<_> = tree.objects().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(
            objects,
            [Path::new("nix/store/x"), Path::new("nix/store/y")]
        );
        // The same once more is no error; another object in its place is.
        let before = tree.clone();
        tree.insert_objects(vec![object("nix/store/x", &source)])
            .unwrap();
        assert_eq!(tree, before);
        let other = tree.insert_objects(vec![object("nix/store/x", &source.join("link"))]);
        let path = PathBuf::from("nix/store/x");
        assert!(matches!(other, Err(ManifestError::Twice { path: twice }) if twice == path));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let device = Manifest::new().insert_objects(vec![object("dev", Path::new("/dev/null"))]);
        assert_eq!(
            device.unwrap_err().to_string(),
            "cannot take '/dev/null' into the image: neither file, directory nor link"
        );
        let missing = Manifest::new().insert_objects(vec![object("x", Path::new("/nowhere/x"))]);
        assert!(
            matches!(missing, Err(ManifestError::Read { path, .. }) if path == Path::new("/nowhere/x"))
        );
    }
}
