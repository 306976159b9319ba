//! Operators, some of which are calls of variables that a program may bind itself.

use super::Lowering;
use crate::ast::{self, Expr};
use crate::code::{Binary, Call, Code, Delayed, Operator, Unary};
use crate::error::Result;
use crate::known;
use crate::source::Place;
use crate::symbol::Symbol;
use crate::value::Value;

impl<'e> Lowering<'_, 'e> {
    pub(super) fn negate(&mut self, operand: &Expr<'_>, place: Place) -> Result<Code<'e>> {
        let right_place = self.place(operand.span);
        let operand = self.expr(operand, None)?;
        if !self.scopes.binds(known::SUB) {
            if let Code::Constant(Value::Int(number)) = operand
                && let Some(negative) = number.checked_neg()
            {
                return Ok(self.constant(Value::Int(negative)));
            }
            let left = self.constant(Value::Int(0));
            return Ok(Code::Binary(self.alloc(Binary {
                operator: Operator::Subtract,
                left,
                right: operand,
                place,
                left_place: place,
                right_place,
            })));
        }
        let function = self.variable(known::SUB, place)?;
        let operand = self.delay(operand, false);
        let arguments = self.slice(vec![Delayed::Constant(Value::Int(0)), operand]);
        Ok(Code::Call(self.alloc(Call {
            function,
            arguments,
            place,
        })))
    }

    pub(super) fn binary(
        &mut self,
        operator: ast::Operator,
        operator_place: Place,
        left: &Expr<'_>,
        right: &Expr<'_>,
        place: Place,
    ) -> Result<Code<'e>> {
        let (lowered, variable, swapped, negated) = meaning(operator);
        let (left_place, right_place) = (self.place(left.span), self.place(right.span));
        if let Some(variable) = variable
            && self.scopes.binds(variable)
        {
            let function = self.variable(variable, operator_place)?;
            let (first, second) = if swapped {
                (right, left)
            } else {
                (left, right)
            };
            let first = self.delayed(first, None, false)?;
            let second = self.delayed(second, None, false)?;
            let arguments = self.slice(vec![first, second]);
            let call = Code::Call(self.alloc(Call {
                function,
                arguments,
                place,
            }));
            if negated {
                return Ok(Code::Not(self.alloc(Unary {
                    operand: call,
                    place,
                })));
            }
            return Ok(call);
        }
        let left = self.expr(left, None)?;
        let right = self.expr(right, None)?;
        Ok(Code::Binary(self.alloc(Binary {
            operator: lowered,
            left,
            right,
            place: operator_place,
            left_place,
            right_place,
        })))
    }
}

/// What an operator is: itself, or a call of a variable with the operands swapped, and negated.
fn meaning(operator: ast::Operator) -> (Operator, Option<Symbol>, bool, bool) {
    let less = Some(known::LESS_THAN);
    match operator {
        ast::Operator::Implies => (Operator::Implies, None, false, false),
        ast::Operator::Or => (Operator::Or, None, false, false),
        ast::Operator::And => (Operator::And, None, false, false),
        ast::Operator::Equal => (Operator::Equal, None, false, false),
        ast::Operator::NotEqual => (Operator::NotEqual, None, false, false),
        ast::Operator::Less => (Operator::Less, less, false, false),
        ast::Operator::LessOrEqual => (Operator::LessOrEqual, less, true, true),
        ast::Operator::Greater => (Operator::Greater, less, true, false),
        ast::Operator::GreaterOrEqual => (Operator::GreaterOrEqual, less, false, true),
        ast::Operator::Update => (Operator::Update, None, false, false),
        ast::Operator::Add => (Operator::Add, None, false, false),
        ast::Operator::Subtract => (Operator::Subtract, Some(known::SUB), false, false),
        ast::Operator::Multiply => (Operator::Multiply, Some(known::MUL), false, false),
        ast::Operator::Divide => (Operator::Divide, Some(known::DIV), false, false),
        ast::Operator::Concatenate => (Operator::Concatenate, None, false, false),
    }
}
