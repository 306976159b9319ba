//! Which objects are needed: a walk over the graph from the roots. Pure.
//!
//! As in Nix with its usual settings, a needed object needs what it refers to, and the derivation
//! that made it, as far as that is there.

use std::collections::{HashMap, HashSet, VecDeque};

use cairn_store_path::StorePath;

/// All objects of a store, and which of them are needed.
#[derive(Debug)]
pub(crate) struct Liveness {
    objects: Vec<Object>,
    index: HashMap<StorePath, usize>,
}

#[derive(Debug)]
struct Object {
    path: StorePath,
    needs: Vec<usize>,
    /// Those of `needs` that it refers to.
    references: Vec<usize>,
    alive: bool,
}

impl Liveness {
    /// Nothing is needed yet. Edges between objects that are not among `paths` do not count.
    pub(crate) fn new(
        paths: Vec<StorePath>,
        references: impl IntoIterator<Item = (StorePath, StorePath)>,
        derivers: impl IntoIterator<Item = (StorePath, StorePath)>,
    ) -> Self {
        let index: HashMap<StorePath, usize> = paths
            .iter()
            .enumerate()
            .map(|(number, path)| (path.clone(), number))
            .collect();
        let mut objects: Vec<Object> = paths
            .into_iter()
            .map(|path| Object {
                path,
                needs: Vec::new(),
                references: Vec::new(),
                alive: false,
            })
            .collect();
        let mut connect = |from: &StorePath, to: &StorePath, is_reference: bool| {
            let (Some(&from), Some(&to)) = (index.get(from), index.get(to)) else {
                return;
            };
            if let Some(object) = objects.get_mut(from).filter(|_| from != to) {
                object.needs.push(to);
                if is_reference {
                    object.references.push(to);
                }
            }
        };
        for (from, to) in references {
            connect(&from, &to, true);
        }
        for (output, derivation) in derivers {
            connect(&output, &derivation, false);
        }
        Self { objects, index }
    }

    /// Marks `root` and all that it needs. One that is no object is ignored.
    pub(crate) fn mark(&mut self, root: &StorePath) {
        let mut open: Vec<usize> = self.index.get(root).copied().into_iter().collect();
        while let Some(number) = open.pop() {
            if let Some(object) = self.objects.get_mut(number).filter(|object| !object.alive) {
                object.alive = true;
                open.extend(&object.needs);
            }
        }
    }

    /// Whether `path` is an object at all.
    pub(crate) fn is_object(&self, path: &StorePath) -> bool {
        self.index.contains_key(path)
    }

    /// Whether `path` is an object that is needed.
    pub(crate) fn is_alive(&self, path: &StorePath) -> bool {
        let object = self
            .index
            .get(path)
            .and_then(|&number| self.objects.get(number));
        object.is_some_and(|object| object.alive)
    }

    /// What nobody needs, each after all that refer to it: removed in this order and stopped
    /// anywhere, no object is left that refers to a removed one.
    pub(crate) fn dead(&self) -> Vec<StorePath> {
        let mut referrers = vec![0_usize; self.objects.len()];
        let dead = || self.objects.iter().filter(|object| !object.alive);
        for reference in dead().flat_map(|object| &object.references) {
            if let Some(count) = referrers.get_mut(*reference) {
                *count += 1;
            }
        }
        let mut ready: VecDeque<usize> = (0..self.objects.len())
            .filter(|&number| referrers.get(number) == Some(&0))
            .collect();
        let mut order = Vec::new();
        let mut done = HashSet::new();
        while let Some(number) = ready.pop_front() {
            let Some(object) = self.objects.get(number).filter(|object| !object.alive) else {
                continue;
            };
            done.insert(number);
            order.push(object.path.clone());
            for &reference in &object.references {
                if let Some(count) = referrers.get_mut(reference) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(reference);
                    }
                }
            }
        }
        // Objects that refer to each other in a circle have no order.
        let numbers = self.objects.iter().enumerate();
        let circular = numbers.filter(|(number, object)| !object.alive && !done.contains(number));
        order.extend(circular.map(|(_, object)| object.path.clone()));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(number: usize) -> StorePath {
        StorePath::new([0; 20], &format!("o{number:03}")).unwrap()
    }

    fn liveness(
        count: usize,
        references: &[(usize, usize)],
        derivers: &[(usize, usize)],
    ) -> Liveness {
        let edges = |edges: &[(usize, usize)]| {
            let edges = edges.iter();
            edges
                .map(|&(from, to)| (path(from), path(to)))
                .collect::<Vec<_>>()
        };
        let paths = (0..count).map(path).collect();
        Liveness::new(paths, edges(references), edges(derivers))
    }

    fn dead(liveness: &Liveness) -> Vec<String> {
        let dead = liveness.dead();
        dead.iter().map(|path| path.name().to_owned()).collect()
    }

    #[test]
    fn a_root_keeps_what_it_refers_to_and_the_derivation_that_made_it() {
        // 0 -> 1 -> 2; 1 was made by 3, which refers to 4; 5 -> 2; 6 refers to itself.
        let mut all = liveness(7, &[(0, 1), (1, 2), (3, 4), (5, 2), (6, 6)], &[(1, 3)]);
        assert_eq!(
            dead(&all),
            ["o000", "o003", "o005", "o006", "o001", "o004", "o002"]
        );
        all.mark(&path(0));
        all.mark(&path(99));
        assert_eq!(dead(&all), ["o005", "o006"]);
        assert!(all.is_alive(&path(4)) && !all.is_alive(&path(5)));
        assert!(all.is_object(&path(5)) && !all.is_object(&path(99)));
    }

    #[test]
    fn a_circle_ends() {
        let all = liveness(3, &[(0, 1), (1, 0), (2, 0)], &[]);
        assert_eq!(dead(&all), ["o002", "o000", "o001"]);
    }

    proptest! {
        #[test]
        fn whatever_the_graph_references_outlive_their_referrers(
            edges in prop::collection::vec((0..30_usize, 0..30_usize), 0..80),
            made in prop::collection::vec((0..30_usize, 0..30_usize), 0..20),
            roots in prop::collection::vec(0..30_usize, 0..5),
        ) {
            // Objects refer to older ones.
            let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from > to).collect();
            let mut all = liveness(30, &edges, &made);
            for root in &roots {
                all.mark(&path(*root));
            }
            let order = all.dead();
            let position = |number: usize| order.iter().position(|dead| *dead == path(number));
            for root in &roots {
                prop_assert_eq!(position(*root), None);
            }
            for (from, to) in &edges {
                match (position(*from), position(*to)) {
                    (None, Some(_)) => prop_assert!(false, "a needed object loses {}", to),
                    (Some(from), Some(to)) => prop_assert!(from < to),
                    (_, None) => {}
                }
            }
            prop_assert!(made.iter().all(|&(out, drv)| out == drv
                || position(out).is_some() || position(drv).is_none()));
            let alive = (0..30).filter(|&number| all.is_alive(&path(number))).count();
            prop_assert_eq!(alive + order.len(), 30);
        }
    }
}
