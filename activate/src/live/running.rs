//! What the machine has now, as the kernel tells it.
//!
//! Source: `proc_pid_mountinfo(5)`, `proc_swaps(5)`, `proc_modules(5)`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cairn_system::ordered;

use crate::root::FileError;

use super::sysctls::{self, Defaults};

/// A machine's mounts, swap spaces, modules and sysctls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    mounts: BTreeSet<String>,
    etc_is_protected: bool,
    swaps: BTreeSet<String>,
    modules: BTreeSet<String>,
    sysctls: BTreeMap<String, String>,
    defaults: Defaults,
}

impl Running {
    /// Reads it in the tree at `root`; of the sysctls those in `keys`, as far as they can be read.
    ///
    /// # Errors
    /// The list of mounts cannot be read. A kernel may have no swap and no modules.
    pub fn read<'a>(
        root: &Path,
        keys: impl Iterator<Item = &'a String>,
    ) -> Result<Self, FileError> {
        let proc = root.join("proc");
        let sysctls = keys.filter_map(|key| {
            let file = proc.join("sys").join(sysctls::file_of(key)?);
            Some((key.clone(), fs::read_to_string(file).ok()?))
        });
        Ok(Self {
            sysctls: ordered::map(sysctls),
            defaults: sysctls::defaults(root)?,
            ..Self::parse(
                &read(proc.join("self/mountinfo"))?,
                &read_if_there(proc.join("swaps"))?,
                &read_if_there(proc.join("modules"))?,
            )
        })
    }

    /// Of the texts of `mountinfo`, `swaps` and `modules`.
    #[must_use]
    pub fn parse(mountinfo: &str, swaps: &str, modules: &str) -> Self {
        Self {
            mounts: fields(mountinfo, 4, 0),
            etc_is_protected: is_bound_read_only(mountinfo, "/etc"),
            swaps: fields(swaps, 0, 1),
            modules: fields(modules, 0, 0),
            sysctls: BTreeMap::new(),
            defaults: Defaults::new(),
        }
    }

    pub(super) fn is_mounted(&self, point: &str) -> bool {
        self.mounts.contains(point)
    }

    pub(super) fn etc_is_protected(&self) -> bool {
        self.etc_is_protected
    }

    /// Whether the file or device is swapped to, by the name that the kernel has for it.
    pub(super) fn is_swap(&self, path: &str) -> bool {
        self.swaps.contains(path)
    }

    pub(super) fn has_module(&self, name: &str) -> bool {
        self.modules.contains(&name.replace('-', "_"))
    }

    pub(super) fn sysctl(&self, key: &str) -> Option<&str> {
        self.sysctls.get(key).map(String::as_str)
    }

    /// What a sysctl was before anything set it.
    pub(super) fn default(&self, key: &str) -> Option<&str> {
        self.defaults.get(key).map(String::as_str)
    }

    /// As if the sysctl had been read.
    #[must_use]
    pub fn with_sysctl(mut self, key: &str, value: &str) -> Self {
        self.sysctls.insert(key.to_owned(), value.to_owned());
        self
    }

    /// As if the sysctl had once had this value.
    #[must_use]
    pub fn with_default(mut self, key: &str, value: &str) -> Self {
        self.defaults.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// Whether what is mounted there last is a folder of another mount, and read-only.
fn is_bound_read_only(mountinfo: &str, point: &str) -> bool {
    let last = mountinfo.lines().rev().find_map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        (fields.get(4) == Some(&point)).then_some(fields)
    });
    let Some(fields) = last else { return false };
    let options = fields.get(5).copied().unwrap_or_default();
    fields.get(3) != Some(&"/") && options.split(',').any(|option| option == "ro")
}

fn read(path: PathBuf) -> Result<String, FileError> {
    fs::read(&path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|source| FileError {
            verb: "read",
            path,
            source,
        })
}

fn read_if_there(path: PathBuf) -> Result<String, FileError> {
    match read(path) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result,
    }
}

/// One field of each line after the first `skipped`, with its octal escapes undone.
fn fields(text: &str, field: usize, skipped: usize) -> BTreeSet<String> {
    ordered::set(
        text.lines()
            .skip(skipped)
            .filter_map(|line| line.split_ascii_whitespace().nth(field))
            .map(unescape),
    )
}

/// `\040` is a space: the kernel writes blanks, newlines and backslashes so.
fn unescape(field: &str) -> String {
    let codes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    codes.iter().fold(field.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_lists() {
        let mountinfo = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                         35 22 0:31 / /my\\040data rw shared:2 - tmpfs none rw,size=4k\n";
        let swaps = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
                     /var/swap\\040file                       file\t\t4092\t\t0\t\t-2\n";
        let modules = "nls_ascii 16384 0 - Live 0x0000000000000000\n";
        let running = Running::parse(mountinfo, swaps, modules);
        assert!(running.is_mounted("/") && running.is_mounted("/my data"));
        assert!(!running.is_mounted("/my"));
        assert!(running.is_swap("/var/swap file") && !running.is_swap("Filename"));
        assert!(running.has_module("nls-ascii") && !running.has_module("nls"));
    }

    #[test]
    fn this_machine() {
        let keys = ["kernel.ostype".to_owned(), "no.such".to_owned()];
        let running = Running::read(Path::new("/"), keys.iter()).unwrap();
        assert!(running.is_mounted("/"));
        assert_eq!(running.sysctl("kernel.ostype"), Some("Linux\n"));
        assert_eq!(running.sysctl("no.such"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(one: String, two: String, three: String) {
            let running = Running::parse(&one, &two, &three);
            prop_assert!(running.sysctls.is_empty());
        }
    }
}
