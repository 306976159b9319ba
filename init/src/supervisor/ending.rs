//! How a service's processes are asked to end, signalled and killed.

use std::io;
use std::os::fd::AsFd;

use cairn_sys::{pidfd, signal};
use cairn_system::{KillMode, Service};
use nix::libc::{SIGCONT, SIGHUP, SIGKILL};

use super::held::{Crowd, Held};

impl Held {
    /// Asks its processes to end. One with a terminal hears of a hangup too: shells ignore SIGTERM.
    pub fn terminate(&mut self, service: &Service) {
        self.ensure_cgroup(service);
        let stop = service.stop_signal.number();
        let signals: &[i32] = match service.process.tty {
            Some(_) => &[stop, SIGHUP, SIGCONT],
            None => &[stop, SIGCONT],
        };
        let processes = self.processes(service);
        // One that is on its way into the group is not among them.
        let main = self.main.as_ref().map(|main| main.pid);
        for number in signals {
            let result = match &processes {
                Some(Ok(processes)) if service.kill_mode == KillMode::All => {
                    let is_there = main.is_none_or(|main| processes.contains(&main));
                    let others =
                        (processes.iter()).try_for_each(|process| signal::send(*process, *number));
                    others.and(if is_there {
                        Ok(())
                    } else {
                        self.send_main(*number)
                    })
                }
                _ => self.send_main(*number),
            };
            if let Err(error) = result {
                log::error!("cannot send signal {number} to '{}': {error}", service.name);
            }
        }
    }

    /// Lets its processes stand still.
    ///
    /// # Errors
    /// It has no control group, or the kernel has no such thing (Linux before 5.2).
    pub fn freeze(&mut self, service: &Service) -> io::Result<()> {
        self.ensure_cgroup(service);
        match &self.cgroup {
            Some(cgroup) => cgroup.freeze(true),
            None => Err(io::Error::other("it has no control group")),
        }
    }

    /// Lets its processes go on.
    pub fn thaw(&mut self, service: &Service) {
        self.ensure_cgroup(service);
        let thawed = self.cgroup.as_ref().map(|cgroup| cgroup.freeze(false));
        if let Some(Err(error)) = thawed {
            log::error!("cannot thaw '{}': {error}", service.name);
        }
    }

    /// Sends a signal to its main process.
    pub fn signal(&self, service: &Service, number: i32) {
        if let Err(error) = self.send_main(number) {
            log::error!("cannot send signal {number} to '{}': {error}", service.name);
        }
    }

    /// Kills all its processes that do not outlive it.
    pub fn kill(&mut self, service: &Service) {
        if !service.kind.has_process() && self.main.is_none() && self.cgroup.is_none() {
            return; // what there is of it is no process
        }
        let group = match service.kill_mode {
            KillMode::Main => Ok(()),
            KillMode::All | KillMode::Mixed => {
                self.ensure_cgroup(service);
                self.kill_cgroup()
            }
        };
        if let Err(error) = group.and(self.send_main(SIGKILL)) {
            log::error!("cannot kill '{}': {error}", service.name);
        }
    }

    /// Kills its commands beside the main process.
    pub fn kill_helpers(&mut self, service: &Service) {
        for helper in &self.helpers {
            if let Err(error) = pidfd::send(helper.pidfd.as_fd(), SIGKILL) {
                log::error!("cannot kill a command of '{}': {error}", service.name);
            }
        }
    }

    /// Kills the command that a predecessor has left beside the main process, if it is still there.
    pub fn kill_lost_helper(&mut self, service: &Service, helper: u32) {
        self.ensure_cgroup(service);
        let lost = match self.processes(service) {
            Some(Ok(processes)) => processes.contains(&helper),
            _ => false,
        };
        if lost && let Err(error) = signal::send(helper, SIGKILL) {
            log::error!("cannot kill a command of '{}': {error}", service.name);
        }
    }

    fn kill_cgroup(&mut self) -> io::Result<()> {
        match &self.cgroup {
            Some(cgroup) if self.crowd == Crowd::Unknown && cgroup.is_populated()? => {
                self.killed = true;
                cgroup.kill()
            }
            _ => Ok(()),
        }
    }

    fn send_main(&self, number: i32) -> io::Result<()> {
        match &self.main {
            Some(main) => pidfd::send(main.pidfd.as_fd(), number),
            None => Ok(()),
        }
    }
}
