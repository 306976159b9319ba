//! `builtin:profile`: several objects' trees as one tree of links, as `/run/current-system/sw`.

use std::io;
use std::path::Path;

use cairn_store::Job;

use super::link_tree::{Source, merge, merge_entries};
use super::{BuildResult, make_directory, make_link};

/// What of an object is for its users; the rest is for itself.
const LINKED: [&str; 5] = ["bin", "etc", "lib", "libexec", "share"];

/// Below `lib`, only data that programs find through a variable; libraries are found by RUNPATH.
const LINKED_IN_LIB: [&str; 4] = ["locale", "terminfo", "modules-load.d", "udev"];

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let sources = Source::listed(job, "paths")?;
    make_directory(job.output())?;
    for part in LINKED {
        let parts = folders(job, &sources, part)?;
        if parts.is_empty() {
            continue;
        }
        let target = job.output().join(part);
        make_directory(&target)?;
        if part == "lib" {
            for name in LINKED_IN_LIB {
                merge(job, &folders(job, &parts, name)?, &target.join(name))?;
            }
        } else {
            merge_entries(job, &parts, &target)?;
        }
    }
    make_link("bin", &job.output().join("sbin"))?;
    Ok(())
}

/// The folders called `name` of all `sources` that have one.
fn folders(job: &Job<'_>, sources: &[Source], name: &str) -> io::Result<Vec<Source>> {
    let mut folders = Vec::new();
    for source in sources {
        folders.extend(source.below(job, Path::new(name))?);
    }
    Ok(folders)
}
