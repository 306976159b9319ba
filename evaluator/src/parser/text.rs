//! Strings: escapes, interpolation, and the indentation of `''` strings.

use bstr::ByteSlice;
use bumpalo::collections::Vec as ArenaVec;

use super::error::{Failure, SPANS_LINES};
use super::{Parser, Result};
use crate::Span;
use crate::ast::{Expr, ExprKind, Part};
use crate::lexer::{Lexeme, Piece, Token};

/// A piece of an indented string before its indentation is stripped.
#[derive(Debug, Clone, Copy)]
enum Indented<'a> {
    /// Text as it is written, whose blanks at the start of lines count.
    Text(&'a [u8]),
    /// An escape, which ends the blanks at the start of a line.
    Escape(&'a [u8]),
    Expr(&'a Expr<'a>),
}

impl<'a> Parser<'_, '_, 'a> {
    /// `"…"`; the current token is its opening quote.
    pub(super) fn string(&mut self) -> Result<&'a Expr<'a>> {
        let opening = self.current.span;
        let base = self.parts.len();
        let mut offset = opening.end;
        loop {
            let (piece, span) = self.lexer.string_piece(offset);
            offset = span.end;
            match piece {
                Piece::Text | Piece::Escape => {
                    let text = self.unescape(span)?;
                    self.parts.push(Part::Literal(text));
                }
                Piece::Interpolation => {
                    let (expr, end) = self.interpolation(span)?;
                    self.parts.push(Part::Expr(expr));
                    offset = end;
                }
                Piece::Close => break,
                Piece::End => {
                    let failure = unclosed(opening, "\"");
                    return Err(match self.multi_line_string {
                        Some(string) => failure.label(string, SPANS_LINES),
                        None => failure,
                    });
                }
            }
        }
        let span = Span::new(opening.start, offset);
        if self.has_line_break(span) {
            self.multi_line_string = Some(span);
        }
        self.resume(offset);
        let parts = self.take_parts(base);
        Ok(self.alloc(string_of(parts), span))
    }

    /// `''…''`; the current token is its opening quotes.
    pub(super) fn indented_string(&mut self) -> Result<&'a Expr<'a>> {
        let opening = self.current.span;
        let mut pieces = Vec::new();
        let mut offset = self.lexer.indented_start(opening.end);
        loop {
            let (piece, span) = self.lexer.indented_piece(offset);
            offset = span.end;
            match piece {
                Piece::Text => {
                    let text = self.lexer.text(span);
                    check_nul(text, span)?;
                    pieces.push(Indented::Text(self.arena.alloc_slice_copy(text)));
                }
                Piece::Escape => pieces.push(Indented::Escape(self.indented_escape(span)?)),
                Piece::Interpolation => {
                    let (expr, end) = self.interpolation(span)?;
                    pieces.push(Indented::Expr(expr));
                    offset = end;
                }
                Piece::Close => break,
                Piece::End => return Err(unclosed(opening, "''")),
            }
        }
        self.resume(offset);
        let kind = match self.strip(&pieces) {
            // `''${"a"}''` is the string itself, and so a name that is known.
            [
                Part::Expr(Expr {
                    kind: kind @ ExprKind::String(_),
                    ..
                }),
            ] => *kind,
            parts => string_of(parts),
        };
        Ok(self.node(kind, opening.start))
    }

    /// The expression of a `${` at `opening`, and where its `}` ends.
    pub(super) fn interpolation(&mut self, opening: Span) -> Result<(&'a Expr<'a>, u32)> {
        self.open.push(Lexeme {
            token: Token::DollarBrace,
            span: opening,
        });
        self.resume(opening.end);
        let expr = self.expr()?;
        if !self.is(Token::BraceClose) {
            return Err(self.unexpected("an operator or '}' after the interpolated expression"));
        }
        self.open.pop();
        Ok((expr, self.current.span.end))
    }

    /// Text of a `"` string with its escapes resolved and its line breaks made `\n`.
    fn unescape(&self, span: Span) -> Result<&'a [u8]> {
        let text = self.lexer.text(span);
        check_nul(text, span)?;
        if !text.iter().any(|byte| matches!(byte, b'\\' | b'\r')) {
            return Ok(self.arena.alloc_slice_copy(text));
        }
        let mut plain = ArenaVec::with_capacity_in(text.len(), self.arena);
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            plain.push(match byte {
                b'\\' => match bytes.next() {
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(other) => other,
                    None => byte,
                },
                b'\r' => {
                    bytes.next_if_eq(&b'\n');
                    b'\n'
                }
                _ => byte,
            });
        }
        Ok(plain.into_bump_slice())
    }

    /// `''$`, `'''`, `''\x`, or a `$` or `'` that stands for itself.
    fn indented_escape(&self, span: Span) -> Result<&'a [u8]> {
        Ok(match self.lexer.text(span) {
            b"'" => b"'",
            b"'''" => b"''",
            [_, _, b'\\', ..] => self.unescape(Span::new(span.start + 2, span.end))?,
            _ => b"$",
        })
    }

    /// Takes away the blanks that all lines begin with, and those of a last line of blanks.
    fn strip(&mut self, pieces: &[Indented<'a>]) -> &'a [Part<'a>] {
        let indentation = indentation(pieces);
        let base = self.parts.len();
        let mut at_start = true;
        let mut dropped = 0;
        for (at, piece) in pieces.iter().enumerate() {
            let text = match *piece {
                Indented::Expr(expr) => {
                    at_start = false;
                    dropped = 0;
                    self.parts.push(Part::Expr(expr));
                    continue;
                }
                Indented::Text(text) | Indented::Escape(text) => text,
            };
            let mut stripped = ArenaVec::with_capacity_in(text.len(), self.arena);
            for &byte in text {
                match byte {
                    b'\n' => {
                        at_start = true;
                        dropped = 0;
                    }
                    b' ' if at_start => {
                        dropped += 1;
                        if dropped <= indentation {
                            continue;
                        }
                    }
                    _ => {
                        at_start = false;
                        dropped = 0;
                    }
                }
                stripped.push(byte);
            }
            if at + 1 == pieces.len()
                && let Some(line) = stripped.rfind_byte(b'\n')
                && stripped.iter().skip(line + 1).all(|&byte| byte == b' ')
            {
                stripped.truncate(line + 1);
            }
            if !stripped.is_empty() {
                self.parts.push(Part::Literal(stripped.into_bump_slice()));
            }
        }
        self.take_parts(base)
    }
}

/// How many blanks all lines begin with; lines of blanks alone do not count.
fn indentation(pieces: &[Indented<'_>]) -> usize {
    let mut least = usize::MAX;
    let mut at_start = true;
    let mut blanks = 0;
    for piece in pieces {
        let Indented::Text(text) = piece else {
            if at_start {
                at_start = false;
                least = least.min(blanks);
            }
            continue;
        };
        for byte in *text {
            match byte {
                b'\n' => {
                    at_start = true;
                    blanks = 0;
                }
                b' ' if at_start => blanks += 1,
                _ if at_start => {
                    at_start = false;
                    least = least.min(blanks);
                }
                _ => {}
            }
        }
    }
    least
}

fn string_of<'a>(parts: &'a [Part<'a>]) -> ExprKind<'a> {
    match parts {
        [] => ExprKind::String(b""),
        [Part::Literal(text)] => ExprKind::String(text),
        _ => ExprKind::Interpolation(parts),
    }
}

fn check_nul(text: &[u8], span: Span) -> Result<()> {
    match text.find_byte(0) {
        Some(at) => {
            let at = span.start + u32::try_from(at).unwrap_or_default();
            Err(Failure::new(
                "a string cannot contain a NUL byte",
                Span::new(at, at + 1),
            ))
        }
        None => Ok(()),
    }
}

fn unclosed(opening: Span, quotes: &str) -> Failure {
    let mark = Span::new(opening.start, opening.end);
    Failure::new("this string is never closed", mark)
        .hint(format!("it ends with {quotes}, as it begins"))
}
