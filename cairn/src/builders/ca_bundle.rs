//! `builtin:ca-bundle`: all certificates of a folder in one PEM file, as
//! `update-ca-certificates` would make it.

use std::fs;
use std::path::{Path, PathBuf};

use cairn_store::Job;

use super::{BuildResult, at, make_directory, sorted_names, write_file};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let folder = job.real(job.env("certificates")?)?;
    let mut certificates = Vec::new();
    collect(&folder, &mut certificates)?;
    if certificates.is_empty() {
        return Err(format!("no .crt file in '{}'", folder.display()).into());
    }
    let mut bundle = String::new();
    for path in certificates {
        let pem = fs::read_to_string(&path).map_err(at(&path))?;
        bundle.push_str(pem.trim_end());
        bundle.push('\n');
    }
    make_directory(job.output())?;
    write_file(&job.output().join("ca-certificates.crt"), bundle)?;
    Ok(())
}

fn collect(folder: &Path, certificates: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for name in sorted_names(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            collect(&path, certificates)?;
        } else if path.extension().is_some_and(|extension| extension == "crt") {
            certificates.push(path);
        }
    }
    Ok(())
}
