//! The folder of modules, and the order in which a request loads them.
//!
//! The texts are depmod's: `modules.dep` (`path: path…`), `modules.softdep`
//! (`softdep name pre: … post: …`), `modules.builtin` (paths) and `modules.alias`. What a soft
//! dependency names is an alias (`crypto-crc32c`), rarely a module.
//!
//! Source: `modules.dep(5)`, `modprobe.d(5)`.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::alias::{AliasIndex, normalise};

/// The texts of a module folder; one that does not exist is empty.
#[derive(Debug, Default)]
pub struct Texts {
    /// `modules.dep`.
    pub dependencies: String,
    /// `modules.softdep`.
    pub soft_dependencies: String,
    /// `modules.builtin`.
    pub builtin: String,
    /// `modules.alias`.
    pub aliases: String,
}

/// What can be loaded.
#[derive(Debug, Default)]
pub struct Catalogue {
    modules: HashMap<String, Module>,
    soft: HashMap<String, Soft>,
    builtin: HashSet<String>,
    /// Read when a request is no module's name: most of the time goes there.
    aliases: OnceCell<AliasIndex>,
    /// What is read then; empty afterwards.
    alias_text: RefCell<String>,
}

#[derive(Debug)]
struct Module {
    path: String,
    dependencies: Vec<String>,
}

#[derive(Debug, Default)]
struct Soft {
    before: Vec<String>,
    after: Vec<String>,
}

/// A module to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, with `_` for `-`.
    pub name: String,
    /// Its file, relative to the folder.
    pub path: String,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Load these in this order; none if it is built into the kernel.
    Load(Vec<Step>),
    /// No module and no alias has that name.
    Unknown,
}

impl Catalogue {
    /// Reads the texts; lines in another form are skipped.
    #[must_use]
    pub fn parse(texts: Texts) -> Self {
        Self {
            modules: texts.dependencies.lines().filter_map(module).collect(),
            soft: soft_dependencies(&texts.soft_dependencies),
            builtin: texts.builtin.lines().map(name_of).collect(),
            aliases: OnceCell::new(),
            alias_text: RefCell::new(texts.aliases),
        }
    }

    /// Whether a module, rather than an alias, has this name.
    #[must_use]
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.contains_key(&normalise(name))
    }

    /// What to load for `request`, a module's name or an alias, in order: soft dependencies that
    /// come before, dependencies, the module, soft dependencies that come after. A module of the
    /// `blacklist` is not loaded for an alias, but is by its name or as a dependency.
    #[must_use]
    pub fn plan(&self, request: &str, blacklist: &HashSet<String>) -> Plan {
        let Some(roots) = self.resolve(request, blacklist) else {
            return Plan::Unknown;
        };
        let mut planned = Planned::default();
        for root in roots {
            self.add(root, blacklist, &mut planned);
        }
        Plan::Load(planned.steps)
    }

    /// The modules that a name or alias means; none if the kernel has it built in.
    fn resolve(&self, request: &str, blacklist: &HashSet<String>) -> Option<Vec<&str>> {
        let name = normalise(request);
        if let Some((name, _)) = self.modules.get_key_value(&name) {
            return Some(vec![name]);
        }
        if self.builtin.contains(&name) {
            return Some(Vec::new());
        }
        let modules = self.aliases().modules(request);
        (!modules.is_empty()).then(|| {
            modules
                .into_iter()
                .filter(|module| !blacklist.contains(*module))
                .collect()
        })
    }

    fn aliases(&self) -> &AliasIndex {
        self.aliases
            .get_or_init(|| AliasIndex::parse(&self.alias_text.take()))
    }

    fn add(&self, name: &str, blacklist: &HashSet<String>, planned: &mut Planned) {
        let Some(module) = self.modules.get(name) else {
            return; // built in, or left out of this folder by who made it
        };
        if !planned.seen.insert(name.to_owned()) {
            return;
        }
        let soft = self.soft.get(name);
        let soft_modules = |aliases: &[String], planned: &mut Planned| {
            for alias in aliases {
                for root in self.resolve(alias, blacklist).unwrap_or_default() {
                    self.add(root, blacklist, planned);
                }
            }
        };
        if let Some(soft) = soft {
            soft_modules(&soft.before, planned);
        }
        // The last one is what the others depend on.
        for dependency in module.dependencies.iter().rev() {
            self.add(&name_of(dependency), blacklist, planned);
        }
        planned.steps.push(Step {
            name: name.to_owned(),
            path: module.path.clone(),
        });
        if let Some(soft) = soft {
            soft_modules(&soft.after, planned);
        }
    }
}

/// What a plan has so far; `seen` ends cycles.
#[derive(Debug, Default)]
struct Planned {
    steps: Vec<Step>,
    seen: HashSet<String>,
}

/// `kernel/fs/ext4/ext4.ko.xz` -> `ext4`.
fn name_of(path: &str) -> String {
    let file = Path::new(path.trim())
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    normalise(file.split_once(".ko").map_or(&file, |(name, _)| name))
}

fn module(line: &str) -> Option<(String, Module)> {
    let (path, dependencies) = line.split_once(':')?;
    let module = Module {
        path: path.to_owned(),
        dependencies: dependencies.split_whitespace().map(str::to_owned).collect(),
    };
    Some((name_of(path), module))
}

/// A module may have several lines, and all of them count.
fn soft_dependencies(text: &str) -> HashMap<String, Soft> {
    let mut all: HashMap<String, Soft> = HashMap::new();
    for line in text.lines() {
        let mut words = line
            .strip_prefix("softdep ")
            .into_iter()
            .flat_map(str::split_whitespace);
        let Some(name) = words.next() else { continue };
        let soft = all.entry(normalise(name)).or_default();
        let mut before = true;
        for word in words {
            match word {
                "pre:" => before = true,
                "post:" => before = false,
                word if before => soft.before.push(word.to_owned()),
                word => soft.after.push(word.to_owned()),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn catalogue() -> Catalogue {
        Catalogue::parse(Texts {
            dependencies: "\
kernel/fs/ext4/ext4.ko: kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko kernel/crypto/crc32c_generic.ko
kernel/fs/mbcache.ko:
kernel/fs/jbd2/jbd2.ko: kernel/crypto/crc32c_generic.ko
kernel/crypto/crc32c_generic.ko:
kernel/crypto/crc32c-intel.ko.xz:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
kernel/net/nic.ko:
"
            .to_owned(),
            soft_dependencies: "# comment\nsoftdep ext4 pre: crypto-crc32c none\n\
                softdep\nsoftdep ext4 post: nic\n"
                .to_owned(),
            builtin: "kernel/drivers/virtio/virtio-pci.ko\n".to_owned(),
            aliases: "alias fs-ext4 ext4\nalias crypto-crc32c crc32c_intel\n\
                alias crypto-crc32c crc32c_generic\nalias pci:* nic\n"
                .to_owned(),
        })
    }

    fn check(request: &str, blacklist: &[&str], expected: &Expect) {
        let blacklist = blacklist.iter().map(|name| (*name).to_owned()).collect();
        let text = match catalogue().plan(request, &blacklist) {
            Plan::Load(steps) => {
                let paths: Vec<_> = steps.into_iter().map(|step| step.path).collect();
                paths.join("\n")
            }
            Plan::Unknown => "unknown".to_owned(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn the_order_is_soft_hard_self_soft() {
        let order = &expect![[r#"
            kernel/crypto/crc32c-intel.ko.xz
            kernel/crypto/crc32c_generic.ko
            kernel/fs/jbd2/jbd2.ko
            kernel/fs/mbcache.ko
            kernel/fs/ext4/ext4.ko
            kernel/net/nic.ko"#]];
        check("ext4", &[], order);
    }

    #[test]
    fn cycles_end() {
        check(
            "a",
            &[],
            &expect![[r#"
                kernel/b.ko
                kernel/a.ko"#]],
        );
    }

    #[test]
    fn built_in_needs_nothing_and_unknown_is_said() {
        check("virtio_pci", &[], &expect![""]);
        check("fs-xfs", &[], &expect!["unknown"]);
    }

    #[test]
    fn a_blacklist_is_for_aliases() {
        check("pci:v1", &["nic"], &expect![""]);
        check("nic", &["nic"], &expect!["kernel/net/nic.ko"]);
    }
}
