//! A virtual machine: what it consists of, and the running one.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;

use cairn_test_agent::PORT_NAME;

use crate::accelerator::Accelerator;
use crate::agent::Agent;
use crate::artefacts;
use crate::console::Console;
use crate::firmware::Ovmf;
use crate::process::{Process, QEMU};
use crate::qmp::Qmp;
use crate::timeline::Timeline;

/// QEMU opens its sockets at once, unless the host is very busy.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What the machine boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// SeaBIOS, from the first disk.
    Bios,
    /// OVMF, from the first disk.
    Uefi,
    /// A kernel that QEMU itself puts into memory.
    Direct(DirectKernel),
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

/// A disk of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// A raw image; it is never written to.
    pub image: PathBuf,
    /// Where writes go.
    pub writes: Writes,
    /// How it is attached.
    pub bus: Bus,
}

/// Where a guest's writes to a disk go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// To a temporary overlay that survives the guest's reboots, but not the machine.
    Discarded,
    /// To a sparse copy, which can be looked at when the machine has ended: [`Machine::disk`].
    Copied,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// Paravirtual block device, `/dev/vda`.
    VirtioBlk,
    /// Paravirtual SCSI, `/dev/sda`.
    VirtioScsi,
    /// SATA, `/dev/sda`; cloud kernels have no driver for it.
    Ahci,
    /// `/dev/nvme0n1`.
    Nvme,
    /// A USB 3 stick; cloud kernels have no driver for it.
    Usb,
}

/// What machine to build.
#[derive(Debug, Clone)]
pub struct Blueprint {
    name: String,
    boot: Boot,
    disks: Vec<Disk>,
    memory_mib: u32,
    processors: u32,
    ssh: bool,
    deadline: Duration,
    accelerator: Option<Accelerator>,
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
        let command_file = folder.join("qemu.args");
        fs::write(&command_file, arguments.join("\n"))
            .with_context(|| format!("cannot write {}", command_file.display()))?;

        let start = Instant::now();
        let deadline = start + self.deadline;
        let log = folder.join("qemu.log");
        let process = Process::start(arguments, &log)?;
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
            accelerator,
            ssh_port: parts.ssh_port,
            disks: parts.disks.into_iter().map(|(path, _)| path).collect(),
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
            None => Accelerator::detect(),
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
                Writes::Discarded => (disk.image.clone(), "on"),
                Writes::Copied => {
                    let copy = scratch.join(format!("disk-{index}.img"));
                    copy_sparsely(&disk.image, &copy)?;
                    (copy, "off")
                }
            });
        }
        let ovmf = match self.boot {
            Boot::Uefi => Some(Ovmf::prepare(scratch)?),
            Boot::Bios | Boot::Direct(_) => None,
        };
        let ssh_port = if self.ssh { Some(free_port()?) } else { None };
        Ok(Parts {
            accelerator,
            disks,
            ovmf,
            ssh_port,
        })
    }

    /// QEMU's arguments, without the sockets.
    fn arguments(&self, parts: &Parts) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&[
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-vga",
            "std",
        ]);
        add(&["-machine", "q35", "-m", &self.memory_mib.to_string()]);
        add(&["-smp", &self.processors.to_string(), "-name", &self.name]);
        add(&parts.accelerator.arguments());
        if let Some(ovmf) = &parts.ovmf {
            let code = format!(
                "if=pflash,format=raw,readonly=on,file={}",
                ovmf.code.display()
            );
            let variables = format!("if=pflash,format=raw,file={}", ovmf.variables.display());
            add(&["-drive", &code, "-drive", &variables]);
        }
        if let Boot::Direct(direct) = &self.boot {
            add(&["-kernel", &direct.kernel.display().to_string()]);
            add(&["-append", &direct.command_line]);
            if let Some(initrd) = &direct.initrd {
                add(&["-initrd", &initrd.display().to_string()]);
            }
        }
        for (index, (disk, (path, snapshot))) in self.disks.iter().zip(&parts.disks).enumerate() {
            // A file name with a comma doubles it.
            let path = path.display().to_string().replace(',', ",,");
            let drive = format!(
                "file={path},format=raw,if=none,id=disk{index},snapshot={snapshot},\
                 cache=unsafe,discard=unmap"
            );
            add(&["-drive", &drive]);
            for device in disk.bus.devices(index) {
                add(&["-device", &device]);
            }
        }
        let network = match parts.ssh_port {
            Some(port) => format!("user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:22"),
            None => "user,id=net0".to_owned(),
        };
        add(&[
            "-netdev",
            &network,
            "-device",
            "virtio-net-pci,netdev=net0,romfile=",
        ]);
        add(&["-device", "virtio-rng-pci"]);
        arguments
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

impl Bus {
    /// The devices that attach the drive `disk<index>`, the first disk being the one to boot. A
    /// direct kernel takes boot index 0 for itself.
    fn devices(self, index: usize) -> Vec<String> {
        let boot_index = index + 1;
        let drive = format!("drive=disk{index},bootindex={boot_index}");
        let controller = |kind: &str| format!("{kind},id=bus{index}");
        match self {
            Self::VirtioBlk => vec![format!("virtio-blk-pci,{drive}")],
            Self::VirtioScsi => {
                vec![
                    controller("virtio-scsi-pci"),
                    format!("scsi-hd,bus=bus{index}.0,{drive}"),
                ]
            }
            Self::Ahci => vec![
                controller("ich9-ahci"),
                format!("ide-hd,bus=bus{index}.0,{drive}"),
            ],
            Self::Nvme => vec![format!("nvme,serial=cairn{index},{drive}")],
            Self::Usb => {
                vec![
                    controller("qemu-xhci"),
                    format!("usb-storage,bus=bus{index}.0,{drive}"),
                ]
            }
        }
    }
}

/// What [`Blueprint::gather`] has made.
#[derive(Debug)]
struct Parts {
    accelerator: Accelerator,
    /// Each disk's file, and QEMU's word for whether writes are discarded.
    disks: Vec<(PathBuf, &'static str)>,
    ovmf: Option<Ovmf>,
    ssh_port: Option<u16>,
}

/// The sockets that this side listens on and QEMU connects to before the guest runs, so that not
/// a byte is lost.
#[derive(Debug)]
struct Sockets([UnixListener; 3]);

const SOCKETS: [&str; 3] = ["monitor", "serial", "agent"];

fn socket_arguments(scratch: &Path) -> Vec<String> {
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
    fn bind(scratch: &Path) -> anyhow::Result<Self> {
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

    fn accept(self, process: &Process, log: &Path) -> anyhow::Result<[UnixStream; 3]> {
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

fn copy_sparsely(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp")
        .args(["--sparse=always", "--reflink=auto", "--"])
        .args([from, to])
        .status()
        .context("cannot run cp")?;
    if !status.success() {
        bail!(
            "cannot copy {} to {}: cp ended with {status}",
            from.display(),
            to.display()
        );
    }
    Ok(())
}

/// A port that was free a moment ago: QEMU has no way to choose one itself.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    Ok(listener
        .local_addr()
        .context("cannot find a free port")?
        .port())
}

/// A running machine; dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    name: String,
    console: Console,
    agent: Agent,
    qmp: Qmp,
    process: Process,
    accelerator: Accelerator,
    ssh_port: Option<u16>,
    disks: Vec<PathBuf>,
    deadline: Instant,
    folder: PathBuf,
}

impl Machine {
    /// Its serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The agent in it.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// QEMU's monitor.
    #[must_use]
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// What runs its instructions.
    #[must_use]
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// The host's port that leads to its port 22, if it was asked for.
    #[must_use]
    pub fn ssh_port(&self) -> Option<u16> {
        self.ssh_port
    }

    /// The file behind a disk: its copy, or the image itself if writes are discarded.
    #[must_use]
    pub fn disk(&self, index: usize) -> Option<&Path> {
        self.disks.get(index).map(PathBuf::as_path)
    }

    /// Where its logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// When the boot reached which stage, as far as the console tells.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        Timeline::of(&self.console.lines())
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn press_power_button(&self) -> anyhow::Result<()> {
        self.qmp.execute("system_powerdown", &json!({})).map(drop)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn press_reset_button(&self) -> anyhow::Result<()> {
        self.qmp.execute("system_reset", &json!({})).map(drop)
    }

    /// Waits until the machine has powered itself off.
    ///
    /// # Errors
    /// It did not in `timeout`, or QEMU failed.
    pub fn wait_for_power_off(&self, timeout: Duration) -> anyhow::Result<()> {
        let until = (Instant::now() + timeout).min(self.deadline);
        let status: ExitStatus = self.process.wait(until)?;
        if !status.success() {
            bail!(
                "QEMU ended with {status}; see {}",
                self.folder.join("qemu.log").display()
            );
        }
        Ok(())
    }

    /// QEMU's process id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.status().is_none()
    }

    /// Runs one check of a test. If it fails, a screenshot is taken, and the message says where it
    /// and the serial log are.
    ///
    /// # Errors
    /// The check's.
    pub fn check<'machine, T>(
        &'machine self,
        what: &str,
        body: impl FnOnce(&'machine Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        let result = body(self);
        let took = begin.elapsed().as_secs_f64();
        match &result {
            Ok(_) => eprintln!("{}: {what}: ok ({took:.1} s)", self.name),
            Err(_) => eprintln!("{}: {what}: FAILED ({took:.1} s)", self.name),
        }
        result.with_context(|| format!("{}: {what}; {}", self.name, self.keep_evidence()))
    }

    /// Takes a screenshot and tells where it and the logs are.
    pub fn keep_evidence(&self) -> String {
        let logs = format!("serial log: {}", self.folder.join("serial.log").display());
        if !self.runs() {
            return format!("{logs}, no screenshot: the machine has ended");
        }
        match self.screenshot() {
            Ok(path) => format!("{logs}, screenshot: {}", path.display()),
            Err(error) => format!("{logs}, no screenshot: {error:#}"),
        }
    }

    /// Writes what its screen shows to `screen.png` in its folder.
    ///
    /// # Errors
    /// QEMU cannot, or the machine has ended.
    pub fn screenshot(&self) -> anyhow::Result<PathBuf> {
        let png = self.folder.join("screen.png");
        let arguments = json!({ "filename": png, "format": "png" });
        if self.qmp.execute("screendump", &arguments).is_ok() {
            return Ok(png);
        }
        // A QEMU before 7.1, or built without libpng.
        let ppm = self.folder.join("screen.ppm");
        self.qmp
            .execute("screendump", &json!({ "filename": ppm }))?;
        Ok(ppm)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.name, self.keep_evidence());
        }
        for copy in self
            .disks
            .iter()
            .filter(|disk| disk.starts_with(&self.folder))
        {
            if let Err(error) = fs::remove_file(copy) {
                eprintln!("cannot remove {}: {error}", copy.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_arguments_of_a_uefi_machine() {
        let blueprint = Blueprint::new("example", Boot::Uefi)
            .disk(Path::new("a,b.img"))
            .ssh();
        let parts = Parts {
            accelerator: Accelerator::Tcg,
            disks: vec![(PathBuf::from("a,b.img"), "on")],
            ovmf: Some(Ovmf {
                code: "code.fd".into(),
                variables: "variables.fd".into(),
            }),
            ssh_port: Some(2222),
        };
        expect![[r#"
            -nodefaults
            -no-user-config
            -display
            none
            -vga
            std
            -machine
            q35
            -m
            512
            -smp
            1
            -name
            example
            -accel
            tcg,thread=multi
            -cpu
            max,la57=off
            -drive
            if=pflash,format=raw,readonly=on,file=code.fd
            -drive
            if=pflash,format=raw,file=variables.fd
            -drive
            file=a,,b.img,format=raw,if=none,id=disk0,snapshot=on,cache=unsafe,discard=unmap
            -device
            virtio-blk-pci,drive=disk0,bootindex=1
            -netdev
            user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22
            -device
            virtio-net-pci,netdev=net0,romfile=
            -device
            virtio-rng-pci"#]]
        .assert_eq(&blueprint.arguments(&parts).join("\n"));
    }

    #[test]
    fn the_arguments_of_a_direct_boot() {
        let boot = Boot::Direct(DirectKernel {
            kernel: "vmlinuz".into(),
            initrd: Some("initrd".into()),
            command_line: "console=ttyS0".to_owned(),
        });
        let parts = Parts {
            accelerator: Accelerator::Kvm,
            disks: Vec::new(),
            ovmf: None,
            ssh_port: None,
        };
        let arguments = Blueprint::new("direct", boot)
            .memory_mib(256)
            .arguments(&parts);
        expect![[r#"
            -nodefaults
            -no-user-config
            -display
            none
            -vga
            std
            -machine
            q35
            -m
            256
            -smp
            1
            -name
            direct
            -accel
            kvm
            -cpu
            host
            -kernel
            vmlinuz
            -append
            console=ttyS0
            -initrd
            initrd
            -netdev
            user,id=net0
            -device
            virtio-net-pci,netdev=net0,romfile=
            -device
            virtio-rng-pci"#]]
        .assert_eq(&arguments.join("\n"));
    }

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
