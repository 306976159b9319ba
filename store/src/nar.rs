//! The Nix archive: the one serialisation of a file tree, so that a tree has one hash.
//!
//! Strings are an 8-byte little-endian length, the bytes, and zeros up to a multiple of 8:
//!
//! ```text
//! archive   = "nix-archive-1" node
//! node      = "(" "type" ( "regular" [ "executable" "" ] "contents" <bytes>
//!                        | "symlink" "target" <bytes>
//!                        | "directory" { "entry" "(" "name" <bytes> "node" node ")" } ) ")"
//! ```
//!
//! Entries are sorted by bytes. Owners, times and all mode bits but the owner's executable one are
//! left out. Source: the Nix manual, "Nix Archive (NAR) format".

mod unpack;
mod write;

use std::path::PathBuf;

pub use unpack::unpack;
pub use write::{Keep, hash, hash_kept, write};
pub(crate) use write::{sorted_names, special_kind};

use crate::error::IoError;

pub(crate) const MAGIC: &[u8] = b"nix-archive-1";

/// How deep folders may be nested in an archive: each level takes some kilobytes of the stack, and
/// a thread may have as little as 2 MiB.
pub const MAX_DEPTH: usize = 256;

/// Why an archive could not be written or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// A file of the tree could not be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The archive's stream failed.
    #[error("cannot {verb} archive of {}: {source}", path.display())]
    Stream {
        /// `read` or `write`.
        verb: &'static str,
        /// The tree.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The tree has something that is neither file, folder nor symbolic link.
    #[error("cannot archive {}: it is a {kind}; only files, folders and symbolic links can be", path.display())]
    Special {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A file grew or shrank while it was read.
    #[error("cannot archive {}: its size changed while it was read", .0.display())]
    Changed(PathBuf),
    /// Folders are nested too deeply.
    #[error("cannot archive {}: more than {MAX_DEPTH} folders are nested", .0.display())]
    Deep(PathBuf),
    /// The archive breaks the format.
    #[error("cannot unpack archive to {}: {what} at byte {offset}", path.display())]
    Format {
        /// Where it was to be unpacked.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// Where in the archive.
        offset: u64,
    },
}
