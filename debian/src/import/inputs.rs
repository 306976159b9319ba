//! Finding files in the inputs: store objects that lie somewhere on the build host but are named,
//! also in each other's links, by their place in the running system.
//!
//! Folders are read at most once and only where something is asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

use super::Input;
use super::layout;

/// Symbolic links followed before giving up, as Linux does.
const MAX_LINKS: usize = 40;

/// A file or folder of an input, free of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Number of the input.
    pub input: usize,
    /// Path below it.
    pub path: Vec<u8>,
    /// Whether it is a folder.
    pub is_directory: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

type Listing = Rc<BTreeMap<Vec<u8>, Kind>>;

/// The inputs, with what is known of their folders.
#[derive(Debug)]
pub struct Inputs<'a> {
    objects: &'a [Input],
    by_name: HashMap<&'a str, usize>,
    folders: RefCell<HashMap<(usize, Vec<u8>), Listing>>,
}

impl<'a> Inputs<'a> {
    /// Takes up the inputs; nothing is read yet.
    pub fn new(inputs: &'a [Input]) -> Self {
        let by_name = inputs
            .iter()
            .enumerate()
            .map(|(number, input)| (input.logical.base_name(), number))
            .collect();
        Self {
            objects: inputs,
            by_name,
            folders: RefCell::default(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// The path in the running system of `path` below an input.
    pub fn logical(&self, input: usize, path: &[u8]) -> Vec<u8> {
        let base = self
            .objects
            .get(input)
            .map(|input| input.logical.to_string());
        layout::join(base.unwrap_or_default().as_bytes(), path)
    }

    /// What `path` below the input leads to, all links followed; links may lead to other inputs.
    /// Nothing if it leads nowhere, or to something that is no input.
    pub fn resolve(&self, input: usize, path: &[u8]) -> Option<Found> {
        self.follow(input, path, 0)
    }

    fn follow(&self, input: usize, path: &[u8], links: usize) -> Option<Found> {
        if links > MAX_LINKS {
            return None;
        }
        let mut at = Vec::new();
        let mut is_directory = true;
        let mut parts = path
            .split(|&byte| byte == b'/')
            .filter(|part| !part.is_empty());
        while let Some(part) = parts.next() {
            if !is_directory {
                return None;
            }
            let kind = self.listing(input, &at).get(part)?.clone();
            let folder = at.clone();
            layout::push(&mut at, part);
            match kind {
                Kind::Directory => {}
                Kind::File => is_directory = false,
                Kind::Link => {
                    let (input, mut target) = self.target(input, &folder, &at)?;
                    for rest in parts {
                        layout::push(&mut target, rest);
                    }
                    return self.follow(input, &target, links + 1);
                }
            }
        }
        Some(Found {
            input,
            path: at,
            is_directory,
        })
    }

    /// Where the link at `link` in `folder` leads: an input, and a path below it.
    fn target(&self, input: usize, folder: &[u8], link: &[u8]) -> Option<(usize, Vec<u8>)> {
        let real = self.objects.get(input)?.real.join(OsStr::from_bytes(link));
        let target = fs::read_link(&real)
            .map_err(|error| log::warn!("cannot read the link {}: {error}", real.display()))
            .ok()?
            .into_os_string()
            .into_vec();
        if target.first() != Some(&b'/') {
            let at = layout::join(folder, b"x");
            return Some((input, layout::link_target(&at, &target)?));
        }
        let absolute = layout::link_target(b"", &target)?;
        let inside = layout::below(&absolute, b"nix/store")?;
        let mut parts = inside.splitn(2, |&byte| byte == b'/');
        let name = std::str::from_utf8(parts.next()?).ok()?;
        let input = *self.by_name.get(name)?;
        Some((input, parts.next().unwrap_or_default().to_vec()))
    }

    fn listing(&self, input: usize, folder: &[u8]) -> Listing {
        let key = (input, folder.to_vec());
        if let Some(known) = self.folders.borrow().get(&key) {
            return Rc::clone(known);
        }
        let listing = Rc::new(self.read(input, folder));
        self.folders.borrow_mut().insert(key, Rc::clone(&listing));
        listing
    }

    /// A folder that cannot be read counts as empty: what is missing shows up in the report.
    fn read(&self, input: usize, folder: &[u8]) -> BTreeMap<Vec<u8>, Kind> {
        let Some(object) = self.objects.get(input) else {
            return BTreeMap::new();
        };
        let real = object.real.join(OsStr::from_bytes(folder));
        let entries = match fs::read_dir(&real) {
            Ok(entries) => entries,
            Err(error) => {
                log::warn!("cannot read the input folder {}: {error}", real.display());
                return BTreeMap::new();
            }
        };
        entries
            .filter_map(|entry| {
                entry
                    .map_err(|error| log::warn!("cannot read {}: {error}", real.display()))
                    .ok()
            })
            .filter_map(|entry| {
                let kind = entry.file_type().ok()?;
                let kind = if kind.is_dir() {
                    Kind::Directory
                } else if kind.is_symlink() {
                    Kind::Link
                } else {
                    Kind::File
                };
                Some((entry.file_name().into_vec(), kind))
            })
            .collect()
    }
}
