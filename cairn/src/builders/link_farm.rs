//! `builtin:link-farm`: links at given places below one folder.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use cairn_store::Job;

use super::{BuildResult, make_directory, make_link};

/// `entries` is a JSON object: place of a link, what it points to.
pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let entries: BTreeMap<String, String> = serde_json::from_str(job.env("entries")?)?;
    make_directory(job.output())?;
    for (place, target) in entries {
        let path = Path::new(&place);
        let plain = |part| matches!(part, Component::Normal(_));
        if place.is_empty() || !path.components().all(plain) {
            return Err(format!("the place '{place}' is not below the output").into());
        }
        let link = job.output().join(path);
        if let Some(folder) = link.parent() {
            make_directory(folder)?;
        }
        make_link(target, &link)?;
    }
    Ok(())
}
