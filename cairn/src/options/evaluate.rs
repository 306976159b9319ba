//! Evaluating the modules to their reference.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use bstr::{BString, ByteSlice as _};

use super::reference::Reference;
use crate::evaluate::request::{Argument, Format, Goal, Input, StoreChoice};
use crate::evaluate::{Failure, Realise, Request, shown};

/// Whose options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Entries of the search path, before those of `NIX_PATH`.
    pub search_path: Vec<BString>,
    /// A configuration whose own modules' options are shown too.
    pub configuration: Option<PathBuf>,
}

/// Evaluates the modules that the search path names `<cairn>`. Nothing is built, and no store is
/// needed.
///
/// # Errors
/// What the evaluation meets.
pub fn evaluate(question: &Question) -> Result<Reference, Failure> {
    let configuration = match &question.configuration {
        Some(file) => Argument::String(absolute(file)?),
        None => Argument::Expression("{ }".into()),
    };
    let request = Request {
        inputs: vec![Input::File("<cairn/reference.nix>".into())],
        arguments: vec![("configuration".into(), configuration)],
        search_path: question.search_path.clone(),
        goal: Goal::Value(Format::Json),
        store: StoreChoice::Nowhere,
        ..Request::default()
    };
    let json = shown(&request, builds_nothing())?;
    let json = json.to_str().map_err(|error| anyhow!(error))?;
    Ok(Reference::parse(json).map_err(|error| anyhow!(error))?)
}

fn absolute(file: &Path) -> anyhow::Result<BString> {
    let path = file
        .canonicalize()
        .with_context(|| format!("cannot find the configuration '{}'", file.display()))?;
    Ok(path.as_os_str().as_bytes().into())
}

fn builds_nothing() -> Box<Realise> {
    Box::new(|_, wanted| {
        let paths: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        Err(anyhow!(
            "the option reference needs no packages, but reads {}; give the option a `defaultText`",
            paths.join(", ")
        ))
    })
}
