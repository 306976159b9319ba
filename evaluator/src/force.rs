//! Forcing: from thunks to values, and to values of a wanted type.

use std::collections::HashSet;

use crate::attrs::Attrs;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::string::NixString;
use crate::symbol::Symbol;
use crate::value::{Generator, GeneratorKind, List, Slot, Value};

impl<'e> Evaluator<'e> {
    /// The value itself: never a `Thunk`. What it contains may still be thunks.
    ///
    /// # Errors
    /// Whatever its computation meets.
    #[inline]
    pub fn force(&mut self, value: Value<'e>) -> Result<Value<'e>> {
        match value {
            Value::Thunk(slot) => self.force_slot(slot),
            value => Ok(value),
        }
    }

    /// The value of a slot, which is written into it.
    pub(crate) fn force_slot(&mut self, slot: &'e Slot<'e>) -> Result<Value<'e>> {
        let state = slot.state();
        let result = match state {
            Value::Suspended(suspension) => {
                slot.set(Value::Blackhole);
                self.statistics.forced += 1;
                self.eval(suspension.code, suspension.environment)
            }
            Value::Generated(generator) => {
                slot.set(Value::Blackhole);
                self.statistics.forced += 1;
                self.generate(generator, slot)
            }
            Value::Thunk(other) => match self.check_stack() {
                Ok(()) => self.force_slot(other),
                Err(error) => Err(error),
            },
            Value::Blackhole => return Err(infinite_recursion()),
            value => return Ok(value),
        };
        match &result {
            Ok(value) => slot.set(*value),
            // It may be forced again after `tryEval`.
            Err(_) => slot.set(state),
        }
        result
    }

    fn generate(&mut self, generator: &Generator<'e>, slot: &Slot<'e>) -> Result<Value<'e>> {
        self.check_stack()?;
        let index = generator.index_of(slot);
        let item = |slots: &'e [Slot<'e>]| slots.get(index).map_or(Value::Null, Slot::value);
        match generator.kind {
            GeneratorKind::Map { function, items } => self.call(function, &[item(items)]),
            GeneratorKind::GenList { function } => {
                let index = i64::try_from(index).unwrap_or(i64::MAX);
                self.call(function, &[Value::Int(index)])
            }
            GeneratorKind::MapAttrs { function, attrs } => {
                let flat = attrs.flat(self.arena);
                let name = flat.shape().names().get(index).copied();
                let name = name.map_or(Value::Null, |name| self.symbol_string(name));
                self.call(function, &[name, item(flat.slots())])
            }
            GeneratorKind::Call {
                function: Value::Builtin(call),
                arguments: [],
            } => {
                let value = (call.builtin.function)(self, &[], Place::NONE)?;
                self.force(value)
            }
            GeneratorKind::Call {
                function,
                arguments,
            } => self.call(function, arguments),
        }
    }

    /// Forces the value and everything in it.
    ///
    /// # Errors
    /// Whatever a computation meets.
    pub fn force_deep(&mut self, value: Value<'e>) -> Result<Value<'e>> {
        self.force_deep_below(value, &mut HashSet::new())
    }

    fn force_deep_below(
        &mut self,
        value: Value<'e>,
        seen: &mut HashSet<usize>,
    ) -> Result<Value<'e>> {
        self.check_stack()?;
        let value = self.force(value)?;
        match value {
            Value::List(list) if seen.insert(std::ptr::from_ref(list).addr()) => {
                for (index, item) in list.iter().enumerate() {
                    self.force_deep_below(item, seen).while_(
                        || format!("while evaluating element {index} of a list"),
                        Place::NONE,
                    )?;
                }
            }
            Value::Attrs(attrs) if seen.insert(std::ptr::from_ref(attrs).addr()) => {
                for (name, item) in self.sorted(attrs) {
                    if let Err(error) = self.force_deep_below(item, seen) {
                        return Err(self.attribute_frame(error, attrs, name));
                    }
                }
            }
            _ => {}
        }
        Ok(value)
    }

    /// Says of a failure that it came from an attribute of this set.
    #[cold]
    pub fn attribute_frame(&self, error: EvalError, attrs: &Attrs<'e>, name: Symbol) -> EvalError {
        let place = attrs.position(name).map_or(Place::NONE, Place::at);
        error.frame(
            format!("while evaluating the attribute '{}'", self.name_text(name)),
            place,
        )
    }

    // ---- Forced and of a type; `what` completes "while evaluating …" ----

    /// An integer.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    pub fn expect_int(&mut self, value: Value<'e>, what: &str) -> Result<i64> {
        match self.force_for(value, what)? {
            Value::Int(number) => Ok(number),
            other => Err(unexpected(other, "an integer", what)),
        }
    }

    /// A float, or an integer as one.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    #[expect(clippy::cast_precision_loss, reason = "the language converts so")]
    pub fn expect_float(&mut self, value: Value<'e>, what: &str) -> Result<f64> {
        match self.force_for(value, what)? {
            Value::Int(number) => Ok(number as f64),
            Value::Float(number) => Ok(number.get()),
            other => Err(unexpected(other, "a float", what)),
        }
    }

    /// A Boolean.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    pub fn expect_bool(&mut self, value: Value<'e>, what: &str) -> Result<bool> {
        match self.force_for(value, what)? {
            Value::Bool(truth) => Ok(truth.into()),
            other => Err(unexpected(other, "a Boolean", what)),
        }
    }

    /// A string with its context; nothing is coerced.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    pub fn expect_string(&mut self, value: Value<'e>, what: &str) -> Result<&'e NixString<'e>> {
        match self.force_for(value, what)? {
            Value::String(string) => Ok(string),
            other => Err(unexpected(other, "a string", what)),
        }
    }

    /// The bytes of a string without context.
    ///
    /// # Errors
    /// It is something else, has a context, or cannot be computed.
    pub fn expect_plain_string(&mut self, value: Value<'e>, what: &str) -> Result<&'e [u8]> {
        let string = self.expect_string(value, what)?;
        let Some(first) = string.context().first() else {
            return Ok(string.bytes());
        };
        Err(EvalError::eval(format!(
            "the string '{}' is not allowed to refer to a store path (such as '{}')",
            String::from_utf8_lossy(string.bytes()),
            first.path()
        ))
        .frame(format!("while evaluating {what}"), Place::NONE))
    }

    /// A list.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    pub fn expect_list(&mut self, value: Value<'e>, what: &str) -> Result<&'e List<'e>> {
        match self.force_for(value, what)? {
            Value::List(list) => Ok(list),
            other => Err(unexpected(other, "a list", what)),
        }
    }

    /// An attribute set.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    pub fn expect_attrs(&mut self, value: Value<'e>, what: &str) -> Result<&'e Attrs<'e>> {
        match self.force_for(value, what)? {
            Value::Attrs(attrs) => Ok(attrs),
            other => Err(unexpected(other, "a set", what)),
        }
    }

    /// Something that can be called.
    ///
    /// # Errors
    /// It is something else, or cannot be computed.
    pub fn expect_function(&mut self, value: Value<'e>, what: &str) -> Result<Value<'e>> {
        match self.force_for(value, what)? {
            value @ (Value::Lambda(_) | Value::Builtin(_)) => Ok(value),
            value @ Value::Attrs(attrs) if attrs.get(crate::known::FUNCTOR).is_some() => Ok(value),
            other => Err(unexpected(other, "a function", what)),
        }
    }

    fn force_for(&mut self, value: Value<'e>, what: &str) -> Result<Value<'e>> {
        match value {
            Value::Thunk(_) if what.is_empty() => self.force(value),
            Value::Thunk(_) => self
                .force(value)
                .while_(|| format!("while evaluating {what}"), Place::NONE),
            value => Ok(value),
        }
    }

    /// An attribute that must be there, unforced; `what` names the set.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`]
    pub fn required(&self, attrs: &'e Attrs<'e>, name: Symbol, what: &str) -> Result<Value<'e>> {
        attrs.get(name).ok_or_else(|| {
            let error = self.missing_attribute(attrs, name);
            if what.is_empty() {
                error
            } else {
                error.frame(format!("in {what}"), Place::NONE)
            }
        })
    }

    /// `attribute 'x' missing`, with the names that are nearest.
    #[cold]
    pub(crate) fn missing_attribute(&self, attrs: &'e Attrs<'e>, name: Symbol) -> EvalError {
        let error = EvalError::new(
            ErrorKind::Missing,
            format!("attribute '{}' missing", self.name_text(name)),
        );
        let names = attrs
            .flat(self.arena)
            .shape()
            .names()
            .iter()
            .map(|name| self.name(*name));
        self.suggest(error, self.name(name), names)
    }

    /// Adds `did you mean …?` with those of `candidates` that are like `wanted`.
    #[cold]
    pub fn suggest<'a>(
        &self,
        error: EvalError,
        wanted: &[u8],
        candidates: impl Iterator<Item = &'a [u8]>,
    ) -> EvalError {
        match crate::suggest::did_you_mean(wanted, candidates) {
            Some(hint) => error.note(hint),
            None => error,
        }
    }
}

#[cold]
fn unexpected(value: Value<'_>, expected: &str, what: &str) -> EvalError {
    let error = EvalError::type_error(format!(
        "value is {} while {expected} was expected",
        value.describe()
    ));
    if what.is_empty() {
        error
    } else {
        error.frame(format!("while evaluating {what}"), Place::NONE)
    }
}

#[cold]
fn infinite_recursion() -> EvalError {
    EvalError::new(
        ErrorKind::InfiniteRecursion,
        "infinite recursion encountered",
    )
}
