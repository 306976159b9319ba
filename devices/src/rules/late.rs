//! What a rule asks of files and programs, and what it takes over from them.

use super::apply::Decision;
use super::key::is_kernels;
use super::pattern::{Case, Pattern};
use super::rule::{Condition, Escape, Question};
use super::safe::{Allowed, replaced};
use super::template::Template;
use super::{ENTRIES, VALUE_BYTES};
use crate::device::Properties;

/// More of what a program or file says is not read.
const OUTPUT_BYTES: usize = 64 << 10;

impl Decision<'_> {
    /// Whether a question has the answer that a rule wants.
    pub(super) fn answers(&mut self, condition: &Condition) -> bool {
        let is_so = match &condition.question {
            Question::Test { path, mask } => self.test(path, *mask),
            Question::Program(command) => self.program(command),
            Question::ImportFile(path) => self.import_file(path),
            Question::ImportProgram(command) => self.import_program(command),
            Question::ImportBuiltin(command) => self.import_builtin(command),
            Question::ImportRecord(name) => self.import_record(name),
            Question::ImportCommandLine(key) => match self.around.command_line(key) {
                Some(value) => {
                    self.set_property(key, &value);
                    true
                }
                None => false,
            },
            Question::ImportParent(names) => self.import_parent(names),
            Question::Result(pattern) => {
                pattern.matches(self.event.result.as_deref().unwrap_or_default())
            }
        };
        condition.sense.holds(is_so)
    }

    fn test(&mut self, path: &Template, mask: Option<u32>) -> bool {
        let Some(path) = self.expand(path) else {
            return false;
        };
        let Some(path) = self.tested(&path) else {
            return false;
        };
        let mode = self.around.mode(&path.to_string_lossy());
        mode.is_some_and(|mode| mask.is_none_or(|mask| mode & mask != 0))
    }

    fn program(&mut self, command: &[Template]) -> bool {
        self.event.result = None;
        let Some(output) = self.output(command) else {
            return false;
        };
        let output = cut(output.trim_end_matches('\n'), VALUE_BYTES);
        self.event.result = Some(match self.escape {
            Escape::None => output.to_owned(),
            Escape::Unset | Escape::Replace => replaced(output, Allowed::Text),
        });
        true
    }

    /// What a program writes; none, which is logged, if it cannot be run.
    fn output(&mut self, command: &[Template]) -> Option<String> {
        let command = self.expand_all(command)?;
        match self.around.output(&command, &self.event.properties) {
            Ok(output) => output,
            Err(error) => {
                self.warn(&format!("cannot run {}: {error}", command.join(" ")));
                None
            }
        }
    }

    fn import_program(&mut self, command: &[Template]) -> bool {
        let output = self.output(command);
        output.is_some_and(|text| {
            self.import(&text);
            true
        })
    }

    fn import_builtin(&mut self, command: &[Template]) -> bool {
        let Some(command) = self.expand_all(command) else {
            return false;
        };
        match self.around.builtin(&command, self.event) {
            Ok(None) => false,
            Ok(Some(properties)) => {
                for (name, value) in properties {
                    self.set_property(&name, &value);
                }
                true
            }
            Err(error) => {
                self.warn_of_device(&format!(
                    "the builtin {} failed: {error}",
                    command.join(" ")
                ));
                false
            }
        }
    }

    fn import_file(&mut self, path: &Template) -> bool {
        let Some(path) = self.expand(path) else {
            return false;
        };
        match self.around.file(&path) {
            Ok(text) => {
                self.import(&text);
                true
            }
            // udev's own rules try files that need not be there.
            Err(error) => {
                log::debug!("{}: cannot import {path}: {error}", self.place);
                false
            }
        }
    }

    fn import_record(&mut self, name: &str) -> bool {
        let Some(id) = self.event.device.id() else {
            return false;
        };
        let Some(value) = self.around.recorded(&id).remove(name) else {
            return false;
        };
        self.set_property(name, &value);
        true
    }

    /// Those properties of the device above whose names are like a pattern.
    fn import_parent(&mut self, names: &Template) -> bool {
        let Some(names) = self.expand(names) else {
            return false;
        };
        let Some(parent) = self.lineage().get(1) else {
            return false;
        };
        let mut properties = parent.uevent().clone();
        if let Some(id) = parent.id() {
            properties.extend(self.around.recorded(&id));
        }
        let names = Pattern::parse(&names, Case::Counts);
        for (name, value) in properties {
            if names.matches(&name) {
                self.set_property(&name, &value);
            }
        }
        true
    }

    fn import(&mut self, text: &str) {
        for (name, value) in properties(cut(text, OUTPUT_BYTES)) {
            self.set_property(&name, &value);
        }
    }

    /// Gives the device a property, or takes it if it is empty. What the kernel says is not changed.
    pub(super) fn set_property(&mut self, name: &str, value: &str) {
        let is_name = !name.is_empty() && !name.contains(|c: char| c.is_control() || c == '=');
        if !is_name || is_kernels(name) {
            return;
        }
        let properties = &mut self.event.properties;
        if value.is_empty() {
            properties.remove(name);
            return;
        }
        if name.len() > 255 || value.len() > VALUE_BYTES {
            let name = cut(name, 255);
            self.warn(&format!("the property {name} is too long, and is not set"));
            return;
        }
        if properties.len() >= ENTRIES && !properties.contains_key(name) {
            self.warn(&format!(
                "the property {name} is not set: there are {ENTRIES}"
            ));
            return;
        }
        // A line end would be another line of the device's record.
        let value = value.replace(|c: char| c.is_control() && c != '\t', "_");
        properties.insert(name.to_owned(), value);
    }
}

/// The first bytes of a text, and no part of a character.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev();
    let mut ends = end.filter_map(|end| text.get(..end));
    ends.next().unwrap_or_default()
}

/// The lines `NAME=value` of a text, in which values may have quotes around them.
pub(super) fn properties(text: &str) -> Properties {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            let (name, value) = (name.trim_end(), value.trim_start());
            Some((name.to_owned(), unquoted(value)?.to_owned()))
        })
        .collect()
}

/// A value without the quotes around it; none if it has only the first.
fn unquoted(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(value) = value.strip_prefix(quote) {
            return value.strip_suffix(quote);
        }
    }
    Some(value)
}
