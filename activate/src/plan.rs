//! The plan: which steps lead from what is there to what is described, and taking them.

use std::fmt;
use std::path::Path;

use cairn_system::SystemDescription;

use crate::accounts::{self, Accounts};
use crate::etc::Others;
use crate::kernel::{Kernel, Setting};
use crate::root::{FileError, Root, Touched, bytes};
use crate::step::Step;
use crate::{base, etc, path_rule, wrappers};

/// What activation is about to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
    problems: Vec<Failure>,
}

/// One thing that cannot be planned or done; the rest of the activation goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// A failure that is described by `message`.
    #[must_use]
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(error)
    }
}

/// Steps being gathered, and what stands against some of them.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) steps: Vec<Step>,
    pub(crate) problems: Vec<Failure>,
}

impl Gathered {
    /// Adds the steps of one entry, or the reason that there are none.
    pub(crate) fn take(&mut self, entry: Result<Vec<Step>, Failure>) {
        match entry {
            Ok(steps) => self.steps.extend(steps),
            Err(problem) => self.problems.push(problem),
        }
    }
}

/// Plans the activation of `toplevel`, described by `description`, in the tree at `root`. Reads
/// the tree and the kernel's settings; writes nothing.
///
/// Without the superuser's rights, owners and file capabilities are neither compared nor planned.
///
/// What cannot be planned is in [`Plan::problems`], and the rest goes on without it.
#[must_use]
pub fn plan(
    root: &Path,
    toplevel: &Path,
    description: &SystemDescription,
    kernel: &dyn Kernel,
) -> Plan {
    let root = Root::new(root);
    let mut gathered = Gathered::default();
    base::plan_leftovers(&root, &mut gathered);
    base::plan_directories(&root, &mut gathered);
    let accounts = accounts::plan(&root, description, &mut gathered);
    base::plan_described(&root, description, &accounts, &mut gathered);
    etc::plan(&root, toplevel, description, &accounts, &mut gathered);
    base::plan_links(&root, description, &mut gathered);
    wrappers::plan(&root, description, &accounts, &mut gathered);
    path_rule::plan(&root, description, &accounts, &mut gathered);
    plan_settings(&root, toplevel, description, kernel, &mut gathered);
    base::plan_system_links(&root, toplevel, &mut gathered);
    Plan {
        steps: gathered.steps,
        problems: gathered.problems,
    }
}

fn plan_settings(
    root: &Root,
    toplevel: &Path,
    description: &SystemDescription,
    kernel: &dyn Kernel,
    gathered: &mut Gathered,
) {
    let firmware = toplevel.join("firmware");
    let has_firmware = root
        .resolve(&firmware)
        .is_ok_and(|place| std::fs::metadata(place).is_ok());
    let firmware = has_firmware.then(|| firmware.to_string_lossy().into_owned());
    let wanted = [
        (Setting::HostName, Some(description.host_name.to_string())),
        (Setting::FirmwarePath, firmware),
    ];
    for (setting, value) in wanted {
        let Some(value) = value else { continue };
        match kernel.get(setting) {
            Ok(Some(present)) if present != value => {
                gathered.steps.push(Step::Set { setting, value });
            }
            Ok(_) => {}
            Err(error) => gathered
                .problems
                .push(Failure::new(format!("cannot read the {setting}: {error}"))),
        }
    }
}

impl Plan {
    /// The steps in order; empty if the system is as described.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What could not be planned.
    #[must_use]
    pub fn problems(&self) -> &[Failure] {
        &self.problems
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes every step in the tree at `root`, which must be the one that was planned for. A step
    /// that fails is left out and the rest goes on.
    ///
    /// Returns what failed, problems of planning included.
    #[must_use]
    pub fn apply(&self, root: &Path, kernel: &dyn Kernel) -> Vec<Failure> {
        match Root::for_changes(root) {
            Ok(root) => self.apply_to(&root, kernel, &mut Touched::default()),
            Err(error) => {
                let mut failures = self.problems.clone();
                failures.push(error.into());
                failures
            }
        }
    }

    /// As [`Plan::apply`], but stops after so many changes of the tree, as a machine that loses
    /// power does: what is left then is what the next activation must cope with.
    ///
    /// Returns whether everything was done.
    #[must_use]
    pub fn apply_interrupted(&self, root: &Path, kernel: &dyn Kernel, effects: usize) -> bool {
        let mut touched = Touched::limited(effects);
        let failures = self.apply_to(&Root::new(root), kernel, &mut touched);
        failures.is_empty() && !touched.is_over()
    }

    fn apply_to(&self, root: &Root, kernel: &dyn Kernel, touched: &mut Touched) -> Vec<Failure> {
        let mut failures = self.problems.clone();
        let mut accounts_failed = false;
        for step in &self.steps {
            if touched.is_over() {
                break;
            }
            for line in step.log_lines() {
                log::info!("{line}");
            }
            let others = if accounts_failed {
                Others::Refused
            } else {
                Others::Allowed
            };
            let taken = if accounts_failed && step.needs_accounts() {
                // The planned id might be somebody else's.
                Err(Failure::new(format!(
                    "cannot {step}: users and groups could not be written"
                )))
            } else {
                take(step, root, kernel, others, touched)
            };
            if let Err(failure) = taken {
                accounts_failed |= matches!(step, Step::Accounts(_));
                failures.push(failure);
            }
        }
        if let Err(error) = touched.sync() {
            failures.push(error.into());
        }
        failures
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

fn take(
    step: &Step,
    root: &Root,
    kernel: &dyn Kernel,
    others: Others,
    touched: &mut Touched,
) -> Result<(), Failure> {
    match step {
        Step::MakeDirectory { path, rights } => root.make_directory(path, *rights, touched)?,
        Step::SetRights { path, rights } => root.set_rights(path, *rights, touched)?,
        Step::SetRightsOfAny { path, rights } => root.set_rights_of_any(path, *rights, touched)?,
        Step::Link { path, target } => root.link(path, target, touched)?,
        Step::MakeLinks { folder, links } => root.make_links(folder, links, touched)?,
        Step::RemoveLinks { folder, names } => root.remove_links(folder, names, touched)?,
        Step::SwitchEtc(switch) => etc::apply(root, switch, others, touched)?,
        Step::Write {
            path,
            content,
            rights,
        } => root.write(path, *rights, touched, bytes(content))?,
        Step::Copy {
            path,
            source,
            rights,
        } => {
            let mut from = root.open(source)?;
            root.write(path, *rights, touched, |to| {
                std::io::copy(&mut from, to).map(|_| ())
            })?;
        }
        Step::MoveAside { path, to } => root.move_aside(path, to, touched)?,
        Step::KeepAs { path, to } => root.keep_as(path, to, touched)?,
        Step::RemoveFile { path } => root.remove_file(path, touched)?,
        Step::RemoveDirectory { path } => root.remove_directory(path, touched)?,
        Step::RemoveTree { path } => root.remove_tree(path, touched)?,
        Step::WriteInto { path, content } => root.write_into(path, content, touched)?,
        Step::MachineId { path } => base::write_machine_id(root, path, kernel, touched)?,
        Step::Accounts(update) => accounts::apply(root, update, touched)?,
        Step::Wrappers {
            folder,
            programs,
            old,
        } => wrappers::apply(root, folder, programs, old.as_deref(), touched)?,
        Step::Set { setting, value } => kernel
            .set(*setting, value)
            .map_err(|error| Failure::new(format!("cannot set the {setting}: {error}")))?,
    }
    Ok(())
}

/// Looks up the ids of a user and group of the description.
pub(crate) fn ids(accounts: &Accounts, user: &str, group: &str) -> Result<(u32, u32), Failure> {
    let uid = accounts.uid(user).ok_or_else(|| {
        Failure::new(format!(
            "there is no user '{user}'; define users.users.{user}"
        ))
    })?;
    let gid = accounts.gid(group).ok_or_else(|| {
        Failure::new(format!(
            "there is no group '{group}'; define users.groups.{group}"
        ))
    })?;
    Ok((uid, gid))
}
