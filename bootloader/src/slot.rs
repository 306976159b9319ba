//! Two slots for the boot menu, of which the newest whole one boots.
//!
//! A new menu is written to the slot that does not boot. Until it is whole on the disk the other
//! one boots, whatever the write left behind: FAT has no atomic rename.

/// What a configuration adds to a menu in GRUB's own language: a file of its own, as what is wrong with it would
/// otherwise be wrong with the menu, which GRUB then does not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addition {
    /// `extra-config-a.cfg`: commands before all entries.
    Config,
    /// `extra-entries-a.cfg`: further entries.
    Entries,
}

impl Addition {
    const ALL: [Self; 2] = [Self::Config, Self::Entries];

    /// What its file's name begins with; the slot's letter follows.
    pub(crate) fn stem(self) -> &'static str {
        match self {
            Self::Config => "extra-config-",
            Self::Entries => "extra-entries-",
        }
    }
}

/// One of the two places for a menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `entries-a.cfg`.
    A,
    /// `entries-b.cfg`.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// Its letter in file names: `a`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    /// Its menu's name in GRUB's directory.
    #[must_use]
    pub fn entries_name(self) -> String {
        format!("entries-{}.cfg", self.letter())
    }

    /// The name in GRUB's directory of a page of the list of generations; the first is page 0.
    #[must_use]
    pub fn page_name(self, page: usize) -> String {
        format!("{}.cfg", self.page_stem(page))
    }

    /// The name of that file's checksum.
    #[must_use]
    pub fn page_checksum_name(self, page: usize) -> String {
        format!("{}.sum", self.page_stem(page))
    }

    fn page_stem(self, page: usize) -> String {
        let letter = self.letter();
        if page == 0 {
            format!("generations-{letter}")
        } else {
            format!("generations-{letter}-{page}")
        }
    }

    /// The name in GRUB's directory of what a configuration adds.
    #[must_use]
    pub fn addition_name(self, addition: Addition) -> String {
        format!("{}{}.cfg", addition.stem(), self.letter())
    }

    /// Whether a file of GRUB's directory is one that this slot's menu reads: a page of its list, a page's
    /// checksum, or an addition.
    #[must_use]
    pub fn is_further(self, name: &str) -> bool {
        self.is_page(name)
            || Addition::ALL
                .map(|one| self.addition_name(one))
                .contains(&name.to_owned())
    }

    fn is_page(self, name: &str) -> bool {
        let stem = name
            .strip_suffix(".cfg")
            .or_else(|| name.strip_suffix(".sum"));
        let page = stem.and_then(|stem| stem.strip_prefix(&self.page_stem(0)));
        page.is_some_and(|page| {
            let number = page.strip_prefix('-').map(str::parse::<usize>);
            page.is_empty() || matches!(number, Some(Ok(_)))
        })
    }

    /// Its checksum's name in GRUB's directory.
    #[must_use]
    pub fn checksum_name(self) -> String {
        format!("entries-{}.sum", self.letter())
    }
}

/// Counts the menus written; the higher is the newer. From 1 to 2³¹-1: GRUB for BIOS compares
/// numbers of 32 bits with a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u32);

impl Sequence {
    /// The first menu's.
    pub const FIRST: Self = Self(1);

    /// The sequence number `number`, unless it is 0 or too large.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (1..=i32::MAX as u32)
            .contains(&number)
            .then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// What is in the two slots: the sequence number of each one that is whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slots {
    /// Slot A's.
    pub a: Option<Sequence>,
    /// Slot B's.
    pub b: Option<Sequence>,
}

impl Slots {
    /// The slot that GRUB boots, as the stub chooses it: the newest; A of two equal ones.
    #[must_use]
    pub fn newest(&self) -> Option<(Slot, Sequence)> {
        match (self.a, self.b) {
            (None, None) => None,
            (Some(a), b) if b <= Some(a) => Some((Slot::A, a)),
            (_, Some(b)) => Some((Slot::B, b)),
            (Some(a), None) => Some((Slot::A, a)),
        }
    }
}

/// More menus have been written than can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot number the boot menu: 2147483647 were written; remove both entries files' older one"
)]
pub struct SlotsExhausted;

/// Where the next menu goes, and its number: never to the slot that boots now.
///
/// # Errors
/// The newest slot has the highest number there is.
pub fn next_slot(slots: &Slots) -> Result<(Slot, Sequence), SlotsExhausted> {
    let Some((newest, sequence)) = slots.newest() else {
        return Ok((Slot::A, Sequence::FIRST));
    };
    let other = match newest {
        Slot::A => Slot::B,
        Slot::B => Slot::A,
    };
    let next = Sequence::new(sequence.get() + 1).ok_or(SlotsExhausted)?;
    Ok((other, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_that_boots_is_never_written() {
        for (a, b, newest, next) in [
            (0, 0, None, (Slot::A, 1)),
            (1, 0, Some(Slot::A), (Slot::B, 2)),
            (1, 2, Some(Slot::B), (Slot::A, 3)),
            (3, 2, Some(Slot::A), (Slot::B, 4)),
            (0, 7, Some(Slot::B), (Slot::A, 8)),
            (7, 7, Some(Slot::A), (Slot::B, 8)),
        ] {
            let slots = Slots {
                a: Sequence::new(a),
                b: Sequence::new(b),
            };
            assert_eq!(slots.newest().map(|(slot, _)| slot), newest);
            let (slot, sequence) = next_slot(&slots).unwrap();
            assert_eq!((slot, sequence.get()), next);
        }
    }

    #[test]
    fn numbers_end_where_grub_cannot_compare_them() {
        assert_eq!(Sequence::new(0), None);
        assert_eq!(Sequence::new(1 << 31), None);
        let slots = Slots {
            a: Sequence::new(i32::MAX as u32),
            b: None,
        };
        assert_eq!(next_slot(&slots), Err(SlotsExhausted));
    }
}
