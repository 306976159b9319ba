//! Problems of the boot that are no service's: in the log, on the console, and for the judge of a
//! trial in a file (`cairn_system::trial::PROBLEMS`).

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use cairn_sys::kmsg::{self, Priority};
use cairn_system::trial::PROBLEMS;

/// Tells and keeps a problem; the boot goes on.
pub fn note(text: &str) {
    kmsg::write(Priority::Error, &format!("cairn: {text}"));
    if let Err(error) = append(Path::new(PROBLEMS), text) {
        log::error!("cannot write to {PROBLEMS}: {error}");
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let line = text.replace('\n', " ") + "\n";
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cairn/boot-problems");
        append(&file, "activation failed,\nstatus 2").unwrap();
        append(&file, "/data is not mounted").unwrap();
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            "activation failed, status 2\n/data is not mounted\n"
        );
    }
}
