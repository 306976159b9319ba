//! `import` and `scopedImport`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cairn_store_path::StorePath;

use super::paths::INTERNAL_FOLDER;
use crate::builtin::{Builtin, PartialCall, arg};
use crate::error::{EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::io::{FileType, path_of, resolve_links};
use crate::load::Text;
use crate::resolve::OuterScope;
use crate::source::{Origin, Place};
use crate::string::ContextElement;
use crate::value::{Slot, Value};

/// The table.
pub const TABLE: &[Builtin] = &[
    Builtin::new("import", 1, import).global(),
    Builtin::new("scopedImport", 2, scoped_import).global(),
];

/// Files inside this program.
const INTERNAL_FILES: &[(&str, &[u8])] = &[("fetchurl.nix", include_bytes!("fetchurl.nix"))];

/// What `import` gives for a derivation's file, as a function of what the file says.
const IMPORTED: &[u8] = include_bytes!("imported_derivation.nix");

/// How many links a file's name may lead through.
const MAX_LINKS: u32 = 40;

/// The text of a file inside this program.
pub(super) fn internal_file(path: &Path) -> Option<&'static [u8]> {
    let name = path.strip_prefix(INTERNAL_FOLDER).ok()?.to_str()?;
    let file = INTERNAL_FILES.iter().find(|(known, _)| *known == name);
    file.map(|(_, text)| *text)
}

fn import<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], place: Place) -> Result<Value<'e>> {
    let path = e.readable_path(arg(args, 0))?;
    if let Some(drv) = derivation_at(e, &path)? {
        return imported_derivation(e, &drv);
    }
    e.import_file(&path)
        .while_(|| format!("while importing '{}'", path.display()), place)
}

fn scoped_import<'e>(e: &mut Evaluator<'e>, args: &[Value<'e>], place: Place) -> Result<Value<'e>> {
    let path = e.readable_path(arg(args, 1))?;
    let scope = e.expect_attrs(arg(args, 0), "the first argument of 'scopedImport'")?;
    let file = e.resolve_expression(&path)?;
    evaluate(e, &file, Some(scope))
        .while_(|| format!("while importing '{}'", path.display()), place)
}

impl<'e> Evaluator<'e> {
    fn imported(&self, path: &[u8]) -> Option<Value<'e>> {
        self.imports.get(path).map(|slot| slot.value())
    }

    fn remember_import(&mut self, path: &[u8], value: Value<'e>) {
        if !self.imports.contains_key(path) {
            let path = self.arena().alloc_slice_copy(path);
            let slot = self.arena().alloc(Slot::new(value));
            self.imports.insert(path, slot);
        }
    }

    /// Makes files that were imported be read again when they are imported the next time.
    pub fn forget_imports(&mut self) {
        self.imports.clear();
    }

    /// The value of the file at `path`, or of the `default.nix` in it. Each file is evaluated once.
    ///
    /// # Errors
    /// It cannot be read, is not in the language, or fails to evaluate.
    pub fn import_file(&mut self, path: &Path) -> Result<Value<'e>> {
        if let Some(value) = self.imported(path.as_os_str().as_bytes()) {
            return self.force(value);
        }
        let file = self.resolve_expression(path)?;
        let key = file.as_os_str().as_bytes();
        let value = self.imported(key).unwrap_or_else(|| {
            // A thunk, so that files that import each other are found out.
            let call = PartialCall {
                builtin: &EVALUATE_FILE,
                arguments: &[],
                strict: 0,
            };
            let function = Value::Builtin(self.arena().alloc(call));
            self.delay_call(function, &[self.string(key)])
        });
        self.remember_import(key, value);
        self.remember_import(path.as_os_str().as_bytes(), value);
        self.force(value)
    }

    /// The file that an expression's path means: links in the last place are followed, so that
    /// relative paths in it begin where it really lies; a folder means its `default.nix`.
    ///
    /// # Errors
    /// There is no such file, or links lead in a circle.
    pub fn resolve_expression(&self, path: &Path) -> Result<PathBuf> {
        if internal_file(path).is_some() {
            return Ok(path.to_owned());
        }
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let looked_at = match (path.parent(), path.file_name()) {
                (Some(folder), Some(name)) => resolve_links(self.io(), folder)?.join(name),
                _ => path.clone(),
            };
            match self.io().file_type(&looked_at)? {
                Some(FileType::Symlink) => {
                    let target = self.io().read_link(&looked_at)?;
                    let folder = path.parent().unwrap_or(Path::new("/"));
                    let target = folder.join(target);
                    let target = crate::string::canonical_path(target.as_os_str().as_bytes());
                    path_of(&target).clone_into(&mut path);
                }
                Some(FileType::Directory) => return Ok(path.join("default.nix")),
                Some(_) => return Ok(path),
                None => {
                    let message = format!(
                        "cannot read '{}': no such file or directory",
                        path.display()
                    );
                    return Err(EvalError::new(crate::error::ErrorKind::Io, message));
                }
            }
        }
        let message = format!(
            "cannot follow '{}': more than {MAX_LINKS} symbolic links lead to it",
            path.display()
        );
        Err(EvalError::new(crate::error::ErrorKind::Io, message))
    }
}

/// What a file's thunk in the table of imports calls, with the file's resolved path.
const EVALUATE_FILE: Builtin = Builtin::new("import", 1, |e, args, _| {
    let path = e.expect_plain_string(arg(args, 0), "a file's path")?;
    evaluate(e, path_of(path), None)
});

fn evaluate<'e>(e: &mut Evaluator<'e>, file: &Path, scope: OuterScope<'e>) -> Result<Value<'e>> {
    let read;
    let bytes = if let Some(text) = internal_file(file) {
        text
    } else {
        read = e.io().read_file(file)?;
        &read
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    let libraries = &e.options().libraries;
    let text = Text {
        origin: Origin::File(file.as_os_str().as_bytes().to_vec()),
        bytes,
        base: folder.as_os_str().as_bytes(),
        library: libraries.iter().any(|library| file.starts_with(library)),
    };
    e.as_call(|e| e.evaluate_text(text, scope))
}

/// The derivation whose file in the store is `path`, if it is one.
fn derivation_at(e: &Evaluator<'_>, path: &Path) -> Result<Option<StorePath>> {
    let path = path
        .to_str()
        .and_then(|path| path.parse::<StorePath>().ok());
    match path.filter(StorePath::is_derivation) {
        Some(path) if e.io().is_valid(&path)? => Ok(Some(path)),
        _ => Ok(None),
    }
}

fn imported_derivation<'e>(e: &mut Evaluator<'e>, path: &StorePath) -> Result<Value<'e>> {
    let derivation = e.io().read_derivation(path)?;
    let drv: &'e str = e.arena().alloc_str(&path.to_string());
    let mut names = Vec::new();
    let mut attrs = Vec::new();
    for (output, value) in &derivation.outputs {
        let element = ContextElement::Output {
            derivation: drv,
            output: e.arena().alloc_str(output),
        };
        let path = e.string_of(value.path.to_string(), element);
        attrs.push(e.attr(output.as_bytes(), path));
        names.push(e.string(output));
    }
    let name = derivation
        .env("name")
        .map_or(&b""[..], |name| name.as_ref());
    attrs.push(e.attr(
        b"drvPath",
        e.string_of(drv, ContextElement::AllOutputs(drv)),
    ));
    attrs.push(e.attr(b"name", e.string(name)));
    attrs.push(e.attr(b"outputs", e.list(&names)));
    let attrs = e.attrs(attrs);
    let text = Text {
        origin: Origin::Internal("«imported derivation»"),
        bytes: IMPORTED,
        base: b"/",
        library: true,
    };
    let function = e.evaluate_text(text, None)?;
    e.call(function, &[attrs])
}
