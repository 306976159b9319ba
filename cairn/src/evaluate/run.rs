//! Carrying out a request: evaluate, select, call, print.

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bstr::BString;
use bumpalo::Bump;
use cairn_evaluator::load::Text;
use cairn_evaluator::value::Value;
use cairn_evaluator::{Origin, show};

use super::arguments::call_with;
use super::attribute_path::select;
use super::child::peak_memory;
use super::derivations::{Found, find};
use super::objects::Realise;
use super::print::print;
use super::request::{Calls, Goal, Input, Request};
use super::session::{Failure, Session, with_session};
use super::world::absolute;

/// Carries out `request` in this process and writes what it gives to standard output.
///
/// # Errors
/// Whatever fails first; what was shown before stays shown.
pub fn run(request: &Request, realise: Box<Realise>) -> Result<(), Failure> {
    with_session(request, realise, |session| {
        let mut shown = 0;
        let result = request
            .inputs
            .iter()
            .try_for_each(|input| one(session, input, &mut shown));
        if request.report.statistics {
            statistics(session);
        }
        result
    })
}

fn one(session: &mut Session<'_, '_>, input: &Input, shown: &mut usize) -> Result<(), Failure> {
    match &session.request.goal {
        Goal::FindFile => find_file(session, input),
        Goal::Parse => parse(session, input),
        Goal::Value(_) | Goal::Derivations { .. } => evaluate(session, input, shown),
    }
}

fn find_file(session: &Session<'_, '_>, input: &Input) -> Result<(), Failure> {
    let Input::File(name) = input else {
        return Err(anyhow::anyhow!("only the name of a file can be looked up").into());
    };
    let path = session.find(name)?;
    let mut line = path.into_os_string().as_bytes().to_vec();
    line.push(b'\n');
    write(&line)
}

fn parse(session: &mut Session<'_, '_>, input: &Input) -> Result<(), Failure> {
    let folder = session.world.folder().to_owned();
    let (origin, bytes, folder) = match input {
        Input::Expression(text) => (Origin::String, text.to_vec(), folder),
        Input::Stdin => (Origin::Stdin, super::session::stdin()?, folder),
        Input::File(name) => {
            let path = session.file(name)?;
            let path = session.evaluator.resolve_expression(&path);
            let path = path.map_err(|error| session.failure(&error))?;
            let bytes = session.evaluator.io().read_file(&path);
            let bytes = bytes.map_err(|error| session.failure(&error.into()))?;
            let folder = path.parent().map_or(folder, Path::to_owned);
            let origin = Origin::File(path.as_os_str().as_bytes().to_vec());
            (origin, bytes, folder)
        }
    };
    let tree = Bump::new();
    let text = Text {
        origin,
        bytes: &bytes,
        base: folder.as_os_str().as_bytes(),
        library: false,
    };
    let e = &mut session.evaluator;
    let checked = e.parse_text(text, &tree).and_then(|(expression, source)| {
        e.check_variables(expression, source, None)?;
        Ok(expression)
    });
    let expression = checked.map_err(|error| session.failure(&error))?;
    let mut line = show(expression, session.evaluator.symbols());
    line.push(b'\n');
    write(&line)
}

fn evaluate(
    session: &mut Session<'_, '_>,
    input: &Input,
    shown: &mut usize,
) -> Result<(), Failure> {
    let root = session.evaluate(input)?;
    let whole = [BString::default()];
    let request = session.request;
    let paths = if request.attributes.is_empty() {
        &whole[..]
    } else {
        &request.attributes
    };
    let arguments = session.arguments()?;
    for path in paths {
        let e = &mut session.evaluator;
        let selected = select(e, root, path, &arguments);
        let value = selected.map_err(|error| session.failure(&error))?;
        match &request.goal {
            Goal::Derivations { root } => {
                let found = find(&mut session.evaluator, value, &arguments);
                let found = found.map_err(|error| session.failure(&error))?;
                derivations(session, &found, root.as_deref(), shown)?;
            }
            goal => show_value(session, value, &arguments, goal)?,
        }
    }
    Ok(())
}

fn show_value<'e>(
    session: &mut Session<'_, 'e>,
    value: Value<'e>,
    arguments: &[(BString, Value<'e>)],
    goal: &Goal,
) -> Result<(), Failure> {
    let Goal::Value(format) = goal else {
        return Ok(());
    };
    let calls = session.request.calls == Calls::Always || !arguments.is_empty();
    let e = &mut session.evaluator;
    let called = if calls {
        call_with(e, value, arguments)
    } else {
        Ok(value)
    };
    let printed = called.and_then(|value| print(e, value, *format));
    let printed = printed.map_err(|error| session.failure(&error))?;
    write(&printed)
}

/// Shows derivations once they are written, so that whoever reads a path can use it.
fn derivations(
    session: &Session<'_, '_>,
    found: &[Found],
    root: Option<&Path>,
    shown: &mut usize,
) -> Result<(), Failure> {
    let objects = session.world.objects();
    objects.flush()?;
    for derivation in found {
        *shown += 1;
        let path = if let Some(root) = root {
            keep(session, &derivation.path, root, *shown)?
        } else {
            tell_once(*shown);
            PathBuf::from(derivation.path.to_string())
        };
        let mut line = path.as_os_str().as_bytes().to_vec();
        if derivation.output != "out" {
            line.push(b'!');
            line.extend(derivation.output.as_bytes());
        }
        line.push(b'\n');
        write(&line)?;
    }
    Ok(())
}

/// Users of the tool know this line, and so do programs that filter it.
fn tell_once(shown: usize) {
    if shown == 1 {
        tell(
            "warning: you did not specify '--add-root'; \
             the result might be removed by the garbage collector",
        );
    }
}

/// A link at `root`, or beside it with a number, that keeps the derivation.
fn keep(
    session: &Session<'_, '_>,
    path: &cairn_store_path::StorePath,
    root: &Path,
    number: usize,
) -> anyhow::Result<PathBuf> {
    let mut link = absolute(session.world.folder(), root).into_os_string();
    if number > 1 {
        link.push(format!("-{number}"));
    }
    let link = PathBuf::from(link);
    let store = session.world.objects().store()?;
    store.add_indirect_root(&link, path)?;
    Ok(link)
}

fn statistics(session: &Session<'_, '_>) {
    let statistics = session.evaluator.statistics();
    if let Some(peak) = peak_memory() {
        tell(&format!("peak memory      {:>12} KiB", peak >> 10));
    }
    for (what, count) in [
        ("values", statistics.arena_bytes as u64),
        ("calls", statistics.calls),
        ("builtin calls", statistics.builtin_calls),
        ("computed values", statistics.forced),
        ("names", statistics.symbols as u64),
        ("sources", statistics.sources as u64),
    ] {
        match what {
            "values" => tell(&format!("{what:<16} {:>12} KiB", count >> 10)),
            _ => tell(&format!("{what:<16} {count:>12}")),
        }
    }
}

/// Writes to standard output; a reader that has gone away is no error.
fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.context("cannot write to standard output")?),
    }
}

/// Writes a line to standard error.
pub(super) fn tell(line: &str) {
    if let Err(error) = writeln!(io::stderr().lock(), "{line}") {
        log::debug!("a message was lost: {error}");
    }
}
