//! Stage 1: the initrd's `/init`.
//!
//! ```text
//! the kernel's file systems -> log, console -> description and command line
//!   -> events, modules, block devices -> each mount: wait, check, mount
//!   -> a factory reset -> the store read-only -> end processes -> new root -> exec init=
//! ```
//!
//! A failure at any point ends in a report, then in a shell or a restart (`emergency`).
//! Everything waits on events, with a deadline. A boot on trial has a `guard` besides.
//!
//! Invariants: PID 1 does not panic, does not exit, and waits for no machine without a deadline;
//! nothing is written to a device but by `fsck`, by the file systems that are mounted, by a factory reset
//! that was asked for, and, when a trial fails, the report to a root that is mounted.

mod api_mounts;
pub mod block;
mod btrfs;
mod check;
pub mod command_line;
mod factory_reset;
pub mod failure;
mod handover;
pub mod hardware;
pub mod live;
pub mod mounts;
pub mod resolve;
pub mod storage;
pub mod tool;
pub mod verity;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cairn_sys::console::{self, CONSOLE};
use cairn_sys::kmsg::{self, Priority};
use cairn_system::{Stage1, boot_mark};
use log::LevelFilter;

use crate::autoload::{Autoload, directory_of_running_kernel};
use crate::clock::now;
use crate::emergency::{self, Policy, Shell, Shells};
use crate::guard;
use crate::modprobe;
use crate::stage_times;
use crate::trial_report;

use command_line::{Breakpoint, Orders, Trial, words};
use failure::Stage1Error;
use hardware::Hardware;
use mounts::Outcome;

/// The description that the initrd holds.
const DESCRIPTION: &str = "/etc/stage-1.json";
/// What becomes the root.
const ROOT: &str = "/sysroot";

/// Runs as PID 1 in the initrd; ends in executing stage 2.
pub fn run() -> ! {
    if std::process::id() != 1 {
        eprintln!("stage 1 is for the kernel to start, as PID 1 of an initrd");
        std::process::exit(64);
    }
    let start = Instant::now();
    kmsg::install("stage-1", LevelFilter::Info);
    emergency::install_panic_hook("stage 1");
    api_mounts::apply();
    kmsg::write(Priority::Notice, boot_mark::STAGE_1_STARTED);
    if let Err(error) = console::take_standard_streams(Path::new(CONSOLE)) {
        log::warn!("cannot open {CONSOLE}: {error}");
    }
    modprobe::install_in_initrd();
    let orders = orders();
    if orders.trace {
        log::set_max_level(LevelFilter::Trace);
    }
    for warning in &orders.warnings {
        log::warn!("{warning}");
    }
    guard_trial(&orders);
    let mut hasty = 0;
    loop {
        let mut attempt = Attempt {
            policy: policy(None, &orders),
            hardware: None,
        };
        let error = match attempt.boot(&orders, start) {
            Ok(Restart) => emergency::restart(),
            Err(error) => error,
        };
        let blocks = attempt.hardware.iter().flat_map(Hardware::blocks);
        emergency::tell(&failure::report(&error, blocks));
        keep_report(&orders, &error);
        emergency::after_failure(attempt.policy, &shells(), &mut hasty);
    }
}

/// What the command line asks for.
pub fn orders() -> Orders {
    const COMMAND_LINE: &str = "/proc/cmdline";
    match fs::read(COMMAND_LINE) {
        Ok(line) => Orders::from_words(&words(&String::from_utf8_lossy(&line))),
        Err(error) => {
            log::error!("cannot read {COMMAND_LINE}: {error}");
            Orders::default()
        }
    }
}

/// A boot on trial has a guard, unless a human is expected.
fn guard_trial(orders: &Orders) {
    if orders.trial.is_none() {
        return;
    }
    emergency::set_policy(policy(None, orders));
    if orders.shell_on_fail {
        log::warn!("a shell may be opened: nobody guards this trial");
    } else if let Err(error) = guard::start() {
        log::error!("nobody guards this trial: {error}");
    }
}

/// Keeps the report of a failed trial, if the new root is there to keep it.
fn keep_report(orders: &Orders, error: &Stage1Error) {
    let Some(trial) = &orders.trial else { return };
    let reason = format!("stage 1: {error}");
    trial_report::say(&reason);
    let root = Path::new(ROOT);
    // After the change of the root, it is this one.
    let root = if mounts::is_mounted(root).unwrap_or(false) {
        root
    } else if Path::new("/nix/store").is_dir() {
        Path::new("/")
    } else {
        return log::info!("no report is kept: there is no root");
    };
    trial_report::keep(root, &trial.entry, &reason);
}

fn policy(stage1: Option<&Stage1>, orders: &Orders) -> Policy {
    let default = Policy::default();
    let policy = Policy {
        shell: orders.shell_on_fail || stage1.is_some_and(|stage1| stage1.emergency_access),
        panic: orders.panic_on_fail,
        delay: stage1.map_or(default.delay, |stage1| {
            Duration::from_secs(stage1.reboot_delay_seconds.into())
        }),
        ..default
    };
    match orders.trial {
        Some(_) => policy.on_trial(orders.shell_on_fail),
        None => policy,
    }
}

/// The initrd's shell.
fn shells() -> Shells {
    Shells {
        programs: vec!["/bin/sh".into()],
        path: "/bin:/sbin".to_owned(),
        forbidden: "boot.initrd.emergencyAccess is off, and boot.shell_on_fail is not on the \
                    kernel's command line",
        missing: "the initrd has no /bin/sh; see boot.initrd.emergencyAccess",
    }
}

/// A check has repaired something that the kernel knows otherwise: restart the machine.
struct Restart;

/// One try to start the system, with what a report needs to know.
struct Attempt {
    policy: Policy,
    hardware: Option<Hardware>,
}

impl Attempt {
    /// Comes back only if a restart is wanted, or with an error.
    fn boot(&mut self, orders: &Orders, start: Instant) -> Result<Restart, Stage1Error> {
        let stage1 = description()?;
        self.policy = policy(Some(&stage1), orders);
        emergency::set_policy(self.policy);
        stop_at(Breakpoint::Start, orders);

        let directory = directory_of_running_kernel(Path::new("/lib/modules"))?;
        let autoload = Autoload::open(&directory, modprobe::policy())?;
        let hardware = Hardware::start(autoload, &stage1.kernel_modules)?;
        let hardware = self.hardware.insert(hardware);
        if let Some(trial) = &orders.trial {
            load_for_trial(trial, &mut hardware.autoload);
        }
        log::info!("devices and modules took {:?}", start.elapsed());

        let root = Path::new(ROOT);
        let timeout = Duration::from_secs(stage1.device_timeout_seconds.into());
        let timeout = timeout.max(orders.root_delay);
        hardware.open_storage(&stage1.storage, timeout);
        if let Some(device) = &stage1.storage.resume_device {
            storage::resume(hardware, device, timeout)?;
        }
        let plan = mounts::plan(&stage1, orders, root);
        for (number, mount) in plan.iter().enumerate() {
            if mounts::apply(mount, root, hardware, timeout)? == Outcome::Restart {
                log::warn!("the check of {} asks for a restart", mount.target);
                return Ok(Restart);
            }
            if number == 0 {
                stop_at(Breakpoint::Devices, orders);
            }
        }
        storage::finish(hardware, timeout)?;
        hardware.close_storage();
        mounts::look_for_copies(&plan, hardware)?;
        factory_reset::apply(stage1.factory_reset.as_ref(), orders.factory_reset, root);
        mounts::protect_store(root)?;
        stop_at(Breakpoint::Mounts, orders);
        log::info!(
            "mounted after {:?}, of which {:?} were spent waiting for devices",
            start.elapsed(),
            hardware.waited()
        );
        Err(hand_over(root, orders, start))
    }
}

/// The kernel's own watchdog, where the hardware has none, and what keeps the log in firmware. Both
/// help when they are there; neither is needed.
fn load_for_trial(trial: &Trial, autoload: &mut Autoload) {
    let has_watchdog =
        fs::read_dir("/sys/class/watchdog").is_ok_and(|mut all| all.next().is_some());
    let softdog = (trial.watchdog && !has_watchdog).then_some("softdog");
    let firmware = Path::new("/sys/firmware/efi")
        .exists()
        .then_some("efi_pstore");
    for module in softdog.into_iter().chain(firmware) {
        if let Err(error) = autoload.load(module) {
            log::info!("for the trial: {error}");
        }
    }
}

/// Executes the new init; returns only with the reason why that is not possible.
fn hand_over(root: &Path, orders: &Orders, start: Instant) -> Stage1Error {
    let Some(init) = &orders.init else {
        return Stage1Error::NoInit;
    };
    if let Err(error) = handover::check_init(root, init) {
        return error;
    }
    handover::end_processes();
    if let Err(error) = handover::switch_root(root) {
        return error;
    }
    let took = start.elapsed();
    log::info!("stage 1 took {took:?}");
    let took = u64::try_from(took.as_millis()).unwrap_or(0);
    stage_times::note("stage-1", now().saturating_sub(took));
    kmsg::write(
        Priority::Notice,
        &format!("{}{init}", boot_mark::STAGE_1_DONE),
    );
    handover::execute(init)
}

fn description() -> Result<Stage1, Stage1Error> {
    let text = fs::read_to_string(DESCRIPTION).map_err(|source| Stage1Error::Read {
        path: DESCRIPTION.into(),
        source,
    })?;
    Ok(Stage1::parse(&text)?)
}

/// Opens a shell if the command line asks for one here.
fn stop_at(breakpoint: Breakpoint, orders: &Orders) {
    if orders.breakpoint == Some(breakpoint) && emergency::shell(&shells()) == Shell::None {
        log::warn!("no shell at the breakpoint: the initrd has no /bin/sh");
    }
}
