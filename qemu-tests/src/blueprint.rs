//! What a machine consists of, and how it is started.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::agent::Agent;
use crate::artefacts;
use crate::console::Console;
use crate::disk::{Bus, Disk, Writes, copy_sparsely};
use crate::firmware::{Ovmf, Trust};
use crate::machine::Machine;
use crate::process::{Process, QEMU};
use crate::qmp::Qmp;
use crate::sockets::{Sockets, socket_arguments};
use crate::tpm;
use cairn::vm::Accelerator;

/// What the machine boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// SeaBIOS, from the first disk.
    Bios,
    /// OVMF, from the first disk.
    Uefi,
    /// OVMF with Secure Boot, from the first disk.
    SecureUefi,
    /// OVMF with Secure Boot and the keys for tests that Debian's package has, from the first disk.
    OwnedUefi,
    /// A kernel that QEMU itself puts into memory.
    Direct(DirectKernel),
    /// SeaBIOS, and from there iPXE, which takes `netboot.ipxe` of this folder by TFTP.
    Network(PathBuf),
}

/// A kernel without a boot loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectKernel {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// Its initrd.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub command_line: String,
}

/// What machine to build.
#[derive(Debug, Clone)]
pub struct Blueprint {
    pub(crate) name: String,
    pub(crate) boot: Boot,
    pub(crate) disks: Vec<Disk>,
    pub(crate) memory_mib: u32,
    pub(crate) processors: u32,
    pub(crate) ssh: bool,
    pub(crate) metadata: Option<PathBuf>,
    pub(crate) watchdog: bool,
    pub(crate) tpm: Option<PathBuf>,
    pub(crate) deadline: Duration,
    pub(crate) accelerator: Option<Accelerator>,
}

impl Blueprint {
    /// A machine with 512 MiB, one processor and no disk, that must be done in five minutes. Its
    /// logs go to `target/vm-tests/<name>/`.
    #[must_use]
    pub fn new(name: &str, boot: Boot) -> Self {
        Self {
            name: name.to_owned(),
            boot,
            disks: Vec::new(),
            memory_mib: 512,
            processors: 1,
            ssh: false,
            metadata: None,
            watchdog: false,
            tpm: None,
            deadline: Duration::from_mins(5),
            accelerator: None,
        }
    }

    /// Adds a virtio disk with this raw image; writes are discarded.
    #[must_use]
    pub fn disk(self, image: &Path) -> Self {
        self.any_disk(Disk {
            image: image.to_owned(),
            writes: Writes::Discarded,
            bus: Bus::VirtioBlk,
        })
    }

    /// Adds any disk.
    #[must_use]
    pub fn any_disk(mut self, disk: Disk) -> Self {
        self.disks.push(disk);
        self
    }

    /// Leaves all disks out that were added so far.
    #[must_use]
    pub fn without_disks(mut self) -> Self {
        self.disks.clear();
        self
    }

    /// Sets the memory, in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Sets the number of processors.
    #[must_use]
    pub fn processors(mut self, processors: u32) -> Self {
        self.processors = processors;
        self
    }

    /// Forwards a free port of the host's loopback to the guest's port 22: [`Machine::ssh_port`].
    #[must_use]
    pub fn ssh(mut self) -> Self {
        self.ssh = true;
        self
    }

    /// Has a cloud's metadata service in the guest's network, at 169.254.169.254: `program` is started for
    /// each connection, which is its standard input and output. Its path has no blanks and commas.
    #[must_use]
    pub fn metadata(mut self, program: &Path) -> Self {
        self.metadata = Some(program.to_owned());
        self
    }

    /// Adds a watchdog of hardware that resets the machine: an Intel 6300ESB.
    #[must_use]
    pub fn watchdog(mut self) -> Self {
        self.watchdog = true;
        self
    }

    /// Adds a TPM2 with what it keeps in this folder.
    #[must_use]
    pub fn tpm(mut self, state: &Path) -> Self {
        self.tpm = Some(state.to_owned());
        self
    }

    /// Sets the time after which nothing waits for this machine any more.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Uses this accelerator instead of the best that works.
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = Some(accelerator);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// QEMU or OVMF is missing, or QEMU refuses the machine: its complaint is in the message.
    pub fn start(self) -> anyhow::Result<Machine> {
        let accelerator = self.detect()?;
        let folder = artefacts::folder(&self.name)?;
        let parts = self.gather(accelerator, &folder)?;
        // Sockets' paths are short, so they lie in /tmp; connected ones need no path any more.
        let scratch = tempfile::Builder::new()
            .prefix("cairn-vm-")
            .tempdir()
            .context("cannot create a temporary folder")?;
        let sockets = Sockets::bind(scratch.path())?;
        let mut arguments = self.arguments(&parts);
        arguments.extend(socket_arguments(scratch.path()));
        let tpm = match &self.tpm {
            Some(state) => {
                arguments.extend(tpm::arguments(scratch.path()));
                let log = folder.join("swtpm.log");
                Some(tpm::start(state, scratch.path(), &log)?)
            }
            None => None,
        };
        let command_file = folder.join("qemu.args");
        fs::write(&command_file, arguments.join("\n"))
            .with_context(|| format!("cannot write {}", command_file.display()))?;

        let start = Instant::now();
        let deadline = start + self.deadline;
        let log = folder.join("qemu.log");
        let process = Process::start(QEMU, arguments, &log)?;
        let [monitor, serial, agent] = sockets.accept(&process, &log)?;
        let serial_log = folder.join("serial.log");
        let serial_log = File::create(&serial_log)
            .with_context(|| format!("cannot create {}", serial_log.display()))?;
        Ok(Machine {
            console: Console::attach(serial, serial_log, start, deadline)?,
            agent: Agent::attach(agent, deadline)?,
            qmp: Qmp::attach(monitor, start, deadline).map_err(|error| {
                // QEMU opens its sockets before it looks at all devices.
                let complaint = fs::read_to_string(&log).unwrap_or_default();
                let complaint = complaint.trim();
                error.context(format!("cannot start QEMU: it complains: {complaint}"))
            })?,
            process,
            _tpm: tpm,
            accelerator,
            ssh_port: parts.ssh_port,
            disks: parts.disks,
            start,
            deadline,
            folder,
            name: self.name,
        })
    }

    /// The command that runs this machine with the serial console on the terminal. Ctrl-A X ends
    /// it, Ctrl-A C opens QEMU's monitor.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub fn interactive(&self) -> anyhow::Result<Interactive> {
        let accelerator = self.detect()?;
        let folder = artefacts::folder(&self.name)?;
        let parts = self.gather(accelerator, &folder)?;
        let mut command = Command::new(QEMU);
        command
            .args(self.arguments(&parts))
            .args(["-serial", "mon:stdio"]);
        Ok(Interactive {
            command,
            accelerator,
            ssh_port: parts.ssh_port,
        })
    }

    fn detect(&self) -> anyhow::Result<Accelerator> {
        match self.accelerator {
            Some(accelerator) => Ok(accelerator),
            None => artefacts::accelerator(),
        }
    }

    /// Makes what the arguments name: copies of disks and variables, a free port.
    fn gather(&self, accelerator: Accelerator, scratch: &Path) -> anyhow::Result<Parts> {
        let mut disks = Vec::new();
        for (index, disk) in self.disks.iter().enumerate() {
            if !disk.image.exists() {
                bail!("cannot attach {}: it does not exist", disk.image.display());
            }
            disks.push(match disk.writes {
                Writes::Discarded => Attached::discarding(&disk.image),
                Writes::Copied | Writes::Recorded => {
                    let file = scratch.join(format!("disk-{index}.img"));
                    copy_sparsely(&disk.image, &file)?;
                    Attached {
                        file,
                        snapshot: false,
                        log: match disk.writes {
                            Writes::Recorded => Some(empty_file(scratch, index)?),
                            Writes::Copied | Writes::Discarded => None,
                        },
                    }
                }
            });
        }
        let ovmf = match self.boot {
            Boot::Uefi => Some(Ovmf::prepare(Trust::Everything, scratch)?),
            Boot::SecureUefi => Some(Ovmf::prepare(Trust::SecureBoot, scratch)?),
            Boot::OwnedUefi => Some(Ovmf::prepare(Trust::Owner, scratch)?),
            Boot::Bios | Boot::Direct(_) | Boot::Network(_) => None,
        };
        let ssh_port = if self.ssh { Some(free_port()?) } else { None };
        Ok(Parts {
            accelerator,
            disks,
            ovmf,
            ssh_port,
        })
    }
}

/// A machine for people.
#[derive(Debug)]
pub struct Interactive {
    /// Runs it.
    pub command: Command,
    /// What will run its instructions.
    pub accelerator: Accelerator,
    /// The host's port that leads to its port 22, if it was asked for.
    pub ssh_port: Option<u16>,
}

/// What [`Blueprint::gather`] has made.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) accelerator: Accelerator,
    pub(crate) disks: Vec<Attached>,
    pub(crate) ovmf: Option<Ovmf>,
    pub(crate) ssh_port: Option<u16>,
}

/// A disk's files.
#[derive(Debug)]
pub(crate) struct Attached {
    /// What is read, and written.
    pub(crate) file: PathBuf,
    /// Whether writes go to an overlay that QEMU drops.
    pub(crate) snapshot: bool,
    /// Where writes are logged.
    pub(crate) log: Option<PathBuf>,
}

impl Attached {
    pub(crate) fn discarding(image: &Path) -> Self {
        Self {
            file: image.to_owned(),
            snapshot: true,
            log: None,
        }
    }
}

/// QEMU opens a log that is there.
fn empty_file(folder: &Path, index: usize) -> anyhow::Result<PathBuf> {
    let log = folder.join(format!("disk-{index}.writes"));
    File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    Ok(log)
}

/// A port that was free a moment ago: QEMU has no way to choose one itself.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    Ok(listener
        .local_addr()
        .context("cannot find a free port")?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_is_told_before_qemu_starts() {
        let error = Blueprint::new("missing_image", Boot::Bios)
            .accelerator(Accelerator::Tcg)
            .disk(Path::new("/nonexistent.img"))
            .start()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot attach /nonexistent.img: it does not exist"
        );
    }
}
