//! The service `syslogd`: what programs write to `/dev/log` becomes lines of its log, each with the service whose
//! process has written it, which `cairn log` shows among that service's own.
//!
//! The socket is core's: what is written while nobody reads waits there. A message is taken when its lines are
//! written, so that none is lost whenever this process is killed; one may be there twice.
//!
//! ```text
//! <38>Nov 30 08:20:12 sshd[811]: Accepted key     from a process of the service sshd
//! -> <38>sshd sshd[811]: Accepted key
//! ```

mod message;

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use cairn_sys::datagram;
use cairn_sys::seqpacket::inherited;
use cairn_system::log_line::{Heard, LeastLevel};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use crate::realm::realm;
use message::Message;

/// The longest message; of a longer one this much is kept.
const BYTES: usize = 64 << 10;

/// The variable that says which services' messages are left out.
const LEAST_LEVELS: &str = "LEAST_LEVELS";

/// The first descriptor that a service is given, `sd_listen_fds(3)`.
const FIRST: i32 = 3;

/// Runs until somebody stops it.
pub fn run() -> ExitCode {
    let Err(error) = hear();
    eprintln!("syslogd: {error}");
    ExitCode::FAILURE
}

fn hear() -> io::Result<std::convert::Infallible> {
    let sockets = sockets()?;
    for socket in &sockets {
        setsockopt(socket, sockopt::PassCred, &true)?;
    }
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    let levels = std::env::var(LEAST_LEVELS).unwrap_or_default();
    let mut buffer = vec![0; BYTES];
    loop {
        let mut waiting: Vec<PollFd<'_>> = sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut waiting, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        for (socket, _) in
            (sockets.iter().zip(&waiting)).filter(|(_, poll)| poll.any() == Some(true))
        {
            take_one(socket.as_fd(), &mut buffer, &host, &levels)?;
        }
    }
}

/// What the service is given.
fn sockets() -> io::Result<Vec<OwnedFd>> {
    let count = std::env::var("LISTEN_FDS").ok();
    let count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    if count == 0 {
        return Err(io::Error::other("it is given no socket to listen on"));
    }
    (FIRST..).take(count).map(inherited).collect()
}

fn take_one(socket: BorrowedFd<'_>, buffer: &mut [u8], host: &str, levels: &str) -> io::Result<()> {
    let Some(datagram) = datagram::look(socket, buffer)? else {
        return Ok(());
    };
    let bytes = buffer.get(..datagram.length).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let message = Message::parse(&text, host);
    let service = realm().service_of(datagram.pid);
    let least = (service.as_deref()).and_then(|service| least_level(levels, service));
    if least.is_some_and(|least| !least.includes(message.priority)) {
        return datagram::take(socket);
    }
    let heard = Heard {
        service: service.map(Into::into),
        identifier: match message.identifier {
            Some(identifier) => identifier.into(),
            None => process_name(datagram.pid).into(),
        },
        pid: message.pid.or((datagram.pid != 0).then_some(datagram.pid)),
        text: "",
    };
    let lines = message.lines(&heard.head(), datagram.is_whole);
    io::stdout().write_all(lines.as_bytes())?;
    io::stdout().flush()?;
    datagram::take(socket)
}

/// What is left out of a service's messages, of `a=5 b@=3`; of a service of one connection, as its template says.
fn least_level(levels: &str, service: &str) -> Option<LeastLevel> {
    let template = service.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_its = |name: &str| name == service || name.ends_with('@') && name == template;
    let mut all = levels
        .split_whitespace()
        .filter_map(|word| word.split_once('='));
    let (_, level) = all.find(|(name, _)| is_its(name))?;
    level.parse::<u8>().ok()?.try_into().ok()
}

/// What a process is called that does not say so; nothing if it has ended.
fn process_name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_a_services() {
        let levels = "a=5 b@=3 c1=0 d=8 e";
        let least = |service| least_level(levels, service).map(u8::from);
        assert_eq!(least("a"), Some(5));
        assert_eq!(least("a1"), None);
        assert_eq!([least("b@"), least("b@12")], [Some(3); 2]);
        assert_eq!([least("c1"), least("c12")], [Some(0), None]);
        assert_eq!([least("d"), least("e"), least("")], [None; 3]);
    }
}
