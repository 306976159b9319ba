//! What programs of the field say of a cut disk: e2fsck of its file system, GRUB's own code of `/boot`.
//!
//! They also hold our two readers to account: what [`super::journal`] recovers must be what e2fsck
//! recovers, and what [`super::ext4`] reads of the raw disk must be what GRUB reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::disk::{Disk, ReadAt};
use super::ext4::{Ext4, Ext4Error};
use super::working_copy::WorkingCopy;

/// Files that decide what boots and who may log in.
const FILES: [&str; 13] = [
    "/boot/grub/grub.cfg",
    "/boot/grub/grubenv",
    "/boot/grub/entries-a.cfg",
    "/boot/grub/entries-a.sum",
    "/boot/grub/entries-b.cfg",
    "/boot/grub/entries-b.sum",
    "/boot/grub/generations-a.cfg",
    "/boot/grub/generations-a.sum",
    "/boot/grub/generations-b.cfg",
    "/boot/grub/generations-b.sum",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
];

/// How many of [`FILES`] are for GRUB.
const FOR_GRUB: usize = 10;

/// Links that say which system it is.
const LINKS: [&str; 2] = ["/nix/var/nix/profiles/system", "/etc/static"];

/// More than any of the files has.
const LIMIT: u64 = 16 << 20;

/// Has e2fsck recover the file system of `copy`, which is a partition at `disk`'s state, and takes
/// back what it did. Gives what it found wrong beyond a journal to replay and files to forget that
/// had no name any more, and where it recovered something else than `recovered`.
///
/// # Errors
/// The programs cannot be run.
pub fn e2fsck(copy: &WorkingCopy, recovered: &Ext4<Disk<'_>>) -> anyhow::Result<Vec<String>> {
    let undo = copy.path().with_extension("undo");
    remove_if_there(&undo)?;
    let run = |more: &[&str]| {
        let mut command = Command::new("e2fsck");
        command.args(["-f", "-y", "-z"]).arg(&undo).args(more);
        let output = command.arg(copy.path()).output();
        output.context("cannot run e2fsck; install it: apt-get install e2fsprogs")
    };
    let mut output = run(&[])?;
    // A torn superblock: stage 1 has it begin with the copy in the second group.
    let is_torn = output.status.code() == Some(8);
    if is_torn {
        remove_if_there(&undo)?;
        output = run(&["-b", "32768", "-B", "4096"])?;
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut problems = complaints(&said, if is_torn { &FROM_COPY } else { &TOTALS });
    if !matches!(output.status.code(), Some(0 | 1)) {
        let errors = String::from_utf8_lossy(&output.stderr);
        problems.push(format!(
            "e2fsck ended with {}: {errors}{said}",
            output.status
        ));
    }
    match Ext4::open(copy.file(), 0) {
        Ok(theirs) => problems.extend(differences(recovered, &theirs)),
        Err(error) => problems.push(error.to_string()),
    }
    take_back(copy, &undo)?;
    Ok(problems)
}

fn remove_if_there(file: &std::path::Path) -> anyhow::Result<()> {
    if file.exists() {
        fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}

/// Undoes e2fsck's writes; it has written nothing if there is no file of them.
fn take_back(copy: &WorkingCopy, undo: &std::path::Path) -> anyhow::Result<()> {
    if !undo.exists() {
        return Ok(());
    }
    let output = Command::new("e2undo")
        .args([undo, copy.path()])
        .output()
        .context("cannot run e2undo; install it: apt-get install e2fsprogs")?;
    if !output.status.success() {
        bail!(
            "cannot take back what e2fsck did to {}: {}",
            copy.path().display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::remove_file(undo).with_context(|| format!("cannot remove {}", undo.display()))
}

/// Sums that Linux leaves to the next unmount, since it has those of the groups: they are wrong
/// whenever a file system was not unmounted, and nobody goes by them.
const TOTALS: [&str; 2] = ["Free blocks count wrong (", "Free inodes count wrong ("];

/// What is stale beside the copy of a superblock: sums of groups and checksums of bitmaps, which are made anew.
const FROM_COPY: [&str; 4] = [
    "Free blocks count wrong ",
    "Free inodes count wrong ",
    "Directories count wrong ",
    "Padding at end of inode bitmap ",
];

/// What e2fsck asked leave to repair: all that a journal, and what is known to be stale, do not explain.
fn complaints(said: &str, stale: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut before = "";
    for line in said.lines() {
        let is_stale =
            (stale.iter()).any(|stale| before.starts_with(stale) || line.starts_with(stale));
        if let Some(question) = line.strip_suffix("? yes").filter(|_| !is_stale) {
            complaints.push(format!("e2fsck: {before} {question}").replace("  ", " "));
        }
        before = line;
    }
    complaints
}

fn differences<D: ReadAt, E: ReadAt>(ours: &Ext4<D>, theirs: &Ext4<E>) -> Vec<String> {
    let files = FILES.iter().filter_map(|path| {
        let same = answer(ours.read(path, LIMIT)) == answer(theirs.read(path, LIMIT));
        (!same).then(|| format!("e2fsck recovers another {path}"))
    });
    let links = LINKS.iter().filter_map(|path| {
        let same = answer(ours.read_link(path)) == answer(theirs.read_link(path));
        (!same).then(|| format!("e2fsck recovers another {path}"))
    });
    files.chain(links).collect()
}

/// A content, or why there is none.
fn answer<T>(result: Result<T, Ext4Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// How much GRUB reads of what the menu loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names and lengths.
    Folders,
    /// All of it.
    Contents,
}

/// What GRUB reads of `copy`, which is a partition, and what is wrong with that: its menus and its
/// state must be what our reader finds in `raw`, and what the menu `loads` must be there. A file's name
/// has the hash of its content.
///
/// # Errors
/// The program cannot be run.
pub fn grub(
    copy: &WorkingCopy,
    raw: &Ext4<Disk<'_>>,
    loads: &BTreeSet<String>,
    depth: Depth,
) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in FILES.iter().take(FOR_GRUB) {
        let theirs = grub_reads(copy, &["cat", &format!("(loop0){path}")])?;
        let ours = raw.read(path, 1 << 30).ok();
        if ours != theirs {
            let length = |content: &Option<Vec<u8>>| content.as_ref().map(Vec::len);
            problems.push(format!(
                "GRUB reads {:?} bytes of {path}, and not the {:?} of ours",
                length(&theirs),
                length(&ours)
            ));
        }
    }
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in loads {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        folders.entry(folder).or_default().insert(name);
    }
    for (folder, names) in folders {
        let listed = grub_reads(copy, &["ls", &format!("(loop0){folder}/")])?;
        let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
        let listed: BTreeSet<&str> = listed.split_whitespace().collect();
        for name in names {
            for name in [name.to_owned(), cairn_bootloader::checksum_name(name)] {
                if !listed.contains(name.as_str()) {
                    problems.push(format!("GRUB does not find {folder}/{name}"));
                }
            }
        }
    }
    for path in loads.iter().filter(|_| depth == Depth::Contents) {
        let content = grub_reads(copy, &["cat", &format!("(loop0){path}")])?;
        let hash = blake3::hash(&content.unwrap_or_default()).to_hex();
        if !path.contains(hash.as_str()) {
            problems.push(format!("GRUB reads another content of {path}"));
        }
    }
    Ok(problems)
}

/// What a command of GRUB says; nothing if it fails.
fn grub_reads(copy: &WorkingCopy, words: &[&str]) -> anyhow::Result<Option<Vec<u8>>> {
    let output = Command::new("grub-fstest")
        .arg(copy.path())
        .args(words)
        .output()
        .context("cannot run grub-fstest; install it: apt-get install grub-common")?;
    Ok(output.status.success().then_some(output.stdout))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_e2fsck_repairs_is_told_apart_from_what_it_recovers() {
        let said = "\
root: recovering journal
Clearing orphaned inode 2001 (uid=0, gid=0, mode=0100644, size=5)
Pass 1: Checking inodes, blocks, and sizes
Pass 2: Checking directory structure
Entry 'grub.cfg' in /boot/grub (14) has deleted/unused inode 17.  Clear? yes

Block bitmap differences:  -11143
Fix? yes

Free blocks count wrong for group #0 (0, counted=1).
Fix? yes

Free blocks count wrong (266517, counted=266438).
Fix? yes

root: ***** FILE SYSTEM WAS MODIFIED *****
";
        expect![[r#"
            e2fsck: Pass 2: Checking directory structure Entry 'grub.cfg' in /boot/grub (14) has deleted/unused inode 17. Clear
            e2fsck: Block bitmap differences: -11143 Fix
            e2fsck: Free blocks count wrong for group #0 (0, counted=1). Fix"#]].assert_eq(&complaints(said, &TOTALS).join("\n"));
        assert!(complaints(said, &FROM_COPY).len() < complaints(said, &TOTALS).len());
    }
}
