//! The lock file of a configuration: which packages, in which versions, from which state of the
//! archive.
//!
//! It is read before an evaluation, and follows what the evaluation asks for: a package that is not
//! in it is resolved against the archive as it was when the lock was made, so that the others keep
//! their versions. What nobody asks for any more leaves when all is taken anew.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use cairn_debian::{Archive, Lock, Request, parse_date};

/// Packages that a Cairn system has something else for; nothing may pull them in.
pub const REPLACED: [&str; 19] = [
    "adduser",
    "base-files",
    "base-passwd",
    "dbus",
    "debconf",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "initramfs-tools",
    "libpam-runtime",
    "libpam-systemd",
    "linux-base",
    "lsb-base",
    "perl-base",
    "runit-helper",
    "systemd",
    "sysvinit-utils",
    "ucf",
    "udev",
];

/// A lock file, there or not.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    lock: Lock,
    exists: bool,
}

/// What renewing a lock has changed, for people: one line for each package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<String>);

impl LockFile {
    /// Reads the lock file at `path`; if there is none, its lock has no packages.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the lock file '{}'", path.display()));
            }
        };
        let lock = match &text {
            None => Lock::new(Request::new([]), Vec::new(), Vec::new())?,
            Some(text) => Lock::parse(text).with_context(|| {
                format!(
                    "the lock file '{}' is damaged; remove it to resolve again",
                    path.display()
                )
            })?,
        };
        Ok(Self {
            path: path.to_owned(),
            lock,
            exists: text.is_some(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was read or written.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Whether it has been written before.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        !self.lock.releases().is_empty()
    }

    /// The lock.
    #[must_use]
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The lock alone.
    #[must_use]
    pub fn into_lock(self) -> Lock {
        self.lock
    }

    /// The packages of `asked` that the lock does not have.
    #[must_use]
    pub fn missing<'a>(&self, asked: &'a BTreeSet<String>) -> Vec<&'a str> {
        let unknown = |name: &&String| self.lock.package(name).is_none();
        asked.iter().filter(unknown).map(String::as_str).collect()
    }

    /// Locks exactly `asked` and what it needs. With `keep`, versions that the archive still has
    /// stay.
    ///
    /// # Errors
    /// A package does not exist, packages exclude each other, or the file cannot be written.
    pub fn renew(
        &mut self,
        archive: &Archive,
        asked: &BTreeSet<String>,
        keep: bool,
    ) -> Result<Changes> {
        let request = Request::parse(asked.iter().map(String::as_str))?
            // What is asked for by its name is wanted itself.
            .excluding(REPLACED.into_iter().filter(|name| !asked.contains(*name)));
        let lock = archive.resolve_keeping(&request, keep.then_some(&self.lock))?;
        let changes = Changes::between(&self.lock, &lock);
        self.write(lock)?;
        Ok(changes)
    }

    /// Replaces the lock and its file; nothing is written if the file says the same already.
    ///
    /// # Errors
    /// The file cannot be written; it is as before then.
    pub fn write(&mut self, lock: Lock) -> Result<()> {
        if !self.exists || lock != self.lock {
            // As any file that a program makes: others build from it, too. One that is there keeps its mode.
            let permissions = fs::metadata(&self.path).map_or_else(
                |_| Permissions::from_mode(0o666),
                |metadata| metadata.permissions(),
            );
            write_with(&self.path, lock.to_text().as_bytes(), permissions)?;
        }
        self.lock = lock;
        self.exists = true;
        Ok(())
    }
}

impl Changes {
    fn between(old: &Lock, new: &Lock) -> Self {
        let mut lines = Vec::new();
        for package in new.packages() {
            match old.package(&package.name) {
                None => lines.push(format!("+ {} {}", package.name, package.version)),
                Some(before) if before.version != package.version => lines.push(format!(
                    "  {} {} -> {}",
                    package.name, before.version, package.version
                )),
                Some(_) => {}
            }
        }
        let gone = |name: &str| new.package(name).is_none();
        for package in old.packages().iter().filter(|package| gone(&package.name)) {
            lines.push(format!("- {} {}", package.name, package.version));
        }
        Self(lines)
    }
}

/// Writes a file so that at any moment the old or the new content is there, and is durable. Nobody else
/// may read it.
///
/// # Errors
/// It cannot be written.
pub fn write_atomically(file: &Path, content: &[u8]) -> Result<()> {
    write_with(file, content, Permissions::from_mode(0o600))
}

/// The same with other permissions, from which the process's mask is taken away.
fn write_with(file: &Path, content: &[u8], permissions: Permissions) -> Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut temporary = tempfile::Builder::new()
            .permissions(permissions)
            .tempfile_in(folder)?;
        std::io::Write::write_all(&mut temporary, content)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        fs::File::open(folder)?.sync_all()
    });
    written.with_context(|| format!("cannot write '{}'", file.display()))
}

/// The newest release's date, in seconds since 1970: the one time that a lock knows.
///
/// # Errors
/// It names no release, or a date that is none.
pub fn epoch(lock: &Lock) -> Result<u32> {
    let dates = lock.releases().iter().map(|release| {
        parse_date(&release.date)
            .and_then(|date| date.duration_since(UNIX_EPOCH).ok())
            .and_then(|age| u32::try_from(age.as_secs()).ok())
            .with_context(|| format!("the lock file has no date but '{}'", release.date))
    });
    let dates = dates.collect::<Result<Vec<_>>>()?;
    dates
        .into_iter()
        .max()
        .context("the lock file names no release; resolve again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn others_read_it_as_any_file_that_somebody_makes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cairn.lock");
        let write = || {
            let mut file = LockFile::read(&path).unwrap();
            let lock = file.lock().clone();
            file.exists = false;
            file.write(lock).unwrap();
        };
        write();
        let other = folder.path().join("other");
        fs::write(&other, "").unwrap();
        assert_eq!(mode(&path), mode(&other));

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write();
        assert_eq!(mode(&path), 0o640);
    }
}
