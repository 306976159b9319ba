//! Who depends on whom, by number, and who does so in a circle.

use std::collections::BTreeMap;

use cairn_system::ordered;
use cairn_system::{Few, Service, ServiceName};

/// A service's number: its place in the description.
pub type Id = usize;

/// The dependencies of one service, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Must be up before it starts.
    pub requires: Vec<Id>,
    /// Those of them that are not started along with it.
    pub requisite: Few<Id>,
    /// Started along with it.
    pub wants: Vec<Id>,
    /// Waited for if they are to start.
    pub after: Vec<Id>,
    /// Those that require it or come after it: stopped before it.
    pub before: Vec<Id>,
    /// Those that require it, or are part of it: stopped and restarted with it.
    pub required_by: Vec<Id>,
    /// Those that are bound to it: stopped when it has gone down by itself, too.
    pub bound: Few<Id>,
    /// Not to run at the same time, whichever of the two says so.
    pub conflicts: Few<Id>,
    /// Started when it has failed.
    pub on_failure: Few<Id>,
    /// Started when its work is done.
    pub on_success: Few<Id>,
    /// Started whenever they are down while it is up.
    pub upholds: Few<Id>,
    /// Those that do so with it.
    pub upheld_by: Few<Id>,
    /// Those of what it requires, wants or upholds that are up only as long as something needs them.
    pub needs: Few<Id>,
    /// Those that need it, if it is one of them.
    pub needed_by: Few<Id>,
    /// Another one reads what it writes.
    pub has_reader: bool,
    /// Started when something comes in at it.
    pub starts: Option<Id>,
    /// The circle that it is part of, as text.
    pub cycle: Option<String>,
}

impl Node {
    /// What `service` itself says, in the numbers that `id_of` gives.
    fn new(service: &Service, id_of: impl Fn(&ServiceName) -> Option<Id>) -> Self {
        let ids = |names: &[ServiceName]| -> Vec<Id> { names.iter().filter_map(&id_of).collect() };
        Self {
            requires: ids(&service.requires),
            requisite: ids(&service.requisite).into(),
            wants: ids(&service.wants),
            upholds: ids(&service.upholds).into(),
            after: ids(&service.after),
            on_failure: ids(&service.on_failure).into(),
            on_success: ids(&service.on_success).into(),
            starts: service.starts().and_then(&id_of),
            ..Self::default()
        }
    }

    /// Those whose turn may come when this one changes; some of them twice.
    pub fn neighbours(&self) -> impl Iterator<Item = Id> {
        let all: [&[Id]; 4] = [&self.before, &self.conflicts, &self.requires, &self.after];
        all.into_iter().flatten().copied()
    }
}

/// Numbers the dependencies. Names that `services` does not have are left out: `after` and `wants`
/// may name what this generation lacks, and the description's check has refused such a `requires`.
pub fn nodes(services: &[Service]) -> Vec<Node> {
    let numbers: BTreeMap<&ServiceName, Id> = ordered::map(
        services
            .iter()
            .enumerate()
            .map(|(id, service)| (&service.name, id)),
    );
    let id_of = |name: &ServiceName| numbers.get(name).copied();
    let mut nodes: Vec<Node> = services
        .iter()
        .map(|service| Node::new(service, id_of))
        .collect();
    let edges: Vec<(Vec<Id>, Vec<Id>)> = nodes
        .iter()
        .map(|node| (node.requires.clone(), node.after.clone()))
        .collect();
    for (id, (requires, after)) in edges.iter().enumerate() {
        tell_earlier(&mut nodes, id, requires, after);
    }
    for (id, service) in services.iter().enumerate() {
        tell_others(&mut nodes, id, service, id_of);
        tell_needed(&mut nodes, services, id);
        for other in service.conflicts.iter().filter_map(id_of) {
            for (one, other) in [(id, other), (other, id)] {
                if let Some(node) = nodes.get_mut(one)
                    && one != other
                    && !node.conflicts.contains(&other)
                {
                    node.conflicts.push(other);
                }
            }
        }
    }
    for id in 0..nodes.len() {
        let cycle = cycle_through(&edges, id).map(|cycle| {
            let names: Vec<&str> = cycle
                .iter()
                .filter_map(|id| services.get(*id))
                .map(|service| service.name.as_str())
                .collect();
            format!(
                "it waits for itself: {}; take one of these requires or after away",
                names.join(" -> ")
            )
        });
        if let Some(node) = nodes.get_mut(id) {
            node.cycle = cycle;
        }
    }
    nodes
}

/// Adds the node of a service behind all others, on which none of them depends.
pub fn add(nodes: &mut Vec<Node>, services: &[Service], service: &Service) {
    let new = nodes.len();
    let id_of = |name: &ServiceName| services.iter().position(|other| other.name == *name);
    let node = Node::new(service, id_of);
    let (requires, after) = (node.requires.clone(), node.after.clone());
    nodes.push(node);
    tell_earlier(nodes, new, &requires, &after);
    tell_others(nodes, new, service, id_of);
    tell_needed(nodes, services, new);
}

/// Has those that `id` requires or comes after know of it.
fn tell_earlier(nodes: &mut [Node], id: Id, requires: &[Id], after: &[Id]) {
    for required in requires {
        if let Some(node) = nodes.get_mut(*required) {
            node.required_by.push(id);
            node.before.push(id);
        }
    }
    for earlier in after {
        if let Some(node) = nodes.get_mut(*earlier)
            && !node.before.contains(&id)
        {
            node.before.push(id);
        }
    }
}

/// Has those that `service` names in other ways know of it.
fn tell_others(
    nodes: &mut [Node],
    id: Id,
    service: &Service,
    id_of: impl Fn(&ServiceName) -> Option<Id>,
) {
    let mut each = |names: &[ServiceName], tell: fn(&mut Node, Id)| {
        for other in names.iter().filter_map(&id_of) {
            if let Some(node) = nodes.get_mut(other) {
                tell(node, id);
            }
        }
    };
    each(&service.upholds, |node, id| node.upheld_by.push(id));
    each(&service.binds_to, |node, id| node.bound.push(id));
    each(&service.part_of, |node, id| node.required_by.push(id));
    let read = service.reads_output_of.as_slice();
    each(read, |node, _| node.has_reader = true);
}

/// Has those that `id` needs know of it, where they ask for that.
fn tell_needed(nodes: &mut [Node], services: &[Service], id: Id) {
    let Some(node) = nodes.get_mut(id) else {
        return;
    };
    let all: [&[Id]; 3] = [&node.requires, &node.wants, &node.upholds];
    let asks = |id: &&Id| (services.get(**id)).is_some_and(|service| service.stop_when_unneeded);
    let needed: Few<Id> = all.into_iter().flatten().filter(asks).copied().collect();
    node.needs = needed.clone();
    for other in needed {
        if let Some(node) = nodes.get_mut(other) {
            node.needed_by.push(id);
        }
    }
}

/// A shortest way from `start` back to `start`, both ends included.
fn cycle_through(edges: &[(Vec<Id>, Vec<Id>)], start: Id) -> Option<Vec<Id>> {
    let (requires, after) = edges.get(start)?;
    if requires.is_empty() && after.is_empty() {
        return None;
    }
    let mut came_from: Vec<Option<Id>> = vec![None; edges.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        let (requires, after) = edges.get(id)?;
        for next in requires.iter().chain(after) {
            if *next == start {
                let mut way = vec![start, id];
                let mut at = id;
                while at != start {
                    at = came_from.get(at).copied().flatten()?;
                    way.push(at);
                }
                if id == start {
                    way.truncate(1);
                    way.push(start);
                }
                way.reverse();
                return Some(way);
            }
            if let Some(from @ None) = came_from.get_mut(*next) {
                *from = Some(id);
                queue.push_back(*next);
            }
        }
    }
    None
}
