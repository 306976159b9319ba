//! The boot menu: generations to GRUB's text.
//!
//! ```text
//! generation 12               the last known good one, and its specialisations
//! generation 13, on trial     if there is one
//! generation 9, this once     if that was asked for, or another one than above is good or saved
//! all generations             in pages, each a file that is read when it is opened
//! …
//! factory reset               if that is wanted
//! ```
//!
//! What boots is decided when the menu is run, by the boot state in GRUB's environment block, and
//! not when its text is written: `cairn_once` first, then the entry on trial while it has tries
//! left, then what was saved, then `cairn_good`. The text has what is needed where the block is
//! damaged or older than the text: nothing of it boots what was not known to be good.
//!
//! Ids never change with the order, so that a default chosen by id means the same after an update.

use std::cmp::Reverse;

use crate::choice::choice;
use crate::entry_id::EntryId;
use crate::factory_reset::factory_reset;
use crate::generation::{Entry, Generation};
use crate::listing::{MORE, pages, reading};
use crate::options::{DefaultEntry, ExtraPlace, Options, user_commands};
use crate::quote::{quote, quote_title};
use crate::slot::Addition;
use crate::trial::trial_entry;

/// The text of a boot menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// What is run before the menu is shown.
    pub text: String,
    /// The list of all generations, in pages of which the first leads to the others.
    pub generations: Vec<String>,
    /// What the configuration adds, each in a file that the menu reads.
    pub additions: Vec<(Addition, String)>,
}

/// The menu for `generations`, in whatever order they come.
#[must_use]
pub fn entries(generations: &[Generation], options: &Options) -> Menu {
    let mut sorted: Vec<_> = generations.iter().collect();
    sorted.sort_by_key(|generation| Reverse(generation.number));
    let cast = Cast::new(&sorted, options);
    let body = match &cast {
        Some(cast) => choice(cast) + &cast.top() + &cast.rest(),
        None => "echo 'There is no generation to boot.'\n".to_owned(),
    };
    let additions: Vec<_> = options.additions().collect();
    let reading = |wanted| {
        if additions.iter().any(|(addition, _)| *addition == wanted) {
            reading_addition(wanted)
        } else {
            String::new()
        }
    };
    let extra = reading(Addition::Entries);
    let (first, last) = match options.extra_place {
        ExtraPlace::First => (extra, String::new()),
        ExtraPlace::Last => (String::new(), extra),
    };
    let head = [
        options
            .serial
            .map(crate::Serial::commands)
            .unwrap_or_default(),
        user_commands(&options.users),
        options.timeout.commands(),
        reading(Addition::Config),
    ]
    .concat();
    let listed: Vec<_> = match &cast {
        Some(cast) => cast.listed(&sorted).collect(),
        None => Vec::new(),
    };
    let reset = cast.as_ref().map(factory_reset).unwrap_or_default();
    Menu {
        text: format!("{head}{first}{body}{last}{reset}"),
        generations: pages(&listed, options),
        additions,
    }
}

/// GRUB's command that reads what the configuration adds. A mistake in there is told, and ends there.
fn reading_addition(addition: Addition) -> String {
    format!("source \"$prefix/{}$cairn_slot.cfg\"\n", addition.stem())
}

/// Who plays which part.
pub(crate) struct Cast<'a> {
    pub(crate) options: &'a Options,
    pub(crate) good: Part<'a>,
    pub(crate) trial: Option<Part<'a>>,
}

/// An entry, and the generation that it is of.
pub(crate) struct Part<'a> {
    pub(crate) id: EntryId,
    pub(crate) generation: &'a Generation,
    pub(crate) entry: &'a Entry,
}

impl<'a> Part<'a> {
    /// The entry `id`, if it is among `generations`.
    fn find(generations: &[&'a Generation], id: &EntryId) -> Option<Self> {
        let generation = generations
            .iter()
            .find(|generation| generation.number == id.number())?;
        let entry = match id.specialisation() {
            None => &generation.entry,
            Some(name) => generation.specialisations.get(name)?,
        };
        Some(Self {
            id: id.clone(),
            generation,
            entry,
        })
    }
}

impl<'a> Cast<'a> {
    fn new(sorted: &[&'a Generation], options: &'a Options) -> Option<Self> {
        let find = |id: &Option<EntryId>| Part::find(sorted, id.as_ref()?);
        let trial = find(&options.trial);
        let tried = trial.as_ref().map(|trial| trial.generation.number);
        let newest = || {
            let untried = sorted.iter().find(|other| Some(other.number) != tried);
            let newest = untried.or(sorted.first())?;
            Part::find(sorted, newest.entry.id())
        };
        let good = find(&options.good).or_else(newest)?;
        Some(Self {
            options,
            trial: trial.filter(|trial| trial.id != good.id),
            good,
        })
    }

    /// The newest generations up to the limit, and those that play a part.
    fn listed(&self, sorted: &[&'a Generation]) -> impl Iterator<Item = &'a Generation> {
        let limit = self.options.configuration_limit;
        let parts = [Some(&self.good), self.trial.as_ref()]
            .map(|part| part.map(|part| part.generation.number));
        sorted
            .iter()
            .enumerate()
            .filter(move |(index, other)| *index < limit || parts.contains(&Some(other.number)))
            .map(|(_, generation)| *generation)
    }

    /// The entries that are seen first.
    fn top(&self) -> String {
        let good = self.top_entries(&self.good);
        let picked = self.picked();
        let Some(trial) = &self.trial else {
            return good + &picked;
        };
        let same = trial.generation.number == self.good.generation.number;
        let blessed = if same {
            good.clone()
        } else {
            self.top_entries(trial) + &good
        };
        format!(
            "if [ \"$cairn_good\" = {} ]; then\n{}else\n{}{}fi\n{picked}",
            quote(&trial.id.to_string()),
            indented(&blessed),
            indented(&good),
            indented(&trial_entry(self, trial)),
        )
    }

    /// The generation of `part` and its specialisations.
    fn top_entries(&self, part: &Part<'_>) -> String {
        let Generation {
            number,
            entry,
            specialisations,
            ..
        } = part.generation;
        let name = &self.options.name;
        let line = |entry: &Entry, title: &str| {
            let saving = self.saving(if *entry.id() == self.good.id {
                None
            } else {
                Some(entry.id())
            });
            menu_entry(
                title,
                &entry.id().menu_id(),
                &saving,
                &loading(entry, &[], ""),
            )
        };
        let title = format!("{name}, generation {number} ({})", entry.label());
        let mut text = line(entry, &title);
        for (specialisation, entry) in specialisations {
            // Its name comes early: the menu cuts titles off at 70 characters or so.
            let title = format!(
                "{name}, specialisation {specialisation}, generation {number} ({})",
                entry.label()
            );
            text += &line(entry, &title);
        }
        text
    }

    /// Where the choice is to be kept: keeps `id`, or that it is what boots anyway.
    fn saving(&self, id: Option<&EntryId>) -> String {
        if self.options.default != DefaultEntry::Saved {
            return String::new();
        }
        let value = id.map(|id| quote(&id.to_string())).unwrap_or_default();
        format!("  set cairn_saved={value}\n  save_env cairn_saved\n")
    }

    /// How many entries stand before those of the good generation if the one on trial has become
    /// good; none if it is not known.
    pub(crate) fn before_good(&self) -> Option<usize> {
        let last =
            self.options.extra_entries.is_empty() || self.options.extra_place == ExtraPlace::Last;
        let trial = self.trial.as_ref()?;
        let new = trial.generation.number != self.good.generation.number;
        (last && new).then(|| 1 + trial.generation.specialisations.len())
    }

    /// A submenu with the good entry, and the one that was picked, if there is such a one. It is
    /// not seen: what was picked boots at once.
    fn picked(&self) -> String {
        let name = quote_title(&format!("{}, generation ", self.options.name));
        let good = indented(&menu_entry(
            &format!("{}, generation {}", self.options.name, self.good.id),
            &self.good.id.menu_id(),
            "",
            &loading(self.good.entry, &[], ""),
        ));
        format!(
            "if [ -n \"$cairn_pick\" ]; then\n  \
               export cairn_pick cairn_slot\n  \
               submenu {name}\"$cairn_pick$cairn_title\" --id picked --unrestricted {{\n    \
                 set timeout=0\n    \
                 set default=1\n    \
                 set fallback=0\n\
             {}    \
                 source \"$prefix/generations-$cairn_slot.cfg\"\n  \
               }}\nfi\n",
            indented(&good),
        )
    }

    /// All generations, and what is none.
    fn rest(&self) -> String {
        let name = &self.options.name;
        let all = format!("{name}, all generations");
        let all = restricted_submenu(&all, "all", &format!("set cairn_pick=\n{}", reading("")));
        format!("export cairn_slot cairn_hashsum\n{all}") + &self.debug() + &self.memtest()
    }

    /// The good entry, with messages and a way in where it stops.
    fn debug(&self) -> String {
        let Part { id, entry, .. } = &self.good;
        if !self.options.debug_entry || !entry.has_room_for(&MORE) {
            return String::new();
        }
        let name = &self.options.name;
        let title = format!("{name}, generation {id}, with messages and a shell on failure");
        let loading = loading(entry, &MORE, "");
        restricted_entry(&title, "debug", &loading)
    }

    fn memtest(&self) -> String {
        memtest(self.options)
    }
}

/// The memory test, where there is one.
pub(crate) fn memtest(options: &Options) -> String {
    let Some(memtest) = &options.memtest else {
        return String::new();
    };
    let mut params = memtest.params.clone();
    if let Some(serial) = options.serial
        && !params.iter().any(|param| param.starts_with("console="))
    {
        params.push(format!("console=ttyS{},{}", serial.unit, serial.speed));
    }
    let words = |program: &String| {
        let words: Vec<_> = std::iter::once(program)
            .chain(&params)
            .map(|word| quote(word))
            .collect();
        words.join(" ")
    };
    format!(
        "menuentry 'Memory test' --id memtest --unrestricted {{\n  \
               if [ \"$grub_platform\" = efi ]; then\n    \
                 linux {}\n  \
               else\n    \
                 linux {}\n  \
               fi\n}}\n",
        words(&memtest.uefi),
        words(&memtest.bios)
    )
}

/// An entry that everybody may boot.
pub(crate) fn menu_entry(title: &str, id: &str, saving: &str, loading: &str) -> String {
    let title = quote_title(title);
    format!("menuentry {title} --id {id} --unrestricted {{\n{saving}{loading}}}\n")
}

/// An entry for those who have a password, where there is one.
pub(crate) fn restricted_entry(title: &str, id: &str, loading: &str) -> String {
    let title = quote_title(title);
    format!("menuentry {title} --id {id} {{\n{loading}}}\n")
}

/// A submenu for those who have a password, where there is one.
pub(crate) fn restricted_submenu(title: &str, id: &str, body: &str) -> String {
    let title = quote_title(title);
    format!("submenu {title} --id {id} {{\n{}}}\n", indented(body))
}

/// GRUB's commands that load `entry` with further arguments; `last` is one that GRUB reads for
/// variables.
pub(crate) fn loading(entry: &Entry, further: &[&str], last: &str) -> String {
    let separator = if last.is_empty() { "" } else { " " };
    let initrd = entry.files().initrd.as_ref();
    let initrd = initrd.map(|initrd| format!("  initrd {}\n", quote(initrd)));
    format!(
        "  {}{separator}{last}\n{}",
        linux(entry, further),
        initrd.unwrap_or_default()
    )
}

/// GRUB's command that loads the kernel of `entry`.
pub(crate) fn linux(entry: &Entry, further: &[&str]) -> String {
    let words: Vec<_> = std::iter::once(entry.files().kernel.as_str())
        .chain(entry.arguments().iter().map(String::as_str))
        .chain(further.iter().copied())
        .map(quote)
        .collect();
    format!("linux {}", words.join(" "))
}

/// `text` one step to the right. Words of it have no newlines.
pub(crate) fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("  {line}\n")).collect();
    lines.concat()
}

#[cfg(test)]
#[path = "menu_tests.rs"]
mod tests;
