//! The dialogue of `cairn install`: questions, one after the other, on a plain terminal.
//!
//! | module | noun |
//! |---|---|
//! | [`Dialogue`] | which question comes next, and whether an answer is one: no effects |
//! | `question` | the questions, and how they are put |
//! | `draft` | what has been answered |
//! | [`Offers`] | what can be chosen: disks, time zones, languages, keyboards |
//! | [`Console`] | where the questions are put; [`Terminal`] is the real one |
//!
//! It takes whole lines and sends no control sequences, so that it is the same on a screen and on a
//! serial port. Invariant: until the disk's name has been typed below the plan, nothing is written.

mod draft;
mod names;
mod offers;
mod question;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use anyhow::Result;

use super::answers::Answers;
use super::words::PasswordHash;
use crate::builders::password_hash::of_typed;
use crate::message;

pub use offers::Offers;
pub use question::Prompt;
pub use state::{Dialogue, Taken, Turn};
pub(super) use state::{LONGEST_PASSPHRASE, illegible};
pub use terminal::Terminal;

/// What is shown first.
const GREETING: &str = "\
Some questions, then a plan. Nothing is written before you have seen the plan and agreed to it.
Enter alone takes what stands in brackets, < goes back to the question before, Ctrl-C leaves.
";

/// Where questions are put.
pub trait Console {
    /// Shows text.
    ///
    /// # Errors
    /// The terminal's.
    fn show(&mut self, text: &str) -> Result<()>;

    /// Asks for a line; nothing if that is the end. If the answer is not to be seen, it is hidden before
    /// the question is shown: somebody may type at once.
    ///
    /// # Errors
    /// The terminal's.
    fn ask(&mut self, prompt: &Prompt) -> Result<Option<String>>;

    /// The keyboard from now on, if the console has one.
    ///
    /// # Errors
    /// It cannot be set.
    fn set_keyboard(&mut self, name: &str) -> Result<()>;
}

/// Whether a line is seen while it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It is.
    Shown,
    /// It is not: a password.
    Hidden,
}

/// What the dialogue asks of the rest of the installer.
pub struct Rest<'a> {
    /// The plan that the answers lead to, in words.
    pub plan: &'a mut dyn FnMut(&Answers) -> Result<String>,
    /// The hash of a password.
    pub hash: &'a dyn Fn(&str) -> Result<PasswordHash>,
}

/// Asks everything on the terminal of this process. Nothing if whoever is asked has left.
///
/// # Errors
/// What can be chosen cannot be found out, or the terminal fails.
pub fn on_terminal(plan: &mut dyn FnMut(&Answers) -> Result<String>) -> Result<Option<Answers>> {
    let offers = Offers::read()?;
    let hash = |password: &str| Ok(PasswordHash::try_from(of_typed(password)?)?);
    ask(&offers, &mut Terminal, &mut Rest { plan, hash: &hash })
}

/// Asks everything. Nothing if whoever is asked has left.
///
/// # Errors
/// The terminal's, or a password cannot be hashed.
pub fn ask(
    offers: &Offers,
    console: &mut dyn Console,
    rest: &mut Rest<'_>,
) -> Result<Option<Answers>> {
    console.show(GREETING)?;
    let mut dialogue = Dialogue::new(offers);
    loop {
        let Some(line) = console.ask(&dialogue.prompt())? else {
            console.show("\nNothing was written.\n")?;
            return Ok(None);
        };
        let taken = match dialogue.take(&line, rest.hash)? {
            Ok(taken) => taken,
            Err(refusal) => {
                console.show(&format!("! {refusal}.\n"))?;
                continue;
            }
        };
        if let Some(note) = taken.note {
            console.show(&format!("= {note}\n"))?;
        }
        match taken.turn {
            Turn::Question => {}
            Turn::Keyboard(name) => {
                if let Err(error) = console.set_keyboard(&name) {
                    console.show(&format!(
                        "! The keyboard stays as it is for now: {}.\n",
                        message(&error)
                    ))?;
                }
            }
            Turn::Plan(answers) => {
                console.show("\nThe system is computed; this takes a moment.\n")?;
                match (rest.plan)(&answers) {
                    Ok(plan) => dialogue.show_plan(plan),
                    Err(error) => {
                        console.show(&format!("! {}.\n", message(&error)))?;
                        dialogue.restart();
                    }
                }
            }
            Turn::Agreed(answers) => return Ok(Some(*answers)),
        }
    }
}
