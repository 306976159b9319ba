//! `==` and `<`.

use std::cmp::Ordering;

use crate::attrs::Attrs;
use crate::error::{EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::source::Place;
use crate::value::Value;

impl<'e> Evaluator<'e> {
    /// Whether two values are equal. Functions are equal to nothing, except that one and the same
    /// function is equal to itself inside of lists and sets; derivations are compared by `outPath`.
    ///
    /// # Errors
    /// Whatever computing them meets.
    pub fn equal(&mut self, left: Value<'e>, right: Value<'e>) -> Result<bool> {
        let left = self.force(left)?;
        let right = self.force(right)?;
        #[expect(clippy::cast_precision_loss, reason = "the language compares so")]
        #[expect(clippy::float_cmp, reason = "the language compares exactly")]
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Int(left), Value::Int(right)) => left == right,
            (Value::Float(left), Value::Float(right)) => left.get() == right.get(),
            (Value::Int(left), Value::Float(right)) => left as f64 == right.get(),
            (Value::Float(left), Value::Int(right)) => left.get() == right as f64,
            (Value::String(left), Value::String(right)) => left.bytes() == right.bytes(),
            (Value::Path(left), Value::Path(right)) => left.bytes() == right.bytes(),
            (Value::List(left), Value::List(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                self.check_stack()?;
                for (index, (left, right)) in left.iter().zip(right.iter()).enumerate() {
                    let equal = self.equal_within(left, right).while_(
                        || format!("while comparing element {index} of two lists"),
                        Place::NONE,
                    )?;
                    if !equal {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Attrs(left), Value::Attrs(right)) => {
                self.check_stack()?;
                self.equal_sets(left, right)?
            }
            _ => false,
        })
    }

    /// Like [`Evaluator::equal`] for values inside of others, where a function is equal to itself.
    pub(crate) fn equal_within(&mut self, left: Value<'e>, right: Value<'e>) -> Result<bool> {
        let left = self.force(left)?;
        let right = self.force(right)?;
        match (left, right) {
            (Value::Lambda(left), Value::Lambda(right)) => Ok(std::ptr::eq(left, right)),
            (Value::Builtin(left), Value::Builtin(right)) => Ok(std::ptr::eq(left, right)),
            _ => self.equal(left, right),
        }
    }

    fn equal_sets(&mut self, left: &'e Attrs<'e>, right: &'e Attrs<'e>) -> Result<bool> {
        if self.is_derivation(left)?
            && self.is_derivation(right)?
            && let Some(left) = left.get(known::OUT_PATH)
            && let Some(right) = right.get(known::OUT_PATH)
        {
            return self.equal(left, right);
        }
        let (left_all, right_all) = (left.flat(self.arena), right.flat(self.arena));
        if left_all.shape().names().len() != right_all.shape().names().len() {
            return Ok(false);
        }
        // One after the other, in the order of symbols, as Nix does: an error of a value before the first name that
        // differs counts.
        for ((name, one), (other_name, other)) in left_all.iter().zip(right_all.iter()) {
            if name != other_name {
                return Ok(false);
            }
            match self.equal_within(one, other) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.attribute_frame(error, left, name)),
            }
        }
        Ok(true)
    }

    /// Whether a set says that it is a derivation.
    ///
    /// # Errors
    /// Whatever computing its `type` meets.
    pub fn is_derivation(&mut self, attrs: &'e Attrs<'e>) -> Result<bool> {
        let Some(kind) = attrs.get(known::TYPE) else {
            return Ok(false);
        };
        let kind = self.force(kind)?;
        Ok(matches!(kind, Value::String(kind) if kind.bytes() == b"derivation"))
    }

    /// Whether `left` comes before `right`: numbers, strings, paths, and lists of such.
    ///
    /// # Errors
    /// They cannot be compared, or computing them fails.
    #[expect(clippy::cast_precision_loss, reason = "the language compares so")]
    pub fn less_than(&mut self, left: Value<'e>, right: Value<'e>) -> Result<bool> {
        let left = self.force(left)?;
        let right = self.force(right)?;
        Ok(match (left, right) {
            (Value::Int(left), Value::Int(right)) => left < right,
            (Value::Float(left), Value::Float(right)) => left.get() < right.get(),
            (Value::Int(left), Value::Float(right)) => (left as f64) < right.get(),
            (Value::Float(left), Value::Int(right)) => left.get() < right as f64,
            (Value::String(left), Value::String(right)) => {
                left.bytes().cmp(right.bytes()) == Ordering::Less
            }
            (Value::Path(left), Value::Path(right)) => {
                left.bytes().cmp(right.bytes()) == Ordering::Less
            }
            (Value::List(left), Value::List(right)) => {
                self.check_stack()?;
                let mut rest = right.iter();
                for one in left.iter() {
                    let Some(other) = rest.next() else {
                        return Ok(false);
                    };
                    if !self.equal_within(one, other)? {
                        return self.less_than(one, other);
                    }
                }
                rest.next().is_some()
            }
            (left, right) => {
                let (left, right) = (left.describe(), right.describe());
                let text = if left == right {
                    format!(
                        "cannot compare {left} with {right}; values of that type are incomparable"
                    )
                } else {
                    format!("cannot compare {left} with {right}")
                };
                return Err(EvalError::type_error(text));
            }
        })
    }
}
