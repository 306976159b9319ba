//! Rules from the parts of their lines.

use super::key::{self, Key, Operator};
use super::line::{self, Part};
use super::pattern::{Case, Pattern};
use super::problem::Fault;
use super::rule::{
    Assignment, Comparison, Condition, Escape, Manner, Question, Rule, Sense, Subject, Target,
};
use super::template::Template;
use super::words::words;
use crate::builtins;

/// A rule, the names that it goes to and that lead to it, and what is to be said of it though it counts.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) goto: Option<String>,
    pub(super) label: Option<String>,
    pub(super) notices: Vec<Fault>,
}

impl Compiled {
    /// Whether it does something if it matches.
    pub(super) fn has_effect(&self) -> bool {
        let rule = &self.rule;
        let is_plain = rule.assignments.is_empty() && rule.late.is_empty();
        self.goto.is_some() || !is_plain || !rule.static_nodes.is_empty()
    }
}

/// The rule of a line.
pub(super) fn compile(line: &str) -> Result<Compiled, Fault> {
    let mut compiled = Compiled::default();
    for part in line::parts(line)? {
        compiled.take(part)?;
    }
    let rule = &mut compiled.rule;
    rule.late.sort_by_key(|condition| condition.question.rank());
    rule.assignments
        .sort_by_key(|assignment| assignment.target.rank());
    Ok(compiled)
}

impl Compiled {
    fn take(&mut self, part: Part) -> Result<(), Fault> {
        let attribute = part.attribute.as_deref();
        let (key, operator) = key::used(&part.key, attribute, part.operator)?;
        if operator != part.operator {
            let (key, operator) = (part.key.clone(), part.operator);
            self.notices.push(Fault::OperatorIsSet { key, operator });
        }
        if part.case == Case::Ignored && !operator.compares() {
            let Part { key, operator, .. } = part;
            return Err(Fault::CaseOfAssignment { key, operator });
        }
        let part = Part { operator, ..part };
        match key {
            Key::Test | Key::Program | Key::Import | Key::Result => self.late(key, part),
            Key::Kernels | Key::Subsystems | Key::Drivers | Key::Attrs | Key::Tags => {
                self.compared(key, part)
            }
            _ if operator.compares() => self.compared(key, part),
            Key::Goto => set_once(&mut self.goto, part),
            Key::Label => set_once(&mut self.label, part),
            Key::Options => self.option(&part),
            Key::Run => self.run(&part),
            Key::Seclabel => {
                let reason = "there are no security modules";
                let key = part.key;
                self.notices.push(Fault::NoEffect { key, reason });
                Ok(())
            }
            _ => self.assigned(key, part),
        }
    }

    fn compared(&mut self, key: Key, part: Part) -> Result<(), Fault> {
        let name = part.attribute.clone().unwrap_or_default();
        let subject = match key {
            Key::Action => Subject::Action,
            Key::Devpath => Subject::Devpath,
            Key::Kernel | Key::Kernels => Subject::Kernel,
            Key::Name => Subject::Name,
            Key::Symlink => Subject::Symlink,
            Key::Env => Subject::Env(name),
            Key::Const => Subject::Const(constant(&part, name)?),
            Key::Tag | Key::Tags => Subject::Tag,
            Key::Subsystem | Key::Subsystems => Subject::Subsystem,
            Key::Driver | Key::Drivers => Subject::Driver,
            Key::Attr | Key::Attrs => Subject::Attr(self.template(&part.key, &name)),
            Key::Sysctl => Subject::Sysctl(self.template(&part.key, &name)),
            // `key::used` lets no others be compared.
            _ => return Err(Fault::UnknownKey { key: part.key }),
        };
        let is_above = matches!(
            key,
            Key::Kernels | Key::Subsystems | Key::Drivers | Key::Attrs | Key::Tags
        );
        let value = match part.value.as_str() {
            // The kernel has had all three names for what devices belong to.
            "subsystem" | "bus" | "class" if subject == Subject::Subsystem => "subsystem|bus|class",
            value => value,
        };
        let comparison = Comparison {
            subject,
            sense: sense(part.operator),
            pattern: Pattern::parse(value, part.case),
        };
        let list = if is_above {
            &mut self.rule.above
        } else {
            &mut self.rule.own
        };
        list.push(comparison);
        Ok(())
    }

    fn late(&mut self, key: Key, part: Part) -> Result<(), Fault> {
        let sense = sense(part.operator);
        let question = match key {
            Key::Result => Question::Result(Pattern::parse(&part.value, part.case)),
            Key::Test => Question::Test {
                mask: mask(&part)?,
                path: self.template(&part.key, filled(&part)?),
            },
            Key::Program => Question::Program(self.command(&part)?),
            _ => self.import(part)?,
        };
        self.rule.late.push(Condition { question, sense });
        Ok(())
    }

    fn import(&mut self, part: Part) -> Result<Question, Fault> {
        filled(&part)?;
        Ok(match part.attribute.as_deref().unwrap_or_default() {
            "file" => Question::ImportFile(self.template(&part.key, &part.value)),
            "program" => {
                let (words, _) = words(&part.value);
                let is_builtin = words.first().is_some_and(|name| builtins::is_known(name));
                let command = self.command(&part)?;
                if is_builtin {
                    Question::ImportBuiltin(command)
                } else {
                    Question::ImportProgram(command)
                }
            }
            "builtin" => Question::ImportBuiltin(self.builtin(&part)?),
            "db" => Question::ImportRecord(part.value),
            "cmdline" => Question::ImportCommandLine(part.value),
            "parent" => Question::ImportParent(self.template(&part.key, &part.value)),
            attribute => {
                let known = "{program}, {builtin}, {file}, {db}, {cmdline} and {parent}";
                return Err(unknown_attribute(&part.key, attribute, known));
            }
        })
    }

    fn run(&mut self, part: &Part) -> Result<(), Fault> {
        let target = match part.attribute.as_deref() {
            None | Some("program") => Target::RunProgram(self.command(part)?),
            Some("builtin") => Target::RunBuiltin(self.builtin(part)?),
            Some(attribute) => {
                let known = "{program} and {builtin}";
                return Err(unknown_attribute(&part.key, attribute, known));
            }
        };
        self.assign(target, part.operator, Template::parse("").0);
        Ok(())
    }

    fn option(&mut self, part: &Part) -> Result<(), Fault> {
        let option = part.value.as_str();
        let target = match option.split_once('=').unwrap_or((option, "")) {
            ("string_escape", "none") => {
                self.rule.escape = Escape::None;
                return Ok(());
            }
            ("string_escape", "replace") => {
                self.rule.escape = Escape::Replace;
                return Ok(());
            }
            ("static_node", name) if super::safe::link_name(name).as_deref() == Some(name) => {
                self.rule.static_nodes.push(name.to_owned());
                return Ok(());
            }
            ("link_priority", number) => match number.parse() {
                Ok(number) => Target::LinkPriority(number),
                Err(_) => return Err(bad_value(part, "link_priority= and a whole number")),
            },
            ("db_persist", "") => Target::Kept,
            ("watch", "") => Target::Watched(true),
            ("nowatch", "") => Target::Watched(false),
            ("dump" | "dump-json", "") => Target::Dump,
            ("log_level", _) => {
                let reason = "the level of all events' messages is the same";
                let key = "log_level".to_owned();
                self.notices.push(Fault::NoEffect { key, reason });
                return Ok(());
            }
            ("static_node", _) => {
                return Err(bad_value(part, "static_node= and a path below /dev"));
            }
            _ => {
                let option = option.to_owned();
                self.notices.push(Fault::UnknownOption { option });
                return Ok(());
            }
        };
        self.assign(target, Operator::Set, Template::parse("").0);
        Ok(())
    }

    fn assigned(&mut self, key: Key, part: Part) -> Result<(), Fault> {
        let name = part.attribute.clone().unwrap_or_default();
        let value = self.template(&part.key, &part.value);
        let target = match key {
            Key::Owner | Key::Group | Key::Mode | Key::Name => {
                filled(&part)?;
                match key {
                    Key::Owner => Target::Owner,
                    Key::Group => Target::Group,
                    Key::Mode if value.fixed().is_some_and(|text| mode(text).is_none()) => {
                        return Err(bad_value(&part, "an octal number up to 7777, as 0660"));
                    }
                    Key::Mode => Target::Mode,
                    _ => Target::Name,
                }
            }
            Key::Env if key::is_kernels(&name) => return Err(Fault::KernelsProperty { name }),
            Key::Env => Target::Env(name),
            Key::Tag => Target::Tag,
            Key::Symlink => Target::Symlink,
            Key::Attr => Target::Attr(self.template(&part.key, &name)),
            Key::Sysctl => Target::Sysctl(self.template(&part.key, &name)),
            // `key::used` lets no others be assigned.
            _ => return Err(Fault::UnknownKey { key: part.key }),
        };
        self.assign(target, part.operator, value);
        Ok(())
    }

    fn assign(&mut self, target: Target, operator: Operator, value: Template) {
        let manner = match operator {
            Operator::Add => Manner::Add,
            Operator::Remove => Manner::Remove,
            Operator::SetFinally => Manner::SetFinally,
            Operator::Set | Operator::Is | Operator::IsNot => Manner::Set,
        };
        self.rule.assignments.push(Assignment {
            target,
            manner,
            value,
        });
    }

    /// A value with substitutions; what only looks like one is noticed.
    fn template(&mut self, key: &str, text: &str) -> Template {
        let (template, unknown) = Template::parse(text);
        let key = || key.to_owned();
        let unknown = unknown.into_iter();
        let faults = unknown.map(|at| Fault::UnknownSubstitution { key: key(), at });
        self.notices.extend(faults);
        template
    }

    fn command(&mut self, part: &Part) -> Result<Vec<Template>, Fault> {
        let (words, is_open) = words(&part.value);
        let key = part.key.clone();
        if words.first().is_none_or(String::is_empty) {
            return Err(Fault::EmptyValue { key });
        }
        if is_open {
            self.notices.push(Fault::OpenQuote { key });
        }
        let words = words.iter().map(|word| self.template(&part.key, word));
        Ok(words.collect())
    }

    fn builtin(&mut self, part: &Part) -> Result<Vec<Template>, Fault> {
        let command = self.command(part)?;
        let name = command.first().and_then(Template::fixed);
        match name {
            Some(name) if builtins::is_known(name) => Ok(command),
            _ => Err(Fault::UnknownBuiltin {
                name: name.unwrap_or(&part.value).to_owned(),
                known: builtins::names().collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// The mode that `text` writes in octal.
pub(super) fn mode(text: &str) -> Option<u32> {
    let is_octal = !text.is_empty() && text.chars().all(|c| c.is_digit(8));
    let mode = u32::from_str_radix(text, 8).ok()?;
    (is_octal && mode <= 0o7777).then_some(mode)
}

fn mask(part: &Part) -> Result<Option<u32>, Fault> {
    let Some(text) = &part.attribute else {
        return Ok(None);
    };
    match mode(text) {
        Some(mask) => Ok(Some(mask)),
        None => Err(Fault::BadValue {
            key: part.key.clone(),
            value: text.clone(),
            expected: "an octal number in braces, as TEST{0111}",
        }),
    }
}

fn constant(part: &Part, name: String) -> Result<String, Fault> {
    let known = "{arch}, {virt} and {cvm}";
    match name.as_str() {
        "arch" | "virt" | "cvm" => Ok(name),
        _ => Err(unknown_attribute(&part.key, &name, known)),
    }
}

fn sense(operator: Operator) -> Sense {
    if operator == Operator::IsNot {
        Sense::IsNot
    } else {
        Sense::Is
    }
}

fn set_once(name: &mut Option<String>, part: Part) -> Result<(), Fault> {
    filled(&part)?;
    if name.is_some() {
        return Err(Fault::Twice { key: part.key });
    }
    *name = Some(part.value);
    Ok(())
}

/// A value that is not empty.
fn filled(part: &Part) -> Result<&str, Fault> {
    if part.value.is_empty() {
        let key = part.key.clone();
        return Err(Fault::EmptyValue { key });
    }
    Ok(&part.value)
}

fn bad_value(part: &Part, expected: &'static str) -> Fault {
    Fault::BadValue {
        key: part.key.clone(),
        value: part.value.clone(),
        expected,
    }
}

fn unknown_attribute(key: &str, attribute: &str, known: &'static str) -> Fault {
    Fault::UnknownAttribute {
        key: key.to_owned(),
        attribute: attribute.to_owned(),
        known,
    }
}
