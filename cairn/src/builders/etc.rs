//! `builtin:etc`: the tree behind `/etc/static`: a link to its source for every entry.

use cairn_store::Job;
use cairn_system::EtcEntry;

use super::{BuildResult, is_there, make_directory, make_link};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let entries: Vec<EtcEntry> = serde_json::from_str(job.env("entries")?)?;
    let tree = job.output().join("etc");
    make_directory(&tree)?;
    for entry in entries {
        if entry.source.starts_with("/nix/store/") && !is_there(&job.real(&entry.source)?) {
            return Err(format!(
                "environment.etc.\"{}\".source: '{}' does not exist",
                entry.target, entry.source
            )
            .into());
        }
        let link = tree.join(&entry.target);
        if let Some(parent) = link.parent() {
            make_directory(parent)?;
        }
        make_link(&entry.source, &link)?;
    }
    Ok(())
}
