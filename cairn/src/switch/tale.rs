//! What a change says while it happens: to whoever asked for it, and to a log that stays.
//!
//! The terminal may go away in the middle, when the service that it came through is restarted; the
//! log has everything.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Where it is told.
#[derive(Debug)]
pub struct Tale {
    terminal: Option<io::Stderr>,
    log: Option<File>,
}

impl Tale {
    /// To standard error, and to a new file `log` if it can be made.
    #[must_use]
    pub fn new(log: &Path) -> Self {
        let folder = log.parent().unwrap_or_else(|| Path::new("/"));
        let log = fs::create_dir_all(folder)
            .and_then(|()| File::create(log))
            .inspect_err(|error| log::warn!("cannot write '{}': {error}", log.display()))
            .ok();
        Self {
            terminal: Some(io::stderr()),
            log,
        }
    }

    /// Tells one line.
    pub fn say(&mut self, line: &str) {
        if let Some(terminal) = &mut self.terminal
            && writeln!(terminal, "{line}").is_err()
        {
            // Whoever listened has gone. The log goes on.
            self.terminal = None;
        }
        self.note(line);
    }

    /// Tells one line to the log alone.
    pub fn note(&mut self, line: &str) {
        if let Some(log) = &mut self.log
            && let Err(error) = writeln!(log, "{line}")
        {
            self.log = None;
            log::warn!("the log of this change ends here: {error}");
        }
    }
}
