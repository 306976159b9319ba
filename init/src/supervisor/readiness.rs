//! Whether processes are ready that do not say so on the socket of notifications: by a line feed on a descriptor
//! of their own, or by listening on a port.
//!
//! Core keeps the end of such a pipe that is read, as it keeps other descriptors: a process that becomes ready
//! while there is no supervisor is heard by the next one, and does not write into the void.
//!
//! Source: s6's `notification-fd`; `proc_net_tcp.rst` of the kernel, `proc_pid_fd(5)`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cairn_sys::cgroup::Cgroup;
use cairn_sys::process;
use cairn_system::Readiness;
use cairn_system::ordered;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;

use super::Supervisor;
use super::given::READY;
use super::graph::Id;
use super::services::Event;
use super::source::{Source, unwatch, watch};

impl Supervisor {
    /// The end to write to of a new pipe, and the number that it is to have in the process, if that is how it
    /// says that it is ready.
    pub(super) fn readiness_pipe(&mut self, id: Id) -> io::Result<Option<(u8, OwnedFd)>> {
        let service = self.services.descriptions().get(id);
        let Some(Readiness::Descriptor(number)) = service.and_then(|s| s.readiness.as_ref()) else {
            return Ok(None);
        };
        let number = *number;
        self.drop_readiness_pipe(id);
        let (reader, writer) = process::pipe()?;
        self.own(id, READY, String::new(), reader)?;
        self.watch_readiness(id)?;
        Ok(Some((number, writer)))
    }

    /// Waits for what comes through the pipe, if there is one.
    pub(super) fn watch_readiness(&self, id: Id) -> io::Result<()> {
        let own = self.held.get(id).map(|held| held.own.as_slice());
        let pipe = own
            .unwrap_or_default()
            .iter()
            .find(|own| own.number == READY);
        pipe.map_or(Ok(()), |pipe| {
            let reader = pipe.descriptor.as_fd();
            watch(
                &self.epoll,
                reader,
                Source::Readiness(id),
                EpollFlags::EPOLLIN,
            )
        })
    }

    /// Nothing is waited for any more.
    pub(super) fn drop_readiness_pipe(&mut self, id: Id) {
        let own = self.held.get(id).map(|held| held.own.as_slice());
        let pipe = own
            .unwrap_or_default()
            .iter()
            .find(|own| own.number == READY);
        if let Some(pipe) = pipe {
            unwatch(&self.epoll, pipe.descriptor.as_fd());
            self.let_go(id, |own| own.number == READY);
        }
    }

    /// Something has come through the pipe, or nothing can any more. What is written before the line feed means
    /// nothing.
    pub(super) fn readiness_news(&mut self, id: Id) {
        let own = self.held.get(id).map(|held| held.own.as_slice());
        let pipe = own
            .unwrap_or_default()
            .iter()
            .find(|own| own.number == READY);
        let Some(pipe) = pipe else { return };
        let mut buffer = [0; 512];
        let is_ready = match nix::unistd::read(&pipe.descriptor, &mut buffer) {
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Err(error) => {
                log::error!("cannot hear whether '{}' is ready: {error}", self.name(id));
                false
            }
            Ok(0) => false, // its time to come up goes on
            Ok(length) if buffer.get(..length).is_some_and(|new| new.contains(&b'\n')) => true,
            Ok(_) => return,
        };
        self.drop_readiness_pipe(id);
        if is_ready {
            self.step(Event::Ready(id));
        }
    }

    /// Whether a process of it listens on the port that it is to; then it is ready.
    pub(super) fn probe(&mut self, id: Id) -> Option<Event> {
        let service = self.services.descriptions().get(id)?;
        let Some(Readiness::Port(port)) = &service.readiness else {
            return None;
        };
        let held = self.held.get_mut(id)?;
        let main = held.main.as_ref()?.pid;
        // Those of its own network, if it has one.
        let sockets: BTreeSet<u64> = ordered::set(
            ["tcp", "tcp6"]
                .into_iter()
                .filter_map(|table| fs::read_to_string(format!("/proc/{main}/net/{table}")).ok())
                .flat_map(|text| listening_on(&text, *port)),
        );
        if sockets.is_empty() {
            return None;
        }
        held.ensure_cgroup(service);
        let group = held.cgroup.as_ref().map(Cgroup::all_processes);
        let processes = match group {
            Some(Ok(processes)) => processes,
            _ => vec![main],
        };
        let holds = |process: &u32| has_one_of(*process, &sockets);
        processes.iter().any(holds).then_some(Event::Ready(id))
    }
}

/// The inodes of the sockets that listen on this port, of a table as `/proc/net/tcp` has it.
fn listening_on(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let is_one = *fields.get(3)? == LISTEN && u16::from_str_radix(local, 16) == Ok(port);
        fields.get(9)?.parse().ok().filter(|_| is_one)
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// Whether the process has one of these sockets open. One that has ended has none.
fn has_one_of(process: u32, sockets: &BTreeSet<u64>) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    open.into_iter().flatten().flatten().any(|entry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let inode = target.to_str().and_then(|target| {
            let number = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            number.parse().ok()
        });
        inode.is_some_and(|inode| sockets.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:8000 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1
   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4713 1 0
";

    #[test]
    fn listeners_are_told_from_connections() {
        let found = [8080, 80, 0x8000, 0].map(|port| listening_on(TABLE, port));
        assert_eq!(found, [vec![4711], vec![4713], vec![], vec![]]);
    }

    #[test]
    fn a_listener_is_one_of_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let sockets: BTreeSet<u64> = listening_on(&table, port).into_iter().collect();
        assert!(has_one_of(std::process::id(), &sockets));
        drop(listener);
        assert!(!has_one_of(std::process::id(), &sockets));
    }

    proptest! {
        #[test]
        fn any_table_is_read_without_a_panic(text in "(sl\n)?([0-9A-F: a-z]{0,40}\n){0,5}", port: u16) {
            listening_on(&text, port);
        }
    }
}
