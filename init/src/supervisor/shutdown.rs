//! The end: everything is stopped, and PID 1 is told what follows.

use std::fs;
use std::path::Path;

use cairn_sys::kexec;
use cairn_sys::kmsg::{self, Priority};
use cairn_sys::reboot::Ending;
use cairn_system::control::Response;
use cairn_system::{MachineAction, boot_mark, trial};

use super::services::{Action, Event};
use super::{Supervisor, console, switch};
use crate::clock::{Ms, now};
use crate::core::ending::verb;
use crate::core::message::{Message, RESTARTS};
use crate::generation;
use crate::realm::realm;
use crate::stage1::command_line::{Orders, words};

/// How often a shutdown tells core that it goes on, and the console what it waits for, in
/// milliseconds.
const SHUTDOWN_PULSE_MS: Ms = 5_000;

impl Supervisor {
    /// Somebody wants user space of this generation in the place of ours.
    pub(super) fn ask_restart(&mut self, place: usize, toplevel: &str, time: Ms) {
        let refused = switch::check(Path::new(toplevel)).err();
        if let Some(reason) = refused.or_else(|| self.refuses_restart()) {
            return self.respond(place, &Response::Failed { reason }, time);
        }
        self.restart = Some(toplevel.to_owned());
        self.obey_ending(place, Ending::UserSpace, time);
    }

    /// Somebody wants the kernel that is loaded in the place of the one that runs.
    pub(super) fn ask_kexec(&mut self, place: usize, time: Ms) {
        let none = "no kernel is loaded; use cairn reboot --kexec";
        let none = (!kexec::is_loaded(Path::new("/sys"))).then(|| none.to_owned());
        if let Some(reason) = self.refuses_restart().or(none) {
            return self.respond(place, &Response::Failed { reason }, time);
        }
        self.obey_ending(place, Ending::Kexec, time);
    }

    /// Why the machine cannot begin anew without its firmware. A trial's guard would be gone, and nobody
    /// would see to it that the trial ends.
    fn refuses_restart(&self) -> Option<String> {
        if realm().owner.is_some() {
            return Some("this is no machine, but a user's services; use cairn restart".to_owned());
        }
        if self.services.is_shutting_down() {
            return Some("the system is shutting down".to_owned());
        }
        if self.core < RESTARTS {
            return Some("PID 1 is of an older generation, and cannot do this; reboot".to_owned());
        }
        let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        is_on_trial(&line, Path::new(trial::JUDGED))
            .then(|| "this boot is on trial; try again when it is judged, or reboot".to_owned())
    }

    /// Begins to stop everything; the first ending asked for stays.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.begin(ending) {
            let event = self.stop();
            self.step(event);
        }
    }

    /// From now on this is the ending, unless there is one.
    fn begin(&mut self, ending: Ending) -> bool {
        if self.ending.is_some() {
            return false;
        }
        self.ending = Some(ending);
        kmsg::write(
            Priority::Notice,
            &format!("{}{}", boot_mark::SHUTDOWN_STARTED, verb(ending)),
        );
        self.tell_core(Message::Ending(ending));
        self.pulse_at = Some(now().saturating_add(SHUTDOWN_PULSE_MS));
        if ending == Ending::UserSpace
            && let Some(toplevel) = self.restart.clone()
        {
            self.outliving = self.outliving(&toplevel);
        }
        if let Some(outliving) = self.outliving.clone() {
            self.note_outliving(&outliving);
        }
        true
    }

    /// Whether another supervisor may come to where this one leaves: core, told of an ending, starts none, but
    /// for what goes on through a restart of user space.
    pub(super) fn has_successor(&self) -> bool {
        self.ending.is_none() || self.outliving.is_some()
    }

    /// What stops everything that is not to go on.
    fn stop(&self) -> Event {
        match &self.outliving {
            Some(outliving) => Event::StopOthers(outliving.clone()),
            None => Event::Shutdown,
        }
    }

    /// Begins what the end of a service does to the machine; the event that stops the others.
    pub(super) fn act_on_machine(&mut self, actions: &[Action]) -> Option<Event> {
        let (id, action) = actions.iter().find_map(|action| match action {
            Action::Machine(id, action) => Some((*id, *action)),
            _ => None,
        })?;
        let name = self.name(id).to_owned();
        if realm().owner.is_some() {
            log::error!("'{name}' is a user's service, and does nothing to the machine");
            return None;
        }
        let ending = self.ending_by(action);
        if !self.begin(ending) {
            return None;
        }
        let verb = verb(ending);
        console(&format!(
            "the end of '{name}' is what the machine is to {verb} for"
        ));
        if action.is_forced() {
            self.leave(ending);
            return None;
        }
        Some(self.stop())
    }

    /// The ending that an action stands for. What cannot be is a reboot.
    fn ending_by(&mut self, action: MachineAction) -> Ending {
        use MachineAction::{
            Halt, HaltForce, Kexec, KexecForce, Poweroff, PoweroffForce, Reboot, RebootForce,
            SoftReboot, SoftRebootForce,
        };
        let ending = match action {
            Reboot | RebootForce => return Ending::Reboot,
            Poweroff | PoweroffForce => return Ending::PowerOff,
            Halt | HaltForce => return Ending::Halt,
            Kexec | KexecForce => Ending::Kexec,
            SoftReboot | SoftRebootForce => Ending::UserSpace,
        };
        let no_kernel = ending == Ending::Kexec && !kexec::is_loaded(Path::new("/sys"));
        let none = no_kernel.then(|| "no kernel is loaded".to_owned());
        if let Some(reason) = self.refuses_restart().or(none) {
            console(&format!("cannot {}: {reason}; rebooting", verb(ending)));
            return Ending::Reboot;
        }
        if ending == Ending::UserSpace {
            self.restart = Some(self.toplevel.clone());
        }
        ending
    }

    /// The sign of life during a shutdown.
    pub(super) fn pulse(&mut self) {
        let Some(ending) = self.ending else { return };
        self.pulse_at = Some(now().saturating_add(SHUTDOWN_PULSE_MS));
        self.tell_core(Message::Ending(ending));
        let names: Vec<&str> = self
            .services
            .still_stopping()
            .map(|id| self.name(id))
            .collect();
        if !names.is_empty() {
            console(&format!("waiting for {} to stop", names.join(", ")));
        }
    }

    /// Core finds the generation that is to run where it finds the one that does.
    fn prepared(&self, ending: Ending) -> Ending {
        let link = realm().generation.as_path();
        let set = match &self.restart {
            Some(toplevel) if ending == Ending::UserSpace => {
                generation::set(link, Path::new(toplevel))
            }
            _ => Ok(()),
        };
        match set {
            Ok(()) => ending,
            Err(error) => {
                console(&format!(
                    "cannot set {}: {error}; rebooting",
                    link.display()
                ));
                Ending::Reboot
            }
        }
    }

    pub(super) fn finish(&mut self) {
        if let Some(ending) = self.ending {
            self.pulse_at = None;
            self.leave(self.ending_of_user(ending));
        }
    }

    /// The rest is core's.
    fn leave(&mut self, ending: Ending) {
        let ending = self.prepared(ending);
        if self.outliving.is_some() {
            self.record();
            self.answer_waiting();
        }
        self.tell_core(Message::Finish(ending));
        if self.outliving.is_some() {
            Self::rest();
        }
    }
}

/// Whether this boot is one that has to prove itself, and has not yet.
fn is_on_trial(command_line: &str, judged: &Path) -> bool {
    let orders = Orders::from_words(&words(command_line));
    orders.trial.is_some() && !judged.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_one_until_it_is_judged() {
        let folder = tempfile::tempdir().unwrap();
        let judged = folder.path().join("judged");
        assert!(is_on_trial("quiet cairn.trial=13 panic=10", &judged));
        assert!(!is_on_trial("quiet cairn.trial_timeout=13", &judged));
        fs::write(&judged, "good").unwrap();
        assert!(!is_on_trial("quiet cairn.trial=13 panic=10", &judged));
    }
}
