//! How long each part of the boot took, noted for people: a line a part in a file of `/run`.
//!
//! Each part notes itself at its end, so that nobody has to remember anything across executions.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use cairn_system::control::STAGE_TIMES;

use crate::clock::{Ms, now};

/// Notes that `stage` ends now and began at `began`. That it cannot be is no obstacle.
pub fn note(stage: &str, began: Ms) {
    if let Err(error) = append(Path::new(STAGE_TIMES), stage, began, now()) {
        log::warn!("cannot note in {STAGE_TIMES} how long {stage} took: {error}");
    }
}

/// Another user space begins: the parts are its own.
pub fn forget() {
    match fs::remove_file(STAGE_TIMES) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot remove {STAGE_TIMES}: {error}");
        }
        _ => {}
    }
}

/// When the part that was noted last has ended.
pub fn last_end() -> Option<Ms> {
    let text = fs::read_to_string(STAGE_TIMES).ok()?;
    text.lines().last()?.rsplit(' ').next()?.parse().ok()
}

fn append(file: &Path, stage: &str, began: Ms, ended: Ms) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let line = format!("{stage} {began} {ended}\n");
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cairn/stages");
        append(&file, "stage-1", 12, 900).unwrap();
        append(&file, "stage-2", 901, 1500).unwrap();
        let text = fs::read_to_string(file).unwrap();
        assert_eq!(text, "stage-1 12 900\nstage-2 901 1500\n");
    }
}
