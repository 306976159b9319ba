//! Whether a disk after a power cut has lost something.
//!
//! The boot loader does not replay the journal, Linux does. So `/boot` is looked at twice, as the
//! blocks are, and recovered; all else is looked at recovered. Whatever either menu offers must be
//! whole: kernel, initrd, and each object of the closure of the system that it starts.

pub mod accounts;
pub mod boot;
pub mod menu;
pub mod object;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use super::disk::Disk;
use super::ext4::Ext4;
use super::journal;
use super::memo::{Memo, Watched};
use boot::Booting;
use menu::MenuEntry;
use object::Registry;

/// The folder of the machine's profile.
const PROFILES: &str = "/nix/var/nix/profiles";
/// More than any file of the user database has.
const MAX_ACCOUNTS: u64 = 1 << 20;

/// What is wrong after a cut, and with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Which promise is broken.
    pub kind: ProblemKind,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.words(), self.what)
    }
}

/// A promise that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// GRUB finds its way to an entry.
    Menu,
    /// What entries load has its hash.
    BootFile,
    /// The file system is recovered by its journal.
    FileSystem,
    /// Whatever can be booted is whole, and registered.
    Store,
    /// Profile links lead to what is there.
    Profile,
    /// `/etc` and the user database can be read.
    Etc,
    /// Each thing is as before or as after.
    HalfSwitched,
    /// What was said to be done is done.
    Lost,
}

impl ProblemKind {
    /// All, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Menu,
        Self::BootFile,
        Self::FileSystem,
        Self::Store,
        Self::Profile,
        Self::Etc,
        Self::HalfSwitched,
        Self::Lost,
    ];

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Menu => "boot menu",
            Self::BootFile => "boot file",
            Self::FileSystem => "file system",
            Self::Store => "store",
            Self::Profile => "profile",
            Self::Etc => "etc",
            Self::HalfSwitched => "half switched",
            Self::Lost => "lost",
        }
    }
}

/// Which system a disk has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What boots by itself, as GRUB reads the disk.
    pub boots: MenuEntry,
    /// The system that is known to be good.
    pub good: String,
    /// The profile's current generation: its link, and the system.
    pub profile: (String, String),
    /// Where `/etc/static` leads.
    pub etc: String,
    /// The files of the user database.
    pub accounts: BTreeMap<&'static str, Vec<u8>>,
}

/// What a disk has, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Sight {
    /// Which system it has; none if it cannot be told.
    pub state: Option<State>,
    /// What is wrong.
    pub problems: BTreeSet<Problem>,
    /// How many transactions the journal had to replay.
    pub transactions: u32,
    /// What the menu loads that GRUB finds: paths of kernels and initrds.
    pub loads: BTreeSet<String>,
}

impl Sight {
    fn add(&mut self, kind: ProblemKind, what: impl fmt::Display) {
        let what = what.to_string();
        self.problems.insert(Problem { kind, what });
    }

    /// Notes an error, if it is one.
    fn take<T>(&mut self, kind: ProblemKind, result: Result<T, String>) -> Option<T> {
        result.map_err(|error| self.add(kind, error)).ok()
    }
}

/// When a cut was, seen from the command that was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it has said that it is done.
    Running,
    /// After.
    Done,
}

/// Looks at disks, and remembers what is the same on the next.
#[derive(Debug)]
pub struct Judge {
    /// Where the root file system begins, in bytes.
    root: u64,
    booting: Memo<(), Result<Arc<Booting>, String>>,
    boot_files: Memo<String, Result<(), String>>,
    registry: Memo<(), Result<Arc<Registry>, String>>,
    /// By inode: where `/nix/store` has the object changes with the folder, not with the object.
    objects: Memo<u32, Result<(String, u64), String>>,
}

/// All causes in one line.
fn text(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

impl Judge {
    /// A judge of disks whose root file system begins at this byte.
    #[must_use]
    pub fn new(root: u64) -> Self {
        Self {
            root,
            booting: Memo::default(),
            boot_files: Memo::default(),
            registry: Memo::default(),
            objects: Memo::default(),
        }
    }

    /// Looks at a disk as a power cut has left it.
    ///
    /// # Errors
    /// The image or the log cannot be read; whatever is wrong with the disk is an answer.
    pub fn look(&mut self, disk: &Disk<'_>) -> io::Result<Sight> {
        let mut sight = Sight::default();
        let replayed = journal::replay(disk, self.root).map_err(text);
        let Some(replay) = sight.take(ProblemKind::FileSystem, replayed) else {
            return Ok(sight);
        };
        sight.transactions = replay.transactions;
        let recovered = disk.with(&replay.layer);
        let opened = Ext4::open(disk.clone(), self.root)
            .and_then(|raw| Ok((raw, Ext4::open(recovered.clone(), self.root)?)));
        let Some((raw, system)) = sight.take(ProblemKind::FileSystem, opened.map_err(text)) else {
            return Ok(sight);
        };
        let boots = self.boot(&raw, "as GRUB reads it", &mut sight)?;
        let entries = boots.iter().flat_map(|booting| &booting.menu);
        sight.loads = entries
            .flat_map(|entry| std::iter::once(&entry.kernel).chain(&entry.initrd))
            .cloned()
            .collect();
        let next = self.boot(&system, "recovered", &mut sight)?;
        let menus: Vec<&MenuEntry> = [&boots, &next]
            .into_iter()
            .flatten()
            .flat_map(|booting| &booting.menu)
            .collect();
        self.store(&system, &menus, &mut sight)?;
        let profile = profile(&system, &menus, &mut sight);
        let etc = sight.take(
            ProblemKind::Etc,
            system.read_link("/etc/static").map_err(text),
        );
        let accounts = accounts(&system, &mut sight);
        if let (Some(boots), Some(profile), Some(etc), Some(accounts)) =
            (boots, profile, etc, accounts)
        {
            sight.state = Some(State {
                boots: boots.chosen.clone(),
                good: boots.good.toplevel.clone(),
                profile,
                etc,
                accounts,
            });
        }
        Ok(sight)
    }

    /// `/boot`, in one of its two sights.
    fn boot(
        &mut self,
        system: &Ext4<Disk<'_>>,
        how: &str,
        sight: &mut Sight,
    ) -> io::Result<Option<Arc<Booting>>> {
        let booting = self.booting.get((), system.disk(), |disk: &Watched<'_>| {
            boot::booting(&system.on(disk)).map(Arc::new).map_err(text)
        })?;
        let named = |error| format!("{how}: {error}");
        let booting = sight.take(ProblemKind::Menu, booting.map_err(named));
        for entry in booting.iter().flat_map(|booting| &booting.menu) {
            for path in [Some(&entry.kernel), entry.initrd.as_ref()]
                .into_iter()
                .flatten()
            {
                let right = self.boot_files.get(path.clone(), system.disk(), |disk| {
                    boot::boot_file(&system.on(disk), path).map_err(text)
                })?;
                sight.take(ProblemKind::BootFile, right.map_err(named));
            }
        }
        Ok(booting)
    }

    /// The closure of everything that a menu offers.
    fn store(
        &mut self,
        system: &Ext4<Disk<'_>>,
        menus: &[&MenuEntry],
        sight: &mut Sight,
    ) -> io::Result<()> {
        let registry = self.registry.get((), system.disk(), |disk| {
            object::registry(&system.on(disk))
                .map(Arc::new)
                .map_err(text)
        })?;
        let names = system
            .find("/nix/store")
            .and_then(|folder| system.entries(&folder))
            .map_err(text);
        let registry = sight.take(ProblemKind::Store, registry);
        let names = sight.take(ProblemKind::Store, names);
        let (Some(registry), Some(names)) = (registry, names) else {
            return Ok(());
        };
        let inodes: BTreeMap<Vec<u8>, u32> = names.into_iter().collect();
        let mut paths = BTreeSet::new();
        for entry in menus {
            let closure = object::closure(&registry, &entry.toplevel).map_err(text);
            paths.extend(
                sight
                    .take(ProblemKind::Store, closure)
                    .into_iter()
                    .flatten(),
            );
        }
        for path in paths {
            let Some(object) = registry.get(path) else {
                continue;
            };
            let name = path.rsplit('/').next().unwrap_or_default();
            let Some(&number) = inodes.get(name.as_bytes()) else {
                sight.add(ProblemKind::Store, format!("{path} is not there"));
                continue;
            };
            let found = self.objects.get(number, system.disk(), |disk| {
                let system = system.on(disk);
                let inode = system.inode(number).map_err(text)?;
                let (hash, size) = object::archive_hash(&system, &inode).map_err(text)?;
                Ok((format!("sha256:{}", hash.to_base16()), size))
            })?;
            let found = found.map_err(|error| format!("{path}: {error}"));
            if let Some((hash, size)) = sight.take(ProblemKind::Store, found)
                && (hash != object.hash || size != object.size)
            {
                sight.add(ProblemKind::Store, format!("{path} has another content"));
            }
        }
        Ok(())
    }
}

/// The profile's links: each entry's generation has one, and the current one is there.
fn profile(
    system: &Ext4<Disk<'_>>,
    menus: &[&MenuEntry],
    sight: &mut Sight,
) -> Option<(String, String)> {
    let link = |name: &str| {
        system
            .read_link(&format!("{PROFILES}/{name}"))
            .map_err(text)
    };
    let wanted: BTreeSet<(u64, &str)> = menus
        .iter()
        // Specialisations are parts of their generation.
        .filter(|entry| entry.id.specialisation().is_none())
        .map(|entry| (entry.id.number(), entry.toplevel.as_str()))
        .collect();
    for (number, toplevel) in wanted {
        let name = format!("system-{number}-link");
        let target = sight.take(ProblemKind::Profile, link(&name));
        if let Some(target) = target.filter(|target| target != toplevel) {
            let what = format!("{name} leads to {target}, and its entry boots {toplevel}");
            sight.add(ProblemKind::Profile, what);
        }
    }
    let current = sight.take(ProblemKind::Profile, link("system"))?;
    let target = sight.take(ProblemKind::Profile, link(&current))?;
    Some((current, target))
}

fn accounts(system: &Ext4<Disk<'_>>, sight: &mut Sight) -> Option<BTreeMap<&'static str, Vec<u8>>> {
    let mut all = BTreeMap::new();
    for (path, fields) in accounts::FILES {
        let content = system.read(path, MAX_ACCOUNTS).map_err(text);
        let content = sight.take(
            ProblemKind::Etc,
            content.map_err(|error| format!("{path}: {error}")),
        );
        if let Some(content) = content {
            let good = accounts::check(&content, fields);
            sight.take(
                ProblemKind::Etc,
                good.map_err(|error| format!("{path}: {error:#}")),
            );
            all.insert(path, content);
        }
    }
    (all.len() == accounts::FILES.len()).then_some(all)
}

/// The systems that a disk can have while a command runs.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// What was there before it.
    pub before: &'a State,
    /// What is there after it.
    pub after: &'a State,
    /// What is there for a while: `/etc` and the users of a system that is tried and taken back.
    pub between: Option<&'a State>,
    /// The toplevel that boots once on the way.
    pub once: Option<&'a str>,
}

/// Holds what a cut has left against what was there before the command and after it.
pub fn compare(sight: &mut Sight, span: &Span<'_>, when: When) {
    let Some(state) = sight.state.clone() else {
        return;
    };
    let Span { before, after, .. } = span;
    let toplevels = [&before.boots.toplevel, &after.boots.toplevel];
    let boots = &state.boots.toplevel;
    // A menu has place for one entry on trial: where another one was, the good one boots meanwhile.
    let is_safe = before.boots.on_trial && *boots == before.good;
    if !toplevels.contains(&boots) && span.once != Some(boots) && !is_safe {
        let what = format!("boots {boots}, which is neither old nor new");
        sight.add(ProblemKind::HalfSwitched, what);
    }
    if ![&before.profile, &after.profile].contains(&&state.profile) {
        let what = format!("the profile is {:?}", state.profile);
        sight.add(ProblemKind::HalfSwitched, what);
    }
    let known = || [*before, *after].into_iter().chain(span.between);
    if !known().any(|then| then.etc == state.etc) {
        sight.add(
            ProblemKind::HalfSwitched,
            format!("/etc/static leads to {}", state.etc),
        );
    }
    for (path, content) in &state.accounts {
        if !known().any(|then| then.accounts.get(path) == Some(content)) {
            let what = format!("{path} has neither its old nor its new content");
            sight.add(ProblemKind::HalfSwitched, what);
        }
    }
    if when == When::Done {
        let same = [
            ("what boots", state.boots.toplevel == after.boots.toplevel),
            ("the profile", state.profile == after.profile),
            ("/etc/static", state.etc == after.etc),
            ("the user database", state.accounts == after.accounts),
        ];
        for (what, _) in same.into_iter().filter(|(_, same)| !same) {
            sight.add(
                ProblemKind::Lost,
                format!("{what} is not as the command had said"),
            );
        }
    }
}
