//! The two files: which are written, and where.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Blkid, Hardware, configuration, hardware_configuration, scan_machine};
use crate::lock_file::write_atomically;

/// Where a machine's configuration is.
pub const FOLDER: &str = "/etc/nixos";

/// What `cairn generate-config` is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Below which the machine's file systems are mounted.
    pub root: PathBuf,
    /// Where the files go; else [`FOLDER`] below the root.
    pub folder: Option<PathBuf>,
    /// What happens to a configuration that is there.
    pub existing: Existing,
    /// Whether file systems and swap spaces are described.
    pub file_systems: bool,
}

/// What happens to a `configuration.nix` that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is somebody's work, and stays.
    Kept,
    /// It is overwritten.
    Replaced,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub text: String,
}

impl Request {
    /// What the machine has.
    ///
    /// # Errors
    /// The root is no folder, or the machine cannot be looked at.
    pub fn scan(&self) -> Result<Hardware> {
        let root = std::fs::canonicalize(&self.root)
            .with_context(|| format!("cannot look below '{}'", self.root.display()))?;
        if !root.is_dir() {
            bail!("cannot look below '{}': it is no folder", root.display());
        }
        let root = self.file_systems.then_some(root.as_path());
        Ok(scan_machine(Path::new("/"), root, &Blkid)?)
    }

    /// The files to write.
    #[must_use]
    pub fn plan(&self, hardware: &Hardware) -> Vec<File> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => self.root.join(FOLDER.trim_start_matches('/')),
        };
        let mut files = vec![File {
            path: folder.join("hardware-configuration.nix"),
            text: hardware_configuration(hardware),
        }];
        let path = folder.join("configuration.nix");
        // Whatever lies there under that name, a dangling link too, was put there.
        if self.existing == Existing::Replaced || path.symlink_metadata().is_err() {
            let text = configuration(hardware);
            files.push(File { path, text });
        }
        files
    }
}

/// Writes the files, each whole or not at all.
///
/// # Errors
/// One cannot be written.
pub fn write(files: &[File]) -> Result<()> {
    for file in files {
        write_atomically(&file.path, file.text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(files: &[File]) -> Vec<String> {
        let name = |file: &File| file.path.file_name()?.to_str().map(str::to_owned);
        files.iter().filter_map(name).collect()
    }

    #[test]
    fn what_somebody_has_written_stays() {
        let root = tempfile::tempdir().unwrap();
        let mut request = Request {
            root: root.path().to_owned(),
            folder: None,
            existing: Existing::Kept,
            file_systems: true,
        };
        let hardware = Hardware::default();
        let both = ["hardware-configuration.nix", "configuration.nix"];
        let files = request.plan(&hardware);
        assert_eq!(names(&files), both);
        write(&files).unwrap();
        let folder = root.path().join("etc/nixos");
        for file in &files {
            assert_eq!(file.path.parent(), Some(folder.as_path()));
            assert_eq!(fs::read_to_string(&file.path).unwrap(), file.text);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        assert_eq!(names(&request.plan(&hardware)), both[..1]);
        request.existing = Existing::Replaced;
        assert_eq!(names(&request.plan(&hardware)), both);
        request.folder = Some(root.path().join("elsewhere"));
        request.existing = Existing::Kept;
        assert_eq!(names(&request.plan(&hardware)), both);
    }
}
