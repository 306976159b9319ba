//! `builtin:ca-bundle`: all certificates of a folder in one PEM file, as
//! `update-ca-certificates` would make it: but for those whose files `blocked` names, one a line,
//! and with the PEM text `extra` at the end.

use std::fs;
use std::path::{Path, PathBuf};

use cairn_store::Job;

use super::{BuildResult, at, make_directory, sorted_names, write_file};

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let folder = job.real(job.env("certificates")?)?;
    let mut certificates = Vec::new();
    collect(&folder, &mut certificates)?;
    let blocked: Vec<&str> = job.env_if_set("blocked")?.unwrap_or("").lines().collect();
    for name in &blocked {
        if !certificates.iter().any(|path| path.ends_with(name)) {
            return Err(format!(
                "security.pki.caCertificateBlacklist: there is no certificate '{name}'"
            )
            .into());
        }
    }
    certificates.retain(|path| !blocked.iter().any(|name| path.ends_with(name)));
    if certificates.is_empty() {
        return Err(format!("no .crt file in '{}'", folder.display()).into());
    }
    let mut bundle = String::new();
    for path in certificates {
        let pem = fs::read_to_string(&path).map_err(at(&path))?;
        bundle.push_str(pem.trim_end());
        bundle.push('\n');
    }
    if let Some(extra) = job.env_if_set("extra")? {
        let lines = extra.lines().map(str::trim).filter(|line| !line.is_empty());
        bundle.extend(lines.flat_map(|line| [line, "\n"]));
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
