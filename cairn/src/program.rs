//! Programs that are given something on their standard input, secrets among it, and give something back.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

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
