//! A passphrase, from whichever console somebody types it on. Nothing is shown but the question.
//!
//! The consoles are those of `console=` on the kernel's command line. Devices go on to come meanwhile:
//! the keyboard may be among them.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use cairn_sys::console::CONSOLE;
use cairn_sys::secret::{Secret, wipe};
use cairn_sys::terminal::SecretTerminal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::block::Blocks;
use super::super::hardware::Hardware;
use super::super::tool::Tool;

/// The keyboard's map, in the form of `loadkeys --bkeymap`; that of the US, the kernel's own, is not there.
const KEYMAP: &str = "/etc/keymap";
/// The consoles that the kernel writes to.
const ACTIVE: &str = "/sys/class/tty/console/active";

/// How a question ended.
#[derive(Debug)]
pub enum Answer {
    /// Somebody has typed this.
    Passphrase(Secret),
    /// It is not needed any more.
    Interrupted,
}

/// The consoles, while a secret is asked for.
#[derive(Debug)]
pub struct Consoles {
    all: Vec<Typing>,
}

/// A console, and what was typed there so far.
#[derive(Debug)]
struct Typing {
    terminal: SecretTerminal,
    line: Secret,
}

impl Consoles {
    /// Opens the machine's consoles.
    ///
    /// # Errors
    /// None can be opened: nobody can be asked.
    pub fn open() -> io::Result<Self> {
        load_keymap();
        let active = fs::read_to_string(ACTIVE).unwrap_or_default();
        let all: Vec<_> = paths(&active)
            .iter()
            .filter_map(|path| match SecretTerminal::open(path) {
                Ok(terminal) => Some(Typing {
                    terminal,
                    line: Secret::new(),
                }),
                Err(error) => {
                    log::info!("nobody is asked on {}: {error}", path.display());
                    None
                }
            })
            .collect();
        if all.is_empty() {
            return Err(io::Error::other(
                "no console can be typed on; check console= on the kernel's command line",
            ));
        }
        Ok(Self { all })
    }

    /// Shows a text on all of them.
    pub fn say(&mut self, text: &str) {
        self.all
            .retain_mut(|console| kept(&console.terminal.write(text)));
    }

    /// Asks until somebody has typed a line, or until `interrupted`, which is looked at again
    /// whenever a device has come.
    ///
    /// # Errors
    /// No console is left, or the kernel's events cannot be read.
    pub fn ask(
        &mut self,
        question: &str,
        hardware: &mut Hardware,
        interrupted: impl Fn(&Blocks) -> bool,
    ) -> io::Result<Answer> {
        self.say(question);
        loop {
            hardware.drain()?;
            if hardware.with_blocks(&interrupted) {
                self.say("\r\n");
                return Ok(Answer::Interrupted);
            }
            if self.all.is_empty() {
                return Err(io::Error::other("the last console is gone"));
            }
            self.sleep(hardware)?;
            if let Some(line) = self.read() {
                self.say("\r\n");
                return Ok(Answer::Passphrase(line));
            }
        }
    }

    /// Until somebody types or a device comes; a human is at work, so without a deadline.
    fn sleep(&self, hardware: &Hardware) -> io::Result<()> {
        let terminals = self.all.iter().map(|console| console.terminal.as_fd());
        let mut sources: Vec<_> = terminals
            .chain([hardware.events()])
            .map(|source| PollFd::new(source, PollFlags::POLLIN))
            .collect();
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what was typed: the first line that is complete. What others have begun is dropped.
    fn read(&mut self) -> Option<Secret> {
        let mut complete = None;
        self.all.retain_mut(|console| {
            let mut keys = [0; 64];
            let read = console.terminal.read(&mut keys);
            let typed = keys.iter().take(*read.as_ref().unwrap_or(&0));
            for key in typed {
                if type_key(*key, &mut console.line) && complete.is_none() {
                    complete = Some(std::mem::take(&mut console.line));
                }
            }
            wipe(&mut keys);
            kept(&read)
        });
        if complete.is_some() {
            for console in &mut self.all {
                console.line.clear();
            }
        }
        complete
    }
}

/// The keyboard as the system has it later: a passphrase is typed the same way. Twice does no harm.
fn load_keymap() {
    let keymap = match fs::read(KEYMAP) {
        Ok(keymap) => keymap,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return log::warn!("cannot read {KEYMAP}: {error}"),
    };
    let tool = Tool {
        program: Path::new("/bin/busybox"),
        arguments: &["loadkmap"],
        environment: &[],
        work: "the loading of the keyboard's map",
    };
    match tool.run(&keymap) {
        Ok(ended) if ended.status == 0 => {}
        Ok(ended) => log::warn!(
            "the keyboard is that of the US: loadkmap ended with status {}: {}",
            ended.status,
            ended.last_line()
        ),
        Err(error) => log::warn!("the keyboard is that of the US: cannot run busybox: {error}"),
    }
}

/// Whether a console is still there.
fn kept<T>(result: &io::Result<T>) -> bool {
    if let Err(error) = result {
        log::info!("a console is not asked any more: {error}");
    }
    result.is_ok()
}

/// The nodes of the consoles; `active` separates them by blanks.
fn paths(active: &str) -> Vec<PathBuf> {
    let named: Vec<_> = active
        .split_whitespace()
        .map(|name| Path::new("/dev").join(name))
        .collect();
    if named.is_empty() {
        vec![CONSOLE.into()]
    } else {
        named
    }
}

/// Puts a key into the line; whether it ends the line.
fn type_key(key: u8, line: &mut Secret) -> bool {
    const ERASE_LINE: u8 = 0x15; // Ctrl-U
    match key {
        b'\r' | b'\n' => return true,
        0x08 | 0x7f => line.pop(),
        ERASE_LINE => line.clear(),
        0 | 0x03 => {}
        key => {
            // What does not fit opens nothing: the answer is wrong, and asked for again.
            line.push(key);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        for (keys, expected) in [
            (&b"open\r"[..], &b"open"[..]),
            (b"oq\x7fpen\n", b"open"),
            (b"wrong\x15open\n", b"open"),
            (b"\x08\x08a\xc3\xa4\x7fb\x03\0\r", b"ab"),
            (b"two words\t\n", b"two words\t"),
            (b"\n", b""),
        ] {
            let mut line = Secret::new();
            let ended: Vec<_> = keys.iter().map(|key| type_key(*key, &mut line)).collect();
            assert_eq!(line.as_bytes(), expected);
            assert_eq!(ended.iter().position(|ended| *ended), Some(keys.len() - 1));
        }
    }

    #[test]
    fn all_consoles_are_asked() {
        assert_eq!(
            paths("tty0 ttyS0\n"),
            [Path::new("/dev/tty0"), Path::new("/dev/ttyS0")]
        );
        assert_eq!(paths(""), [Path::new("/dev/console")]);
    }
}
