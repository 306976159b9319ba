//! `builtin:profile`: several objects' trees as one tree of links, as `/run/current-system/sw`.

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
        let parts: Vec<_> = sources
            .iter()
            .filter_map(|source| source.directory(part))
            .collect();
        if parts.is_empty() {
            continue;
        }
        let target = job.output().join(part);
        if part == "lib" {
            make_directory(&target)?;
            for name in LINKED_IN_LIB {
                merge(
                    parts.iter().filter_map(|lib| lib.directory(name)),
                    &target.join(name),
                )?;
            }
        } else {
            make_directory(&target)?;
            merge_entries(&parts, &target)?;
        }
    }
    make_link("bin", &job.output().join("sbin"))?;
    Ok(())
}
