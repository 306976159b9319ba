//! Definitions: `a.b = e;`, `inherit a;`, `inherit (e) a;` in sets and after `let`.

use super::error::Failure;
use super::{Parser, Result};
use crate::Span;
use crate::ast::{AttrName, AttrNameKind, AttrValue, Attrs, Expr, ExprKind};
use crate::lexer::Token;
use crate::symbol::known;

impl<'a> Parser<'_, '_, 'a> {
    /// `{ … }`; the current token is its `{`, the set starts at `start`.
    pub(super) fn attrs(&mut self, start: u32, recursive: bool) -> Result<&'a Expr<'a>> {
        self.open_bracket();
        let attrs = self.bindings(Token::BraceClose, recursive)?;
        self.close_bracket(Token::BraceClose, "'}'")?;
        Ok(self.node(ExprKind::Attrs(attrs), start))
    }

    /// `let { …; body = e; }`, which is `(rec { …; body = e; }).body`.
    pub(super) fn legacy_let(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.advance().span;
        let subject = self.attrs(start.start, true)?;
        let body = AttrName {
            kind: AttrNameKind::Fixed(known::BODY),
            span: start,
        };
        let kind = ExprKind::Select {
            subject,
            path: self.arena.alloc_slice_copy(&[body]),
            default: None,
        };
        Ok(self.node(kind, start.start))
    }

    /// Definitions up to `end`, which stays the current token.
    pub(super) fn bindings(&mut self, end: Token, recursive: bool) -> Result<&'a Attrs<'a>> {
        let set = self.new_set(Span::at(self.current.span.start), recursive);
        while !self.is(end) {
            match self.current.token {
                Token::Inherit => self.inherit(set)?,
                Token::Identifier | Token::Or | Token::Quote | Token::DollarBrace => {
                    self.definition(set)?;
                }
                _ => return Err(self.no_definition(end)),
            }
        }
        Ok(self.finish_set(set))
    }

    fn no_definition(&self, end: Token) -> Failure {
        let failure = self.unexpected(if end == Token::In {
            "a definition or 'in'"
        } else {
            "a definition or '}'"
        });
        match self.current.token {
            Token::Semicolon => failure.hint("one ';' ends a definition"),
            Token::IndentedQuote => {
                failure.hint("a name with special characters stands in \"quotes\"")
            }
            Token::If
            | Token::Then
            | Token::Else
            | Token::Assert
            | Token::With
            | Token::Let
            | Token::In
            | Token::Rec => failure.hint(format!(
                "a keyword that is a name stands in quotes: \"{}\"",
                self.current.token.sign().unwrap_or_default()
            )),
            _ => failure,
        }
    }

    fn definition(&mut self, set: usize) -> Result<()> {
        let start = self.current.span.start;
        let path = self.attr_path("an attribute name")?;
        let span = Span::new(start, self.previous_end);
        if !self.accept(Token::Assign) {
            return Err(self.no_assignment(start));
        }
        // A path of n names is n - 1 sets around the value.
        let levels = u32::try_from(path.len()).unwrap_or(u32::MAX);
        let value = self.nested_by(levels, Self::expr_here)?;
        self.end_definition()?;
        self.define(set, path, span, value)
    }

    fn no_assignment(&self, start: u32) -> Failure {
        let failure = self.unexpected("'.' or '=' after an attribute name");
        let failure = self.suggest(failure, start, "inherit");
        match self.current.token {
            Token::Colon => failure.hint("definitions are written with '=': name = value;"),
            Token::Equal => failure.hint("'==' compares; definitions are written with one '='"),
            Token::Semicolon | Token::BraceClose => {
                failure.hint("a definition has a value: name = value; or inherit name;")
            }
            Token::Identifier => failure.hint("a name with blanks in it stands in \"quotes\""),
            _ => failure,
        }
    }

    /// The `;` after a value.
    fn end_definition(&mut self) -> Result<()> {
        if self.accept(Token::Semicolon) {
            return Ok(());
        }
        // `a = 1⏎ b = 2;` was read as the application of 1 to b.
        if self.is(Token::Assign)
            && let Some(argument) = self.last_argument
            && argument.span.end == self.previous_end
            && self.has_line_break(Span::new(argument.before, argument.span.start))
        {
            return Err(missing_semicolon(argument.before, argument.span));
        }
        let gap = Span::new(self.previous_end, self.current.span.start);
        let starts_definition = matches!(
            self.current.token,
            Token::Inherit | Token::DollarBrace | Token::BraceClose | Token::In | Token::Or
        );
        let apart = self.has_line_break(gap) || self.is(Token::BraceClose) || self.is(Token::In);
        if starts_definition && apart && self.open_bracket_matches() {
            return Err(missing_semicolon(self.previous_end, self.current.span));
        }
        Err(self.unexpected("an operator or ';' after the value"))
    }

    /// Whether the current token, if it closes a bracket, closes the innermost one.
    fn open_bracket_matches(&self) -> bool {
        !self.is(Token::BraceClose) || matches!(self.innermost(), Some(Token::BraceOpen))
    }

    fn no_inherited_name(&self, failure: Failure) -> Failure {
        match self.current.token {
            Token::Inherit | Token::In => missing_semicolon(self.previous_end, self.current.span),
            Token::BraceClose if self.open_bracket_matches() => {
                missing_semicolon(self.previous_end, self.current.span)
            }
            Token::Assign => failure.hint("the names after 'inherit' end with ';'"),
            _ => failure,
        }
    }

    fn inherit(&mut self, set: usize) -> Result<()> {
        self.advance();
        let source = if self.is(Token::ParenOpen) {
            self.open_bracket();
            let source = self.expr()?;
            self.close_bracket(Token::ParenClose, "an operator or ')'")?;
            Some(self.add_source(set, source))
        } else {
            None
        };
        while !self.accept(Token::Semicolon) {
            let before = self.previous_end;
            let name = self
                .attr_name("a name to inherit or ';'")
                .map_err(|failure| self.no_inherited_name(failure))?;
            if self.is(Token::Assign) && self.has_line_break(Span::new(before, name.span.start)) {
                return Err(missing_semicolon(before, name.span));
            }
            let AttrNameKind::Fixed(symbol) = name.kind else {
                return Err(Failure::new(
                    "dynamic attributes are not allowed in inherit",
                    name.span,
                ));
            };
            let value = source.map_or(AttrValue::Inherited, AttrValue::InheritedFrom);
            self.inherit_name(set, symbol, name.span, value)?;
        }
        Ok(())
    }
}

fn missing_semicolon(end_of_value: u32, next: Span) -> Failure {
    let place = Span::new(end_of_value.saturating_sub(1), end_of_value);
    Failure::new("missing ';' after this", place)
        .label(next, "before this")
        .hint("each definition ends with ';'")
}
