//! Whether somebody at the terminal agrees to what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context, Result, ensure};

/// Whether somebody types `word`, asked to do so to `purpose`; who does not is told `otherwise`.
///
/// # Errors
/// Nobody can be asked, as there is no terminal.
pub fn agreed(word: &str, purpose: &str, otherwise: &str) -> Result<bool> {
    ensure!(
        io::stdin().is_terminal(),
        "nobody can be asked whether this is right: say --yes; {otherwise}"
    );
    eprint!("Type {word} to {purpose}: ");
    io::stderr()
        .flush()
        .context("cannot write to the terminal")?;
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read from the terminal")?;
    let agreed = line.trim() == word;
    if !agreed {
        eprintln!("cairn: {otherwise}");
    }
    Ok(agreed)
}
