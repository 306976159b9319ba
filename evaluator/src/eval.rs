//! Evaluation of lowered code: a walk over the tree that gives forced values.

use crate::builtin::PartialCall;
use crate::call::builtin_failed;
use crate::code::{Call, Code, Delayed, FrameLet, If, Lambda, Parameters, WithScope, WithVariable};
use crate::environment::Environment;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::select::at_hand;
use crate::source::{Place, Position};
use crate::value::{Closure, Slot, Suspension, Truth, Value};

impl<'e> Evaluator<'e> {
    /// The value of `code` in `environment`, forced. Constants and variables that are known cost
    /// no call.
    #[inline]
    pub(crate) fn eval(
        &mut self,
        code: &'e Code<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let known = match *code {
            Code::Constant(value) => *value,
            Code::Local { index, .. } => environment
                .slots
                .get(index as usize)
                .map_or(Value::Blackhole, Slot::state),
            Code::Variable { depth, index, .. } => environment
                .slot(depth, index)
                .map_or(Value::Blackhole, Slot::state),
            _ => Value::Blackhole,
        };
        if known.is_plain() {
            return Ok(known);
        }
        self.eval_code(code, environment)
    }

    fn eval_code(
        &mut self,
        mut code: &'e Code<'e>,
        mut environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        self.check_stack()?;
        // Bodies of `let`, `if`, `with` and `assert` go round instead of deeper.
        loop {
            match *code {
                Code::Constant(value) => return self.force(*value),
                Code::Local { index, position } => {
                    return self.variable(environment, index, position);
                }
                Code::Variable {
                    depth,
                    index,
                    position,
                } => {
                    let environment = environment.ancestor(depth).ok_or_else(no_slot)?;
                    return self.variable(environment, index, position);
                }
                Code::With(variable) => return self.with_variable(variable, environment),
                Code::Lambda(lambda) => return Ok(self.closure(lambda, environment)),
                Code::Call(call) => return self.eval_call(call, environment),
                Code::Select(select) => return self.select(select, environment),
                Code::SelectPath(select) => match self.select_path(select, environment)? {
                    Some(value) => return Ok(value),
                    None => code = select.default.as_ref().ok_or_else(no_slot)?,
                },
                Code::HasAttr(path) => return self.has_attr(path, environment),
                Code::Let(scope) => {
                    environment = self.scope(scope.values, environment);
                    code = &scope.body;
                }
                Code::FrameLet(scope) => {
                    self.fill(scope, environment)?;
                    code = &scope.body;
                }
                Code::Attrs(set) => return self.set(set, environment),
                Code::List(list) => return Ok(self.list_of(list.items, environment)),
                Code::If(branch) => {
                    code = if self.condition(branch, environment)? {
                        &branch.then
                    } else {
                        &branch.otherwise
                    };
                }
                Code::WithScope(with) => {
                    environment = self.with_scope(with, environment);
                    code = &with.body;
                }
                Code::Assert(assert) => match self.eval(&assert.condition, environment)? {
                    Value::Bool(Truth::True) => code = &assert.body,
                    Value::Bool(Truth::False) => {
                        return Err(self.assertion_failed(assert.place));
                    }
                    other => {
                        return Err(wrong_type(other, "a Boolean").at(assert.place).frame(
                            "while evaluating the condition of the assertion",
                            assert.place,
                        ));
                    }
                },
                Code::Not(not) => match self.eval(&not.operand, environment)? {
                    Value::Bool(truth) => return Ok(Value::bool(truth == Truth::False)),
                    other => {
                        return Err(wrong_type(other, "a Boolean")
                            .at(not.place)
                            .frame("in the argument of the not operator", not.place));
                    }
                },
                Code::Binary(binary) => return self.binary(binary, environment),
                Code::Interpolation(text) => return self.interpolation(text, environment),
                Code::PathInterpolation(text) => {
                    return self.path_interpolation(text, environment);
                }
            }
        }
    }

    #[inline]
    fn variable(
        &mut self,
        environment: &'e Environment<'e>,
        index: u32,
        position: Position,
    ) -> Result<Value<'e>> {
        let slot = environment.slots.get(index as usize).ok_or_else(no_slot)?;
        match slot.state() {
            Value::Suspended(_) | Value::Generated(_) | Value::Thunk(_) | Value::Blackhole => {
                let mut result = self.force_slot(slot);
                if result.is_err() {
                    result = self.recursion_at(result, position);
                }
                result
            }
            value => Ok(value),
        }
    }

    /// Gives an infinite recursion the place of the variable where it was found.
    #[cold]
    fn recursion_at(&self, result: Result<Value<'e>>, position: Position) -> Result<Value<'e>> {
        result.map_err(|error| match error.kind() {
            ErrorKind::InfiniteRecursion => error.at(self.sources.name_at(position)),
            _ => error,
        })
    }

    fn closure(&self, lambda: &'e Lambda<'e>, environment: &'e Environment<'e>) -> Value<'e> {
        Value::Lambda(self.arena.alloc(Closure {
            lambda,
            environment,
            applied: &[],
        }))
    }

    /// The value of an expression that is evaluated later, as it stands in a slot.
    #[inline]
    pub(crate) fn delay(
        &self,
        delayed: &Delayed<'e>,
        environment: &'e Environment<'e>,
    ) -> Value<'e> {
        match *delayed {
            Delayed::Constant(value) => value,
            Delayed::Variable { depth, index } => {
                environment.value(depth, index).unwrap_or(Value::Null)
            }
            Delayed::Lambda(lambda) => self.closure(lambda, environment),
            Delayed::Select(code) => match at_hand(code, environment) {
                Some(value) => value,
                None => self.suspend(code, environment),
            },
            Delayed::Suspend(code) => self.suspend(code, environment),
        }
    }

    fn suspend(&self, code: &'e Code<'e>, environment: &'e Environment<'e>) -> Value<'e> {
        Value::Suspended(self.arena.alloc(Suspension { code, environment }))
    }

    /// Like [`Evaluator::delay`], for values that stand in no slot of their own.
    pub(crate) fn delay_apart(
        &self,
        delayed: &Delayed<'e>,
        environment: &'e Environment<'e>,
    ) -> Value<'e> {
        match self.delay(delayed, environment) {
            state @ Value::Suspended(_) => Value::Thunk(self.arena.alloc(Slot::new(state))),
            value => value,
        }
    }

    /// The slots of a function's frame: arguments first, the rest unset.
    #[inline]
    pub(crate) fn frame(
        &self,
        lambda: &Lambda<'e>,
        mut argument: impl FnMut() -> Option<Value<'e>>,
    ) -> &'e [Slot<'e>] {
        self.arena
            .alloc_slice_fill_with(lambda.slots as usize, |_| {
                Slot::new(argument().unwrap_or(Value::Blackhole))
            })
    }

    /// A new innermost scope whose variables see each other.
    pub(crate) fn scope(
        &self,
        values: &'e [Delayed<'e>],
        outer: &'e Environment<'e>,
    ) -> &'e Environment<'e> {
        let slots: &'e [Slot<'e>] = self
            .arena
            .alloc_slice_fill_with(values.len(), |_| Slot::new(Value::Blackhole));
        let environment: &'e Environment<'e> = self.arena.alloc(Environment {
            slots,
            outer: Some(outer),
        });
        // From behind: the sources of `inherit (source) …` are last, and what is inherited may stand.
        for (slot, value) in slots.iter().zip(values).rev() {
            slot.set(self.delay(value, environment));
        }
        environment
    }

    /// Fills the slots of a `let` or `with` in the frame of the function around it.
    #[inline]
    fn fill(&self, scope: &FrameLet<'e>, environment: &'e Environment<'e>) -> Result<()> {
        let slots = environment.slots.get(scope.first as usize..);
        let slots = slots.ok_or_else(no_slot)?.get(..scope.values.len());
        let slots = slots.ok_or_else(no_slot)?;
        for (slot, value) in slots.iter().zip(scope.values).rev() {
            slot.set(self.delay(value, environment));
        }
        Ok(())
    }

    fn with_scope(
        &self,
        with: &'e WithScope<'e>,
        outer: &'e Environment<'e>,
    ) -> &'e Environment<'e> {
        let scope = Slot::new(self.delay(&with.scope, outer));
        let slots = std::slice::from_ref(self.arena.alloc(scope));
        self.arena.alloc(Environment {
            slots,
            outer: Some(outer),
        })
    }

    fn list_of(&self, items: &'e [Delayed<'e>], environment: &'e Environment<'e>) -> Value<'e> {
        let slots = items
            .iter()
            .map(|item| Slot::new(self.delay(item, environment)));
        self.slice(self.arena.alloc_slice_fill_iter(slots))
    }

    fn condition(&mut self, branch: &'e If<'e>, environment: &'e Environment<'e>) -> Result<bool> {
        match self.eval(&branch.condition, environment)? {
            Value::Bool(truth) => Ok(truth.into()),
            other => Err(wrong_type(other, "a Boolean")
                .at(branch.place)
                .frame("while evaluating a branch condition", branch.place)),
        }
    }

    #[cold]
    fn assertion_failed(&self, place: Place) -> EvalError {
        let text = self.sources.text(place).unwrap_or_default();
        let text = String::from_utf8_lossy(text).into_owned();
        EvalError::new(ErrorKind::Assert, format!("assertion '{text}' failed")).at(place)
    }

    fn with_variable(
        &mut self,
        variable: &'e WithVariable<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        for place in variable.scopes {
            let scope = environment
                .value(place.depth, place.index)
                .ok_or_else(no_slot)?;
            let scope = self.force(scope)?;
            let Value::Attrs(attrs) = scope else {
                return Err(wrong_type(scope, "a set").at(variable.place).frame(
                    "while evaluating the first subexpression of a with expression",
                    variable.place,
                ));
            };
            if let Some(slot) = attrs.slot(variable.name) {
                return self.force_slot(slot).at(variable.place);
            }
        }
        Err(self.undefined_below_with(variable, environment))
    }

    #[cold]
    fn undefined_below_with(
        &self,
        variable: &WithVariable<'e>,
        environment: &'e Environment<'e>,
    ) -> EvalError {
        let error = EvalError::new(
            ErrorKind::UndefinedVariable,
            format!("undefined variable '{}'", self.name_text(variable.name)),
        );
        let mut candidates = Vec::new();
        for place in variable.scopes {
            if let Some(Value::Attrs(attrs)) = environment.value(place.depth, place.index) {
                let names = attrs.flat(self.arena).shape().names();
                candidates.extend(names.iter().map(|name| self.name(*name)));
            }
        }
        candidates.extend(self.globals.keys().map(|name| self.name(*name)));
        self.suggest(error, self.name(variable.name), candidates.into_iter())
            .at(variable.place)
    }

    fn eval_call(
        &mut self,
        call: &'e Call<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let function = self.eval(&call.function, environment)?;
        if let Value::Lambda(closure) = function
            && let Parameters::Plain(names) = closure.lambda.parameters
            && names.len() == call.arguments.len()
            && closure.applied.is_empty()
        {
            let mut arguments = call.arguments.iter();
            let slots = self.frame(closure.lambda, || {
                let argument = arguments.next()?;
                Some(self.delay(argument, environment))
            });
            let inner: &'e Environment<'e> = self.arena.alloc(Environment {
                slots,
                outer: Some(closure.environment),
            });
            return self.enter(closure.lambda, inner, call.place);
        }
        if let Value::Builtin(builtin) = function
            && builtin.strict != 0
            && builtin.builtin.arity == call.arguments.len()
        {
            return self.call_strict(builtin, call, environment);
        }
        let mut arguments = [Value::Null; 6];
        if let Some(arguments) = arguments.get_mut(..call.arguments.len()) {
            for (to, from) in arguments.iter_mut().zip(call.arguments) {
                *to = self.delay_apart(from, environment);
            }
            return self.call_at(function, arguments, call.place);
        }
        let delayed = call.arguments.iter();
        let arguments: Vec<_> = delayed
            .map(|argument| self.delay_apart(argument, environment))
            .collect();
        self.call_at(function, &arguments, call.place)
    }

    /// Calls a builtin whose arguments are evaluated before, as far as it would do that itself.
    fn call_strict(
        &mut self,
        partial: &'e PartialCall<'e>,
        call: &'e Call<'e>,
        environment: &'e Environment<'e>,
    ) -> Result<Value<'e>> {
        let mut arguments = [Value::Null; 3];
        let mut strict = partial.strict;
        for (to, from) in arguments.iter_mut().zip(call.arguments) {
            *to = match from {
                Delayed::Suspend(code) | Delayed::Select(code) if strict & 1 != 0 => {
                    match self.eval(code, environment) {
                        Ok(value) => value,
                        Err(error) => {
                            return Err(builtin_failed(error, partial.builtin.name, call.place));
                        }
                    }
                }
                delayed => self.delay_apart(delayed, environment),
            };
            strict >>= 1;
        }
        let arguments = arguments.get(..call.arguments.len()).ok_or_else(no_slot)?;
        self.call_builtin(partial, arguments, call.place)
    }
}

#[cold]
pub(crate) fn wrong_type(value: Value<'_>, expected: &str) -> EvalError {
    EvalError::type_error(format!(
        "value is {} while {expected} was expected",
        value.describe()
    ))
}

#[cold]
pub(crate) fn no_slot() -> EvalError {
    EvalError::eval("internal error: a variable without a slot")
}
