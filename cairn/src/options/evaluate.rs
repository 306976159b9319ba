//! Evaluating the modules to their reference.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::{BString, ByteSlice as _};

use super::reference::Reference;
use crate::evaluate::request::{Argument, Format, Goal, Input};
use crate::evaluate::{Request, output_of};

/// Whose options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Entries of the search path, before those of `NIX_PATH`.
    pub search_path: Vec<BString>,
    /// A configuration whose own modules' options are shown too.
    pub configuration: Option<PathBuf>,
}

/// Evaluates the modules that the search path names `<cairn>`, in a process of `program`, which is
/// the command `cairn`. Nothing is built, and no package is needed.
///
/// # Errors
/// [`AlreadyTold`](crate::evaluate::AlreadyTold) if the evaluation fails, which says why itself.
pub fn evaluate(program: &Path, question: &Question) -> Result<Reference> {
    let configuration = match &question.configuration {
        Some(file) => Argument::String(absolute(file)?),
        None => Argument::Expression("{ }".into()),
    };
    let request = Request {
        inputs: vec![Input::File("<cairn/reference.nix>".into())],
        arguments: vec![("configuration".into(), configuration)],
        search_path: question.search_path.clone(),
        goal: Goal::Value(Format::Json),
        ..Request::default()
    };
    let json = output_of(program, &request)?;
    let json = json.to_str().context("the option reference is not text")?;
    Ok(Reference::parse(json)?)
}

fn absolute(file: &Path) -> Result<BString> {
    let path = file
        .canonicalize()
        .with_context(|| format!("cannot find the configuration '{}'", file.display()))?;
    Ok(path.as_os_str().as_bytes().into())
}
