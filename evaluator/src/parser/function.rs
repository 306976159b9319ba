//! Functions: `x: …`, `{ a, b ? 1, ... }: …`, with a name for the whole argument on either side.

use std::collections::HashMap;

use bstr::ByteSlice;

use super::error::Failure;
use super::{Parser, Result};
use crate::Span;
use crate::ast::{Expr, ExprKind, Formal, Formals, Lambda, Name};
use crate::lexer::Token;

impl<'a> Parser<'_, '_, 'a> {
    /// Whether the current `{` opens the arguments of a function and not an attribute set.
    pub(super) fn formals_follow(&self) -> bool {
        let next = self.lexer.token(self.current.span.end);
        match next.token {
            Token::Ellipsis => true,
            Token::BraceClose => matches!(self.lexer.peek(next.span.end), Some(b':' | b'@')),
            Token::Identifier => {
                matches!(self.lexer.peek(next.span.end), Some(b',' | b'?' | b'}'))
            }
            _ => false,
        }
    }

    /// `x: …` or `x@{ … }: …`
    pub(super) fn named_function(&mut self) -> Result<&'a Expr<'a>> {
        let argument = self.name();
        let start = argument.span.start;
        let formals = if self.accept(Token::At) {
            if !self.is(Token::BraceOpen) {
                return Err(self.unexpected("'{' after '@'"));
            }
            Some(self.formals()?)
        } else {
            None
        };
        self.function(start, Some(argument), formals)
    }

    /// `{ … }: …` or `{ … }@x: …`
    pub(super) fn formals_function(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.current.span.start;
        let formals = self.formals()?;
        let argument = if self.accept(Token::At) {
            if !self.is(Token::Identifier) {
                return Err(self.unexpected("a name after '@'"));
            }
            Some(self.name())
        } else {
            None
        };
        self.function(start, argument, Some(formals))
    }

    /// The current token, which is an identifier.
    fn name(&mut self) -> Name {
        let span = self.advance().span;
        Name {
            symbol: self.symbols.intern(self.lexer.text(span)),
            span,
        }
    }

    fn function(
        &mut self,
        start: u32,
        argument: Option<Name>,
        formals: Option<Formals<'a>>,
    ) -> Result<&'a Expr<'a>> {
        if let (Some(argument), Some(formals)) = (argument, formals)
            && let Some(formal) = formals
                .list
                .iter()
                .find(|formal| formal.name.symbol == argument.symbol)
        {
            return Err(self.duplicate(argument, formal.name));
        }
        self.expect(
            Token::Colon,
            "':' and the function's body after its arguments",
        )?;
        let body = self.expr()?;
        let lambda = self.arena.alloc(Lambda {
            argument,
            formals,
            body,
        });
        Ok(self.node(ExprKind::Lambda(lambda), start))
    }

    fn formals(&mut self) -> Result<Formals<'a>> {
        let start = self.open_bracket().span.start;
        let mut list = Vec::new();
        let mut places = HashMap::new();
        let mut ellipsis = false;
        while !self.is(Token::BraceClose) {
            if self.accept(Token::Ellipsis) {
                ellipsis = true;
                break;
            }
            if !self.is(Token::Identifier) {
                return Err(self.unexpected("the name of an argument, '...' or '}'"));
            }
            let name = self.name();
            if let Some(&first) = places.get(&name.symbol) {
                return Err(self.duplicate(name, first));
            }
            places.insert(name.symbol, name);
            let default = if self.accept(Token::Question) {
                Some(self.expr()?)
            } else {
                None
            };
            list.push(Formal { name, default });
            if !self.accept(Token::Comma) && !self.is(Token::BraceClose) {
                return Err(self.unexpected("',' or '}' after an argument"));
            }
        }
        self.close_bracket(Token::BraceClose, "'}'")
            .map_err(|failure| {
                if ellipsis {
                    failure.hint("'...' stands after all arguments")
                } else {
                    failure
                }
            })?;
        Ok(Formals {
            list: self.arena.alloc_slice_copy(&list),
            ellipsis,
            span: Span::new(start, self.previous_end),
        })
    }

    fn duplicate(&self, name: Name, first: Name) -> Failure {
        let shown = self.symbols.name(name.symbol).as_bstr();
        Failure::new(
            format!("duplicate formal function argument '{shown}'"),
            name.span,
        )
        .label(first.span, "it is an argument already here")
    }
}
