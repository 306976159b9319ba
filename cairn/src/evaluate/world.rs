//! The evaluator's door to this machine: files, environment, store, network.
//!
//! Paths that the evaluator sees are logical. Where the store does not lie at `/nix/store`, a path
//! in it, or one whose links lead into it, is looked up below the store's root.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bstr::{BStr, BString};
use cairn_evaluator::io::{
    FailureKind, Fetch, FileType, Filter, Io, IoFailure, IoResult, Level, SearchEntry, Source,
    path_of, resolve_links,
};
use cairn_store_path::{Derivation, STORE_DIR, StorePath};
use nix::fcntl::OFlag;

use super::objects::Objects;
use super::search_path::is_address;

/// The platform of this program, and the one that derivations are for by default.
const SYSTEM: &str = "x86_64-linux";

/// How much is read of what has no size of its own, such as a device.
const ENDLESS: u64 = 64 * 1024 * 1024;

/// What an evaluation sees of the machine.
pub struct World {
    objects: Objects,
    folder: PathBuf,
    search_path: Vec<SearchEntry>,
    entries: RefCell<HashMap<BString, Option<PathBuf>>>,
    time: i64,
    silent: bool,
}

impl World {
    /// The machine as seen from `folder`, an absolute path that relative ones begin at.
    #[must_use]
    pub fn new(folder: PathBuf, search_path: Vec<SearchEntry>, objects: Objects) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Self {
            objects,
            folder,
            search_path,
            entries: RefCell::default(),
            time: i64::try_from(seconds).unwrap_or(i64::MAX),
            silent: false,
        }
    }

    /// The same, for who shows no messages.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Where relative paths begin.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store side: what has to be written before the evaluation counts as done.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Where the file behind a logical path lies, with the links that lead into the store followed
    /// there; `last` says whether one in the last place is, too.
    fn real(&self, path: &Path, last: Last) -> IoResult<PathBuf> {
        if self.objects.is_at_root() {
            return Ok(path.to_owned());
        }
        if !path.starts_with(STORE_DIR) {
            // The usual case costs nothing: only what is not there may be a link into the store.
            let found = match last {
                Last::Followed => fs::metadata(path),
                Last::Kept => fs::symlink_metadata(path),
            };
            if found.is_ok() {
                return Ok(path.to_owned());
            }
        }
        let resolved = match (last, path.parent(), path.file_name()) {
            (Last::Kept, Some(folder), Some(name)) => resolve_links(self, folder)?.join(name),
            (Last::Kept, ..) => path.to_owned(),
            (Last::Followed, ..) => resolve_links(self, path)?,
        };
        Ok(self.objects.real(&resolved).unwrap_or(resolved))
    }

    fn message_line(word: &str, text: &BStr) {
        let mut line = Vec::with_capacity(text.len() + word.len() + 3);
        line.extend(word.as_bytes());
        line.extend(b": ");
        line.extend(text.iter());
        line.push(b'\n');
        if let Err(error) = io::stderr().lock().write_all(&line) {
            log::debug!("a message was lost: {error}");
        }
    }
}

/// What happens with a link in a path's last place.
#[derive(Clone, Copy)]
enum Last {
    Followed,
    Kept,
}

impl Io for World {
    fn read_file(&self, path: &Path) -> IoResult<Vec<u8>> {
        if let Some(text) = self.objects.pending_text(path) {
            return Ok(text);
        }
        let real = self.real(path, Last::Followed)?;
        read_plain(&real).map_err(failure("read", path))
    }

    fn file_type(&self, path: &Path) -> IoResult<Option<FileType>> {
        if self.objects.pending_text(path).is_some() {
            return Ok(Some(FileType::Regular));
        }
        let real = if path.starts_with(STORE_DIR) && !self.objects.is_at_root() {
            self.objects.real(path).unwrap_or_else(|| path.to_owned())
        } else {
            path.to_owned()
        };
        match fs::symlink_metadata(&real) {
            Ok(metadata) => Ok(Some(kind(metadata.file_type()))),
            Err(error) if is_absence(&error) && self.objects.is_at_root() => Ok(None),
            Err(error) if is_absence(&error) && path.starts_with(STORE_DIR) => Ok(None),
            Err(error) if is_absence(&error) => self.file_type_behind_links(path),
            Err(error) => Err(failure("look at", path)(error)),
        }
    }

    fn read_link(&self, path: &Path) -> IoResult<PathBuf> {
        let real = self.real(path, Last::Kept)?;
        fs::read_link(real).map_err(failure("read link", path))
    }

    fn read_dir(&self, path: &Path) -> IoResult<Vec<(BString, FileType)>> {
        let real = self.real(path, Last::Followed)?;
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let name = BString::from(entry.file_name().into_vec());
            Ok((name, kind(entry.file_type()?)))
        };
        fs::read_dir(real)
            .and_then(|entries| entries.map(entry).collect())
            .map_err(failure("list", path))
    }

    fn env_var(&self, name: &BStr) -> Option<BString> {
        let value = env::var_os(OsStr::from_bytes(name))?;
        Some(value.into_vec().into())
    }

    fn current_time(&self) -> i64 {
        self.time
    }

    fn current_system(&self) -> &str {
        SYSTEM
    }

    fn message(&self, level: Level, text: &BStr) {
        if self.silent {
            return;
        }
        match level {
            Level::Trace => Self::message_line("trace", text),
            Level::Warned => Self::message_line("evaluation warning", text),
            Level::Warning => Self::message_line("warning", text),
        }
    }

    fn search_path(&self) -> Vec<SearchEntry> {
        self.search_path.clone()
    }

    fn search_entry(&self, path: &BStr) -> IoResult<Option<PathBuf>> {
        if let Some(known) = self.entries.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = if is_address(path) {
            let text = format!(
                "search path entry '{path}' is ignored: addresses are not supported there; \
                 fetch it and name the folder"
            );
            self.message(Level::Warning, text.as_bytes().into());
            None
        } else {
            let absolute = absolute(&self.folder, path_of(path));
            let there = self.file_type(&absolute)?.is_some();
            if !there {
                let text = format!("search path entry '{path}' does not exist, ignoring");
                self.message(Level::Warning, text.as_bytes().into());
            }
            there.then_some(absolute)
        };
        let known = (path.to_owned(), found.clone());
        self.entries.borrow_mut().extend([known]);
        Ok(found)
    }

    fn home(&self) -> IoResult<PathBuf> {
        env::var_os("HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute())
            .ok_or_else(|| {
                IoFailure::other("cannot find the home folder: HOME is not set to an absolute path")
            })
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> IoResult<StorePath> {
        self.objects.add_text(name, text, references)
    }

    fn add_path(
        &self,
        source: &Source<'_>,
        filter: Option<&mut Filter<'_>>,
    ) -> IoResult<StorePath> {
        if let Some(path) = self.objects.expected_source(source)? {
            return Ok(path);
        }
        if filter.is_none()
            && let Some(path) = self.objects.known_source(source)
        {
            return Ok(path);
        }
        let real = self.real(source.path, Last::Kept)?;
        let Some(filter) = filter else {
            let added = self.objects.add_source(source, &real, &|_| true)?;
            self.objects.remember_source(source, &added);
            return Ok(added);
        };
        let mut kept = BTreeSet::new();
        select(source.path, &real, filter, &mut kept)?;
        let keep = |path: &Path| kept.contains(path);
        self.objects.add_source(source, &real, &keep)
    }

    fn add_derivation(&self, path: &StorePath, derivation: &Derivation) -> IoResult<()> {
        self.objects.add_derivation(path, derivation)
    }

    fn read_derivation(&self, path: &StorePath) -> IoResult<Derivation> {
        self.objects.read_derivation(path)
    }

    fn is_valid(&self, path: &StorePath) -> IoResult<bool> {
        self.objects.is_valid(path)
    }

    fn ensure(&self, path: &StorePath) -> IoResult<()> {
        self.objects.ensure(path)
    }

    fn closure(&self, path: &StorePath) -> IoResult<Vec<StorePath>> {
        self.objects.closure(path)
    }

    fn realise(&self, wanted: &[(StorePath, String)]) -> IoResult<()> {
        self.objects.realise(wanted)
    }

    fn fetch(&self, fetch: &Fetch<'_>) -> IoResult<StorePath> {
        self.objects.fetch(fetch)
    }
}

impl World {
    /// What is at a path that the kernel does not find: a folder on the way may be a link into
    /// the store.
    fn file_type_behind_links(&self, path: &Path) -> IoResult<Option<FileType>> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        // Without a link on the way this ends at once: nothing changes.
        let resolved = match fs::symlink_metadata(folder) {
            Ok(_) => resolve_links(self, folder)?,
            Err(_) => return Ok(None),
        };
        match self.objects.real(&resolved.join(name)) {
            None => Ok(None),
            Some(real) => match fs::symlink_metadata(real) {
                Ok(metadata) => Ok(Some(kind(metadata.file_type()))),
                Err(error) if is_absence(&error) => Ok(None),
                Err(error) => Err(failure("look at", path)(error)),
            },
        }
    }
}

/// Asks the filter about everything below `logical`, a folder before what is in it, and notes the
/// real paths of what is kept.
fn select(
    logical: &Path,
    real: &Path,
    filter: &mut Filter<'_>,
    kept: &mut BTreeSet<PathBuf>,
) -> IoResult<()> {
    let root = fs::symlink_metadata(real).map_err(failure("look at", logical))?;
    // A list, not recursion: folders may be nested as deeply as someone likes.
    let mut open = Vec::new();
    if root.is_dir() {
        open.extend(entries(logical, real)?);
    }
    while let Some((logical, entry)) = open.pop() {
        let file_type = entry.file_type().map_err(failure("look at", &logical))?;
        if filter(&logical, kind(file_type))? {
            let real = entry.path();
            if file_type.is_dir() {
                open.extend(entries(&logical, &real)?);
            }
            kept.insert(real);
        }
    }
    Ok(())
}

/// What is in a folder, with logical paths, the last first.
fn entries(logical: &Path, real: &Path) -> IoResult<Vec<(PathBuf, fs::DirEntry)>> {
    let mut entries = fs::read_dir(real)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(failure("list", logical))?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    let with_path = |entry: fs::DirEntry| (logical.join(entry.file_name()), entry);
    Ok(entries.into_iter().map(with_path).collect())
}

/// `path` from `folder` on, without `.` and `..`.
pub(super) fn absolute(folder: &Path, path: &Path) -> PathBuf {
    use std::path::Component;
    let mut normal = PathBuf::from("/");
    for component in folder.join(path).components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::Normal(name) => normal.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    normal
}

/// The bytes of a plain file. A pipe nobody writes to must not stop the evaluation for ever, and a
/// device without end must not fill the memory.
fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let metadata = file.metadata()?;
    match special(&metadata) {
        None => {
            let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        Some("device") => read_device(&file),
        Some(kind) => Err(io::Error::other(format!("it is a {kind}, not a file"))),
    }
}

fn read_device(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(ENDLESS + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ENDLESS {
        return Err(io::Error::other(
            "it is a device that gives no end of bytes",
        ));
    }
    Ok(bytes)
}

/// What a file is, if it is not a plain one.
fn special(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("directory"),
        () if kind.is_fifo() => Some("named pipe"),
        () if kind.is_socket() => Some("socket"),
        () => Some("device"),
    }
}

fn kind(file_type: fs::FileType) -> FileType {
    match () {
        () if file_type.is_file() => FileType::Regular,
        () if file_type.is_dir() => FileType::Directory,
        () if file_type.is_symlink() => FileType::Symlink,
        () => FileType::Unknown,
    }
}

/// Nothing is there: a component is absent, or one on the way is no folder.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// `cannot <verb> '<path>': <cause>`.
fn failure<'a>(verb: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> IoFailure + 'a {
    move |error| {
        let kind = if is_absence(&error) {
            FailureKind::NotFound
        } else {
            FailureKind::Other
        };
        IoFailure {
            kind,
            message: format!("cannot {verb} '{}': {}", path.display(), cause(&error)),
        }
    }
}

/// The cause in words, without the operating system's number.
pub(super) fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => text.to_owned(),
    }
}
