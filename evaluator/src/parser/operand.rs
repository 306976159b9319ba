//! What operators stand between: applications, selections and what needs no parentheses.

use bstr::ByteSlice;

use super::error::Failure;
use super::{LastArgument, Parser, Result};
use crate::Span;
use crate::ast::{AttrName, AttrNameKind, Expr, ExprKind};
use crate::lexer::Token;
use crate::symbol::known;

impl<'a> Parser<'_, '_, 'a> {
    /// `f a b`, or an operand alone.
    pub(super) fn application(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.current.span.start;
        let first = self.selection()?;
        if !self.operand_follows() {
            return Ok(first);
        }
        let base = self.exprs.len();
        let function = self.start_call(first);
        while self.operand_follows() {
            let before = self.previous_end;
            let from = self.current.span.start;
            let argument = self.selection()?;
            self.exprs.push(argument);
            self.last_argument = Some(LastArgument {
                before,
                span: Span::new(from, self.previous_end),
            });
        }
        let arguments = self.take_exprs(base);
        let kind = ExprKind::Apply {
            function,
            arguments,
        };
        Ok(self.node(kind, start))
    }

    fn operand_follows(&self) -> bool {
        match self.current.token {
            Token::Identifier
            | Token::Int
            | Token::Float
            | Token::Path
            | Token::HomePath
            | Token::SearchPath
            | Token::Uri
            | Token::Quote
            | Token::IndentedQuote
            | Token::Rec
            | Token::BraceOpen
            | Token::BracketOpen
            | Token::ParenOpen => true,
            Token::Let => self.peek() == Some(b'{'),
            _ => false,
        }
    }

    /// `e.a.b or default`, or `e` alone.
    fn selection(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.current.span.start;
        let subject = self.simple()?;
        match self.current.token {
            Token::Dot => {
                self.advance();
                let path = self.attr_path("an attribute name after '.'")?;
                let default = if self.accept(Token::Or) {
                    Some(self.nested(Self::selection)?)
                } else {
                    None
                };
                let kind = ExprKind::Select {
                    subject,
                    path,
                    default,
                };
                Ok(self.node(kind, start))
            }
            // A function may be called `or`, and this is how it is passed on.
            Token::Or => {
                let span = self.advance().span;
                let or = self.alloc(ExprKind::Variable(known::OR), span);
                Ok(self.call(subject, or, start))
            }
            _ => Ok(subject),
        }
    }

    /// The names of `a.b.c`.
    pub(super) fn attr_path(&mut self, expected: &str) -> Result<&'a [AttrName<'a>]> {
        let base = self.names.len();
        let first = self.attr_name(expected)?;
        self.names.push(first);
        while self.accept(Token::Dot) {
            let name = self.attr_name("an attribute name after '.'")?;
            self.names.push(name);
        }
        let path = self.names.get(base..).unwrap_or_default();
        let path = self.arena.alloc_slice_copy(path);
        self.names.truncate(base);
        Ok(path)
    }

    /// `a`, `"a"` or `${e}`.
    pub(super) fn attr_name(&mut self, expected: &str) -> Result<AttrName<'a>> {
        let start = self.current.span;
        let kind = match self.current.token {
            Token::Identifier | Token::Or => {
                self.advance();
                AttrNameKind::Fixed(self.symbols.intern(self.lexer.text(start)))
            }
            Token::Quote => {
                let name = self.string()?;
                self.name_of(name)
            }
            Token::DollarBrace => {
                self.open_bracket();
                let name = self.expr()?;
                self.close_bracket(Token::BraceClose, "'}' after the attribute name")?;
                self.name_of(name)
            }
            _ => return Err(self.unexpected(expected)),
        };
        let span = Span::new(start.start, self.previous_end);
        Ok(AttrName { kind, span })
    }

    fn name_of(&self, name: &'a Expr<'a>) -> AttrNameKind<'a> {
        match name.kind {
            ExprKind::String(text) => AttrNameKind::Fixed(self.symbols.intern(text)),
            _ => AttrNameKind::Dynamic(name),
        }
    }

    fn simple(&mut self) -> Result<&'a Expr<'a>> {
        let span = self.current.span;
        match self.current.token {
            Token::Identifier => {
                self.advance();
                let kind = match self.lexer.text(span) {
                    b"__curPos" => ExprKind::CurrentPosition,
                    name => ExprKind::Variable(self.symbols.intern(name)),
                };
                Ok(self.alloc(kind, span))
            }
            Token::Int => self.int(),
            Token::Float => self.float(),
            Token::Quote => self.string(),
            Token::IndentedQuote => self.indented_string(),
            Token::Path | Token::HomePath => self.path(),
            Token::SearchPath => {
                self.advance();
                let inside = self.lexer.text(Span::new(span.start + 1, span.end - 1));
                let inside = self.arena.alloc_slice_copy(inside);
                Ok(self.alloc(ExprKind::SearchPath(inside), span))
            }
            Token::Uri => {
                self.advance();
                let text = self.arena.alloc_slice_copy(self.lexer.text(span));
                Ok(self.alloc(ExprKind::String(text), span))
            }
            Token::ParenOpen => {
                self.open_bracket();
                let inside = self.expr()?;
                self.close_bracket(Token::ParenClose, "an operator or ')'")?;
                Ok(inside)
            }
            Token::BracketOpen => self.list(),
            Token::BraceOpen => self.attrs(span.start, false),
            Token::Rec => {
                self.advance();
                if !self.is(Token::BraceOpen) {
                    return Err(self.unexpected("'{' after 'rec'"));
                }
                self.attrs(span.start, true)
            }
            Token::Let if self.peek() == Some(b'{') => self.legacy_let(),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn int(&mut self) -> Result<&'a Expr<'a>> {
        let span = self.advance().span;
        let mut value: i64 = 0;
        for digit in self.lexer.text(span) {
            let digit = i64::from(digit - b'0');
            let next = value.checked_mul(10).and_then(|ten| ten.checked_add(digit));
            value = next.ok_or_else(|| {
                Failure::new(format!("invalid integer '{}'", self.excerpt(span)), span)
                    .hint(format!("the largest integer is {}", i64::MAX))
            })?;
        }
        Ok(self.alloc(ExprKind::Int(value), span))
    }

    fn float(&mut self) -> Result<&'a Expr<'a>> {
        let span = self.advance().span;
        let text = self.lexer.text(span).to_str().unwrap_or_default();
        let value: f64 = text.parse().unwrap_or(f64::NAN);
        let is_zero = text
            .bytes()
            .take_while(|byte| !matches!(byte, b'e' | b'E'))
            .all(|byte| matches!(byte, b'0' | b'.'));
        if value.is_normal() || is_zero {
            return Ok(self.alloc(ExprKind::Float(value), span));
        }
        let size = if value.is_infinite() {
            "large"
        } else {
            "small"
        };
        Err(
            Failure::new(format!("invalid float '{}'", self.excerpt(span)), span)
                .hint(format!("it is too {size} for 64 bits")),
        )
    }

    fn list(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.open_bracket().span.start;
        let base = self.exprs.len();
        while !self.is(Token::BracketClose) {
            if !self.operand_follows() {
                return Err(self.unexpected("an element of the list or ']'"));
            }
            let element = self.nested(Self::selection)?;
            self.exprs.push(element);
        }
        self.close_bracket(Token::BracketClose, "']'")?;
        let elements = self.take_exprs(base);
        Ok(self.node(ExprKind::List(elements), start))
    }
}
