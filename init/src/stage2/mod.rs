//! Stage 2: from the real root to core.
//!
//! ```text
//! root writable -> the kernel's file systems -> modules and devices -> the other file systems
//!   -> swap -> random seed -> activation -> /etc read-only, if asked for -> sysctl -> exec core
//! ```
//!
//! Invariant: no step is an obstacle for the next one. What fails is in the kernel log, and the
//! machine comes up as far as it can, so that somebody can log in and repair it. Only without a
//! readable `system.json` does it stop: there is nothing to come up (`emergency`).

pub mod activation;
mod api_mounts;
mod encrypted_swap;
mod live;
mod problem;
pub mod random_seed;
mod swap;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cairn_activate::live::{remember_sysctls, write_sysctl};
use cairn_sys::console::{self, CONSOLE};
use cairn_sys::kmsg::{self, Priority};
use cairn_sys::mount;
use cairn_sys::mount_options::MountOptions;
use cairn_system::{FileSystem, Stage1, Storage, SystemDescription, V1, boot_mark, trial};
use nix::mount::MsFlags;

use crate::autoload::{Autoload, directory_of_running_kernel};
use crate::clock::now;
use crate::core::{Beginning, Estate, renewal};
use crate::emergency::{self, Policy, Shells};
use crate::generation::CORE;
use crate::modprobe;
use crate::role::{ActivationMode, core_name};
use crate::stage_times;
use crate::stage1::command_line::Orders;
use crate::stage1::hardware::Hardware;
use crate::stage1::{self, mounts};
use crate::trial_report;

/// How long a device of a file system that is not needed early is waited for.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(30);

/// Prepares the system of `toplevel` and executes core; never returns.
pub fn run(toplevel: &Path, beginning: Beginning) -> ! {
    if std::process::id() != 1 {
        eprintln!("stage 2 is for stage 1 to execute, as PID 1");
        std::process::exit(64);
    }
    let began = now();
    kmsg::install("stage-2", log::LevelFilter::Info);
    emergency::install_panic_hook("stage 2");
    // Before anything else is opened. Only core leaves something, and notes that it has.
    let is_restart = Path::new(trial::RESTARTED).exists();
    let estate = (is_restart && beginning == Beginning::Handover).then(renewal::inherit);
    api_mounts::apply();
    kmsg::write(Priority::Notice, boot_mark::STAGE_2_STARTED);
    if let Err(error) = console::take_standard_streams(Path::new(CONSOLE)) {
        log::warn!("cannot open {CONSOLE}: {error}");
    }
    let orders = stage1::orders();
    if orders.trace {
        log::set_max_level(log::LevelFilter::Trace);
    }
    // In a container it is the profile that is named.
    let toplevel = &toplevel.canonicalize().unwrap_or_else(|error| {
        log::error!("cannot resolve {}: {error}", toplevel.display());
        toplevel.to_owned()
    });
    let description = description_or_emergency(toplevel, &orders);
    if is_restart {
        stage_times::forget();
        take_over(toplevel);
    } else {
        prepare(toplevel, &description);
    }
    stage_times::note("stage-2", began);
    kmsg::write(Priority::Notice, boot_mark::SERVICES_STARTED);
    execute_core(toplevel, &orders, estate.as_ref())
}

fn prepare(toplevel: &Path, description: &SystemDescription) {
    make_root_writable(description);
    protect_store();
    note_booted_system(toplevel);
    if has_kernel(toplevel) {
        modprobe::install_booted();
        api_mounts::apply_firmware();
        let mut hardware = start_hardware(toplevel, description);
        mount_others(description, hardware.as_mut());
        swap::enable(&description.swap_devices, hardware.as_mut());
    }
    random_seed::renew(Path::new("/"));
    activation::run_as_child(toplevel, ActivationMode::Boot);
    if description.read_only_etc
        && let Err(error) = cairn_activate::protect_etc()
    {
        problem::note(&format!("cannot make /etc read-only: {error}; going on"));
    }
    set_sysctls(description);
}

/// The machine is up, and its services are down: what there is to do is what a switch does. Modules stay
/// those of the kernel that runs, which is the booted generation's.
fn take_over(toplevel: &Path) {
    protect_store();
    note_booted_system(toplevel);
    activation::run_as_child(toplevel, ActivationMode::Apply);
}

/// One without a kernel is in a container: modules, devices and swap space are its host's.
fn has_kernel(toplevel: &Path) -> bool {
    toplevel.join("kernel").exists()
}

/// Without a description there is nothing to start: a shell if that is allowed, and another try
/// when it ends; else a restart, which lets the boot loader take an older generation.
fn description_or_emergency(toplevel: &Path, orders: &Orders) -> SystemDescription {
    let policy = policy(orders);
    emergency::set_policy(policy);
    let mut hasty = 0;
    loop {
        let error = match cairn_activate::read_description(Path::new("/"), toplevel) {
            Ok(description) => return description,
            Err(error) => error,
        };
        cannot_start(toplevel, orders, &error.to_string(), &mut hasty);
    }
}

/// Tells why, and returns when it is to be tried again.
fn cannot_start(toplevel: &Path, orders: &Orders, problem: &str, hasty: &mut u32) {
    emergency::tell(&report(toplevel, problem));
    if let Some(trial) = &orders.trial {
        let reason = format!("stage 2: {problem}");
        trial_report::say(&reason);
        trial_report::keep(Path::new("/"), &trial.entry, &reason);
    }
    emergency::after_failure(policy(orders), &shells(toplevel), hasty);
}

fn policy(orders: &Orders) -> Policy {
    let policy = Policy {
        shell: orders.shell_on_fail,
        panic: orders.panic_on_fail,
        ..Policy::default()
    };
    match orders.trial {
        Some(_) => policy.on_trial(orders.shell_on_fail),
        None => policy,
    }
}

fn report(toplevel: &Path, problem: &str) -> Vec<String> {
    vec![
        "the system cannot be started.".to_owned(),
        format!("  what:  {problem}"),
        format!(
            "  check: {}: it is damaged, or was built by another version; \
             choose another generation in the boot menu",
            toplevel.display()
        ),
    ]
}

/// Activation may not have made `/bin/sh` yet, and the toplevel may be what is damaged.
/// The shell of a system that has its generation.
pub fn shells(toplevel: &Path) -> Shells {
    let programs = toplevel.join("sw/bin");
    Shells {
        programs: vec![programs.join("bash"), programs.join("sh"), "/bin/sh".into()],
        path: format!("{}:/bin", programs.display()),
        forbidden: "boot.shell_on_fail is not on the kernel's command line",
        missing: "neither the generation nor /bin has one",
    }
}

/// Stage 1 may have mounted it read-only, as `ro` on the kernel's command line asks.
fn make_root_writable(description: &SystemDescription) {
    let root = description
        .file_systems
        .iter()
        .find(|file_system| file_system.mount_point.as_str() == "/");
    let Some(root) = root else { return };
    let options = MountOptions::parse(&root.options);
    if options.flags.contains(MsFlags::MS_RDONLY) {
        return;
    }
    let none: Option<&str> = None;
    let flags = options.flags | MsFlags::MS_REMOUNT;
    if let Err(error) = nix::mount::mount(none, "/", none, flags, none) {
        log::error!("cannot make / writable: {error}; check fileSystems.\"/\".options");
    }
}

/// Stage 1 has done it, unless the system was started without one.
fn protect_store() {
    const STORE: &str = "/nix/store";
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let protected = mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(STORE)
            && fields
                .nth(1)
                .is_some_and(|options| options.split(',').any(|option| option == "ro"))
    });
    if !protected
        && let Err(error) = mount::bind_on_itself(Path::new(STORE), &["ro", "nosuid", "nodev"])
    {
        log::error!("the store is not protected: {error}");
    }
}

/// Loads the modules that are named and those that devices ask for.
fn start_hardware(toplevel: &Path, description: &SystemDescription) -> Option<Hardware> {
    let started = directory_of_running_kernel(&toplevel.join("kernel-modules/lib/modules"))
        .and_then(|directory| Autoload::open(&directory, modprobe::policy()));
    let autoload = match started {
        Ok(autoload) => autoload,
        Err(error) => {
            log::error!("no module is loaded: {error}");
            return None;
        }
    };
    match Hardware::start(autoload, &description.kernel_modules) {
        Ok(hardware) => Some(hardware),
        Err(error) => {
            log::error!("no module is loaded: {error}");
            None
        }
    }
}

/// What stage 1 has left: every file system that is not needed early.
fn mount_others(description: &SystemDescription, hardware: Option<&mut Hardware>) {
    let others: Vec<FileSystem> = description
        .file_systems
        .iter()
        .filter(|fs| !fs.is_early() && !MountOptions::parse(&fs.options).noauto)
        .cloned()
        .collect();
    let Some(hardware) = hardware.filter(|_| !others.is_empty()) else {
        for file_system in &others {
            problem::note(&format!(
                "{} is not mounted",
                file_system.mount_point.as_str()
            ));
        }
        return;
    };
    for problem in mount_all(others, hardware, DEVICE_TIMEOUT) {
        problem::note(&problem);
    }
}

/// Mounts file systems, each after the one that it lies in; returns what went wrong.
fn mount_all(
    file_systems: Vec<FileSystem>,
    hardware: &mut Hardware,
    timeout: Duration,
) -> Vec<String> {
    let plan = Stage1 {
        version: V1,
        file_systems,
        factory_reset: None,
        storage: Storage::default(),
        kernel_modules: Vec::new(),
        emergency_access: false,
        device_timeout_seconds: 0,
        reboot_delay_seconds: 0,
    };
    let root = Path::new("/");
    let mounts = mounts::plan(&plan, &Orders::default(), root);
    mounts
        .iter()
        .filter_map(
            |mount| match mounts::apply(mount, root, hardware, timeout) {
                Ok(mounts::Outcome::Mounted) => None,
                Ok(mounts::Outcome::Restart) => {
                    Some(format!("{} was repaired and wants a reboot", mount.target))
                }
                Err(error) => Some(error.to_string()),
            },
        )
        .collect()
}

fn set_sysctls(description: &SystemDescription) {
    if let Err(error) = remember_sysctls(Path::new("/"), description.sysctl.keys()) {
        log::error!("{error}; a later generation does not know the kernel's own values");
    }
    for (key, value) in &description.sysctl {
        if let Err(failure) = write_sysctl(Path::new("/proc/sys"), key, value) {
            log::error!("{failure}");
        }
    }
}

fn note_booted_system(toplevel: &Path) {
    let link = "/run/booted-system";
    match std::os::unix::fs::symlink(toplevel, link) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            log::error!("cannot make {link}: {error}");
        }
        _ => {}
    }
}

/// Core goes on with what an earlier one has left.
fn execute_core(toplevel: &Path, orders: &Orders, estate: Option<&Estate>) -> ! {
    let core = toplevel.join(CORE);
    let mut hasty = 0;
    loop {
        let error = match estate {
            Some(estate) => renewal::pass_on(estate, toplevel),
            None => Command::new(&core)
                .arg0(core_name(None))
                .arg(toplevel)
                .env_clear()
                .exec(),
        };
        let problem = format!("cannot execute '{}': {error}", core.display());
        cannot_start(toplevel, orders, &problem, &mut hasty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_that_cannot_be_used_is_reported() {
        let toplevel = tempfile::tempdir().unwrap();
        let check = |expected: &expect_test::Expect| {
            let error =
                cairn_activate::read_description(Path::new("/"), toplevel.path()).unwrap_err();
            let text = report(toplevel.path(), &error.to_string()).join("\n");
            let folder = toplevel.path().display().to_string();
            expected.assert_eq(&text.replace(&folder, "<toplevel>"));
        };
        check(&expect_test::expect![[r#"
            the system cannot be started.
              what:  cannot use '<toplevel>': it has no system.json; is it a system's toplevel?
              check: <toplevel>: it is damaged, or was built by another version; choose another generation in the boot menu"#]]);
        fs::write(toplevel.path().join("system.json"), "{\"version\": 1").unwrap();
        check(&expect_test::expect![[r#"
            the system cannot be started.
              what:  cannot use '<toplevel>': cannot read system.json: at 'version': EOF while parsing an object at line 1 column 13
              check: <toplevel>: it is damaged, or was built by another version; choose another generation in the boot menu"#]]);
        fs::write(toplevel.path().join("system.json"), "{\"version\": 2}").unwrap();
        check(&expect_test::expect![[r#"
            the system cannot be started.
              what:  cannot use '<toplevel>': cannot read system.json: at 'version': version 2 is not supported; this program reads version 1 at line 1 column 14
              check: <toplevel>: it is damaged, or was built by another version; choose another generation in the boot menu"#]]);
    }
}
