//! Calls of functions, builtins and sets with `__functor`.

use crate::attrs::Attrs;
use crate::builtin::PartialCall;
use crate::code::{Formals, Lambda, Parameters};
use crate::environment::Environment;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::source::Place;
use crate::value::{Closure, Value};

/// Builtins whose failures are the user's own and need no line of theirs in the chain.
const WITHOUT_FRAME: &[&str] = &["abort", "addErrorContext", "seq", "throw", "trace"];

impl<'e> Evaluator<'e> {
    /// Calls `function` with these arguments, which may be thunks; the result is forced.
    ///
    /// # Errors
    /// Whatever the call meets.
    pub fn call(&mut self, function: Value<'e>, arguments: &[Value<'e>]) -> Result<Value<'e>> {
        if let Value::Lambda(closure) = function
            && let Parameters::Plain(names) = closure.lambda.parameters
            && names.len() == arguments.len()
            && closure.applied.is_empty()
        {
            let mut arguments = arguments.iter().copied();
            let slots = self.frame(closure.lambda, || arguments.next());
            let environment = self.arena.alloc(Environment {
                slots,
                outer: Some(closure.environment),
            });
            return self.enter(closure.lambda, environment, Place::NONE);
        }
        self.call_at(function, arguments, Place::NONE)
    }

    /// Like [`Evaluator::call`], with the place of the call for messages.
    ///
    /// # Errors
    /// Whatever the call meets.
    pub fn call_at(
        &mut self,
        function: Value<'e>,
        mut arguments: &[Value<'e>],
        place: Place,
    ) -> Result<Value<'e>> {
        let mut function = self.force(function)?;
        // The result of the last call is given back as it comes: see `on_failure`.
        while !arguments.is_empty() {
            match function {
                Value::Lambda(closure) => {
                    let missing = closure.lambda.arity() - closure.applied.len();
                    let Some((now, later)) = arguments.split_at_checked(missing) else {
                        return Ok(self.partially_applied(closure, arguments));
                    };
                    if later.is_empty() {
                        return self.call_closure(closure, now, place);
                    }
                    function = self.call_closure(closure, now, place)?;
                    arguments = later;
                }
                Value::Builtin(call) => {
                    let missing = call.builtin.arity - call.arguments.len();
                    let Some((now, later)) = arguments.split_at_checked(missing) else {
                        let arguments = self.joined(call.arguments, arguments);
                        let builtin = call.builtin;
                        let call = self.arena.alloc(PartialCall {
                            builtin,
                            arguments,
                            strict: 0,
                        });
                        return Ok(Value::Builtin(call));
                    };
                    if later.is_empty() {
                        return self.call_builtin(call, now, place);
                    }
                    function = self.call_builtin(call, now, place)?;
                    arguments = later;
                }
                Value::Attrs(attrs) if attrs.get(known::FUNCTOR).is_some() => {
                    let functor = attrs.get(known::FUNCTOR).unwrap_or(Value::Null);
                    return self.as_call(|e| {
                        let own = e.call_at(functor, &[function], place).while_(
                            || "while calling the '__functor' of an attribute set".to_owned(),
                            place,
                        )?;
                        e.call_at(own, arguments, place)
                    });
                }
                other => {
                    return Err(EvalError::type_error(format!(
                        "attempt to call something which is not a function but {}",
                        self.describe_briefly(other)
                    ))
                    .at(place));
                }
            }
        }
        Ok(function)
    }

    fn joined(&self, first: &[Value<'e>], second: &[Value<'e>]) -> &'e [Value<'e>] {
        let mut all = first.iter().chain(second).copied();
        self.arena
            .alloc_slice_fill_with(first.len() + second.len(), |_| {
                all.next().unwrap_or(Value::Null)
            })
    }

    fn partially_applied(&self, closure: &Closure<'e>, arguments: &[Value<'e>]) -> Value<'e> {
        let applied = self.joined(closure.applied, arguments);
        Value::Lambda(self.arena.alloc(Closure {
            lambda: closure.lambda,
            environment: closure.environment,
            applied,
        }))
    }

    pub(crate) fn call_builtin(
        &mut self,
        call: &PartialCall<'e>,
        now: &[Value<'e>],
        place: Place,
    ) -> Result<Value<'e>> {
        self.check_stack()?;
        self.statistics.builtin_calls += 1;
        let builtin = call.builtin;
        let mut result = if call.arguments.is_empty() {
            (builtin.function)(self, now, place)
        } else {
            let mut all = [Value::Null; 8];
            let count = call.arguments.len() + now.len();
            for (to, from) in all.iter_mut().zip(call.arguments.iter().chain(now)) {
                *to = *from;
            }
            (builtin.function)(self, all.get(..count).unwrap_or_default(), place)
        };
        if let Ok(Value::Thunk(slot)) = result {
            result = self.force_slot(slot);
        }
        if result.is_err() {
            result = result.map_err(|error| builtin_failed(error, builtin.name, place));
        }
        result
    }

    /// Calls a function with exactly the arguments that it still needs.
    fn call_closure(
        &mut self,
        closure: &Closure<'e>,
        now: &[Value<'e>],
        place: Place,
    ) -> Result<Value<'e>> {
        let lambda = closure.lambda;
        match lambda.parameters {
            Parameters::Plain(_) => {
                let mut all = closure.applied.iter().chain(now).copied();
                let slots = self.frame(lambda, || all.next());
                let environment: &'e Environment<'e> = self.arena.alloc(Environment {
                    slots,
                    outer: Some(closure.environment),
                });
                self.enter(lambda, environment, place)
            }
            Parameters::Formals(formals) => {
                let argument = now.first().copied().unwrap_or(Value::Null);
                let environment = self
                    .take_apart(lambda, formals, closure.environment, argument, place)
                    .map_err(|error| self.call_failed(error, lambda, place))?;
                self.enter(lambda, environment, place)
            }
        }
    }

    /// Evaluates a function's body in the environment made for it.
    pub(crate) fn enter(
        &mut self,
        lambda: &'e Lambda<'e>,
        environment: &'e Environment<'e>,
        place: Place,
    ) -> Result<Value<'e>> {
        if self.call_depth >= self.options.max_call_depth {
            return Err(self.too_many_calls().at(place));
        }
        self.check_memory(0)?;
        self.statistics.calls += 1;
        self.call_depth += 1;
        let mut result = self.eval(&lambda.body, environment);
        self.call_depth -= 1;
        if result.is_err() {
            result = result.map_err(|error| self.call_failed(error, lambda, place));
        }
        result
    }

    #[cold]
    fn too_many_calls(&self) -> EvalError {
        EvalError::new(
            ErrorKind::StackOverflow,
            format!(
                "stack overflow; max-call-depth exceeded: more than {} calls in one another",
                self.options.max_call_depth
            ),
        )
    }

    /// Runs `f` as one call deeper, for what recurses without calling a function.
    ///
    /// # Errors
    /// There are too many calls in one another; and those of `f`.
    pub(crate) fn as_call<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.call_depth >= self.options.max_call_depth {
            return Err(self.too_many_calls());
        }
        self.check_stack()?;
        self.call_depth += 1;
        let result = f(self);
        self.call_depth -= 1;
        result
    }

    #[cold]
    fn call_failed(&self, error: EvalError, lambda: &Lambda<'e>, place: Place) -> EvalError {
        // The call itself is what failed, and its place is shown already.
        if error.place() == place && error.frames().next().is_none() {
            return error;
        }
        error.frame(format!("while calling {}", self.lambda_text(lambda)), place)
    }

    /// The function's name in quotes, or `anonymous lambda`.
    fn lambda_text(&self, lambda: &Lambda<'e>) -> String {
        match lambda.name {
            Some(name) => format!("'{}'", self.name_text(name)),
            None => "anonymous lambda".to_owned(),
        }
    }

    /// The environment of a function that takes its argument apart.
    fn take_apart(
        &mut self,
        lambda: &'e Lambda<'e>,
        formals: &'e Formals<'e>,
        outer: &'e Environment<'e>,
        argument: Value<'e>,
        place: Place,
    ) -> Result<&'e Environment<'e>> {
        let attrs = match self.force(argument)? {
            Value::Attrs(attrs) => attrs,
            other => {
                return Err(EvalError::type_error(format!(
                    "value is {} while a set was expected",
                    other.describe()
                ))
                .at(place)
                .frame(
                    format!("the argument of {} must be a set", self.lambda_text(lambda)),
                    lambda.place,
                ));
            }
        };
        let slots = self.frame(lambda, || None);
        let environment: &'e Environment<'e> = self.arena.alloc(Environment {
            slots,
            outer: Some(outer),
        });
        let mut matched = 0;
        for (formal, slot) in formals.list.iter().zip(slots) {
            if let Some(value) = attrs.get(formal.name) {
                matched += 1;
                slot.set(value);
            } else if let Some(default) = &formal.default {
                slot.set(self.delay(default, environment));
            } else {
                let error = EvalError::new(
                    ErrorKind::Missing,
                    format!(
                        "function {} called without required argument '{}'",
                        self.quoted_lambda(lambda),
                        self.name_text(formal.name)
                    ),
                );
                return Err(error.at(place).note(format!(
                    "'{}' is an argument without default of {}",
                    self.name_text(formal.name),
                    self.describe_place(formal.place)
                )));
            }
        }
        if formals.whole.is_some()
            && let Some(slot) = slots.get(formals.list.len())
        {
            slot.set(Value::Attrs(attrs));
        }
        if !formals.ellipsis && matched < attrs.flat(self.arena).len() {
            return Err(self.unexpected_argument(lambda, formals, attrs, place));
        }
        Ok(environment)
    }

    fn quoted_lambda(&self, lambda: &Lambda<'e>) -> String {
        match lambda.name {
            Some(name) => format!("'{}'", self.name_text(name)),
            None => "'anonymous lambda'".to_owned(),
        }
    }

    #[cold]
    fn unexpected_argument(
        &self,
        lambda: &Lambda<'e>,
        formals: &'e Formals<'e>,
        attrs: &'e Attrs<'e>,
        place: Place,
    ) -> EvalError {
        let known = |name| formals.list.iter().any(|formal| formal.name == name);
        let Some((name, _)) = self.sorted(attrs).find(|(name, _)| !known(*name)) else {
            return EvalError::eval("internal error: no unexpected argument");
        };
        let error = EvalError::eval(format!(
            "function {} called with unexpected argument '{}'",
            self.quoted_lambda(lambda),
            self.name_text(name)
        ))
        .at(place);
        let error = self.suggest(
            error,
            self.name(name),
            formals.list.iter().map(|formal| self.name(formal.name)),
        );
        error.note(format!(
            "the function is defined at {}",
            self.describe_place(lambda.place)
        ))
    }

    /// `file:line:column` of a place.
    #[must_use]
    pub fn describe_place(&self, place: Place) -> String {
        self.sources.describe(place.start)
    }
}

#[cold]
pub(crate) fn builtin_failed(error: EvalError, name: &str, place: Place) -> EvalError {
    let error = error.at(place);
    if WITHOUT_FRAME.contains(&name) {
        return error;
    }
    error.frame(format!("while calling the '{name}' builtin"), place)
}
