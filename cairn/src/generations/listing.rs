//! Every generation of a machine, and what is known of it.
//!
//! The profile says which there are, each one's `boot.json` what it is, the boot state what boots, and
//! verdicts how it went. What cannot be read is left out with a warning: an ordinary user sees less
//! than root, and a damaged generation does not hide the others.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use cairn_bootloader::{BootState, EntryId};
use cairn_store::{Generation, profile};
use cairn_system::Bootspec;
use serde::Serialize;

use crate::assessment::{Outcome, Verdict};
use crate::switch::BootFolder;
use crate::switch::menu::{PROFILE, is_container, kernel_release};

/// The kernel parameter that names the entry that booted.
const PARAMETER: &str = "cairn.generation=";

/// The generations of a machine, lowest number first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Listing {
    /// All of them.
    pub generations: Vec<Listed>,
    /// Why it is not known what boots.
    #[serde(skip)]
    pub doubt: Option<String>,
}

/// A generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its number.
    pub generation: u64,
    /// When it was made, in seconds since 1970.
    pub time: i64,
    /// Whether the profile points to it: it is the system that is wanted.
    pub wanted: bool,
    /// What it boots.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its variants.
    pub specialisations: Vec<Entry>,
    /// Whether a menu that is made for it boots what was chosen last.
    #[serde(skip)]
    pub boots_chosen: bool,
}

/// Something that boots: a generation, or a variant of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The variant's name; none for the generation itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its store path.
    pub path: PathBuf,
    /// What the boot menu calls it.
    pub label: Option<String>,
    /// Its kernel's release.
    pub kernel_version: Option<String>,
    /// Its kernel's parameters, without `init=`.
    pub kernel_params: Vec<String>,
    /// What it is to the machine.
    pub marks: Vec<Mark>,
    /// Boots that are left to it to prove itself, if it is on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u8>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What an entry is to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The machine was started with it.
    Booted,
    /// It runs.
    Current,
    /// It boots if nobody says otherwise.
    Default,
    /// It boots next, once.
    Once,
    /// It was chosen last in a boot menu that remembers that.
    Chosen,
    /// It has to prove itself.
    Trial,
    /// It has booted and was well.
    Good,
    /// It is what boots when another one fails.
    LastGood,
    /// It did not come up.
    Failed,
}

/// What the machine says of itself.
#[derive(Debug, Default)]
struct Facts {
    /// The toplevel that was booted.
    booted: Option<PathBuf>,
    /// The entry that was booted, by the kernel's command line.
    booted_entry: Option<EntryId>,
    /// The toplevel that runs.
    running: Option<PathBuf>,
    state: BootState,
    /// Why the state is not known.
    doubt: Option<String>,
}

impl Listing {
    /// Reads what there is to know of the machine at `root`. Changes nothing.
    ///
    /// # Errors
    /// The profile cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let facts = Facts::read(root);
        let generations = profile::generations(root, PROFILE)?;
        let listed = generations.iter().map(|one| Listed::read(root, one));
        let mut listing = Self {
            generations: listed.collect::<Result<_>>()?,
            doubt: facts.doubt.clone(),
        };
        listing.mark(&facts);
        Ok(listing)
    }

    /// All entries, with the number of their generation.
    fn entries_mut(&mut self) -> impl Iterator<Item = (u64, bool, &mut Entry)> {
        self.generations.iter_mut().flat_map(|one| {
            let (number, wanted) = (one.generation, one.wanted);
            std::iter::once(&mut one.entry)
                .chain(&mut one.specialisations)
                .map(move |entry| (number, wanted, entry))
        })
    }

    /// Marks what is so of one entry only. The same system may be several generations.
    fn mark(&mut self, facts: &Facts) {
        if let Some(booted) = &facts.booted {
            self.mark_one(Mark::Booted, booted, facts.booted_entry.as_ref());
        }
        let booted = self.entries_mut().find_map(|(number, _, entry)| {
            let id = entry.id(number)?;
            entry.marks.contains(&Mark::Booted).then_some(id)
        });
        if let Some(running) = &facts.running {
            let same = facts.booted.as_ref() == Some(running);
            self.mark_one(Mark::Current, running, booted.as_ref().filter(|_| same));
        }
        let state = &facts.state;
        let trial = state.trial.as_ref().filter(|trial| trial.tries > 0);
        let chosen: Option<EntryId> = state.saved.as_ref().and_then(|id| id.parse().ok());
        let boots_chosen = self
            .generations
            .iter()
            .any(|one| one.wanted && one.boots_chosen);
        let default = trial
            .map(|trial| &trial.entry)
            .or(chosen.as_ref().filter(|_| boots_chosen))
            .or(state.good.as_ref());
        for (number, wanted, entry) in self.entries_mut() {
            let id = entry.id(number);
            let is = |other: Option<&EntryId>| other.is_some() && other == id.as_ref();
            let is_default = match default {
                Some(_) => is(default),
                None => wanted && entry.name.is_none(),
            };
            if is_default {
                entry.marks.push(Mark::Default);
            }
            if is(state.once.as_ref()) {
                entry.marks.push(Mark::Once);
            }
            if is(chosen.as_ref()) {
                entry.marks.push(Mark::Chosen);
            }
            if let Some(trial) = state.trial.as_ref().filter(|trial| is(Some(&trial.entry))) {
                entry.marks.push(Mark::Trial);
                entry.tries = Some(trial.tries);
            }
            if is(state.good.as_ref()) {
                entry.marks.push(Mark::LastGood);
                if !entry.marks.contains(&Mark::Failed) {
                    entry.marks.push(Mark::Good);
                }
            }
            entry.marks.sort_unstable();
            entry.marks.dedup();
        }
    }

    /// Marks the entry with this toplevel: the one that is `preferred`, or else the one that the
    /// profile points to, or else the newest.
    fn mark_one(&mut self, mark: Mark, toplevel: &Path, preferred: Option<&EntryId>) {
        let best = self
            .entries_mut()
            .filter(|(_, _, entry)| entry.path == toplevel)
            .max_by_key(|(number, wanted, entry)| {
                let is_preferred = preferred.is_some() && entry.id(*number).as_ref() == preferred;
                (is_preferred, *wanted, *number)
            });
        if let Some((_, _, entry)) = best {
            entry.marks.push(mark);
        }
    }
}

impl Listed {
    fn read(root: &Path, generation: &Generation) -> Result<Self> {
        let path = generation.path.to_path_buf();
        let toplevel = root.join(path.strip_prefix("/").unwrap_or(&path));
        let bootspec = if is_container(&toplevel) {
            None
        } else {
            let read = read_bootspec(&toplevel).inspect_err(|error| {
                log::warn!("generation {} is damaged: {error:#}", generation.number);
            });
            read.ok()
        };
        let entry = Entry::new(None, path, bootspec.as_ref());
        let variants = bootspec
            .iter()
            .flat_map(|bootspec| &bootspec.specialisations);
        let variants = variants.map(|(name, bootspec)| {
            let path = PathBuf::from(&bootspec.v1.toplevel);
            Entry::new(Some(name.clone()), path, Some(bootspec))
        });
        let mut listed = Self {
            generation: generation.number,
            time: profile::generation_time(root, PROFILE, generation.number)?,
            wanted: generation.current,
            entry,
            specialisations: variants.collect(),
            boots_chosen: bootspec
                .iter()
                .filter_map(|bootspec| bootspec.menu.as_ref())
                .any(|menu| menu.default == "saved"),
        };
        let entries = std::iter::once(&mut listed.entry).chain(&mut listed.specialisations);
        for entry in entries {
            entry.judge(root, generation.number);
        }
        Ok(listed)
    }
}

impl Entry {
    fn new(name: Option<String>, path: PathBuf, bootspec: Option<&Bootspec>) -> Self {
        Self {
            name,
            path,
            label: bootspec.map(|bootspec| bootspec.v1.label.clone()),
            kernel_version: bootspec.map(|bootspec| kernel_release(bootspec).to_owned()),
            kernel_params: bootspec
                .map(|bootspec| bootspec.v1.kernel_params.clone())
                .unwrap_or_default(),
            marks: Vec::new(),
            tries: None,
            failure: None,
        }
    }

    /// What the boot loader calls it; none if it cannot, for the variant's name.
    fn id(&self, number: u64) -> Option<EntryId> {
        EntryId::new(number, self.name.as_deref()).ok()
    }

    /// Notes how it went when it was booted.
    fn judge(&mut self, root: &Path, number: u64) {
        let Some(id) = self.id(number) else { return };
        match Verdict::of(root, &id.to_string(), &self.path) {
            Ok(None) => {}
            Ok(Some(verdict)) if verdict.outcome == Outcome::Good => self.marks.push(Mark::Good),
            Ok(Some(verdict)) => {
                self.marks.push(Mark::Failed);
                self.failure = Some(verdict.reason);
            }
            Err(error) => log::warn!("{error}"),
        }
    }
}

impl Facts {
    fn read(root: &Path) -> Self {
        let link = |name: &str| fs::read_link(root.join(name)).ok();
        let command_line = fs::read_to_string(root.join("proc/cmdline")).unwrap_or_default();
        let folder = BootFolder::of(root);
        let (state, doubt) = match BootState::read(&folder.grub) {
            Ok(state) => (state, None),
            Err(error) => {
                log::warn!("{error}");
                (BootState::default(), Some(error.to_string()))
            }
        };
        Self {
            booted: link("run/booted-system"),
            booted_entry: entry_of(&command_line),
            running: link("run/current-system"),
            state,
            doubt,
        }
    }
}

/// The entry that a kernel's command line names; the last word counts.
fn entry_of(command_line: &str) -> Option<EntryId> {
    let words = command_line.split_ascii_whitespace();
    let mut named = words.filter_map(|word| word.strip_prefix(PARAMETER));
    named.next_back()?.parse().ok()
}

/// The `boot.json` of the system at `toplevel`.
///
/// # Errors
/// It is not there or damaged.
pub(crate) fn read_bootspec(toplevel: &Path) -> Result<Bootspec> {
    let file = toplevel.join("boot.json");
    let text = fs::read_to_string(&file)
        .map_err(|error| anyhow::anyhow!("cannot read '{}': {error}", file.display()))?;
    Ok(Bootspec::parse(&text)?)
}
