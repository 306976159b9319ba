//! Import: the packages of one group become one store object, relocated so that its programs run
//! where neither `/usr` nor `/lib` exists.
//!
//! # What becomes of a package
//!
//! - `usr/` is flattened into the prefix: `usr/bin/sort` and `bin/ls` become `bin/sort` and
//!   `bin/ls`. `sbin` is merged into `bin` with a link `sbin -> bin`, as NixOS does, unless the two
//!   have different files under one name; then `sbin` stays. Library folders keep their names
//!   (`lib/x86_64-linux-gnu`, `lib64`), so that every path of the package is found by cutting
//!   `/usr` off. `etc/` becomes data of the object. Empty folders below `var`, `run`, `tmp`, `home`
//!   and the like are dropped. Documentation, manuals, translations and bug scripts are dropped
//!   unless asked for.
//! - ELF files get their interpreter and an absolute RUNPATH ([`elf`]), once per inode.
//! - Scripts get the store path of their interpreter ([`shebang`]).
//! - Symbolic links that leave the package get the store path of the input that has their target
//!   ([`link`]); `update-alternatives --install` lines of maintainer scripts are replayed as links
//!   ([`alternatives`]). No script of a package is ever run.
//! - `*.pc` files get the prefix.
//! - setuid and setgid bits, owners, times and extended attributes are dropped; the bits are in
//!   the report, for the module that makes wrappers.
//!
//! # Invariants
//!
//! - Nothing is written outside the destination: names are checked, and no symbolic link exists in
//!   the destination before the last file is written.
//! - The result depends on the packages, the output's name and the inputs only.
//! - A failed import leaves no destination behind.
//! - The report has every library, link and interpreter that was not found.
//!
//! Sources: deb(5), the System V gABI (ELF-64), ld.so(8), update-alternatives(1), execve(2).

mod alternatives;
mod deb;
pub mod elf;
mod error;
mod inputs;
mod layout;
mod library;
mod link;
mod patch;
mod pkgconfig;
mod relocate;
mod report;
mod shebang;
mod tree;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};

use cairn_store_path::StorePath;

pub use error::ImportError;
pub use report::{Link, REPORT_PATH, Report, Setuid, Shebang, Skipped, Unresolved};

/// Version of the rules above. It is part of the derivation of every imported object, so that new
/// rules give new store paths: raise it with every change that changes a tree.
pub const FORMAT_VERSION: u32 = 1;

/// A store object that the group may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name in the running system.
    pub logical: StorePath,
    /// Where its files lie now.
    pub real: PathBuf,
}

/// What one package may ask for. The defaults fit every package of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that all packages of the group may unpack to.
    pub unpacked_bytes: u64,
    /// Entries that all packages of the group may have.
    pub entries: u64,
    /// Bytes of one ELF file or script that is to be relocated: it is held in memory.
    pub relocated_file_bytes: u64,
    /// Bytes that a decompressor may use.
    pub decoder_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unpacked_bytes: 8 << 30,
            entries: 1_000_000,
            relocated_file_bytes: 1 << 30,
            decoder_bytes: 512 << 20,
        }
    }
}

/// Whether documentation, manuals and translations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Documentation {
    /// They are left out and counted.
    #[default]
    Drop,
    /// They are kept in `share`.
    Keep,
}

/// One import: which packages, to where, against what.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// The `.deb` files of the group, in the order that the report shows.
    pub debs: &'a [PathBuf],
    /// The object's name in the running system: it is written into ELF files and scripts.
    pub output: &'a StorePath,
    /// The folder to make; it must not exist, or be empty.
    pub destination: &'a Path,
    /// All that the group may refer to, the nearest first: a file is taken from the first that has
    /// it. The order belongs to the identity of the result.
    pub inputs: &'a [Input],
    /// What the packages may ask for.
    pub limits: Limits,
    /// Whether documentation is kept.
    pub documentation: Documentation,
}

/// Imports one group of packages and writes the report into it ([`REPORT_PATH`]).
///
/// Folders and programs have mode 0755, other files 0644; times are those of the writing: the
/// store makes both canonical. Several imports may run at the same time.
///
/// # Errors
/// A package is damaged, hostile or too large, two packages disagree, an ELF file cannot be
/// patched, or the disk cannot be written. The destination is removed then.
pub fn import(import: &Import<'_>) -> Result<Report, ImportError> {
    prepare(import.destination)?;
    let result = run(import);
    if result.is_err()
        && let Err(error) = fs::remove_dir_all(import.destination)
    {
        // The store sweeps scratch folders; what matters to the caller is the first error.
        log::warn!(
            "cannot remove {} after a failed import: {error}",
            import.destination.display()
        );
    }
    result
}

fn prepare(destination: &Path) -> Result<(), ImportError> {
    match fs::create_dir(destination) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut entries =
                fs::read_dir(destination).map_err(ImportError::io("read", destination))?;
            match entries.next() {
                None => Ok(()),
                Some(_) => Err(ImportError::DestinationInUse(destination.to_owned())),
            }
        }
        Err(error) => Err(ImportError::io("create", destination)(error)),
    }
}

fn run(import: &Import<'_>) -> Result<Report, ImportError> {
    for input in import.inputs {
        fs::read_dir(&input.real).map_err(ImportError::io("read the input", &input.real))?;
    }
    let mut report = Report::default();
    let mut unpacked = unpack::unpack(import, &mut report)?;
    unpacked.tree.settle(import.destination, &mut report)?;
    let scripts = &unpacked.maintainer_scripts;
    let found = alternatives::replay(scripts, &mut unpacked.tree, &mut report);
    let inputs = inputs::Inputs::new(import.inputs);
    let view = link::View::new(import.output, &unpacked.tree, &inputs, &found);
    let links = link::plan(&view, import.documentation, &mut report);
    relocate::relocate(import, &view, &mut report)?;
    link::apply(import.destination, &links)?;
    unpack::remove_empty(import.destination)?;
    report.sort();
    write_report(import.destination, &report)?;
    Ok(report)
}

fn write_report(destination: &Path, report: &Report) -> Result<(), ImportError> {
    let path = destination.join(REPORT_PATH);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(ImportError::io("create", folder))?;
    }
    fs::write(&path, report.to_json()).map_err(ImportError::io("write", &path))
}
