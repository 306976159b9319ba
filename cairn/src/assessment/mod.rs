//! Whether the generation that was booted is good: `cairn assess`, a service that nothing waits for.
//!
//! ```text
//! command line, boot state, links -> task (pure)
//!   judge:  settled, stable, checks passed -> verdict good -> boot state: good, trial over
//!           a problem -> verdict failed, with logs -> profile back -> boot state: trial over
//!             -> restart into the last good one
//!   the trial was left for this generation: verdict failed, with what it left behind -> profile
//!             and boot state back; then
//!   known to be good: the same examination -> verdict; whatever it is, the machine stays up
//! ```
//!
//! In the end the guard is dismissed, unless the machine restarts: if that hangs, the guard's time
//! runs out.
//!
//! Invariants: each step can be the last one, and the next boot goes on from there; an entry is
//! called good only when the firmware has started it, and nobody has switched since; where the trial
//! cannot be ended, the machine is not restarted more than [`LIMIT`] times in a row for one entry; one
//! that is known to be good is never left.

mod boot;
mod evidence;
mod examination;
mod last_good;
mod subject;
mod supervisor;
mod verdict;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use cairn_bootloader::{BootState, EntryId};
use cairn_sys::kmsg::{self, Priority};
use cairn_system::control::Request;

use crate::service_control;
use crate::switch::Machine;

use boot::{Boot, Otherwise, Running, Task, task};
use examination::{Demands, Problem};
use subject::Subject;
use supervisor::Supervisor;

pub use subject::NOTE;
pub use verdict::{FOLDER, Outcome, Verdict, VerdictError};

/// So many failures in a row that could not be ended, and the machine stays up as it is.
pub const LIMIT: u32 = 3;

/// Time that the judgement leaves to the guard's deadline: reports are written in it.
const MARGIN: Duration = Duration::from_secs(20);

/// `cairn assess` for the running system: services must have been up for `stable`.
///
/// # Errors
/// What boots next is not known, or cannot be written.
pub fn assess(root: &Path, stable: Duration) -> Result<()> {
    let machine = Machine::at(root);
    let subject = Subject {
        machine: &machine,
        console: kmsg::write,
    };
    let boot = Boot::parse(&subject.command_line()?);
    let result = carry_out(subject, &boot, stable, &supervisor::Running);
    match &result {
        // The guard stays until the machine is down.
        Ok(Next::Restart) => service_control::command(&Request::Reboot)?,
        Ok(Next::Go(why)) if boot.on_trial => subject.dismiss_guard(why)?,
        Ok(Next::Go(_)) => {}
        // Nothing is known against the system, only the assessment failed: it is not restarted for
        // that, and not called good. The next start counts as one more try.
        Err(error) => {
            subject.tell(&format!("the boot cannot be assessed: {error:#}"));
            if boot.on_trial {
                subject.dismiss_guard("not assessed")?;
            }
        }
    }
    result.map(drop)
}

/// The entry that a kernel's command line names.
#[must_use]
pub fn booted_entry(command_line: &str) -> Option<EntryId> {
    Boot::parse(command_line).entry
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The machine runs on, for this reason.
    Go(String),
    /// It restarts.
    Restart,
}

fn carry_out(
    subject: Subject<'_>,
    boot: &Boot,
    stable: Duration,
    supervisor: &impl Supervisor,
) -> Result<Next> {
    let Some(entry) = &boot.entry else {
        return Ok(Next::Go("no entry".to_owned()));
    };
    let state = subject.machine.boot_state();
    match task(boot, &state, subject.running(entry)?) {
        Task::Nothing(why) => {
            log::info!("nothing is assessed: {why}");
            last_good::note(subject, last_good::remember(subject, entry)?, None)?;
            Ok(Next::Go(why.to_owned()))
        }
        Task::LookAfter { left } => {
            if let Some(failed) = &left {
                last_good::note_failure(subject, boot, failed, entry)?;
            }
            let last = last_good::remember(subject, entry)?;
            let found = examine(subject, stable, deadline(boot.timeout), supervisor);
            if subject.running(entry)? == Running::Booted {
                let now = last_good::look_after(subject, entry, found)?;
                last_good::note(subject, last, now)?;
            }
            Ok(Next::Go("known to be good".to_owned()))
        }
        Task::Judge { entry, otherwise } => {
            let deadline = deadline(boot.timeout);
            let found = examine(subject, stable, deadline, supervisor);
            if subject.running(&entry)? != Running::Booted {
                return Ok(Next::Go("switched while it was judged".to_owned()));
            }
            match found {
                Ok(remarks) => bless(subject, &entry, &remarks),
                Err(problem) => condemn(subject, &entry, &otherwise, &problem),
            }
        }
    }
}

/// When the judgement has to be there, since the kernel's start.
fn deadline(timeout: Duration) -> Duration {
    timeout.saturating_sub(MARGIN.min(timeout / 4))
}

fn examine(
    subject: Subject<'_>,
    stable: Duration,
    deadline: Duration,
    supervisor: &impl Supervisor,
) -> Result<Vec<String>, Problem> {
    let described = subject.description();
    let description = described.map_err(|error| Problem::new(format!("{error:#}")))?;
    let problems = evidence::problems(subject.root())
        .map_err(|error| Problem::new(format!("the boot's problems cannot be read: {error}")))?;
    if !problems.is_empty() {
        return Err(Problem::new(problems.join("; ")));
    }
    Demands::new(&description, stable, deadline).examine(supervisor)
}

fn bless(subject: Subject<'_>, entry: &EntryId, remarks: &[String]) -> Result<Next> {
    // What an earlier try has left must not be taken for what a later trial leaves.
    evidence::open_firmware(subject.root());
    let earlier = evidence::remains(subject.root(), &entry.to_string());
    let earlier_end = earlier.reason.iter();
    let remarks: Vec<_> = earlier_end
        .map(|reason| format!("an earlier try ended: {reason}"))
        .chain(remarks.iter().cloned())
        .collect();
    let reason = well(&remarks);
    let verdict = verdict(subject, entry, Outcome::Good, reason.clone(), earlier.log)?;
    write(subject, entry, &verdict)?;
    evidence::remove(&earlier.files);
    subject.change_boot_state(|state| {
        end_trial(state, entry);
        state.good = Some(entry.clone());
    })?;
    if let Err(error) = subject.rewrite_menu(entry) {
        log::warn!("the boot menu is as it was: {error:#}");
    }
    (subject.console)(
        Priority::Notice,
        &format!("cairn: generation {entry} is good: {reason}"),
    );
    for remark in &remarks {
        subject.tell(remark);
    }
    Ok(Next::Go("good".to_owned()))
}

/// Why an entry is good.
fn well(remarks: &[String]) -> String {
    match remarks {
        [] => "all services are up and all checks passed".to_owned(),
        remarks => format!("what is required is well; {}", remarks.join("; ")),
    }
}

fn condemn(
    subject: Subject<'_>,
    entry: &EntryId,
    otherwise: &Otherwise,
    problem: &Problem,
) -> Result<Next> {
    let log = evidence::of_running(subject.root(), &problem.services);
    let reason = problem.reason.clone();
    let verdict = verdict(subject, entry, Outcome::Failed, reason, log)?;
    // What follows is more urgent than the report.
    let known = match write(subject, entry, &verdict) {
        Ok(()) => Known::Written,
        Err(error) => {
            subject.tell(&format!(
                "the report of the failed trial is lost: {error:#}"
            ));
            Known::Nowhere
        }
    };
    subject.tell(&format!(
        "generation {entry} is not good: {}",
        problem.reason
    ));
    let Otherwise::Restart(good) = otherwise else {
        return Ok(Next::Go(
            "not good; there is nothing to fall back to".to_owned(),
        ));
    };
    // Where the trial cannot be ended here, the boot loader's count ends it; should that be broken
    // too, this is what keeps the machine from restarting for ever.
    if !leave(subject, entry, good, known) && verdict.failures > LIMIT {
        subject.tell(&format!(
            "it has failed {} times in a row: the machine is not restarted again; look at \
             cairn generations, and restart it by hand",
            verdict.failures
        ));
        return Ok(Next::Go("failed too often".to_owned()));
    }
    subject.tell(&format!("restarting into generation {good}"));
    Ok(Next::Restart)
}

/// Whether a failure is known to the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// There is a verdict.
    Written,
    /// There is none: the trial itself stays in the boot state, without tries, for the next boot to
    /// find.
    Nowhere,
}

/// Makes `good` what boots next; whether the trial is over. What cannot be written is told: the
/// boot loader's count of tries leads to the same.
fn leave(subject: Subject<'_>, failed: &EntryId, good: &EntryId, known: Known) -> bool {
    if let Err(error) = subject.machine.set_profile(good.number()) {
        subject.tell(&format!(
            "the profile still points to generation {}: {error:#}",
            failed.number()
        ));
    }
    let over = subject.change_boot_state(|state| {
        match (known, &mut state.trial) {
            (Known::Nowhere, Some(trial)) if trial.entry == *failed => trial.tries = 0,
            _ => end_trial(state, failed),
        }
        state.good.get_or_insert_with(|| good.clone());
    });
    if let Err(error) = over {
        subject.tell(&format!("the trial of {failed} goes on: {error:#}"));
        return false;
    }
    true
}

/// Another entry may be on trial by now: that is to go on.
fn end_trial(state: &mut BootState, entry: &EntryId) {
    if state
        .trial
        .as_ref()
        .is_some_and(|trial| trial.entry == *entry)
    {
        state.trial = None;
    }
}

/// Writes what was found; of a failure also that it is the last one.
fn write(subject: Subject<'_>, entry: &EntryId, verdict: &Verdict) -> Result<()> {
    verdict.write(subject.root(), &entry.to_string())?;
    subject.set_last_failure((verdict.outcome == Outcome::Failed).then_some(entry))
}

fn verdict(
    subject: Subject<'_>,
    entry: &EntryId,
    outcome: Outcome,
    reason: String,
    log: String,
) -> Result<Verdict> {
    let toplevel = subject.machine.toplevel(entry)?;
    let before = known(subject, entry, &toplevel);
    let failures = match (outcome, before) {
        (Outcome::Good, _) => 0,
        (Outcome::Failed, before) => before.map_or(0, |before| before.failures).saturating_add(1),
    };
    // A clock before 1970 is wrong, and nothing goes by it.
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Verdict {
        outcome,
        at: at.as_secs(),
        toplevel: toplevel.display().to_string(),
        reason,
        log,
        failures,
    })
}

/// The last verdict about an entry.
fn known(subject: Subject<'_>, entry: &EntryId, toplevel: &Path) -> Option<Verdict> {
    Verdict::of(subject.root(), &entry.to_string(), toplevel).unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    })
}

#[cfg(test)]
mod tests;
