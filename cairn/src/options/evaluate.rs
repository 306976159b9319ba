//! Evaluating the modules to their reference.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bstr::{BString, ByteSlice as _};

use super::reference::Reference;
use crate::evaluate::request::{Argument, Format, Goal, Input};
use crate::evaluate::{Request, output_of};
use crate::sources::write_modules;

/// Whose options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Entries of the search path, before those of `NIX_PATH`.
    pub search_path: Vec<BString>,
    /// A configuration whose own modules' options are shown too.
    pub configuration: Option<PathBuf>,
}

/// Evaluates the modules in this program, or those that the search path names `cairn=DIR`, in a
/// process of `program`, which is the command `cairn`. Nothing is built, and neither a store nor a
/// package is needed.
///
/// # Errors
/// [`AlreadyTold`](crate::evaluate::AlreadyTold) if the evaluation fails, which says why itself.
pub fn evaluate(program: &Path, question: &Question) -> Result<Reference> {
    let configuration = match &question.configuration {
        Some(file) => Argument::String(absolute(file)?),
        None => Argument::Expression("{ }".into()),
    };
    let mut search_path = question.search_path.clone();
    let folder;
    if !search_path.iter().any(|entry| entry.starts_with(b"cairn=")) {
        folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        write_modules(folder.path())
            .with_context(|| format!("cannot write modules to '{}'", folder.path().display()))?;
        let mut entry = BString::from("cairn=");
        entry.extend_from_slice(folder.path().as_os_str().as_bytes());
        search_path.push(entry);
    }
    let request = Request {
        inputs: vec![Input::File("<cairn/reference.nix>".into())],
        arguments: vec![("configuration".into(), configuration)],
        search_path,
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
