//! Programs that are given secrets, and give some.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

/// Runs a program to its end, with `input` on its standard input.
///
/// # Errors
/// It cannot be run; the message says what has it.
pub fn run(command: &mut Command, input: &[u8]) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    log::info!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("cannot run {name}; a system has it with boot.initrd.luks.devices.<name>.tpm2.enable")
        })?;
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
