//! The modules of the running kernel.

use std::path::{Path, PathBuf};

use super::read::{self, HardwareError};

/// Where they are: of a Cairn machine, and of others.
const FOLDERS: [&str; 2] = [
    "run/booted-system/kernel-modules/lib/modules",
    "lib/modules",
];

/// The modules, by depmod's indices.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    folder: PathBuf,
    /// `modules.alias`.
    pub(super) aliases: String,
    /// `modules.dep`.
    dependencies: String,
}

impl Kernel {
    /// Without any modules if there are no indices.
    pub(super) fn of(machine: &Path) -> Result<Self, HardwareError> {
        let release = read::text(&machine.join("proc/sys/kernel/osrelease"))?.unwrap_or_default();
        for folder in FOLDERS {
            let folder = machine.join(folder).join(&release);
            if let Some(aliases) = read::text(&folder.join("modules.alias"))? {
                return Ok(Self {
                    dependencies: read::text(&folder.join("modules.dep"))?.unwrap_or_default(),
                    aliases,
                    folder,
                });
            }
        }
        Ok(Self::default())
    }

    /// The file of a module.
    pub(super) fn file(&self, module: &str) -> Option<PathBuf> {
        let path = self.dependencies.lines().find_map(|line| {
            let path = line.split(':').next()?;
            let name = path.rsplit('/').next()?.split('.').next()?;
            (name.replace('-', "_") == module).then_some(path)
        })?;
        Some(self.folder.join(path))
    }
}
