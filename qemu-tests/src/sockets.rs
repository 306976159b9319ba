//! The sockets between this side and a machine: monitor, serial console, agent.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use cairn_test_agent::PORT_NAME;

use crate::process::Process;

/// QEMU opens its sockets at once, unless the host is very busy.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The sockets that this side listens on and QEMU connects to before the guest runs, so that not
/// a byte is lost.
#[derive(Debug)]
pub(crate) struct Sockets([UnixListener; 3]);

const SOCKETS: [&str; 3] = ["monitor", "serial", "agent"];

/// QEMU's arguments for the sockets in `scratch`.
pub(crate) fn socket_arguments(scratch: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    for name in SOCKETS {
        arguments.push("-chardev".to_owned());
        arguments.push(format!(
            "socket,id={name},path={}",
            scratch.join(name).display()
        ));
    }
    let port = format!("virtserialport,chardev=agent,name={PORT_NAME}");
    let devices = [
        "-mon",
        "chardev=monitor,mode=control",
        "-serial",
        "chardev:serial",
        "-device",
    ];
    arguments.extend(
        devices
            .into_iter()
            .chain(["virtio-serial-pci", "-device"])
            .map(str::to_owned),
    );
    arguments.push(port);
    arguments
}

impl Sockets {
    /// Listens in `scratch`.
    pub(crate) fn bind(scratch: &Path) -> anyhow::Result<Self> {
        let [monitor, serial, agent] = SOCKETS.map(|name| {
            let path = scratch.join(name);
            let listener = UnixListener::bind(&path)
                .with_context(|| format!("cannot listen on {}", path.display()))?;
            listener
                .set_nonblocking(true)
                .context("cannot make a socket non-blocking")?;
            anyhow::Ok(listener)
        });
        Ok(Self([monitor?, serial?, agent?]))
    }

    /// Waits until QEMU has connected to all; what it says goes to `log`.
    pub(crate) fn accept(self, process: &Process, log: &Path) -> anyhow::Result<[UnixStream; 3]> {
        let until = Instant::now() + START_TIMEOUT;
        let [monitor, serial, agent] = self
            .0
            .map(|listener| accept(&listener, process, log, until));
        Ok([monitor?, serial?, agent?])
    }
}

fn accept(
    listener: &UnixListener,
    process: &Process,
    log: &Path,
    until: Instant,
) -> anyhow::Result<UnixStream> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream
                    .set_nonblocking(false)
                    .context("cannot make a socket blocking")?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot accept QEMU's connection"),
        }
        if let Some(status) = process.status() {
            let complaint = fs::read_to_string(log).unwrap_or_default();
            let complaint = complaint.trim();
            if status.code() == Some(127) {
                bail!("cannot start QEMU: {complaint}; apt-get install qemu-system-x86");
            }
            bail!("cannot start QEMU: it ended with {status}: {complaint}");
        }
        if Instant::now() > until {
            bail!("cannot start QEMU: it did not open its sockets in time");
        }
        let mut descriptors = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        // Woken by the connection; the timeout is for a QEMU that ends without connecting.
        poll(&mut descriptors, PollTimeout::from(100_u8)).context("cannot wait for QEMU")?;
    }
}
