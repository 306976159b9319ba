//! The `modules.*` files: text for people and for stage 1, binary for modprobe.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::pattern::underscores;
use super::trie::Trie;
use super::{ModuleError, ModuleTree};

/// Which modules a text is about: all of them, or those of a closure.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    All,
    These(&'a BTreeSet<usize>),
}

/// How a module's file is called.
#[derive(Debug, Clone, Copy)]
enum Naming {
    /// As it lies in its folder.
    AsIs,
    /// As it lies in the initrd, unpacked.
    Plain,
}

impl Scope<'_> {
    fn has(self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::These(set) => set.contains(&index),
        }
    }
}

impl ModuleTree {
    /// Writes `modules.dep`, `.alias`, `.softdep`, `.symbols`, `.devname` and the binary indices
    /// into `folder`, as depmod does. Module paths in them are relative to it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_indices(&self, folder: &Path) -> Result<(), ModuleError> {
        for (name, bytes) in self.indices()? {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|source| ModuleError::Write { path, source })?;
        }
        Ok(())
    }

    /// Name and content of every file that depmod makes.
    ///
    /// # Errors
    /// A binary index is too large for its format.
    pub fn indices(&self) -> Result<Vec<(&'static str, Vec<u8>)>, ModuleError> {
        let all = Scope::All;
        Ok(vec![
            ("modules.alias", self.alias_text(all).into_bytes()),
            (
                "modules.alias.bin",
                to_bytes("modules.alias.bin", &self.alias_trie())?,
            ),
            (
                "modules.builtin.alias.bin",
                to_bytes("modules.builtin.alias.bin", &self.builtin_alias_trie())?,
            ),
            (
                "modules.builtin.bin",
                to_bytes("modules.builtin.bin", &self.builtin_trie())?,
            ),
            (
                "modules.dep",
                self.dependency_lines(all, Naming::AsIs).into_bytes(),
            ),
            (
                "modules.dep.bin",
                to_bytes("modules.dep.bin", &self.dependency_trie())?,
            ),
            ("modules.devname", self.device_names().into_bytes()),
            ("modules.softdep", self.soft_text(all).into_bytes()),
            ("modules.symbols", self.symbol_text().into_bytes()),
            (
                "modules.symbols.bin",
                to_bytes("modules.symbols.bin", &self.symbol_trie())?,
            ),
        ])
    }

    /// The text files that stage 1 reads, about the given modules, whose files are named as if
    /// they were not compressed.
    pub(super) fn texts_of(&self, set: &BTreeSet<usize>) -> Vec<(&'static str, String)> {
        let scope = Scope::These(set);
        let builtin: Vec<&str> = self.builtin.modules.values().map(String::as_str).collect();
        let builtin = builtin.join("\n") + if builtin.is_empty() { "" } else { "\n" };
        vec![
            ("modules.alias", self.alias_text(scope)),
            ("modules.builtin", builtin),
            ("modules.dep", self.dependency_lines(scope, Naming::Plain)),
            ("modules.softdep", self.soft_text(scope)),
        ]
    }

    /// All that a module needs, deepest last: loaded from the end, each finds what it needs.
    pub(super) fn all_dependencies(&self, index: usize) -> Vec<usize> {
        let mut finished = Vec::new();
        let mut seen = BTreeSet::from([index]);
        self.visit(index, &mut seen, &mut finished);
        // The last to be finished is the module itself.
        finished.pop();
        finished.reverse();
        finished
    }

    fn visit(&self, index: usize, seen: &mut BTreeSet<usize>, finished: &mut Vec<usize>) {
        for dependency in self.dependencies.get(index).into_iter().flatten() {
            if seen.insert(*dependency) {
                self.visit(*dependency, seen, finished);
            }
        }
        finished.push(index);
    }

    fn dependency_line(&self, index: usize, naming: Naming) -> Option<String> {
        let path = |index: usize| {
            let module = self.modules.get(index)?;
            Some(match naming {
                Naming::AsIs => module.path.to_string_lossy().into_owned(),
                Naming::Plain => module.plain_path().to_string_lossy().into_owned(),
            })
        };
        let mut line = path(index)? + ":";
        for dependency in self.all_dependencies(index) {
            line.push(' ');
            line.push_str(&path(dependency)?);
        }
        Some(line)
    }

    fn dependency_lines(&self, scope: Scope<'_>, naming: Naming) -> String {
        (0..self.modules.len())
            .filter(|index| scope.has(*index))
            .filter_map(|index| self.dependency_line(index, naming))
            .map(|line| line + "\n")
            .collect()
    }

    fn dependency_trie(&self) -> Trie {
        let mut trie = Trie::default();
        for (index, module) in self.modules.iter().enumerate() {
            let line = self.dependency_line(index, Naming::AsIs);
            if let Some(line) = line {
                insert(&mut trie, &module.name, &line, index);
            }
        }
        trie
    }

    fn alias_text(&self, scope: Scope<'_>) -> String {
        let mut text = "# Aliases extracted from modules themselves.\n".to_owned();
        for (index, module) in self.modules.iter().enumerate() {
            for alias in module.aliases.iter().filter(|_| scope.has(index)) {
                text.extend(["alias ", alias, " ", &module.name, "\n"]);
            }
        }
        text
    }

    fn alias_trie(&self) -> Trie {
        let mut trie = Trie::default();
        for (index, module) in self.modules.iter().enumerate() {
            for alias in &module.aliases {
                match underscores(alias) {
                    Some(alias) => insert(&mut trie, &alias, &module.name, index),
                    None => log::warn!("alias '{alias}' of '{}' has an open [", module.name),
                }
            }
        }
        trie
    }

    fn builtin_trie(&self) -> Trie {
        let mut trie = Trie::default();
        for name in self.builtin.modules.keys() {
            insert(&mut trie, name, "", 0);
        }
        trie
    }

    fn builtin_alias_trie(&self) -> Trie {
        let mut trie = Trie::default();
        for (module, alias) in &self.builtin.aliases {
            if let Some(alias) = underscores(alias) {
                insert(&mut trie, &alias, module, 0);
            }
        }
        trie
    }

    fn soft_text(&self, scope: Scope<'_>) -> String {
        let mut text = "# Soft dependencies extracted from modules themselves.\n".to_owned();
        for (index, module) in self.modules.iter().enumerate() {
            for soft in module.soft_dependencies.iter().filter(|_| scope.has(index)) {
                text.extend(["softdep ", &module.name, " ", soft, "\n"]);
            }
        }
        text
    }

    fn owned_symbols(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        self.symbols.iter().filter_map(|(symbol, index)| {
            let module = self.modules.get(*index)?;
            Some((symbol.as_str(), *index, module.name.as_str()))
        })
    }

    fn symbol_text(&self) -> String {
        let mut text = "# Aliases for symbols, used by symbol_request().\n".to_owned();
        for (symbol, _, module) in self.owned_symbols() {
            text.extend(["alias symbol:", symbol, " ", module, "\n"]);
        }
        text
    }

    fn symbol_trie(&self) -> Trie {
        let mut trie = Trie::default();
        for (symbol, index, module) in self.owned_symbols() {
            insert(&mut trie, &format!("symbol:{symbol}"), module, index);
        }
        trie
    }

    /// Device nodes that load a module when they are opened: a `devname:` alias and a number.
    fn device_names(&self) -> String {
        let mut text = "# Device nodes to trigger on-demand module loading.\n".to_owned();
        for module in &self.modules {
            let name = module
                .aliases
                .iter()
                .find_map(|alias| alias.strip_prefix("devname:"));
            let number = module.aliases.iter().find_map(|alias| {
                device_number(alias, "char-major-", 'c')
                    .or_else(|| device_number(alias, "block-major-", 'b'))
            });
            if let (Some(name), Some((kind, major, minor))) = (name, number)
                && writeln!(text, "{} {name} {kind}{major}:{minor}", module.name).is_err()
            {
                log::error!("no memory for modules.devname");
            }
        }
        text
    }
}

fn device_number(alias: &str, prefix: &str, kind: char) -> Option<(char, u32, u32)> {
    let (major, minor) = alias.strip_prefix(prefix)?.split_once('-')?;
    Some((kind, major.parse().ok()?, minor.parse().ok()?))
}

fn insert(trie: &mut Trie, key: &str, value: &str, priority: usize) {
    let priority = u32::try_from(priority).unwrap_or(u32::MAX);
    if !trie.insert(key, value, priority) {
        log::warn!("leaving '{key}' out of the index: only 7-bit text is allowed");
    }
}

fn to_bytes(file: &'static str, trie: &Trie) -> Result<Vec<u8>, ModuleError> {
    trie.to_bytes().ok_or(ModuleError::TooLarge { file })
}
