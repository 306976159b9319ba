//! What a rule compares.

use super::apply::Decision;
use super::rule::{Comparison, Subject};

impl Decision<'_> {
    /// Whether something is so of the device itself.
    pub(super) fn is_own(&mut self, comparison: &Comparison) -> bool {
        let event = &*self.event;
        let is_one = |value: &str| is_so(comparison, value);
        match &comparison.subject {
            Subject::Action => is_one(&event.action),
            Subject::Devpath => is_one(event.device.devpath()),
            Subject::Kernel => is_one(&event.device.name()),
            Subject::Name => is_one(event.interface.as_deref().unwrap_or_default()),
            Subject::Subsystem => is_one(event.device.subsystem().unwrap_or_default()),
            Subject::Driver => is_one(&event.device.driver().unwrap_or_default()),
            // What is not there is empty.
            Subject::Env(name) => is_one(event.property(name).unwrap_or_default()),
            Subject::Const(name) => is_one(&self.around.constant(name).unwrap_or_default()),
            Subject::Symlink => has(comparison, event.links.iter()),
            Subject::Tag => has(comparison, event.tags.iter()),
            Subject::Sysctl(name) => {
                let Some(name) = self.expand(name) else {
                    return false;
                };
                let value = self.around.sysctl(&name).unwrap_or_default();
                is_so(comparison, value.trim())
            }
            Subject::Attr(name) => {
                let name = self.expand(name);
                name.is_some_and(|name| self.is_attribute(0, &name, comparison))
            }
        }
    }

    /// Whether all of this is so of the device or one above it, which is remembered.
    pub(super) fn is_above(&mut self, comparisons: &[Comparison]) -> bool {
        self.matched = None;
        let length = self.lineage().len();
        self.matched = (0..length).find(|number| {
            let mut comparisons = comparisons.iter();
            comparisons.all(|comparison| self.is_at(*number, comparison))
        });
        self.matched.is_some()
    }

    fn is_at(&mut self, number: usize, comparison: &Comparison) -> bool {
        if let Subject::Attr(name) = &comparison.subject {
            let name = self.expand(name);
            return name.is_some_and(|name| self.is_attribute(number, &name, comparison));
        }
        if number == 0 {
            return self.is_own(comparison);
        }
        let Some(device) = self.lineage().get(number) else {
            return false;
        };
        match &comparison.subject {
            Subject::Kernel => is_so(comparison, &device.name()),
            Subject::Subsystem => is_so(comparison, device.subsystem().unwrap_or_default()),
            Subject::Driver => is_so(comparison, &device.driver().unwrap_or_default()),
            Subject::Tag => {
                let tags = match device.id() {
                    Some(id) => self.around.recorded_tags(&id),
                    None => return has(comparison, [].iter()),
                };
                has(comparison, tags.iter())
            }
            // Of those above, rules ask nothing else.
            _ => false,
        }
    }

    /// An attribute that is not there is neither like a pattern nor unlike it.
    fn is_attribute(&mut self, of: usize, name: &str, comparison: &Comparison) -> bool {
        let Some(value) = self.attribute(of, name) else {
            return false;
        };
        if comparison.pattern.ends_with_space() {
            return is_so(comparison, &value);
        }
        is_so(comparison, value.trim_end())
    }
}

fn is_so(comparison: &Comparison, value: &str) -> bool {
    comparison.sense.holds(comparison.pattern.matches(value))
}

/// Whether one of several is like a pattern, or none is.
fn has<'a>(comparison: &Comparison, mut values: impl Iterator<Item = &'a String>) -> bool {
    let is_one = values.any(|value| comparison.pattern.matches(value));
    comparison.sense.holds(is_one)
}
