//! All entries of firmware's menu and their order, and what has to be written to them.

use std::collections::BTreeMap;

use super::load_option::LoadOption;

/// What a machine's firmware boots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootVariables {
    /// The contents of the variables `Boot0000` to `BootFFFF`, by their number.
    pub options: BTreeMap<u16, Vec<u8>>,
    /// `BootOrder`: the numbers in the order in which they are tried.
    pub order: Vec<u16>,
}

/// A variable that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// An entry.
    Entry {
        /// Its number.
        number: u16,
        /// What it starts, and under which name.
        option: LoadOption,
    },
    /// The order in which entries are tried.
    Order(Vec<u16>),
}

impl Write {
    /// The variable's name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Entry { number, .. } => entry_name(*number),
            Self::Order(_) => ORDER.to_owned(),
        }
    }

    /// Its content.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Entry { option, .. } => option.to_bytes(),
            Self::Order(order) => order
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect(),
        }
    }
}

/// The name of the variable with the order.
const ORDER: &str = "BootOrder";

fn entry_name(number: u16) -> String {
    format!("Boot{number:04X}")
}

impl BootVariables {
    /// Takes the variable `name` of firmware's own namespace, if it is one of these.
    pub fn take(&mut self, name: &str, content: &[u8]) {
        if name == ORDER {
            let numbers = content.chunks_exact(2);
            self.order = numbers
                .filter_map(|number| Some(u16::from_le_bytes(number.try_into().ok()?)))
                .collect();
            return;
        }
        let number = name.strip_prefix("Boot").filter(|digits| digits.len() == 4);
        let number = number.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        if let Some(number) = number.filter(|number| entry_name(*number) == name) {
            self.options.insert(number, content.to_vec());
        }
    }

    /// What gives each of `wanted` an entry, in this order one after the other and before all that is
    /// there; empty if they have one each, wherever people have put it. An entry is written before the
    /// order names it: whatever is cut off in between, everything else starts as before.
    ///
    /// Nothing is removed: an entry whose disk is away is one of a disk that may come back.
    #[must_use]
    pub fn plan(&self, wanted: &[LoadOption]) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut order = self.order.clone();
        let mut taken = Vec::new();
        let mut next = 0;
        for option in wanted {
            let (number, option) = match self.entry_of(option) {
                Some((number, there)) => {
                    let option = option.with_attributes_of(&there);
                    (number, (option != there).then_some(option))
                }
                None => match self.free(&taken) {
                    Some(number) => (number, Some(option.clone())),
                    None => continue,
                },
            };
            taken.push(number);
            if let Some(option) = option {
                writes.push(Write::Entry { number, option });
            }
            let place = order.iter().position(|other| *other == number);
            next = 1 + place.unwrap_or_else(|| {
                order.insert(next, number);
                next
            });
        }
        if order != self.order {
            writes.push(Write::Order(order));
        }
        writes
    }

    /// The first entry for what `option` starts.
    fn entry_of(&self, option: &LoadOption) -> Option<(u16, LoadOption)> {
        let entries = self.options.iter();
        let mut parsed =
            entries.filter_map(|(number, content)| Some((*number, LoadOption::parse(content)?)));
        parsed.find(|(_, there)| there.program().is(option.program()))
    }

    /// A number that nobody has.
    fn free(&self, taken: &[u16]) -> Option<u16> {
        (0..=u16::MAX).find(|number| {
            !self.options.contains_key(number)
                && !self.order.contains(number)
                && !taken.contains(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::Program;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use std::slice::from_ref;

    fn option(label: &str, partition: u8) -> LoadOption {
        let program = Program {
            number: 2,
            start: 4096,
            blocks: 532_480,
            guid: [partition; 16],
            path: r"\EFI\BOOT\BOOTX64.EFI".to_owned(),
        };
        LoadOption::new(label, program).unwrap()
    }

    fn variables(entries: &[(u16, &LoadOption)], order: &[u16]) -> BootVariables {
        let mut variables = BootVariables {
            options: BTreeMap::new(),
            order: order.to_vec(),
        };
        for (number, option) in entries {
            variables.options.insert(*number, option.to_bytes());
        }
        variables
    }

    /// The variables when all is written.
    fn after(variables: &BootVariables, writes: &[Write]) -> BootVariables {
        let mut after = variables.clone();
        for write in writes {
            after.take(&write.name(), &write.to_bytes());
        }
        after
    }

    fn check(variables: &BootVariables, wanted: &[LoadOption], expected: &Expect) {
        let writes = variables.plan(wanted);
        let told: Vec<String> = writes
            .iter()
            .map(|write| match write {
                Write::Entry { option, .. } => {
                    let partition = option.program().guid[0];
                    format!("{} starts partition {partition}", write.name())
                }
                Write::Order(order) => format!("{} {order:x?}", write.name()),
            })
            .collect();
        expected.assert_eq(&told.join("\n"));
        assert_eq!(after(variables, &writes).plan(wanted), []);
    }

    #[test]
    fn entries_come_first_and_stay_where_people_put_them() {
        let (one, mirror, other) = (option("Cairn", 1), option("Cairn", 2), option("Other", 9));
        // An empty firmware; one with another system.
        check(
            &variables(&[], &[]),
            from_ref(&one),
            &expect![[r#"
            Boot0000 starts partition 1
            BootOrder [0]"#]],
        );
        let beside = variables(&[(0, &other), (0x1a, &other)], &[0x1a, 0, 7]);
        check(
            &beside,
            &[one.clone(), mirror.clone()],
            &expect![[r#"
            Boot0001 starts partition 1
            Boot0002 starts partition 2
            BootOrder [1, 2, 1a, 0, 7]"#]],
        );
        // It has been put behind another; a mirror is new.
        let behind = variables(&[(0, &other), (1, &one)], &[0, 1]);
        check(&behind, from_ref(&one), &expect![[r#""#]]);
        check(
            &behind,
            &[one.clone(), mirror],
            &expect![[r#"
            Boot0002 starts partition 2
            BootOrder [0, 1, 2]"#]],
        );
        // Power was cut before the order was written.
        let cut = variables(&[(0, &other), (1, &one)], &[0]);
        check(&cut, from_ref(&one), &expect!["BootOrder [1, 0]"]);
        // Another name.
        let renamed = option("Renamed", 1);
        check(&behind, &[renamed], &expect!["Boot0001 starts partition 1"]);
    }

    #[test]
    fn what_people_have_put_to_sleep_sleeps_on() {
        let mut content = option("Cairn", 1).to_bytes();
        content[0] = 0;
        let mut there = variables(&[], &[1]);
        there.options.insert(1, content);
        assert_eq!(there.plan(&[option("Cairn", 1)]), []);
    }

    #[test]
    fn only_entries_and_their_order_are_taken() {
        let mut all = BootVariables::default();
        for name in [
            "Boot0001",
            "Boot00aB",
            "BootNext",
            "Boot+001",
            "Boot00001",
            "BootCurrent",
        ] {
            all.take(name, b"content");
        }
        all.take("BootOrder", &[1, 0, 0xab, 0, 3]);
        assert_eq!(all.options.keys().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(all.order, [1, 0xab]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            contents in proptest::collection::btree_map(any::<u16>(), proptest::collection::vec(any::<u8>(), 0..60), 0..6),
            order in proptest::collection::vec(any::<u16>(), 0..8),
            partitions in proptest::collection::btree_set(any::<u8>(), 0..4),
        ) {
            let before = BootVariables { options: contents, order };
            let wanted: Vec<_> = partitions.into_iter().map(|partition| option("Cairn", partition)).collect();
            let after = after(&before, &before.plan(&wanted));
            for (number, content) in &before.options {
                prop_assert_eq!(after.options.get(number), Some(content));
            }
            let kept: Vec<u16> = after.order.iter().copied().filter(|number| before.order.contains(number)).collect();
            prop_assert_eq!(kept, before.order);
            prop_assert_eq!(after.plan(&wanted), []);
        }
    }
}
