//! Programs that are given something on their standard input, secrets among it, and give something back.

use std::env;
use std::ffi::OsStr;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

/// Where programs of the superuser are. Who has become it by a plain `su` has them not in `PATH`.
const SUPERUSERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The program `name`, be it one of `PATH` or of the superuser's.
#[must_use]
pub fn command(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| name.into()))
}

/// Where the program `name` is, if it is there.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(name, &env::var_os("PATH").unwrap_or_default())
}

fn find_in(name: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = env::split_paths(path).chain(SUPERUSERS.map(PathBuf::from));
    let mut places = folders.map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

/// Runs a program to its end, with `input` on its standard input.
///
/// # Errors
/// It cannot be run: `missing` says what has the program of this name.
pub fn run(
    command: &mut Command,
    input: &[u8],
    missing: impl Fn(&str) -> String,
) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| missing(&name))?;
    if let Some(mut pipe) = child.stdin.take()
        && let Err(error) = pipe.write_all(input)
        && error.kind() != ErrorKind::BrokenPipe
    {
        return Err(error).with_context(|| format!("cannot write to {name}"));
    }
    child
        .wait_with_output()
        .with_context(|| format!("cannot wait for {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `su` of Debian leaves `PATH` as it is.
    #[test]
    fn programs_of_the_superuser_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().as_os_str();
        let blkid = find_in("blkid", path).expect("blkid is missing: apt-get install util-linux");
        assert!(blkid.parent().unwrap().ends_with("sbin"));
        std::fs::write(folder.path().join("blkid"), "").unwrap();
        assert_eq!(find_in("blkid", path), Some(folder.path().join("blkid")));
        assert_eq!(find_in("no-such-program", path), None);
        assert_eq!(command("no-such-program").get_program(), "no-such-program");
    }
}
