//! What was cut where, and what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cairn_qemu_tests::power_cut::cut::Survivors;
use cairn_qemu_tests::power_cut::judge::ProblemKind;

/// What is known of one command's cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    writes: usize,
    /// By what the cache did: in order, lost, some writes, some sectors.
    cuts: [usize; 4],
    /// How often a journal had to be replayed.
    replays: usize,
    /// How often the new system boots.
    new: usize,
    bad: usize,
    problems: BTreeMap<ProblemKind, usize>,
}

impl Row {
    pub fn new(name: &str, writes: usize) -> Self {
        Self {
            name: name.to_owned(),
            writes,
            cuts: [0; 4],
            replays: 0,
            new: 0,
            bad: 0,
            problems: BTreeMap::new(),
        }
    }

    /// Counts a cut.
    pub fn add(
        &mut self,
        survivors: Survivors,
        replayed: bool,
        new: bool,
        problems: impl Iterator<Item = ProblemKind>,
    ) {
        let [in_order, lost, some, torn] = &mut self.cuts;
        *match survivors {
            Survivors::All => in_order,
            Survivors::None => lost,
            Survivors::Some(_) => some,
            Survivors::Torn(_) => torn,
        } += 1;
        self.replays += usize::from(replayed);
        self.new += usize::from(new);
        let before: usize = self.problems.values().sum();
        for kind in problems {
            *self.problems.entry(kind).or_default() += 1;
        }
        self.bad += usize::from(self.problems.values().sum::<usize>() > before);
    }

    /// How many cuts lose something.
    pub fn problems(&self) -> usize {
        self.bad
    }

    fn all(&self) -> usize {
        self.cuts.iter().sum()
    }

    fn cells(&self) -> Vec<String> {
        let [in_order, lost, some, torn] = self.cuts;
        let numbers = [
            self.writes,
            self.all(),
            in_order,
            lost,
            some,
            torn,
            self.replays,
            self.all() - self.new,
            self.new,
            self.bad,
        ];
        let mut cells = vec![self.name.clone()];
        cells.extend(numbers.map(|number| number.to_string()));
        cells
    }
}

const HEAD: [&str; 11] = [
    "command",
    "writes",
    "cuts",
    "in order",
    "cache lost",
    "reordered",
    "torn",
    "replayed",
    "boots old",
    "boots new",
    "lost",
];

/// A table for people; below it, what was lost, by kind.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0; HEAD.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        for (index, (width, cell)) in widths.iter().zip(line).enumerate() {
            let cell = if index == 0 {
                format!("{cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            };
            text += &cell;
        }
        text.push('\n');
    }
    for row in rows {
        for (kind, count) in &row.problems {
            // Writing to a string cannot fail.
            if writeln!(text, "{}: {}: {count}", row.name, kind.words()).is_err() {
                break;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_table() {
        let mut row = Row::new("cairn switch", 4711);
        row.add(Survivors::All, false, false, [].into_iter());
        row.add(Survivors::Torn(3), true, true, [].into_iter());
        let lost = [ProblemKind::Store, ProblemKind::Etc];
        row.add(Survivors::None, true, false, lost.into_iter());
        assert_eq!(row.problems(), 1);
        expect![[r#"
            command         writes  cuts  in order  cache lost  reordered  torn  replayed  boots old  boots new  lost
            cairn switch      4711     3         1           1          0     1         2          2          1     1
            cairn rollback      12     0         0           0          0     0         0          0          0     0
            cairn switch: store: 1
            cairn switch: etc: 1
        "#]].assert_eq(&table(&[row, Row::new("cairn rollback", 12)]));
    }
}
