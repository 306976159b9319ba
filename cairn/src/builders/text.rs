//! `builtin:text`: one file of the given text, which may name other objects.

use cairn_store::Job;

use super::{BuildResult, make_directory, make_executable, write_file};

/// `text` becomes the output itself, or the file `destination` below it; with `executable`, a
/// program.
pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let mut file = job.output().to_owned();
    if let Ok(destination) = job.env("destination") {
        let parts = destination.split('/').filter(|part| !part.is_empty());
        for part in parts {
            if matches!(part, "." | "..") {
                return Err(
                    format!("the destination '{destination}' is not below the output").into(),
                );
            }
            make_directory(&file)?;
            file.push(part);
        }
    }
    write_file(&file, job.env("text")?)?;
    if job.env("executable").is_ok() {
        make_executable(&file)?;
    }
    Ok(())
}
