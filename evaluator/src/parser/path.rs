//! Path literals: made absolute and canonical, with interpolation after their start.

use super::error::Failure;
use super::{Parser, Result};
use crate::Span;
use crate::ast::{Expr, ExprKind, Part};
use crate::lexer::Token;

impl<'a> Parser<'_, '_, 'a> {
    /// A path; the current token is its start.
    pub(super) fn path(&mut self) -> Result<&'a Expr<'a>> {
        let first = self.current;
        let start = self.path_start(first.token, first.span)?;
        let base = self.parts.len();
        let mut offset = first.span.end;
        let mut last = first.span;
        loop {
            if self.lexer.interpolation_at(offset) {
                let opening = Span::new(offset, offset + 2);
                let (expr, end) = self.interpolation(opening)?;
                self.parts.push(Part::Expr(expr));
                last = Span::at(end);
                offset = end;
                continue;
            }
            let text = self.lexer.path_text(offset);
            if text.start == text.end {
                break;
            }
            if self.parts.len() == base && !self.lexer.interpolation_at(text.end) {
                return Err(Failure::new("path has two slashes in a row", text)
                    .hint("blanks around '//' make it the operator that merges sets"));
            }
            let literal = self.arena.alloc_slice_copy(self.lexer.text(text));
            self.parts.push(Part::Literal(literal));
            last = text;
            offset = text.end;
        }
        if self.lexer.text(last).ends_with(b"/") {
            let slash = Span::new(last.end - 1, last.end);
            return Err(Failure::new("path has a trailing slash", slash)
                .hint("a path does not end with '/'; a division needs blanks around its '/'"));
        }
        self.resume(offset);
        let parts = self.take_parts(base);
        let kind = match parts {
            [] => ExprKind::Path(start),
            _ => ExprKind::PathInterpolation { start, parts },
        };
        Ok(self.node(kind, first.span.start))
    }

    fn path_start(&self, token: Token, span: Span) -> Result<&'a [u8]> {
        let text = self.lexer.text(span);
        let absolute = match token {
            Token::HomePath => {
                let home = self.options.home.ok_or_else(|| {
                    Failure::new(
                        format!(
                            "cannot resolve '{}': there is no home directory here",
                            self.excerpt(span)
                        ),
                        span,
                    )
                })?;
                canonical(home, text.strip_prefix(b"~").unwrap_or(text))
            }
            _ if text.starts_with(b"/") => canonical(b"", text),
            _ => canonical(self.options.base, text),
        };
        Ok(self.arena.alloc_slice_copy(&absolute))
    }

    /// Takes the parts that were put on their stack since it was `base` long.
    pub(super) fn take_parts(&mut self, base: usize) -> &'a [Part<'a>] {
        let taken = self.parts.get(base..).unwrap_or_default();
        let taken = self.arena.alloc_slice_copy(taken);
        self.parts.truncate(base);
        taken
    }
}

/// `base/text` without `.`, `..` and doubled slashes. A slash at the text's end stays.
fn canonical(base: &[u8], text: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in base.split(|&b| b == b'/').chain(text.split(|&b| b == b'/')) {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    let mut path = Vec::with_capacity(base.len() + text.len() + 2);
    for name in &names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() || text.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use bstr::ByteSlice;

    use super::*;

    #[test]
    fn paths_are_made_canonical() {
        for (base, text, expected) in [
            ("/a/b", "./c", "/a/b/c"),
            ("/a/b", "../c", "/a/c"),
            ("/a", "../../..", "/"),
            ("/", "c", "/c"),
            ("/a", ".", "/a"),
            ("/a", "./c/", "/a/c/"),
            ("", "/", "/"),
            ("", "/x/./y/../z/", "/x/z/"),
            ("/home/me", "/", "/home/me/"),
            ("/home/me/", "/x", "/home/me/x"),
        ] {
            let found = canonical(base.as_bytes(), text.as_bytes());
            assert_eq!(found.as_bstr(), expected, "{base} {text}");
        }
    }
}
