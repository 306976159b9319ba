//! What a rule that applies decides.

use super::ENTRIES;
use super::apply::Decision;
use super::compile::mode;
use super::expand::Spaces;
use super::rule::{Assignment, Escape, Manner, Rule, Target};
use super::safe::{Allowed, is_interface_name, link_name, replaced};
use super::template::Template;
use crate::event::Command;

impl Decision<'_> {
    /// All that a rule assigns.
    pub(super) fn assign_all(&mut self, rule: &Rule) {
        for assignment in &rule.assignments {
            // What cannot be expanded is logged, and the rest counts.
            self.assign(assignment);
        }
    }

    /// None if a value is too long.
    fn assign(&mut self, assignment: &Assignment) -> Option<()> {
        let Assignment { manner, value, .. } = assignment;
        match &assignment.target {
            Target::Kept => self.event.is_kept = true,
            Target::Watched(is_watched) => self.event.is_watched = Some(*is_watched),
            Target::LinkPriority(number) => self.event.link_priority = *number,
            Target::Dump => log::info!("{}: {:#?}", self.place, self.event),
            Target::Owner => self.owner(*manner, value)?,
            Target::Group => self.group(*manner, value)?,
            Target::Mode => self.mode(*manner, value)?,
            Target::Env(name) => self.property(name, *manner, value)?,
            Target::Tag => self.tag(*manner, value)?,
            Target::Name => self.name(*manner, value)?,
            Target::Symlink => self.links(*manner, value)?,
            Target::Attr(name) => self.write_attribute(name, value)?,
            Target::Sysctl(name) => self.write_sysctl(name, value)?,
            Target::RunBuiltin(words) => self.run(*manner, words, Command::Builtin)?,
            Target::RunProgram(words) => self.run(*manner, words, Command::Program)?,
        }
        Some(())
    }

    fn owner(&mut self, manner: Manner, value: &Template) -> Option<()> {
        if is_over(&mut self.finals.owner, manner) {
            return Some(());
        }
        let name = self.expand(value)?;
        match self.around.user(&name) {
            Some(user) => self.event.owner = Some(user),
            None => self.warn(&format!(
                "there is no user '{name}': the owner stays as it is"
            )),
        }
        Some(())
    }

    fn group(&mut self, manner: Manner, value: &Template) -> Option<()> {
        if is_over(&mut self.finals.group, manner) {
            return Some(());
        }
        let name = self.expand(value)?;
        match self.around.group(&name) {
            Some(group) => self.event.group = Some(group),
            None => self.warn(&format!(
                "there is no group '{name}': the group stays as it is"
            )),
        }
        Some(())
    }

    fn mode(&mut self, manner: Manner, value: &Template) -> Option<()> {
        if is_over(&mut self.finals.mode, manner) {
            return Some(());
        }
        let text = self.expand(value)?;
        match mode(&text) {
            Some(mode) => self.event.mode = Some(mode),
            None => self.warn(&format!("'{text}' is no mode: it is to be octal, as 0660")),
        }
        Some(())
    }

    fn property(&mut self, name: &str, manner: Manner, value: &Template) -> Option<()> {
        let mut text = self.expand(value)?;
        if self.escape == Escape::Replace {
            text = replaced(&text, Allowed::Nothing);
        }
        if manner == Manner::Add {
            if text.is_empty() {
                return Some(());
            }
            if let Some(before) = self.event.property(name) {
                text = format!("{before} {text}");
            }
        }
        self.set_property(name, &text);
        Some(())
    }

    fn tag(&mut self, manner: Manner, value: &Template) -> Option<()> {
        let tag = self.expand(value)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if tag.is_empty() || tag.len() > 255 || !tag.chars().all(is_plain) {
            self.warn(&format!(
                "'{tag}' is no tag: those are letters, digits, hyphens and underscores"
            ));
            return Some(());
        }
        match manner {
            Manner::Remove => {
                self.event.tags.remove(&tag);
                return Some(());
            }
            Manner::Set | Manner::SetFinally => self.event.tags.clear(),
            Manner::Add => {}
        }
        if self.event.tags.len() >= ENTRIES {
            self.warn(&format!("the tag {tag} is not added: there are {ENTRIES}"));
            return Some(());
        }
        self.event.tags.insert(tag);
        Some(())
    }

    fn name(&mut self, manner: Manner, value: &Template) -> Option<()> {
        if is_over(&mut self.finals.name, manner) {
            return Some(());
        }
        if self.event.device.interface().is_none() {
            self.warn("only network interfaces can have another NAME; use SYMLINK");
            return Some(());
        }
        let mut name = self.expand(value)?;
        if self.escape != Escape::None {
            name = replaced(&name, Allowed::Nothing).replace(':', "_");
        }
        if is_interface_name(&name) {
            self.event.interface = Some(name);
        } else {
            self.warn(&format!(
                "'{name}' is no name for an interface: those have up to 15 characters, and no slash, colon or space"
            ));
        }
        Some(())
    }

    fn links(&mut self, manner: Manner, value: &Template) -> Option<()> {
        if is_over(&mut self.finals.links, manner) || self.event.device.node().is_none() {
            return Some(());
        }
        let text = match self.escape {
            Escape::None => self.expand(value)?,
            Escape::Unset => {
                let text = self.expand_with(value, Spaces::Joined)?;
                replaced(&text, Allowed::Lists)
            }
            Escape::Replace => {
                let text = self.expand_with(value, Spaces::Joined)?;
                replaced(&text, Allowed::Paths)
            }
        };
        if matches!(manner, Manner::Set | Manner::SetFinally) {
            self.event.links.clear();
        }
        for word in text.split_ascii_whitespace() {
            self.link(word, manner);
        }
        Some(())
    }

    fn link(&mut self, word: &str, manner: Manner) {
        let Some(name) = link_name(word) else {
            self.warn(&format!(
                "the link {word} is not made: it is no path below /dev"
            ));
            return;
        };
        if manner == Manner::Remove {
            self.event.links.remove(&name);
        } else if self.event.device.node() == Some(&name) {
            // Its own node is no link to it.
            log::debug!("{}: the link {name} is the node itself", self.place);
        } else if self.event.links.len() >= ENTRIES {
            self.warn(&format!("the link {name} is not made: there are {ENTRIES}"));
        } else {
            self.event.links.insert(name);
        }
    }

    fn write_attribute(&mut self, name: &Template, value: &Template) -> Option<()> {
        let name = self.expand(name)?;
        let value = self.expand(value)?;
        let Some((device, name)) = self.written(&name) else {
            self.warn_of_device(&format!(
                "there is no attribute {name} to write '{value}' to"
            ));
            return Some(());
        };
        if let Err(error) = self.around.set_attribute(&device, &name, &value) {
            let devpath = device.devpath();
            self.warn_of_device(&format!(
                "cannot write '{value}' to {devpath}/{name}: {error}"
            ));
        }
        Some(())
    }

    fn write_sysctl(&mut self, name: &Template, value: &Template) -> Option<()> {
        let name = self.expand(name)?;
        let value = self.expand(value)?;
        if let Err(error) = self.around.set_sysctl(&name, &value) {
            self.warn(&format!("cannot set {name} to '{value}': {error}"));
        }
        Some(())
    }

    fn run(
        &mut self,
        manner: Manner,
        words: &[Template],
        command: fn(Vec<String>) -> Command,
    ) -> Option<()> {
        if is_over(&mut self.finals.commands, manner) {
            return Some(());
        }
        let command = command(self.expand_all(words)?);
        if manner != Manner::Add {
            self.event.commands.clear();
        }
        if self.event.commands.len() >= ENTRIES {
            self.warn(&format!("a command is not run: there are {ENTRIES}"));
        } else if !self.event.commands.contains(&command) {
            self.event.commands.push(command);
        }
        Some(())
    }
}

/// Whether the last word about something was said before; `:=` says it.
fn is_over(is_final: &mut bool, manner: Manner) -> bool {
    let was_final = *is_final;
    *is_final |= manner == Manner::SetFinally;
    was_final
}
