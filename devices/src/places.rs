//! Where things are: the machine's own, or a test's.

use std::path::{Path, PathBuf};

/// Folders of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where sysfs is mounted.
    pub sys: PathBuf,
    /// Where the kernel makes nodes.
    pub dev: PathBuf,
    /// Where procfs is mounted.
    pub proc: PathBuf,
    /// Where `booted-system` is.
    pub run: PathBuf,
    /// What is known of devices: `data`, `tags`, `queue`, `control`.
    pub state: PathBuf,
    /// `passwd` and `group`.
    pub etc: PathBuf,
}

impl Places {
    /// Those of a root, `/` for the machine's own.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
            run: root.join("run"),
            state: root.join("run/udev"),
            etc: root.join("etc"),
        }
    }
}
