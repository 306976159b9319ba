//! Lowering: from the syntax tree to [`crate::code`].
//!
//! Names become places in environments, builtins and literals constants. A variable that nothing
//! can define is reported here, before anything is evaluated.

use std::cell::Cell;

use crate::ast::{self, AttrNameKind, AttrValue, Expr, ExprKind};
use crate::attrs::{Attrs, Shape};
use crate::code::{
    Assert, AttrsCode, Binary, Call, Code, Delayed, DynamicAttr, Formal, Formals, FrameLet, If,
    Interpolation, Lambda, Let, ListCode, Operator, Parameters, Part, PathName, Select, SelectPath,
    SetScope, Unary, WithScope, WithVariable,
};
use crate::environment::Environment;
use crate::error::{ErrorKind, EvalError, Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::scope::{Names, Scopes, SlotPlace};
use crate::source::{Place, Position};
use crate::span::Span;
use crate::symbol::Symbol;
use crate::value::{Slot, Value};

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
            ExprKind::Float(number) => self.constant(Value::Float(number)),
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

    fn attrs(&mut self, attrs: &ast::Attrs<'_>, place: Place) -> Result<Code<'e>> {
        let (names, positions) = self.sorted_names(attrs);
        let shape = self.alloc(Shape::new(names, positions));
        let scope = match (attrs.recursive, attrs.sources) {
            (true, _) => SetScope::Recursive,
            (false, []) => SetScope::Outer,
            (false, _) => SetScope::Sources,
        };
        let result = self.set_values(attrs, names, scope);
        if scope != SetScope::Outer {
            self.scopes.leave();
        }
        let (values, dynamic) = result?;
        if scope == SetScope::Outer
            && dynamic.is_empty()
            && let Some(constants) = constants(values)
        {
            if constants.is_empty() {
                return Ok(self.constant(self.e.empty_attrs()));
            }
            let slots = constants.into_iter().map(Slot::new).collect();
            return Ok(self.constant(Value::Attrs(
                self.alloc(Attrs::new(shape, self.slice(slots))),
            )));
        }
        let overrides = shape.index_of(known::OVERRIDES).filter(|_| attrs.recursive);
        let overrides = overrides.and_then(|index| u32::try_from(index).ok());
        let set = AttrsCode {
            shape,
            values,
            scope,
            dynamic,
            overrides,
            place,
        };
        Ok(Code::Attrs(self.alloc(set)))
    }

    /// Values and dynamic attributes of a set, whose scope is left in place if it has one.
    fn set_values(
        &mut self,
        attrs: &ast::Attrs<'_>,
        names: &'e [Symbol],
        scope: SetScope,
    ) -> Result<(&'e [Delayed<'e>], &'e [DynamicAttr<'e>])> {
        let values = match scope {
            SetScope::Recursive => {
                let slots = names.len() + attrs.sources.len();
                self.scopes.enter(Names::Sorted(names, None), slots);
                self.bindings(attrs, names)?
            }
            SetScope::Outer => self.values(attrs, 0, 0, false)?,
            SetScope::Sources => {
                self.scopes.enter(Names::Hidden, attrs.sources.len());
                let mut values = self.values(attrs, 0, 0, false)?.to_vec();
                for source in attrs.sources {
                    values.push(self.delayed(source, None, true)?);
                }
                self.slice(values)
            }
        };
        let mut dynamic = Vec::with_capacity(attrs.dynamic.len());
        for attr in attrs.dynamic {
            let place = self.place(attr.span);
            let name = self.expr(attr.name, None)?;
            let value = self.delayed(attr.value, None, false)?;
            dynamic.push(DynamicAttr { name, value, place });
        }
        Ok((values, self.slice(dynamic)))
    }

    /// The fixed names of a set in the order of their symbols, with their positions.
    fn sorted_names(&self, attrs: &ast::Attrs<'_>) -> (&'e [Symbol], &'e [Position]) {
        let fixed = sorted(attrs);
        let names = fixed.iter().map(|attr| attr.name).collect();
        let positions = fixed
            .iter()
            .map(|attr| self.place(attr.span).start)
            .collect();
        (self.slice(names), self.slice(positions))
    }

    /// Values of bindings that see each other, then their sources. Their scope is the innermost.
    fn bindings(
        &mut self,
        attrs: &ast::Attrs<'_>,
        names: &'e [Symbol],
    ) -> Result<&'e [Delayed<'e>]> {
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let first_source = self.scopes.innermost_first().saturating_add(count);
        let mut values = self.values(attrs, first_source, 1, true)?.to_vec();
        for source in attrs.sources {
            values.push(self.delayed(source, None, true)?);
        }
        Ok(self.slice(values))
    }

    /// The fixed attributes' values in the order of the names. `inherited` is how many scopes
    /// further out `inherit x` looks.
    fn values(
        &mut self,
        attrs: &ast::Attrs<'_>,
        first_source: u32,
        inherited: usize,
        same_scope: bool,
    ) -> Result<&'e [Delayed<'e>]> {
        let mut values = Vec::with_capacity(attrs.fixed.len());
        for attr in sorted(attrs) {
            let place = self.place(attr.span);
            values.push(match attr.value {
                AttrValue::Expr(expr) => self.delayed(expr, Some(attr.name), same_scope)?,
                AttrValue::Inherited => {
                    let code = self.variable_from(attr.name, place, inherited)?;
                    self.delay(code, same_scope)
                }
                AttrValue::InheritedFrom(source) => {
                    let subject = Code::Local {
                        index: first_source.saturating_add(source),
                        position: place.start,
                    };
                    let select = Select {
                        subject,
                        name: attr.name,
                        place,
                        cache: Cell::new(None),
                    };
                    Delayed::Suspend(self.alloc(Code::Select(self.alloc(select))))
                }
            });
        }
        Ok(self.slice(values))
    }

    fn lambda(
        &mut self,
        lambda: &ast::Lambda<'_>,
        name: Option<Symbol>,
        place: Place,
    ) -> Result<&'e Lambda<'e>> {
        let Some(formals) = lambda.formals else {
            return self.plain_lambda(lambda, name, place);
        };
        let whole = lambda.argument.map(|argument| argument.symbol);
        let mut list: Vec<&ast::Formal<'_>> = formals.list.iter().collect();
        list.sort_by_key(|formal| formal.name.symbol);
        let names = self.slice(list.iter().map(|formal| formal.name.symbol).collect());
        let slots = names.len() + usize::from(whole.is_some());
        self.scopes.enter(Names::Sorted(names, whole), slots);
        let (list, body) = self.formals_and_body(&list, lambda.body)?;
        let slots = self.scopes.leave();
        let formals = self.alloc(Formals {
            list,
            ellipsis: formals.ellipsis,
            whole,
        });
        let parameters = Parameters::Formals(formals);
        Ok(self.alloc(Lambda {
            parameters,
            body,
            slots,
            name,
            place,
        }))
    }

    fn formals_and_body(
        &mut self,
        list: &[&ast::Formal<'_>],
        body: &Expr<'_>,
    ) -> Result<(&'e [Formal<'e>], Code<'e>)> {
        let mut formals = Vec::with_capacity(list.len());
        for formal in list {
            let name = formal.name.symbol;
            let default = formal
                .default
                .map(|default| self.delayed(default, Some(name), true))
                .transpose()?;
            formals.push(Formal {
                name,
                place: self.place(formal.name.span),
                default,
            });
        }
        let body = self.body(body)?;
        Ok((self.slice(formals), body))
    }

    /// `x: y: body` is one function of two arguments: nothing happens between them.
    fn plain_lambda(
        &mut self,
        lambda: &ast::Lambda<'_>,
        name: Option<Symbol>,
        place: Place,
    ) -> Result<&'e Lambda<'e>> {
        let mut names = Vec::new();
        let mut innermost = lambda;
        let body = loop {
            names.extend(innermost.argument.map(|argument| argument.symbol));
            match innermost.body.kind {
                ExprKind::Lambda(next) if next.formals.is_none() => innermost = next,
                _ => break innermost.body,
            }
        };
        let names = self.slice(names);
        self.scopes.enter(Names::Plain(names), names.len());
        let body = self.body(body)?;
        let slots = self.scopes.leave();
        Ok(self.alloc(Lambda {
            parameters: Parameters::Plain(names),
            body,
            slots,
            name,
            place,
        }))
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

    fn negate(&mut self, operand: &Expr<'_>, place: Place) -> Result<Code<'e>> {
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

    fn binary(
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

fn sorted<'a, 'b>(attrs: &'b ast::Attrs<'a>) -> Vec<&'b ast::Attr<'a>> {
    let mut fixed: Vec<_> = attrs.fixed.iter().collect();
    fixed.sort_by_key(|attr| attr.name);
    fixed
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
fn known_attribute<'e>(code: Code<'e>, name: Symbol) -> Option<Value<'e>> {
    let Code::Constant(Value::Attrs(attrs)) = code else {
        return None;
    };
    attrs.get(name).filter(Value::is_plain)
}
