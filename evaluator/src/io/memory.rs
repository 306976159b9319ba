//! A world in memory, for tests and for evaluations that are to have no effect.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString};
use cairn_store_path::{Derivation, FixedOutput, Method, Sha256, StorePath};

use super::{
    Fetch, FileType, Filter, Io, IoFailure, IoResult, Level, SearchEntry, Source, path_of,
};

/// Files, variables and a store that exist only here. Nothing of the machine shows through.
#[derive(Debug, Default)]
pub struct MemoryIo {
    files: BTreeMap<PathBuf, Node>,
    variables: BTreeMap<BString, BString>,
    search_path: Vec<SearchEntry>,
    state: RefCell<State>,
}

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Link(PathBuf),
    Folder,
}

#[derive(Debug, Default)]
struct State {
    valid: BTreeSet<StorePath>,
    derivations: BTreeMap<StorePath, Derivation>,
    messages: Vec<(Level, BString)>,
}

impl MemoryIo {
    /// An empty world: no file, no variable, an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a file, and the folders that lead to it.
    #[must_use]
    pub fn with_file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(path, Node::File(content.as_ref().to_vec()))
    }

    /// The same with a symbolic link.
    #[must_use]
    pub fn with_link(self, path: &str, target: &str) -> Self {
        self.with(path, Node::Link(target.into()))
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same with one more entry at the end of the search path.
    #[must_use]
    pub fn with_search_entry(mut self, prefix: &str, path: &str) -> Self {
        self.search_path.push(SearchEntry {
            prefix: prefix.into(),
            path: path.into(),
        });
        self
    }

    /// What was shown to the user so far.
    #[must_use]
    pub fn messages(&self) -> Vec<(Level, BString)> {
        self.state.borrow().messages.clone()
    }

    fn with(mut self, path: &str, node: Node) -> Self {
        let path = PathBuf::from(path);
        for folder in path.ancestors().skip(1) {
            self.files.insert(folder.to_owned(), Node::Folder);
        }
        self.files.insert(path, node);
        self
    }

    /// The node at the end of all links.
    fn node(&self, verb: &str, path: &Path) -> IoResult<&Node> {
        let resolved = super::resolve_links(self, path)?;
        self.files.get(&resolved).ok_or_else(|| {
            IoFailure::not_found(format_args!(
                "cannot {verb} '{}': no such file or directory",
                path.display()
            ))
        })
    }

    /// Writes the archive of the tree at `path` into `out`; the form is that of the Nix archive.
    fn archive(
        &self,
        path: &Path,
        filter: &mut Option<&mut Filter<'_>>,
        out: &mut Vec<u8>,
    ) -> IoResult<()> {
        string(out, b"(");
        string(out, b"type");
        match self.files.get(path) {
            Some(Node::File(bytes)) => {
                string(out, b"regular");
                string(out, b"contents");
                string(out, bytes);
            }
            Some(Node::Link(target)) => {
                string(out, b"symlink");
                string(out, b"target");
                string(out, target.as_os_str().as_bytes());
            }
            Some(Node::Folder) => {
                string(out, b"directory");
                let mut entries = self.read_dir(path)?;
                entries.sort();
                for (name, kind) in entries {
                    let inner = path.join(path_of(&name));
                    let keep = match filter {
                        None => true,
                        Some(filter) => filter(&inner, kind).map_err(IoFailure::from)?,
                    };
                    if keep {
                        for word in [b"entry".as_slice(), b"(", b"name", &name, b"node"] {
                            string(out, word);
                        }
                        self.archive(&inner, filter, out)?;
                        string(out, b")");
                    }
                }
            }
            None => {
                return Err(IoFailure::not_found(format_args!(
                    "cannot read '{}': no such file or directory",
                    path.display()
                )));
            }
        }
        string(out, b")");
        Ok(())
    }
}

/// One string of an archive: length, bytes, zeros up to a multiple of eight.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(8), 0);
}

impl Io for MemoryIo {
    fn read_file(&self, path: &Path) -> IoResult<Vec<u8>> {
        match self.node("read", path)? {
            Node::File(bytes) => Ok(bytes.clone()),
            Node::Folder | Node::Link(_) => Err(IoFailure::other(format_args!(
                "cannot read '{}': it is a directory",
                path.display()
            ))),
        }
    }

    fn file_type(&self, path: &Path) -> IoResult<Option<FileType>> {
        Ok(self.files.get(path).map(|node| match node {
            Node::File(_) => FileType::Regular,
            Node::Link(_) => FileType::Symlink,
            Node::Folder => FileType::Directory,
        }))
    }

    fn read_link(&self, path: &Path) -> IoResult<PathBuf> {
        match self.files.get(path) {
            Some(Node::Link(target)) => Ok(target.clone()),
            _ => Err(IoFailure::other(format_args!(
                "cannot read link '{}': it is none",
                path.display()
            ))),
        }
    }

    fn read_dir(&self, path: &Path) -> IoResult<Vec<(BString, FileType)>> {
        let Node::Folder = self.node("list", path)? else {
            return Err(IoFailure::other(format_args!(
                "cannot list '{}': it is not a directory",
                path.display()
            )));
        };
        let folder = super::resolve_links(self, path)?;
        let mut entries = Vec::new();
        for inner in self.files.keys() {
            if inner.parent() == Some(&folder)
                && let (Some(name), Some(kind)) = (inner.file_name(), self.file_type(inner)?)
            {
                entries.push((BString::from(name.as_bytes()), kind));
            }
        }
        Ok(entries)
    }

    fn env_var(&self, name: &BStr) -> Option<BString> {
        self.variables.get(name).cloned()
    }

    fn current_time(&self) -> i64 {
        0
    }

    fn current_system(&self) -> &'static str {
        "x86_64-linux"
    }

    fn message(&self, level: Level, text: &BStr) {
        let message = (level, text.to_owned());
        self.state.borrow_mut().messages.push(message);
    }

    fn search_path(&self) -> Vec<SearchEntry> {
        self.search_path.clone()
    }

    fn search_entry(&self, path: &BStr) -> IoResult<Option<PathBuf>> {
        let path = path_of(path).to_owned();
        Ok(self.files.contains_key(&path).then_some(path))
    }

    fn home(&self) -> IoResult<PathBuf> {
        Ok("/home/user".into())
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> IoResult<StorePath> {
        let path = StorePath::text(name, Sha256::of(text), references).map_err(IoFailure::other)?;
        self.state.borrow_mut().valid.insert(path.clone());
        Ok(path)
    }

    fn add_path(
        &self,
        source: &Source<'_>,
        mut filter: Option<&mut Filter<'_>>,
    ) -> IoResult<StorePath> {
        let hash = match source.method {
            Method::Flat => Sha256::of(&self.read_file(source.path)?),
            Method::Recursive => {
                let mut archive = Vec::new();
                string(&mut archive, b"nix-archive-1");
                self.archive(source.path, &mut filter, &mut archive)?;
                Sha256::of(&archive)
            }
        };
        if let Some(expected) = source.expected.filter(|expected| *expected != hash) {
            return Err(IoFailure::other(format_args!(
                "'{}' has the hash {}, expected was {}",
                source.path.display(),
                hash.to_sri(),
                expected.to_sri()
            )));
        }
        let fixed = FixedOutput::sha256(source.method, hash);
        let path = fixed.store_path(source.name).map_err(IoFailure::other)?;
        self.state.borrow_mut().valid.insert(path.clone());
        Ok(path)
    }

    fn add_derivation(&self, path: &StorePath, derivation: &Derivation) -> IoResult<()> {
        let state = &mut *self.state.borrow_mut();
        state.valid.insert(path.clone());
        state.derivations.insert(path.clone(), derivation.clone());
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> IoResult<Derivation> {
        let state = self.state.borrow();
        state.derivations.get(path).cloned().ok_or_else(|| {
            IoFailure::not_found(format_args!(
                "cannot read derivation '{path}': there is none"
            ))
        })
    }

    fn is_valid(&self, path: &StorePath) -> IoResult<bool> {
        Ok(self.state.borrow().valid.contains(path))
    }

    fn ensure(&self, _: &StorePath) -> IoResult<()> {
        Ok(())
    }

    fn closure(&self, path: &StorePath) -> IoResult<Vec<StorePath>> {
        let state = self.state.borrow();
        let mut seen = BTreeSet::new();
        let mut open = vec![path.clone()];
        while let Some(next) = open.pop() {
            if seen.insert(next.clone())
                && let Some(derivation) = state.derivations.get(&next)
            {
                open.extend(derivation.references());
            }
        }
        Ok(seen.into_iter().collect())
    }

    fn realise(&self, wanted: &[(StorePath, String)]) -> IoResult<()> {
        let names: Vec<String> = wanted.iter().map(|(path, _)| path.to_string()).collect();
        Err(IoFailure::unsupported(format_args!(
            "cannot build {}: nothing is built in this evaluation",
            names.join(", ")
        )))
    }

    fn fetch(&self, fetch: &Fetch<'_>) -> IoResult<StorePath> {
        Err(IoFailure::unsupported(format_args!(
            "cannot fetch '{}': there is no network in this evaluation",
            fetch.url
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{FailureKind, FilterStopped};
    use std::ffi::OsStr;

    fn source(path: &Path) -> Source<'_> {
        Source {
            name: "tree",
            path,
            method: Method::Recursive,
            expected: None,
        }
    }

    #[test]
    fn a_filtered_tree_has_the_name_of_the_smaller_one() {
        let large = MemoryIo::new()
            .with_file("/tree/file", "x\n")
            .with_file("/tree/rest/file", "y");
        let small = MemoryIo::new().with_file("/tree/file", "x\n");
        let path = Path::new("/tree");
        let mut filter =
            |inner: &Path, _: FileType| Ok(inner.file_name() != Some(OsStr::new("rest")));
        let filtered = large.add_path(&source(path), Some(&mut filter)).unwrap();
        assert_eq!(Ok(filtered), small.add_path(&source(path), None));
    }

    #[test]
    fn a_filter_that_fails_ends_the_copy() {
        let io = MemoryIo::new().with_file("/tree/file", "x\n");
        let mut filter = |_: &Path, _: FileType| Err(FilterStopped);
        let failure = io.add_path(&source(Path::new("/tree")), Some(&mut filter));
        assert_eq!(failure.unwrap_err().kind, FailureKind::Stopped);
    }
}
