//! `e.a.b`, with and without a default, and `e ? a.b`.

use crate::code::{PathName, Select, SelectPath};
use crate::environment::Environment;
use crate::error::{EvalError, Result};
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::symbol::Symbol;
use crate::value::Value;

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
        let slot = if let Some((shape, slots)) = attrs.single_layer() {
            match select.cache.get() {
                Some((cached, index)) if std::ptr::eq(cached, shape) => slots.get(index as usize),
                _ => shape.index_of(select.name).and_then(|index| {
                    select
                        .cache
                        .set(u32::try_from(index).ok().map(|index| (shape, index)));
                    slots.get(index)
                }),
            }
        } else {
            attrs.slot(select.name)
        };
        let Some(slot) = slot else {
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
