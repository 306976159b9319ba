//! The root directory that activation works on: the running system's, an image tree's or a test's.
//!
//! Paths inside of it are *logical*: absolute, as programs of that system see them. Symbolic links
//! are followed inside the root, absolute ones too, as after a `chroot`.
//!
//! Invariant: a file is replaced by `rename` of a finished, synced temporary in the same folder,
//! so that readers, and a machine that loses power, see the old file or the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink,
};
use std::path::{Component, Path, PathBuf};

use cairn_sys::mount::writable_view;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::statvfs::{FsFlags, statvfs};

/// Mode and owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rights {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
}

impl Rights {
    /// Owned by root.
    #[must_use]
    pub const fn root(mode: u32) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
        }
    }

    pub(crate) fn is_root(self) -> bool {
        (self.uid, self.gid) == (0, 0)
    }
}

impl std::fmt::Display for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o} {}:{}", self.mode, self.uid, self.gid)
    }
}

/// Whether owners can be given away, and are therefore compared and set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The process is the superuser.
    Set,
    /// It is not: files stay its own, and file capabilities are left out too.
    Ignored,
}

/// What lies at a path, links not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Absent,
    Link(PathBuf),
    Directory(Rights),
    File(Rights),
    Other,
}

/// What a folder has under a name, without rights: reading many is quick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listed {
    Directory,
    File,
    Link(PathBuf),
    Other,
}

/// When a file's content reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before the call returns.
    Now,
    /// By [`Root::sync_file_system`].
    Later,
}

/// A root directory.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    owners: Owners,
    etc: Option<View>,
}

/// A writable view of `/etc`, where others see it read-only.
#[derive(Debug)]
struct View {
    path: PathBuf,
    #[expect(dead_code, reason = "the view is there as long as this is open")]
    open: OwnedFd,
}

/// An I/O error with what was tried on which path (physical).
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} '{path}': {source}")]
pub struct FileError {
    /// `read`, `create`, …
    pub verb: &'static str,
    /// The path as this process names it.
    pub path: PathBuf,
    /// The cause.
    pub source: io::Error,
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { verb, path, source }
}

/// Longest chain of symbolic links that is followed, as the kernel's.
const MAX_LINKS: usize = 40;

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        let owners = if nix::unistd::geteuid().is_root() {
            Owners::Set
        } else {
            Owners::Ignored
        };
        Self {
            path: path.to_owned(),
            owners,
            etc: None,
        }
    }

    /// As [`Root::new`], where `/etc` can be written even if it is mounted read-only.
    pub(crate) fn for_changes(path: &Path) -> Result<Self, FileError> {
        let mut root = Self::new(path);
        let etc = path.join("etc");
        let flags = match statvfs(&etc) {
            Ok(found) => found.flags(),
            Err(Errno::ENOENT) => return Ok(root),
            Err(error) => return Err(failed("examine", &etc)(error.into())),
        };
        if flags.contains(FsFlags::ST_RDONLY) {
            let open = writable_view(&etc).map_err(failed("write", &etc))?;
            let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
            root.etc = Some(View { path, open });
        }
        Ok(root)
    }

    pub(crate) fn owners(&self) -> Owners {
        self.owners
    }

    /// Where `path` (logical) lies for this process; its folder is followed through links, its
    /// last component is not.
    pub(crate) fn place(&self, path: &Path) -> Result<PathBuf, FileError> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(self.resolve(parent)?.join(name)),
            _ => Ok(self.path.clone()),
        }
    }

    /// Where `path` (logical) lies with every link followed; what does not exist stays as written.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, FileError> {
        let mut pending: Vec<OsString> = components_reversed(path);
        let mut place = self.path.clone();
        let mut depth = 0_usize;
        let mut links = 0;
        while let Some(component) = pending.pop() {
            if component == ".." {
                match depth {
                    0 => {}
                    1 => place.clone_from(&self.path),
                    _ => {
                        place.pop();
                    }
                }
                depth = depth.saturating_sub(1);
                continue;
            }
            if let Some(view) = self
                .etc
                .as_ref()
                .filter(|_| depth == 0 && component == "etc")
            {
                place.clone_from(&view.path);
                depth = 1;
                continue;
            }
            place.push(&component);
            let Ok(target) = fs::read_link(&place) else {
                depth += 1;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                let source = io::Error::other("too many symbolic links");
                return Err(failed("resolve", path)(source));
            }
            place.pop();
            if target.is_absolute() {
                place.clone_from(&self.path);
                depth = 0;
            }
            pending.extend(components_reversed(&target));
        }
        Ok(place)
    }

    pub(crate) fn kind(&self, path: &Path) -> Result<Kind, FileError> {
        let place = self.place(path)?;
        let metadata = match fs::symlink_metadata(&place) {
            Ok(metadata) => metadata,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Kind::Absent);
            }
            Err(error) => return Err(failed("examine", &place)(error)),
        };
        let rights = Rights {
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        Ok(if metadata.is_symlink() {
            Kind::Link(fs::read_link(&place).map_err(failed("read link", &place))?)
        } else if metadata.is_dir() {
            Kind::Directory(rights)
        } else if metadata.is_file() {
            Kind::File(rights)
        } else {
            Kind::Other
        })
    }

    /// Whether `found` is as good as `wanted`: owners count only where they can be set.
    pub(crate) fn same_rights(&self, found: Rights, wanted: Rights) -> bool {
        found.mode == wanted.mode
            && (self.owners == Owners::Ignored
                || (found.uid, found.gid) == (wanted.uid, wanted.gid))
    }

    /// The bytes at `path`, links followed; `None` if there is nothing.
    pub(crate) fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        let place = self.resolve(path)?;
        match fs::read(&place) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed("read", &place)(error)),
        }
    }

    /// Opens the regular file at `path`, links followed.
    pub(crate) fn open(&self, path: &Path) -> Result<File, FileError> {
        let place = self.resolve(path)?;
        File::open(&place).map_err(failed("open", &place))
    }

    /// Whether the files at both paths have the same bytes; `false` if one is missing.
    pub(crate) fn same_content(&self, one: &Path, other: &Path) -> Result<bool, FileError> {
        let (one, other) = (self.resolve(one)?, self.resolve(other)?);
        let (Ok(one_data), Ok(other_data)) = (fs::metadata(&one), fs::metadata(&other)) else {
            return Ok(false);
        };
        if !one_data.is_file() || !other_data.is_file() || one_data.len() != other_data.len() {
            return Ok(false);
        }
        equal_files(&one, &other)
    }

    /// Names in the directory at `path`, sorted; none if it is absent.
    pub(crate) fn names(&self, path: &Path) -> Result<Vec<OsString>, FileError> {
        let place = self.resolve(path)?;
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed("list", &place)(error)),
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed("list", &place))?;
        names.sort();
        Ok(names)
    }

    /// What the directory at `path` holds, sorted; nothing if it is absent.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<(OsString, Listed)>, FileError> {
        let place = self.resolve(path)?;
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &place)(error)),
        };
        let mut listing = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("list", &place))?;
            let name = entry.file_name();
            let kind = entry
                .file_type()
                .map_err(failed("examine", &entry.path()))?;
            let listed = if kind.is_symlink() {
                let link = place.join(&name);
                Listed::Link(fs::read_link(&link).map_err(failed("read link", &link))?)
            } else if kind.is_dir() {
                Listed::Directory
            } else if kind.is_file() {
                Listed::File
            } else {
                Listed::Other
            };
            listing.push((name, listed));
        }
        listing.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(listing)
    }

    /// Makes the link, replacing what is there unless it is a directory.
    pub(crate) fn link(
        &self,
        path: &Path,
        target: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        self.prepare_link(path, target, touched)?;
        self.publish(path, touched)
    }

    /// Makes links in one folder, by name and target, where there is nothing yet. One that cannot be
    /// made is the error, and the others are made.
    pub(crate) fn make_links(
        &self,
        folder: &Path,
        links: &[(OsString, PathBuf)],
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let folder = self.resolve(folder)?;
        let mut first = Ok(());
        for (name, target) in links {
            let place = folder.join(name);
            let made = touched
                .begin(&place)
                .and_then(|()| symlink(target, &place).map_err(failed("create", &place)));
            match made {
                Ok(()) => touched.note(&place),
                Err(error) if first.is_ok() => first = Err(error),
                Err(error) => log::error!("{error}"),
            }
        }
        first
    }

    /// Removes links in one folder; what is no link any more stays.
    pub(crate) fn remove_links(
        &self,
        folder: &Path,
        names: &[OsString],
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let folder = self.resolve(folder)?;
        for name in names {
            let place = folder.join(name);
            if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
                touched.begin(&place)?;
                remove_if_there(&place)?;
                touched.note(&place);
            }
        }
        Ok(())
    }

    /// Makes the link under a temporary name, for [`Root::publish`].
    pub(crate) fn prepare_link(
        &self,
        path: &Path,
        target: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let temporary = temporary_beside(&self.place(path)?);
        touched.begin(&temporary)?;
        remove_if_there(&temporary)?;
        symlink(target, &temporary).map_err(failed("create", &temporary))
    }

    /// Writes a file under a temporary name, for [`Root::publish`].
    pub(crate) fn prepare_file(
        &self,
        path: &Path,
        rights: Rights,
        durability: Durability,
        touched: &mut Touched,
        write_content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let temporary = temporary_beside(&self.place(path)?);
        touched.begin(&temporary)?;
        remove_if_there(&temporary)?;
        let written = self.write_temporary(&temporary, rights, durability, write_content);
        if written.is_err() {
            remove_if_there(&temporary)?;
        }
        written
    }

    /// Gives what has been prepared its name, replacing what is there unless it is a directory.
    pub(crate) fn publish(&self, path: &Path, touched: &mut Touched) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        rename_over(&temporary_beside(&place), &place)?;
        touched.note(&place);
        Ok(())
    }

    /// Makes everything on the file system of `path` durable.
    pub(crate) fn sync_file_system(
        &self,
        path: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.resolve(path)?;
        touched.begin(&place)?;
        let folder = File::open(&place).map_err(failed("open", &place))?;
        nix::unistd::syncfs(&folder).map_err(|errno| failed("sync", &place)(errno.into()))
    }

    /// Writes a file with `write_content`, replacing what is there unless it is a directory. Owner and mode
    /// are set before the file gets its name.
    pub(crate) fn write(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
        write_content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        self.prepare_file(path, rights, Durability::Now, touched, write_content)?;
        self.publish(path, touched)
    }

    fn write_temporary(
        &self,
        temporary: &Path,
        rights: Rights,
        durability: Durability,
        write_content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(temporary)
            .map_err(failed("create", temporary))?;
        // The owner first: a change of owner clears setuid bits and capabilities. The content
        // before the capabilities that `write_content` may set last: a write clears them as well.
        if self.owners == Owners::Set {
            fchown(&file, Some(rights.uid), Some(rights.gid))
                .map_err(failed("change owner of", temporary))?;
        }
        write_content(&mut file).map_err(failed("write", temporary))?;
        file.set_permissions(Permissions::from_mode(rights.mode))
            .map_err(failed("change mode of", temporary))?;
        match durability {
            Durability::Now => file.sync_all().map_err(failed("sync", temporary)),
            Durability::Later => Ok(()),
        }
    }

    /// Makes one directory whose parent exists.
    pub(crate) fn make_directory(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        let temporary = temporary_beside(&place);
        touched.begin(&temporary)?;
        if fs::symlink_metadata(&temporary).is_ok() {
            // Left by an interrupted run; it is empty unless someone else uses that name.
            fs::remove_dir(&temporary).map_err(failed("remove", &temporary))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&temporary)
            .map_err(failed("create", &temporary))?;
        self.set_rights_of(&temporary, rights)?;
        self.publish(path, touched)
    }

    /// Sets mode and owner of an existing directory; a link in its place is refused.
    pub(crate) fn set_rights(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        self.set_rights_of(&place, rights)
    }

    /// Sets mode and owner of a file or directory; a link in its place is refused, and so is a file
    /// that has a second name, which may be somebody else's.
    pub(crate) fn set_rights_of_any(
        &self,
        path: &Path,
        rights: Rights,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        // A device or pipe must not wait for its other end.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&place)
            .map_err(failed("open", &place))?;
        let metadata = file.metadata().map_err(failed("examine", &place))?;
        if metadata.is_file() && metadata.nlink() > 1 {
            let second = io::Error::other("the file has a second name");
            return Err(failed("change rights of", &place)(second));
        }
        self.set_rights_through(&file, &place, rights)
    }

    /// Through a descriptor: who can write to the parent could put a link in its place.
    fn set_rights_of(&self, place: &Path, rights: Rights) -> Result<(), FileError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY).bits())
            .open(place)
            .map_err(failed("open", place))?;
        self.set_rights_through(&file, place, rights)
    }

    fn set_rights_through(
        &self,
        file: &File,
        place: &Path,
        rights: Rights,
    ) -> Result<(), FileError> {
        if self.owners == Owners::Set {
            fchown(file, Some(rights.uid), Some(rights.gid))
                .map_err(failed("change owner of", place))?;
        }
        file.set_permissions(Permissions::from_mode(rights.mode))
            .map_err(failed("change mode of", place))
    }

    /// Gives `path` another name in its folder; the new name must be free.
    pub(crate) fn move_aside(
        &self,
        path: &Path,
        to: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let (place, to) = (self.place(path)?, self.place(to)?);
        touched.begin(&place)?;
        if fs::symlink_metadata(&to).is_ok() {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(failed("move something to", &to)(taken));
        }
        fs::rename(&place, &to).map_err(failed("rename", &place))?;
        touched.note(&place);
        Ok(())
    }

    /// Gives a file a second name in its folder, which must be free.
    pub(crate) fn keep_as(
        &self,
        path: &Path,
        to: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let (place, to) = (self.place(path)?, self.place(to)?);
        touched.begin(&to)?;
        fs::hard_link(&place, &to).map_err(failed("keep", &place))?;
        touched.note(&to);
        touched.sync()
    }

    /// Removes a file or link.
    pub(crate) fn remove_file(&self, path: &Path, touched: &mut Touched) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        remove_if_there(&place)?;
        touched.note(&place);
        Ok(())
    }

    /// Removes whatever is at `path`, links not followed. Nothing is removed if a part of it is on
    /// another file system.
    pub(crate) fn remove_tree(&self, path: &Path, touched: &mut Touched) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_dir() => {
                check_one_file_system(&place, parent_device(&place)?)?;
                fs::remove_dir_all(&place).map_err(failed("remove", &place))?;
            }
            _ => remove_if_there(&place)?,
        }
        touched.note(&place);
        Ok(())
    }

    /// Writes into the file at `path`, which must be there; links are followed.
    pub(crate) fn write_into(
        &self,
        path: &Path,
        content: &[u8],
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.resolve(path)?;
        touched.begin(&place)?;
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&place)
            .and_then(|mut file| file.write_all(content))
            .map_err(failed("write", &place))
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(
        &self,
        path: &Path,
        touched: &mut Touched,
    ) -> Result<(), FileError> {
        let place = self.place(path)?;
        touched.begin(&place)?;
        fs::remove_dir(&place).map_err(failed("remove", &place))?;
        touched.note(&place);
        Ok(())
    }
}

/// More files than these are made durable all at once: each one's own sync is a commit of the file
/// system's journal, while a sync of the whole waits for what others write too.
pub(crate) const FILES_SYNCED_ONE_BY_ONE: usize = 32;

/// The same of folders. The first one's sync commits what all of them have changed, so that those of
/// the others are only calls.
const FOLDERS_SYNCED_ONE_BY_ONE: usize = 1000;

/// Folders whose entries changed, to be synced together; and how many more effects there may be.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    folders: BTreeSet<PathBuf>,
    /// Unlimited if absent.
    effects_left: Option<usize>,
}

impl Touched {
    /// No more than `effects` changes: then everything fails, as if the machine had lost power.
    pub(crate) fn limited(effects: usize) -> Self {
        Self {
            folders: BTreeSet::new(),
            effects_left: Some(effects),
        }
    }

    /// Whether the limit has been met.
    pub(crate) fn is_over(&self) -> bool {
        self.effects_left == Some(0)
    }

    /// To be called before each change.
    fn begin(&mut self, place: &Path) -> Result<(), FileError> {
        match &mut self.effects_left {
            Some(0) => Err(failed("change", place)(io::Error::other("interrupted"))),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn note(&mut self, place: &Path) {
        // Most often the same folder again: no copy of its name then.
        if let Some(parent) = place
            .parent()
            .filter(|parent| !self.folders.contains(*parent))
        {
            self.folders.insert(parent.to_owned());
        }
    }

    /// Makes the names in the folders durable. A folder that has been removed since is skipped.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        let mut by_device = BTreeMap::<u64, Vec<PathBuf>>::new();
        for place in std::mem::take(&mut self.folders) {
            match fs::metadata(&place) {
                Ok(found) => by_device.entry(found.dev()).or_default().push(place),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("examine", &place)(error)),
            }
        }
        for mut places in by_device.into_values() {
            let as_a_whole = places.len() > FOLDERS_SYNCED_ONE_BY_ONE;
            if as_a_whole {
                places.truncate(1);
            }
            for place in places {
                let folder = File::open(&place).map_err(failed("open", &place))?;
                let synced = if as_a_whole {
                    nix::unistd::syncfs(&folder).map_err(io::Error::from)
                } else {
                    folder.sync_all()
                };
                synced.map_err(failed("sync", &place))?;
            }
        }
        Ok(())
    }
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts
}

const TEMPORARY: &str = ".cairn-tmp";

/// One fixed name for each path: what an interrupted run leaves is replaced by the next.
fn temporary_beside(place: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(TEMPORARY);
    place.with_file_name(name)
}

/// Whether the name is one that only files in the making have.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes())
}

fn rename_over(temporary: &Path, place: &Path) -> Result<(), FileError> {
    let renamed = fs::rename(temporary, place).map_err(failed("replace", place));
    if renamed.is_err() {
        remove_if_there(temporary)?;
    }
    renamed
}

fn parent_device(place: &Path) -> Result<u64, FileError> {
    let parent = place.parent().unwrap_or(place);
    fs::metadata(parent)
        .map(|metadata| metadata.dev())
        .map_err(failed("examine", parent))
}

/// Fails if a directory in the tree is a mount point of another file system.
fn check_one_file_system(directory: &Path, device: u64) -> Result<(), FileError> {
    let metadata = fs::symlink_metadata(directory).map_err(failed("examine", directory))?;
    if metadata.dev() != device {
        let mounted = io::Error::other("another file system is mounted there");
        return Err(failed("remove", directory)(mounted));
    }
    for entry in fs::read_dir(directory).map_err(failed("list", directory))? {
        let entry = entry.map_err(failed("list", directory))?;
        let kind = entry
            .file_type()
            .map_err(failed("examine", &entry.path()))?;
        if kind.is_dir() {
            check_one_file_system(&entry.path(), device)?;
        }
    }
    Ok(())
}

fn remove_if_there(place: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(place) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(place),
        _ => fs::remove_file(place),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", place)(error))
        }
        _ => Ok(()),
    }
}

fn equal_files(one: &Path, other: &Path) -> Result<bool, FileError> {
    let mut one_file = File::open(one).map_err(failed("open", one))?;
    let mut other_file = File::open(other).map_err(failed("open", other))?;
    let (mut one_block, mut other_block) = (Vec::new(), Vec::new());
    loop {
        one_block.clear();
        other_block.clear();
        (&mut one_file)
            .take(1 << 16)
            .read_to_end(&mut one_block)
            .map_err(failed("read", one))?;
        (&mut other_file)
            .take(1 << 16)
            .read_to_end(&mut other_block)
            .map_err(failed("read", other))?;
        if one_block != other_block {
            return Ok(false);
        }
        if one_block.is_empty() {
            return Ok(true);
        }
    }
}

/// Writes `bytes`; for [`Root::write`].
pub(crate) fn bytes(content: &[u8]) -> impl FnOnce(&mut File) -> io::Result<()> + '_ {
    move |file| file.write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where others cannot write to `/etc`, all that is below it is reached through the view.
    #[test]
    fn etc_is_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let [tree, other] = ["tree", "other"].map(|name| folder.path().join(name));
        for place in [tree.join("etc"), tree.join("run"), other.join("ssh")] {
            fs::create_dir_all(place).unwrap();
        }
        symlink("/etc/ssh", tree.join("run/ssh")).unwrap();
        symlink("../run", other.join("run")).unwrap();
        let root = Root {
            etc: Some(View {
                path: other.clone(),
                open: File::open(&other).unwrap().into(),
            }),
            ..Root::new(&tree)
        };
        for (path, wanted) in [
            ("/etc/passwd", other.join("passwd")),
            ("/run/ssh/key", other.join("ssh/key")),
            ("/etc/run/ssh/key", other.join("ssh/key")),
            ("/etc/ssh/../../etc/a", other.join("a")),
            ("/run/etc/a", tree.join("run/etc/a")),
            ("/etc", other),
        ] {
            assert_eq!(root.resolve(Path::new(path)).unwrap(), wanted, "{path}");
        }
    }
}
