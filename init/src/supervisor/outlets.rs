//! Where a service's processes write to, if not into its log: nowhere, or into files.
//!
//! Files are opened by us, since they are root's. So nobody whose folder one lies in leads us elsewhere: no link at its end
//! is followed, and one on the way only to what is its owner's. Nobody is waited for, such as the other end of a pipe.
//!
//! Source: `StandardOutput=` in systemd.exec(5).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cairn_system::{Outlet, Process};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use super::listening;

/// The rights of a file that is made, but for what the file's mask takes.
const MODE: u32 = 0o644;

/// Where output and errors go; none: into the log.
#[derive(Debug, Default)]
pub struct Outlets {
    /// Descriptor 1.
    pub output: Option<OwnedFd>,
    /// Descriptor 2.
    pub error: Option<OwnedFd>,
}

impl Outlets {
    /// Opens what the process is to write to.
    ///
    /// # Errors
    /// A file cannot be opened or made: the message names it.
    pub fn open(process: &Process) -> io::Result<Self> {
        let (output, error) = (process.output.as_deref(), process.error.as_deref());
        let opened = output.map(open).transpose()?.flatten();
        let error = match error {
            Some(outlet) if Some(outlet) != output => open(outlet)?,
            _ => opened.as_ref().map(OwnedFd::try_clone).transpose()?,
        };
        Ok(Self {
            output: opened,
            error,
        })
    }
}

fn open(outlet: &Outlet) -> io::Result<Option<OwnedFd>> {
    let (path, flags) = match outlet {
        Outlet::Log => return Ok(None),
        Outlet::Null => {
            let null = OpenOptions::new().write(true).open("/dev/null")?;
            return Ok(Some(null.into()));
        }
        Outlet::File(path) => (path, OFlag::empty()),
        Outlet::Append(path) => (path, OFlag::O_APPEND),
        Outlet::Truncate(path) => (path, OFlag::O_TRUNC),
    };
    open_file(Path::new(path), flags)
        .map(|file| Some(file.into()))
        .map_err(|error| {
            let message = format!("cannot open {path} for what it writes: {error}");
            io::Error::new(error.kind(), message)
        })
}

fn open_file(path: &Path, flags: OFlag) -> io::Result<File> {
    let path = cairn_activate::place_to_change(path).map_err(io::Error::other)?;
    let flags = flags
        | OFlag::O_WRONLY
        | OFlag::O_CREAT
        | OFlag::O_CLOEXEC
        | OFlag::O_NOCTTY
        | OFlag::O_NONBLOCK;
    let how = OpenHow::new()
        .flags(flags)
        .mode(Mode::from_bits_truncate(MODE))
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let file = File::from(openat2(AT_FDCWD, &path, how)?);
    listening::block(file.as_fd(), true)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn files_are_made_added_to_and_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let name = || path.display().to_string();
        let write = |outlet: Outlet, text: &str| {
            let opened = open(&outlet).unwrap().unwrap();
            File::from(opened).write_all(text.as_bytes()).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        assert_eq!(write(Outlet::File(name()), "xyz"), "xyz");
        assert_eq!(write(Outlet::File(name()), "a"), "ayz");
        assert_eq!(write(Outlet::Append(name()), "b"), "ayzb");
        assert_eq!(write(Outlet::Truncate(name()), "c"), "c");
    }

    #[test]
    fn no_link_and_no_pipe_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::os::unix::fs::symlink(path("target"), path("link")).unwrap();
        nix::unistd::mkfifo(path("pipe").as_str(), Mode::S_IRWXU).unwrap();
        for name in ["link", "pipe", "none/file"] {
            let error = open(&Outlet::Append(path(name))).unwrap_err().to_string();
            assert!(error.contains(&path(name)), "{error}");
        }
        assert!(!Path::new(&path("target")).exists());
    }

    #[test]
    fn errors_go_where_output_goes_unless_they_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = || {
            Some(Box::new(Outlet::File(
                folder.path().join("out").display().to_string(),
            )))
        };
        let open = |output, error| {
            let process = Process {
                output,
                error,
                ..Process::default()
            };
            let opened = Outlets::open(&process).unwrap();
            (opened.output.is_some(), opened.error.is_some())
        };
        assert_eq!(open(None, None), (false, false));
        assert_eq!(open(file(), None), (true, true));
        assert_eq!(open(file(), Some(Box::new(Outlet::Log))), (true, false));
        assert_eq!(open(None, Some(Box::new(Outlet::Null))), (false, true));
    }
}
