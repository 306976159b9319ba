//! Files that a configuration puts onto its live medium, beside those that it boots from: `isoImage.contents`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cairn_image_builder::{Content, Manifest, Node};
use cairn_store::Store;
use serde::{Deserialize, Serialize};

/// Links that are followed one after the other, as in the kernel.
const MOST_LINKS: usize = 40;

/// A file, or a folder with all that is in it, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// In the store.
    pub source: String,
    /// Its path on the medium.
    pub target: String,
}

impl Placed {
    /// Adds it to `medium`. Media know no links: what one leads to is taken instead.
    ///
    /// # Errors
    /// The target is no path, or something else is there; the source is not there, or leads out of the store.
    pub fn add(&self, store: &Store, medium: &mut Manifest) -> Result<()> {
        let placing = || {
            let Self { source, target } = self;
            format!("cannot place '{source}' at '{target}' on the medium (isoImage.contents)")
        };
        self.add_below_root(store, medium).with_context(placing)
    }

    fn add_below_root(&self, store: &Store, medium: &mut Manifest) -> Result<()> {
        let source = store.real_path_of(&self.source)?;
        let target = Path::new(self.target.trim_start_matches('/'));
        medium.insert_directories(target.parent().unwrap_or(target))?;
        add(store, &source, target, medium)
    }
}

fn add(store: &Store, source: &Path, target: &Path, medium: &mut Manifest) -> Result<()> {
    let source = behind_links(store, source)?;
    let reading = || format!("cannot read '{}'", source.display());
    let metadata = fs::symlink_metadata(&source).with_context(reading)?;
    if metadata.is_dir() {
        medium.insert(target, Node::directory(0o755))?;
        for entry in fs::read_dir(&source).with_context(reading)? {
            let name = entry.with_context(reading)?.file_name();
            add(store, &source.join(&name), &target.join(&name), medium)?;
        }
        return Ok(());
    }
    ensure!(
        metadata.is_file(),
        "'{}' is neither a file nor a folder",
        source.display()
    );
    let content = Content::File {
        size: metadata.len(),
        path: source,
    };
    medium.insert(target, Node::new(0o444, content))?;
    Ok(())
}

/// What `path` is when links at its end are followed: a file of the store.
fn behind_links(store: &Store, path: &Path) -> Result<PathBuf> {
    let mut current = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(link) = fs::read_link(&current) else {
            let reading = || format!("cannot read '{}'", current.display());
            let real = fs::canonicalize(&current).with_context(reading)?;
            let folder = store.store_dir();
            let folder = fs::canonicalize(&folder).unwrap_or(folder);
            ensure!(
                real.starts_with(&folder),
                "the link '{}' leads out of the store",
                path.display()
            );
            return Ok(current);
        };
        current = match link.to_str().filter(|_| link.is_absolute()) {
            Some(logical) => store.real_path_of(logical)?,
            None => current.parent().unwrap_or(&current).join(link),
        };
    }
    bail!("the link '{}' leads in a circle", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    use expect_test::{Expect, expect};

    const OBJECT: &str = "/nix/store/00000000000000000000000000000000-docs";

    /// A store with one object, and a medium with a menu.
    fn scene() -> (tempfile::TempDir, Store, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let object = store.real_path_of(OBJECT).unwrap();
        fs::create_dir_all(object.join("more")).unwrap();
        fs::write(object.join("more/text"), "text").unwrap();
        symlink("more/text", object.join("beside")).unwrap();
        symlink(format!("{OBJECT}/beside"), object.join("away")).unwrap();
        symlink("round", object.join("round")).unwrap();
        symlink("../../../../../../../etc/passwd", object.join("out")).unwrap();
        let mut medium = Manifest::new();
        medium.insert_directories(Path::new("boot/grub")).unwrap();
        let menu = Node::new(0o444, Content::Bytes(b"menu".to_vec()));
        medium.insert("boot/grub/grub.cfg", menu).unwrap();
        (folder, store, medium)
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
    fn check(source: &str, target: &str, expected: Expect) {
        let (folder, store, mut medium) = scene();
        let placed = Placed {
            source: format!("{OBJECT}{source}"),
            target: target.to_owned(),
        };
        let said = if let Err(error) = placed.add(&store, &mut medium) {
            format!("{error:#}")
        } else {
            let entries = medium.entries().map(|(path, node)| match &node.content {
                Content::File { size, .. } => format!("{} ({size})", path.display()),
                _ => path.display().to_string(),
            });
            entries.collect::<Vec<_>>().join(" ")
        };
        let root = fs::canonicalize(folder.path()).unwrap();
        expected.assert_eq(&said.replace(&root.display().to_string(), "ROOT"));
    }

    #[test]
    fn files_and_folders_have_their_places() {
        check(
            "/more/text",
            "/docs/a",
            expect![" boot boot/grub boot/grub/grub.cfg docs docs/a (4)"],
        );
        check(
            "/more",
            "docs",
            expect![" boot boot/grub boot/grub/grub.cfg docs docs/text (4)"],
        );
        check(
            "/away",
            "a",
            expect![" a (4) boot boot/grub boot/grub/grub.cfg"],
        );
    }

    #[test]
    fn what_hurts_is_refused() {
        check(
            "/more",
            "/",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/more' at '/' on the medium (isoImage.contents): cannot place '' in the image: not a plain relative path"
            ],
        );
        check(
            "/more",
            "a/../b",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/more' at 'a/../b' on the medium (isoImage.contents): cannot place 'a/..' in the image: not a plain relative path"
            ],
        );
        check(
            "/more/text",
            "boot/grub/grub.cfg",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/more/text' at 'boot/grub/grub.cfg' on the medium (isoImage.contents): cannot place 'boot/grub/grub.cfg' in the image: it is there already, and differs"
            ],
        );
        check(
            "/more/text",
            "boot/grub/grub.cfg/x",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/more/text' at 'boot/grub/grub.cfg/x' on the medium (isoImage.contents): cannot place 'boot/grub/grub.cfg/x' in the image: its parent is not a directory of the image"
            ],
        );
        check(
            "/none",
            "a",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/none' at 'a' on the medium (isoImage.contents): cannot read 'ROOT/nix/store/00000000000000000000000000000000-docs/none': No such file or directory (os error 2)"
            ],
        );
        check(
            "/round",
            "a",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/round' at 'a' on the medium (isoImage.contents): the link 'ROOT/nix/store/00000000000000000000000000000000-docs/round' leads in a circle"
            ],
        );
        check(
            "/out",
            "a",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/out' at 'a' on the medium (isoImage.contents): the link 'ROOT/nix/store/00000000000000000000000000000000-docs/out' leads out of the store"
            ],
        );
        check(
            "/../x",
            "a",
            expect![
                "cannot place '/nix/store/00000000000000000000000000000000-docs/../x' at 'a' on the medium (isoImage.contents): '/nix/store/00000000000000000000000000000000-docs/../x' is not in /nix/store"
            ],
        );
    }
}
