//! The rules' decision about an event.

use std::collections::BTreeMap;

use super::Rules;
use super::rule::{Escape, Rule};
use crate::device::Device;
use crate::event::{Event, Surroundings};

/// An event while it is decided about.
pub(super) struct Decision<'a> {
    pub(super) event: &'a mut Event,
    pub(super) around: &'a mut dyn Surroundings,
    /// The device and all above it; read when a rule first asks for it.
    pub(super) lineage: Option<Vec<Device>>,
    /// Which of them the last rule that asked for one has matched.
    pub(super) matched: Option<usize>,
    /// What attributes of these were, so that each is read once.
    pub(super) attributes: BTreeMap<(usize, String), Option<String>>,
    pub(super) finals: Finals,
    /// File and line of the rule, for the log.
    pub(super) place: String,
    pub(super) escape: Escape,
}

/// What `:=` has said the last word about.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one key's, and independent of the others"
)]
pub(super) struct Finals {
    pub(super) owner: bool,
    pub(super) group: bool,
    pub(super) mode: bool,
    pub(super) name: bool,
    pub(super) links: bool,
    pub(super) commands: bool,
}

impl Rules {
    /// Decides about `event`, and asks `around` for what is beside the device.
    ///
    /// Programs of `PROGRAM` and `IMPORT` run meanwhile, and `ATTR` and `SYSCTL` are written; all else that is decided
    /// is in `event` only. What goes wrong is logged with the rule's file and line.
    pub fn apply(&self, event: &mut Event, around: &mut dyn Surroundings) {
        let mut decision = Decision {
            event,
            around,
            lineage: None,
            matched: None,
            attributes: BTreeMap::new(),
            finals: Finals::default(),
            place: String::new(),
            escape: Escape::Unset,
        };
        let mut number = 0;
        while let Some(rule) = self.rules.get(number) {
            number += 1;
            let told = decision.around.wants_to_know();
            let before = told.then(|| decision.event.clone());
            if decision.applies(rule) {
                decision.assign_all(rule);
                // Labels are below.
                number = rule.goto.map_or(number, |label| label.max(number));
            }
            if let Some(before) = before {
                let after = &*decision.event;
                decision.around.decided(&rule.place, &before, after);
            }
        }
    }
}

impl Decision<'_> {
    fn applies(&mut self, rule: &Rule) -> bool {
        if !rule.own.iter().all(|own| self.is_own(own)) {
            return false;
        }
        self.place.clone_from(&rule.place);
        self.escape = rule.escape;
        if !rule.above.is_empty() && !self.is_above(&rule.above) {
            return false;
        }
        rule.late.iter().all(|condition| self.answers(condition))
    }

    /// Logs what has gone wrong with a rule that goes on all the same.
    pub(super) fn warn(&self, text: &str) {
        let device = self.event.device.devpath();
        log::warn!("{}: {device}: {text}", self.place);
    }

    /// Logs what has gone wrong with the device, unless it has gone meanwhile: that is no fault.
    pub(super) fn warn_of_device(&self, text: &str) {
        if self.event.device.is_there() {
            self.warn(text);
        } else {
            log::debug!("{}: {text}", self.place);
        }
    }

    /// The device and all above it.
    pub(super) fn lineage(&mut self) -> &[Device] {
        let device = &self.event.device;
        self.lineage
            .get_or_insert_with(|| device.lineage().collect())
    }

    /// The device that the last rule with `KERNELS` and the like has matched.
    pub(super) fn matched(&self) -> Option<&Device> {
        self.lineage.as_ref()?.get(self.matched?)
    }
}
