//! Whether the generation that was booted is good: `cairn assess`, a service that nothing waits for.
//!
//! ```text
//! command line, boot state, links -> task (pure)
//!   judge:  settled, stable, checks passed -> verdict good -> boot state: good, trial over
//!           a problem -> verdict failed, with logs -> profile back -> boot state: trial over
//!             -> restart into the last good one
//!   the trial was left for this generation: verdict failed, with what it left behind -> profile
//!             and boot state back
//! ```
//!
//! In the end the guard is dismissed, unless the machine restarts: if that hangs, the guard's time
//! runs out.
//!
//! Invariants: each step can be the last one, and the next boot goes on from there; an entry is
//! called good only when the firmware has started it, and nobody has switched since; where the trial
//! cannot be ended, the machine is not restarted more than [`LIMIT`] times in a row for one entry.

mod boot;
mod evidence;
mod examination;
mod machine;
mod supervisor;
mod verdict;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use cairn_bootloader::{BootState, EntryId};
use cairn_sys::kmsg::{self, Priority};
use cairn_system::control::Request;

use crate::service_control;

use boot::{Boot, Otherwise, Running, Task, task};
use examination::{Demands, Problem};
use machine::Machine;
use supervisor::Supervisor;

pub use machine::NOTE;
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
    let machine = Machine {
        root,
        console: kmsg::write,
    };
    let boot = Boot::parse(&machine.command_line()?);
    let result = carry_out(machine, &boot, stable, &supervisor::Running);
    match &result {
        // The guard stays until the machine is down.
        Ok(Next::Restart) => service_control::command(&Request::Reboot)?,
        Ok(Next::Go(why)) if boot.on_trial => machine.dismiss_guard(why)?,
        Ok(Next::Go(_)) => {}
        // Nothing is known against the system, only the assessment failed: it is not restarted for
        // that, and not called good. The next start counts as one more try.
        Err(error) => {
            machine.tell(&format!("the boot cannot be assessed: {error:#}"));
            if boot.on_trial {
                machine.dismiss_guard("not assessed")?;
            }
        }
    }
    result.map(drop)
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
    machine: Machine<'_>,
    boot: &Boot,
    stable: Duration,
    supervisor: &impl Supervisor,
) -> Result<Next> {
    let Some(entry) = &boot.entry else {
        return Ok(Next::Go("no entry".to_owned()));
    };
    let state = machine.boot_state();
    match task(boot, &state, machine.running(entry)?) {
        Task::Nothing(why) => {
            log::info!("nothing is assessed: {why}");
            remember(machine, entry)?;
            Ok(Next::Go(why.to_owned()))
        }
        Task::NoteFailure { failed, good } => {
            note_failure(machine, boot, &failed, &good)?;
            remember(machine, &good)?;
            Ok(Next::Go("fallback".to_owned()))
        }
        Task::Judge { entry, otherwise } => {
            let deadline = deadline(boot.timeout);
            let found = examine(machine, stable, deadline, supervisor);
            if machine.running(&entry)? != Running::Booted {
                return Ok(Next::Go("switched while it was judged".to_owned()));
            }
            match found {
                Ok(remarks) => bless(machine, &entry, &remarks),
                Err(problem) => condemn(machine, &entry, &otherwise, &problem),
            }
        }
    }
}

/// When the judgement has to be there, since the kernel's start.
fn deadline(timeout: Duration) -> Duration {
    timeout.saturating_sub(MARGIN.min(timeout / 4))
}

fn examine(
    machine: Machine<'_>,
    stable: Duration,
    deadline: Duration,
    supervisor: &impl Supervisor,
) -> Result<Vec<String>, Problem> {
    let described = machine.description();
    let description = described.map_err(|error| Problem::new(format!("{error:#}")))?;
    let problems = evidence::problems(machine.root)
        .map_err(|error| Problem::new(format!("the boot's problems cannot be read: {error}")))?;
    if !problems.is_empty() {
        return Err(Problem::new(problems.join("; ")));
    }
    Demands::new(&description, stable, deadline).examine(supervisor)
}

fn bless(machine: Machine<'_>, entry: &EntryId, remarks: &[String]) -> Result<Next> {
    let reason = match remarks {
        [] => "all services are up and all checks passed".to_owned(),
        remarks => format!("what is required is well; {}", remarks.join("; ")),
    };
    let verdict = verdict(machine, entry, Outcome::Good, reason.clone(), String::new())?;
    write(machine, entry, &verdict)?;
    machine.change_boot_state(|state| {
        end_trial(state, entry);
        state.good = Some(entry.clone());
    })?;
    if let Err(error) = machine.rewrite_menu(entry) {
        log::warn!("the boot menu is as it was: {error:#}");
    }
    (machine.console)(
        Priority::Notice,
        &format!("cairn: generation {entry} is good: {reason}"),
    );
    for remark in remarks {
        machine.tell(remark);
    }
    Ok(Next::Go("good".to_owned()))
}

fn condemn(
    machine: Machine<'_>,
    entry: &EntryId,
    otherwise: &Otherwise,
    problem: &Problem,
) -> Result<Next> {
    let log = evidence::of_running(machine.root, &problem.services);
    let reason = problem.reason.clone();
    let verdict = verdict(machine, entry, Outcome::Failed, reason, log)?;
    // What follows is more urgent than the report.
    if let Err(error) = write(machine, entry, &verdict) {
        machine.tell(&format!(
            "the report of the failed trial is lost: {error:#}"
        ));
    }
    machine.tell(&format!(
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
    if !leave(machine, entry, good) && verdict.failures > LIMIT {
        machine.tell(&format!(
            "it has failed {} times in a row: the machine is not restarted again; look at \
             cairn generations, and restart it by hand",
            verdict.failures
        ));
        return Ok(Next::Go("failed too often".to_owned()));
    }
    machine.tell(&format!("restarting into generation {good}"));
    Ok(Next::Restart)
}

/// Makes `good` what boots next; whether the trial is over. What cannot be written is told: the
/// boot loader's count of tries leads to the same.
fn leave(machine: Machine<'_>, failed: &EntryId, good: &EntryId) -> bool {
    if let Err(error) = machine.set_profile(good) {
        machine.tell(&format!(
            "the profile still points to generation {}: {error:#}",
            failed.number()
        ));
    }
    let over = machine.change_boot_state(|state| {
        end_trial(state, failed);
        state.good.get_or_insert_with(|| good.clone());
    });
    if let Err(error) = over {
        machine.tell(&format!("the trial of {failed} goes on: {error:#}"));
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

fn note_failure(machine: Machine<'_>, boot: &Boot, failed: &EntryId, good: &EntryId) -> Result<()> {
    evidence::open_firmware(machine.root);
    let remains = evidence::remains(machine.root, &failed.to_string());
    let reason = match boot.refused.as_deref() {
        Some("damaged") => "its kernel or initrd in /boot is damaged".to_owned(),
        Some("uncounted") => "the boot loader cannot write to /boot/grub/grubenv, and so \
                              cannot count its tries"
            .to_owned(),
        Some(other) => format!("the boot loader did not start it: {other}"),
        None => remains.reason.clone().unwrap_or_else(|| {
            "it ended before it was judged, and left no report: it did not reach user space, \
             or the kernel panicked or hung"
                .to_owned()
        }),
    };
    let verdict = verdict(machine, failed, Outcome::Failed, reason, remains.log)?;
    write(machine, failed, &verdict)?;
    for file in &remains.files {
        if let Err(error) = fs::remove_file(file) {
            log::warn!("cannot remove {}: {error}", file.display());
        }
    }
    leave(machine, failed, good);
    Ok(())
}

/// Says on the console, and to whoever asks for the status, that the last trial has failed: at each
/// boot of an older generation, until another one is good.
fn remember(machine: Machine<'_>, running: &EntryId) -> Result<()> {
    let Some(failed) = machine.last_failure() else {
        return Ok(());
    };
    if failed.number() < running.number() || failed == *running {
        return Ok(());
    }
    let name = failed.to_string();
    let reason = match Verdict::of(machine.root, &name, &machine.generation(failed.number())?) {
        Ok(Some(verdict)) if verdict.outcome == Outcome::Failed => verdict.reason,
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    let text = format!("generation {failed} failed its trial, and {running} runs: {reason}");
    machine.tell(&text);
    machine.tell("see cairn generations; cairn switch makes another one");
    machine.note(&text)
}

/// Writes what was found; of a failure also that it is the last one.
fn write(machine: Machine<'_>, entry: &EntryId, verdict: &Verdict) -> Result<()> {
    verdict.write(machine.root, &entry.to_string())?;
    machine.set_last_failure((verdict.outcome == Outcome::Failed).then_some(entry))
}

fn verdict(
    machine: Machine<'_>,
    entry: &EntryId,
    outcome: Outcome,
    reason: String,
    log: String,
) -> Result<Verdict> {
    let toplevel = machine.generation(entry.number())?;
    let before = Verdict::of(machine.root, &entry.to_string(), &toplevel).unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    });
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
        toplevel,
        reason,
        log,
        failures,
    })
}

#[cfg(test)]
mod tests;
