//! `e.a.b`, with and without a default, and `e ? a.b`.

use crate::attrs::Attrs;
use crate::code::{Code, PathName, Select, SelectPath};
use crate::environment::Environment;
use crate::error::{EvalError, Result};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::symbol::Symbol;
use crate::value::{Slot, Value};

impl<'e> Select<'e> {
    /// The slot of the attribute, with the place where it was last found.
    #[inline]
    fn slot_in(&self, attrs: &'e Attrs<'e>) -> Option<&'e Slot<'e>> {
        let Some((shape, slots)) = attrs.single_layer() else {
            return attrs.slot(self.name);
        };
        if let Some((cached, index)) = self.cache.get()
            && std::ptr::eq(cached, shape)
        {
            return slots.get(index as usize);
        }
        let index = shape.index_of(self.name)?;
        self.cache
            .set(u32::try_from(index).ok().map(|index| (shape, index)));
        slots.get(index)
    }
}

/// What `code` gives, if that needs no computation: variables and attributes that were computed
/// before.
pub(crate) fn at_hand<'e>(
    code: &'e Code<'e>,
    environment: &'e Environment<'e>,
) -> Option<Value<'e>> {
    let value = match *code {
        Code::Constant(value) => *value,
        Code::Local { index, .. } => environment.value(0, index)?,
        Code::Variable { depth, index, .. } => environment.value(depth, index)?,
        Code::Select(select) => match at_hand(&select.subject, environment)? {
            Value::Attrs(attrs) => select.slot_in(attrs)?.value(),
            _ => return None,
        },
        _ => return None,
    };
    value.is_plain().then_some(value)
}

impl<'e> Evaluator<'e> {
    pub(crate) fn select(
        &mut self,
        select: &'e Select<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let subject = self.eval(&select.subject, environment)?;
        let Value::Attrs(attrs) = subject else {
            return Err(self.not_a_set(subject, select.name, select.place));
        };
        let Some(slot) = select.slot_in(attrs) else {
            return Err(self.missing_attribute(attrs, select.name).at(select.place));
        };
        let mut result = self.force_slot(slot);
        if result.is_err() {
            result = result
                .map_err(|error| self.attribute_frame(error.at(select.place), attrs, select.name));
        }
        result
    }

    #[cold]
    fn not_a_set(&self, subject: Value<'e>, name: Symbol, place: Place) -> EvalError {
        EvalError::type_error(format!(
            "value is {} while a set was expected",
            subject.describe()
        ))
        .at(place)
        .frame(
            format!("while selecting the attribute '{}'", self.name_text(name)),
            place,
        )
    }

    /// `None` if an attribute is missing and there is a default.
    pub(crate) fn select_path(
        &mut self,
        select: &'e SelectPath<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Option<Value<'e>>> {
        let mut value = self.eval(&select.subject, environment)?;
        for step in select.path {
            let name = self.path_name(step, environment)?;
            let Value::Attrs(attrs) = value else {
                if select.default.is_some() {
                    return Ok(None);
                }
                return Err(self.not_a_set(value, name, step.place()));
            };
            let Some(slot) = attrs.slot(name) else {
                if select.default.is_some() {
                    return Ok(None);
                }
                return Err(self.missing_attribute(attrs, name).at(step.place()));
            };
            value = self
                .force_slot(slot)
                .map_err(|error| self.attribute_frame(error.at(step.place()), attrs, name))?;
        }
        Ok(Some(value))
    }

    pub(crate) fn has_attr(
        &mut self,
        path: &'e SelectPath<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let mut value = self.eval(&path.subject, environment)?;
        let mut steps = path.path.iter().peekable();
        while let Some(step) = steps.next() {
            let name = self.path_name(step, environment)?;
            let Value::Attrs(attrs) = value else {
                return Ok(Value::bool(false));
            };
            let Some(slot) = attrs.slot(name) else {
                return Ok(Value::bool(false));
            };
            if steps.peek().is_some() {
                value = self.force_slot(slot)?;
            }
        }
        Ok(Value::bool(true))
    }

    fn path_name(
        &mut self,
        name: &'e PathName<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Symbol> {
        match name {
            PathName::Fixed(name, _) => Ok(*name),
            PathName::Dynamic(code, place) => {
                let value = self.eval(code, environment)?;
                let name = self
                    .expect_plain_string(value, "an attribute name")
                    .map_err(|error| error.at(*place))?;
                Ok(self.intern(name))
            }
        }
    }
}
