//! Every cut, one after the other.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, bail};
use cairn_qemu_tests::power_cut::cut::{self, Cut, Medium, Survivors};
use cairn_qemu_tests::power_cut::disk::Disk;
use cairn_qemu_tests::power_cut::ext4::Ext4;
use cairn_qemu_tests::power_cut::journal;
use cairn_qemu_tests::power_cut::judge::{
    Judge, Problem, ProblemKind, Sight, Span, State, When, compare,
};
use cairn_qemu_tests::power_cut::oracle::{self, Depth};
use cairn_qemu_tests::power_cut::recording::{Recording, Step};
use cairn_qemu_tests::power_cut::working_copy::WorkingCopy;
use cairn_qemu_tests::power_cut::write_log::SECTOR;

use crate::arguments::Arguments;
use crate::table::Row;

/// Each so many cuts, GRUB's own code reads all that the menu loads; at the others, menus and names.
const READ_ALL: usize = 5;

/// Problems that are printed of one step; the table counts all.
const SHOWN: usize = 12;

/// What was found.
pub struct Outcome {
    pub rows: Vec<Row>,
    /// Cuts with the system that must boot.
    pub bootable: Vec<(Cut, State)>,
}

/// Judges all cuts.
pub fn judge(
    recording: &Recording,
    arguments: &Arguments,
    folder: &Path,
) -> anyhow::Result<Outcome> {
    nothing_else_is_written(recording)?;
    let root = recording.root()?;
    let mut judge = Judge::new(root.start);
    let mut copy = WorkingCopy::create(&recording.image, root.clone(), folder.join("root.img"))?;
    let mut outcome = Outcome {
        rows: Vec::new(),
        bootable: Vec::new(),
    };
    let shares = shares(&recording.steps, arguments.cuts);
    for (step, share) in recording.steps.iter().zip(shares) {
        let [before, after] = [step.entries.start, step.entries.end]
            .map(|after| whole(recording, arguments, &mut judge, after));
        let (before, after) = (before?, after?);
        let between = step
            .between
            .map(|after| whole(recording, arguments, &mut judge, after));
        let between = between.transpose()?;
        let span = Span {
            before: &before,
            after: &after,
            between: between.as_ref(),
            once: step.once.as_deref(),
        };
        let mut row = Row::new(&step.name, step.entries.len());
        let mut medium = Medium::new(&recording.log, arguments.physical());
        let cuts = cut::choose(&recording.log, &step.entries, share, arguments.seed);
        for (index, cut) in cuts.iter().enumerate() {
            let (sure, rest) = medium.cut(cut);
            let disk = Disk::new(&recording.image, &recording.content, vec![sure, &rest]);
            let when = if cut.after >= step.done && cut.survivors != Survivors::None {
                When::Done
            } else {
                When::Running
            };
            let mut sight = judge.look(&disk)?;
            compare(&mut sight, &span, when);
            let depth = if index % READ_ALL == 0 {
                Depth::Contents
            } else {
                Depth::Folders
            };
            ask_others(&mut sight, &disk, &mut copy, root.start, depth)?;
            let new = sight
                .state
                .as_ref()
                .is_some_and(|state| state.boots.toplevel == after.boots.toplevel);
            tell(&mut row, cut, &sight, new);
            if let (Some(state), true) = (sight.state, sight.problems.is_empty()) {
                outcome.bootable.push((*cut, state));
            }
        }
        outcome.rows.push(row);
    }
    Ok(outcome)
}

/// Sectors of a FAT file system before its tables: where it is marked as mounted.
const RESERVED: u64 = 32;

/// The commands write to the root file system, and to nothing else of the disk: not to partition
/// tables, boot code, or GRUB on the EFI system partition. Mounting that one marks it.
fn nothing_else_is_written(recording: &Recording) -> anyhow::Result<()> {
    let root = recording.root()?;
    let mark = recording.efi_system()?.start;
    let mark = mark..mark + RESERVED * SECTOR;
    let steps = recording.steps.iter().map(|step| step.entries.clone());
    let entries = steps.filter_map(|entries| recording.log.entries.get(entries));
    for entry in entries.flatten() {
        let bytes = entry.sector * SECTOR..(entry.sector + entry.sectors) * SECTOR;
        let inside = |part: &Range<u64>| part.start <= bytes.start && bytes.end <= part.end;
        if !bytes.is_empty() && !inside(&root) && !inside(&mark) {
            bail!(
                "sector {} is written, outside of the root file system",
                entry.sector
            );
        }
    }
    Ok(())
}

/// How many of all cuts a step gets, by how much it writes; each at least a fifth of its even share.
fn shares(steps: &[Step], cuts: usize) -> Vec<usize> {
    let even = cuts / steps.len().max(1);
    let least = even / 5;
    let all: usize = steps.iter().map(|step| step.entries.len()).sum();
    let rest = cuts.saturating_sub(least * steps.len());
    steps
        .iter()
        .map(|step| least + (rest * step.entries.len()).div_ceil(all.max(1)))
        .collect()
}

/// The system before or after a step, which is whole.
fn whole(
    recording: &Recording,
    arguments: &Arguments,
    judge: &mut Judge,
    after: usize,
) -> anyhow::Result<State> {
    let cut = Cut {
        after,
        survivors: Survivors::All,
    };
    let mut medium = Medium::new(&recording.log, arguments.physical());
    let (sure, rest) = medium.cut(&cut);
    let disk = Disk::new(&recording.image, &recording.content, vec![sure, &rest]);
    let sight = judge.look(&disk)?;
    if let Some(problem) = sight.problems.first() {
        bail!("{cut}, between two commands: {problem}");
    }
    sight.state.context("there is no system on the disk")
}

/// What e2fsck says, and GRUB's own code.
fn ask_others(
    sight: &mut Sight,
    disk: &Disk<'_>,
    copy: &mut WorkingCopy,
    root: u64,
    depth: Depth,
) -> anyhow::Result<()> {
    copy.set(disk)?;
    let Ok(replay) = journal::replay(disk, root) else {
        return Ok(());
    };
    let recovered = Ext4::open(disk.with(&replay.layer), root)?;
    for what in oracle::e2fsck(copy, &recovered)? {
        let kind = ProblemKind::FileSystem;
        sight.problems.insert(Problem { kind, what });
    }
    let raw = Ext4::open(disk.clone(), root)?;
    for what in oracle::grub(copy, &raw, &sight.loads, depth)? {
        let kind = ProblemKind::BootFile;
        sight.problems.insert(Problem { kind, what });
    }
    Ok(())
}

fn tell(row: &mut Row, cut: &Cut, sight: &Sight, new: bool) {
    let kinds: BTreeMap<ProblemKind, &Problem> = sight
        .problems
        .iter()
        .map(|problem| (problem.kind, problem))
        .collect();
    row.add(
        cut.survivors,
        sight.transactions > 0,
        new,
        kinds.keys().copied(),
    );
    if !kinds.is_empty() && row.problems() <= SHOWN {
        for problem in &sight.problems {
            eprintln!("{}: {cut}: {problem}", row.name);
        }
    }
}
