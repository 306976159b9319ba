//! What an evaluation asked the machine, and what it was told: as long as the machine says the same, the
//! evaluation gives the same.
//!
//! A [`Recorder`](super::Recorder) notes each question with a digest of its answer; [`Record::holds`] asks the same questions again, through the same door. Files are compared by their
//! content, folders by their entries, never by times. What the evaluation has put into the store has to
//! be there still.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use blake3::Hasher;
use bstr::BString;
use cairn_evaluator::io::{FileType, FilterStopped, Io, IoFailure, IoResult, SearchEntry, Source};
use cairn_store_path::{Method, StorePath};
use serde::{Deserialize, Serialize};

/// One thing that an evaluation wants to know of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Question {
    /// The bytes of a file.
    File(String),
    /// What is at a path.
    Kind(String),
    /// Where a link points.
    Link(String),
    /// The names in a folder.
    Folder(String),
    /// A variable of the environment.
    Variable(String),
    /// The time: no answer to it stays the same.
    Time,
    /// The entries of the search path.
    SearchPath,
    /// What an entry of it names.
    SearchEntry(String),
    /// The home folder.
    Home,
    /// Whether an object is in the store.
    Valid(String),
    /// What an object refers to, directly or not.
    Closure(String),
    /// The object that a file or tree is.
    Tree(Tree),
}

/// A file or tree that was copied into the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tree {
    pub(super) path: String,
    pub(super) name: String,
    /// Named by its bytes, not by its archive.
    pub(super) flat: bool,
    /// What the filter said of each entry: the word for what it is, and whether it was taken.
    pub(super) chosen: Option<BTreeMap<String, (String, bool)>>,
}

/// The digest of an answer, in base 16.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answer(String);

/// All that an evaluation asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    pub(super) answers: Vec<(Question, Answer)>,
    /// What it has put into the store, or taken from it: without these its result is of no use.
    pub(super) objects: BTreeSet<String>,
}

impl Record {
    /// Whether `io` gives the same answers today.
    #[must_use]
    pub fn holds(&self, io: &dyn Io) -> bool {
        let changed = self
            .answers
            .iter()
            .find(|(question, answer)| question.ask(io).as_ref() != Some(answer));
        if let Some((question, _)) = changed {
            log::info!("evaluating anew: the answer to {question:?} is another one");
        }
        changed.is_none()
    }

    /// The objects that have to be in the store; `None` if the record is damaged.
    #[must_use]
    pub fn objects(&self) -> Option<Vec<StorePath>> {
        self.objects.iter().map(|path| path.parse().ok()).collect()
    }
}

impl Question {
    /// The answer that `io` gives; `None` if the question is damaged.
    fn ask(&self, io: &dyn Io) -> Option<Answer> {
        Some(match self {
            Self::File(path) => Answer::file(&io.read_file(Path::new(path))),
            Self::Kind(path) => Answer::kind(&io.file_type(Path::new(path))),
            Self::Link(path) => Answer::path(&io.read_link(Path::new(path))),
            Self::Folder(path) => Answer::folder(&io.read_dir(Path::new(path))),
            Self::Variable(name) => Answer::variable(io.env_var(name.as_str().into()).as_ref()),
            Self::Time => Answer::time(io.current_time()),
            Self::SearchPath => Answer::search_path(&io.search_path()),
            Self::SearchEntry(path) => Answer::entry(&io.search_entry(path.as_str().into())),
            Self::Home => Answer::path(&io.home()),
            Self::Valid(path) => Answer::valid(&io.is_valid(&path.parse().ok()?)),
            Self::Closure(path) => Answer::objects(&io.closure(&path.parse().ok()?)),
            Self::Tree(tree) => Answer::object(&tree.ask(io)),
        })
    }
}

impl Tree {
    fn ask(&self, io: &dyn Io) -> IoResult<StorePath> {
        let source = Source {
            name: &self.name,
            path: Path::new(&self.path),
            method: if self.flat {
                Method::Flat
            } else {
                Method::Recursive
            },
            expected: None,
        };
        let Some(chosen) = &self.chosen else {
            return io.add_path(&source, None);
        };
        // What the filter has not seen it has not decided.
        let mut decide = |path: &Path, kind: FileType| {
            let known = path.to_str().and_then(|path| chosen.get(path));
            let known = known.filter(|(word, _)| word == kind.name());
            known.map(|(_, taken)| *taken).ok_or(FilterStopped)
        };
        io.add_path(&source, Some(&mut decide))
    }
}

impl Answer {
    fn new<T>(answer: &IoResult<T>, write: impl FnOnce(&mut Hasher, &T)) -> Self {
        let mut hasher = Hasher::new_derive_key("cairn 2026-11 answer to an evaluation");
        match answer {
            Ok(answer) => {
                hasher.update(b"=");
                write(&mut hasher, answer);
            }
            Err(IoFailure { kind, message }) => {
                put(&mut hasher, format!("{kind:?}").as_bytes());
                put(&mut hasher, message.as_bytes());
            }
        }
        Self(hasher.finalize().to_hex().to_string())
    }

    pub(super) fn file(answer: &IoResult<Vec<u8>>) -> Self {
        Self::new(answer, |hasher, bytes| put(hasher, bytes))
    }

    pub(super) fn kind(answer: &IoResult<Option<FileType>>) -> Self {
        Self::new(answer, |hasher, kind| {
            put(hasher, kind.map_or("", FileType::name).as_bytes());
        })
    }

    pub(super) fn path(answer: &IoResult<PathBuf>) -> Self {
        Self::new(answer, |hasher, path| {
            put(hasher, path.as_os_str().as_encoded_bytes());
        })
    }

    /// In any order, as it is told.
    pub(super) fn folder(answer: &IoResult<Vec<(BString, FileType)>>) -> Self {
        Self::new(answer, |hasher, entries| {
            let entries: BTreeMap<_, _> = entries.iter().map(|(name, kind)| (name, kind)).collect();
            for (name, kind) in entries {
                put(hasher, name);
                put(hasher, kind.name().as_bytes());
            }
        })
    }

    pub(super) fn variable(answer: Option<&BString>) -> Self {
        Self::new(&Ok(answer), |hasher, value| {
            if let Some(value) = value {
                put(hasher, value);
            }
        })
    }

    pub(super) fn time(answer: i64) -> Self {
        Self::new(&Ok(answer), |hasher, time| put(hasher, &time.to_le_bytes()))
    }

    pub(super) fn search_path(answer: &[SearchEntry]) -> Self {
        Self::new(&Ok(answer), |hasher, entries| {
            for SearchEntry { prefix, path } in *entries {
                put(hasher, prefix);
                put(hasher, path);
            }
        })
    }

    pub(super) fn entry(answer: &IoResult<Option<PathBuf>>) -> Self {
        Self::new(answer, |hasher, path| {
            if let Some(path) = path {
                put(hasher, path.as_os_str().as_encoded_bytes());
            }
        })
    }

    pub(super) fn valid(answer: &IoResult<bool>) -> Self {
        Self::new(answer, |hasher, valid| put(hasher, &[u8::from(*valid)]))
    }

    pub(super) fn object(answer: &IoResult<StorePath>) -> Self {
        Self::new(answer, |hasher, path| {
            put(hasher, path.to_string().as_bytes());
        })
    }

    pub(super) fn objects(answer: &IoResult<Vec<StorePath>>) -> Self {
        Self::new(answer, |hasher, paths| {
            let paths: BTreeSet<_> = paths.iter().map(ToString::to_string).collect();
            for path in paths {
                put(hasher, path.as_bytes());
            }
        })
    }
}

/// Its length stands before each part: no two lists of parts have the same bytes.
fn put(hasher: &mut Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}
