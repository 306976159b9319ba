//! What a boot loader loads: it is another system's only after a reboot.

use std::path::{Path, PathBuf};

use crate::root::{FileError, Kind, Root};

/// Kernel, initrd, modules and kernel parameters of a toplevel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootParts {
    kernel: PathBuf,
    initrd: PathBuf,
    modules: PathBuf,
    parameters: Vec<String>,
}

impl BootParts {
    /// Of the toplevel at `toplevel` (a path as the system itself sees it) in the tree at `root`.
    ///
    /// # Errors
    /// A part of it cannot be examined; one that is not there is none.
    pub fn read(root: &Path, toplevel: &Path) -> Result<Self, FileError> {
        let root = &Root::new(root);
        // Equal toplevels have equal parts whatever they are called by.
        let toplevel = match root.kind(toplevel)? {
            Kind::Link(target) => target,
            _ => toplevel.to_owned(),
        };
        let part = |name: &str| match root.kind(&toplevel.join(name))? {
            Kind::Link(target) => Ok(target),
            Kind::Absent => Ok(PathBuf::new()),
            _ => Ok::<_, FileError>(toplevel.join(name)),
        };
        let parameters = root.read_if_there(&toplevel.join("kernel-params"))?;
        let parameters = String::from_utf8_lossy(&parameters.unwrap_or_default()).into_owned();
        Ok(Self {
            kernel: part("kernel")?,
            initrd: part("initrd")?,
            modules: part("kernel-modules")?,
            parameters: parameters.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// For a test's own comparison.
    #[must_use]
    pub fn new(kernel: &str, initrd: &str, modules: &str, parameters: &str) -> Self {
        Self {
            kernel: kernel.into(),
            initrd: initrd.into(),
            modules: modules.into(),
            parameters: parameters.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// What differs in `next`, one line each.
    pub(super) fn differences(&self, next: &Self) -> Vec<String> {
        let paths = [
            ("the kernel", &self.kernel, &next.kernel),
            ("the initrd (stage 1)", &self.initrd, &next.initrd),
            ("the kernel's modules", &self.modules, &next.modules),
        ];
        let mut lines: Vec<String> = paths
            .into_iter()
            .filter(|(_, old, new)| old != new)
            .map(|(what, old, new)| {
                format!(
                    "{what}: {} is running, {} is new",
                    old.display(),
                    new.display()
                )
            })
            .collect();
        if self.parameters != next.parameters {
            lines.push(format!(
                "kernel parameters:{}",
                changed_words(&self.parameters, &next.parameters)
            ));
        }
        lines
    }
}

/// ` +new -gone`, or that only the order differs.
fn changed_words(old: &[String], new: &[String]) -> String {
    let added = new.iter().filter(|word| !old.contains(word));
    let gone = old.iter().filter(|word| !new.contains(word));
    let words: Vec<String> = added
        .map(|word| format!(" +{word}"))
        .chain(gone.map(|word| format!(" -{word}")))
        .collect();
    if words.is_empty() {
        " in another order".to_owned()
    } else {
        words.concat()
    }
}
