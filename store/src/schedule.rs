//! Which derivations have to be built, and in which order.
//!
//! Only what is missing is visited: a derivation whose outputs are valid needs none of its inputs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use cairn_store_path::{Derivation, StorePath};

use crate::error::StoreError;
use crate::store::Store;

/// A derivation that has to be built.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: StorePath,
    /// How many inputs are not there yet.
    waits: usize,
    /// Who waits for it.
    dependents: Vec<usize>,
    /// The longest way from it to a wanted derivation: what is on long ways is built first.
    height: usize,
}

/// What has to be built, and every derivation that had to be looked at for it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) derivations: BTreeMap<StorePath, Derivation>,
    /// Derivations whose outputs are all there, in order.
    pub(crate) cached: Vec<StorePath>,
    /// A derivation that can never be built, because it waits for itself.
    pub(crate) cycle: Option<StorePath>,
}

impl Plan {
    /// Reads the derivations from `wanted` down to what is there.
    pub(crate) fn make(store: &Store, wanted: &[StorePath]) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        let mut indices: HashMap<StorePath, usize> = HashMap::new();
        let mut queue: Vec<StorePath> = wanted.to_vec();
        while let Some(path) = queue.pop() {
            if plan.derivations.contains_key(&path) {
                continue;
            }
            store.keep([&path])?;
            let derivation = store.read_derivation(&path)?;
            store.keep(derivation.outputs.values().map(|output| &output.path))?;
            if all_present(store, &derivation)? {
                plan.cached.push(path.clone());
            } else {
                queue.extend(derivation.input_drvs.keys().cloned());
                indices.insert(path.clone(), plan.nodes.len());
                plan.nodes.push(Node {
                    path: path.clone(),
                    waits: 0,
                    dependents: Vec::new(),
                    height: 0,
                });
            }
            plan.derivations.insert(path, derivation);
        }
        plan.cached.sort();
        plan.connect(&indices);
        plan.measure();
        Ok(plan)
    }

    fn connect(&mut self, indices: &HashMap<StorePath, usize>) {
        for index in 0..self.nodes.len() {
            let inputs: Vec<usize> = self
                .nodes
                .get(index)
                .and_then(|node| self.derivations.get(&node.path))
                .into_iter()
                .flat_map(|derivation| derivation.input_drvs.keys())
                .filter_map(|input| indices.get(input).copied())
                .collect();
            if let Some(node) = self.nodes.get_mut(index) {
                node.waits = inputs.len();
            }
            for input in inputs {
                if let Some(node) = self.nodes.get_mut(input) {
                    node.dependents.push(index);
                }
            }
        }
    }

    /// Heights, from the wanted derivations downwards: a node is done when all that wait for it
    /// are.
    fn measure(&mut self) {
        let mut open: Vec<usize> = self
            .nodes
            .iter()
            .map(|node| node.dependents.len())
            .collect();
        let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for dependent in &node.dependents {
                if let Some(list) = inputs.get_mut(*dependent) {
                    list.push(index);
                }
            }
        }
        let mut ready: Vec<usize> = (0..open.len())
            .filter(|&index| open.get(index) == Some(&0))
            .collect();
        while let Some(index) = ready.pop() {
            let height = self.nodes.get(index).map_or(0, |node| node.height) + 1;
            for &input in inputs.get(index).into_iter().flatten() {
                if let (Some(node), Some(count)) = (self.nodes.get_mut(input), open.get_mut(input))
                {
                    node.height = node.height.max(height);
                    *count -= 1;
                    if *count == 0 {
                        ready.push(input);
                    }
                }
            }
        }
        let stuck = open.iter().position(|count| *count > 0);
        self.cycle = stuck
            .and_then(|index| self.nodes.get(index))
            .map(|node| node.path.clone());
    }

    /// What can be built at once.
    pub(crate) fn first(&self) -> Ready {
        let mut ready = Ready::default();
        for (index, node) in self.nodes.iter().enumerate() {
            if node.waits == 0 {
                ready.push(index, node.height);
            }
        }
        ready
    }

    /// Marks `index` as built, and adds what waited only for it to `ready`.
    pub(crate) fn done(&mut self, index: usize, ready: &mut Ready) {
        let dependents = self
            .nodes
            .get_mut(index)
            .map(|node| std::mem::take(&mut node.dependents))
            .unwrap_or_default();
        for dependent in dependents {
            if let Some(node) = self.nodes.get_mut(dependent) {
                node.waits = node.waits.saturating_sub(1);
                if node.waits == 0 {
                    ready.push(dependent, node.height);
                }
            }
        }
    }
}

/// Derivations that wait for a free core, the ones on long ways first.
#[derive(Debug, Default)]
pub(crate) struct Ready(BinaryHeap<(usize, Reverse<usize>)>);

impl Ready {
    fn push(&mut self, index: usize, height: usize) {
        self.0.push((height, Reverse(index)));
    }

    pub(crate) fn pop(&mut self) -> Option<usize> {
        self.0.pop().map(|(_, Reverse(index))| index)
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

pub(crate) fn all_present(store: &Store, derivation: &Derivation) -> Result<bool, StoreError> {
    for output in derivation.outputs.values() {
        if !store.is_present(&output.path)? {
            return Ok(false);
        }
    }
    Ok(true)
}
