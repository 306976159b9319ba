//! A factory reset: the machine as its configuration describes it, without anything that it has become
//! since. What is in the early file systems is removed, but for what is kept.
//!
//! It is done between the mounts and the first program of the new system, when nobody uses the files.
//!
//! Invariants: what is kept is known by its identity and not by its path, so that it stays where it is bound
//! to a second place; links are removed and not followed; without the store nothing is removed; a reset that was
//! begun is finished by the next boot if this one does not come to the end; a request is not kept for a generation
//! that may come later.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cairn_system::MountPoint;
use cairn_system::factory_reset::{ALWAYS_KEPT, BEGUN, FactoryReset, REQUEST};

use super::resolve::resolve;

/// How many things that could not be removed are named.
const NAMED: usize = 20;

/// Does it if the command line or the file of requests asks for it, and the machine has it. What fails is
/// said, and the machine starts: it is of use to somebody who wants to know why.
pub fn apply(wish: Option<&FactoryReset>, asked: bool, root: &Path) {
    let request = match resolve(root, Path::new(REQUEST)) {
        Ok(path) => path,
        Err(error) => return log::error!("no factory reset: cannot look for {REQUEST}: {error}"),
    };
    if !asked && request.symlink_metadata().is_err() {
        return;
    }
    let Some(wish) = wish else {
        log::warn!("no factory reset: boot.factoryReset.enable is off");
        return withdraw(&request);
    };
    if let Err(error) = reset(wish, root, &request) {
        log::error!("the factory reset is not done: {error}; the next boot tries again");
    }
}

fn reset(wish: &FactoryReset, root: &Path, request: &Path) -> io::Result<()> {
    let kept = kept(wish, root)?;
    begin(request).map_err(at(request))?;
    log::warn!("factory reset: what this machine has become is removed");
    let mut removal = Removal {
        kept,
        removed: 0,
        failures: Vec::new(),
    };
    removal.empty(root);
    nix::unistd::sync();
    for failure in removal.failures.iter().take(NAMED) {
        log::error!("factory reset: {failure}");
    }
    match removal.failures.len() {
        0 => {}
        count => return Err(io::Error::other(format!("{count} things stay"))),
    }
    remove_request(request).map_err(at(request))?;
    log::warn!("factory reset: done, {} things removed", removal.removed);
    Ok(())
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// What stays: what the kept paths lead to, and the links at their ends.
fn kept(wish: &FactoryReset, root: &Path) -> io::Result<BTreeSet<Identity>> {
    let [store, ..] = ALWAYS_KEPT;
    let paths = wish.keep.iter().map(MountPoint::as_str);
    let mut kept = BTreeSet::new();
    for path in ALWAYS_KEPT.into_iter().chain(paths) {
        let path = Path::new(path);
        let target = resolve(root, path).map_err(at(path))?;
        let link = root.join(path.strip_prefix("/").unwrap_or(path));
        for place in [&target, &link] {
            match place.symlink_metadata() {
                Ok(metadata) => {
                    kept.insert(identity(&metadata));
                }
                Err(error) if error.kind() == ErrorKind::NotFound && path != Path::new(store) => {}
                Err(error) => return Err(at(place)(error)),
            }
        }
    }
    Ok(kept)
}

/// What is removed.
struct Removal {
    kept: BTreeSet<Identity>,
    removed: u64,
    failures: Vec<String>,
}

impl Removal {
    /// Removes what is in `folder`; whether something stays.
    fn empty(&mut self, folder: &Path) -> bool {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        match entries {
            Ok(entries) => entries
                .iter()
                .fold(false, |stays, entry| self.remove(&entry.path()) | stays),
            Err(error) => self.fail(folder, &error),
        }
    }

    /// Removes what is at `path`; whether it stays, or something in it.
    fn remove(&mut self, path: &Path) -> bool {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) => return self.fail(path, &error),
        };
        if self.kept.contains(&identity(&metadata)) {
            return true;
        }
        let removed = if metadata.is_dir() {
            if self.empty(path) {
                return true;
            }
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        };
        match removed {
            Ok(()) => {
                self.removed += 1;
                false
            }
            // Something is mounted there, and is empty now.
            Err(error) if metadata.is_dir() && error.kind() == ErrorKind::ResourceBusy => true,
            Err(error) => self.fail(path, &error),
        }
    }

    /// Notes that `path` stays; that is what it comes to.
    fn fail(&mut self, path: &Path, error: &io::Error) -> bool {
        // What nobody can write to has not become anything.
        if error.kind() != ErrorKind::ReadOnlyFilesystem {
            self.failures
                .push(at(path)(io::Error::new(error.kind(), error.to_string())).to_string());
        }
        true
    }
}

fn begin(request: &Path) -> io::Result<()> {
    if let Some(folder) = request.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(request)?;
    file.write_all(BEGUN)?;
    file.sync_all()?;
    sync_folder_of(request)
}

fn remove_request(request: &Path) -> io::Result<()> {
    fs::remove_file(request)?;
    sync_folder_of(request)
}

/// Removes a request that this generation does not follow: otherwise the first one that does would, long
/// after it was meant. One that was begun stays: the machine is neither what it was nor new.
fn withdraw(request: &Path) {
    let done = match fs::read(request) {
        Ok(text) if text == BEGUN => {
            log::warn!("a factory reset was begun: a generation that has it on finishes it");
            return;
        }
        Ok(_) => remove_request(request),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => log::warn!("the request for it is withdrawn"),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => log::warn!("the request for it stays: {}", at(request)(error)),
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
    let path: PathBuf = path.to_owned();
    move |error| io::Error::new(error.kind(), format!("'{}': {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::os::unix::fs::symlink;

    /// A root, with something outside of it.
    fn machine() -> tempfile::TempDir {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        for file in [
            "outside/file",
            "root/nix/store/system/init",
            "root/nix/var/nix/profiles/system",
            "root/boot/grub/grub.cfg",
            "root/etc/shadow",
            "root/etc/nixos/configuration.nix",
            "root/home/anna/.ssh/id",
            "root/var/lib/state",
            "root/persist/keys/host",
        ] {
            let path = outside.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        symlink("../../outside", root.join("home/out")).unwrap();
        symlink("/persist/keys", root.join("etc/keys")).unwrap();
        outside
    }

    fn list(folder: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                list(&path, below, found);
            } else {
                found.push(path.strip_prefix(below).unwrap().display().to_string());
            }
        }
    }

    fn check(wish: Option<&FactoryReset>, asked: bool, before: impl Fn(&Path), left: &Expect) {
        let machine = machine();
        let root = machine.path().join("root");
        before(&root);
        apply(wish, asked, &root);
        let mut found = Vec::new();
        list(machine.path(), machine.path(), &mut found);
        found.sort();
        left.assert_eq(&(found.join("\n") + "\n"));
    }

    /// As people ask for one.
    fn request(root: &Path) {
        fs::create_dir(root.join("nix/var/cairn")).unwrap();
        fs::write(root.join("nix/var/cairn/factory-reset"), "").unwrap();
    }

    fn keep(paths: &[&str]) -> FactoryReset {
        let paths = paths.iter().map(|path| (*path).to_owned().try_into());
        FactoryReset {
            keep: paths.collect::<Result<_, _>>().unwrap(),
        }
    }

    #[test]
    fn what_a_machine_has_become_goes() {
        check(
            Some(&FactoryReset::default()),
            true,
            |_| {},
            &expect![[r#"
                outside/file
                root/boot/grub/grub.cfg
                root/nix/store/system/init
                root/nix/var/nix/profiles/system
            "#]],
        );
    }

    #[test]
    fn what_is_kept_stays_and_so_does_what_it_is_a_link_to() {
        check(
            Some(&keep(&["/etc/nixos", "/etc/keys", "/srv"])),
            true,
            |_| {},
            &expect![[r#"
                outside/file
                root/boot/grub/grub.cfg
                root/etc/keys
                root/etc/nixos/configuration.nix
                root/nix/store/system/init
                root/nix/var/nix/profiles/system
                root/persist/keys/host
            "#]],
        );
    }

    #[test]
    fn a_request_is_a_file_that_goes_last() {
        check(
            Some(&keep(&["/etc", "/var", "/home"])),
            false,
            request,
            &expect![[r#"
                outside/file
                root/boot/grub/grub.cfg
                root/etc/keys
                root/etc/nixos/configuration.nix
                root/etc/shadow
                root/home/anna/.ssh/id
                root/home/out
                root/nix/store/system/init
                root/nix/var/nix/profiles/system
                root/var/lib/state
            "#]],
        );
    }

    #[test]
    fn what_was_begun_is_not_withdrawn() {
        let machine = machine();
        let root = machine.path().join("root");
        let request = root.join(REQUEST.trim_start_matches('/'));
        begin(&request).unwrap();
        apply(None, false, &root);
        assert!(request.exists());
        assert!(root.join("var/lib/state").exists());
        apply(Some(&FactoryReset::default()), false, &root);
        assert!(!request.exists());
        assert!(!root.join("var/lib/state").exists());
    }

    #[test]
    fn nothing_goes_unasked_or_where_it_is_off_or_without_the_store() {
        let all = expect![[r#"
            outside/file
            root/boot/grub/grub.cfg
            root/etc/keys
            root/etc/nixos/configuration.nix
            root/etc/shadow
            root/home/anna/.ssh/id
            root/home/out
            root/nix/store/system/init
            root/nix/var/nix/profiles/system
            root/persist/keys/host
            root/var/lib/state
        "#]];
        check(Some(&FactoryReset::default()), false, |_| {}, &all);
        check(None, true, |_| {}, &all);
        check(None, false, request, &all);
        let without = expect![[r#"
            outside/file
            root/boot/grub/grub.cfg
            root/etc/keys
            root/etc/nixos/configuration.nix
            root/etc/shadow
            root/home/anna/.ssh/id
            root/home/out
            root/persist/keys/host
            root/var/lib/state
        "#]];
        let no_store = |root: &Path| fs::remove_dir_all(root.join("nix")).unwrap();
        check(Some(&FactoryReset::default()), true, no_store, &without);
    }
}
