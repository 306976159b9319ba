//! Builtins about files, folders and store objects.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cairn_store_path::{Method, STORE_DIR, Sha256, StorePath};

use crate::builtin::{Builtin, arg};
use crate::coerce::Coercion;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::io::{
    FailureKind, FileType, Filter, FilterStopped, IoFailure, Source, path_of, resolve_links,
};
use crate::source::Place;
use crate::string::{ContextBuilder, ContextElement, canonical_path};
use crate::value::Value;

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("filterSource", 2, filter_source),
    Builtin::new("findFile", 2, find_file),
    Builtin::new("path", 1, path),
    Builtin::new("pathExists", 1, path_exists),
    Builtin::new("readDir", 1, read_dir),
    Builtin::new("readFile", 1, read_file),
    Builtin::new("readFileType", 1, read_file_type),
    Builtin::new("storePath", 1, store_path),
    Builtin::new("toFile", 2, to_file),
    Builtin::new("toPath", 1, to_path),
];

/// The folder that files inside this program seem to lie in; `<nix/…>` leads there.
pub const INTERNAL_FOLDER: &str = "/__corepkgs__";

impl<'e> Evaluator<'e> {
    /// The path that a value stands for, with what it depends on built: it can be read.
    ///
    /// # Errors
    /// It is no path, or what it depends on cannot be built.
    pub fn readable_path(&mut self, value: Value<'e>) -> Result<PathBuf> {
        let (path, context) = self.coerce_to_path(value)?;
        self.realise(context)?;
        Ok(path_of(path.bytes()).to_owned())
    }

    /// Builds the outputs in a context, and makes sure that the objects in it are there.
    ///
    /// # Errors
    /// A build fails, or an object is not in the store.
    pub fn realise(&mut self, context: &[ContextElement<'e>]) -> Result<()> {
        let parse = |path: &str| {
            path.parse::<StorePath>()
                .map_err(|error| EvalError::eval(error.to_string()))
        };
        let mut outputs = Vec::new();
        for element in context {
            match *element {
                ContextElement::Output { derivation, output } => {
                    outputs.push((parse(derivation)?, output.to_owned()));
                }
                ContextElement::Path(path) | ContextElement::AllOutputs(path) => {
                    self.io().ensure(&parse(path)?)?;
                }
            }
        }
        if !outputs.is_empty() {
            self.io().realise(&outputs)?;
        }
        Ok(())
    }
}

fn read_file<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let path = e.readable_path(arg(args, 0))?;
    let bytes = read(e, &path)?;
    if bytes.contains(&0) {
        let message = format!(
            "the contents of '{}' cannot be a string: they have a zero byte",
            path.display()
        );
        return Err(EvalError::eval(message));
    }
    let mut context = ContextBuilder::new();
    for reference in references_in(e, &path, &bytes)? {
        let reference = e.arena().alloc_str(&reference.to_string());
        context.insert(ContextElement::Path(reference));
    }
    Ok(e.string_with(&bytes, context))
}

/// The bytes of a file, or of one inside this program.
fn read(e: &Evaluator<'_>, path: &Path) -> Result<Vec<u8>> {
    match super::import::internal_file(path) {
        Some(text) => Ok(text.to_vec()),
        None => Ok(e.io().read_file(path)?),
    }
}

/// Of what a store object refers to, that which a file in it mentions.
fn references_in(e: &Evaluator<'_>, path: &Path, bytes: &[u8]) -> Result<Vec<StorePath>> {
    let object = path
        .to_str()
        .and_then(|path| StorePath::containing(path).ok());
    let Some((object, _)) = object else {
        return Ok(Vec::new());
    };
    if !e.io().is_valid(&object)? {
        return Ok(Vec::new());
    }
    let mut closure = e.io().closure(&object)?;
    closure.retain(|path| bstr::ByteSlice::find(bytes, path.hash_part()).is_some());
    Ok(closure)
}

fn read_file_type<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let path = e.readable_path(arg(args, 0))?;
    let path = folder_resolved(e, &path)?;
    match e.io().file_type(&path)? {
        Some(kind) => Ok(e.string(kind.name())),
        None => Err(not_found("look at", &path)),
    }
}

fn read_dir<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let path = e.readable_path(arg(args, 0))?;
    let entries = e.io().read_dir(&path)?;
    let entry = |(name, kind): &(bstr::BString, FileType)| e.attr(name, e.string(kind.name()));
    let attrs = entries.iter().map(entry).collect();
    Ok(e.attrs(attrs))
}

fn path_exists<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let value = e.force(arg(args, 0))?;
    // A path that ends so must be a folder, or lead to one.
    let must_be_folder = matches!(value, Value::String(string)
        if string.bytes().ends_with(b"/") || string.bytes().ends_with(b"/."));
    let path = e.readable_path(value)?;
    if super::import::internal_file(&path).is_some() {
        return Ok(Value::bool(true));
    }
    Ok(Value::bool(if must_be_folder {
        let path = resolve_links(e.io(), &path)?;
        e.io().file_type(&path)? == Some(FileType::Directory)
    } else {
        let path = folder_resolved(e, &path)?;
        e.io().file_type(&path)?.is_some()
    }))
}

/// The path with links on the way followed, but not one in the last place.
fn folder_resolved(e: &Evaluator<'_>, path: &Path) -> Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok(resolve_links(e.io(), folder)?.join(name)),
        _ => Ok(path.to_owned()),
    }
}

fn to_path<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (path, elements) = e.coerce_to_path(arg(args, 0))?;
    let mut context = ContextBuilder::new();
    for &element in elements {
        context.insert(element);
    }
    Ok(e.string_with(path.bytes(), context))
}

fn to_file<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let name = e.expect_plain_string(arg(args, 0), "the first argument of 'toFile'")?;
    let text = e.expect_string(arg(args, 1), "the second argument of 'toFile'")?;
    let name = object_name(name)?;
    let mut references = BTreeSet::new();
    for element in text.context() {
        let ContextElement::Path(path) = element else {
            return Err(EvalError::eval(format!(
                "the file '{name}' that 'toFile' makes must not refer to a derivation, \
                 but refers to {}",
                element.path()
            ))
            .note("what needs a build first can be written by a derivation"));
        };
        let path: StorePath = path
            .parse()
            .map_err(|error| EvalError::eval(format!("{error}")))?;
        references.insert(path);
    }
    let path = e.io().add_text(name, text.bytes(), &references)?;
    Ok(store_path_string(e, &path))
}

fn store_path<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (path, elements) = e.coerce_to_path(arg(args, 0))?;
    let mut path = path_of(path.bytes()).to_owned();
    // A link that is itself an object stays; others lead to what is meant.
    let is_object = |path: &Path| path.parent() == Some(Path::new(STORE_DIR));
    if !is_object(&path) {
        path = resolve_links(e.io(), &path)?;
    }
    let object = path
        .to_str()
        .and_then(|path| StorePath::containing(path).ok())
        .map(|(object, _)| object)
        .ok_or_else(|| EvalError::eval(format!("path '{}' is not in the store", path.display())))?;
    e.io().ensure(&object)?;
    let mut context = ContextBuilder::new();
    for &element in elements {
        context.insert(element);
    }
    let object = e.arena().alloc_str(&object.to_string());
    context.insert(ContextElement::Path(object));
    Ok(e.string_with(path.as_os_str().as_bytes(), context))
}

fn filter_source<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let (path, context) = e.coerce_to_path(arg(args, 1))?;
    let filter = e.expect_function(arg(args, 0), "the first argument of 'filterSource'")?;
    e.realise(context)?;
    let wanted = Wanted {
        path: path_of(path.bytes()).to_owned(),
        name: None,
        filter: Some(filter),
        method: Method::Recursive,
        expected: None,
    };
    add(e, &wanted)
}

fn path<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let attrs = e.expect_attrs(arg(args, 0), "the argument of 'builtins.path'")?;
    let mut wanted = Wanted {
        path: PathBuf::new(),
        name: None,
        filter: None,
        method: Method::Recursive,
        expected: None,
    };
    for (name, value) in e.sorted(attrs) {
        let what = "an argument of 'builtins.path'";
        match e.name(name) {
            b"path" => wanted.path = e.readable_path(value)?,
            b"name" => wanted.name = Some(e.expect_plain_string(value, what)?),
            b"filter" => wanted.filter = Some(e.expect_function(value, what)?),
            b"recursive" => {
                wanted.method = if e.expect_bool(value, what)? {
                    Method::Recursive
                } else {
                    Method::Flat
                };
            }
            b"sha256" => {
                let text = e.expect_plain_string(value, what)?;
                wanted.expected = Some(super::derivation::sha256(e, text)?);
            }
            other => {
                let other = String::from_utf8_lossy(other);
                let message = format!("unsupported argument '{other}' to 'builtins.path'");
                return Err(EvalError::eval(message)
                    .note("it takes path, name, filter, recursive and sha256"));
            }
        }
    }
    if wanted.path.as_os_str().is_empty() {
        return Err(EvalError::new(
            ErrorKind::Missing,
            "'builtins.path' needs the attribute 'path'",
        ));
    }
    add(e, &wanted)
}

/// A source with the filter that an expression gives.
struct Wanted<'e> {
    path: PathBuf,
    name: Option<&'e [u8]>,
    filter: Option<Value<'e>>,
    method: Method,
    expected: Option<Sha256>,
}

fn add<'e>(e: &mut Evaluator<'e>, wanted: &Wanted<'e>) -> Result<Value<'e>> {
    let base = wanted.path.file_name().map_or(&b""[..], OsStr::as_bytes);
    let source = Source {
        name: object_name(wanted.name.unwrap_or(base))?,
        path: &wanted.path,
        method: wanted.method,
        expected: wanted.expected,
    };
    let io = e.io();
    let mut failed = None;
    let added = match wanted.filter {
        None => io.add_path(&source, None),
        Some(function) => {
            let mut filter = |path: &Path, kind: FileType| {
                keep(e, function, path, kind).map_err(|error| {
                    failed = Some(error);
                    FilterStopped
                })
            };
            let filter: &mut Filter<'_> = &mut filter;
            io.add_path(&source, Some(filter))
        }
    };
    let what = || format!("while adding path '{}'", wanted.path.display());
    match (added, failed) {
        (Ok(path), _) => Ok(store_path_string(e, &path)),
        (
            Err(IoFailure {
                kind: FailureKind::Stopped,
                ..
            }),
            Some(error),
        ) => Err(error),
        (Err(failure), _) => Err(failure.into()),
    }
    .while_(what, Place::NONE)
}

fn keep<'e>(
    e: &mut Evaluator<'e>,
    function: Value<'e>,
    path: &Path,
    kind: FileType,
) -> Result<bool> {
    let arguments = [e.string(path.as_os_str().as_bytes()), e.string(kind.name())];
    let answer = e.call(function, &arguments)?;
    e.expect_bool(answer, "the result of a filter")
}

fn find_file<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], _: Place) -> Result<Value<'e>> {
    let entries = e.expect_list(arg(args, 0), "the first argument of 'findFile'")?;
    let mut search = Vec::new();
    for entry in entries.iter() {
        let attrs = e.expect_attrs(entry, "an entry of a search path")?;
        let prefix = match attrs.get(crate::known::PREFIX) {
            Some(prefix) => e.expect_plain_string(prefix, "the prefix of a search path's entry")?,
            None => &[],
        };
        let path = e.required(attrs, crate::known::PATH, "an entry of a search path")?;
        let path = e.coerce_to_string(path, Coercion::Strict)?;
        e.realise(path.context())?;
        search.push((prefix, path.bytes()));
    }
    let name = e.expect_plain_string(arg(args, 1), "the second argument of 'findFile'")?;
    let path = found(e, &search, name)?;
    Ok(e.path(path))
}

impl Evaluator<'_> {
    /// What `<name>` stands for: the first of the search path's entries that has it.
    ///
    /// # Errors
    /// None has it, or a folder on the way cannot be read.
    pub fn find_in_search_path(&self, name: &[u8]) -> Result<Vec<u8>> {
        let entries = self.io().search_path();
        let entries: Vec<(&[u8], &[u8])> = entries
            .iter()
            .map(|entry| (entry.prefix.as_slice(), entry.path.as_slice()))
            .collect();
        found(self, &entries, name)
    }
}

fn found(e: &Evaluator<'_>, entries: &[(&[u8], &[u8])], name: &[u8]) -> Result<Vec<u8>> {
    for (prefix, path) in entries {
        let rest = match name.strip_prefix(*prefix) {
            _ if prefix.is_empty() => name,
            Some([]) => &[],
            Some([b'/', rest @ ..]) => rest,
            _ => continue,
        };
        let Some(base) = e.io().search_entry((*path).into())? else {
            continue;
        };
        let mut path = base.into_os_string().as_bytes().to_vec();
        if !rest.is_empty() {
            path.push(b'/');
            path.extend(rest);
        }
        let path = canonical_path(&path);
        let looked_at = folder_resolved(e, path_of(&path))?;
        if e.io().file_type(&looked_at)?.is_some() {
            return Ok(path);
        }
    }
    let internal = name
        .strip_prefix(b"nix/")
        .map(|rest| [INTERNAL_FOLDER.as_bytes(), b"/", rest].concat());
    internal
        .filter(|path| super::import::internal_file(path_of(path)).is_some())
        .ok_or_else(|| {
            EvalError::new(
                ErrorKind::Throw,
                format!(
                    "file '{}' was not found in the Nix search path (add it using $NIX_PATH or -I)",
                    String::from_utf8_lossy(name)
                ),
            )
        })
}

/// Bytes as the name of a store object.
fn object_name(name: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(name).ok();
    text.filter(|name| StorePath::new([0; 20], name).is_ok())
        .ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            EvalError::eval(format!("'{name}' cannot be the name of a store object")).note(
                "1 to 211 of 0-9 a-z A-Z + - . _ ? = are allowed; builtins.path takes another name",
            )
        })
}

/// A store path as a string that depends on it.
pub(super) fn store_path_string<'e>(e: &Evaluator<'e>, path: &StorePath) -> Value<'e> {
    let path: &'e str = e.arena().alloc_str(&path.to_string());
    e.string_of(path, ContextElement::Path(path))
}

fn not_found(verb: &str, path: &Path) -> EvalError {
    let message = format!(
        "cannot {verb} '{}': no such file or directory",
        path.display()
    );
    EvalError::new(ErrorKind::Io, message)
}
