//! The steps of an installation, told as they begin.

use serde::Serialize;

/// What is done, in this order. Whatever step an installation is cut off in, the same command finishes
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The disk gets its table.
    Partitions,
    /// The partitions get file systems.
    FileSystems,
    /// They are mounted.
    Mounts,
    /// The configuration is written.
    Configuration,
    /// What is there comes into the new store.
    Copy,
    /// What is missing is fetched and built.
    Build,
    /// The system becomes a generation that boots, by GRUB that is written to the disk.
    Generation,
    /// Passwords are set.
    Passwords,
    /// All is on the disk, and nothing is mounted any more.
    Finish,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 9] = [
        Self::Partitions,
        Self::FileSystems,
        Self::Mounts,
        Self::Configuration,
        Self::Copy,
        Self::Build,
        Self::Generation,
        Self::Passwords,
        Self::Finish,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::FileSystems => "file systems",
            Self::Mounts => "mounts",
            Self::Configuration => "configuration",
            Self::Copy => "copying the system",
            Self::Build => "building what is missing",
            Self::Generation => "generation, boot menu and boot loader",
            Self::Passwords => "passwords",
            Self::Finish => "writing everything to the disk",
        }
    }

    /// Says on standard error that it begins.
    pub fn tell(self) {
        let number = Self::ALL.iter().position(|step| *step == self);
        let number = number.map_or(0, |at| at + 1);
        eprintln!("cairn: {number}/{}: {}", Self::ALL.len(), self.name());
    }
}
