//! The machine that activation changes while it is up: what stage 2 does at boot, for one file
//! system, swap space or module at a time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_activate::Failure;
use cairn_activate::live::{Busy, Machine};
use cairn_system::{Device, FileSystem, SwapDevice};
use nix::sched::{CloneFlags, setns};

use crate::autoload::{Autoload, directory_of_running_kernel};
use crate::modprobe;
use crate::stage1::hardware::Hardware;

use super::swap;

/// Modules of the kernel that runs, whichever generation is activated.
const MODULES: &str = "/run/booted-system/kernel-modules/lib/modules";

/// How long a device is waited for: it has been there since the boot, or somebody plugs it in now.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(5);

/// The running machine. Devices are looked at when the first one is asked for.
#[derive(Debug, Default)]
pub struct LiveMachine {
    hardware: Option<Hardware>,
}

impl LiveMachine {
    fn hardware(&mut self) -> Result<&mut Hardware, Failure> {
        if self.hardware.is_none() {
            let directory =
                directory_of_running_kernel(Path::new(MODULES)).map_err(Failure::new)?;
            let autoload = Autoload::open(&directory, modprobe::policy()).map_err(Failure::new)?;
            self.hardware = Some(Hardware::start(autoload, &[]).map_err(Failure::new)?);
        }
        self.hardware
            .as_mut()
            .ok_or_else(|| Failure::new("no device was looked at"))
    }

    fn node_of(&mut self, swap: &SwapDevice) -> Option<PathBuf> {
        match &swap.device {
            Device::Path(path) => Some(path.into()),
            device => {
                let hardware = self.hardware().ok()?;
                let found = hardware.wait_for(device, "swap", Duration::ZERO).ok()?;
                Some(found.node)
            }
        }
    }
}

impl Machine for LiveMachine {
    fn mount(&mut self, file_system: &FileSystem) -> Result<(), Failure> {
        let hardware = self.hardware()?;
        let problems = super::mount_all(vec![file_system.clone()], hardware, DEVICE_TIMEOUT);
        problems
            .into_iter()
            .next()
            .map_or(Ok(()), |problem| Err(Failure::new(problem)))
    }

    fn swap_on(&mut self, swap: &SwapDevice) -> Result<(), Failure> {
        let hardware = self.hardware()?;
        swap::enable_one(swap, Some(hardware), DEVICE_TIMEOUT)
            .map_err(|error| Failure::new(format!("cannot swap to {}: {error:#}", swap.device)))
    }

    fn swap_off(&mut self, swap: &SwapDevice) -> Result<(), Busy> {
        // A device that is gone is not swapped to.
        let Some(node) = self.node_of(swap) else {
            return Ok(());
        };
        match cairn_sys::swap::off(&node) {
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Err(Busy(format!(
                "memory does not suffice for what is in {}: it stays swap space",
                swap.device
            ))),
            // Not swapped to, or not there.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(Busy(format!(
                "cannot stop swapping to {}: {error}",
                swap.device
            ))),
            Ok(()) => Ok(()),
        }
    }

    fn load_module(&mut self, name: &str) -> Result<(), Failure> {
        let loaded = self.hardware()?.autoload.load(name);
        loaded
            .map(|_| ())
            .map_err(|error| Failure::new(format!("{error}; check boot.kernelModules")))
    }
}

/// Enters the mount namespace of PID 1: what is mounted in another one is nobody else's, and who
/// writes the store has one of its own.
///
/// # Errors
/// The namespace cannot be entered; the text says why.
pub fn enter_machine() -> Result<(), String> {
    const OWN: &str = "/proc/self/ns/mnt";
    const MACHINES: &str = "/proc/1/ns/mnt";
    let inode = |path: &str| {
        fs::metadata(path)
            .map(|found| (found.dev(), found.ino()))
            .map_err(|error| format!("cannot examine {path}: {error}"))
    };
    if inode(OWN)? == inode(MACHINES)? {
        return Ok(());
    }
    let entered =
        File::open(MACHINES).and_then(|namespace| Ok(setns(namespace, CloneFlags::CLONE_NEWNS)?));
    entered.map_err(|error| format!("cannot enter the machine's mount namespace: {error}"))
}
