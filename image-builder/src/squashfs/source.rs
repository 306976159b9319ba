//! Where pieces come from: the cache for objects that it knows, else the files themselves.

use std::path::Path;

use crate::file_system::FileSystemError;
use crate::manifest::ContentHash;

use super::Options;
use super::cache::{self, Cache};
use super::memory::{Memory, Recorder, Shape};
use super::packer::{Digest, Packed, Packer};
use super::pieces::{Group, Pieces};
use super::tree::Tree;

/// The cache's part in one image.
pub(super) struct Source<'a> {
    cache: Option<&'a Cache>,
    pieces: &'a Pieces<'a>,
    groups: Vec<State>,
}

/// What the cache has to do with a group.
enum State {
    /// Nothing: its content has no hash.
    Apart,
    /// It knows it.
    Known(Memory),
    /// It is to know it.
    New { key: Digest, shapes: Vec<Shape> },
}

impl<'a> Source<'a> {
    pub fn new(
        tree: &Tree<'_>,
        pieces: &'a Pieces<'a>,
        options: &Options,
        cache: Option<&'a Cache>,
    ) -> Self {
        let state = |group: &Group<'_>| match (cache, group.object) {
            (Some(cache), Some((root, Some(content)))) => {
                Self::ask(tree, pieces, group, (root, content), options, cache)
            }
            _ => State::Apart,
        };
        Self {
            cache,
            pieces,
            groups: pieces.groups.iter().map(state).collect(),
        }
    }

    fn ask(
        tree: &Tree<'_>,
        pieces: &Pieces<'_>,
        group: &Group<'_>,
        object: (&Path, &ContentHash),
        options: &Options,
        cache: &Cache,
    ) -> State {
        let key = cache::key(tree, pieces, group, object, options);
        let block_size = options.block_size.get();
        let shapes: Vec<Shape> = pieces
            .of(group)
            .iter()
            .map(|piece| pieces.shape(tree, piece, block_size))
            .collect();
        match cache.recall(&key, &shapes) {
            Some(memory) => State::Known(memory),
            None => State::New { key, shapes },
        }
    }

    /// The piece `number`, by whichever way; what the cache knows is to be `shared` with it.
    pub fn make(
        &self,
        packer: &mut Packer<'_>,
        number: usize,
        shared: bool,
    ) -> Result<Packed, FileSystemError> {
        let group = self.pieces.group_of(number);
        let state = group.and_then(|(group, _)| self.groups.get(group));
        if let (Some(State::Known(memory)), Some((_, number))) = (state, group) {
            let known = if shared {
                memory.piece_to_share(number, packer.scratch())
            } else {
                memory.piece(number, packer.buffers())
            };
            if let Some(packed) = known {
                return Ok(packed);
            }
        }
        match self.pieces.list.get(number) {
            Some(piece) => packer.pack(piece),
            None => Ok(Packed::default()),
        }
    }

    /// Removes what was found damaged, and what is too much.
    pub fn tidy(&self) {
        let Some(cache) = self.cache else {
            return;
        };
        for state in &self.groups {
            if let State::Known(memory) = state
                && memory.is_spoiled()
                && let Err(error) = cache::remove(memory.path())
            {
                log::warn!("cannot remove '{}': {error}", memory.path().display());
            }
        }
        if let Err(error) = cache.prune() {
            log::warn!("cannot bound the cache of compressed data: {error}");
        }
    }
}

/// What is to be in the cache, as it goes by in order.
#[derive(Default)]
pub(super) struct Recording {
    open: Option<Recorder>,
    /// Whether the cache could not be written: the image does not need it.
    failed: bool,
}

impl Recording {
    /// Records the piece `number` where that is wanted.
    pub fn take(&mut self, source: &Source<'_>, number: usize, packed: &Packed) {
        let group = source.pieces.group_of(number);
        let state = group.and_then(|(group, _)| source.groups.get(group));
        let (Some(cache), Some((_, in_group)), Some(State::New { key, shapes }), false) =
            (source.cache, group, state, self.failed)
        else {
            return;
        };
        let recorder = match self.open.take() {
            Some(recorder) if in_group > 0 => Ok(recorder),
            _ => cache.record(key, shapes),
        };
        match recorder.and_then(|recorder| recorder.add(packed)) {
            Ok(open) => self.open = open,
            Err(error) => {
                self.failed = true;
                log::warn!(
                    "cannot write to the cache of compressed data, go on without it: {error}"
                );
            }
        }
    }
}
