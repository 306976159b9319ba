//! A tree as a folder: for containers, network file systems, and whoever wants to look into it.
//!
//! Root gets it whole. Anybody else gets what a user can make: no owners, no devices, no attributes of
//! the system, and no setuid bits, which would lend the user's rights instead of root's. What is
//! missing is counted, so that the caller can say so.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::Uid;

use crate::file_system::FileSystemError;
use crate::fill::{self, Filler, Span};
use crate::manifest::{Content, Manifest, Name, Node};
use crate::output::{OutputError, check_room, parent_of};
use crate::region::Region;

const KIND: &str = "folder";
/// Bits that lend a file's owner's rights.
const LENDING: u32 = 0o6000;

/// What a user who is not root had to leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Omitted {
    /// Files that belong to the user instead of their owner.
    pub owners: usize,
    /// Devices.
    pub devices: usize,
    /// Extended attributes.
    pub attributes: usize,
}

/// Why a folder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something is there already.
    #[error(
        "cannot make the folder '{path}': it is there, and not empty; name another, or remove it"
    )]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A content cannot be read.
    #[error(transparent)]
    Content(#[from] FileSystemError),
    /// The folder cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Makes the folder `output` of `tree`. It appears when it is whole and durable; until then it has
/// another name beside it.
///
/// # Errors
/// See [`FolderError`]. Nothing is left behind.
pub fn write_folder(tree: &Manifest, output: &Path) -> Result<Omitted, FolderError> {
    let failed = |source| OutputError::Io {
        path: output.to_owned(),
        source,
    };
    let occupied = match fs::read_dir(output) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error).into()),
    };
    if occupied {
        let path = output.to_owned();
        return Err(FolderError::Occupied { path });
    }
    check_room(output, tree.content_size())?;
    let scratch = Scratch::beside(output).map_err(failed)?;
    let omitted = Writer::new(tree, &scratch.path).write()?;
    let place = || {
        nix::unistd::syncfs(&scratch.lock)?;
        // An empty folder gives its place to the new one.
        fs::rename(&scratch.path, output)?;
        File::open(parent_of(output))?.sync_all()
    };
    place().map_err(failed)?;
    Ok(omitted)
}

/// A folder that is removed unless it got another name. Its directories may not be writable. Whoever makes it
/// holds a lock on it; one that nobody holds was left by a process that was killed, and is removed by the next.
struct Scratch {
    path: PathBuf,
    lock: File,
}

impl Scratch {
    /// The one of `output`.
    fn beside(output: &Path) -> io::Result<Self> {
        let name = output.file_name().unwrap_or_default().as_bytes();
        let name = format!(".cairn-image-{}", &blake3::hash(name).to_hex()[..16]);
        let path = parent_of(output).join(name);
        if let Ok(left) = File::open(&path) {
            lock(&left)?;
            remove_tree(&path)?;
        }
        DirBuilder::new().mode(0o700).create(&path)?;
        let made = File::open(&path)?;
        lock(&made)?;
        Ok(Self { path, lock: made })
    }
}

fn lock(folder: &File) -> io::Result<()> {
    folder.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another process is making it"),
        TryLockError::Error(error) => error,
    })
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove '{}': {error}", self.path.display());
        }
    }
}

/// Removes a tree with directories that not even their owner may write to.
///
/// # Errors
/// What cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(path)
}

struct Writer<'a> {
    tree: &'a Manifest,
    root: &'a Path,
    is_root: bool,
    omitted: Omitted,
}

impl<'a> Writer<'a> {
    fn new(tree: &'a Manifest, root: &'a Path) -> Self {
        Self {
            tree,
            root,
            is_root: Uid::effective().is_root(),
            omitted: Omitted::default(),
        }
    }

    fn write(mut self) -> Result<Omitted, FileSystemError> {
        for (path, name) in self.tree.names() {
            let placed = match name {
                Name::First(node) => self.place(path, node),
                Name::Again(first) => self.link(path, first),
            };
            placed.map_err(|problem| problem.at(path))?;
        }
        // Afterwards, and from below: a directory's time changes with each entry, and its mode may
        // forbid them.
        let directories: Vec<_> = self
            .tree
            .entries()
            .filter(|(_, node)| node.content == Content::Directory)
            .collect();
        for (path, node) in directories.into_iter().rev() {
            let place = self.root.join(path);
            self.finish_directory(&place, node)
                .map_err(|error| Problem::Write(error).at(path))?;
        }
        Ok(self.omitted)
    }

    fn place(&mut self, path: &Path, node: &Node) -> Result<(), Problem> {
        let place = self.root.join(path);
        match &node.content {
            Content::Directory if path.as_os_str().is_empty() => Ok(()),
            Content::Directory => DirBuilder::new()
                .mode(0o700)
                .create(&place)
                .map_err(Problem::Write),
            Content::Bytes(bytes) => {
                let mut file = create(&place)?;
                file.write_all(bytes).map_err(Problem::Write)?;
                self.finish_file(&file, &place, node)
                    .map_err(Problem::Write)
            }
            Content::File { size, .. } if *size >= fill::LARGE => {
                let file = create(&place)?;
                copy_large(&node.content, *size, &file).map_err(Problem::Content)?;
                file.set_len(*size).map_err(Problem::Write)?;
                self.finish_file(&file, &place, node)
                    .map_err(Problem::Write)
            }
            Content::File { path, size } => {
                let mut source = fill::open(path, *size).map_err(Problem::Content)?;
                let mut file = create(&place)?;
                let copied = io::copy(&mut source, &mut file).map_err(Problem::Write)?;
                if copied != *size {
                    return Err(Problem::Content(FileSystemError::Changed {
                        path: path.clone(),
                        expected: *size,
                        found: copied,
                    }));
                }
                self.finish_file(&file, &place, node)
                    .map_err(Problem::Write)
            }
            Content::Symlink(target) => symlink(target, &place)
                .and_then(|()| self.finish_special(&place, node))
                .map_err(Problem::Write),
            // It has been told apart.
            Content::HardLink(_) => Ok(()),
            Content::CharDevice { major, minor } => {
                self.device(&place, node, SFlag::S_IFCHR, (*major, *minor))
            }
            Content::BlockDevice { major, minor } => {
                self.device(&place, node, SFlag::S_IFBLK, (*major, *minor))
            }
        }
    }

    /// Another name of what is at `first`, unless that is a device that this user cannot make.
    fn link(&self, path: &Path, first: &Path) -> Result<(), Problem> {
        let first = self.root.join(first);
        if !self.is_root && fs::symlink_metadata(&first).is_err() {
            return Ok(());
        }
        fs::hard_link(first, self.root.join(path)).map_err(Problem::Write)
    }

    fn device(
        &mut self,
        place: &Path,
        node: &Node,
        kind: SFlag,
        (major, minor): (u32, u32),
    ) -> Result<(), Problem> {
        if !self.is_root {
            self.omitted.devices += 1;
            return Ok(());
        }
        let number = makedev(major.into(), minor.into());
        mknod(place, kind, Mode::from_bits_truncate(0o600), number)
            .map_err(io::Error::from)
            .and_then(|()| self.finish_special(place, node))
            .and_then(|()| fs::set_permissions(place, Permissions::from_mode(node.mode)))
            .map_err(Problem::Write)
    }

    /// Owner, attributes, mode and time of a file. A change of the owner takes capabilities and setuid
    /// bits away, so it comes first.
    fn finish_file(&mut self, file: &File, place: &Path, node: &Node) -> io::Result<()> {
        let owned = self.own(node, |uid, gid| fchown(file, uid, gid))?;
        self.set_attributes(place, node)?;
        let lent = if owned { 0 } else { LENDING };
        file.set_permissions(Permissions::from_mode(node.mode & !lent))?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(node.mtime.into());
        file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
    }

    fn finish_directory(&mut self, place: &Path, node: &Node) -> io::Result<()> {
        let folder = File::open(place)?;
        self.finish_file(&folder, place, node)
    }

    /// Owner, attributes and time of what cannot be opened.
    fn finish_special(&mut self, place: &Path, node: &Node) -> io::Result<()> {
        self.own(node, |uid, gid| lchown(place, uid, gid))?;
        self.set_attributes(place, node)?;
        let time = TimeSpec::new(node.mtime.into(), 0);
        utimensat(
            AT_FDCWD,
            place,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )?;
        Ok(())
    }

    /// Gives the file its owner, if this user may, and tells whether.
    fn own(
        &mut self,
        node: &Node,
        give: impl FnOnce(Option<u32>, Option<u32>) -> io::Result<()>,
    ) -> io::Result<bool> {
        if self.is_root {
            give(Some(node.uid), Some(node.gid))?;
        } else {
            self.omitted.owners += 1;
        }
        Ok(self.is_root)
    }

    fn set_attributes(&mut self, place: &Path, node: &Node) -> io::Result<()> {
        for (name, value) in &node.xattrs {
            if !self.is_root && !name.starts_with(b"user.") {
                self.omitted.attributes += 1;
                continue;
            }
            let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
            xattr::set(place, name, value)?;
        }
        Ok(())
    }
}

/// What stopped a file.
enum Problem {
    Content(FileSystemError),
    Write(io::Error),
}

impl Problem {
    fn at(self, path: &Path) -> FileSystemError {
        match self {
            Self::Content(error) => error,
            Self::Write(source) => FileSystemError::Entry {
                kind: KIND,
                path: path.to_owned(),
                problem: source.to_string(),
            },
        }
    }
}

/// The `size` bytes of a content, without its holes; what follows to the next block is zero.
fn copy_large(content: &Content, size: u64, file: &File) -> Result<(), FileSystemError> {
    let region = Region::new(file, 0, size.next_multiple_of(fill::BLOCK));
    let mut ignored = |_| {};
    let mut filler = Filler::new(KIND, &region, &mut ignored);
    let whole = Span {
        offset: 0,
        length: size,
    };
    filler.fill(content, std::iter::once(whole))?;
    filler.finish()
}

fn create(place: &Path) -> Result<File, Problem> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(place)
        .map_err(Problem::Write)
}
