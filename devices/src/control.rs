//! The socket by which the device manager is asked for something.
//!
//! A line is answered by a line: `sync` by `ok` once all that the kernel has said is in the queue, `reload` once the rules
//! were read anew; what cannot be done by the reason. Only root may open it.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::path::{self, named};

/// So long a client may take to say what it wants: everything else waits.
const PATIENCE: Duration = Duration::from_millis(500);

/// Longest request, in bytes.
const REQUEST_BYTES: u64 = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// To be told when the kernel's news are in the queue.
    Sync,
    /// To read the rules anew.
    Reload,
}

/// The socket.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
}

impl Control {
    /// Listens at `path`, in place of whoever did before.
    ///
    /// # Errors
    /// The file system's.
    pub fn listen(path: &Path) -> io::Result<Self> {
        // Nobody finds none meanwhile, nor one that is everybody's.
        let new = path.with_extension("new");
        path::remove(&new)?;
        let listener = UnixListener::bind(&new).map_err(|error| named(&new, &error))?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))
            .map_err(|error| named(&new, &error))?;
        fs::rename(&new, path).map_err(|error| named(path, &error))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// The next client; none if nobody waits.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn accept(&self) -> io::Result<Option<Client>> {
        match self.listener.accept() {
            Ok((socket, _)) => Ok(Some(Client { socket })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // It has gone before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Who asks.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
}

impl Client {
    /// What it wants.
    ///
    /// # Errors
    /// It does not say it in time, or it is no request.
    pub fn request(&self) -> io::Result<Request> {
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(PATIENCE))?;
        self.socket.set_write_timeout(Some(PATIENCE))?;
        let mut line = String::new();
        BufReader::new((&self.socket).take(REQUEST_BYTES)).read_line(&mut line)?;
        match line.trim_end() {
            "sync" => Ok(Request::Sync),
            "reload" => Ok(Request::Reload),
            other => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("'{other}' is no request: sync, reload"),
            )),
        }
    }

    /// Answers. That it has gone is its matter.
    pub fn answer(mut self, answer: &str) {
        if let Err(error) = writeln!(self.socket, "{answer}") {
            log::debug!("a client of the control socket has gone: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(request: &str) -> (io::Result<Request>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        fs::write(&path, "left by another").unwrap();
        let control = Control::listen(&path).unwrap();
        assert!(control.accept().unwrap().is_none());
        let mut socket = UnixStream::connect(&path).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let client = control.accept().unwrap().unwrap();
        let request = client.request();
        client.answer("ok");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        (request, answer)
    }

    #[test]
    fn requests_are_lines() {
        assert_eq!(asked("sync\n").0.unwrap(), Request::Sync);
        let (request, answer) = asked("reload\n");
        assert_eq!((request.unwrap(), &*answer), (Request::Reload, "ok\n"));
        let error = asked("none\n").0.unwrap_err().to_string();
        assert_eq!(error, "'none' is no request: sync, reload");
        assert!(asked("").0.is_err(), "a client that says nothing");
    }
}
