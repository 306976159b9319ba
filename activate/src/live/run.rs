//! Activation of a system that is running.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cairn_system::SystemDescription;
use cairn_system::ordered;

use crate::kernel::Kernel;
use crate::plan::{Failure, plan};
use crate::root::{Kind, Rights, Root, Touched};
use crate::{ActivateError, Mode, Plan, read_description};

use super::sysctls::remember;
use super::{BootParts, Busy, LiveChanges, LiveStep, Machine, Running};

const CURRENT: &str = "/run/current-system";
const BOOTED: &str = "/run/booted-system";

/// Names the toplevel while it is being activated. If it is there before, that one was not
/// finished, and may have left mounts, swap and settings.
const UNFINISHED: &str = "/run/cairn/unfinished-system";

/// What came of a [`run_live`].
#[derive(Debug)]
pub struct LiveOutcome {
    /// What was planned for the running machine.
    pub changes: LiveChanges,
    /// What was planned for the tree.
    pub plan: Plan,
    /// What could not be planned or done.
    pub failures: Vec<Failure>,
    /// What waits for a reboot, found by planning and by trying.
    pub reboot: Vec<String>,
}

impl LiveOutcome {
    /// The plan, one step a line, in the order in which the steps are taken.
    #[must_use]
    pub fn to_text(&self) -> String {
        let lines = |steps: &[LiveStep]| {
            let mut lines: Vec<String> = steps.iter().map(ToString::to_string).collect();
            lines.push(String::new());
            lines.join("\n")
        };
        let (first, last) = (lines(&self.changes.first), lines(&self.changes.last));
        format!("{first}{}{last}", self.plan)
    }
}

/// Activates `toplevel` in the tree at `root` on a machine that is up and has another generation:
/// what differs between the two is changed on `machine` as well. With [`Mode::DryRun`] nothing is
/// touched.
///
/// # Errors
/// Nothing could be activated at all. What fails later is in [`LiveOutcome::failures`].
pub fn run_live(
    root: &Path,
    toplevel: &Path,
    mode: Mode,
    kernel: &dyn Kernel,
    machine: &mut dyn Machine,
) -> Result<LiveOutcome, ActivateError> {
    let after = read_description(root, toplevel)?;
    let before = before(root);
    let changes = changes(root, toplevel, &before, &after)?;
    let mut reboot = changes.reboot.clone();
    let mut failures = Vec::new();
    if mode == Mode::Apply {
        failures.extend(begin(root, toplevel).err());
        take(&changes.first, machine, &mut reboot, &mut failures);
    }
    let plan = plan(root, toplevel, &after, kernel);
    if mode == Mode::Apply {
        failures.extend(plan.apply(root, kernel));
        failures.extend(
            remember(root, after.sysctl.keys())
                .map_err(Failure::from)
                .err(),
        );
        take(&changes.last, machine, &mut reboot, &mut failures);
        failures.extend(finish(root).err());
    } else {
        failures.extend_from_slice(plan.problems());
    }
    for failure in &failures {
        log::error!("{failure}");
    }
    Ok(LiveOutcome {
        changes,
        plan,
        failures,
        reboot,
    })
}

/// The generations that the machine may have something of. One that cannot be read is none: then
/// nothing of it is taken away.
fn before(root: &Path) -> Vec<SystemDescription> {
    let paths: BTreeSet<PathBuf> = ordered::set([CURRENT, UNFINISHED].iter().filter_map(|link| {
        match Root::new(root).kind(Path::new(link)) {
            Ok(Kind::Link(toplevel)) => Some(toplevel),
            _ => None,
        }
    }));
    paths
        .iter()
        .filter_map(|toplevel| {
            read_description(root, toplevel)
                .inspect_err(|error| log::warn!("{error}; nothing of it is taken away"))
                .ok()
        })
        .collect()
}

fn changes(
    root: &Path,
    toplevel: &Path,
    before: &[SystemDescription],
    after: &SystemDescription,
) -> Result<LiveChanges, ActivateError> {
    let keys = before
        .iter()
        .chain([after])
        .flat_map(|one| one.sysctl.keys());
    let running = Running::read(root, keys)?;
    let is_booted = Root::new(root).kind(Path::new(BOOTED))? != Kind::Absent;
    let booted = is_booted
        .then(|| BootParts::read(root, Path::new(BOOTED)))
        .transpose()?;
    let next = BootParts::read(root, toplevel)?;
    Ok(LiveChanges::between(
        before,
        after,
        &running,
        booted.as_ref(),
        &next,
    ))
}

fn begin(root: &Path, toplevel: &Path) -> Result<(), Failure> {
    let root = Root::new(root);
    let mut touched = Touched::default();
    let link = Path::new(UNFINISHED);
    if let Some(folder) = link.parent()
        && root.kind(folder)? == Kind::Absent
    {
        root.make_directory(folder, Rights::root(0o755), &mut touched)?;
    }
    Ok(root.link(link, toplevel, &mut touched)?)
}

fn finish(root: &Path) -> Result<(), Failure> {
    let mut touched = Touched::default();
    Ok(Root::new(root).remove_file(Path::new(UNFINISHED), &mut touched)?)
}

fn take(
    steps: &[LiveStep],
    machine: &mut dyn Machine,
    reboot: &mut Vec<String>,
    failures: &mut Vec<Failure>,
) {
    // Where the old one stays, a new one would hide it.
    let mut kept = Vec::new();
    for step in steps {
        log::info!("{step}");
        let mut note = |result: Result<(), Busy>| {
            let is_busy = result.is_err();
            if let Err(Busy(line)) = result {
                log::warn!("{line} until a reboot");
                reboot.push(line);
            }
            is_busy
        };
        let done = match step {
            LiveStep::Unmount(point) => {
                if note(machine.unmount(point)) {
                    kept.push(point.clone());
                }
                Ok(())
            }
            LiveStep::Mount(fs) if kept.contains(&fs.mount_point) => {
                let point = fs.mount_point.as_str();
                reboot.push(format!("{} is not mounted on {point}", fs.device));
                Ok(())
            }
            LiveStep::Remount(remount) => {
                note(machine.remount(remount));
                Ok(())
            }
            LiveStep::SwapOff(swap) => {
                note(machine.swap_off(swap));
                Ok(())
            }
            LiveStep::Mount(fs) => machine.mount(fs),
            LiveStep::SwapOn(swap) => machine.swap_on(swap),
            LiveStep::LoadModule(name) => machine.load_module(name),
            LiveStep::ProtectEtc => machine.protect_etc(true),
            LiveStep::OpenEtc => machine.protect_etc(false),
            LiveStep::SetSysctl { key, value } => machine.set_sysctl(key, value),
        };
        failures.extend(done.err());
    }
}
