//! The terminal that the command was started on.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

use super::offers::keyboard_file;
use super::{Console, Echo, Prompt};

/// The longest line that is an answer.
const LONGEST_LINE: u64 = 16 << 10;

/// Ctrl-C.
const INTERRUPT: u8 = 3;

/// Standard input and output.
#[derive(Debug)]
pub struct Terminal;

impl Console for Terminal {
    fn show(&mut self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .context("cannot write to the terminal")
    }

    fn ask(&mut self, prompt: &Prompt) -> Result<Option<String>> {
        let hidden = match prompt.echo {
            Echo::Hidden if io::stdin().is_terminal() => Some(Hidden::begin()?),
            _ => None,
        };
        let read = self.show(&prompt.text).and_then(|()| read_line());
        if let Some(hidden) = hidden {
            hidden.end()?;
            self.show("\n")?;
        }
        let mut line = read?;
        if line.is_empty() || line.contains(&INTERRUPT) {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn set_keyboard(&mut self, name: &str) -> Result<()> {
        let terminal = nix::unistd::ttyname(io::stdin());
        let is_screen = terminal.is_ok_and(|path| {
            let path = path.to_string_lossy().into_owned();
            let number = path.strip_prefix("/dev/tty").unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        // A serial port has the keyboard of whoever is at its other end.
        if !is_screen {
            return Ok(());
        }
        let file = keyboard_file(Path::new("/"), name)?
            .with_context(|| format!("there is no layout '{name}' on this machine"))?;
        let output = Command::new("loadkeys")
            .arg("--quiet")
            .arg(file)
            .output()
            .context("cannot run loadkeys")?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "loadkeys: {}", message.trim());
        Ok(())
    }
}

fn read_line() -> Result<Vec<u8>> {
    let mut line = Vec::new();
    io::Read::take(io::stdin().lock(), LONGEST_LINE)
        .read_until(b'\n', &mut line)
        .context("cannot read from the terminal")?;
    Ok(line)
}

/// As long as it is there, nothing that is typed is shown, and Ctrl-C ends the line in place of the
/// program: it would leave the terminal as it is.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("cannot ask the terminal for its settings")?;
        let mut settings = before.clone();
        settings
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ISIG);
        let end = SpecialCharacterIndices::VEOL as usize;
        if let Some(character) = settings.control_chars.get_mut(end) {
            *character = INTERRUPT;
        }
        set(&settings)?;
        Ok(Self { before })
    }

    fn end(self) -> Result<()> {
        set(&self.before)
    }
}

fn set(settings: &Termios) -> Result<()> {
    tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings).context("cannot set the terminal up")
}
