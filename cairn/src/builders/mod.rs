//! The builders inside this program: what a derivation's `builtin:` builder name stands for.
//!
//! Each has a format version that goes into its derivations, so that a builder whose output
//! changes for the same inputs gives new store paths instead of silently different contents.

mod ca_bundle;
mod closure;
mod copies;
mod debian_import;
mod etc;
mod fetch_deb;
mod fetch_url;
mod firmware;
mod initrd;
mod kernel_modules;
mod link_farm;
mod link_tree;
pub(crate) mod password_hash;
mod profile;
mod program_files;
mod text;
mod toplevel;
mod udev_rules;

use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_debian::{Fetcher, Lock};
use cairn_store::{Build, Builders, Job};

type BuildResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Name and format version of each builder.
const FORMATS: [(&str, u32); 16] = [
    ("builtin:fetch-deb", 1),
    (
        "builtin:debian-import",
        cairn_debian::import::FORMAT_VERSION,
    ),
    ("builtin:password-hash", 1),
    ("builtin:profile", 2),
    ("builtin:link-tree", 1),
    ("builtin:link-farm", 1),
    ("builtin:text", 1),
    ("builtin:closure", 1),
    ("builtin:copies", 1),
    ("builtin:etc", 1),
    ("builtin:ca-bundle", 1),
    ("builtin:kernel-modules", 2),
    ("builtin:firmware", 2),
    ("builtin:initrd", 4),
    ("builtin:toplevel", 4),
    ("builtin:udev-rules", 1),
];

/// The format version of `builder`, if there is such a one.
#[must_use]
pub fn format_version(builder: &str) -> Option<u32> {
    FORMATS
        .iter()
        .find(|(name, _)| *name == builder)
        .map(|&(_, version)| version)
}

/// The name and format version of each builder.
pub fn format_versions() -> impl Iterator<Item = (&'static str, u32)> {
    FORMATS.into_iter()
}

/// All builders; packages of `lock` come through `fetcher`, which knows the mirrors and the cache.
#[must_use]
pub fn builders(fetcher: Fetcher, lock: Lock) -> Builders {
    let mut builders = Builders::new();
    let fetcher = Arc::new(fetcher);
    let urls = fetch_url::FetchUrl {
        fetcher: Arc::clone(&fetcher),
    };
    builders.insert("builtin:fetchurl", urls);
    builders.insert("builtin:fetch-deb", fetch_deb::FetchDeb { fetcher, lock });
    builders.insert("builtin:debian-import", Simple(debian_import::build));
    builders.insert("builtin:password-hash", Simple(password_hash::build));
    builders.insert("builtin:profile", Simple(profile::build));
    builders.insert("builtin:link-tree", Simple(link_tree::build));
    builders.insert("builtin:link-farm", Simple(link_farm::build));
    builders.insert("builtin:text", Simple(text::build));
    builders.insert("builtin:closure", Simple(closure::build));
    builders.insert("builtin:copies", Simple(copies::build));
    builders.insert("builtin:etc", Simple(etc::build));
    builders.insert("builtin:ca-bundle", Simple(ca_bundle::build));
    builders.insert("builtin:kernel-modules", Simple(kernel_modules::build));
    builders.insert("builtin:firmware", Simple(firmware::build));
    builders.insert("builtin:initrd", Simple(initrd::build));
    builders.insert("builtin:toplevel", Simple(toplevel::build));
    builders.insert("builtin:udev-rules", Simple(udev_rules::build));
    builders
}

/// A builder without state of its own.
struct Simple(fn(&Job<'_>) -> BuildResult);

impl Build for Simple {
    fn build(&self, job: &Job<'_>) -> BuildResult {
        (self.0)(job)
    }
}

/// A file operation's error, with the path in front.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("'{}': {error}", path.display()))
}

fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path).map_err(at(path))
}

fn write_file(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, content).map_err(at(path))
}

/// The store makes the mode canonical: that it may be executed is what counts.
fn make_executable(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(at(path))
}

fn make_link(target: impl AsRef<Path>, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path).map_err(at(path))
}

/// Whether there is something at `path`, be it a link whose target has another place for now.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The names in a directory, sorted; an absent directory has none.
fn sorted_names(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at(path))?,
    };
    let mut names = entries
        .map(|entry| {
            entry
                .map(|entry| PathBuf::from(entry.file_name()))
                .map_err(at(path))
        })
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
