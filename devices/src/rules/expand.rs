//! What a value is once the device's own words are in it.

use super::VALUE_BYTES;
use super::apply::Decision;
use super::safe::{Allowed, joined, replaced};
use super::template::{Piece, Template, Variable};
use crate::device::Device;

/// Whether white space in a device's words stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spaces {
    Stay,
    /// Spaces would make several names of one.
    Joined,
}

impl Decision<'_> {
    /// The value; none, which is logged, if it is longer than [`VALUE_BYTES`].
    pub(super) fn expand(&mut self, template: &Template) -> Option<String> {
        self.expand_with(template, Spaces::Stay)
    }

    /// The values of several.
    pub(super) fn expand_all(&mut self, templates: &[Template]) -> Option<Vec<String>> {
        let values = templates.iter().map(|template| self.expand(template));
        values.collect()
    }

    /// The value, and what becomes of spaces in it.
    pub(super) fn expand_with(&mut self, template: &Template, spaces: Spaces) -> Option<String> {
        let mut value = String::new();
        for piece in &template.pieces {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Value(variable) => {
                    let words = self.value_of(variable);
                    match spaces {
                        Spaces::Stay => value.push_str(&words),
                        Spaces::Joined => value.push_str(&joined(&words)),
                    }
                }
            }
            if value.len() > VALUE_BYTES {
                self.warn(&format!(
                    "a value would be longer than {VALUE_BYTES} bytes, and is not assigned"
                ));
                return None;
            }
        }
        Some(value)
    }

    fn value_of(&mut self, variable: &Variable) -> String {
        let event = &*self.event;
        let device = &event.device;
        match variable {
            Variable::Kernel => device.name(),
            Variable::Number => device.number(),
            Variable::Devpath => device.devpath().to_owned(),
            Variable::Id => match self.matched() {
                Some(device) => device.name(),
                None => String::new(),
            },
            Variable::Driver => {
                let matched = self.matched();
                matched.and_then(Device::driver).unwrap_or_default()
            }
            Variable::Attribute(name) => self.safe_attribute(name),
            Variable::Property(name) => event.property(name).unwrap_or_default().to_owned(),
            Variable::Major => device.numbers().unwrap_or_default().0.to_string(),
            Variable::Minor => device.numbers().unwrap_or_default().1.to_string(),
            Variable::Result(words) => words.of(event.result.as_deref().unwrap_or_default()),
            Variable::Parent => {
                let parent = self.lineage().get(1);
                let node = parent.and_then(|parent| parent.node());
                node.unwrap_or_default().to_owned()
            }
            Variable::Name => {
                let kernels = || device.node().map_or_else(|| device.name(), str::to_owned);
                event.interface.clone().unwrap_or_else(kernels)
            }
            Variable::Links => {
                let links: Vec<_> = event.links.iter().map(String::as_str).collect();
                links.join(" ")
            }
            Variable::Root => "/dev".to_owned(),
            Variable::Sys => device.sys().to_string_lossy().into_owned(),
            Variable::Node => match device.node() {
                Some(node) => format!("/dev/{node}"),
                None => String::new(),
            },
        }
    }

    /// The device's attribute, or that of the one that the rule has matched, with no unusual characters.
    fn safe_attribute(&mut self, name: &str) -> String {
        let own = self.attribute(0, name);
        let matched = self.matched.filter(|number| *number > 0);
        let found = own.or_else(|| self.attribute(matched?, name));
        let text = found.unwrap_or_default();
        replaced(text.trim_end(), Allowed::Text)
    }
}
