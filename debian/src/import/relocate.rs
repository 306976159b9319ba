//! Rewriting files in place: ELF files, scripts and `*.pc` files, each inode once.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::elf::{self, ElfError, Reading};
use super::layout::{self, show};
use super::library::Libraries;
use super::link::{Place, View};
use super::patch::{self, Patch, Wanted};
use super::report::{Report, Shebang, Skipped, Unresolved};
use super::shebang::{self, Verdict};
use super::tree::{Content, File, disk_path};
use super::{Import, ImportError, pkgconfig};

/// Relocates all files of the tree.
///
/// # Errors
/// A file cannot be read or written, or is an ELF file that has no room for its search path.
pub fn relocate(
    import: &Import<'_>,
    view: &View<'_>,
    report: &mut Report,
) -> Result<(), ImportError> {
    let mut libraries = Libraries::new(view);
    for file in view.tree().files() {
        let path = disk_path(import.destination, &file.path);
        match file.content {
            Content::Other => continue,
            Content::Elf if layout::is_for_boot(&file.path) => {
                report.elf_left_alone += 1;
                continue;
            }
            Content::Elf | Content::Script | Content::PkgConfig => {}
        }
        let size = fs::metadata(&path)
            .map_err(ImportError::io("read", &path))?
            .len();
        if size > import.limits.relocated_file_bytes {
            report.elf_skipped.push(Skipped {
                path: show(&file.path),
                reason: format!("it has {size} bytes, too many to relocate it"),
            });
            continue;
        }
        let bytes = fs::read(&path).map_err(ImportError::io("read", &path))?;
        match file.content {
            Content::Elf => {
                if let Some(patch) = relocate_elf(file, &bytes, view, &mut libraries, report)? {
                    write_patch(&path, bytes.len() as u64, &patch)?;
                    report.elf_patched += 1;
                }
            }
            Content::Script => relocate_script(file, &path, &bytes, view, report)?,
            Content::PkgConfig => {
                let new = pkgconfig::relocate(&bytes, &view.own(b""));
                fs::write(&path, new).map_err(ImportError::io("write", &path))?;
            }
            Content::Other => {}
        }
    }
    Ok(())
}

fn relocate_elf(
    file: &File,
    bytes: &[u8],
    view: &View<'_>,
    libraries: &mut Libraries<'_>,
    report: &mut Report,
) -> Result<Option<Patch>, ImportError> {
    let elf = match elf::read(bytes) {
        Ok(Reading::Dynamic(elf)) => elf,
        Ok(Reading::SelfContained) => {
            report.elf_left_alone += 1;
            return Ok(None);
        }
        Err(error @ (ElfError::Malformed(_) | ElfError::Foreign(_))) => {
            report.elf_skipped.push(Skipped {
                path: show(&file.path),
                reason: error.to_string(),
            });
            return Ok(None);
        }
        Err(source) => {
            return Err(ImportError::Elf {
                entry: show(&file.path),
                source,
            });
        }
    };
    let interpreter = match &elf.interpreter {
        None => None,
        Some(name) => {
            let loader = loader(view, name);
            if loader.is_none() {
                report.unresolved.push(Unresolved {
                    path: show(&file.path),
                    needed: show(name),
                });
            }
            loader
        }
    };
    let search_path = libraries.search_path(&file.path, bytes, &elf, report);
    let wanted = Wanted {
        interpreter: interpreter.as_deref(),
        search_path: &search_path,
    };
    if wanted == Wanted::default() {
        return Ok(None);
    }
    patch::plan(bytes, &elf, wanted)
        .map(Some)
        .map_err(|source| ImportError::Elf {
            entry: show(&file.path),
            source,
        })
}

/// The loader itself rather than a link to it: the kernel opens it for each program.
fn loader(view: &View<'_>, name: &[u8]) -> Option<Vec<u8>> {
    match view.resolve(name.strip_prefix(b"/")?)? {
        Place::Own(path) => Some(view.own(&path)),
        Place::Input(found) => Some(view.inputs().logical(found.input, &found.path)),
        Place::System(_) => None,
    }
}

fn write_patch(file_path: &Path, end: u64, patch: &Patch) -> Result<(), ImportError> {
    let file = OpenOptions::new()
        .write(true)
        .open(file_path)
        .map_err(ImportError::io("open", file_path))?;
    file.write_all_at(&patch.appended, end)
        .map_err(ImportError::io("write", file_path))?;
    for (at, edit) in &patch.edits {
        file.write_all_at(edit, *at)
            .map_err(ImportError::io("write", file_path))?;
    }
    Ok(())
}

fn relocate_script(
    file: &File,
    path: &Path,
    bytes: &[u8],
    view: &View<'_>,
    report: &mut Report,
) -> Result<(), ImportError> {
    let Some(line) = shebang::first_line(bytes) else {
        return Ok(());
    };
    if shebang::has_fixed_paths(bytes) {
        report.scripts_with_fixed_paths += 1;
    }
    match shebang::judge(line, |program| view.logical(program)) {
        Verdict::Keep => Ok(()),
        Verdict::Unknown => {
            report.unknown_shebangs.push(Shebang {
                path: show(&file.path),
                line: show(line),
            });
            Ok(())
        }
        Verdict::Rewrite(mut new) => {
            new.extend_from_slice(bytes.get(2 + line.len()..).unwrap_or_default());
            fs::write(path, new).map_err(ImportError::io("write", path))?;
            report.shebangs_rewritten += 1;
            Ok(())
        }
    }
}
