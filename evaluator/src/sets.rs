//! Sets: their slots, dynamic attributes, `__overrides`, and where an attribute stands.

use crate::attrs::{Attr, Attrs};
use crate::code::{AttrsCode, SetScope};
use crate::environment::Environment;
use crate::error::{EvalError, Result, Traced as _};
use crate::eval::no_slot;
use crate::evaluator::Evaluator;
use crate::known;
use crate::source::Position;
use crate::value::{Slot, Value};

impl<'e> Evaluator<'e> {
    pub(crate) fn set(
        &mut self,
        set: &'e AttrsCode<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let count = set.shape.names().len();
        let (inner, slots): (&'e Environment<'e>, &'e [Slot<'e>]) = match set.scope {
            SetScope::Outer => {
                let slots = set
                    .values
                    .iter()
                    .map(|value| Slot::new(self.delay(value, environment)));
                (environment, self.arena.alloc_slice_fill_iter(slots))
            }
            SetScope::Recursive => {
                let inner = self.scope(set.values, environment);
                (inner, inner.slots.get(..count).unwrap_or_default())
            }
            SetScope::Sources => {
                let (values, sources) = set.values.split_at_checked(count).ok_or_else(no_slot)?;
                let inner = self.scope(sources, environment);
                let slots = values
                    .iter()
                    .map(|value| Slot::new(self.delay(value, inner)));
                (inner, self.arena.alloc_slice_fill_iter(slots))
            }
        };
        let mut attrs: &'e Attrs<'e> = self.arena.alloc(Attrs::new(set.shape, slots));
        if let Some(index) = set.overrides {
            attrs = self.overridden(set, attrs, inner, index)?;
        }
        if set.dynamic.is_empty() {
            return Ok(Value::Attrs(attrs));
        }
        self.with_dynamic(set, attrs, inner)
    }

    /// `rec { __overrides = …; }`: its attributes replace those of the set, for the set's own
    /// expressions too.
    #[cold]
    fn overridden(
        &mut self,
        set: &'e AttrsCode<'e>,
        attrs: &'e Attrs<'e>,
        inner: &'e Environment<'e>,
        index: u32,
    ) -> Result<&'e Attrs<'e>> {
        let overrides = inner.value(0, index).ok_or_else(no_slot)?;
        let overrides = self
            .expect_attrs(overrides, "the '__overrides' attribute")
            .map_err(|error| error.at(set.place))?;
        for (name, value) in overrides.flat(self.arena).iter() {
            if let Some(index) = set.shape.index_of(name)
                && let Some(slot) = inner.slots.get(index)
            {
                slot.set(value);
            }
        }
        Ok(attrs.update(overrides, self.arena))
    }

    fn with_dynamic(
        &mut self,
        set: &'e AttrsCode<'e>,
        attrs: &'e Attrs<'e>,
        inner: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let mut all: Vec<Attr<'e>> = attrs.flat(self.arena).entries().collect();
        let fixed = all.len();
        for attr in set.dynamic {
            let name = match self.eval(&attr.name, inner).at(attr.place)? {
                Value::Null => continue,
                value => self
                    .expect_plain_string(value, "the name of a dynamic attribute")
                    .at(attr.place)?,
            };
            let name = self.intern(name);
            let twice = attrs.position(name).or_else(|| {
                let earlier = all.iter().skip(fixed);
                earlier
                    .rev()
                    .find(|other| other.name == name)
                    .map(|other| other.position)
            });
            if let Some(first) = twice {
                return Err(EvalError::eval(format!(
                    "dynamic attribute '{}' already defined at {}",
                    self.name_text(name),
                    self.sources.describe(first)
                ))
                .at(attr.place));
            }
            let value = self.delay_apart(&attr.value, inner);
            all.push(Attr {
                name,
                position: attr.place.start,
                value,
            });
        }
        Ok(self.attrs(all))
    }

    /// A place as `unsafeGetAttrPos` and `__curPos` give it: null, or a set of file, line, column.
    #[must_use]
    pub fn position_value(&self, position: Position) -> Value<'e> {
        let Some(location) = self.sources.locate(position) else {
            return Value::Null;
        };
        let Some(file) = self.sources.file(position) else {
            return Value::Null;
        };
        let file = self.string(file);
        self.attrs(vec![
            Attr {
                name: known::FILE,
                position: Position::NONE,
                value: file,
            },
            Attr {
                name: known::LINE,
                position: Position::NONE,
                value: Value::Int(location.line.into()),
            },
            Attr {
                name: known::COLUMN,
                position: Position::NONE,
                value: Value::Int(location.column.into()),
            },
        ])
    }
}
