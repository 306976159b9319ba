//! Lowering: from the syntax tree to [`crate::code`].
//!
//! Names become places in environments, builtins and literals constants. A variable that nothing
//! can define is reported here, before anything is evaluated.

mod functions;
mod operators;
mod sets;

use std::cell::Cell;

use crate::ast::{self, AttrNameKind, Expr, ExprKind};
use crate::attrs::Attrs;
use crate::code::{
    Assert, Call, Code, Delayed, FrameLet, If, Interpolation, Let, ListCode, Part, PathName,
    Select, SelectPath, Unary, WithScope, WithVariable,
};
use crate::environment::Environment;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::scope::{Names, Scopes, SlotPlace};
use crate::source::Place;
use crate::span::Span;
use crate::symbol::Symbol;
use crate::value::Value;

/// Variables that an expression can see beside the builtins: those of `scopedImport`, or those
/// that were defined at a prompt. They are an attribute set, innermost.
pub type OuterScope<'e> = Option<&'e Attrs<'e>>;

struct Lowering<'a, 'e> {
    e: &'a mut Evaluator<'e>,
    source: usize,
    scopes: Scopes<'e>,
}

impl<'e> Evaluator<'e> {
    /// Lowers and evaluates an expression of the source with this index.
    ///
    /// # Errors
    /// An undefined variable, or whatever evaluating meets.
    pub fn evaluate(
        &mut self,
        expr: &Expr<'_>,
        source: usize,
        outer: OuterScope<'e>,
    ) -> Result<Value<'e>> {
        let (code, environment) = self.lower(expr, source, outer)?;
        self.eval(self.arena.alloc(code), environment)
    }

    /// Checks that every variable is defined.
    ///
    /// # Errors
    /// One is not.
    pub fn check_variables(
        &mut self,
        expr: &Expr<'_>,
        source: usize,
        outer: OuterScope<'e>,
    ) -> Result<()> {
        self.lower(expr, source, outer).map(|_| ())
    }

    pub(crate) fn lower(
        &mut self,
        expr: &Expr<'_>,
        source: usize,
        outer: OuterScope<'e>,
    ) -> Result<(Code<'e>, &'e Environment<'e>)> {
        let mut scopes = Scopes::default();
        let mut environment = self.root;
        if let Some(attrs) = outer {
            let flat = attrs.flat(self.arena);
            scopes.enter(Names::Sorted(flat.shape().names(), None), flat.len());
            environment = self.arena.alloc(Environment {
                slots: flat.slots(),
                outer: Some(self.root),
            });
        }
        let code = Lowering {
            e: self,
            source,
            scopes,
        }
        .expr(expr, None)?;
        Ok((code, environment))
    }
}

impl<'e> Lowering<'_, 'e> {
    fn place(&self, span: Span) -> Place {
        self.e
            .sources
            .get(self.source)
            .map_or(Place::NONE, |source| source.place(span))
    }

    fn alloc<T>(&self, value: T) -> &'e T {
        self.e.arena.alloc(value)
    }

    fn constant(&self, value: Value<'e>) -> Code<'e> {
        Code::Constant(self.alloc(value))
    }

    fn slice<T>(&self, values: Vec<T>) -> &'e [T] {
        self.e.arena.alloc_slice_fill_iter(values)
    }

    /// `name` is what the expression is bound to, for functions to know their names.
    #[expect(clippy::too_many_lines, reason = "one arm a kind of expression")]
    fn expr(&mut self, expr: &Expr<'_>, name: Option<Symbol>) -> Result<Code<'e>> {
        let place = self.place(expr.span);
        self.check_depth(place)?;
        Ok(match expr.kind {
            ExprKind::Int(number) => self.constant(Value::Int(number)),
            ExprKind::Float(number) => self.constant(Value::float(number)),
            ExprKind::String(text) => self.constant(self.e.string(text)),
            ExprKind::Path(path) => self.constant(self.e.path(path)),
            ExprKind::Interpolation(parts) => self.interpolation(parts)?,
            ExprKind::PathInterpolation { start, parts } => {
                let parts = self.parts(Some(start), parts)?;
                Code::PathInterpolation(self.alloc(Interpolation { parts }))
            }
            ExprKind::SearchPath(path) => self.search_path(path, place)?,
            ExprKind::Variable(name) => self.variable(name, place)?,
            ExprKind::CurrentPosition => self.constant(self.e.position_value(place.start)),
            ExprKind::List(items) => self.list(items)?,
            ExprKind::Attrs(attrs) => self.attrs(attrs, place)?,
            ExprKind::Let { bindings, body } => {
                let (names, _) = self.sorted_names(bindings);
                let slots = names.len() + bindings.sources.len();
                self.scopes.enter(Names::Sorted(names, None), slots);
                let values = self.bindings(bindings, names)?;
                let body = self.expr(body, name)?;
                self.scopes.leave();
                Code::Let(self.alloc(Let { values, body }))
            }
            ExprKind::With { scope, body } => {
                let scope = self.delayed(scope, None, false)?;
                self.scopes.enter(Names::With, 1);
                let body = self.expr(body, name)?;
                self.scopes.leave();
                Code::WithScope(self.alloc(WithScope { scope, body }))
            }
            ExprKind::Assert { condition, body } => {
                let place = self.place(condition.span);
                let condition = self.expr(condition, None)?;
                let body = self.expr(body, name)?;
                Code::Assert(self.alloc(Assert {
                    condition,
                    body,
                    place,
                }))
            }
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                let place = self.place(condition.span);
                let condition = self.expr(condition, None)?;
                let then = self.expr(then, name)?;
                let otherwise = self.expr(otherwise, name)?;
                Code::If(self.alloc(If {
                    condition,
                    then,
                    otherwise,
                    place,
                }))
            }
            ExprKind::Lambda(lambda) => Code::Lambda(self.lambda(lambda, name, place)?),
            ExprKind::Apply {
                function,
                arguments,
            } => {
                let function = self.expr(function, None)?;
                let mut delayed = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    delayed.push(self.delayed(argument, None, false)?);
                }
                let arguments = self.slice(delayed);
                Code::Call(self.alloc(Call {
                    function,
                    arguments,
                    place,
                }))
            }
            ExprKind::Select {
                subject,
                path,
                default,
            } => self.select(subject, path, default)?,
            ExprKind::HasAttr { subject, path } => {
                let subject = self.expr(subject, None)?;
                let path = self.path(path)?;
                Code::HasAttr(self.alloc(SelectPath {
                    subject,
                    path,
                    default: None,
                }))
            }
            ExprKind::Not(operand) => {
                let place = self.place(operand.span);
                let operand = self.expr(operand, None)?;
                Code::Not(self.alloc(Unary { operand, place }))
            }
            ExprKind::Negate(operand) => self.negate(operand, place)?,
            ExprKind::Binary {
                operator,
                operator_span,
                left,
                right,
            } => self.binary(operator, self.place(operator_span), left, right, place)?,
        })
    }

    fn check_depth(&self, place: Place) -> Result<()> {
        self.e.check_stack().at(place)?;
        if self.scopes.len() >= usize::from(u16::MAX) {
            let message = "scopes are nested too deeply";
            return Err(EvalError::new(ErrorKind::StackOverflow, message).at(place));
        }
        Ok(())
    }

    /// The body of a function. The variables of the `let` and `with` that it begins with get slots
    /// in the function's own frame.
    fn body(&mut self, expr: &Expr<'_>) -> Result<Code<'e>> {
        self.check_depth(self.place(expr.span))?;
        match expr.kind {
            ExprKind::Let { bindings, body } => {
                let (names, _) = self.sorted_names(bindings);
                let slots = names.len() + bindings.sources.len();
                let first = self.scopes.extend(Names::Sorted(names, None), slots);
                let values = self.bindings(bindings, names)?;
                let body = self.body(body)?;
                self.scopes.leave();
                Ok(Code::FrameLet(self.alloc(FrameLet {
                    first,
                    values,
                    body,
                })))
            }
            ExprKind::With { scope, body } => {
                let scope = self.delayed(scope, None, false)?;
                let first = self.scopes.extend(Names::With, 1);
                let body = self.body(body)?;
                self.scopes.leave();
                let values = self.slice(vec![scope]);
                Ok(Code::FrameLet(self.alloc(FrameLet {
                    first,
                    values,
                    body,
                })))
            }
            ExprKind::Assert { condition, body } => {
                let place = self.place(condition.span);
                let condition = self.expr(condition, None)?;
                let body = self.body(body)?;
                Ok(Code::Assert(self.alloc(Assert {
                    condition,
                    body,
                    place,
                })))
            }
            _ => self.expr(expr, None),
        }
    }

    /// An expression that is evaluated later. `same_scope` says that its slot belongs to the
    /// innermost scope itself, whose other slots need not stand yet.
    fn delayed(
        &mut self,
        expr: &Expr<'_>,
        name: Option<Symbol>,
        same_scope: bool,
    ) -> Result<Delayed<'e>> {
        let code = self.expr(expr, name)?;
        Ok(self.delay(code, same_scope))
    }

    fn delay(&mut self, code: Code<'e>, same_scope: bool) -> Delayed<'e> {
        match code {
            Code::Constant(value) => Delayed::Constant(*value),
            Code::Local { index, .. } if !same_scope || index < self.scopes.innermost_first() => {
                Delayed::Variable { depth: 0, index }
            }
            Code::Variable { depth, index, .. } => Delayed::Variable { depth, index },
            Code::Lambda(lambda) => Delayed::Lambda(lambda),
            Code::Select(select) if is_path(&select.subject) => Delayed::Select(self.alloc(code)),
            code => Delayed::Suspend(self.alloc(code)),
        }
    }

    fn variable(&self, name: Symbol, place: Place) -> Result<Code<'e>> {
        self.variable_from(name, place, 0)
    }

    /// A variable as seen from `skipped` scopes further out, in code of the innermost scope.
    fn variable_from(&self, name: Symbol, place: Place, skipped: usize) -> Result<Code<'e>> {
        let position = place.start;
        if let Some(SlotPlace { depth, index }) = self.scopes.find(name, skipped) {
            return Ok(match depth {
                0 => Code::Local { index, position },
                _ => Code::Variable {
                    depth,
                    index,
                    position,
                },
            });
        }
        if let Some(value) = self.e.globals.get(&name) {
            return Ok(self.constant(*value));
        }
        let withs = self.scopes.withs(skipped);
        if withs.is_empty() {
            return Err(self.undefined(name, place));
        }
        let scopes = self.slice(withs);
        Ok(Code::With(self.alloc(WithVariable {
            name,
            place,
            scopes,
        })))
    }

    #[cold]
    fn undefined(&self, name: Symbol, place: Place) -> EvalError {
        let error = EvalError::new(
            ErrorKind::UndefinedVariable,
            format!("undefined variable '{}'", self.e.name_text(name)),
        );
        let lexical = self.scopes.names();
        let candidates = lexical.chain(self.e.globals.keys().copied());
        let candidates = candidates.map(|name| self.e.name(name));
        self.e
            .suggest(error, self.e.name(name), candidates)
            .at(place)
    }

    fn search_path(&mut self, path: &[u8], place: Place) -> Result<Code<'e>> {
        let function = self.variable(known::FIND_FILE, place)?;
        let entries = self.variable(known::NIX_PATH, place)?;
        let entries = self.delay(entries, false);
        let arguments = self.slice(vec![entries, Delayed::Constant(self.e.string(path))]);
        Ok(Code::Call(self.alloc(Call {
            function,
            arguments,
            place,
        })))
    }

    fn list(&mut self, items: &[&Expr<'_>]) -> Result<Code<'e>> {
        let mut delayed = Vec::with_capacity(items.len());
        for item in items {
            delayed.push(self.delayed(item, None, false)?);
        }
        let Some(constants) = constants(&delayed) else {
            let items = self.slice(delayed);
            return Ok(Code::List(self.alloc(ListCode { items })));
        };
        Ok(self.constant(self.e.list(&constants)))
    }

    fn interpolation(&mut self, parts: &[ast::Part<'_>]) -> Result<Code<'e>> {
        let literal = parts.iter().map(|part| match part {
            ast::Part::Literal(text) => Some(*text),
            ast::Part::Expr(_) => None,
        });
        if let Some(literals) = literal.collect::<Option<Vec<_>>>() {
            return Ok(self.constant(self.e.string(literals.concat())));
        }
        let parts = self.parts(None, parts)?;
        Ok(Code::Interpolation(self.alloc(Interpolation { parts })))
    }

    fn parts(&mut self, start: Option<&[u8]>, parts: &[ast::Part<'_>]) -> Result<&'e [Part<'e>]> {
        let mut lowered = Vec::with_capacity(1 + parts.len());
        if let Some(text) = start {
            lowered.push(Part::Literal(self.e.arena.alloc_slice_copy(text)));
        }
        for part in parts {
            lowered.push(match part {
                ast::Part::Literal(text) => Part::Literal(self.e.arena.alloc_slice_copy(text)),
                ast::Part::Expr(expr) => Part::Expr(self.expr(expr, None)?, self.place(expr.span)),
            });
        }
        Ok(self.slice(lowered))
    }

    fn select(
        &mut self,
        subject: &Expr<'_>,
        path: &[ast::AttrName<'_>],
        default: Option<&Expr<'_>>,
    ) -> Result<Code<'e>> {
        let mut code = self.expr(subject, None)?;
        if let Some(default) = default {
            let path = self.path(path)?;
            let default = Some(self.expr(default, None)?);
            return Ok(Code::SelectPath(self.alloc(SelectPath {
                subject: code,
                path,
                default,
            })));
        }
        for step in path {
            code = match step.kind {
                // `builtins.map` is known before anything is evaluated.
                AttrNameKind::Fixed(name) if let Some(value) = known_attribute(code, name) => {
                    self.constant(value)
                }
                AttrNameKind::Fixed(name) => {
                    let place = self.place(step.span);
                    let cache = Cell::new(None);
                    Code::Select(self.alloc(Select {
                        subject: code,
                        name,
                        place,
                        cache,
                    }))
                }
                AttrNameKind::Dynamic(_) => {
                    let path = self.path(std::slice::from_ref(step))?;
                    let default = None;
                    Code::SelectPath(self.alloc(SelectPath {
                        subject: code,
                        path,
                        default,
                    }))
                }
            };
        }
        Ok(code)
    }

    fn path(&mut self, path: &[ast::AttrName<'_>]) -> Result<&'e [PathName<'e>]> {
        let mut names = Vec::with_capacity(path.len());
        for step in path {
            let place = self.place(step.span);
            names.push(match step.kind {
                AttrNameKind::Fixed(name) => PathName::Fixed(name, place),
                AttrNameKind::Dynamic(expr) => PathName::Dynamic(self.expr(expr, None)?, place),
            });
        }
        Ok(self.slice(names))
    }
}

/// The values, if all of them are known.
fn constants<'e>(delayed: &[Delayed<'e>]) -> Option<Vec<Value<'e>>> {
    let constant = |delayed: &Delayed<'e>| match delayed {
        Delayed::Constant(value) => Some(*value),
        _ => None,
    };
    delayed.iter().map(constant).collect()
}

/// An attribute of a set that is known, if it is known itself.
fn known_attribute(code: Code<'_>, name: Symbol) -> Option<Value<'_>> {
    let Code::Constant(Value::Attrs(attrs)) = code else {
        return None;
    };
    attrs.get(name).filter(Value::is_plain)
}

/// Whether the code is a variable, or attributes of one: often its value is there already.
fn is_path(code: &Code<'_>) -> bool {
    match code {
        Code::Constant(_) | Code::Local { .. } | Code::Variable { .. } => true,
        Code::Select(select) => is_path(&select.subject),
        _ => false,
    }
}
