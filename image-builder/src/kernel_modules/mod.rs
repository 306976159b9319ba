//! Kernel modules: what depmod does, and which modules an initrd needs.
//!
//! [`ModuleTree::scan`] reads every module below one or more `lib/modules/<release>` folders;
//! [`ModuleTree::write_indices`] writes the `modules.*` files that modprobe and our stage 1 read;
//! [`ModuleTree::closure`] gives the modules that some need, soft dependencies with them.
//!
//! Debian's kernel packages come without `modules.dep`: the real depmod is run by a maintainer
//! script there. `modules.order`, `modules.builtin` and `modules.builtin.modinfo` come with them.
//!
//! Source: modules.dep(5), depmod(8), modprobe.d(5).

mod alias;
mod builtin;
mod closure;
mod indices;
mod module;
mod pattern;
mod preset;
mod trie;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use builtin::Builtin;
use pattern::{is_pattern, underscores};

pub use alias::drivers;
pub use closure::{Closure, Wanted};
pub use module::{Module, firmware_of};
pub use preset::{ANY_HARDWARE, VIRTUAL_MACHINE, file_system_modules};

/// Every module of one kernel release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleTree {
    release: String,
    /// In the order of `modules.order`, and what is not in it behind, by path.
    modules: Vec<Module>,
    by_name: HashMap<String, usize>,
    /// Of each module, by index, those whose symbols it needs or that it names.
    dependencies: Vec<Vec<usize>>,
    /// Owners of aliases that are no patterns, normalised.
    literal_aliases: HashMap<String, Vec<usize>>,
    /// Aliases that are patterns, normalised, with their owners.
    alias_patterns: Vec<(String, usize)>,
    /// Owner of each exported symbol.
    symbols: BTreeMap<String, usize>,
    builtin: Builtin,
}

/// Why modules cannot be read, or not found.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// A file or folder cannot be read.
    #[error("cannot read '{path}': {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An index cannot be written.
    #[error("cannot write '{path}': {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A module is no ELF file, or a damaged one.
    #[error("cannot read module '{path}': {source}")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: object::Error,
    },
    /// The folder's name is no kernel release, or folders disagree.
    #[error("cannot read modules of '{path}': its name is not the kernel release{expected}")]
    Release {
        /// The folder.
        path: PathBuf,
        /// ` '<release>' of the other folders`, or nothing.
        expected: String,
    },
    /// A wanted module is in no folder, no alias and not in the kernel.
    #[error("cannot find kernel module '{name}' for {release}{hint}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The kernel release.
        release: String,
        /// `; did you mean '…'?`, or nothing.
        hint: String,
    },
    /// A soft dependency of the configuration is of another form.
    #[error(
        "cannot read the soft dependency '{0}'; write: softdep MODULE pre: OTHER … post: OTHER …"
    )]
    SoftDependency(String),
    /// An index would be larger than its format allows.
    #[error("cannot write the index '{file}': more than 256 MiB")]
    TooLarge {
        /// The file's name.
        file: &'static str,
    },
}

impl ModuleTree {
    /// Reads all modules in `folders`, each a `…/lib/modules/<release>` of the same release. Of
    /// modules with one name, the first folder's counts, and in it the one below `updates/`.
    ///
    /// # Errors
    /// A folder or module cannot be read, or is damaged.
    pub fn scan<P: AsRef<Path>>(folders: &[P]) -> Result<Self, ModuleError> {
        let release = common_release(folders)?;
        let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut order: Vec<String> = Vec::new();
        let (mut builtin, mut modinfo) = (String::new(), Vec::new());
        for folder in folders {
            let folder = folder.as_ref();
            let start = files.len();
            find_modules(folder, Path::new(""), &mut files)?;
            if let Some(found) = files.get_mut(start..) {
                found.sort_by_key(|(path, _)| (!path.starts_with("updates"), path.clone()));
            }
            let text = read_if_there(&folder.join("modules.order"))?;
            order.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
            let text = read_if_there(&folder.join("modules.builtin"))?;
            builtin.push_str(&String::from_utf8_lossy(&text));
            modinfo.extend(read_if_there(&folder.join("modules.builtin.modinfo"))?);
        }
        let mut modules = read_modules(files)?;
        sort(&mut modules, &order);
        Ok(Self::new(
            release,
            modules,
            Builtin::parse(&builtin, &modinfo),
        ))
    }

    fn new(release: String, modules: Vec<Module>, builtin: Builtin) -> Self {
        let by_name: HashMap<String, usize> = modules
            .iter()
            .enumerate()
            .map(|(index, module)| (module.name.clone(), index))
            .collect();
        let mut symbols = BTreeMap::new();
        for (index, module) in modules.iter().enumerate() {
            for symbol in &module.exports {
                symbols.entry(symbol.clone()).or_insert(index);
            }
        }
        let mut literal_aliases: HashMap<String, Vec<usize>> = HashMap::new();
        let mut alias_patterns = Vec::new();
        for (index, module) in modules.iter().enumerate() {
            for alias in module.aliases.iter().filter_map(|it| underscores(it)) {
                if is_pattern(&alias) {
                    alias_patterns.push((alias, index));
                } else {
                    literal_aliases.entry(alias).or_default().push(index);
                }
            }
        }
        let dependencies = modules
            .iter()
            .enumerate()
            .map(|(index, module)| {
                let by_symbol = module.needs.iter().filter_map(|name| symbols.get(name));
                let named = module.depends.iter().filter_map(|name| by_name.get(name));
                let mut found: Vec<usize> = by_symbol.chain(named).copied().collect();
                found.sort_unstable();
                found.dedup();
                found.retain(|dependency| *dependency != index);
                found
            })
            .collect();
        Self {
            release,
            modules,
            by_name,
            dependencies,
            literal_aliases,
            alias_patterns,
            symbols,
            builtin,
        }
    }

    /// Notes a soft dependency that the module itself does not name, as a line `softdep` of modprobe.d(5)
    /// does: `rule` is what stands behind that word, `MODULE pre: OTHER … post: OTHER …`. What is compiled
    /// into the kernel is there before anything.
    ///
    /// # Errors
    /// There is no such module, or the rule is of another form.
    pub fn add_soft_dependency(&mut self, rule: &str) -> Result<(), ModuleError> {
        let malformed = || ModuleError::SoftDependency(rule.trim().to_owned());
        let (name, others) = rule
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(malformed)?;
        let others = others.trim();
        if !others.starts_with("pre:") && !others.starts_with("post:") {
            return Err(malformed());
        }
        if self.is_builtin(name) {
            return Ok(());
        }
        let module = self
            .index(name)
            .and_then(|index| self.modules.get_mut(index));
        match module {
            Some(module) => module.soft_dependencies.push(others.to_owned()),
            None => return Err(self.unknown(name)),
        }
        Ok(())
    }

    /// The kernel release: `6.1.0-13-cloud-amd64`.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// All modules.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The module of this name, written with `-` or `_`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Module> {
        self.modules.get(self.index(name)?)
    }

    /// Whether this name is compiled into the kernel.
    #[must_use]
    pub fn is_builtin(&self, name: &str) -> bool {
        self.builtin.modules.contains_key(&name.replace('-', "_"))
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(&name.replace('-', "_")).copied()
    }
}

fn common_release<P: AsRef<Path>>(folders: &[P]) -> Result<String, ModuleError> {
    let mut release: Option<String> = None;
    for folder in folders {
        let path = folder.as_ref().to_owned();
        let name = path.file_name().and_then(|name| name.to_str());
        match (&release, name) {
            (None, Some(name)) => release = Some(name.to_owned()),
            (Some(release), Some(name)) if release == name => {}
            (release, _) => {
                let expected = release
                    .as_ref()
                    .map(|release| format!(" '{release}' of the other folders"))
                    .unwrap_or_default();
                return Err(ModuleError::Release { path, expected });
            }
        }
    }
    Ok(release.unwrap_or_default())
}

/// Gathers the modules below `folder`/`below`: paths relative to `folder`, and whole ones.
fn find_modules(
    folder: &Path,
    below: &Path,
    files: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), ModuleError> {
    let place = folder.join(below);
    let failed = |source| ModuleError::Read {
        path: place.clone(),
        source,
    };
    for entry in fs::read_dir(&place).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(failed)?;
        // `build` and `source` are links to the kernel's headers.
        if kind.is_dir() {
            find_modules(folder, &below.join(&name), files)?;
        } else if kind.is_file() && name.to_str().is_some_and(module::is_module) {
            files.push((below.join(&name), entry.path()));
        }
    }
    Ok(())
}

/// Reads the modules on all processors, and keeps the first of each name.
fn read_modules(files: Vec<(PathBuf, PathBuf)>) -> Result<Vec<Module>, ModuleError> {
    let mut seen = std::collections::HashSet::new();
    let files: Vec<(PathBuf, PathBuf)> = files
        .into_iter()
        .filter(|(path, _)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            seen.insert(pattern::module_name(&name))
        })
        .collect();
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Small shares in turn, since sizes differ widely and neighbours resemble each other.
    let results: Vec<Result<Vec<(usize, Module)>, ModuleError>> = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|worker| {
                let files = &files;
                scope.spawn(move || {
                    let mut buffer = Vec::new();
                    files
                        .iter()
                        .enumerate()
                        .skip(worker)
                        .step_by(workers)
                        .map(|(index, (path, source))| {
                            Ok((index, Module::open(path, source, &mut buffer)?))
                        })
                        .collect()
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut modules = Vec::with_capacity(files.len());
    for result in results {
        modules.extend(result?);
    }
    modules.sort_by_key(|(index, _)| *index);
    Ok(modules.into_iter().map(|(_, module)| module).collect())
}

/// By `modules.order`, which has the names without the suffix of a compression.
fn sort(modules: &mut [Module], order: &[String]) {
    let places: HashMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(place, path)| (path.as_str(), place))
        .collect();
    modules.sort_by_cached_key(|module| {
        let plain = module.plain_path();
        let place = plain.to_str().and_then(|path| places.get(path));
        (place.copied().unwrap_or(usize::MAX), module.path.clone())
    });
}

fn read_if_there(path: &Path) -> Result<Vec<u8>, ModuleError> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(ModuleError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
