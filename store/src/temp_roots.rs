//! What this process needs of the store while it works: its temporary roots.
//!
//! They are in `ROOT/nix/var/nix/temproots/<process>-<n>`, each path with a zero byte after it. The
//! owner holds a lock on the file as long as it lives; a file without one is nobody's. A collector
//! holds `gc.lock` alone and reads these files once, so that a path that is wanted later must be told
//! to it: through `gc-socket/socket`, a line for each path, each answered by `1`.
//!
//! Who keeps a path and then finds it valid may rely on it; the other way round, it may be gone in
//! between. Source: what Nix 2.8 and later do.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cairn_store_path::StorePath;

use crate::error::{IoError, io_error};

/// How long to wait before a collector that is about to begin or end is asked again.
const PAUSE: Duration = Duration::from_millis(10);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The temporary roots of one open store.
#[derive(Debug)]
pub(crate) struct TempRoots {
    state: PathBuf,
    inner: Mutex<Option<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// Locked by this process.
    file: File,
    path: PathBuf,
    gc_lock: File,
    known: HashSet<StorePath>,
}

impl TempRoots {
    /// Those below `state`, `ROOT/nix/var/nix`. The file is made when it is first needed.
    pub(crate) fn new(state: PathBuf) -> Self {
        Self {
            state,
            inner: Mutex::new(None),
        }
    }

    /// Keeps `paths`, whether they are valid or not, until the process ends or this is dropped.
    pub(crate) fn keep<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a StorePath>,
    ) -> Result<(), IoError> {
        let mut slot = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = match &mut *slot {
            Some(inner) => inner,
            empty => empty.insert(Inner::create(&self.state)?),
        };
        let mut new: Vec<&StorePath> = paths
            .into_iter()
            .filter(|path| !inner.known.contains(*path))
            .collect();
        new.sort();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        inner.tell(&self.state, &new)?;
        inner.known.extend(new.into_iter().cloned());
        Ok(())
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        let slot = self
            .inner
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(inner) = slot
            && let Err(error) = fs::remove_file(&inner.path)
        {
            // A collector removes it: nobody holds its lock any more.
            log::debug!("cannot remove {}: {error}", inner.path.display());
        }
    }
}

impl Inner {
    fn create(state: &Path) -> Result<Self, IoError> {
        let gc_lock = open_gc_lock(state)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = state
                .join("temproots")
                .join(format!("{}-{number}", std::process::id()));
            let opened = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let file = match opened {
                // Of a process that is gone, or that has the same number in another namespace.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                other => other.map_err(io_error("create", &path))?,
            };
            file.lock().map_err(io_error("lock", &path))?;
            // A collector that found it before it was locked has taken it for an abandoned one.
            let length = file.metadata().map_err(io_error("read", &path))?.len();
            if length == 0 {
                return Ok(Self {
                    file,
                    path,
                    gc_lock,
                    known: HashSet::new(),
                });
            }
        }
    }

    fn tell(&mut self, state: &Path, paths: &[&StorePath]) -> Result<(), IoError> {
        loop {
            match self.gc_lock.try_lock_shared() {
                Ok(()) => {
                    let written = self.write(paths);
                    let lock = state.join(GC_LOCK);
                    self.gc_lock.unlock().map_err(io_error("unlock", lock))?;
                    return written;
                }
                Err(TryLockError::WouldBlock) => {
                    if tell_collector(state, paths)? {
                        // For the next collector.
                        return self.write(paths);
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::Error(error)) => {
                    return Err(io_error("lock", state.join(GC_LOCK))(error));
                }
            }
        }
    }

    fn write(&mut self, paths: &[&StorePath]) -> Result<(), IoError> {
        let text = each_with(paths, '\0');
        self.file
            .write_all(text.as_bytes())
            .map_err(io_error("write", &self.path))
    }
}

/// The paths as text, `end` after each.
fn each_with(paths: &[&StorePath], end: char) -> String {
    paths.iter().fold(String::new(), |mut text, path| {
        text.push_str(&path.to_string());
        text.push(end);
        text
    })
}

/// Name of the lock that a collector holds alone, below the state folder.
pub(crate) const GC_LOCK: &str = "gc.lock";

/// Opens that lock.
pub(crate) fn open_gc_lock(state: &Path) -> Result<File, IoError> {
    let path = state.join(GC_LOCK);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("create lock", &path))
}

/// Folder of the collector's socket, below the state folder, and the socket's name in it.
pub(crate) const SOCKET: (&str, &str) = ("gc-socket", "socket");

/// The answer to a path that is kept.
pub(crate) const KEPT: u8 = b'1';

/// Tells the collector that is running; false if there is none, or if it ended meanwhile.
fn tell_collector(state: &Path, paths: &[&StorePath]) -> Result<bool, IoError> {
    let folder = state.join(SOCKET.0);
    let exchange = || -> io::Result<()> {
        let mut stream = UnixStream::connect(short_name(&File::open(&folder)?, SOCKET.1))?;
        // A few at a time, so that neither side waits for the other to read.
        for some in paths.chunks(64) {
            stream.write_all(each_with(some, '\n').as_bytes())?;
            let mut answers = vec![0; some.len()];
            stream.read_exact(&mut answers)?;
            if answers.iter().any(|answer| *answer != KEPT) {
                return Err(io::Error::other("the garbage collector answers nonsense"));
            }
        }
        Ok(())
    };
    match exchange() {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionReset
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(io_error("use", folder.join(SOCKET.1))(error)),
    }
}

/// A name of `folder/<name>` that fits into a socket's address, however long the folder's is.
pub(crate) fn short_name(folder: &File, name: &str) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name)
}
