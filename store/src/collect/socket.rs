//! The collector's ear: processes that want a path while it collects say so here.
//!
//! One thread listens on `gc-socket/socket` until the collection ends. What a path's sender may rely
//! on is decided by the lock of [`Arrivals`]: the collector holds it from the moment it looks at what
//! has arrived until what it removes is out of the database.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_store_path::StorePath;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{IoError, io_error};
use crate::temp_roots::{KEPT, SOCKET, short_name};

/// Longest line that is taken: `/nix/store/`, an object's name and a little more.
const LONGEST: usize = 4096;

/// How long a sender may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Paths that have arrived since the collector last looked.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<Vec<StorePath>>);

impl Arrivals {
    /// Nothing arrives as long as the result is held: who sends a path waits for its answer.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<StorePath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket, open for senders.
#[derive(Debug)]
pub(crate) struct Ear {
    listener: UnixListener,
    folder: File,
}

impl Ear {
    /// Makes the socket below `state`. The caller holds `gc.lock`: whatever is at its name is left
    /// from a collector that was killed.
    pub(crate) fn open(state: &Path) -> Result<Self, IoError> {
        let path = state.join(SOCKET.0);
        let socket = path.join(SOCKET.1);
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .map_err(io_error("create folder", &path))?;
        let folder = File::open(&path).map_err(io_error("open", &path))?;
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &socket)(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(short_name(&folder, SOCKET.1))
            .map_err(io_error("listen on", &socket))?;
        Ok(Self { listener, folder })
    }

    /// Takes paths until `stop` has been closed at its other end.
    pub(crate) fn listen(&self, stop: BorrowedFd<'_>, arrivals: &Arrivals) {
        let mut senders: Vec<Sender> = Vec::new();
        loop {
            let mut wanted = vec![
                PollFd::new(stop, PollFlags::POLLIN),
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
            ];
            let streams = senders.iter().map(|sender| sender.stream.as_fd());
            wanted.extend(streams.map(|stream| PollFd::new(stream, PollFlags::POLLIN)));
            match poll(&mut wanted, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => {
                    log::error!("cannot wait for those who want store paths: {error}");
                    return;
                }
                Ok(_) => {}
            }
            let mut ready = wanted.iter().map(|one| one.any().unwrap_or(true));
            if ready.next() == Some(true) {
                return;
            }
            let has_new = ready.next() == Some(true);
            let mut ready: Vec<bool> = ready.collect();
            ready.reverse();
            senders.retain_mut(|sender| match ready.pop() {
                Some(true) => sender.take(arrivals),
                _ => true,
            });
            if has_new {
                match self.listener.accept() {
                    Ok((stream, _)) => senders.extend(Sender::new(stream)),
                    Err(error) => log::debug!("cannot accept a connection: {error}"),
                }
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let removed = fs::remove_file(short_name(&self.folder, SOCKET.1));
        if let Err(error) = removed {
            log::debug!("cannot remove the collector's socket: {error}");
        }
    }
}

struct Sender {
    stream: UnixStream,
    line: Vec<u8>,
}

impl Sender {
    fn new(stream: UnixStream) -> Option<Self> {
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        Some(Self {
            stream,
            line: Vec::new(),
        })
    }

    /// Reads what is there, and answers each whole line; false at the end.
    fn take(&mut self, arrivals: &Arrivals) -> bool {
        let mut block = [0; LONGEST];
        let count = match self.stream.read(&mut block) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        self.line
            .extend_from_slice(block.get(..count).unwrap_or_default());
        let (paths, rest) = match parse(&self.line) {
            Ok(parsed) => parsed,
            Err(what) => {
                log::warn!("a process wants '{what}', which is no store path");
                return false;
            }
        };
        self.line = rest.to_vec();
        let answers = vec![KEPT; paths.len()];
        arrivals.lock().extend(paths);
        self.line.len() <= LONGEST && self.stream.write_all(&answers).is_ok()
    }
}

/// The paths of all whole lines, and what follows them; or a line that is none.
fn parse(text: &[u8]) -> Result<(Vec<StorePath>, &[u8]), String> {
    let end = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let (lines, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    let paths = lines
        .strip_suffix(b"\n")
        .into_iter()
        .flat_map(|lines| lines.split(|&byte| byte == b'\n'))
        .map(|line| {
            let line = String::from_utf8_lossy(line);
            line.parse().map_err(|_| line.into_owned())
        });
    Ok((paths.collect::<Result<_, _>>()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "/nix/store/00000000000000000000000000000001-one";

    #[test]
    fn lines_come_in_any_pieces() {
        assert_eq!(parse(b"").unwrap(), (vec![], &b""[..]));
        assert_eq!(parse(b"/nix/st").unwrap(), (vec![], &b"/nix/st"[..]));
        let text = format!("{ONE}\n{ONE}\n/nix");
        let (paths, rest) = parse(text.as_bytes()).unwrap();
        assert_eq!((paths.len(), rest), (2, &b"/nix"[..]));
        assert_eq!(parse(b"/etc/passwd\n").unwrap_err(), "/etc/passwd");
        assert_eq!(parse(b"\n").unwrap_err(), "");
    }

    proptest! {
        #[test]
        fn whatever_arrives(text in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((_, rest)) = parse(&text) {
                prop_assert!(!rest.contains(&b'\n'));
            }
        }
    }
}
