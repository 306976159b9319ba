//! Which folders an ELF file must be told to look for its libraries in.
//!
//! A RUNPATH counts for the file that has it and not for the libraries it loads, so each file gets
//! a full one: the folders that it had, as far as they exist, then one for each library that it
//! needs, then one for each library whose name is among its strings, because it may open that one
//! while it runs, and last the C library's.
//!
//! The C library itself opens NSS modules by name. Those of other packages are found in the system
//! profile ([`NSS_MODULES`]).
//!
//! Source: ld.so(8), dlopen(3), nsswitch.conf(5).

use std::collections::HashMap;

use super::elf::{self, Elf, Machine};
use super::inputs::Found;
use super::layout::{self, show};
use super::link::{Place, View};
use super::report::{Report, Unresolved};

/// Where the C library looks for NSS modules that are not its own, below which the machine's
/// library folder is added: `/run/current-system/sw/lib/x86_64-linux-gnu`.
pub const NSS_MODULES: &str = "/run/current-system/sw/lib";

/// The C library's name on all machines of Debian that are relocated.
const LIBC: &[u8] = b"libc.so.6";

/// A folder of libraries, in the object or in an input.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Folder {
    Own(Vec<u8>),
    Input(usize, Vec<u8>),
}

/// Finds libraries, each name only once.
#[derive(Debug)]
pub struct Libraries<'a> {
    view: &'a View<'a>,
    found: HashMap<(&'static str, Vec<u8>), Option<Folder>>,
}

impl<'a> Libraries<'a> {
    /// Nothing is looked up yet.
    pub fn new(view: &'a View<'a>) -> Self {
        Self {
            view,
            found: HashMap::new(),
        }
    }

    /// The RUNPATH for the file at the prefix path `file`; libraries that are nowhere are reported.
    pub fn search_path(
        &mut self,
        file: &[u8],
        bytes: &[u8],
        elf: &Elf,
        report: &mut Report,
    ) -> Vec<u8> {
        let kept = self.kept(file, elf);
        let mut path: Vec<Vec<u8>> = kept.iter().map(|(text, _)| text.clone()).collect();
        for needed in &elf.needed {
            if kept.iter().any(|(_, folder)| self.has(folder, needed)) {
                continue;
            }
            match self.find(elf.machine, needed) {
                Some(folder) => path.push(self.text(&folder)),
                None => report.unresolved.push(Unresolved {
                    path: show(file),
                    needed: show(needed),
                }),
            }
        }
        for name in elf::library_names(bytes, elf) {
            if let Some(folder) = self.find(elf.machine, &name) {
                path.push(self.text(&folder));
            }
        }
        let last = self
            .find(elf.machine, LIBC)
            .map(|folder| self.text(&folder));
        path.retain(|folder| Some(folder) != last.as_ref());
        path.extend(last);
        if elf.soname.as_deref() == Some(LIBC) {
            path.push(format!("{NSS_MODULES}/{}", elf.machine.multiarch()).into_bytes());
        }
        let mut unique: Vec<Vec<u8>> = Vec::new();
        for folder in path {
            if !unique.contains(&folder) {
                unique.push(folder);
            }
        }
        unique.join(&b':')
    }

    /// The folders of the old search path that exist: what to write, and where it is.
    fn kept(&self, file: &[u8], elf: &Elf) -> Vec<(Vec<u8>, Folder)> {
        let old = elf.search_path.as_deref().unwrap_or_default();
        old.split(|&byte| byte == b':')
            .filter_map(|entry| {
                let origin = [&b"$ORIGIN"[..], b"${ORIGIN}"]
                    .into_iter()
                    .find_map(|word| entry.strip_prefix(word));
                if let Some(rest) = origin {
                    let relative = layout::join(b".", rest);
                    let folder = layout::link_target(file, &relative)?;
                    return Some((entry.to_vec(), Folder::Own(folder)));
                }
                let folder = match self.view.resolve(entry.strip_prefix(b"/")?)? {
                    Place::Own(path) => Folder::Own(path),
                    Place::Input(Found {
                        input,
                        path,
                        is_directory: true,
                    }) => Folder::Input(input, path),
                    Place::Input(_) | Place::System(_) => return None,
                };
                Some((self.text(&folder), folder))
            })
            .collect()
    }

    fn find(&mut self, machine: Machine, name: &[u8]) -> Option<Folder> {
        let key = (machine.multiarch(), name.to_vec());
        if let Some(known) = self.found.get(&key) {
            return known.clone();
        }
        let found = self.look(machine, name);
        self.found.insert(key, found.clone());
        found
    }

    fn look(&self, machine: Machine, name: &[u8]) -> Option<Folder> {
        if name.is_empty() || name.contains(&b'/') {
            return None;
        }
        let usual = [
            layout::join(b"lib", machine.multiarch().as_bytes()),
            b"lib".to_vec(),
            b"lib64".to_vec(),
        ];
        let own = usual.iter().cloned().map(Folder::Own);
        let inputs = 0..self.view.inputs().len();
        let others = inputs.flat_map(|input| {
            usual
                .iter()
                .cloned()
                .map(move |path| Folder::Input(input, path))
        });
        own.chain(others)
            .find(|folder| self.has(folder, name))
            .or_else(|| self.look_anywhere(name))
    }

    /// Private library folders of the object itself.
    fn look_anywhere(&self, name: &[u8]) -> Option<Folder> {
        self.view
            .tree()
            .nodes()
            .map(|(path, _)| path)
            .filter(|path| layout::name(path) == name && layout::below(path, b"lib").is_some())
            .map(|path| Folder::Own(layout::parent(path).to_vec()))
            .find(|folder| self.has(folder, name))
    }

    fn has(&self, folder: &Folder, name: &[u8]) -> bool {
        match folder {
            Folder::Own(path) => {
                let path = layout::join(path, name);
                self.view.tree().get(&path).is_some()
                    && matches!(
                        self.view.resolve(&path),
                        Some(Place::Own(_) | Place::Input(_))
                    )
            }
            Folder::Input(input, path) => {
                let found = self
                    .view
                    .inputs()
                    .resolve(*input, &layout::join(path, name));
                found.is_some_and(|found| !found.is_directory)
            }
        }
    }

    fn text(&self, folder: &Folder) -> Vec<u8> {
        match folder {
            Folder::Own(path) => self.view.own(path),
            Folder::Input(input, path) => self.view.inputs().logical(*input, path),
        }
    }
}
