//! Embeds `modules/` into the command: a list of its files, in order, with their bytes.
//!
//! Tests of the modules stay outside: they change nothing for who uses the modules.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folders that are not embedded.
const LEFT_OUT: [&str; 1] = ["tests"];

fn main() -> io::Result<()> {
    let variable = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| io::Error::other(format!("cargo has not set {name}")))
    };
    let modules = variable("CARGO_MANIFEST_DIR")?.join("../modules");
    let modules = fs::canonicalize(modules)?;
    let mut files = Vec::new();
    collect(&modules, &modules, &mut files)?;
    files.sort();
    let mut code = String::from("&[\n");
    for (name, path) in files {
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").map_err(io::Error::other)?;
    }
    code.push_str("]\n");
    fs::write(variable("OUT_DIR")?.join("modules.rs"), code)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                collect(root, &path, files)?;
            }
            continue;
        }
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| {
                io::Error::other(format!("the name of '{}' is not UTF-8", path.display()))
            })
        };
        let below = path.strip_prefix(root).map_err(io::Error::other)?;
        files.push((text(below)?, text(&path)?));
    }
    Ok(())
}
