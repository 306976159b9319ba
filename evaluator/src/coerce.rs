//! Values as text and as paths.

use std::fmt::Write as _;

use cairn_store_path::Method;

use crate::attrs::Attrs;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::io::{IoFailure, Source, path_of};
use crate::known;
use crate::source::Place;
use crate::string::{ContextBuilder, ContextElement, NixPath, NixString, canonical_path};
use crate::value::{List, Truth, Value};

/// What may become a string, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// Strings, paths and sets that are like strings; paths stay where they are.
    Strict,
    /// The same, but paths are copied to the store: `"${x}"`.
    Copying,
    /// Also null, Booleans, numbers and lists; paths stay where they are: `toString`.
    Everything,
    /// Also null, Booleans, numbers and lists; paths are copied: attributes of derivations.
    EverythingCopying,
}

impl Coercion {
    fn copies(self) -> bool {
        matches!(self, Self::Copying | Self::EverythingCopying)
    }

    fn everything(self) -> bool {
        matches!(self, Self::Everything | Self::EverythingCopying)
    }
}

impl<'e> Evaluator<'e> {
    /// The value as a string with context.
    ///
    /// # Errors
    /// `cannot coerce … to a string`, a path that cannot be copied, or whatever computing it meets.
    pub fn coerce_to_string(
        &mut self,
        value: Value<'e>,
        coercion: Coercion,
    ) -> Result<&'e NixString<'e>> {
        let value = self.force(value)?;
        let made = match value {
            Value::String(string) => return Ok(string),
            Value::Path(path) if coercion.copies() => self.copy_to_store(path)?,
            Value::Path(path) => self.arena_string(path.bytes()),
            Value::Attrs(attrs) => {
                return self.as_call(|e| e.text_of_set(attrs, coercion));
            }
            Value::Null | Value::Bool(Truth::False) if coercion.everything() => self.string(b""),
            Value::Bool(Truth::True) if coercion.everything() => self.string(b"1"),
            Value::Int(number) if coercion.everything() => self.string(number.to_string()),
            Value::Float(number) if coercion.everything() => {
                self.string(float_as_text(number.get()))
            }
            Value::List(list) if coercion.everything() => self.join(list, coercion)?,
            other => return Err(self.cannot_coerce(other)),
        };
        match made {
            Value::String(string) => Ok(string),
            _ => Err(EvalError::eval(
                "internal error: a coerced value is no string",
            )),
        }
    }

    /// What a set with `__toString` or `outPath` stands for as a string.
    fn text_of_set(
        &mut self,
        attrs: &'e Attrs<'e>,
        coercion: Coercion,
    ) -> Result<&'e NixString<'e>> {
        let itself = Value::Attrs(attrs);
        if let Some(function) = attrs.get(known::TO_STRING) {
            let text = self.call(function, &[itself]).while_(
                || "while calling the '__toString' attribute of a set".to_owned(),
                Place::NONE,
            )?;
            return self.coerce_to_string(text, coercion);
        }
        match attrs.get(known::OUT_PATH) {
            Some(path) => self.coerce_to_string(path, coercion),
            None => Err(self.cannot_coerce(itself)),
        }
    }

    #[cold]
    fn cannot_coerce(&self, value: Value<'e>) -> EvalError {
        let error =
            EvalError::type_error(format!("cannot coerce {} to a string", value.describe()));
        error.note(format!("the value is {}", self.describe_briefly(value)))
    }

    /// The elements with spaces between them, as derivations have lists.
    fn join(&mut self, list: &'e List<'e>, coercion: Coercion) -> Result<Value<'e>> {
        self.check_stack()?;
        let mut bytes = Vec::new();
        let mut context = ContextBuilder::new();
        for (index, item) in list.iter().enumerate() {
            let item = self.force(item)?;
            let text = self.coerce_to_string(item, coercion).while_(
                || format!("while evaluating element {index} of a list"),
                Place::NONE,
            )?;
            self.check_memory(bytes.len() + text.bytes().len())?;
            bytes.extend_from_slice(text.bytes());
            context.add(text);
            // An empty list leaves no space behind it: an old habit that names depend on.
            let empty = matches!(item, Value::List(list) if list.is_empty());
            if index + 1 < list.len() && !empty {
                bytes.push(b' ');
            }
        }
        Ok(self.string_with(bytes, context))
    }

    /// The absolute path that a value stands for, and what it depends on.
    ///
    /// # Errors
    /// It is neither a path nor a string that begins with `/`, or computing it fails.
    pub fn coerce_to_path(
        &mut self,
        value: Value<'e>,
    ) -> Result<(&'e NixPath<'e>, &'e [ContextElement<'e>])> {
        let value = self.force(value)?;
        if let Value::Path(path) = value {
            return Ok((path, &[]));
        }
        let string = self.coerce_to_string(value, Coercion::Strict)?;
        if string.bytes().first() != Some(&b'/') {
            return Err(EvalError::eval(format!(
                "string '{}' doesn't represent an absolute path",
                String::from_utf8_lossy(string.bytes())
            )));
        }
        match self.path(canonical_path(string.bytes())) {
            Value::Path(path) => Ok((path, string.context())),
            _ => Err(EvalError::eval("internal error: a path value is no path")),
        }
    }

    /// The store path of a copy of what is at `path`, as a string with its context.
    ///
    /// # Errors
    /// It cannot be read, its name cannot be that of a store object, or the store refuses it.
    pub fn copy_to_store(&mut self, path: &NixPath<'e>) -> Result<Value<'e>> {
        let name = path
            .bytes()
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        let shown = String::from_utf8_lossy(path.bytes()).into_owned();
        let name = std::str::from_utf8(name).map_err(|_| {
            EvalError::eval(format!(
                "the name of '{shown}' cannot be that of a store object"
            ))
        })?;
        if name.as_bytes().ends_with(b".drv") {
            return Err(EvalError::eval(format!(
                "file names are not allowed to end in '.drv': '{shown}'"
            )));
        }
        let source = Source {
            name,
            path: path_of(path.bytes()),
            method: Method::Recursive,
            expected: None,
        };
        let copied = self.io.add_path(&source, None)?.to_string();
        let text: &'e str = self.arena.alloc_str(&copied);
        Ok(self.string_of(text, ContextElement::Path(text)))
    }

    /// A value in few words for messages: its type, and the value itself where it is short.
    #[must_use]
    pub fn describe_briefly(&self, value: Value<'e>) -> String {
        let shown = match value {
            Value::Bool(truth) => bool::from(truth).to_string(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.get().to_string(),
            Value::String(string) => {
                let bytes = string.bytes();
                let start = String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).into_owned();
                format!("{start:?}{}", if bytes.len() > 40 { "…" } else { "" })
            }
            Value::Path(path) => String::from_utf8_lossy(path.bytes()).into_owned(),
            Value::Attrs(attrs) => return self.describe_set(attrs),
            Value::List(list) if list.is_empty() => "[ ]".to_owned(),
            Value::List(list) => return format!("a list of {} elements", list.len()),
            Value::Lambda(closure) => match closure.lambda.name {
                Some(name) => return format!("a function ('{}')", self.name_text(name)),
                None => return "a function".to_owned(),
            },
            Value::Builtin(call) => {
                return format!("the built-in function '{}'", call.builtin.name);
            }
            other => return other.describe().to_owned(),
        };
        format!("{}: {shown}", value.describe())
    }

    fn describe_set(&self, attrs: &'e Attrs<'e>) -> String {
        let mut text = "a set".to_owned();
        let names: Vec<_> = self.sorted(attrs).map(|(name, _)| name).take(4).collect();
        if names.is_empty() {
            return text;
        }
        text.push_str(": {");
        for name in names.iter().take(3) {
            // Writing to a string cannot fail.
            if write!(text, " {} = …;", self.name_text(*name)).is_err() {
                break;
            }
        }
        text.push_str(if names.len() > 3 { " … }" } else { " }" });
        text
    }
}

/// A float as `toString` has it: six digits behind the point.
#[must_use]
pub fn float_as_text(number: f64) -> String {
    if number.is_nan() {
        return if number.is_sign_negative() {
            "-nan"
        } else {
            "nan"
        }
        .to_owned();
    }
    format!("{number:.6}")
}

impl From<IoFailure> for EvalError {
    fn from(failure: IoFailure) -> Self {
        Self::new(ErrorKind::Io, failure.message)
    }
}
