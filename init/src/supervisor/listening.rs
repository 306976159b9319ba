//! What a socket listens on: opened, and closed with what it has left in the file system.
//!
//! Source: `systemd.socket(5)`, `socket(7)`, `ip(7)`, `ipv6(7)`, `unix(7)`, `netlink(7)`, `fifo(7)`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cairn_system::{Address, Listen, NetlinkFamily, Socket};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
    SockaddrLike, UnixAddr, bind, getsockname, getsockopt, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};

use super::accounts;

/// Opens all that `socket` listens on; it is all open, or nothing is.
///
/// # Errors
/// The first that cannot be: the message names it.
pub fn open(socket: &Socket) -> io::Result<Vec<OwnedFd>> {
    let credentials = accounts::credentials(
        Path::new("/etc"),
        socket.user.as_ref(),
        socket.group.as_ref(),
        &[],
    )
    .map_err(io::Error::other)?;
    let owner = (
        Uid::from_raw(credentials.uid),
        Gid::from_raw(credentials.gid),
    );
    let mut opened: Vec<OwnedFd> = Vec::new();
    for listen in &socket.listen {
        match open_one(socket, listen, owner) {
            Ok(descriptor) => opened.push(descriptor),
            Err(error) => {
                for descriptor in opened {
                    close(socket, descriptor.as_fd());
                }
                let text = format!("cannot listen on {listen}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
    if let Err(error) = make_links(socket) {
        for descriptor in opened {
            close(socket, descriptor.as_fd());
        }
        return Err(error);
    }
    Ok(opened)
}

/// Before a descriptor of `socket` is closed: removes its file and the links to that.
pub fn close(socket: &Socket, descriptor: BorrowedFd<'_>) {
    let path = file_of(descriptor);
    remove_file(descriptor);
    let links = socket.links.iter().map(Path::new);
    for link in links.filter(|link| path.is_some() && fs::read_link(link).ok() == path) {
        if let Err(error) = fs::remove_file(link) {
            log::warn!("cannot remove {}: {error}", link.display());
        }
    }
}

/// Removes the file of a socket or pipe, if it has one. What is something else by now stays.
pub fn remove_file(descriptor: BorrowedFd<'_>) {
    let Some(path) = file_of(descriptor) else {
        return;
    };
    let is_one = fs::symlink_metadata(&path)
        .is_ok_and(|metadata| metadata.file_type().is_socket() || metadata.file_type().is_fifo());
    if is_one && let Err(error) = fs::remove_file(&path) {
        log::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Whether reads and writes of whoever is given it wait, whatever the last one has asked for.
///
/// # Errors
/// The descriptor does not allow it.
pub fn block(descriptor: BorrowedFd<'_>, wait: bool) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_NONBLOCK) == wait {
        fcntl(descriptor, FcntlArg::F_SETFL(flags ^ OFlag::O_NONBLOCK))?;
    }
    Ok(())
}

/// The path of a socket or pipe, if it has one.
fn file_of(descriptor: BorrowedFd<'_>) -> Option<PathBuf> {
    if let Ok(address) = getsockname::<UnixAddr>(descriptor.as_raw_fd()) {
        // A connection has the address of the socket that it came in at.
        let is_bound = getsockopt(&descriptor, sockopt::AcceptConn) == Ok(true)
            || getsockopt(&descriptor, sockopt::SockType) == Ok(SockType::Datagram);
        return address.path().filter(|_| is_bound).map(Path::to_owned);
    }
    let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let is_pipe = fs::metadata(&path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    is_pipe.then(|| fs::read_link(path).ok())?
}

fn open_one(socket: &Socket, listen: &Listen, owner: (Uid, Gid)) -> io::Result<OwnedFd> {
    match listen {
        Listen::Stream(address) => at(socket, address, SockType::Stream, owner),
        Listen::Datagram(address) => at(socket, address, SockType::Datagram, owner),
        Listen::SequentialPacket(address) => at(socket, address, SockType::SeqPacket, owner),
        Listen::Fifo(path) => pipe(socket, Path::new(path.as_str()), owner),
        Listen::Special(path) => {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
            Ok(options.open(path.as_str())?.into())
        }
        Listen::Netlink(family) => netlink(*family),
    }
}

fn at(
    socket: &Socket,
    address: &Address,
    kind: SockType,
    owner: (Uid, Gid),
) -> io::Result<OwnedFd> {
    match address {
        Address::Internet(address) => internet(socket, *address, kind),
        Address::Abstract(name) => {
            let descriptor = new(AddressFamily::Unix, kind, None)?;
            bind(
                descriptor.as_raw_fd(),
                &UnixAddr::new_abstract(name.as_bytes())?,
            )?;
            ready(socket, descriptor, kind)
        }
        Address::Path(path) => {
            let path = Path::new(path.as_str());
            make_room(socket, path)?;
            let descriptor = new(AddressFamily::Unix, kind, None)?;
            // Nobody gets at it before its rights are what they are to be.
            let before = umask(Mode::from_bits_truncate(0o777));
            let bound = bind(descriptor.as_raw_fd(), &UnixAddr::new(path)?);
            umask(before);
            bound?;
            give(socket, path, owner)?;
            ready(socket, descriptor, kind)
        }
    }
}

fn internet(socket: &Socket, address: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let made = new(family(address), kind, None);
    let (address, descriptor) = match made {
        // All addresses are those of IPv4 where the kernel has no others.
        Err(error)
            if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
                && address.ip() == Ipv6Addr::UNSPECIFIED =>
        {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            (address, new(family(address), kind, None)?)
        }
        made => (address, made?),
    };
    setsockopt(&descriptor, sockopt::ReuseAddr, &true)?;
    if socket.reuse_port {
        setsockopt(&descriptor, sockopt::ReusePort, &true)?;
    }
    if socket.free_bind {
        setsockopt(&descriptor, sockopt::IpFreebind, &true)?;
    }
    if let Some(only) = socket.ipv6_only.filter(|_| address.is_ipv6()) {
        setsockopt(&descriptor, sockopt::Ipv6V6Only, &only)?;
    }
    if kind == SockType::Stream {
        if socket.keep_alive {
            setsockopt(&descriptor, sockopt::KeepAlive, &true)?;
        }
        if socket.no_delay {
            setsockopt(&descriptor, sockopt::TcpNoDelay, &true)?;
        }
    }
    let to: Box<dyn SockaddrLike> = match address {
        SocketAddr::V4(address) => Box::new(SockaddrIn::from(address)),
        SocketAddr::V6(address) => Box::new(SockaddrIn6::from(address)),
    };
    bind(descriptor.as_raw_fd(), to.as_ref())?;
    ready(socket, descriptor, kind)
}

fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn new(
    family: AddressFamily,
    kind: SockType,
    protocol: Option<SockProtocol>,
) -> io::Result<OwnedFd> {
    Ok(socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol)?)
}

/// It is bound: its options follow, and connections come in from then on.
fn ready(socket: &Socket, descriptor: OwnedFd, kind: SockType) -> io::Result<OwnedFd> {
    if socket.pass_credentials {
        setsockopt(&descriptor, sockopt::PassCred, &true)?;
    }
    if socket.accept {
        // Who has connected may be gone before it is our turn.
        fcntl(&descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    if kind != SockType::Datagram {
        let longest = i32::try_from(socket.backlog).ok();
        let backlog = longest.and_then(|length| Backlog::new(length).ok());
        listen(&descriptor, backlog.unwrap_or(Backlog::MAXALLOWABLE))?;
    }
    Ok(descriptor)
}

fn pipe(socket: &Socket, path: &Path, owner: (Uid, Gid)) -> io::Result<OwnedFd> {
    make_directories(socket, path)?;
    let before = umask(Mode::from_bits_truncate(0o777));
    let made = nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o600));
    umask(before);
    match made {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    // With an end to write to of our own, it does not end when whoever has written is gone.
    let file: File = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
        .open(path)?;
    give_open(socket, &file, owner)?;
    Ok(file.into())
}

fn netlink(family: NetlinkFamily) -> io::Result<OwnedFd> {
    use SockProtocol as Known;
    let protocol = match family.protocol {
        0 => Known::NetlinkRoute,
        4 => Known::NetlinkSockDiag,
        5 => Known::NetlinkNFLOG,
        7 => Known::NetlinkSELinux,
        9 => Known::NetlinkAudit,
        12 => Known::NetlinkNetFilter,
        15 => Known::NetlinkKObjectUEvent,
        16 => Known::NetlinkGeneric,
        21 => Known::NetlinkCrypto,
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let descriptor = new(AddressFamily::Netlink, SockType::Raw, Some(protocol))?;
    bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, family.groups))?;
    Ok(descriptor)
}

/// The directories on the way are there, and a socket that is left in its place is not.
fn make_room(socket: &Socket, path: &Path) -> io::Result<()> {
    make_directories(socket, path)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::other(
            "something that is no socket is in its place",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn make_directories(socket: &Socket, path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => make_directory(parent, socket.directory_mode),
        None => Ok(()),
    }
}

/// Makes a directory and those on the way to it, where there are none.
///
/// # Errors
/// One cannot be made.
pub fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

fn give(socket: &Socket, path: &Path, owner: (Uid, Gid)) -> io::Result<()> {
    // Whoever the folder belongs to may have put something else there since.
    let mut options = OpenOptions::new();
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let file = options.read(true).custom_flags(flags.bits()).open(path)?;
    give_open(socket, &file, owner)
}

/// Gives away the file behind a descriptor.
fn give_open(socket: &Socket, file: &File, (user, group): (Uid, Gid)) -> io::Result<()> {
    let kind = file.metadata()?.file_type();
    if !kind.is_socket() && !kind.is_fifo() {
        return Err(io::Error::other("something else is in its place"));
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    nix::unistd::chown(path.as_str(), Some(user), Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(socket.mode))
}

fn make_links(socket: &Socket) -> io::Result<()> {
    let file = socket.listen.iter().find_map(|listen| match listen {
        Listen::Stream(Address::Path(path))
        | Listen::Datagram(Address::Path(path))
        | Listen::SequentialPacket(Address::Path(path))
        | Listen::Fifo(path) => Some(path.as_str()),
        _ => None,
    });
    for link in &socket.links {
        let (link, file) = (Path::new(link), file.unwrap_or_default());
        let is_link = fs::symlink_metadata(link).is_ok_and(|metadata| metadata.is_symlink());
        let removed = if is_link {
            fs::remove_file(link)
        } else {
            Ok(())
        };
        let made = removed
            .and_then(|()| make_directories(socket, link))
            .and_then(|()| symlink(file, link));
        made.map_err(|error| {
            let text = format!("cannot make the link {}: {error}", link.display());
            io::Error::new(error.kind(), text)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::peer::take;
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn socket(listen: &str) -> Socket {
        let json = format!(r#"{{"service":"x","listen":[{listen}],"mode":"0600","accept":true}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn files_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.socket");
        let mut socket = socket(&format!(r#"{{"stream":"{}"}}"#, path.display()));
        let link = folder.path().join("link");
        socket.links = vec![link.to_str().unwrap().to_owned()];
        for _ in 0..2 {
            // What an earlier one has left is no obstacle.
            let opened = open(&socket).unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            assert!(take(opened[0].as_fd()).unwrap().is_none());
            UnixStream::connect(&link).unwrap().write_all(b"x").unwrap();
            let (connection, peer) = take(opened[0].as_fd()).unwrap().unwrap();
            remove_file(connection.as_fd());
            assert!(path.exists(), "it is the socket's, and no connection's");
            assert!(peer.is_noted(&peer.note()));
            assert!(!peer.is_noted("from user 1, process 1") || peer.source == "user 1");
        }
        for descriptor in open(&socket).unwrap() {
            close(&socket, descriptor.as_fd());
        }
        assert!(!path.exists() && fs::symlink_metadata(&link).is_err());
        fs::write(&path, "mine").unwrap();
        let error = open(&socket).unwrap_err().to_string();
        assert!(
            error.ends_with("something that is no socket is in its place"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn what_is_put_in_a_sockets_place_is_given_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("secret"), "x").unwrap();
        fs::set_permissions(path("secret"), Permissions::from_mode(0o400)).unwrap();
        symlink("secret", path("socket")).unwrap();
        fs::hard_link(path("secret"), path("file")).unwrap();
        let owner = (nix::unistd::geteuid(), nix::unistd::getegid());
        let mut socket = socket("");
        socket.mode = 0o666;
        for name in ["socket", "file"] {
            let error = give(&socket, &path(name), owner).unwrap_err();
            assert_eq!(error.to_string(), "something else is in its place");
        }
        let mode = fs::metadata(path("secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
    }

    #[test]
    fn all_is_open_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let pipe = path.display();
        let socket = socket(&format!(r#"{{"fifo":"{pipe}"}},{{"stream":"/proc/x/y"}}"#));
        let error = open(&socket).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on /proc/x/y: "), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn addresses_are_taken_once() {
        // An address that no other test has.
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let own = IpAddr::V4(Ipv4Addr::new(127, 77, high, low));
        let free = std::net::TcpListener::bind((own, 0)).unwrap();
        let taken = free.local_addr().unwrap();
        let socket = socket(&format!(r#"{{"stream":"{taken}"}}"#));
        assert_eq!(
            open(&socket).unwrap_err().to_string(),
            format!("cannot listen on tcp {taken}: Address already in use (os error 98)")
        );
        drop(free);
        let opened = open(&socket).unwrap();
        let client = std::net::TcpStream::connect(taken).unwrap();
        let (_, peer) = take(opened[0].as_fd()).unwrap().unwrap();
        let port = client.local_addr().unwrap().port();
        assert_eq!(
            peer.note(),
            format!("from {}, port {port}", client.local_addr().unwrap().ip())
        );
        assert_eq!(peer.variables.len(), 2);
    }
}
