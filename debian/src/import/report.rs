//! What an import did and what it could not do: for people (`Display`) and for tools (JSON).
//!
//! Every path is relative to the prefix and every list is sorted, so that the same packages give
//! the same report, byte for byte.

use std::fmt;

use serde_json::{Value, json};

/// Where the report lies below the prefix.
pub const REPORT_PATH: &str = "nix-support/import-report.json";

/// What an import did and could not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Package names in the order of the packages given.
    pub packages: Vec<String>,
    /// Files written, hard links counted once.
    pub files: u64,
    /// Bytes written, before relocation.
    pub bytes: u64,
    /// ELF files that were given an interpreter or a RUNPATH.
    pub elf_patched: u64,
    /// ELF files left as they were, with the reason; static ones, modules and the loader are only
    /// counted in `elf_left_alone`.
    pub elf_skipped: Vec<Skipped>,
    /// ELF files that need no change: static programs, kernel and GRUB modules, the loader.
    pub elf_left_alone: u64,
    /// Programs that lost a setuid or setgid bit: the system gives them a wrapper.
    pub setuid: Vec<Setuid>,
    /// Libraries that no input and no package of the group has.
    pub unresolved: Vec<Unresolved>,
    /// Symbolic links without a target; they are left out of the tree.
    pub dangling: Vec<Link>,
    /// Symbolic links kept although they leave the store: they name the running system's `/etc`,
    /// `/run`, `/var`, `/dev`, `/proc` or `/sys`.
    pub system_links: Vec<Link>,
    /// Scripts whose interpreter no input has; they are left as they were.
    pub unknown_shebangs: Vec<Shebang>,
    /// Scripts whose first line now names an interpreter in the store.
    pub shebangs_rewritten: u64,
    /// Scripts that name `/usr`, `/bin`, `/sbin` or `/lib` below the first line.
    pub scripts_with_fixed_paths: u64,
    /// Entries left out, with the reason; documentation is only counted.
    pub skipped: Vec<Skipped>,
    /// Files of documentation, manuals and translations that were left out.
    pub documentation_skipped: u64,
    /// Links made from `update-alternatives --install` lines.
    pub alternatives: Vec<Link>,
    /// `update-alternatives` commands that could not be replayed, as written.
    pub alternatives_skipped: Vec<String>,
    /// Maintainer scripts in the packages, as `package/script`; none was run.
    pub maintainer_scripts: Vec<String>,
    /// Whether `sbin` was merged into `bin`.
    pub sbin_merged: bool,
}

/// An entry that was left out or left alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Path below the prefix.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A program that lost its setuid or setgid bit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setuid {
    /// Path below the prefix.
    pub path: String,
    /// The mode that the package gives it, with the lost bits: 0o4755.
    pub mode: u32,
    /// The owner's name in the package.
    pub user: String,
    /// The group's name in the package.
    pub group: String,
}

/// A library that was not found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unresolved {
    /// The ELF file that needs it, below the prefix.
    pub path: String,
    /// The name that it needs: `libfoo.so.1`.
    pub needed: String,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Path below the prefix.
    pub path: String,
    /// What it points to, as the package wrote it.
    pub target: String,
}

/// A script's first line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shebang {
    /// The script, below the prefix.
    pub path: String,
    /// The line without `#!`.
    pub line: String,
}

impl Report {
    /// Puts every list in order, so that the order of work does not show.
    pub(crate) fn sort(&mut self) {
        self.elf_skipped.sort();
        self.setuid.sort();
        self.unresolved.sort();
        self.unresolved.dedup();
        self.dangling.sort();
        self.system_links.sort();
        self.unknown_shebangs.sort();
        self.skipped.sort();
        self.alternatives.sort();
        self.alternatives_skipped.sort();
        self.maintainer_scripts.sort();
    }

    /// The report as JSON text with sorted keys and a line break at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let links = |links: &[Link]| -> Vec<Value> {
            links
                .iter()
                .map(|link| json!({ "path": link.path, "target": link.target }))
                .collect()
        };
        let skipped = |skipped: &[Skipped]| -> Vec<Value> {
            skipped
                .iter()
                .map(|entry| json!({ "path": entry.path, "reason": entry.reason }))
                .collect()
        };
        let setuid: Vec<Value> = self
            .setuid
            .iter()
            .map(|file| {
                json!({
                    "path": file.path,
                    "mode": format!("{:04o}", file.mode),
                    "user": file.user,
                    "group": file.group,
                })
            })
            .collect();
        let unresolved: Vec<Value> = self
            .unresolved
            .iter()
            .map(|library| json!({ "path": library.path, "needed": library.needed }))
            .collect();
        let shebangs: Vec<Value> = self
            .unknown_shebangs
            .iter()
            .map(|script| json!({ "path": script.path, "line": script.line }))
            .collect();
        let value = json!({
            "formatVersion": super::FORMAT_VERSION,
            "packages": self.packages,
            "files": self.files,
            "bytes": self.bytes,
            "elfPatched": self.elf_patched,
            "elfSkipped": skipped(&self.elf_skipped),
            "elfLeftAlone": self.elf_left_alone,
            "setuid": setuid,
            "unresolvedLibraries": unresolved,
            "danglingLinks": links(&self.dangling),
            "systemLinks": links(&self.system_links),
            "unknownShebangs": shebangs,
            "shebangsRewritten": self.shebangs_rewritten,
            "scriptsWithFixedPaths": self.scripts_with_fixed_paths,
            "skipped": skipped(&self.skipped),
            "documentationSkipped": self.documentation_skipped,
            "alternatives": links(&self.alternatives),
            "alternativesSkipped": self.alternatives_skipped,
            "maintainerScripts": self.maintainer_scripts,
            "sbinMerged": self.sbin_merged,
        });
        format!("{value:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} files, {} bytes; {} ELF files and {} scripts relocated",
            self.packages.join(" "),
            self.files,
            self.bytes,
            self.elf_patched,
            self.shebangs_rewritten,
        )?;
        for library in &self.unresolved {
            writeln!(f, "  {} needs {}: not found", library.path, library.needed)?;
        }
        for link in &self.dangling {
            writeln!(
                f,
                "  {} -> {}: dangling link left out",
                link.path, link.target
            )?;
        }
        for script in &self.unknown_shebangs {
            writeln!(
                f,
                "  {}: interpreter '{}' not found",
                script.path, script.line
            )?;
        }
        for file in &self.elf_skipped {
            writeln!(f, "  {}: not relocated: {}", file.path, file.reason)?;
        }
        for file in &self.skipped {
            writeln!(f, "  {}: left out: {}", file.path, file.reason)?;
        }
        for command in &self.alternatives_skipped {
            writeln!(f, "  not replayed: {command}")?;
        }
        for file in &self.setuid {
            writeln!(
                f,
                "  {}: mode {:04o} {}:{} needs a wrapper",
                file.path, file.mode, file.user, file.group
            )?;
        }
        Ok(())
    }
}
