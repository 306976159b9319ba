//! Which events may be handled at once: those of devices that have nothing to do with each other.
//!
//! Invariant: the events of a device are handled in the order in which they came, and none before those of devices
//! above or below it that came earlier. What an event costs grows with the number of paths above and below, however many
//! events of one path there are: those stand in line, so that the last of them stands for all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The number of an event in the queue.
pub type Ticket = u64;

#[derive(Debug)]
struct Item<T> {
    /// What it is about.
    paths: Vec<String>,
    /// None while it is being handled.
    what: Option<T>,
    /// So many have to be over before.
    waits_for: usize,
    /// Who waits for it.
    waiting: Vec<Ticket>,
}

/// Events that are not over.
#[derive(Debug)]
pub struct Queue<T> {
    items: BTreeMap<Ticket, Item<T>>,
    by_path: BTreeMap<String, BTreeSet<Ticket>>,
    ready: VecDeque<Ticket>,
    next: Ticket,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            by_path: BTreeMap::new(),
            ready: VecDeque::new(),
            next: 0,
        }
    }
}

impl<T> Queue<T> {
    /// An event has come that is about these paths: the device's, and any other by which it must wait, such as that of
    /// its node.
    pub fn push(&mut self, paths: Vec<String>, what: T) {
        let ticket = self.next;
        self.next += 1;
        let before = self.related(&paths);
        for earlier in &before {
            if let Some(item) = self.items.get_mut(earlier) {
                item.waiting.push(ticket);
            }
        }
        for path in &paths {
            self.by_path.entry(path.clone()).or_default().insert(ticket);
        }
        if before.is_empty() {
            self.ready.push_back(ticket);
        }
        let item = Item {
            paths,
            what: Some(what),
            waits_for: before.len(),
            waiting: Vec::new(),
        };
        self.items.insert(ticket, item);
    }

    /// One that may be handled now; [`Queue::done`] is to be told when it is.
    pub fn take(&mut self) -> Option<(Ticket, T)> {
        loop {
            let ticket = self.ready.pop_front()?;
            if let Some(what) = self
                .items
                .get_mut(&ticket)
                .and_then(|item| item.what.take())
            {
                return Some((ticket, what));
            }
        }
    }

    /// An event was handled.
    pub fn done(&mut self, ticket: Ticket) {
        let Some(item) = self.items.remove(&ticket) else {
            return;
        };
        for path in &item.paths {
            if let Some(tickets) = self.by_path.get_mut(path) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.by_path.remove(path);
                }
            }
        }
        for waiting in item.waiting {
            if let Some(item) = self.items.get_mut(&waiting) {
                item.waits_for = item.waits_for.saturating_sub(1);
                if item.waits_for == 0 {
                    self.ready.push_back(waiting);
                }
            }
        }
    }

    /// Whether everything is over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether an event waits for its turn, so that whatever it is about will be looked at: that of the last event about
    /// this path.
    #[must_use]
    pub fn waiting(&self, path: &str) -> Option<&T> {
        let last = self.by_path.get(path)?.last()?;
        self.items.get(last)?.what.as_ref()
    }

    /// Whether something could be handled now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Those about these paths, what is above them and what is below, without those that others of these wait for.
    fn related(&self, paths: &[String]) -> BTreeSet<Ticket> {
        let mut related = BTreeSet::new();
        for path in paths {
            let ends = path
                .match_indices('/')
                .map(|(at, _)| at)
                .filter(|at| *at > 0);
            let above = ends.filter_map(|end| self.by_path.get(path.get(..end)?));
            let below = self.by_path.range(format!("{path}/")..format!("{path}0"));
            let same = self.by_path.get(path).and_then(BTreeSet::last).copied();
            let others = above.chain(below.map(|(_, tickets)| tickets));
            let last = others.filter_map(BTreeSet::last).copied();
            // The last event of the same path waits for all that came before it.
            related.extend(last.filter(|ticket| same.is_none_or(|same| *ticket > same)));
            related.extend(same);
        }
        related
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(queue: &mut Queue<&'static str>, name: &'static str, path: &str) {
        queue.push(vec![path.to_owned()], name);
    }

    fn takes(queue: &mut Queue<&'static str>) -> Vec<(Ticket, &'static str)> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn parents_come_first_and_strangers_do_not_wait() {
        let mut queue = Queue::default();
        push(&mut queue, "disk", "/devices/a/sda");
        push(&mut queue, "part", "/devices/a/sda/sda1");
        push(&mut queue, "other", "/devices/a/sdab");
        push(&mut queue, "bus", "/devices/a");
        push(&mut queue, "disk again", "/devices/a/sda");
        assert_eq!(takes(&mut queue), [(0, "disk"), (2, "other")]);
        queue.done(0);
        assert_eq!(takes(&mut queue), [(1, "part")]);
        queue.done(1);
        assert_eq!(takes(&mut queue), []);
        queue.done(2);
        assert_eq!(takes(&mut queue), [(3, "bus")]);
        queue.done(3);
        assert_eq!(takes(&mut queue), [(4, "disk again")]);
        assert!(!queue.is_empty());
        queue.done(4);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_storm_of_one_device_is_a_line() {
        let mut queue = Queue::default();
        for _ in 0..3000 {
            push(&mut queue, "part", "/devices/a/sda/sda1");
        }
        for _ in 0..100_000 {
            push(&mut queue, "change", "/devices/a/sda");
        }
        let waits: usize = queue.items.values().map(|item| item.waits_for).sum();
        assert_eq!(waits, queue.items.len() - 1);
        assert_eq!(queue.waiting("/devices/a/sda"), Some(&"change"));
        assert_eq!(queue.waiting("/devices/a/sdb"), None);
        for expected in 0..103_000 {
            let (ticket, _) = queue.take().unwrap();
            assert_eq!(ticket, expected);
            assert!(!queue.is_ready());
            queue.done(ticket);
        }
        assert!(queue.is_empty());
    }

    fn is_related(a: &str, b: &str) -> bool {
        a == b || a.starts_with(&format!("{b}/")) || b.starts_with(&format!("{a}/"))
    }

    fn is_one_related(a: &(String, String), b: &(String, String)) -> bool {
        [&a.0, &a.1]
            .iter()
            .any(|a| is_related(a, &b.0) || is_related(a, &b.1))
    }

    proptest! {
        #[test]
        fn nothing_overtakes_and_everything_ends(
            paths in proptest::collection::vec(("(/[ab]){1,3}", "(/[ab]){1,3}"), 1..12),
            picks in proptest::collection::vec(0usize..8, 64),
        ) {
            let mut queue = Queue::default();
            for (index, (one, other)) in paths.iter().enumerate() {
                queue.push(vec![one.clone(), other.clone()], index);
            }
            let (mut running, mut over) = (Vec::new(), BTreeSet::new());
            for pick in picks {
                running.extend(std::iter::from_fn(|| queue.take()));
                for (_, index) in &running {
                    for earlier in 0..*index {
                        prop_assert!(over.contains(&earlier) || !is_one_related(&paths[earlier], &paths[*index]));
                    }
                }
                if running.is_empty() { break }
                let (ticket, index) = running.remove(pick % running.len());
                queue.done(ticket);
                over.insert(index);
            }
            prop_assert!(queue.is_empty());
            prop_assert!(queue.by_path.is_empty());
        }
    }
}
