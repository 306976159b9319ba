//! The one door to the outside: every effect of an evaluation goes through [`Io`].
//!
//! The evaluator itself opens no file, reads no clock and knows no store. Paths here are *logical*:
//! absolute, without `.`, `..` or doubled slashes, and `/nix/store/…` names the store wherever it
//! lies; an implementation maps them. Methods take `&self`, so that a filter that is itself an
//! expression can be evaluated in the middle of a copy; implementations keep their state behind
//! cells.

mod memory;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString};
use cairn_store_path::{Derivation, Method, Sha256, StorePath};

pub use memory::MemoryIo;

/// What an effect gives.
pub type IoResult<T> = Result<T, IoFailure>;

/// Why an effect failed. The message is whole: it says what was tried, on what, and the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IoFailure {
    /// What went wrong, as far as the evaluator has to know.
    pub kind: FailureKind,
    /// `cannot read file '/etc/x': permission denied`.
    pub message: String,
}

/// What the evaluator distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// There is nothing of that name.
    NotFound,
    /// The implementation cannot do this at all, or refuses to in its mode.
    Unsupported,
    /// A filter has ended the copy; its own error says why.
    Stopped,
    /// Anything else.
    Other,
}

impl IoFailure {
    /// A failure of the kind [`FailureKind::Other`].
    #[must_use]
    pub fn other(message: impl fmt::Display) -> Self {
        Self {
            kind: FailureKind::Other,
            message: message.to_string(),
        }
    }

    /// A failure of the kind [`FailureKind::Unsupported`].
    #[must_use]
    pub fn unsupported(message: impl fmt::Display) -> Self {
        Self {
            kind: FailureKind::Unsupported,
            message: message.to_string(),
        }
    }

    /// A failure of the kind [`FailureKind::NotFound`].
    #[must_use]
    pub fn not_found(message: impl fmt::Display) -> Self {
        Self {
            kind: FailureKind::NotFound,
            message: message.to_string(),
        }
    }
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileType {
    /// A plain file.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link, wherever it leads.
    Symlink,
    /// A device, a socket, a pipe.
    Unknown,
}

impl FileType {
    /// The word that `builtins.readDir` and filters use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Unknown => "unknown",
        }
    }
}

/// What a message to the user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `builtins.trace`; the text is written behind `trace: `.
    Trace,
    /// `builtins.warn`; the text is written behind `evaluation warning: `.
    Warned,
    /// Warnings of the evaluator.
    Warning,
}

/// One entry of the search path: `<prefix/rest>` is looked for in `path`. An empty prefix matches
/// every name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchEntry {
    /// What names have to begin with.
    pub prefix: BString,
    /// A folder, a file, or the address of a tarball; as the user wrote it.
    pub path: BString,
}

/// A file or tree that is to become a store object.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The object's name, behind its hash.
    pub name: &'a str,
    /// Where it lies.
    pub path: &'a Path,
    /// Whether it is named by its bytes, or by its archive.
    pub method: Method,
    /// The digest that it must have. If an object with it is there, nothing is read.
    pub expected: Option<Sha256>,
}

/// Decides which entries below a source are copied; the source itself is not asked about.
pub type Filter<'f> = dyn FnMut(&Path, FileType) -> Result<bool, FilterStopped> + 'f;

/// A filter could not decide; whoever made it keeps the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterStopped;

impl From<FilterStopped> for IoFailure {
    fn from(FilterStopped: FilterStopped) -> Self {
        Self {
            kind: FailureKind::Stopped,
            message: "the filter failed".to_owned(),
        }
    }
}

/// A file from the network, or from a `file:` address.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// Its address.
    pub url: &'a str,
    /// The store object's name.
    pub name: &'a str,
    /// The digest of the file, or of the archive of the unpacked tree. If an object with it is
    /// there, nothing is fetched.
    pub expected: Option<Sha256>,
    /// What becomes of it.
    pub content: Content,
}

/// What a fetched file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Kept as it is.
    File,
    /// Unpacked; its only top-level folder, if it has one, becomes the object.
    Tarball,
}

/// Effects of an evaluation. Every failure's message names what it is about.
pub trait Io {
    /// The bytes of a file; links are followed.
    ///
    /// # Errors
    /// There is none, it is no plain file, or it cannot be read.
    fn read_file(&self, path: &Path) -> IoResult<Vec<u8>>;

    /// What is at `path` itself; `None` if nothing is. A link in the last place is not followed.
    ///
    /// # Errors
    /// It cannot be found out: permissions, loops of links on the way, a NUL in the name.
    fn file_type(&self, path: &Path) -> IoResult<Option<FileType>>;

    /// Where the link at `path` points, as it is written there.
    ///
    /// # Errors
    /// It is no link, or cannot be read.
    fn read_link(&self, path: &Path) -> IoResult<PathBuf>;

    /// The names in a folder, in any order, without `.` and `..`.
    ///
    /// # Errors
    /// It is no folder, or cannot be read.
    fn read_dir(&self, path: &Path) -> IoResult<Vec<(BString, FileType)>>;

    /// The environment variable `name`.
    fn env_var(&self, name: &BStr) -> Option<BString>;

    /// Seconds since 1970; the same at every call of one evaluation.
    fn current_time(&self) -> i64;

    /// The platform that derivations are built for unless they say otherwise, `x86_64-linux`.
    fn current_system(&self) -> &str;

    /// Shows a message to the user.
    fn message(&self, level: Level, text: &BStr);

    /// The entries of the search path, in the order in which they are looked at.
    fn search_path(&self) -> Vec<SearchEntry>;

    /// The file or folder that an entry of a search path names: relative ones are made absolute,
    /// tarballs are fetched. `None` if there is nothing; the user has been told.
    ///
    /// # Errors
    /// A tarball cannot be fetched.
    fn search_entry(&self, path: &BStr) -> IoResult<Option<PathBuf>>;

    /// The user's home folder, for paths that begin with `~/`.
    ///
    /// # Errors
    /// It is not known.
    fn home(&self) -> IoResult<PathBuf>;

    /// Makes a text a store object. In a mode that does not write, only names it.
    ///
    /// # Errors
    /// The name cannot be one, or the store cannot be written.
    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> IoResult<StorePath>;

    /// Copies a file or tree into the store. In a mode that does not write, only names it. The
    /// same source without a filter is read once in an evaluation.
    ///
    /// # Errors
    /// It cannot be read or has another digest, the store cannot be written, or the filter ended
    /// the copy ([`FailureKind::Stopped`]).
    fn add_path(&self, source: &Source<'_>, filter: Option<&mut Filter<'_>>)
    -> IoResult<StorePath>;

    /// Takes a derivation for the store, whose inputs were taken before. It need not be on the
    /// disk when this returns: all of them are when the evaluation has ended well.
    ///
    /// # Errors
    /// The store cannot be written.
    fn add_derivation(&self, path: &StorePath, derivation: &Derivation) -> IoResult<()>;

    /// The derivation at `path`, be it one that was just added or one in the store.
    ///
    /// # Errors
    /// There is no such file, or it is damaged.
    fn read_derivation(&self, path: &StorePath) -> IoResult<Derivation>;

    /// Whether the object is in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    fn is_valid(&self, path: &StorePath) -> IoResult<bool>;

    /// Makes sure that the object is in the store. In a mode that does not write, where objects
    /// are only named, nothing is checked.
    ///
    /// # Errors
    /// It is not there, or the store cannot be read.
    fn ensure(&self, path: &StorePath) -> IoResult<()>;

    /// Everything that the object refers to, directly or not, itself included.
    ///
    /// # Errors
    /// It is not in the store.
    fn closure(&self, path: &StorePath) -> IoResult<Vec<StorePath>>;

    /// Builds outputs of derivations, so that the evaluation can read them.
    ///
    /// # Errors
    /// The implementation does not build, or a build fails.
    fn realise(&self, wanted: &[(StorePath, String)]) -> IoResult<()>;

    /// Brings a file or an unpacked tarball into the store.
    ///
    /// # Errors
    /// It cannot be had, or is not what was expected.
    fn fetch(&self, fetch: &Fetch<'_>) -> IoResult<StorePath>;
}

/// Bytes as a path; any bytes are one, and those with a NUL are refused by whoever opens them.
#[must_use]
pub fn path_of(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// How many links one path may lead through, as in Linux.
const MAX_LINKS: u32 = 40;

/// `path` with every link on the way followed, the last one too. What is behind the last existing
/// component stays as it is.
///
/// # Errors
/// Links lead in a circle, or a component cannot be looked at.
pub fn resolve_links(io: &dyn Io, path: &Path) -> IoResult<PathBuf> {
    let mut links = 0;
    let mut resolved = PathBuf::from("/");
    let mut rest: Vec<PathBuf> = components_reversed(path);
    while let Some(component) = rest.pop() {
        if component.as_os_str() == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&component);
        if io.file_type(&next)? != Some(FileType::Symlink) {
            resolved = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(IoFailure::other(format_args!(
                "cannot follow '{}': more than {MAX_LINKS} symbolic links lead to it",
                path.display()
            )));
        }
        let target = io.read_link(&next)?;
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        rest.extend(components_reversed(&target));
    }
    Ok(resolved)
}

/// The named components of a path, the last first.
fn components_reversed(path: &Path) -> Vec<PathBuf> {
    use std::path::Component;
    let named = |component: &Component<'_>| {
        matches!(component, Component::Normal(_) | Component::ParentDir)
    };
    let components = path.components().filter(named);
    let mut all: Vec<PathBuf> = components
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect();
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io() -> MemoryIo {
        MemoryIo::new()
            .with_file("/a/file", "x")
            .with_link("/a/here", "file")
            .with_link("/up", "a/../a/here")
            .with_link("/folder", "/a")
            .with_link("/one", "two")
            .with_link("/two", "one")
    }

    #[test]
    fn links_are_followed_to_the_end() {
        for (path, end) in [
            ("/a/file", "/a/file"),
            ("/up", "/a/file"),
            ("/folder/here", "/a/file"),
            ("/folder/absent/more", "/a/absent/more"),
        ] {
            assert_eq!(
                resolve_links(&io(), Path::new(path)),
                Ok(end.into()),
                "{path}"
            );
        }
    }

    #[test]
    fn a_circle_of_links_is_an_error() {
        let error = resolve_links(&io(), Path::new("/one")).unwrap_err();
        assert_eq!(
            error.message,
            "cannot follow '/one': more than 40 symbolic links lead to it"
        );
    }
}
