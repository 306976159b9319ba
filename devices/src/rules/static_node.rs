//! Nodes that are there before their devices: opening one loads the module of its device.

use super::Rules;
use super::compile::mode;
use super::rule::{Rule, Target};

/// What rules with `OPTIONS+="static_node=…"` say of a node; their comparisons are not asked, as there is no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticNode {
    /// Its path below `/dev`.
    pub name: String,
    /// Its owner's name or number.
    pub owner: Option<String>,
    /// Its group's name or number.
    pub group: Option<String>,
    /// Its mode: as the rule says, or 0660 if it has a group or owner; none if the rule says nothing of rights.
    pub mode: Option<u32>,
    /// Words by which listeners find it.
    pub tags: Vec<String>,
    /// File and line of the rule, for messages.
    pub place: String,
}

impl Rules {
    /// The nodes to prepare at start-up, in the order of the rules.
    #[must_use]
    pub fn static_nodes(&self) -> Vec<StaticNode> {
        self.rules.iter().flat_map(nodes).collect()
    }
}

fn nodes(rule: &Rule) -> impl Iterator<Item = StaticNode> {
    let values = |target: Target| {
        let assignments = rule.assignments.iter();
        assignments.filter_map(move |assignment| {
            let value = assignment.value.fixed()?;
            (assignment.target == target).then(|| value.to_owned())
        })
    };
    let owner = values(Target::Owner).next_back();
    let group = values(Target::Group).next_back();
    let written = values(Target::Mode)
        .next_back()
        .and_then(|text| mode(&text));
    let for_owners = (owner.is_some() || group.is_some()).then_some(0o660);
    let node = StaticNode {
        name: String::new(),
        owner,
        group,
        mode: written.or(for_owners),
        tags: values(Target::Tag).collect(),
        place: rule.place.clone(),
    };
    let names = rule.static_nodes.iter();
    names.map(move |name| StaticNode {
        name: name.clone(),
        ..node.clone()
    })
}
