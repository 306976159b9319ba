//! What is done where a generation runs that is known to be good: the trial that was left for it is
//! noted, and it is looked after. It is never left itself.

use anyhow::Result;
use cairn_bootloader::EntryId;

use super::boot::Boot;
use super::evidence;
use super::examination::Problem;
use super::subject::Subject;
use super::verdict::{Outcome, Verdict};
use super::{Known, known, leave, verdict, well, write};

/// Writes the verdict about a trial that nobody could judge, with what it has left behind.
///
/// # Errors
/// It cannot be written; the next boot does it again.
pub fn note_failure(
    subject: Subject<'_>,
    boot: &Boot,
    failed: &EntryId,
    good: &EntryId,
) -> Result<()> {
    evidence::open_firmware(subject.root());
    let remains = evidence::remains(subject.root(), &failed.to_string());
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
    let verdict = verdict(subject, failed, Outcome::Failed, reason, remains.log)?;
    write(subject, failed, &verdict)?;
    evidence::remove(&remains.files);
    leave(subject, failed, good, Known::Written);
    Ok(())
}

/// Says on the console that the last trial has failed: at each boot of an older generation, until
/// another one is good. Gives the line.
pub fn remember(subject: Subject<'_>, running: &EntryId) -> Result<Option<String>> {
    let Some(failed) = subject.last_failure() else {
        return Ok(None);
    };
    if failed.number() < running.number() || failed == *running {
        return Ok(None);
    }
    let toplevel = subject.machine.toplevel(&failed)?;
    let reason = match Verdict::of(subject.root(), &failed.to_string(), &toplevel) {
        Ok(Some(verdict)) if verdict.outcome == Outcome::Failed => verdict.reason,
        Ok(_) => return Ok(None),
        Err(error) => error.to_string(),
    };
    let text = format!("generation {failed} failed its trial, and {running} runs: {reason}");
    subject.tell(&text);
    subject.tell("see cairn generations; cairn switch makes another one");
    Ok(Some(text))
}

/// Keeps what was found of a generation that is known to be good, and says so if it is not well: where
/// even this one is not, the cause is hardly the generation, and restarting would not end. Gives the
/// line.
pub fn look_after(
    subject: Subject<'_>,
    entry: &EntryId,
    found: Result<Vec<String>, Problem>,
) -> Result<Option<String>> {
    let before = known(subject, entry, &subject.machine.toplevel(entry)?);
    let problem = match found {
        Ok(remarks) => {
            for remark in &remarks {
                subject.tell(remark);
            }
            if before.is_none_or(|before| before.outcome == Outcome::Failed) {
                let verdict =
                    verdict(subject, entry, Outcome::Good, well(&remarks), String::new())?;
                verdict.write(subject.root(), &entry.to_string())?;
            }
            return Ok(None);
        }
        Err(problem) => problem,
    };
    let text = format!(
        "generation {entry} is the last good one, and is not well: {}; the machine stays up",
        problem.reason
    );
    subject.tell(&text);
    let log = evidence::of_running(subject.root(), &problem.services);
    let verdict = verdict(subject, entry, Outcome::Failed, problem.reason, log)?;
    verdict.write(subject.root(), &entry.to_string())?;
    Ok(Some(text))
}

/// Leaves the lines for whoever asks for the status.
pub fn note(subject: Subject<'_>, last: Option<String>, now: Option<String>) -> Result<()> {
    let lines: Vec<_> = last.into_iter().chain(now).collect();
    if lines.is_empty() {
        return Ok(());
    }
    subject.note(&lines.join("\n"))
}
