//! The files of the store that a program needs to be started: itself, its dynamic loader, the libraries
//! that it is linked with, theirs, and the links on the way to each.
//!
//! A package holds far more than one program needs, and an initrd is read by firmware: so it gets these
//! files and not whole objects. What a program opens while it runs is not among them, but for what the C
//! library opens for it: a thread that ends itself, or another, is unwound by a library of the compiler.
//! cryptsetup does that wherever a passphrase was made on more than one processor.
//!
//! Source: ld.so(8), `pthread_exit(3)`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use cairn_debian::import::elf::{self, Elf, ElfError, Reading};
use cairn_image_builder::StoreObject;
use cairn_store::BuildError;

/// How many links a path may lead through: the kernel's own limit.
const LINKS: usize = 40;

/// The C library, and what it opens beside itself for a program that has one of these functions.
const LIBC: &str = "libc.so.6";
const UNWINDER: &str = "libgcc_s.so.1";
const UNWINDING: [&[u8]; 2] = [b"\0pthread_exit\0", b"\0pthread_cancel\0"];

/// Says where a path of the store lies on this machine.
pub type Whereabouts<'a> = dyn Fn(&str) -> Result<PathBuf, BuildError> + 'a;

/// Why the files of a program cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It, or a library, is in no input of the derivation.
    #[error("cannot find {path}: {source}", path = path.display())]
    Find {
        /// The path in the store.
        path: PathBuf,
        /// Why.
        source: BuildError,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The path in the store.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no program that can be looked into.
    #[error("cannot tell the libraries of {path}: {source}", path = path.display())]
    Elf {
        /// The path in the store.
        path: PathBuf,
        /// Why.
        source: ElfError,
    },
    /// A library is in none of the folders where the loader looks for it.
    #[error("cannot start {path} without {library}, which is in no folder of its search path", path = path.display())]
    Library {
        /// The program or library in the store.
        path: PathBuf,
        /// What it needs.
        library: String,
    },
}

/// The files that the program `target`, a path of the store, needs. `real` says where an object of
/// the store lies.
///
/// # Errors
/// See [`ProgramError`].
pub fn program_files(target: &Path, real: &Whereabouts) -> Result<Vec<StoreObject>, ProgramError> {
    let mut files = Files {
        real,
        found: BTreeMap::new(),
        unwinds: false,
    };
    files.add(target)?;
    files.add_unwinder()?;
    let found = files.found.into_iter();
    Ok(found
        .map(|(path, source)| StoreObject { path, source })
        .collect())
}

struct Files<'a> {
    real: &'a Whereabouts<'a>,
    /// Paths of the store, and where they lie: files, and links to them.
    found: BTreeMap<PathBuf, PathBuf>,
    /// Whether one of them ends threads.
    unwinds: bool,
}

impl Files<'_> {
    fn add(&mut self, path: &Path) -> Result<(), ProgramError> {
        let (path, source) = self.follow(path)?;
        if self.found.insert(path.clone(), source.clone()).is_some() {
            return Ok(());
        }
        let failed = |source| ProgramError::Read {
            path: path.clone(),
            source,
        };
        let bytes = fs::read(&source).map_err(failed)?;
        if !bytes.starts_with(b"\x7fELF") {
            return Ok(()); // a script: what it runs are programs of their own
        }
        match elf::read_any(&bytes) {
            Ok(Reading::SelfContained) => Ok(()),
            Ok(Reading::Dynamic(elf)) => {
                self.unwinds |= unwinds(&path, &bytes);
                self.add_libraries(&path, &elf)
            }
            Err(source) => Err(ProgramError::Elf { path, source }),
        }
    }

    fn add_libraries(&mut self, path: &Path, elf: &Elf) -> Result<(), ProgramError> {
        if let Some(loader) = &elf.interpreter {
            self.add(Path::new(OsStr::from_bytes(loader)))?;
        }
        let folders = elf.search_path.as_deref().unwrap_or_default();
        let folders: Vec<&Path> = folders
            .split(|byte| *byte == b':')
            .map(|folder| Path::new(OsStr::from_bytes(folder)))
            .filter(|folder| folder.starts_with(cairn_store_path::STORE_DIR))
            .collect();
        for library in &elf.needed {
            let name = OsStr::from_bytes(library);
            let place = folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|place| self.exists(place));
            let place = place.ok_or_else(|| ProgramError::Library {
                path: path.to_owned(),
                library: name.to_string_lossy().into_owned(),
            })?;
            self.add(&place)?;
        }
        Ok(())
    }

    fn add_unwinder(&mut self) -> Result<(), ProgramError> {
        if !self.unwinds {
            return Ok(());
        }
        let libc = self.found.keys().find(|path| path.ends_with(LIBC));
        let Some(libc) = libc.cloned() else {
            return Ok(());
        };
        let place = libc.with_file_name(UNWINDER);
        if self.exists(&place) {
            return self.add(&place);
        }
        Err(ProgramError::Library {
            path: libc,
            library: UNWINDER.to_owned(),
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.source(path)
            .is_ok_and(|source| source.symlink_metadata().is_ok())
    }

    fn source(&self, path: &Path) -> Result<PathBuf, ProgramError> {
        (self.real)(&path.to_string_lossy()).map_err(|source| ProgramError::Find {
            path: path.to_owned(),
            source,
        })
    }

    /// The file that `path` leads to; the links on the way are taken.
    fn follow(&mut self, path: &Path) -> Result<(PathBuf, PathBuf), ProgramError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match self.first_link(&path)? {
                None => {
                    let source = self.source(&path)?;
                    return Ok((path, source));
                }
                Some(target) => path = target,
            }
        }
        Err(ProgramError::Read {
            path,
            source: io::Error::from_raw_os_error(nix::libc::ELOOP),
        })
    }

    /// Where the first link on the way to `path` leads, if there is one.
    fn first_link(&mut self, path: &Path) -> Result<Option<PathBuf>, ProgramError> {
        // `/nix/store/<object>` and what is below.
        let parents: Vec<&Path> = path.ancestors().collect();
        for part in parents.into_iter().rev().skip(3) {
            let source = self.source(part)?;
            let failed = |source| ProgramError::Read {
                path: part.to_owned(),
                source,
            };
            if !source.symlink_metadata().map_err(failed)?.is_symlink() {
                continue;
            }
            let target = fs::read_link(&source).map_err(failed)?;
            let folder = part.parent().unwrap_or(part);
            let rest = path.strip_prefix(part).unwrap_or(Path::new(""));
            self.found.insert(part.to_owned(), source);
            return Ok(Some(normal(&folder.join(target).join(rest))));
        }
        Ok(None)
    }
}

/// Whether a file has the name of a function that ends a thread. The C library has the functions.
fn unwinds(path: &Path, bytes: &[u8]) -> bool {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|found| found == name);
    !path.ends_with(LIBC) && UNWINDING.into_iter().any(has)
}

/// Without `.` and `..`: the folders on the way are no links, since these are followed one by one.
fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir => {}
            part => result.push(part),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const OBJECT: &str = "/nix/store/00000000000000000000000000000001-tool";

    fn store() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join(OBJECT.trim_start_matches('/'));
        fs::create_dir_all(object.join("bin")).unwrap();
        fs::write(object.join("bin/tool-1"), "#!/bin/sh\n").unwrap();
        fs::write(object.join("bin/other"), "").unwrap();
        symlink("../bin/tool-1", object.join("bin/tool")).unwrap();
        symlink("bin", object.join("sbin")).unwrap();
        symlink("loop", object.join("bin/loop")).unwrap();
        folder
    }

    fn files(store: &Path, target: &str) -> Result<Vec<String>, ProgramError> {
        let real = |path: &str| Ok(store.join(path.trim_start_matches('/')));
        let files = program_files(Path::new(target), &real)?;
        Ok(files
            .into_iter()
            .map(|file| {
                file.path
                    .strip_prefix(OBJECT)
                    .unwrap()
                    .display()
                    .to_string()
            })
            .collect())
    }

    #[test]
    fn links_are_taken_and_other_files_are_not() {
        let store = store();
        let found = files(store.path(), &format!("{OBJECT}/sbin/tool")).unwrap();
        assert_eq!(found, ["bin/tool", "bin/tool-1", "sbin"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let store = store();
        for (name, problem) in [
            (
                "bin/loop",
                "Too many levels of symbolic links (os error 40)",
            ),
            ("bin/none", "No such file or directory (os error 2)"),
        ] {
            let error = files(store.path(), &format!("{OBJECT}/{name}")).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("cannot read {OBJECT}/{name}: {problem}")
            );
        }
    }

    #[test]
    fn who_ends_threads() {
        for (path, bytes, expected) in [
            ("lib/libargon2.so.1", &b"x\0pthread_exit\0"[..], true),
            ("lib/liblvm.so", b"x\0pthread_cancel\0y", true),
            (
                "lib/libother.so",
                b"x\0pthread_exit_now\0pthread_join\0",
                false,
            ),
            ("lib/libc.so.6", b"x\0pthread_exit\0", false),
        ] {
            assert_eq!(unwinds(Path::new(path), bytes), expected, "{path}");
        }
    }

    /// The host's own shell in the place of a program of the store: it has a loader and libraries, but
    /// no search path.
    #[test]
    fn a_library_that_is_nowhere_is_named() {
        let store = store();
        let place = format!("{OBJECT}/bin/host");
        fs::copy(
            "/bin/bash",
            store.path().join(place.trim_start_matches('/')),
        )
        .unwrap();
        let loader = store.path().join("lib64");
        fs::create_dir(&loader).unwrap();
        fs::write(loader.join("ld-linux-x86-64.so.2"), "").unwrap();
        let error = files(store.path(), &place).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot start {place} without lib"))
                && error.ends_with(", which is in no folder of its search path"),
            "{error}"
        );
    }
}
