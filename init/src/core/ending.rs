//! The machine's end, or that of its user space: every process ended, a random seed kept, swap off, file systems unmounted or read-only, and the
//! last system call.
//!
//! Each step has a deadline and none is an obstacle for the next: data is safest when the end is
//! reached. What waits for devices or servers is a [`step`](crate::step). The supervisor is among the
//! processes that are ended, and this is PID 1's last work, so that here memory may be allocated.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use cairn_sys::kmsg::{self, Priority};
use cairn_sys::process::{self, Credentials, OpenFiles, Prepared};
use cairn_sys::reboot::{self, Ending};
use cairn_sys::signal;
use cairn_sys::swap;
use cairn_system::{boot_mark, trial};
use nix::mount::{MntFlags, MsFlags};

use super::handover::{self, Estate};
use super::outliving::{self, Outliving};
use super::supervisor::Life;
use super::{HANDOVER, stacked};
use crate::clock::{Ms, now};
use crate::generation::INIT;
use crate::mount_table::{self, MOUNT_TABLE, Mounted};
use crate::process_stat::ProcessStat;
use crate::realm::realm;
use crate::stage2::random_seed;
use crate::step::Steps;

/// How long processes have after SIGTERM, and again after SIGKILL, in milliseconds.
const TERM_MS: Ms = 3_000;
const KILL_MS: Ms = 3_000;

/// Rounds of unmounting: a mount may hold a loop device's file, which holds the next mount.
const ROUNDS: u32 = 4;

/// File systems of the kernel's own, which hold no data.
const VIRTUAL: [&str; 12] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup2",
    "cgroup",
    "securityfs",
    "efivarfs",
    "debugfs",
    "tracefs",
    "bpf",
    "mqueue",
];

/// File systems in memory: they are unmounted, since they may cover others, but not made read-only.
const VOLATILE: [&str; 2] = ["tmpfs", "ramfs"];

/// Ends the machine; never returns.
pub fn end(ending: Ending, estate: &mut Estate) -> ! {
    let mut ending = ending;
    if ending == Ending::UserSpace {
        let error = restart_user_space(estate);
        kmsg::write(
            Priority::Critical,
            &format!("cairn: cannot restart user space: {error:#}; rebooting"),
        );
        ending = Ending::Reboot;
    }
    end_processes();
    let mut steps = Steps::new();
    steps.make("keeping a random seed", || {
        random_seed::improve(Path::new("/"));
        0
    });
    swap_off(&mut steps);
    unmount_all(&mut steps);
    steps.sync();
    let mark = if steps.hang() {
        boot_mark::SHUTDOWN_HUNG
    } else {
        boot_mark::SHUTDOWN_DONE
    };
    kmsg::write(Priority::Notice, &format!("{mark}{}", verb(ending)));
    loop {
        let error = reboot::reboot(ending);
        kmsg::write(
            Priority::Critical,
            &format!("cairn: cannot {}: {error}", verb(ending)),
        );
        if ending == Ending::Kexec {
            ending = Ending::Reboot;
            continue;
        }
        std::thread::sleep(Duration::from_secs(10));
    }
}

/// Executes stage 2 of the generation that is to run, in this process's place: file systems stay as they
/// are, and so does what is to outlive this. Returns only with the reason why it could not be done.
fn restart_user_space(estate: &mut Estate) -> anyhow::Error {
    let directory = realm().control.parent().unwrap_or(Path::new("/"));
    let outliving = Outliving::read(directory, &realm().groups);
    match &outliving {
        Some(outliving) if !outliving.is_empty() => end_others(outliving, estate),
        _ => end_processes(),
    }
    let mut execute = || -> anyhow::Result<std::convert::Infallible> {
        let toplevel = {
            let link = &realm().generation;
            fs::read_link(link).with_context(|| link.display().to_string())?
        };
        // Before anything of it runs: it is not to be taken for what the firmware has started.
        fs::write(trial::RESTARTED, b"").context(trial::RESTARTED)?;
        Steps::new().sync();
        kmsg::write(
            Priority::Notice,
            &format!("{}{}", boot_mark::USER_SPACE_RESTARTS, toplevel.display()),
        );
        signal::unblock_all().context("cannot unblock signals")?;
        // Not by the C library, which would have a shell run what no kernel can execute.
        let init = toplevel.join(INIT);
        let unused = OpenFiles { soft: 0, hard: 0 };
        let handover = outliving.as_ref().map(|_| OsStr::new(HANDOVER));
        let argv = [Some(init.as_os_str()), handover].into_iter().flatten();
        let prepared = Prepared::new(argv, [], Credentials::default(), unused)?;
        if outliving.is_some() {
            Outliving::note(directory).context("cannot note what goes on")?;
            leave(estate).context("cannot leave what is kept")?;
        }
        Err(prepared.execute()).with_context(|| format!("cannot execute {}", init.display()))
    };
    match execute() {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

/// Leaves what is kept for the program that is about to be executed. There is no supervisor any more.
fn leave(estate: &mut Estate) -> anyhow::Result<()> {
    estate.link = None;
    estate.answering = None;
    estate.ending = None;
    estate.life = Life::new();
    let file = handover::write(estate)?;
    handover::pass_on(estate, true)?;
    nix::unistd::dup2_stdin(&file)?;
    Ok(())
}

/// What is done, for people.
pub fn verb(ending: Ending) -> &'static str {
    match ending {
        Ending::PowerOff => "power off",
        Ending::Reboot => "reboot",
        Ending::Halt => "halt",
        Ending::Kexec => "execute another kernel",
        Ending::UserSpace => "restart user space",
    }
}

/// Ends all processes but those that are to go on, whose ends meanwhile are noted as any.
fn end_others(outliving: &Outliving, estate: &mut Estate) {
    for (number, patience) in [(nix::libc::SIGTERM, TERM_MS), (nix::libc::SIGKILL, KILL_MS)] {
        let deadline = now().saturating_add(patience);
        let mut told = BTreeSet::new();
        loop {
            outliving::reap(|pid, exit| estate.kept.exited(pid, exit));
            let sent = outliving.send(number, &told);
            if number == nix::libc::SIGTERM
                && let Err(error) = outliving.send(nix::libc::SIGCONT, &told)
            {
                log::error!("cannot continue stopped processes: {error}");
            }
            match sent {
                Ok(others) if others.is_empty() => return,
                Ok(others) => told = others,
                Err(error) => {
                    // In doubt nobody is left whom nobody knows.
                    log::error!("cannot list processes: {error}; all are ended");
                    return end_processes();
                }
            }
            if now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let names = names_of(|pid| told.contains(&pid));
        tell_left(number, &names);
    }
}

fn end_processes() {
    for (number, patience) in [(nix::libc::SIGTERM, TERM_MS), (nix::libc::SIGKILL, KILL_MS)] {
        if let Err(error) = signal::send_to_all(number) {
            log::error!("cannot send signal {number} to all processes: {error}");
        }
        if number == nix::libc::SIGTERM
            && let Err(error) = signal::send_to_all(nix::libc::SIGCONT)
        {
            log::error!("cannot continue stopped processes: {error}");
        }
        let deadline = now().saturating_add(patience);
        while process::has_children() && now() < deadline {
            while process::reap_any().is_some() {}
            std::thread::sleep(Duration::from_millis(1));
        }
        if !process::has_children() {
            return;
        }
        tell_left(number, &names_of(|_| true));
    }
}

fn tell_left(number: i32, names: &str) {
    let text = format!("cairn: still running after signal {number}: {names}");
    kmsg::write(Priority::Warning, &text);
}

/// Names of these processes, without the kernel's own threads.
fn names_of(is_one: impl Fn(u32) -> bool) -> String {
    let names: Vec<String> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let pid: u32 = path.file_name()?.to_str()?.parse().ok()?;
            // Not its arguments, which are in its memory: for those one may have to wait.
            let name = fs::read_to_string(path.join("comm")).ok()?;
            (pid != 1 && is_one(pid) && !ProcessStat::of(pid)?.is_kernels)
                .then(|| format!("{} ({pid})", name.trim_end()))
        })
        .collect();
    names.join(", ")
}

fn swap_off(steps: &mut Steps) {
    let Ok(swaps) = fs::read("/proc/swaps") else {
        return; // a kernel without swap
    };
    for device in swaps
        .split(|byte| *byte == b'\n')
        .skip(1)
        .filter_map(|line| line.split(|byte| *byte == b' ').next())
        .filter(|device| !device.is_empty())
    {
        let device = PathBuf::from(mount_table::unescape(device));
        steps.make(&format!("ending the swap {}", device.display()), || {
            if let Err(error) = swap::off(&device) {
                log::warn!("cannot stop swapping to {}: {error}", device.display());
            }
            0
        });
    }
}

/// Unmounts, last mounted first, and takes apart the devices that then are free, in rounds; what stays
/// busy, and the root, becomes read-only.
fn unmount_all(steps: &mut Steps) {
    let mut hung = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut progress = false;
        for mount in mounts().iter().rev().filter(|mount| has_data(mount)) {
            if mount.point == Path::new("/") || hung.contains(&mount.point) {
                continue;
            }
            let what = format!("unmounting {}", mount.point.display());
            match steps.make(&what, || {
                u8::from(nix::mount::umount2(&mount.point, MntFlags::empty()).is_err())
            }) {
                Some(failed) => progress |= failed == 0,
                None => drop(hung.insert(mount.point.clone())),
            }
        }
        if stacked::are_ours() {
            let taken = steps.make("taking devices apart that lie on others", || {
                let (blocks, dev) = (Path::new("/sys/class/block"), Path::new("/dev"));
                u8::from(!stacked::take_apart(blocks, dev))
            });
            progress |= taken == Some(0);
        }
        if !progress {
            break;
        }
    }
    let lasting = |mount: &&Mounted| {
        has_data(mount)
            && !VOLATILE.contains(&mount.fs_type.as_str())
            && !hung.contains(&mount.point)
    };
    for mount in mounts().iter().rev().filter(lasting) {
        let what = format!("making {} read-only", mount.point.display());
        steps.make(&what, || {
            if let Err(error) = make_read_only(&mount.point) {
                log::warn!(
                    "cannot make {} read-only: {error}; its journal has to be replayed",
                    mount.point.display()
                );
            }
            0
        });
    }
}

fn make_read_only(point: &Path) -> nix::Result<()> {
    let none: Option<&str> = None;
    nix::mount::mount(
        none,
        point,
        none,
        MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
        none,
    )
}

fn has_data(mounted: &Mounted) -> bool {
    !VIRTUAL.contains(&mounted.fs_type.as_str())
}

fn mounts() -> Vec<Mounted> {
    match fs::read(MOUNT_TABLE) {
        Ok(table) => mount_table::parse(&table).collect(),
        Err(error) => {
            log::error!("cannot read {MOUNT_TABLE}: {error}");
            vec![Mounted {
                point: PathBuf::from("/"),
                fs_type: String::new(),
            }]
        }
    }
}
