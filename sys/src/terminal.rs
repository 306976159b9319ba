//! A terminal that somebody types a secret on: nothing is shown, and each key is read as it comes.
//!
//! Source: termios(3).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};

/// A terminal without echo; it is as it was when this is dropped.
#[derive(Debug)]
pub struct SecretTerminal {
    file: File,
    before: Termios,
}

impl SecretTerminal {
    /// Opens a terminal; it becomes nobody's controlling one. What was typed before is dropped.
    ///
    /// # Errors
    /// It cannot be opened, or is no terminal.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)?;
        let before = termios::tcgetattr(&file)?;
        let mut quiet = before.clone();
        quiet
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG);
        for (index, value) in [
            (SpecialCharacterIndices::VMIN, 1),
            (SpecialCharacterIndices::VTIME, 0),
        ] {
            if let Some(place) = quiet.control_chars.get_mut(index as usize) {
                *place = value;
            }
        }
        termios::tcsetattr(&file, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { file, before })
    }

    /// What was typed, as much as fits; nothing if nothing was.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(count),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Shows a text. A terminal that takes nothing now does without.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        match self.file.write(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for SecretTerminal {
    fn drop(&mut self) {
        if let Err(error) = termios::tcsetattr(&self.file, SetArg::TCSADRAIN, &self.before) {
            log::debug!("a terminal stays without echo: {error}");
        }
    }
}

impl AsFd for SecretTerminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use std::os::fd::AsRawFd;

    #[test]
    fn nothing_is_shown_and_the_echo_comes_back() {
        let pty = openpty(None, None).unwrap();
        let mut master = File::from(pty.master);
        let path = format!("/proc/self/fd/{}", pty.slave.as_raw_fd());
        let echoes = || {
            termios::tcgetattr(&pty.slave)
                .unwrap()
                .local_flags
                .contains(LocalFlags::ECHO)
        };
        assert!(echoes());
        let mut terminal = SecretTerminal::open(Path::new(&path)).unwrap();
        assert!(!echoes());
        let mut buffer = [0; 16];
        assert_eq!(terminal.read(&mut buffer).unwrap(), 0);
        master.write_all(b"key\r").unwrap();
        let mut typed = Vec::new();
        while typed.len() < 4 {
            let count = terminal.read(&mut buffer).unwrap();
            typed.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(typed, b"key\n"); // the terminal's own translation
        terminal.write("done").unwrap();
        let count = master.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"done");
        drop(terminal);
        assert!(echoes());
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        assert!(SecretTerminal::open(Path::new("/dev/null")).is_err());
    }
}
