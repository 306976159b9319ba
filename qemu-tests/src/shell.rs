//! A login on the serial console, for guests without an agent.

use std::time::Duration;

use anyhow::{Context, bail};

use crate::console::Console;

/// A shell prompt on the console.
#[derive(Debug)]
pub struct Shell<'machine> {
    console: &'machine Console,
}

/// What a command's end is marked with; typed with the `%s` in it, so that the echo of what is
/// typed is not taken for the end.
const MARK: &str = "cairn-status-";

impl<'machine> Shell<'machine> {
    /// Waits for the prompt and logs in as root, whose shell is bash.
    ///
    /// # Errors
    /// No prompt comes, or the login is refused.
    pub fn login(console: &'machine Console, password: &str) -> anyhow::Result<Self> {
        console.expect("login: ")?;
        console.send_line("root")?;
        console.expect("assword: ")?;
        console.send_line(password)?;
        let shell = Self { console };
        // `login` throws away what was typed before the shell runs, so the shell's first words
        // are waited for.
        let (which, text) = console
            .expect_any(&["# ", "Login incorrect"], Duration::from_mins(1))
            .context("cannot log in")?;
        if which == 1 {
            bail!("cannot log in as root: the password is refused; the console said:\n{text}");
        }
        // An editor of lines would draw long ones again when they wrap; the terminal just echoes.
        console.send_line("set +o emacs +o vi")?;
        console.expect("+o vi")?;
        console.expect("# ")?;
        Ok(shell)
    }

    /// Runs one line of shell, and returns its status and what the console said meanwhile.
    ///
    /// # Errors
    /// It does not end by the machine's deadline.
    pub fn run(&self, line: &str) -> anyhow::Result<(i32, String)> {
        self.console
            .send_line(&format!("{line}; printf '\\n{MARK}%s.\\n' $?"))?;
        // The echo of the typed line.
        self.console.expect("%s.")?;
        self.console.expect("\n")?;
        let output = self.console.expect(MARK)?;
        let status = self.console.expect(".")?;
        // What is typed before the prompt is there stands before it, and the prompt in the next one's output.
        self.console.expect("# ")?;
        let status = status
            .trim_end_matches('.')
            .parse()
            .with_context(|| format!("cannot read the status of `{line}` in {status:?}"))?;
        Ok((status, output.trim_end_matches(MARK).trim().to_owned()))
    }

    /// Runs one line of shell and returns what the console said.
    ///
    /// # Errors
    /// Its status is not 0.
    pub fn succeed(&self, line: &str) -> anyhow::Result<String> {
        let (status, output) = self.run(line)?;
        if status != 0 {
            bail!("in the guest, `{line}` ended with status {status}; it wrote:\n{output}");
        }
        Ok(output)
    }

    /// Types a line whose end is not waited for.
    ///
    /// # Errors
    /// The machine ended.
    pub fn start(&self, line: &str) -> anyhow::Result<()> {
        self.console.send_line(line)
    }
}
