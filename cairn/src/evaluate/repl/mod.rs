//! `cairn repl`: expressions typed in one after the other, with what was bound before in scope.

mod complete;
mod line;
mod state;

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use self::complete::Prompt;
use self::state::{Next, State};
use super::command::{build_when_read, in_process};
use super::request::Request;
use super::run::tell;
use super::session::{Failure, with_session};

/// What is shown before a line.
const PROMPT: &str = "cairn> ";

/// Lines that are kept from one time to the next.
const HISTORY: usize = 10_000;

/// `cairn repl`; the inputs of the request are loaded first.
#[must_use]
pub fn repl(request: &Request) -> ExitCode {
    ExitCode::from(in_process(request.language.memory, || {
        let realise = build_when_read(request.lock.clone());
        with_session(request, realise, |session| {
            let mut state = State::new(session);
            for input in &request.inputs {
                if let Err(failure) = state.load_input(input) {
                    tell(&failure.to_string());
                }
            }
            prompt(&RefCell::new(state))
        })
    }))
}

fn prompt(state: &RefCell<State<'_, '_, '_>>) -> Result<(), Failure> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .max_history_size(HISTORY)
        .context("cannot set up the prompt")?
        .build();
    let mut editor = Editor::<Prompt<'_, '_, '_, '_>, FileHistory>::with_config(config)
        .context("cannot set up the prompt")?;
    editor.set_helper(Some(Prompt { state }));
    let history = history_file();
    if let Some(file) = &history
        && file.exists()
        && let Err(error) = editor.load_history(file)
    {
        log::warn!("cannot read the history '{}': {error}", file.display());
    }
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            // Ctrl-C leaves the line, as in a shell.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                return Err(anyhow::Error::from(error)
                    .context("the prompt failed")
                    .into());
            }
        };
        match state.borrow_mut().line(&line) {
            Ok(Next::Line) => {}
            Ok(Next::End) => break,
            Err(failure) => tell(&failure.to_string()),
        }
    }
    if let Some(file) = &history {
        let saved = file
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(ReadlineError::from)
            .and_then(|()| editor.save_history(file));
        if let Err(error) = saved {
            log::warn!("cannot write the history '{}': {error}", file.display());
        }
    }
    Ok(())
}

/// `cairn/repl-history` in the user's state folder (XDG Base Directory Specification).
fn history_file() -> Option<PathBuf> {
    let absolute = |name| {
        let value = PathBuf::from(env::var_os(name)?);
        value.is_absolute().then_some(value)
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("cairn/repl-history"))
}
