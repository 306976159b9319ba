//! Files and sockets that are opened for a service: those that it has no right to, or cannot see.
//!
//! Source: `OpenFile=` in systemd.service(5).

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use cairn_system::{OpenFile, OpenMode, Service};
use nix::errno::Errno;
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::listening;

/// Opens them, in their order; what may be missing and cannot be opened is left out.
///
/// # Errors
/// One cannot be opened: the message names it.
pub fn open(service: &Service) -> io::Result<Vec<(String, OwnedFd)>> {
    let mut opened = Vec::new();
    for file in &service.process.open_files {
        match open_one(file) {
            Ok(descriptor) => {
                listening::block(descriptor.as_fd(), !service.process.non_blocking)?;
                opened.push((file.name.clone(), descriptor));
            }
            Err(error) if file.optional => {
                log::info!("'{}' goes without {}: {error}", service.name, file.path);
            }
            Err(error) => {
                let message = format!("cannot open {} for it: {error}", file.path);
                return Err(io::Error::new(error.kind(), message));
            }
        }
    }
    Ok(opened)
}

/// Nobody is waited for: neither the other end of a pipe nor a socket's server.
fn open_one(file: &OpenFile) -> io::Result<OwnedFd> {
    let path = Path::new(&file.path);
    if fs::metadata(path)?.file_type().is_socket() {
        return connect_to(path);
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NOCTTY | O_NONBLOCK);
    match file.mode {
        OpenMode::ReadOnly => &mut options,
        OpenMode::ReadWrite => options.write(true),
        OpenMode::Append => options.append(true),
        OpenMode::Truncate => options.write(true).truncate(true),
    };
    Ok(options.open(path)?.into())
}

/// A connection of the kind that the socket takes.
fn connect_to(path: &Path) -> io::Result<OwnedFd> {
    let address = UnixAddr::new(path)?;
    let kinds = [SockType::Stream, SockType::SeqPacket, SockType::Datagram];
    for kind in kinds {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let own = socket(AddressFamily::Unix, kind, flags, None)?;
        match connect(own.as_raw_fd(), &address) {
            Err(Errno::EPROTOTYPE) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(own),
        }
    }
    Err(Errno::EPROTOTYPE.into())
}
