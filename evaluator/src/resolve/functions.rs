//! Functions.

use super::Lowering;
use crate::ast::{self, Expr, ExprKind};
use crate::code::{Code, Formal, Formals, Lambda, Parameters};
use crate::error::Result;
use crate::scope::Names;
use crate::source::Place;
use crate::symbol::Symbol;

impl<'e> Lowering<'_, 'e> {
    pub(super) fn lambda(
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
}
