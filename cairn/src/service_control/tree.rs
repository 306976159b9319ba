//! The services as a tree: below each what it requires and wants, each once.

use std::collections::{BTreeMap, BTreeSet};

use cairn_system::control::ServiceStatus;

use super::graph::Graph;

/// One line of the tree.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The strokes that lead to it.
    pub strokes: String,
    /// What stands there.
    pub service: &'a ServiceStatus,
}

/// Lays the tree out. At the top are milestones and services that nothing else needs, milestones first;
/// a service that several need is below the first of them.
#[must_use]
pub fn lay_out<'a>(services: &'a [ServiceStatus], graph: &Graph) -> Vec<Line<'a>> {
    let by_name: BTreeMap<&str, &ServiceStatus> = services
        .iter()
        .map(|service| (service.name.as_str(), service))
        .collect();
    let needed: BTreeSet<&str> = services
        .iter()
        .flat_map(|service| {
            let name = service.name.as_str();
            graph.needs(name).filter(move |other| *other != name)
        })
        .collect();
    let mut tree = Tree {
        by_name,
        graph,
        seen: BTreeSet::new(),
        lines: Vec::new(),
    };
    let names = || services.iter().map(|service| service.name.as_str());
    let top = || names().filter(|name| !needed.contains(name));
    let (milestones, others): (Vec<&str>, Vec<&str>) =
        top().partition(|name| graph.is_milestone(name));
    // In a circle each is needed by another: what is left begins a tree of its own.
    for name in milestones.into_iter().chain(others).chain(names()) {
        if tree.seen.insert(name.to_owned()) {
            tree.add(name, "", "");
        }
    }
    tree.lines
}

struct Tree<'a, 'g> {
    by_name: BTreeMap<&'a str, &'a ServiceStatus>,
    graph: &'g Graph,
    seen: BTreeSet<String>,
    lines: Vec<Line<'a>>,
}

impl Tree<'_, '_> {
    /// Adds one that was not seen before, and what is below it.
    fn add(&mut self, name: &str, strokes: &str, below: &str) {
        let Some(service) = self.by_name.get(name) else {
            return;
        };
        self.lines.push(Line {
            strokes: strokes.to_owned(),
            service,
        });
        // They are taken before those further down can take them.
        let graph = self.graph;
        let children: Vec<&str> = graph
            .needs(name)
            .filter(|child| self.by_name.contains_key(child))
            .filter(|child| self.seen.insert((*child).to_owned()))
            .collect();
        let last = children.len().saturating_sub(1);
        for (number, child) in children.into_iter().enumerate() {
            let (branch, rest) = if number == last {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            self.add(
                child,
                &format!("{below}{branch}"),
                &format!("{below}{rest}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{Row, graph};
    use super::super::tests::service;
    use super::*;
    use cairn_system::control::ServiceState;

    #[test]
    fn each_stands_below_the_first_that_needs_it() {
        let table: &[Row<'_>] = &[
            ("sshd", &["network"], &[], &[]),
            ("network", &["dhcp"], &["gone"], &[]),
            ("dhcp", &[], &[], &[]),
            ("Online", &["network"], &["clock"], &[]),
            ("clock", &[], &[], &[]),
            ("one", &["two"], &[], &[]),
            ("two", &["one"], &[], &[]),
            ("self", &["self"], &[], &[]),
        ];
        let names = table.iter().map(|(name, ..)| *name);
        let services: Vec<_> = names.map(|name| service(name, ServiceState::Up)).collect();
        let lines = lay_out(&services, &graph(table));
        let text: Vec<String> = lines
            .iter()
            .map(|line| format!("{}{}\n", line.strokes, line.service.name))
            .collect();
        expect_test::expect![[r"
            Online
            ├─network
            │ └─dhcp
            └─clock
            sshd
            self
            one
            └─two
        "]]
        .assert_eq(&text.concat());
    }
}
