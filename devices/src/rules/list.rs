//! The rules of one file, in a list with those of the files before it.

use super::compile::{Compiled, compile};
use super::line::{Line, lines};
use super::problem::{Fault, Problem, Severity};
use super::rule::Rule;

/// A `GOTO` or `LABEL` of the file.
struct Mark {
    name: String,
    line: usize,
    /// The number of the rule that it belongs to, or of the next one if that does nothing.
    rule: usize,
}

/// Adds the rules of a file to `rules`, and what is wrong with them to `problems`.
pub(super) fn read(file: &str, text: &str, rules: &mut Vec<Rule>, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    let mut gotos = Vec::new();
    let mut labels = Vec::new();
    for Line { number, text } in lines(text) {
        let problem = |severity, fault| Problem {
            file: file.to_owned(),
            line: number,
            severity,
            fault,
        };
        let compiled = match text.and_then(|text| compile(&text)) {
            Ok(compiled) => compiled,
            Err(fault) => {
                found.push(problem(Severity::Fatal, fault));
                continue;
            }
        };
        let has_effect = compiled.has_effect();
        let Compiled {
            rule,
            goto,
            label,
            notices,
        } = compiled;
        let notices = notices.into_iter();
        found.extend(notices.map(|fault| problem(Severity::Notice, fault)));
        let mark = |name| Mark {
            name,
            line: number,
            rule: rules.len(),
        };
        labels.extend(label.map(mark));
        gotos.extend(goto.map(mark));
        if has_effect {
            let place = format!("{file}:{number}");
            rules.push(Rule { place, ..rule });
        }
    }
    found.extend(link(file, gotos, &labels, rules));
    found.sort_by_key(|problem| problem.line);
    problems.append(&mut found);
}

/// Leads each `GOTO` to the next label of its name below it.
fn link(file: &str, gotos: Vec<Mark>, labels: &[Mark], rules: &mut [Rule]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for goto in gotos {
        let mut below = labels.iter().filter(|label| label.line > goto.line);
        match below.find(|label| label.name == goto.name) {
            Some(label) => {
                if let Some(rule) = rules.get_mut(goto.rule) {
                    rule.goto = Some(label.rule);
                }
            }
            None => problems.push(Problem {
                file: file.to_owned(),
                line: goto.line,
                severity: Severity::Notice,
                fault: Fault::NoLabel { label: goto.name },
            }),
        }
    }
    problems
}
