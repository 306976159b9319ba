//! Operators, and strings and paths with interpolation.

use crate::code::{Binary, Interpolation, Operator, Part};
use crate::coerce::Coercion;
use crate::environment::Environment;
use crate::error::{EvalError, Result, Traced as _};
use crate::eval::wrong_type;
use crate::evaluator::Evaluator;
use crate::source::Place;
use crate::string::{ContextBuilder, NixString, canonical_path};
use crate::value::{List, Slot, Truth, Value};

impl<'e> Evaluator<'e> {
    pub(crate) fn binary(
        &mut self,
        binary: &'e Binary<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let left = self.eval(&binary.left, environment)?;
        match (binary.operator, left) {
            (Operator::And, Value::Bool(Truth::False)) => return Ok(Value::bool(false)),
            (Operator::Or, Value::Bool(Truth::True))
            | (Operator::Implies, Value::Bool(Truth::False)) => {
                return Ok(Value::bool(true));
            }
            (Operator::And | Operator::Or | Operator::Implies, Value::Bool(_)) => {
                return match self.eval(&binary.right, environment)? {
                    value @ Value::Bool(_) => Ok(value),
                    other => Err(operand(other, "a Boolean", binary, binary.right_place)),
                };
            }
            (Operator::And | Operator::Or | Operator::Implies, other) => {
                return Err(operand(other, "a Boolean", binary, binary.left_place));
            }
            _ => {}
        }
        // A wrong left operand is reported before the right one is computed, where only sets or
        // lists will do.
        match binary.operator {
            Operator::Update if !matches!(left, Value::Attrs(_)) => {
                return Err(operand(left, "a set", binary, binary.left_place));
            }
            Operator::Concatenate if !matches!(left, Value::List(_)) => {
                return Err(operand(left, "a list", binary, binary.left_place));
            }
            _ => {}
        }
        let right = self.eval(&binary.right, environment)?;
        match (binary.operator, left, right) {
            (Operator::Add, Value::Int(left), Value::Int(right)) => match left.checked_add(right) {
                Some(sum) => Ok(Value::Int(sum)),
                None => Err(overflow("adding", left, '+', right).at(binary.place)),
            },
            (Operator::Subtract, Value::Int(left), Value::Int(right)) => {
                match left.checked_sub(right) {
                    Some(difference) => Ok(Value::Int(difference)),
                    None => Err(overflow("subtracting", left, '-', right).at(binary.place)),
                }
            }
            (Operator::Less, Value::Int(left), Value::Int(right)) => Ok(Value::bool(left < right)),
            _ => self.binary_slow(binary, left, right),
        }
    }

    #[inline(never)]
    fn binary_slow(
        &mut self,
        binary: &'e Binary<'e>,
        left: Value<'e>,
        right: Value<'e>,
    ) -> Result<Value<'e>> {
        let result = match binary.operator {
            Operator::Equal => self.equal(left, right).map(Value::bool),
            Operator::NotEqual => self.equal(left, right).map(|equal| Value::bool(!equal)),
            Operator::Less => self.less_than(left, right).map(Value::bool),
            Operator::Greater => self.less_than(right, left).map(Value::bool),
            Operator::LessOrEqual => self.less_than(right, left).map(|less| Value::bool(!less)),
            Operator::GreaterOrEqual => self.less_than(left, right).map(|less| Value::bool(!less)),
            Operator::Add => self.add(left, right),
            Operator::Subtract | Operator::Multiply | Operator::Divide => {
                self.arithmetic(binary.operator, left, right)
            }
            Operator::Update => match (left, right) {
                (Value::Attrs(left), Value::Attrs(right)) => {
                    self.check_memory(0)?;
                    Ok(Value::Attrs(left.update(right, self.arena)))
                }
                (_, other) => Err(operand(other, "a set", binary, binary.right_place)),
            },
            Operator::Concatenate => match (left, right) {
                (Value::List(left), Value::List(right)) => self.concatenate(left, right),
                (_, other) => Err(operand(other, "a list", binary, binary.right_place)),
            },
            Operator::And | Operator::Or | Operator::Implies => {
                Err(EvalError::eval("internal error: a Boolean operator"))
            }
        };
        result.at(binary.place)
    }

    fn concatenate(&self, left: &'e List<'e>, right: &'e List<'e>) -> Result<Value<'e>> {
        let count = left.len().saturating_add(right.len());
        self.check_memory(count.saturating_mul(size_of::<Slot<'_>>()))?;
        Ok(Value::List(List::sum(left, right, self.arena)))
    }

    /// `left + right` of forced values, where the left one decides what addition means.
    ///
    /// # Errors
    /// They cannot be added.
    pub fn add(&mut self, left: Value<'e>, right: Value<'e>) -> Result<Value<'e>> {
        #[expect(clippy::cast_precision_loss, reason = "the language converts so")]
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => left
                .checked_add(right)
                .map(Value::Int)
                .ok_or_else(|| overflow("adding", left, '+', right)),
            (Value::Float(left), Value::Float(right)) => Ok(Value::float(left.get() + right.get())),
            (Value::Int(left), Value::Float(right)) => Ok(Value::float(left as f64 + right.get())),
            (Value::Float(left), Value::Int(right)) => Ok(Value::float(left.get() + right as f64)),
            (Value::Int(_) | Value::Float(_), other) => Err(EvalError::type_error(format!(
                "cannot add {} to {}",
                other.describe(),
                left.describe()
            ))
            .note(format!("the value is {}", self.describe_briefly(other)))),
            (Value::Path(path), other) => {
                let end = self.coerce_to_string(other, Coercion::Strict)?;
                if end.has_context() {
                    return Err(appended_store_path());
                }
                let mut bytes = path.bytes().to_vec();
                bytes.extend_from_slice(end.bytes());
                Ok(self.path(canonical_path(&bytes)))
            }
            (left, right) => {
                let coercion = if matches!(left, Value::String(_)) {
                    Coercion::Copying
                } else {
                    Coercion::Strict
                };
                let left = self.coerce_to_string(left, coercion)?;
                let right = self.coerce_to_string(right, coercion)?;
                self.check_memory(left.len().saturating_add(right.len()))?;
                Ok(Value::String(NixString::sum(left, right, self.arena)))
            }
        }
    }

    /// `-`, `*` and `/` of forced numbers.
    fn arithmetic(
        &mut self,
        operator: Operator,
        left: Value<'e>,
        right: Value<'e>,
    ) -> Result<Value<'e>> {
        if let (Value::Int(left), Value::Int(right)) = (left, right) {
            let (result, doing) = match operator {
                Operator::Subtract => (left.checked_sub(right), "subtracting"),
                Operator::Multiply => (left.checked_mul(right), "multiplying"),
                _ if right == 0 => return Err(EvalError::eval("division by zero")),
                _ => (left.checked_div(right), "dividing"),
            };
            let sign = symbol(operator).chars().next().unwrap_or(' ');
            return result
                .map(Value::Int)
                .ok_or_else(|| overflow(doing, left, sign, right));
        }
        let one = self.expect_float(left, number_of(operator, true))?;
        let other = self.expect_float(right, number_of(operator, false))?;
        Ok(Value::float(match operator {
            Operator::Subtract => one - other,
            Operator::Multiply => one * other,
            _ if other == 0.0 => return Err(EvalError::eval("division by zero")),
            _ => one / other,
        }))
    }

    pub(crate) fn interpolation(
        &mut self,
        text: &'e Interpolation<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        /// Longer strings are not copied into the result.
        const LONG: usize = 1_024;
        let mut whole: Option<&'e NixString<'e>> = None;
        let mut bytes = Vec::new();
        let mut context = ContextBuilder::new();
        for part in text.parts {
            match part {
                Part::Literal(literal) => bytes.extend_from_slice(literal),
                Part::Expr(code, place) => {
                    let value = self.eval(code, environment)?;
                    let string = self.coerce_to_string(value, Coercion::Copying).at(*place)?;
                    let before = whole.map_or(0, NixString::len) + bytes.len();
                    self.check_memory(before.saturating_add(string.len()))?;
                    if string.len() < LONG {
                        bytes.extend_from_slice(string.bytes());
                        context.add(string);
                        continue;
                    }
                    let short = self.string_with(&bytes, std::mem::take(&mut context));
                    bytes.clear();
                    whole = self.appended(whole, short);
                    whole = self.appended(whole, Value::String(string));
                }
            }
        }
        let short = self.string_with(bytes, context);
        match self.appended(whole, short) {
            Some(whole) => Ok(Value::String(whole)),
            None => Ok(short),
        }
    }

    fn appended(
        &self,
        whole: Option<&'e NixString<'e>>,
        part: Value<'e>,
    ) -> Option<&'e NixString<'e>> {
        match (whole, part) {
            (Some(whole), Value::String(part)) => Some(NixString::sum(whole, part, self.arena)),
            (None, Value::String(part)) => Some(part),
            (whole, _) => whole,
        }
    }

    pub(crate) fn path_interpolation(
        &mut self,
        text: &'e Interpolation<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let mut bytes = Vec::new();
        for part in text.parts {
            match part {
                Part::Literal(literal) => bytes.extend_from_slice(literal),
                Part::Expr(code, place) => {
                    let value = self.eval(code, environment)?;
                    let string = self.coerce_to_string(value, Coercion::Strict).at(*place)?;
                    if string.has_context() && !text.parts.is_empty() {
                        return Err(appended_store_path().at(*place));
                    }
                    bytes.extend_from_slice(string.bytes());
                }
            }
        }
        Ok(self.path(canonical_path(&bytes)))
    }
}

#[cold]
fn appended_store_path() -> EvalError {
    EvalError::eval("a string that refers to a store path cannot be appended to a path")
}

#[cold]
fn overflow(doing: &str, left: i64, operator: char, right: i64) -> EvalError {
    EvalError::eval(format!(
        "integer overflow in {doing} {left} {operator} {right}"
    ))
}

fn number_of(operator: Operator, left: bool) -> &'static str {
    match (operator, left) {
        (Operator::Subtract, true) => "the first operand of the subtraction",
        (Operator::Subtract, false) => "the second operand of the subtraction",
        (Operator::Multiply, true) => "the first operand of the multiplication",
        (Operator::Multiply, false) => "the second operand of the multiplication",
        (_, true) => "the first operand of the division",
        (_, false) => "the second operand of the division",
    }
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Implies => "->",
        Operator::Or => "||",
        Operator::And => "&&",
        Operator::Equal => "==",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::Update => "//",
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Concatenate => "++",
    }
}

#[cold]
fn operand(value: Value<'_>, expected: &str, binary: &Binary<'_>, place: Place) -> EvalError {
    let side = if place == binary.left_place {
        "left"
    } else {
        "right"
    };
    wrong_type(value, expected).at(place).frame(
        format!(
            "in the {side} operand of the operator ({})",
            symbol(binary.operator)
        ),
        binary.place,
    )
}
