//! What is compiled into the kernel: `modules.builtin` and `modules.builtin.modinfo`.
//!
//! Source: Documentation/kbuild/kbuild.rst of Linux.

use std::collections::BTreeMap;

use super::pattern::module_name;

/// The modules that are part of the kernel image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Builtin {
    /// Names, and the paths that `modules.builtin` gives them.
    pub(super) modules: BTreeMap<String, String>,
    /// Module and alias, in the order of the file.
    pub(super) aliases: Vec<(String, String)>,
}

impl Builtin {
    /// Reads the two files' contents.
    pub(super) fn parse(builtin: &str, modinfo: &[u8]) -> Self {
        let modules = builtin
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| {
                let file_name = line.rsplit('/').next().unwrap_or(line);
                (module_name(file_name), line.to_owned())
            })
            .collect();
        let aliases = modinfo
            .split(|byte| *byte == 0)
            .filter_map(|text| {
                let text = std::str::from_utf8(text).ok()?;
                let (module, rest) = text.split_once('.')?;
                let alias = rest.strip_prefix("alias=")?;
                Some((module_name(module), alias.to_owned()))
            })
            .collect();
        Self { modules, aliases }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read() {
        let builtin = Builtin::parse(
            "kernel/fs/ext2/ext2.ko\nkernel/drivers/a-b.ko\n",
            b"ext2.license=GPL\0ext2.alias=fs-ext2\0a-b.alias=pci:v*\0",
        );
        assert_eq!(builtin.modules.keys().collect::<Vec<_>>(), ["a_b", "ext2"]);
        assert_eq!(
            builtin.aliases,
            [
                ("ext2".to_owned(), "fs-ext2".to_owned()),
                ("a_b".to_owned(), "pci:v*".to_owned())
            ]
        );
    }
}
