//! The content-addressed store: names, archive format, database, builds, roots.
//!
//! A store has a root folder: objects lie below `ROOT/nix/store`, the state below
//! `ROOT/nix/var/nix`, as `nix --store ROOT` has it, and real `nix` can use the same store. Names
//! inside of objects always begin with `/nix/store`.
//!
//! Invariants:
//! - An object is registered in the database only after its files are on the disk and under their
//!   final name; what is not registered does not exist, and is removed when it is in the way.
//! - A registered object never changes: modification times are 1, modes 0444 or 0555.
//! - Nothing here needs root, and a store made by root has the same bytes.

#![forbid(unsafe_code)]

/// Platform of the machines that derivations are built on.
pub const SYSTEM: &str = "x86_64-linux";

mod add;
mod build;
mod canonical;
mod closure;
mod collect;
mod copy;
mod database;
mod error;
mod export;
mod image_database;
mod info;
mod job;
mod lock;
pub mod nar;
pub mod profile;
mod program;
mod publish;
mod realise;
mod references;
mod reserve;
mod roots;
mod sandbox;
mod schedule;
mod space;
mod store;
mod temp_roots;
mod tree;
mod verify;
mod workspace;
mod writable;

pub use add::{Text, hash_source};
pub use collect::{Garbage, Removal};
pub use copy::Offer;
pub use error::{IoError, StoreError};
pub use image_database::write_database;
pub use info::PathInfo;
pub use job::{Build, BuildError, Builders, Job, JobError};
pub use profile::{Generation, ProfileError};
pub use program::{Limits, ProgramError, log_file};
pub use realise::{Event, Observer, Quiet, RealiseError, Realised};
pub use references::ReferenceScanner;
pub use reserve::free_reserve;
pub use sandbox::{Access, Network, Sandbox, SandboxError, Stdio};
pub use space::{Need, Space};
pub use store::{Held, Store};
pub use verify::{Damage, DamageKind};
