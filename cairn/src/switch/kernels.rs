//! Kernels and initrds in a boot folder.
//!
//! ```text
//! /boot/kernels/a/<BLAKE3>-vmlinuz     what the menu in slot a loads; never written over
//! /boot/kernels/a/<BLAKE3>-initrd
//! /boot/kernels/a/<name>.sha256        for GRUB, which compares before it tries an entry
//! /boot/kernels/a/names.json           store path -> name: nothing is read twice to know its name
//! /boot/kernels/b/...                  the same for slot b: hard links, so that a file is there once
//! ```
//!
//! A folder is written while the menu of the other slot boots. GRUB sees blocks of a folder that are
//! half written, since it does not replay journals; there it does not look. Where there are no hard
//! links there is one folder (see [`KernelFolders`]).
//!
//! A file has its name when it is finished, synced, and its checksum is beside it. One that is there
//! is compared with its name before the menu relies on it: damage on the disk is not passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::{
    KernelFolders, Slots, SlotsExhausted, Summed, checksum_file, checksum_name, is_boot_file,
    next_slot,
};
use nix::sys::statfs::{FsType, MSDOS_SUPER_MAGIC, statfs};

use super::boot_files::{Wanted, is_whole};

/// What unfinished files are called.
const UNFINISHED: &str = ".new-";

/// exFAT, as the kernel's `magic.h` has it.
const EXFAT_SUPER_MAGIC: FsType = FsType(0x2011_BAB0);

/// Which folders of kernels the file system of `boot` can have.
///
/// # Errors
/// It is not there.
pub fn kernel_folders(boot: &Path) -> Result<KernelFolders> {
    let found = statfs(boot).with_context(|| format!("cannot look at '{}'", boot.display()))?;
    let without_links = [MSDOS_SUPER_MAGIC, EXFAT_SUPER_MAGIC];
    Ok(if without_links.contains(&found.filesystem_type()) {
        KernelFolders::Shared
    } else {
        KernelFolders::OfEachSlot
    })
}

/// The two folders of a change, which may be the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// That of the menu that boots; none where there is no menu.
    pub booting: Option<PathBuf>,
    /// That of the next menu.
    pub next: PathBuf,
}

impl Places {
    /// Those of `boot` with these menus.
    ///
    /// # Errors
    /// No further menu can be numbered.
    pub fn of(boot: &Path, folders: KernelFolders, slots: &Slots) -> Result<Self, SlotsExhausted> {
        let (next, _) = next_slot(slots)?;
        let booting = slots.newest().map(|(slot, _)| boot.join(folders.of(slot)));
        Ok(Self {
            booting,
            next: boot.join(folders.of(next)),
        })
    }
}

/// Where a file of the next menu comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is in the next menu's folder.
    There,
    /// It is in the folder of the menu that boots.
    Booting,
    /// It is in the store alone.
    Store,
}

/// The files of the next menu, and how its folder gets them.
#[derive(Debug)]
pub struct Kernels {
    places: Places,
    files: BTreeMap<String, (Wanted, Origin)>,
}

impl Kernels {
    /// How `wanted` files, by name, get into the next menu's folder. Of those that are there the
    /// length is compared, and of those in `suspects` the content. Changes nothing.
    ///
    /// # Errors
    /// One that is there cannot be read.
    pub fn plan(
        places: Places,
        wanted: BTreeMap<String, Wanted>,
        suspects: &BTreeSet<String>,
    ) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, wanted) in wanted {
            let suspect = suspects.contains(&name);
            let boots = match &places.booting {
                Some(folder) => is_whole(&folder.join(&name), wanted.size, suspect)?,
                None => false,
            };
            let origin = if boots && places.booting.as_ref() == Some(&places.next) {
                Origin::There
            } else if boots {
                Origin::Booting
            } else if is_whole(&places.next.join(&name), wanted.size, true)? {
                // Left by a change that was cut off.
                Origin::There
            } else {
                Origin::Store
            };
            files.insert(name, (wanted, origin));
        }
        Ok(Self { places, files })
    }

    /// The files that are copied from the store: where they will be, and their length in bytes.
    pub fn missing(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let files = self.files.iter();
        files
            .filter(|(_, (_, origin))| *origin == Origin::Store)
            .map(|(name, (wanted, _))| (self.places.next.join(name), wanted.size))
    }

    /// Whether the menu that boots has all of the files, whole.
    #[must_use]
    pub fn all_boot(&self) -> bool {
        let is_there = |origin| match origin {
            Origin::Booting => true,
            Origin::There => self.places.booting.as_ref() == Some(&self.places.next),
            Origin::Store => false,
        };
        self.files.values().all(|(_, origin)| is_there(*origin))
    }

    /// Makes the next menu's folder have the files, and `names`; the caller sees to it that they are
    /// where a boot loader reads them before the menu is written.
    ///
    /// # Errors
    /// A file cannot be copied or linked; the folder of the menu that boots is as it was.
    pub fn place(&self, (names, content): (&str, Vec<u8>)) -> Result<()> {
        let next = &self.places.next;
        fs::create_dir_all(next).with_context(|| format!("cannot make '{}'", next.display()))?;
        self.clear()?;
        for (name, (wanted, origin)) in &self.files {
            let sum = checksum_name(name);
            match (origin, &self.places.booting) {
                (Origin::Booting, Some(booting)) => {
                    if booting.join(&sum).exists() {
                        link(&booting.join(&sum), &next.join(&sum))?;
                    } else {
                        write_sum(wanted, name, next)?;
                    }
                    link(&booting.join(name), &next.join(name))?;
                }
                (Origin::There, _) => {
                    if !next.join(&sum).exists() {
                        write_sum(wanted, name, next)?;
                    }
                }
                (Origin::Booting | Origin::Store, _) => copy(wanted, name, next)?,
            }
        }
        let place = next.join(names);
        write_file(&place, &mut content.as_slice())
            .with_context(|| format!("cannot write '{}'", place.display()))
    }

    /// Removes from the next menu's folder what a change that was cut off has left, and, if no menu
    /// that boots looks there, what is not to stay.
    fn clear(&self) -> Result<()> {
        let Places { booting, next } = &self.places;
        for name in names_in(next)? {
            let file = name.strip_suffix(".sha256").unwrap_or(&name);
            let stays = match (self.files.get(file), booting) {
                (_, Some(booting)) if booting == next => true,
                (Some((_, Origin::There)), _) => true,
                (Some((_, Origin::Booting)), Some(booting)) => {
                    is_same(&booting.join(&name), &next.join(&name))
                }
                _ => false,
            };
            if name.starts_with(UNFINISHED) || (is_boot_file(&name) && !stays) {
                remove(&next.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes what the menu that boots does not need, in the folder that it does not use, if it has
    /// one of its own: the space of what is removed is free then. The menu in `slots` must be on the
    /// disk, and have these files.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove_unneeded(&self, places: &Places) -> Result<()> {
        let Places { booting, next } = places;
        for name in names_in(next)? {
            let file = name.strip_suffix(".sha256").unwrap_or(&name);
            let place = next.join(&name);
            let stays = self.files.contains_key(file)
                && booting
                    .as_ref()
                    .is_none_or(|booting| booting == next || is_same(&booting.join(&name), &place));
            if name.starts_with(UNFINISHED) || (is_boot_file(&name) && !stays) {
                remove(&place)?;
            }
        }
        Ok(())
    }
}

/// Whether both names are those of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Gives a file another name, if it does not have it.
fn link(file: &Path, name: &Path) -> Result<()> {
    if is_same(file, name) {
        return Ok(());
    }
    fs::hard_link(file, name)
        .with_context(|| format!("cannot link '{}' to '{}'", name.display(), file.display()))
}

fn write_sum(wanted: &Wanted, name: &str, folder: &Path) -> Result<()> {
    let (sum_name, sum) = File::open(&wanted.source)
        .and_then(|mut source| checksum_file(name, &mut source))
        .with_context(|| format!("cannot read '{}'", wanted.source.display()))?;
    let place = folder.join(sum_name);
    write_file(&place, &mut sum.as_bytes())
        .with_context(|| format!("cannot write '{}'", place.display()))
}

/// Copies a file from the store, and its sum, which is there first; the store's is read once.
fn copy(wanted: &Wanted, name: &str, folder: &Path) -> Result<()> {
    let place = folder.join(name);
    let copying = || {
        format!(
            "cannot copy '{}' to '{}'",
            wanted.source.display(),
            place.display()
        )
    };
    let source = Summed::new(File::open(&wanted.source).with_context(copying)?);
    let copied = write_file_after(&place, source, |source| {
        let (sum_name, sum) = source.checksum_file(name);
        write_file(&folder.join(sum_name), &mut sum.as_bytes())
    });
    copied.with_context(copying)
}

/// A new file, which has its name when it is whole and on the disk.
fn write_file(place: &Path, content: &mut impl io::Read) -> io::Result<()> {
    write_file_after(place, content, |_| Ok(()))
}

/// The same, which gets its name after `before` has been done.
fn write_file_after<R: io::Read>(
    place: &Path,
    content: R,
    before: impl FnOnce(R) -> io::Result<()>,
) -> io::Result<()> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let new = place.with_file_name(format!("{UNFINISHED}{name}"));
    let written = File::create(&new).and_then(|mut file| {
        let mut content = content;
        io::copy(&mut content, &mut file)?;
        file.flush()?;
        file.sync_all()?;
        before(content)?;
        fs::rename(&new, place)
    });
    if written.is_err() {
        // A full disk shall not stay full because of us.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove '{}': {error}", new.display());
        }
    }
    written
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove '{}'", path.display()))
}

/// The names of what is in `folder`; none if it is not there.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let reading = || format!("cannot read '{}'", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(reading)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.with_context(reading)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
