//! The root file system of an image: directories, the store with its database, and the profile.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use cairn_image_builder::{Content, Manifest, Node, ObjectTree};
use cairn_store::{PathInfo, Store, write_database};
use cairn_store_path::StorePath;

/// Empty directories of the root, with their modes; activation makes everything else.
pub const DIRECTORIES: [(&str, u32); 10] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("nix", 0o755),
    ("nix/var/nix/gcroots", 0o755),
    ("nix/var/nix/profiles", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("var/lib", 0o755),
];

/// Those of a machine that boots.
pub const BOOT_DIRECTORIES: [(&str, u32); 6] = [
    ("boot", 0o755),
    ("boot/efi", 0o755),
    ("boot/grub", 0o700),
    ("boot/kernels", 0o755),
    ("boot/kernels/a", 0o755),
    ("boot/kernels/b", 0o755),
];

/// What container managers start, and look at to see whether there is a system.
const CONTAINER_LINKS: [(&str, &str); 2] = [
    ("sbin/init", "/nix/var/nix/profiles/system/init"),
    (
        "usr/lib/os-release",
        "/nix/var/nix/profiles/system/etc/os-release",
    ),
];

/// A root file system on which nothing was ever activated.
///
/// # Errors
/// The table of directories contradicts itself.
pub fn empty_root() -> Result<Manifest> {
    root_with(&[&DIRECTORIES, &BOOT_DIRECTORIES])
}

/// The root of a machine whose store is a file system of its own: what it writes from its first boot on.
///
/// # Errors
/// The table of directories contradicts itself.
pub(super) fn root_of_state() -> Result<Manifest> {
    let mut root = root_with(&[&DIRECTORIES])?;
    root.insert("nix/store", Node::directory(0o755))?;
    Ok(root)
}

/// The root of a container that has the system `toplevel`, which is generation 1.
///
/// # Errors
/// The closure cannot be read.
pub(super) fn container_root(store: &Store, toplevel: &StorePath) -> Result<Manifest> {
    let mut root = root_with(&[&DIRECTORIES])?;
    for (path, target) in CONTAINER_LINKS {
        let path = Path::new(path);
        root.insert_directories(path.parent().unwrap_or(path))?;
        root.insert(path, Node::symlink(target))?;
    }
    add_store(&mut root, store, toplevel)?;
    Ok(root)
}

fn root_with(tables: &[&[(&str, u32)]]) -> Result<Manifest> {
    let mut root = Manifest::new();
    for (path, mode) in tables.iter().copied().flatten().copied() {
        let path = Path::new(path);
        root.insert_directories(path.parent().unwrap_or(path))?;
        root.insert(path, Node::directory(mode))?;
    }
    root.insert("tmp", Node::directory(0o1777))?;
    Ok(root)
}

/// The closure of `toplevel`, its database, and the profile whose first generation it is.
///
/// # Errors
/// The closure cannot be read.
pub fn add_store(root: &mut Manifest, store: &Store, toplevel: &StorePath) -> Result<()> {
    add_store_with(root, store, toplevel, &[])
}

/// As [`add_store`], with the closures of `others` besides.
///
/// # Errors
/// A closure cannot be read.
pub fn add_store_with(
    root: &mut Manifest,
    store: &Store,
    toplevel: &StorePath,
    others: &[StorePath],
) -> Result<()> {
    let all: Vec<_> = std::iter::once(toplevel).chain(others).cloned().collect();
    let infos = store.closure_infos(&all)?;
    root.insert("nix/store", Node::directory(0o1775).owned(0, 30_000))?;
    root.insert_objects(object_trees(store, &infos, Path::new("nix/store"))?)?;
    add_database(root, &infos)?;
    let profiles = Path::new("nix/var/nix/profiles");
    root.insert(
        profiles.join("system-1-link"),
        Node::symlink(toplevel.to_path_buf()),
    )?;
    root.insert(profiles.join("system"), Node::symlink("system-1-link"))?;
    root.insert(
        "nix/var/nix/gcroots/profiles",
        Node::symlink("/nix/var/nix/profiles"),
    )?;
    Ok(())
}

/// Where these objects go if `folder` is the store.
///
/// # Errors
/// One that the database has is not there.
pub(super) fn object_trees(
    store: &Store,
    infos: &[PathInfo],
    folder: &Path,
) -> Result<Vec<ObjectTree>> {
    let tree = |info: &PathInfo| {
        let source = store.real_path(&info.path);
        fs::symlink_metadata(&source).with_context(|| lost(store, info))?;
        Ok(ObjectTree {
            path: folder.join(info.path.base_name()),
            source,
            content: Some(*info.nar_hash.as_bytes()),
        })
    };
    infos.iter().map(tree).collect()
}

/// What is said of an object that somebody has removed: it stays registered, so no build makes it again.
fn lost(store: &Store, info: &PathInfo) -> String {
    let root = store.root();
    let removed = match root.parent() {
        Some(_) => format!(", or remove '{}': all of it is made again", root.display()),
        None => String::new(),
    };
    format!(
        "cannot take {} into the image: it has been built, and is not in the store any more; \
         build with --store DIR in another one{removed}",
        info.path
    )
}

fn add_database(root: &mut Manifest, infos: &[PathInfo]) -> Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    write_database(scratch.path(), infos)?;
    let folder = scratch.path().join("nix/var/nix/db");
    root.insert("nix/var/nix/db", Node::directory(0o755))?;
    let reading = || format!("cannot read '{}'", folder.display());
    for entry in fs::read_dir(&folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.is_file() {
            let bytes = fs::read(&path).with_context(reading)?;
            let name = path.file_name().context("a file without a name")?;
            let target = Path::new("nix/var/nix/db").join(name);
            root.insert(target, Node::new(0o644, Content::Bytes(bytes)))?;
        }
    }
    Ok(())
}
