//! Everything that some objects need: a breadth-first walk over the whole graph, read once.

use std::collections::{BTreeSet, HashMap, VecDeque};

use cairn_store_path::StorePath;

use crate::database::Graph;
use crate::error::StoreError;
use crate::store::Store;

pub(crate) fn closure(store: &Store, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
    let graph = store.database.graph()?;
    let ids: HashMap<&str, i64> = graph
        .paths
        .iter()
        .map(|(id, path)| (path.as_str(), *id))
        .collect();
    let mut start = Vec::with_capacity(paths.len());
    for path in paths {
        let id = ids
            .get(path.to_string().as_str())
            .ok_or_else(|| StoreError::Invalid {
                path: path.clone(),
                root: store.root().to_owned(),
            })?;
        start.push(*id);
    }
    let found = reach(&graph, start);
    let mut names = BTreeSet::new();
    for (id, path) in &graph.paths {
        if found.contains(id) {
            names.insert(path.parse::<StorePath>()?);
        }
    }
    Ok(names.into_iter().collect())
}

fn reach(graph: &Graph, start: Vec<i64>) -> BTreeSet<i64> {
    let mut edges: HashMap<i64, Vec<i64>> = HashMap::new();
    for (referrer, reference) in &graph.references {
        edges.entry(*referrer).or_default().push(*reference);
    }
    let mut found: BTreeSet<i64> = start.iter().copied().collect();
    let mut queue = VecDeque::from(start);
    while let Some(id) = queue.pop_front() {
        for next in edges.get(&id).into_iter().flatten() {
            if found.insert(*next) {
                queue.push_back(*next);
            }
        }
    }
    found
}
