//! `modprobe`: loads modules for the kernel (`request_module`: crypto algorithms, character sets,
//! file system types), for the supervisor (devices that come), and for people.
//!
//! The kernel executes `/proc/sys/kernel/modprobe` with `-q -- <alias>`. In the initrd that is a
//! link to stage 1, in a running system the link of the booted generation: its modules are those
//! of the kernel that runs, whatever generation is active.

mod arguments;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cairn_sys::kmsg;
use cairn_sys::module;
use log::LevelFilter;

use crate::autoload::{Autoload, AutoloadError, Policy, directory_of_running_kernel};
use crate::stage1::command_line::words;

use arguments::{Arguments, Task};

/// The running system's `modprobe`: the one of the booted generation.
pub const BOOTED: &str = "/run/booted-system/modprobe";

/// The link in the initrd, and the kernel's own default.
const IN_INITRD: &str = "/sbin/modprobe";

/// Where the kernel has the program's path.
const SETTING: &str = "/proc/sys/kernel/modprobe";

/// Where modules are: in the initrd, and in a running system.
const FOLDERS: [&str; 2] = [
    "/lib/modules",
    "/run/booted-system/kernel-modules/lib/modules",
];

/// Makes this program the kernel's `modprobe` in the initrd. What needs it says so if it fails.
pub fn install_in_initrd() {
    let made = fs::create_dir_all("/sbin").and_then(|()| match symlink("/init", IN_INITRD) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    });
    match made {
        Ok(()) => install(IN_INITRD),
        Err(error) => {
            log::warn!("the kernel cannot ask for modules: cannot make {IN_INITRD}: {error}");
        }
    }
}

/// Makes the booted generation's `modprobe` the kernel's. `/run/booted-system` must be there.
pub fn install_booted() {
    if Path::new(BOOTED).exists() {
        install(BOOTED);
    } else {
        log::warn!("the kernel cannot ask for modules: {BOOTED} does not exist");
    }
}

fn install(program: &str) {
    if let Err(error) = fs::write(SETTING, program) {
        log::warn!("the kernel cannot ask for modules: cannot write {SETTING}: {error}");
    }
}

/// Does what the arguments say.
#[must_use]
pub fn run(arguments: &[OsString]) -> ExitCode {
    kmsg::install("modprobe", LevelFilter::Warn);
    match arguments::parse(arguments) {
        Ok(arguments) => ExitCode::from(u8::from(!perform(&arguments))),
        Err(error) => {
            eprintln!("modprobe: {error}");
            ExitCode::from(64)
        }
    }
}

/// Whether all of it succeeded.
fn perform(arguments: &Arguments) -> bool {
    let quiet = arguments.quiet;
    match &arguments.task {
        Task::Remove(names) => names.iter().fold(true, |all, name| {
            all & is_done(module::remove(name).map_err(AutoloadError::from), quiet)
        }),
        Task::Load(names) => match open(policy()) {
            Ok(mut autoload) => names
                .iter()
                .fold(true, |all, name| all & is_done(autoload.load(name), quiet)),
            Err(error) => is_done::<()>(Err(error), quiet),
        },
        Task::LoadWith { name, parameters } => {
            let mut policy = policy();
            policy.set_parameters(name, &parameters.join(" "));
            let loaded = open(policy).and_then(|mut autoload| autoload.load_module(name));
            is_done(loaded, quiet)
        }
        Task::Coldplug => match open(policy()) {
            Ok(mut autoload) => {
                autoload.coldplug(Path::new("/sys"));
                true
            }
            Err(error) => is_done::<()>(Err(error), quiet),
        },
    }
}

/// Reports a failure where it belongs.
fn is_done<T>(result: Result<T, AutoloadError>, quiet: bool) -> bool {
    match result {
        Ok(_) => return true,
        Err(error) if !quiet => eprintln!("modprobe: {error}"),
        // Who asks quietly asks for much that may be missing, and says itself what it needs.
        Err(AutoloadError::Unknown { .. }) => {}
        Err(AutoloadError::Module(error)) if error.has_no_device() => log::debug!("{error}"),
        Err(error) => log::warn!("{error}"),
    }
    false
}

fn open(policy: Policy) -> Result<Autoload, AutoloadError> {
    Autoload::open(&folder()?, policy)
}

/// The first folder that has modules of the running kernel.
fn folder() -> Result<PathBuf, AutoloadError> {
    let mut last = PathBuf::new();
    for modules in FOLDERS {
        last = directory_of_running_kernel(Path::new(modules))?;
        if last.exists() {
            break;
        }
    }
    Ok(last)
}

/// Module parameters and blacklist of the kernel's command line.
#[must_use]
pub fn policy() -> Policy {
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_else(|error| {
        log::warn!("module parameters are not known: cannot read /proc/cmdline: {error}");
        String::new()
    });
    let words = words(&line);
    Policy::from_parameters(
        words
            .iter()
            .map(|word| (word.key.as_str(), word.value.as_deref())),
    )
}
