//! Arrays of software RAID, assembled by Debian's `mdadm` as their members come.
//!
//! `mdadm --incremental` gives a member to its array, and starts it when it has them all. Which arrays
//! are meant is in `/etc/mdadm/mdadm.conf` of the initrd.

use std::fs;
use std::path::Path;

use super::super::tool::Tool;

const PROGRAM: &str = "/bin/mdadm";
const BLOCKS: &str = "/sys/class/block";

/// Gives a member to its array.
pub fn add(name: &str) {
    run(
        &["--incremental", &format!("/dev/{name}")],
        &format!("the array that {name} is a member of"),
    );
}

/// Starts the arrays that have enough members to work, but not all; whether there are some.
pub fn start_incomplete() -> bool {
    let arrays = incomplete();
    if arrays.is_empty() {
        return false;
    }
    log::warn!(
        "not all members of {} have come: starting without them",
        arrays.join(", ")
    );
    run(
        &["--incremental", "--run", "--scan"],
        "the start of arrays without all of their members",
    );
    true
}

/// The arrays that have some members, and are not started.
pub fn incomplete() -> Vec<String> {
    incomplete_in(Path::new(BLOCKS))
}

fn incomplete_in(blocks: &Path) -> Vec<String> {
    let Ok(listing) = fs::read_dir(blocks) else {
        return Vec::new(); // no block device at all
    };
    let mut names: Vec<String> = listing
        .flatten()
        .filter(|entry| {
            let state = fs::read_to_string(entry.path().join("md/array_state"));
            state.is_ok_and(|state| state.trim_end() == "inactive")
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn run(arguments: &[&str], work: &str) {
    let tool = Tool {
        program: Path::new(PROGRAM),
        arguments,
        environment: &[("MDADM_NO_UDEV", "1")],
        work,
    };
    match tool.run(b"") {
        Ok(ended) if ended.status == 0 => {}
        Ok(ended) => log::warn!("{work}: mdadm ended with status {}", ended.status),
        Err(error) => log::error!("cannot run {PROGRAM}: {error}; check boot.swraid.enable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_incomplete_while_it_is_inactive() {
        let folder = tempfile::tempdir().unwrap();
        for (name, state) in [
            ("md1", "inactive\n"),
            ("md0", "clean\n"),
            ("md126", "inactive\n"),
        ] {
            let place = folder.path().join(name).join("md");
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("array_state"), state).unwrap();
        }
        fs::create_dir(folder.path().join("sda")).unwrap();
        assert_eq!(incomplete_in(folder.path()), ["md1", "md126"]);
        assert!(incomplete_in(Path::new("/nonexistent")).is_empty());
    }
}
