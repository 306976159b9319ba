//! What standard error is: whether a line there can be drawn over and over.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::os::linux::fs::MetadataExt as _;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// A terminal that somebody looks at: a pseudo-terminal, or a virtual console.
    Screen,
    /// A serial port, a hypervisor's console, or what is no terminal that is known: slow, or kept as a log, in
    /// which each drawing stays.
    Line,
    /// No terminal.
    None,
}

impl Terminal {
    /// What standard error is.
    #[must_use]
    pub fn of_errors() -> Self {
        let errors = std::io::stderr();
        if !errors.is_terminal() {
            return Self::None;
        }
        let file = errors.as_fd().try_clone_to_owned().map(File::from);
        match file.and_then(|file| file.metadata()) {
            Ok(metadata) => Self::with_number(metadata.st_rdev()),
            Err(_) => Self::Line,
        }
    }

    /// The terminal with this device number, as Linux's `devices.txt` has them.
    fn with_number(number: u64) -> Self {
        let major = number >> 8 & 0xfff;
        let minor = number & 0xff | number >> 12 & 0xf_ff00;
        match (major, minor) {
            (4, 0..64) | (136..=143, _) => Self::Screen,
            _ => Self::Line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_and_lines() {
        let of = |major: u64, minor: u64| Terminal::with_number(major << 8 | minor);
        for (major, minor, what) in [
            (4, 1, Terminal::Screen),
            (4, 64, Terminal::Line),
            (5, 1, Terminal::Line),
            (136, 0, Terminal::Screen),
            (229, 0, Terminal::Line),
            (204, 64, Terminal::Line),
        ] {
            assert_eq!(of(major, minor), what, "{major}:{minor}");
        }
        // Number 300 of the pseudo-terminals.
        assert_eq!(Terminal::with_number(0x0010_882c), Terminal::Screen);
    }
}
